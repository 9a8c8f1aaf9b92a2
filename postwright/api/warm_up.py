"""Warm-ups: started, looked at, paused, resumed, set to a level, fed with a provider's own figures, ended."""

import json
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from mailtypes.clock import Microseconds
from postwright.api.callers import Admin, Caller, Reader
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    Answer,
    Kind,
    Moment,
    Page,
    PageWanted,
    Text,
    Wanted,
    moment,
    outward,
    page_of,
)
from postwright.api.sender_checks import check_warm_up
from postwright.services.warm_up_plans import plan_document
from postwright.services.warm_ups import Order, RampStatus, Start, WarmUpStatus
from postwright.store.provider_days import Figures, StoredDay
from postwright.store.warm_ups import StoredDecision
from warmup.caps import Window

WARM_UP, DECISION = Kind("wup", "warm-up"), Kind("wud", "warm-up decision")
_LONGEST_NOTE = 1_000
_MOST_DAYS = 400


class TermsWanted(Wanted):
    """Where one provider's ramp starts and ends, in messages a day."""

    first: int | None = Field(None, ge=1)
    ceiling: int | None = Field(None, ge=1)


class TableWanted(Wanted):
    """A table of one's own."""

    name: Text = Field("own table", max_length=100)
    daily_caps: list[int] = Field(min_length=1, max_length=1000, description="Messages a day, from the first day on.")


class PlanWanted(Wanted):
    """By which plan; a published schedule or a table of one's own."""

    preset: Text | None = Field(None, max_length=50, description="sendgrid, billionmail, postmark or ipost.")
    table: TableWanted | None = None
    first: int | None = Field(None, ge=1, description="Where the ramps start, in messages a day.")
    ceiling: int | None = Field(None, ge=1, description="Where the ramps end; none: with the plan.")
    providers: dict[str, TermsWanted] = Field(
        default_factory=dict, description="By provider; the ramps of those who are named begin at once."
    )
    hourly_share: Text | None = Field(None, max_length=30, description="The share of a day's cap for one hour: 1/10.")
    reserve: Text | None = Field(
        None, max_length=30, description="The share that only transactional mail may use: 1/5."
    )
    zone: Text | None = Field(None, max_length=64, description="Whose days and hours: an IANA name; else UTC.")
    quiet: list[int] | None = Field(None, min_length=2, max_length=2, description="From and until which full hour.")
    weekend: list[int] = Field(default_factory=list, max_length=7, description="Weekdays, Monday is 0.")
    weekend_share: float | None = Field(
        None, ge=0, le=1, description="The share of the cap that is used on those; else 0."
    )
    overflow: Literal["waits", "warm_pool", "cut"] | None = Field(
        None, description="What becomes of mail beyond the cap; `warm_pool` is for addresses alone."
    )


class StartWanted(Wanted):
    """What is to be warmed up."""

    subject: Text = Field(max_length=300, description="A sender domain, or an address that mail leaves from.")
    plan: PlanWanted
    note: Text = Field(
        "", max_length=_LONGEST_NOTE, description="Why it may start in spite of what stands in the way; it is kept."
    )


class DecisionWanted(Wanted):
    """A decision with its reason, about one provider or about all."""

    provider: Text | None = Field(
        None, max_length=255, description="Left out: every provider that it can be meant for."
    )
    note: Text = Field(min_length=1, max_length=_LONGEST_NOTE, description="Why; it is kept.")


class LevelWanted(Wanted):
    """The level to go on from; the one beyond the last is "warm"."""

    provider: Text = Field(max_length=255)
    level: int = Field(ge=1, le=2_000)
    note: Text = Field(min_length=1, max_length=_LONGEST_NOTE, description="Why; it is kept.")


class EndWanted(Wanted):
    """Why the warm-up ends."""

    note: Text = Field(min_length=1, max_length=_LONGEST_NOTE)


class FiguresWanted(Wanted):
    """What a provider's own pages say of a day."""

    provider: Text = Field(max_length=255)
    day: date = Field(strict=False, description="The day that the figures are about.")
    spam_rate: float | None = Field(None, ge=0, le=1, description="A share of 1: 0.001 is 0.1 %.")
    reputation: Literal["high", "medium", "low", "bad"] | None = None


