"""Hygiene: plans to prune, shown before they are applied and undone if wanted; settings; how lists do."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from hygiene.bounce_policy import SOFT_BOUNCE_PRESETS
from hygiene.dormancy import PRESETS, QUIET_FOR_A_YEAR, Rhythm
from hygiene.pruning import ListNumbers
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    LIST,
    Answer,
    Kind,
    Moment,
    Page,
    PageWanted,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.services.hygiene_plans import PlanSummary
from postwright.services.hygiene_terms import HygieneSettings, PlanTerms
from postwright.services.list_health import ListVerdict
from postwright.store.hygiene import Plan, Step

PLAN = Kind("hyg", "hygiene plan")
_AT_ONCE = 20  # chunks of 2,000 contacts that a request waits for; the scheduler makes the rest
_PRESET = Field(QUIET_FOR_A_YEAR.name, max_length=60, description=f"Who is dormant: {', '.join(PRESETS)}.")
_SOFT = f"When soft bounces suppress: {', '.join(SOFT_BOUNCE_PRESETS)}."
_TREE = Field(None, description="A segment's tree instead of the preset: who is in it is dormant.")


class PlanWanted(Wanted):
    """Whom a plan is about, and what it does with those who are dormant."""

    preset: str = _PRESET
    tree: dict[str, Any] | None = _TREE
    rhythm: Literal["auto", "daily", "mid", "weekly", "monthly"] | None = Field(
        None, description="Fits the preset to how often the list is written to; auto looks at the last 90 days."
    )
    removal: Literal["archive", "suppress"] = "archive"
    ask_first: bool = Field(True, description="Two or three mails before anybody is removed; false: at once.")
    mails: Literal[2, 3] = 3
    apart_days: int = Field(7, ge=1, le=365)
    patience_days: int = Field(14, ge=1, le=365)
    protect_tags: list[Text] = Field([], max_length=50, description="Who carries one of these is left alone.")
    list: str | None = Field(None, description="The list; without it all contacts.")


class NumbersShown(Answer):
    """Contacts who get ordinary mail, and what became of their mails of the last 90 days."""

    contacts: int
    sent: int
    bounced: int
    opened: int = Field(description="by people")
    open_rate: float | None
    bounce_rate: float | None


class PlanShown(Answer):
    """A plan. It is made, applied and undone in the background; ask again for how far it is."""

    id: str
    sentence: str
    state: str = Field(description="making, ready, applying, applied, undoing or undone")
    list: str | None
    win_back_list: str | None = Field(description="The list that the mails for winning contacts back go to.")
    terms: dict[str, Any]
    before: NumbersShown
    after: NumbersShown = Field(description="As if those concerned had never been written to.")
    dormant: int
    unknown: int = Field(description="How many contacts cannot be judged, since tracking is off for them.")
    doubt: str = Field(description="Why the plan should not be believed without a look; mostly empty.")
    moves: dict[str, int] = Field(description="reengage, win_back, archive, suppress: how many contacts")
    steps: dict[str, int] = Field(description="planned, done, skipped, undone, kept: how many of them")
    made_at: Moment
    applied_at: Moment | None
    undone_at: Moment | None


class StepShown(Answer):
    """What a plan does with one contact, and why."""

    address: str = Field(description="Empty where the contact is gone.")
    move: str
    why: str
    state: str


class StepsWanted(PageWanted):
    """Which steps."""

    move: Literal["reengage", "win_back", "archive", "suppress"] | None = None


class SettingsShown(Answer):
    """How a workspace keeps its lists clean."""

    soft_bounces: str
    sets_tags: bool
    is_scheduled: bool
    applies_plans: bool
    look_every: int
    prune_every: int
    time_zone: str
    plan: dict[str, Any]
    next_chore: str | None = Field(description="look or prune; null where nothing happens by itself")
    next_at: Moment | None


class SettingsWanted(Wanted):
    """What to change; what is left out stays."""

    soft_bounces: str | None = Field(None, max_length=60, description=_SOFT)
    sets_tags: bool | None = Field(None, description="Keep up the tags low_engagement and opened_last_three.")
    is_scheduled: bool | None = Field(None, description="Make plans over all contacts by itself.")
    applies_plans: bool | None = Field(None, description="And apply those for pruning without a person.")
    look_every: int | None = Field(None, ge=1, le=24, description="Months between looks.")
    prune_every: int | None = Field(None, ge=1, le=24, description="Months between prunings.")
    time_zone: str | None = Field(None, max_length=60)
    plan: PlanWanted | None = Field(None, description="What the plans are made by; without a list.")


class RateShown(Answer):
    """One rate, how sure it is, and what follows from it."""

    count: int
    of: int
    low: float = Field(description="The true share is at least that, at 95 %.")
    high: float
    health: str
    review_from: float
    pause_from: float
    cause: str


class HealthShown(Answer):
    """How a list does, by its mails of the last 30 days."""

    list: str
    name: str
    contacts: int
    health: str = Field(description="healthy, unknown, review or pause")
    cause: str
    sent: int
    bounces: RateShown
    complaints: RateShown


async def create_hygiene_plan(wanted: PlanWanted, caller: Sender, response: Response) -> PlanShown:
    """Make a plan; nothing is changed by it. A plan for the same contacts that was not applied is discarded."""
    name = await _list_name(caller, wanted.list)
    terms = await _terms(caller, wanted, name)
    plans = caller.services.hygiene_plans
    plan_id = await plans.make(caller.workspace_id, terms, name, by=caller.client.name)
    await plans.finish(caller.workspace_id, plan_id, chunks=_AT_ONCE)
    shown = await _shown(caller, plan_id)
    response.headers["Location"] = f"/v1/hygiene/plans/{shown.id}"
    return shown


async def list_hygiene_plans(caller: Reader, query: PageQuery) -> Page[PlanShown]:
    """Plans in the order in which they were made."""
    (after,) = read_cursor("hygiene_plans", query.cursor)
    plans = caller.services.hygiene_plans
    rows = await plans.page(caller.workspace_id, after=after, limit=query.limit + 1)
    found = [await plans.summary(caller.workspace_id, one.id) for one in rows]
    lists = await _lists(caller, [one.plan for one in found])
    return make_page(
        "hygiene_plans",
        found,
        query.limit,
        lambda item: _plan_shown(item, lists),
        lambda item: (item.plan.id,),
        query.cursor,
    )


async def get_hygiene_plan(plan_id: str, caller: Reader) -> PlanShown:
    """A plan, and how far it is."""
    return await _shown(caller, inward(PLAN, plan_id))


async def list_hygiene_steps(plan_id: str, caller: Reader, query: Annotated[StepsWanted, Query()]) -> Page[StepShown]:
    """Who, what, why, and what came of it."""
    (after,) = read_cursor("hygiene_steps", query.cursor)
    plans = caller.services.hygiene_plans
    rows = await plans.steps(
        caller.workspace_id, inward(PLAN, plan_id), move=query.move, after=after, limit=query.limit + 1
    )
    return make_page("hygiene_steps", rows, query.limit, _step, lambda item: (item.contact_id,), query.cursor)


async def apply_hygiene_plan(plan_id: str, caller: Sender) -> PlanShown:
    """Apply a plan. Contacts who changed or came to life since it was made are skipped; again is no harm."""
    plans, row_id = caller.services.hygiene_plans, inward(PLAN, plan_id)
    await plans.apply(caller.workspace_id, row_id, by=caller.client.name)
    await plans.finish(caller.workspace_id, row_id, chunks=_AT_ONCE)
    return await _shown(caller, row_id)


async def undo_hygiene_plan(plan_id: str, caller: Sender) -> PlanShown:
    """Bring back exactly what was before an applied plan; who was changed since then stays so."""
    plans, row_id = caller.services.hygiene_plans, inward(PLAN, plan_id)
    await plans.undo(caller.workspace_id, row_id, by=caller.client.name)
    await plans.finish(caller.workspace_id, row_id, chunks=_AT_ONCE)
    return await _shown(caller, row_id)


async def discard_hygiene_plan(plan_id: str, caller: Sender) -> Response:
    """Throw a plan away that was not applied, or that was undone."""
    await caller.services.hygiene_plans.discard(caller.workspace_id, inward(PLAN, plan_id))
    return Response(status_code=204)


async def get_hygiene_settings(caller: Reader) -> SettingsShown:
    """How this workspace keeps its lists clean."""
    return await _settings_shown(caller)


async def change_hygiene_settings(wanted: SettingsWanted, caller: Sender) -> SettingsShown:
    """Change it; what is left out stays."""
    schedule = caller.services.hygiene_schedule
    before = await schedule.settings(caller.workspace_id)
    given = wanted.model_dump(exclude_unset=True, exclude={"plan"})
    document = json.loads(before.written()) | {name: value for name, value in given.items() if value is not None}
    if wanted.plan is not None:
        document["plan"] = json.loads((await _terms(caller, wanted.plan, None)).written())
    await schedule.change(caller.workspace_id, HygieneSettings.read(json.dumps(document)))
    return await _settings_shown(caller)


async def get_list_health(list_id: str, caller: Reader) -> HealthShown:
    """Bounces and complaints of a list in the last 30 days, and what they prove."""
    found = await caller.services.lists_health.one(caller.workspace_id, inward(LIST, list_id))
    return _health(found)


def add_hygiene_routes(router: APIRouter) -> None:
    """The routes of hygiene."""
    router.add_api_route("/hygiene/plans", create_hygiene_plan, methods=["POST"], status_code=201)
    router.add_api_route("/hygiene/plans", list_hygiene_plans, methods=["GET"])
    router.add_api_route("/hygiene/plans/{plan_id}", get_hygiene_plan, methods=["GET"])
    router.add_api_route("/hygiene/plans/{plan_id}", discard_hygiene_plan, methods=["DELETE"], status_code=204)
    router.add_api_route("/hygiene/plans/{plan_id}/steps", list_hygiene_steps, methods=["GET"])
    router.add_api_route("/hygiene/plans/{plan_id}/apply", apply_hygiene_plan, methods=["POST"], status_code=202)
    router.add_api_route("/hygiene/plans/{plan_id}/undo", undo_hygiene_plan, methods=["POST"], status_code=202)
    router.add_api_route("/hygiene/settings", get_hygiene_settings, methods=["GET"])
    router.add_api_route("/hygiene/settings", change_hygiene_settings, methods=["PATCH"])
    router.add_api_route("/lists/{list_id}/health", get_list_health, methods=["GET"])


async def _list_name(caller: Caller, list_id: str | None) -> str | None:
    if list_id is None:
        return None
    row_id = inward_field(LIST, list_id, "list")
    found, _ = await caller.services.references.list_with_count(caller.workspace_id, row_id)
    return found.name


async def _terms(caller: Caller, wanted: PlanWanted, list_name: str | None) -> PlanTerms:
    document = wanted.model_dump(exclude={"list"})
    if wanted.rhythm == "auto":
        plans = caller.services.hygiene_plans
        known = list_name is not None
        document["rhythm"] = (
            await plans.rhythm_of_list(caller.workspace_id, str(list_name)) if known else Rhythm.MONTHLY
        )
    return PlanTerms.read(document)


async def _shown(caller: Caller, row_id: int) -> PlanShown:
    summary = await caller.services.hygiene_plans.summary(caller.workspace_id, row_id)
    return _plan_shown(summary, await _lists(caller, [summary.plan]))


async def _lists(caller: Caller, plans: list[Plan]) -> dict[int, str]:
    ids = {one for plan in plans for one in (plan.list_id, plan.win_back_list_id) if one is not None}
    return dict(await caller.services.references.list_ids(caller.workspace_id, ids))


def _plan_shown(summary: PlanSummary, lists: dict[int, str]) -> PlanShown:
    plan = summary.plan
    return PlanShown(
        id=outward(PLAN, plan.made_at, plan.id),
        sentence=plan.sentence,
        state=plan.state,
        list=lists.get(plan.list_id or 0),
        win_back_list=lists.get(plan.win_back_list_id or 0),
        terms=json.loads(plan.terms),
        before=_numbers(summary.before),
        after=_numbers(summary.after),
        dormant=plan.dormant,
        unknown=plan.unknown,
        doubt=plan.doubt,
        moves=dict(summary.moves),
        steps=dict(summary.states),
        made_at=moment(plan.made_at),
        applied_at=optional_moment(plan.applied_at),
        undone_at=optional_moment(plan.undone_at),
    )


def _numbers(numbers: ListNumbers) -> NumbersShown:
    return NumbersShown(
        contacts=numbers.contacts,
        sent=numbers.sent,
        bounced=numbers.bounced,
        opened=numbers.opened,
        open_rate=numbers.open_rate,
        bounce_rate=numbers.bounce_rate,
    )


def _step(item: Step) -> StepShown:
    return StepShown(address=item.address, move=item.move, why=item.why, state=item.state)


async def _settings_shown(caller: Caller) -> SettingsShown:
    schedule = caller.services.hygiene_schedule
    settings = await schedule.settings(caller.workspace_id)
    due = await schedule.next_due(caller.workspace_id)
    return SettingsShown(
        **json.loads(settings.written()),
        next_chore=None if due is None else str(due.chore),
        next_at=None if due is None else moment(due.at),
    )


def _health(found: ListVerdict) -> HealthShown:
    bounces, complaints = (
        RateShown(
            count=one.rate.count,
            of=one.rate.of,
            low=one.rate.low,
            high=one.rate.high,
            health=str(one.health),
            review_from=one.threshold.review,
            pause_from=one.threshold.pause,
            cause=one.cause,
        )
        for one in found.verdict.evidence
    )
    return HealthShown(
        list=outward(LIST, found.contact_list.created_at, found.contact_list.id),
        name=found.contact_list.name,
        contacts=found.contacts,
        health=str(found.verdict.health),
        cause=found.verdict.cause,
        sent=found.counts.sent,
        bounces=bounces,
        complaints=complaints,
    )
