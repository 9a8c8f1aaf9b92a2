"""``postwright warmup start|status|pause|resume|level|end``: the warm-ups of this install."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import typer

from postwright.charts import Theme, draw
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.warm_up_charts import history_chart
from postwright.services.warm_up_plans import plan_document
from postwright.services.warm_ups import Order, RampStatus, Start, WarmUpHistory, WarmUpStatus
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application
from warmup.plans import read_table

_BY = "command line"
SubjectArgument = typer.Argument(help="A sender domain, or an address that mail leaves from.", metavar="SUBJECT")
NoteOption = typer.Option(..., "--note", help="Why; it is kept.")
ProviderOption = typer.Option(None, "--provider", help="One provider alone, e.g. google; else all.")


def start(
    subject: str = SubjectArgument,
    plan: str | None = typer.Option(
        None, "--plan", help="sendgrid, billionmail, postmark (if nothing is said) or ipost."
    ),
    table: str | None = typer.Option(None, "--table", help="A table of your own: daily caps, apart by blanks."),
    first: int | None = typer.Option(None, "--first", min=1, help="Where the ramps start, in messages a day."),
    ceiling: int | None = typer.Option(None, "--ceiling", min=1, help="Where they end, in messages a day."),
    provider: list[str] = typer.Option(
        [], "--provider", help="NAME=FIRST or NAME=FIRST:CEILING, messages a day; several times."
    ),
    hourly: str | None = typer.Option(None, "--hourly-share", help="The share of a day's cap for one hour: 1/10."),
    reserve: str | None = typer.Option(None, "--reserve", help="The share that only transactional mail may use: 1/5."),
    zone: str | None = typer.Option(None, "--zone", help="Whose days and hours: Asia/Jerusalem; else UTC."),
    quiet: str | None = typer.Option(None, "--quiet", help="Quiet hours for marketing mail: 22-7."),
    weekend: str | None = typer.Option(None, "--weekend", help="Days of rest: fri,sat; or fri,sat:0.5 for half a cap."),
    overflow: str | None = typer.Option(None, "--overflow", help="Mail beyond the cap: waits, warm_pool or cut."),
    note: str = typer.Option("", "--note", help="Why it may start in spite of what stands in the way; it is kept."),
    as_json: bool = JsonOption,
) -> None:
    """Warm a sender domain or an address up: mail beyond the day's and hour's cap waits."""
    terms: dict[str, Any] = {"first": first, "ceiling": ceiling, "hourly_share": hourly, "reserve": reserve}
    document = {**terms, "zone": zone, "overflow": overflow, **_ramp(plan, table), **_rests(quiet, weekend)}
    document["providers"] = dict(_provider(one) for one in provider)
    wanted = {name: value for name, value in document.items() if value not in (None, {}, [])}

    async def work(application: Application, workspace: Workspace) -> WarmUpStatus:
        return await application.warm_ups.start(workspace.id, Start(subject, wanted, _BY, note))

    _show([run(work)], as_json=as_json)


def status(
    subject: str | None = typer.Argument(None, help="A sender domain or an address; else all.", metavar="[SUBJECT]"),
    provider: str | None = ProviderOption,
    decisions: bool = typer.Option(False, "--decisions", help="With SUBJECT: what was decided, and why."),
    days: int = typer.Option(60, "--days", min=1, max=400, help="How far --decisions and --chart go back."),
    chart: Path | None = typer.Option(None, "--chart", help="Draw to this .svg or .png file.", metavar="FILE"),
    theme: Theme = typer.Option(Theme.LIGHT, "--theme", help="Colours of the chart."),
    as_json: bool = JsonOption,
) -> None:
    """Where the ramps stand: phase, level, today's budget and what is used of it."""
    if subject is None and (decisions or chart is not None):
        raise typer.BadParameter("--decisions and --chart need a SUBJECT.")

    async def work(
        application: Application, workspace: Workspace
    ) -> tuple[Sequence[WarmUpStatus], WarmUpHistory | None, date | None]:
        if subject is None:
            return await application.warm_ups.list(workspace.id), None, None
        found = await application.warm_ups.status(workspace.id, subject)
        history = await application.warm_ups.history(workspace.id, subject, days)
        return [found], history, found.plan.rhythm.day_of(application.clock.now())

    found, history, today = run(work)
    if history is not None and chart is not None:
        assert today is not None
        _draw(chart, found[0], history, (provider, theme, today))
    if history is not None and decisions:
        _show_decisions(history, provider, as_json=as_json)
        return
    _show(found, provider, as_json=as_json)


def pause(
    subject: str = SubjectArgument,
    provider: str | None = ProviderOption,
    note: str = NoteOption,
    as_json: bool = JsonOption,
) -> None:
    """Send nothing more until it is resumed; what is queued waits."""
    _decide(lambda one: one.warm_ups.pause, Order(subject, provider, _BY, note), as_json=as_json)


def resume(
    subject: str = SubjectArgument,
    provider: str | None = ProviderOption,
    note: str = NoteOption,
    as_json: bool = JsonOption,
) -> None:
    """Go on after a pause, at the level to which the pause has lowered it."""
    _decide(lambda one: one.warm_ups.resume, Order(subject, provider, _BY, note), as_json=as_json)