class DaysWanted(BaseModel):
    """Which days."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    days: int = Field(28, ge=1, le=_MOST_DAYS, description="How many, today included.")


class DecisionsWanted(PageWanted):
    """Which decisions."""

    provider: Text | None = Field(None, max_length=255)


class WindowShown(Answer):
    """What may go within a day or an hour, and what is reserved of it; `null`: no limit."""

    limit: int | None
    marketing_limit: int | None = Field(description="Of it for marketing mail.")
    used: int
    marketing_used: int
    ends_at: Moment


class RampShown(Answer):
    """Where the ramp of one provider stands."""

    provider: str
    phase: str = Field(description="ramping, held, recovering, paused or warm")
    since: date | None
    level: int
    levels: int = Field(description="The last level of the plan; beyond it the sender is warm.")
    day: WindowShown
    hour: WindowShown
    clean_days: int
    needed_days: int = Field(description="Clean days that are asked for before it rises.")
    held_by: list[str] = Field(description="Rules that fired and have not let go.")
    note: str


class WarmUpSummary(Answer):
    """A warm-up."""

    id: str
    subject: str
    of: str = Field(description="domain or egress")
    started_at: Moment
    started_by: str
    plan: dict[str, Any]
    ramps: list[RampShown] = Field(description="By provider; one begins with the first mail to it.")


class DecisionShown(Answer):
    """What was decided about a ramp on a day, and why."""

    id: str
    decided_at: Moment
    decided_by: str = Field(description="Empty where the rules decided.")
    decision: dict[str, Any]


class DayShown(Answer):
    """A day with a provider, in messages, by the day on which it came back; `null`: not known."""

    provider: str
    day: date
    attempts: int
    sent: int
    deferrals: int = Field(description="Answers that put us off for our rate or reputation.")
    blocks: dict[str, int] = Field(description="Refusals that are about the sender, by reason.")
    hard_bounces: int
    complaints: int
    engaged: int | None = Field(description="Opened or clicked by people.")
    reported_spam_rate: float | None
    reputation: str | None


class DayList(Answer):
    """Days by provider, in order."""

    data: list[DayShown]


async def start_warm_up(wanted: StartWanted, caller: Admin, response: Response) -> WarmUpSummary:
    """Start a warm-up. What is queued already is counted, too.

    Before that the audit of the domain has passed, one-click unsubscribe is on, and the lists have been through
    hygiene; what is not known stands in the way, too. A note overrides that, and is kept.
    """
    check_warm_up(caller, wanted.subject)
    plan = {name: value for name, value in wanted.plan.model_dump().items() if value not in (None, [], {})}
    asked = Start(wanted.subject, plan, _by(caller), wanted.note)
    shown = _summary(await caller.services.warm_ups.start(caller.workspace_id, asked))
    response.headers["Location"] = f"/v1/warmup/{shown.subject}"
    return shown


async def list_warm_ups(caller: Reader, query: Annotated[PageWanted, Query()]) -> Page[WarmUpSummary]:
    """The warm-ups that go on, in the order in which they were started."""
    (after,) = read_cursor("warm_ups", query.cursor)
    found = list(await caller.services.warm_ups.list(caller.workspace_id))
    rows = page_of(found, lambda one: one.warm_up.id, after, query.limit)
    return make_page("warm_ups", rows, query.limit, _summary, lambda one: (one.warm_up.id,), query.cursor)


async def get_warm_up(subject: str, caller: Reader) -> WarmUpSummary:
    """Where a warm-up stands, by provider."""
    return _summary(await caller.services.warm_ups.status(caller.workspace_id, subject))


async def list_warm_up_days(subject: str, caller: Reader, query: Annotated[DaysWanted, Query()]) -> DayList:
    """What was sent and what came back, by day and provider."""
    found = await caller.services.warm_ups.history(caller.workspace_id, subject, query.days)
    return DayList(data=[_day(provider, one) for provider, days in found.days.items() for one in days])


async def list_warm_up_decisions(
    subject: str, caller: Reader, query: Annotated[DecisionsWanted, Query()]
) -> Page[DecisionShown]:
    """What was decided, in its order, each with its evidence."""
    (after,) = read_cursor("warm_up_decisions", query.cursor)
    service = caller.services.warm_ups
    rows = await service.decisions(
        caller.workspace_id, subject, provider=query.provider, after=after, limit=query.limit + 1
    )
    return make_page("warm_up_decisions", rows, query.limit, _decision, lambda one: (one.id,), query.cursor)


async def pause_warm_up(subject: str, wanted: DecisionWanted, caller: Admin) -> WarmUpSummary:
    """Send nothing more until it is resumed; what is queued waits."""
    check_warm_up(caller, subject)
    order = Order(subject, wanted.provider, _by(caller), wanted.note)
    return _summary(await caller.services.warm_ups.pause(caller.workspace_id, order))


async def resume_warm_up(subject: str, wanted: DecisionWanted, caller: Admin) -> WarmUpSummary:
    """Go on after a pause."""
    check_warm_up(caller, subject)
    order = Order(subject, wanted.provider, _by(caller), wanted.note)
    return _summary(await caller.services.warm_ups.resume(caller.workspace_id, order))


async def set_warm_up_level(subject: str, wanted: LevelWanted, caller: Admin) -> WarmUpSummary:
    """Go on from a level of the plan."""
    check_warm_up(caller, subject)
    order = Order(subject, wanted.provider, _by(caller), wanted.note)
    return _summary(await caller.services.warm_ups.set_level(caller.workspace_id, order, wanted.level))


async def import_warm_up_figures(subject: str, wanted: FiguresWanted, caller: Admin) -> Response:
    """Keep what a provider's own pages say of a day; they are judged like what came back by mail."""
    check_warm_up(caller, subject)
    told = Figures(wanted.spam_rate, wanted.reputation)
    place = (wanted.provider, wanted.day)
    await caller.services.warm_ups.import_figures(caller.workspace_id, subject, place, told)
    return Response(status_code=204)


