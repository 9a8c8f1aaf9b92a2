"""``postwright demo --ab``: a test of two subjects, played on the sandbox and shown look by look."""

import asyncio
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from postwright.demo.ab_rehearsal import NAMES, AbOutcome, LookTold, RehearsalTerms, rehearse
from postwright.demo.stage import clean_folder
from postwright.sandbox.people import Appeal

console = Console(highlight=False)


def terms_of(clicks: str, seed: int) -> RehearsalTerms:
    """What is rehearsed, from the shares of readers who click on each subject ("0.06,0.18")."""
    usual = RehearsalTerms()
    try:
        first, second = (float(one) for one in clicks.split(","))
    except ValueError as error:
        raise typer.BadParameter("Give two shares, as 0.06,0.18.", param_hint="--clicks") from error
    return replace(usual, first=_appeal(usual.first, first), second=_appeal(usual.second, second), seed=seed)


def _appeal(usual: Appeal, clicks: float) -> Appeal:
    """More people open than click, for every subject."""
    return replace(usual, clicks=clicks, opens=max(usual.opens, min(1.0, 1.5 * clicks)))


def play(folder: Path, examples: Path, terms: RehearsalTerms, http_port: int) -> AbOutcome:
    """Rehearse in a clean folder, print each look and the result."""
    console.print("Sending to the sandbox, where a day passes in seconds …")
    with clean_folder(folder) as clean:
        outcome = asyncio.run(rehearse(clean, examples, terms, _print_look, http_port))
    _print_outcome(outcome)
    return outcome


def _print_look(look: LookTold) -> None:
    counts = "   ".join(
        f"{name} {_bounds(*count[:2])} of {count[2]:,}" for name, count in zip(NAMES, look.counts, strict=True)
    )
    hours = look.after.total_seconds() / 3600
    console.print(f"  {hours:>4.1f} h   {counts}   ", end="", markup=False)
    console.print(look.sentence, style="dim", markup=False, soft_wrap=True)


def _bounds(lower: int, upper: int) -> str:
    return f"{lower:,}" if lower == upper else f"{lower:,} to {upper:,}"


def _print_outcome(outcome: AbOutcome) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("subject", overflow="fold")
    for column in ("in the test", "clicked", "in fact", "with machines", "mails"):
        table.add_column(column, justify="right")
    for one in outcome.variants:
        counted = _bounds(one.lower, one.upper)
        cells = (f"{one.sampled:,}", counted, f"{one.truly:,}", f"{one.raw:,}", f"{one.mails:,}")
        table.add_row(one.name, one.subject, *cells)
    console.print()
    console.print(table)
    winner = outcome.variants[outcome.winner]
    hours = outcome.decided_after.total_seconds() / 3600
    console.print(f"\n{outcome.sentence}", markup=False, soft_wrap=True)
    console.print(f"Decided after {hours:.1f} hours by {_BY[outcome.decided_by]}.", soft_wrap=True)
    for fault in outcome.faults:
        console.print(f"[red]✗[/] {fault}")
    if not outcome.faults:
        console.print(
            f"[green]✓[/] Each of the {outcome.job.good:,} good recipients got one mail, the rest of the list got"
            f" {winner.name}",
            soft_wrap=True,
        )


_BY = {"rule": "the rule", "deadline": "the deadline", "too_few_recipients": "the size of the list, which is too small"}
