"""``postwright warmup``: plans shown and compared, weeks simulated without an install; and the install's own."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from mailtypes.errors import InputSyntaxError
from postwright.charts import ChartSpec, Theme, draw
from postwright.cli.app import DeferredCommand
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.warm_up_chart import ChartDay, ChartLook, plans_chart, warm_up_chart
from warmup.documents import decision_document
from warmup.plans import PRESETS, RampPlan, doubling, reach, read_table
from warmup.simulation.comparison import (
    FIRST_HELD_OUT_SEED,
    Duel,
    SensitivityRow,
    Summary,
    compare,
    duels,
    scenarios_of,
    sensitivity,
    summaries,
)
from warmup.simulation.policies import PolicyChoice, by_calendar, listening
from warmup.simulation.report import DayTotal, by_day, turns
from warmup.simulation.senders import SENDERS
from warmup.simulation.tempers import HELD_OUT, TEMPERS, TUNING
from warmup.simulation.world import Outcome, Scenario, simulate

_OF_THE_INSTALL = {
    "start": "Warm a sender domain or an address up: mail beyond the day's and hour's cap waits.",
    "status": "Where the ramps stand: phase, level, today's budget and what is used of it.",
    "pause": "Send nothing more until it is resumed; what is queued waits.",
    "resume": "Go on after a pause, at the level to which the pause has lowered it.",
    "level": "Go on from a level of the plan.",
    "end": "Count no more: what waits for the budget goes out.",
}
"""What needs the install; the application behind it is imported only for these."""


class _Group(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, summary in _OF_THE_INSTALL.items():
            self.add_command(DeferredCommand(name, ("warmup_install", name), summary))


app = typer.Typer(
    cls=_Group,
    help="Warm-up: plans shown and compared, weeks simulated in seconds.",
    no_args_is_help=True,
    add_completion=False,
)
_SHOWN_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42)
_GROUPS = {"tuning": TUNING, "held-out": HELD_OUT, "all": TEMPERS}

_TEMPER_HELP = "Temper of the providers: " + ", ".join((*TEMPERS, *_GROUPS)) + "; several times."
_SENDER_HELP = "State of the list: " + ", ".join(SENDERS) + "; several times."

ChartOption = typer.Option(None, "--chart", help="Write a chart to this .svg or .png file.", metavar="FILE")
ThemeOption = typer.Option(Theme.LIGHT, "--theme", help="Colours of the chart.")
TableOption = typer.Option(None, "--table", help="A table of your own: daily caps, apart by blanks.")


class ChosenPolicy(StrEnum):
    """The policies that are compared."""

    TABLE = "table"
    DOUBLING = "doubling"
    LISTENING = "listening"
    LISTENING_DOUBLING = "listening-doubling"


@app.command("plan")
def plan(
    names: list[str] = typer.Argument(None, help="Plans; all published ones where none is named.", metavar="[NAME]..."),
    volume: int | None = typer.Option(None, "--volume", min=1, help="Messages a day to be reached."),
    days: int | None = typer.Option(None, "--days", min=2, max=365, help="Reach the volume in so many days, too."),
    first: int = typer.Option(50, "--first", min=1, help="With --days: messages on the first day."),
    table: str | None = TableOption,
    every_day: bool = typer.Option(False, "--every-day", help="Show every day instead of some."),
    chart: Path | None = ChartOption,
    theme: Theme = ThemeOption,
    as_json: bool = JsonOption,
) -> None:
    """Show the published schedules, one's own table, or "reach a volume in so many days", side by side."""
    with explained():
        plans = [*_plans(names or ([] if table or days else list(PRESETS)), table)]
        if days is not None:
            if volume is None or first > volume:
                raise typer.BadParameter("--days needs a --volume that is at least --first.")
            plans.append(reach(volume, days, first))
        longest = max(len(one.daily_caps) for one in plans)
        _write_chart(chart, plans_chart(plans, longest, volume, theme))
    if as_json:
        for one in plans:
            print_json(
                {
                    "plan": one.name,
                    "source": one.source,
                    "daily_caps": one.daily_caps,
                    "days_to_volume": _days_to(one, volume),
                }
            )
        return
    shown = range(1, longest + 1) if every_day else [day for day in _SHOWN_DAYS if day <= longest]
    rows = [(day, *(_cap(one.cap_on(day)) for one in plans)) for day in shown]
    _print_table(("day", *(one.name for one in plans)), rows)
    for one in plans:
        reached = _days_to(one, volume)
        when = f" {volume:,} a day is allowed on day {reached}." if volume and reached else ""
        console.print(f"{one.name}: {one.source}; {len(one.daily_caps)} days.{when}", markup=False)