def level(
    subject: str = SubjectArgument,
    number: int = typer.Argument(min=1, help="The level; the one beyond the last is 'warm'.", metavar="LEVEL"),
    provider: str | None = ProviderOption,
    note: str = NoteOption,
    as_json: bool = JsonOption,
) -> None:
    """Go on from a level of the plan."""

    async def work(application: Application, workspace: Workspace) -> WarmUpStatus:
        return await application.warm_ups.set_level(workspace.id, Order(subject, provider, _BY, note), number)

    _show([run(work)], provider, as_json=as_json)


def end(subject: str = SubjectArgument, note: str = NoteOption) -> None:
    """Count no more: what waits for the budget goes out."""
    run(lambda application, workspace: application.warm_ups.end(workspace.id, Order(subject, None, _BY, note)))
    console.print(f"The warm-up of {subject} has ended.", markup=False)


_Decide = Callable[[int, Order], Awaitable[WarmUpStatus]]


def _decide(which: Callable[[Application], _Decide], order: Order, *, as_json: bool) -> None:
    async def work(application: Application, workspace: Workspace) -> WarmUpStatus:
        return await which(application)(workspace.id, order)

    _show([run(work)], order.provider, as_json=as_json)


def _ramp(plan: str | None, table: str | None) -> dict[str, Any]:
    if plan is not None and table is not None:
        raise typer.BadParameter("Give --plan or --table, not both.")
    if table is None:
        return {"preset": plan or "postmark"}
    with explained():
        caps = list(read_table("own table", table).daily_caps)
    return {"table": {"name": "own table", "daily_caps": caps}}


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _rests(quiet: str | None, weekend: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if quiet is not None:
        hours = [part.strip() for part in quiet.split("-")]
        if len(hours) != 2 or not all(part.isascii() and part.isdigit() for part in hours):
            raise typer.BadParameter("--quiet is two full hours, such as 22-7.")
        found["quiet"] = [int(part[:3]) for part in hours]
    if weekend is not None:
        names, _, share = weekend.partition(":")
        days = [name.strip().lower()[:3] for name in names.split(",")]
        if not set(days) <= set(_WEEKDAYS):
            raise typer.BadParameter(f"--weekend names days: {', '.join(_WEEKDAYS)}.")
        found["weekend"] = [_WEEKDAYS.index(name) for name in days]
        found["weekend_share"] = share or "0"
    return found


def _provider(text: str) -> tuple[str, dict[str, int]]:
    name, _, terms = text.partition("=")
    numbers = [part.strip() for part in terms.split(":")] if terms else []
    if not name or len(numbers) > 2 or not all(part.isascii() and part.isdigit() for part in numbers):
        raise typer.BadParameter("--provider is NAME=FIRST or NAME=FIRST:CEILING.")
    return name.strip(), dict(zip(("first", "ceiling"), map(int, numbers), strict=False))


def _show(found: Sequence[WarmUpStatus], provider: str | None = None, *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json(_document(one, provider))
        return
    rows = [
        (one.warm_up.name, *_ramp_row(ramp)) for one in found for ramp in one.ramps if provider in (None, ramp.provider)
    ]
    heads = ("subject", "provider", "phase", "level", "today", "this hour", "note")
    begun = [one.warm_up.name for one in found if not one.ramps]
    if rows or not begun:
        print_table(heads, rows, empty="Nothing is warmed up: postwright warmup start SUBJECT")
    for name in begun:
        console.print(f"{name}: begins with the first mail to each provider.", markup=False)


def _ramp_row(ramp: RampStatus) -> tuple[str, ...]:
    budget, state = ramp.budget, ramp.state
    caps = budget.caps
    used = [_of(budget.day_used.total, caps.day.limit), _of(budget.hour_used.total, caps.hour.limit)]
    return (ramp.provider, state.phase.value, f"{state.level} of {ramp.levels}", *used, state.note[:200])


def _of(used: int, limit: int | None) -> str:
    return "no limit" if limit is None else f"{used:,} of {limit:,}"


def _document(one: WarmUpStatus, provider: str | None) -> dict[str, Any]:
    return {
        "subject": one.warm_up.name,
        "of": "domain" if one.warm_up.is_of_domain else "egress",
        "plan": plan_document(one.plan),
        "ramps": [
            {
                "provider": ramp.provider,
                "phase": ramp.state.phase.value,
                "level": ramp.state.level,
                "levels": ramp.levels,
                "day": {"used": ramp.budget.day_used.total, "limit": ramp.budget.caps.day.limit},
                "hour": {"used": ramp.budget.hour_used.total, "limit": ramp.budget.caps.hour.limit},
                "held_by": sorted(ramp.state.held_by),
                "note": ramp.state.note,
            }
            for ramp in one.ramps
            if provider in (None, ramp.provider)
        ],
    }


def _show_decisions(history: WarmUpHistory, provider: str | None, *, as_json: bool) -> None:
    for one in history.documents(provider):
        if as_json:
            print_json(one)
        else:
            console.print(str(one["sentence"]), markup=False, soft_wrap=True)


def _draw(path: Path, found: WarmUpStatus, history: WarmUpHistory, look: tuple[str | None, Theme, date]) -> None:
    form = path.suffix.lower().removeprefix(".")
    if form not in ("svg", "png"):
        raise typer.BadParameter("--chart names an .svg or .png file.")
    with explained():
        path.write_bytes(draw(history_chart(found, history, *look), "svg" if form == "svg" else "png"))
