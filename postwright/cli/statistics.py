"""``postwright statistics``."""

import sys

import typer

from postwright.cli.campaign_history import print_hours
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.errors import NotFoundError
from postwright.services.sending_hours import HourMetric, HoursWanted, SendingHours
from postwright.services.statistic_terms import DEFINITIONS, Range
from postwright.services.statistics import By, StatisticRow, Statistics, StatisticTable, flat, statistics_csv
from postwright.store.campaigns import find_campaign
from postwright.store.contacts import find_list
from postwright.store.public_ids import PublicIdSyntaxError, read_public_id
from postwright.store.statistics import RunFilter
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(
    help="Statistics: counts and rates, with their definitions.", no_args_is_help=True, add_completion=False
)
_CAMPAIGN = typer.Option(None, "--campaign", help="Only runs of the campaign of this name.")
_LIST = typer.Option(None, "--list", help="Only runs to the list of this name.")
_RUN = typer.Option(None, "--run", help="Only this run (run_...).")
_BY = typer.Option(By.TOTAL, "--by", help="What the rows are.")
_SHOWN = ("delivered", "bounced", "complained", "unsubscribed")


@app.command("show")
def show(
    campaign: str | None = _CAMPAIGN,
    list_name: str | None = _LIST,
    run_id: str | None = _RUN,
    by: By = _BY,
    segment: str | None = typer.Option(None, help="With --by segment: only this one."),
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with every count and rate."),
    as_json: bool = JsonOption,
) -> None:
    """Counts and rates of some runs, or of all."""

    async def look(application: Application, workspace: Workspace) -> StatisticTable:
        wanted = await _filter(application, workspace, (campaign, list_name, run_id))
        chosen = None if segment is None else await application.segments.find(workspace.id, segment)
        service = Statistics(application.database, application.clock)
        return await service.table(workspace.id, wanted, by, None if chosen is None else chosen.id)

    found = run(look)
    if as_csv:
        sys.stdout.write(statistics_csv(found.rows))
        return
    if as_json:
        for row in found.rows:
            print_json(flat(row))
        return
    columns = (str(by), *_SHOWN, "delivery", "bounce", "open", "click", "click-to-open")
    print_table(columns, [_line(row) for row in found.rows], empty="Nothing was sent yet.")


@app.command("hours")
def hours(
    zone: str = typer.Option("UTC", help="Whose clock, as Asia/Jerusalem."),
    metric: HourMetric = typer.Option(HourMetric.CLICK, help="What hours are judged by."),
    list_name: str | None = _LIST,
    as_json: bool = JsonOption,
) -> None:
    """Which hours of sending went best in the campaigns of the last year, as far as they can tell."""

    async def look(application: Application, workspace: Workspace) -> SendingHours:
        wanted = await _filter(application, workspace, (None, list_name, None))
        return await application.best_sending_hours.find(workspace.id, HoursWanted(metric, zone, wanted.list_id))

    print_hours(run(look), as_json=as_json)


@app.command("definitions")
def definitions() -> None:
    """What every count and rate means."""
    print_table(("word", "meaning"), list(DEFINITIONS.items()), empty="")


@app.command("clicked")
def clicked(
    run_id: str = typer.Argument(..., help="The run (run_...)."),
    list_name: str = typer.Argument(..., help="The list that they are put on; it is made where there is none."),
    link: int | None = typer.Option(None, min=0, max=65_535, help="Only who clicked the link of that number."),
    with_probable: bool = typer.Option(False, help="Also those of whom nobody can know whether they are people."),
) -> None:
    """Put the contacts who clicked in a run on a list."""

    async def work(application: Application, workspace: Workspace) -> int:
        service = Statistics(application.database, application.clock)
        _, added = await service.list_of_clickers(
            workspace.id, _read(run_id), list_name, link=link, with_probable=with_probable
        )
        return added

    console.print(f"{run(work):,} put on the list {list_name}.", markup=False)


async def _filter(
    application: Application, workspace: Workspace, given: tuple[str | None, str | None, str | None]
) -> RunFilter:
    campaign, list_name, run_id = given
    campaign_id = list_id = None
    if campaign is not None:
        draft = await application.database.read(lambda one: find_campaign(one, workspace.id, campaign))
        if draft is None:
            raise NotFoundError("campaign")
        campaign_id = draft.id
    if list_name is not None:
        target = await application.database.read(lambda one: find_list(one, workspace.id, list_name))
        if target is None:
            raise NotFoundError("list")
        list_id = target.id
    return RunFilter(None if run_id is None else _read(run_id), campaign_id, list_id)


def _read(text: str) -> int:
    try:
        return read_public_id(text, "run")
    except PublicIdSyntaxError as error:
        raise NotFoundError("run") from error


def _line(row: StatisticRow) -> list[str]:
    measures = row.measures
    rates, ranges = measures.rates, measures.ranges
    return [
        row.label,
        *(f"{measures.counts[name]:,}" for name in _SHOWN),
        *(_percent(rates[name]) for name in ("delivery_rate", "bounce_rate")),
        *(_percents(ranges[name]) for name in ("open_rate", "click_rate", "click_to_open_rate")),
    ]


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f} %"


def _percents(found: Range) -> str:
    if found.at_least is None or found.at_most is None:
        return _percent(found.at_least if found.at_most is None else found.at_most)
    return f"{100 * found.at_least:.1f} to {100 * found.at_most:.1f} %"
