"""``postwright demo``: the main job before one's eyes."""

import signal
import threading
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mailtypes.errors import PostwrightError
from postwright.demo.main_job import CAMPAIGN, CampaignResult, ImportResult, MainJob
from postwright.demo.outcome import Outcome, good_recipients, judge
from postwright.demo.stage import ADMIN, SENDER_DOMAIN, Stage, StageError
from postwright.sandbox.mailboxes import Mailboxes

_SHOWN_REFUSALS = 5
console = Console(highlight=False)


def run_demo(  # noqa: PLR0913, PLR0917  # the options of a command
    leave: bool = typer.Option(False, "--exit", help="Stop after the table; exit 0 only if everything arrived once."),
    folder: Path = typer.Option(Path("postwright-demo"), "--dir", help="Where the demo keeps its files."),
    http_port: int = typer.Option(8025, help="The port of the web application."),
    examples: Path = typer.Option(Path("examples"), help="Where contacts.csv and newsletter.mjml are."),
    ab: bool = typer.Option(
        False, "--ab", help="Rehearse a test of two subjects: made-up people read, a day in seconds."
    ),
    clicks: str = typer.Option("0.06,0.18", help="With --ab: the share of people who click on each subject."),
    seed: int = typer.Option(1, min=0, help="With --ab: draws the people; the same seed gives the same day."),
) -> None:
    """Verify a domain, import 2,000 contacts, send them a signed newsletter, and show what arrived, on this machine."""
    try:
        if not (examples / "contacts.csv").is_file():
            raise StageError(f"There is no contacts.csv in {examples}; run the demo where the examples are.")
        if ab:
            _rehearse((folder, examples), clicks, seed, None if leave else http_port)
            return
        console.print("Starting Postwright and the sandbox …")
        with Stage.set_up(folder, http_port) as stage:
            outcome = _do_main_job(stage, examples)
            stage.mark_finished()
            _print_outcome(outcome)
            if not leave:
                _stay(stage)
    except PostwrightError as error:
        console.print(f"[red]✗[/] {error}", soft_wrap=True)
        raise typer.Exit(1) from error
    if leave and outcome.faults:
        raise typer.Exit(1)


def _rehearse(places: tuple[Path, Path], clicks: str, seed: int, http_port: int | None) -> None:
    """Play the test; with a port the web application shows it afterwards."""
    # The whole application runs in this process then, and has a good deal to import.
    from postwright.demo.ab_command import play, terms_of  # noqa: PLC0415

    folder, examples = places
    outcome = play(folder, examples, terms_of(clicks, seed), http_port or 0)
    if http_port is None:
        if outcome.faults:
            raise typer.Exit(1)
        return
    with Stage.set_up(folder, http_port) as stage:
        stage.mark_finished()
        _stay(stage)


def _do_main_job(stage: Stage, examples: Path) -> Outcome:
    job = MainJob(stage, examples)
    try:
        state = job.verify_domain()
        _step(f"Sender domain [bold]{SENDER_DOMAIN}[/] is {state}")
        imported = job.import_contacts()
        _print_import(imported)
        job.suppress()
        _step("Addresses that unsubscribed earlier are suppressed")
        campaign = job.create_campaign()
        if job.status(campaign).state == "draft":
            _print_preflight(job, campaign)
        job.send(campaign)
        result = _watch(job, campaign)
    finally:
        job.close()
    return judge(good_recipients(examples, imported), Mailboxes(stage.layout.mailboxes_path), result)


def _step(text: str) -> None:
    console.print(f"[green]✓[/] {text}")


def _print_import(imported: ImportResult) -> None:
    _step(
        f"Contacts: {imported.created:,} new, {imported.updated:,} known, "
        f"{imported.refused:,} rows refused, for instance"
    )
    for line, value, reason in imported.refusals[:_SHOWN_REFUSALS]:
        console.print(f"    line {line:>4}  ", end="", style="dim")
        console.print(f"{value[:34]!r}: {reason}", style="dim", markup=False, soft_wrap=True)


def _print_preflight(job: MainJob, campaign: str) -> None:
    found = job.preflight(campaign)
    _step(
        f"Pre-flight: {found['recipients']:,} contacts, {found['layouts']} layouts (English, Hebrew), largest HTML"
        f" {found['largest_html'] / 1024:.0f} KB as sent, {len(found['advisory'])} findings to weigh"
    )


def _watch(job: MainJob, campaign: str) -> CampaignResult:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"Sending “{CAMPAIGN}”", total=None)

        def show(result: CampaignResult) -> None:
            progress.update(bar, total=result.total or None, completed=result.settled)

        return job.watch(campaign, show)


def _print_outcome(outcome: Outcome) -> None:
    states = outcome.campaign.by_state
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("delivered", "deferred", "failed", "suppressed", "deferred on the way", "ambiguous"):
        table.add_column(column, justify="right")
    table.add_row(
        *(f"{states.get(state, 0):,}" for state in ("delivered", "deferred", "failed", "suppressed")),
        f"{outcome.campaign.deferred_ever:,}",
        f"{outcome.campaign.ambiguous_ever:,}",
    )
    console.print("\n[bold]Result[/]")
    console.print(table)
    console.print("\n[bold]As judged by the receiving side[/]")
    console.print(_judged(outcome))
    rate = outcome.received.received_per_second
    console.print(
        f"\n{outcome.received.messages:,} messages received"
        + (f", {rate:,.0f} messages a second from the first to the last (each judged before its reply," if rate else "")
        + (" greylisting included)." if rate else ".")
    )
    if outcome.faults:
        for fault in outcome.faults:
            console.print(f"[red]✗[/] {fault}")
    else:
        _step(f"Each of the {outcome.good:,} good recipients got exactly one correctly signed message")


def _judged(outcome: Outcome) -> Table:
    """SPF, DKIM and DMARC as the receiving side saw them."""
    results = outcome.received.results
    verdicts = sorted(
        {verdict for counts in results.values() for verdict in counts} | {"pass"}, key=lambda v: v != "pass"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for verdict in verdicts:
        table.add_column(verdict, justify="right")
    for name in ("spf", "dkim", "dmarc"):
        table.add_row(name.upper(), *(f"{results.get(name, {}).get(verdict, 0):,}" for verdict in verdicts))
    return table


def _stay(stage: Stage) -> None:
    console.print(f"\nThe web application is at [bold]{stage.url}[/]")
    console.print(f"Sign in as [bold]{ADMIN}[/] with the password [bold]{stage.notes.password}[/]")
    console.print("Ctrl-C ends it.")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