@app.command("simulate")
def simulate_weeks(
    plan_name: str = typer.Option(
        "postmark", "--plan", help="The table that is followed, and that the ramp listens on."
    ),
    table: str | None = TableOption,
    volume: int = typer.Option(50_000, "--volume", min=1, max=100_000_000, help="Messages a day that are wanted."),
    days: int = typer.Option(60, "--days", min=1, max=365, help="Days of virtual time."),
    tempers: list[str] = typer.Option(["usual"], "--temper", help=_TEMPER_HELP),
    senders: list[str] = typer.Option(list(SENDERS), "--sender", help=_SENDER_HELP),
    seeds: int = typer.Option(10, "--seeds", min=2, max=200, help="Runs of each."),
    first_seed: int = typer.Option(FIRST_HELD_OUT_SEED, "--first-seed", min=0, help="Seeds count from here."),
    backs_off: bool = typer.Option(
        False, "--backs-off", help="A mail system that stops for the day when much is put off, whatever the policy."
    ),
    sensitive: bool = typer.Option(False, "--sensitivity", help="Vary the models' parameters one by one, instead."),
    chart: Path | None = ChartOption,
    policy: ChosenPolicy = typer.Option(ChosenPolicy.LISTENING, "--policy", help="The policy that the chart shows."),
    provider: str | None = typer.Option(None, "--provider", help="Chart this provider alone, e.g. google."),
    theme: Theme = ThemeOption,
    as_json: bool = JsonOption,
) -> None:
    """Compare policies in virtual time against provider models; with --chart, draw one run of the first seed."""
    with explained():
        (ramp,) = _plans([] if table else [plan_name], table)
        choices = _choices(ramp, volume)
        chosen = _tempers(tempers), {name: SENDERS[name] for name in _known("sender", senders, list(SENDERS))}
        terms = Scenario("", TEMPERS["usual"], SENDERS["clean"], volume, days, backs_off=backs_off)
        scenarios = scenarios_of(*chosen, terms)
        if chart is not None:
            outcome = simulate(scenarios[0], choices[policy], first_seed)
            _one_run(outcome, scenarios[0], provider, _Output(chart, theme, as_json))
            return
    span = range(first_seed, first_seed + seeds)
    pair = (choices[ChosenPolicy.LISTENING], choices[ChosenPolicy.TABLE])
    if sensitive:
        _print_sensitivity(sensitivity(scenarios, pair, span), as_json)
        return
    outcomes = compare(scenarios, list(choices.values()), span)
    _print_comparison(summaries(outcomes), duels(outcomes, pair[0].name, pair[1].name), as_json)


def _plans(names: Sequence[str], table: str | None) -> list[RampPlan]:
    own = [read_table("own table", table)] if table else []
    return [PRESETS[name] for name in _known("plan", names, list(PRESETS))] + own


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise InputSyntaxError(f"no {what} '{name}'", source=name, next_step=f"Choose from {', '.join(known)}.")
    return list(dict.fromkeys(names))


