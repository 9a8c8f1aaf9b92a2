"""Statistics: counts and rates with their definitions, as JSON or CSV; a list of those who clicked."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from mailtypes.clock import from_datetime
from postwright.api.callers import Reader, Sender
from postwright.api.comparisons import get_best_hours
from postwright.api.contacts import SEGMENT
from postwright.api.representations import CAMPAIGN, LIST, RUN, Answer, Text, Wanted, inward, inward_field, outward
from postwright.services.statistic_terms import DEFINITIONS, Measures
from postwright.services.statistics import By, Statistics, StatisticTable, statistics_csv
from postwright.store.statistics import RunFilter
from tracking.verdicts import VerdictCounts

CSV = "text/csv"


class StatisticsWanted(BaseModel):
    """Which runs, and by what they are told apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    by: By = Field(By.TOTAL, description="What the rows are.")
    campaign: Text | None = Field(None, max_length=60, description="Only runs of this campaign.")
    run: Text | None = Field(None, max_length=60, description="Only this run.")
    list: Text | None = Field(None, max_length=60, description="Only runs to this list.")
    segment: Text | None = Field(None, max_length=60, description="With `by=segment`: only this one.")
    since: AwareDatetime | None = Field(None, description="Only runs that began at or after this moment (RFC 3339).")
    until: AwareDatetime | None = Field(None, description="Only runs that began before this moment (RFC 3339).")


class VerdictsShown(Answer):
    """Counts by verdict: people, those of whom nobody can know, machines."""

    human: int
    probable: int
    machine: int

    @classmethod
    def of(cls, counts: VerdictCounts) -> "VerdictsShown":
        """The counts for the outside."""
        return cls(human=counts.human, probable=counts.probable, machine=counts.machine)


class RangeShown(Answer):
    """A rate that lies somewhere from `at_least` to `at_most`; `null` where there is nothing to divide by."""

    at_least: float | None
    at_most: float | None


class StatisticsRow(Answer):
    """A part with its counts and rates; what each means stands under `definitions`."""

    part: str = Field(description="Its id or name; empty for the whole, and for what is not known.")
    label: str
    counts: dict[str, int]
    reasons: dict[str, int] = Field(description="Recipients who failed, expired or bounced, by the reason.")
    opens: VerdictsShown
    clicks: VerdictsShown
    openers: VerdictsShown
    clickers: VerdictsShown
    rates: dict[str, float | None]
    ranges: dict[str, RangeShown]


class StatisticsShown(Answer):
    """Statistics of some runs. Counted up to a few seconds ago; verdicts on opens and clicks settle in five minutes."""

    by: By
    runs: int = Field(description="How many runs are in it.")
    is_cut: bool = Field(description="There were more runs than are counted at once: the newest are in it.")
    rows: list[StatisticsRow]
    definitions: dict[str, str]


class ClickersWanted(Wanted):
    """Which contacts to put on which list."""

    list: Text = Field(max_length=200, pattern=r"\S", description="Its name; it is made where there is none.")
    link: int | None = Field(None, ge=0, le=65_535, description="Only who clicked the link of that number.")
    with_probable: bool = Field(False, description="Also those of whom nobody can know whether they are people.")


class ClickersListed(Answer):
    """The list, and how many were not on it before."""

    list: str
    name: str
    added: int


async def get_statistics(request: Request, caller: Reader, query: Annotated[StatisticsWanted, Query()]) -> Response:
    """Counts and rates by campaign, list, run, variant, segment, sender, provider, domain, link, day or hour; or CSV.

    Segments have the recipients who are in them now; those of a million recipients are counted at most.
    Days and hours are in UTC, and are those at which the event happened.
    """
    wanted = RunFilter(
        None if query.run is None else inward_field(RUN, query.run, "run"),
        None if query.campaign is None else inward_field(CAMPAIGN, query.campaign, "campaign"),
        None if query.list is None else inward_field(LIST, query.list, "list"),
        None if query.since is None else from_datetime(query.since),
        None if query.until is None else from_datetime(query.until),
    )
    services = caller.services
    segment = None if query.segment is None else inward_field(SEGMENT, query.segment, "segment")
    service = Statistics(services.database, services.clock)
    found = await service.table(caller.workspace_id, wanted, query.by, segment)
    if CSV in request.headers.get("accept", ""):
        return Response(statistics_csv(found.rows), media_type=CSV, headers={"Vary": "Accept"})
    return JSONResponse(jsonable_encoder(_shown(found)), headers={"Vary": "Accept"})


async def list_clickers(run_id: str, wanted: ClickersWanted, caller: Sender) -> ClickersListed:
    """Put the contacts who clicked in a run on a list, to write to them or to make a segment of them."""
    services = caller.services
    target, added = await Statistics(services.database, services.clock).list_of_clickers(
        caller.workspace_id,
        inward(RUN, run_id),
        wanted.list,
        link=wanted.link,
        with_probable=wanted.with_probable,
    )
    return ClickersListed(list=outward(LIST, target.created_at, target.id), name=target.name, added=added)


def add_statistic_routes(router: APIRouter) -> None:
    """The routes of statistics."""
    answers: dict[int | str, dict[str, Any]] = {200: {"model": StatisticsShown, "content": {CSV: {}}}}
    router.add_api_route("/statistics", get_statistics, methods=["GET"], responses=answers)
    router.add_api_route("/statistics/best-hours", get_best_hours, methods=["GET"])
    router.add_api_route("/statistics/runs/{run_id}/clicked", list_clickers, methods=["POST"])


def _shown(found: StatisticTable) -> StatisticsShown:
    return StatisticsShown(
        by=found.by,
        runs=found.runs,
        is_cut=found.is_cut,
        rows=[_row(row.key, row.label, row.measures) for row in found.rows],
        definitions=dict(DEFINITIONS),
    )


def _row(part: str, label: str, measures: Measures) -> StatisticsRow:
    return StatisticsRow(
        part=part,
        label=label,
        counts=dict(measures.counts),
        reasons=dict(measures.reasons),
        opens=VerdictsShown.of(measures.opens),
        clicks=VerdictsShown.of(measures.clicks),
        openers=VerdictsShown.of(measures.openers),
        clickers=VerdictsShown.of(measures.clickers),
        rates=dict(measures.rates),
        ranges={name: RangeShown(at_least=one.at_least, at_most=one.at_most) for name, one in measures.ranges.items()},
    )