async def end_warm_up(subject: str, wanted: EndWanted, caller: Admin) -> Response:
    """Count no more: what waits for the budget goes out."""
    check_warm_up(caller, subject)
    order = Order(subject, None, _by(caller), wanted.note)
    await caller.services.warm_ups.end(caller.workspace_id, order)
    return Response(status_code=204)


def add_warm_up_routes(router: APIRouter) -> None:
    """The routes of warm-ups."""
    router.add_api_route("/warmup", start_warm_up, methods=["POST"], status_code=201)
    router.add_api_route("/warmup", list_warm_ups, methods=["GET"])
    router.add_api_route("/warmup/{subject}", get_warm_up, methods=["GET"])
    router.add_api_route("/warmup/{subject}/days", list_warm_up_days, methods=["GET"])
    router.add_api_route("/warmup/{subject}/decisions", list_warm_up_decisions, methods=["GET"])
    router.add_api_route("/warmup/{subject}/pause", pause_warm_up, methods=["POST"])
    router.add_api_route("/warmup/{subject}/resume", resume_warm_up, methods=["POST"])
    router.add_api_route("/warmup/{subject}/level", set_warm_up_level, methods=["POST"])
    router.add_api_route("/warmup/{subject}/figures", import_warm_up_figures, methods=["POST"], status_code=204)
    router.add_api_route("/warmup/{subject}/end", end_warm_up, methods=["POST"], status_code=204)


def _by(caller: Caller) -> str:
    return f"API key {caller.client.key_id}"


def _summary(status: WarmUpStatus) -> WarmUpSummary:
    one = status.warm_up
    return WarmUpSummary(
        id=outward(WARM_UP, one.started_at, one.id),
        subject=one.name,
        of="domain" if one.is_of_domain else "egress",
        started_at=moment(one.started_at),
        started_by=one.started_by,
        plan=plan_document(status.plan),
        ramps=[_ramp(ramp) for ramp in status.ramps],
    )


def _ramp(ramp: RampStatus) -> RampShown:
    state, budget = ramp.state, ramp.budget
    return RampShown(
        provider=ramp.provider,
        phase=state.phase.value,
        since=state.since,
        level=state.level,
        levels=ramp.levels,
        day=_window(budget.caps.day, (budget.day_used.total, budget.day_used.marketing)),
        hour=_window(budget.caps.hour, (budget.hour_used.total, budget.hour_used.marketing)),
        clean_days=state.clean_days,
        needed_days=state.needed_days,
        held_by=sorted(state.held_by),
        note=state.note,
    )


def _window(window: Window, used: tuple[int, int]) -> WindowShown:
    return WindowShown(
        limit=window.limit,
        marketing_limit=window.marketing_limit,
        used=used[0],
        marketing_used=used[1],
        ends_at=moment(Microseconds(window.ends)),
    )


def _day(provider: str, one: StoredDay) -> DayShown:
    return DayShown(
        provider=provider,
        day=one.day,
        attempts=one.attempts,
        sent=one.sent,
        deferrals=one.deferrals,
        blocks=dict(one.blocks),
        hard_bounces=one.hard_bounces,
        complaints=one.complaints,
        engaged=None if one.untracked else one.engaged,
        reported_spam_rate=one.reported_spam_rate,
        reputation=one.reputation,
    )


def _decision(one: StoredDecision) -> DecisionShown:
    return DecisionShown(
        id=outward(DECISION, one.decided_at, one.id),
        decided_at=moment(one.decided_at),
        decided_by=one.decided_by,
        decision=json.loads(one.document),
    )