def _tempers(names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _known("temper", names, [*TEMPERS, *_GROUPS]):
        found |= _GROUPS.get(name) or {name: TEMPERS[name]}
    return found


def _choices(ramp: RampPlan, volume: int) -> dict[ChosenPolicy, PolicyChoice]:
    # Tables are by provider, so the whole volume is an upper end for each.
    doubled = doubling(max(100, volume))
    return {
        ChosenPolicy.TABLE: by_calendar("table", ramp),
        ChosenPolicy.DOUBLING: by_calendar("doubling", doubled),
        ChosenPolicy.LISTENING: listening("listening", ramp),
        ChosenPolicy.LISTENING_DOUBLING: listening("listening-doubling", doubled),
    }


class _Output:
    """Where one run goes to."""

    def __init__(self, chart: Path, theme: Theme, as_json: bool) -> None:
        self.chart = chart
        self.theme = theme
        self.as_json = as_json


def _one_run(outcome: Outcome, scenario: Scenario, provider: str | None, output: _Output) -> None:
    if provider is not None:
        _known("provider", [provider], list(scenario.mix))
    totals, decisions = by_day(outcome, provider), turns(outcome, provider)
    who = provider or "all providers"
    title = f"Warm-up by '{outcome.policy}': {outcome.sender.replace('_', ' ')} list, {outcome.temper} providers"
    note = f"Simulated, {who}, seed {outcome.seed}. Put off: the provider asked for less; refused: it blocked."
    look = ChartLook(title, "virtual time, UTC", output.theme, note)
    # Over all providers the decisions of four ramps would cover one another: only falls and pauses are marked.
    marked = decisions if provider else [one for one in decisions if one.action.value in ("step_back", "pause")]
    _write_chart(output.chart, warm_up_chart([_chart_day(one) for one in totals], marked, look))
    if output.as_json:
        for one in totals:
            print_json({"kind": "day", **asdict(one)})
        for decision in decisions:
            print_json({"kind": "decision", **decision_document(decision)})
        return
    for decision in decisions:
        console.print(decision.sentence(), markup=False, soft_wrap=True)
    full = f"day {outcome.days_to_full}" if outcome.days_to_full else "never"
    console.print(
        f"Delivered {_percent(outcome.delivered_share)} of what was wanted, full volume: {full}, {outcome.block_days}"
        f" days in blocks. Chart: {output.chart}",
        markup=False,
        soft_wrap=True,
    )


def _chart_day(total: DayTotal) -> ChartDay:
    return ChartDay(total.day, total.planned, total.allowed, total.sent, total.deferred, total.blocked)


def _write_chart(path: Path | None, spec: ChartSpec) -> None:
    if path is None:
        return
    form = path.suffix.lower().removeprefix(".")
    if form == "svg":
        path.write_bytes(draw(spec, "svg"))
    elif form == "png":
        path.write_bytes(draw(spec, "png"))
    else:
        raise typer.BadParameter("--chart names an .svg or .png file.")


def _print_comparison(rows: Sequence[Summary], fights: Sequence[Duel], as_json: bool) -> None:
    if as_json:
        for row in rows:
            print_json({"kind": "summary", **asdict(row)})
        for fight in fights:
            print_json({"kind": "duel", **asdict(fight), "winner": fight.winner})
        return
    heads = ("providers", "list", "policy", "delivered", "inbox", "refused", "full on day", "never", "block days")
    _print_table(heads, [_summary_row(one) for one in rows])
    for fight in fights:
        verdict = f"{fight.winner} delivers more" if fight.winner else "no difference beyond doubt"
        console.print(
            f"{fight.temper}, {fight.sender}: {verdict} ({fight.first} less {fight.second}:"
            f" {_signed(fight.difference)}, 95 % {_signed(fight.low)} to {_signed(fight.high)}; {fight.runs} seeds).",
            markup=False,
            soft_wrap=True,
        )


def _summary_row(one: Summary) -> tuple[object, ...]:
    shares = (_percent(one.delivered_share), _percent(one.inbox_share), _percent(one.refused_share))
    full = "-" if one.days_to_full is None else f"{one.days_to_full:.0f}"
    return one.temper, one.sender, one.policy, *shares, full, f"{one.never} of {one.runs}", f"{one.block_days:.1f}"


def _print_sensitivity(rows: Sequence[SensitivityRow], as_json: bool) -> None:
    if as_json:
        for row in rows:
            print_json({"kind": "sensitivity", **asdict(row)})
        return
    heads = ("parameter", "times", "listening ahead", "level", "table ahead", "delivered", "block days")
    counted = [
        (
            row.parameter,
            f"{row.factor:g}",
            row.ahead,
            row.level,
            row.behind,
            _signed(row.difference),
            f"{row.block_days:+.1f}",
        )
        for row in rows
    ]
    _print_table(heads, counted)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    # That of postwright.cli.session brings the whole application along; these commands need nothing of it.
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", justify="left" if rows and isinstance(rows[0][0], str) else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def _days_to(plan: RampPlan, volume: int | None) -> int | None:
    if volume is None:
        return None
    return next((day for day, cap in enumerate(plan.daily_caps, start=1) if cap >= volume), len(plan.daily_caps) + 1)


def _cap(cap: int | None) -> str:
    return "no limit" if cap is None else f"{cap:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} points"
