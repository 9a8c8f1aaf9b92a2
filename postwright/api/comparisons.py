"""A campaign against one's own last ones; best hours from one's own data; the forecast of a campaign's end."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from experiments.comparison import Comparison
from postwright.api.callers import Reader
from postwright.api.contacts import SEGMENT
from postwright.api.representations import (
    CAMPAIGN,
    LIST,
    RUN,
    Answer,
    Moment,
    Reference,
    Text,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.services.campaign_end import ExpectedEnd, HangsOn
from postwright.services.comparison import Compared, Measure
from postwright.services.sending_hours import HourMetric, HoursWanted, HourVerdict

Place = Literal["below", "within", "above", "unknown"]


class ExpectedEndShown(Answer):
    """When the last waiting recipient is tried, as far as can be foreseen, and what that hangs on."""

    at: Moment | None = Field(description="None where no end is in sight, or nobody can say yet.")
    hangs_on: HangsOn
    sentence: str
    waiting: int
    is_too_late: bool = Field(description="It lies behind the run's expiry: some will expire.")

    @classmethod
    def of(cls, found: ExpectedEnd) -> "ExpectedEndShown":
        """The forecast for the outside."""
        return cls(
            at=optional_moment(found.at),
            hangs_on=found.hangs_on,
            sentence=found.sentence,
            waiting=found.waiting,
            is_too_late=found.is_too_late,
        )


class UsualShown(Answer):
    """A rate among the earlier ones. `low` to `high` is usual for a campaign of this size (95 in 100 lie within)."""

    place: Place
    rate: float
    usual: float | None
    low: float | None
    high: float | None
    higher_than: int = Field(description="Of how many earlier campaigns it is above.")
    among: int
    cause: str

    @classmethod
    def of(cls, found: Comparison) -> "UsualShown":
        """The comparison for the outside."""
        return cls(
            place=found.place.value,
            rate=found.rate,
            usual=found.usual,
            low=found.low,
            high=found.high,
            higher_than=found.higher_than,
            among=found.among,
            cause=found.cause,
        )


class MeasureShown(Answer):
    """One measure. Opens have two ends: `found` has those who surely are people, `at_most` all who may be."""

    measure: Measure
    place: Place = Field(description="Of both ends; unknown where they differ, or too little is known.")
    cause: str
    found: UsualShown
    at_most: UsualShown | None
    earlier: list[float] = Field(description="The rates of the earlier campaigns, in time.")

    @classmethod
    def of(cls, one: Compared) -> "MeasureShown":
        """The measure for the outside."""
        return cls(
            measure=one.measure,
            place=one.place.value,
            cause=one.cause,
            found=UsualShown.of(one.found),
            at_most=None if one.at_most is None else UsualShown.of(one.at_most),
            earlier=list(one.earlier),
        )


class EarlierCampaign(Answer):
    """A campaign that is compared with."""

    campaign: Reference
    run: str
    created_at: Moment


class ProviderCompared(Answer):
    """The measures at one provider; empty where it is not known."""

    provider: str
    measures: list[MeasureShown]


class ComparisonShown(Answer):
    """This campaign against the last ten of its stream that were finished and had 50 recipients or more."""

    run: str
    age_hours: int | None = Field(description="All are counted as they stood at this age; none: as they stand now.")
    segment: Reference | None
    earlier: list[EarlierCampaign]
    measures: list[MeasureShown]
    by_provider: list[ProviderCompared]


class ComparisonWanted(BaseModel):
    """Whom it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    segment: Text | None = Field(None, max_length=60, description="Only recipients who are in this segment now.")


class HoursQuery(BaseModel):
    """What hours are judged by."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    metric: HourMetric = Field(HourMetric.CLICK, description="People who clicked, or who opened, as far as known.")
    zone: Text = Field("UTC", max_length=60, description="Whose clock, as Asia/Jerusalem.")
    list: Text | None = Field(None, max_length=60, description="Only campaigns to this list.")


class HourShown(Answer):
    """An hour of the day. `rate` is drawn towards the overall one; it lies from `low` to `high` (95 in 100)."""

    hour: int
    campaigns: int
    observed: float
    rate: float
    low: float
    high: float


class BestHoursShown(Answer):
    """Hours of sending compared. `best`: those that cannot be told from the highest; empty where nothing is known."""

    verdict: HourVerdict
    sentence: str
    cause: str
    metric: HourMetric
    zone: str
    best: list[int]
    hours: list[HourShown]
    p_value: float | None = Field(description="How often hours that make no difference look as different as these.")
    campaigns: int
    spread: int = Field(description="Campaigns that were left out: no hour had half of their mail.")


async def compare_campaign(
    campaign_id: str, caller: Reader, query: Annotated[ComparisonWanted, Query()]
) -> ComparisonShown:
    """Where the campaign lies among one's own last ten: delivery, bounces, complaints, unsubscribes, opens, clicks.

    In all, and by provider; or of the recipients who are in a segment now. Too few earlier campaigns say so.
    """
    segment = None if query.segment is None else inward_field(SEGMENT, query.segment, "segment")
    found = await caller.services.campaign_comparisons.compare(
        caller.workspace_id, inward(CAMPAIGN, campaign_id), segment
    )
    return ComparisonShown(
        run=outward(RUN, found.run.created_at, found.run.id),
        age_hours=found.hours,
        segment=None
        if found.segment is None
        else Reference(id=outward(SEGMENT, found.segment.created_at, found.segment.id), name=found.segment.name),
        earlier=[
            EarlierCampaign(
                campaign=Reference(id=outward(CAMPAIGN, one.campaign_created_at, one.campaign_id), name=one.campaign),
                run=outward(RUN, one.created_at, one.id),
                created_at=moment(one.created_at),
            )
            for one in found.earlier
        ],
        measures=[MeasureShown.of(one) for one in found.measures],
        by_provider=[
            ProviderCompared(provider=name, measures=[MeasureShown.of(one) for one in several])
            for name, several in found.by_provider.items()
        ],
    )


async def get_best_hours(caller: Reader, query: Annotated[HoursQuery, Query()]) -> BestHoursShown:
    """Which hours of sending went best in the campaigns of the last year, with intervals, or that nobody can say."""
    list_id = None if query.list is None else inward_field(LIST, query.list, "list")
    wanted = HoursWanted(query.metric, query.zone, list_id)
    told = await caller.services.best_sending_hours.find(caller.workspace_id, wanted)
    return BestHoursShown(
        verdict=told.verdict,
        sentence=told.sentence,
        cause=told.found.cause,
        metric=query.metric,
        zone=query.zone,
        best=list(told.found.best),
        hours=[
            HourShown(
                hour=one.hour,
                campaigns=one.campaigns,
                observed=one.observed,
                rate=one.rate,
                low=one.low,
                high=one.high,
            )
            for one in told.found.hours
        ],
        p_value=told.found.p_value,
        campaigns=told.campaigns,
        spread=told.spread,
    )


def add_comparison_routes(router: APIRouter) -> None:
    """The route of comparisons; that of best hours stands with the statistics."""
    router.add_api_route("/campaigns/{campaign_id}/comparison", compare_campaign, methods=["GET"])
