"""Hygiene: how lists do, plans with the numbers before and after, applied with progress, undone; and the settings."""

from dataclasses import dataclass, replace

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hygiene.bounce_policy import SOFT_BOUNCE_PRESETS
from hygiene.dormancy import PRESETS
from hygiene.pruning import Move
from hygiene.segments.describe import meaning
from mailtypes.errors import InputSyntaxError
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.hygiene_plans import HygienePlans, PlanSummary
from postwright.services.hygiene_schedule import HygieneSchedule
from postwright.services.hygiene_terms import PlanTerms, told_again
from postwright.services.list_health import ListsHealth
from postwright.web import formats
from postwright.web.audience_words import (
    HYGIENE_MOVES,
    HYGIENE_PRESETS,
    LIST_HEALTH,
    PLAN_STATES,
    SOFT_BOUNCE_POLICIES,
)
from postwright.web.form_numbers import read_number
from postwright.web.language import gettext
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.undo import Offer

_PER_PAGE = 100
_AT_ONCE = 8  # chunks that a request waits for; the scheduler does the rest
_SHOWN_PLANS = 20


@dataclass(frozen=True, slots=True)
class HygieneServices:
    """What these pages stand on."""

    plans: HygienePlans
    schedule: HygieneSchedule
    health: ListsHealth


class HygienePages:
    """Pages of hygiene."""

    def __init__(self, site: Site, services: HygieneServices) -> None:
        self._site = site
        self._plans, self._schedule, self._health = services.plans, services.schedule, services.health

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/hygiene", self.overview, methods=["GET"])
        router.add_api_route("/hygiene/plans", self.make, methods=["POST"])
        router.add_api_route("/hygiene/settings", self.change, methods=["POST"])
        router.add_api_route("/hygiene/{plan_id}", self.show, methods=["GET"])
        router.add_api_route("/hygiene/{plan_id}/progress.json", self.progress, methods=["GET"])
        router.add_api_route("/hygiene/{plan_id}/apply", self.apply, methods=["POST"])
        router.add_api_route("/hygiene/{plan_id}/undo", self.undo, methods=["POST"])
        router.add_api_route("/hygiene/{plan_id}/discard", self.discard, methods=["POST"])

    async def overview(self, request: Request) -> Response:
        """How lists do, the plans, and a form for the next one."""
        return await self._overview(request)

    async def _overview(self, request: Request, problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id = visitor_of(request).workspace_id
        plans = list(reversed(await self._plans.page(workspace_id, limit=1000)))[:_SHOWN_PLANS]
        context = {
            "lists": await self._health.all(workspace_id),
            "plans": plans,
            "sentences": {plan.id: told_again(plan.sentence, plan.terms) for plan in plans},
            "health_words": LIST_HEALTH,
            "states": PLAN_STATES,
            "presets": [HYGIENE_PRESETS[name] for name in PRESETS],
            "policies": [SOFT_BOUNCE_POLICIES[name] for name in SOFT_BOUNCE_PRESETS],
            "settings": await self._schedule.settings(workspace_id),
            "due": await self._schedule.next_due(workspace_id),
            "given": request.state.form if problems else {},
            "problems": problems,
        }
        return self._site.page(request, "hygiene", context, status=409 if problems else 200)

    async def make(self, request: Request) -> Response:
        """Make a plan; nothing is changed by it."""
        form, visitor = request.state.form, visitor_of(request)
        document = {
            "preset": str(form.get("preset", "")),
            "removal": str(form.get("removal", "")),
            "ask_first": "at_once" not in form,
            "protect_tags": [one for part in str(form.get("protect", "")).split(",") if (one := part.strip())],
        }
        list_name = str(form.get("list", "")) or None
        try:
            plan_id = await self._plans.make(
                visitor.workspace_id, PlanTerms.read(document), list_name, by=visitor.signed_in.address
            )
        except InputSyntaxError as error:
            return await self._overview(request, (Problem.of(error, "bad_plan"),))
        except RefusedError as error:
            return await self._overview(request, error.problems)
        await self._plans.finish(visitor.workspace_id, plan_id, chunks=_AT_ONCE)
        return go_to(f"/hygiene/{plan_id}")

    async def change(self, request: Request) -> Response:
        """Change how the workspace keeps its lists clean."""
        form, workspace_id = request.state.form, visitor_of(request).workspace_id
        try:
            settings = replace(
                await self._schedule.settings(workspace_id),
                soft_bounces=str(form.get("soft_bounces", "")),
                is_scheduled="is_scheduled" in form,
                applies_plans="applies_plans" in form,
                sets_tags="sets_tags" in form,
            )
        except RefusedError as error:
            return await self._overview(request, error.problems)
        await self._schedule.change(workspace_id, settings)
        return go_to("/hygiene?done=hygiene_settings")

    async def show(self, request: Request, plan_id: str, after: int = Query(0, ge=0, lt=1 << 62)) -> Response:
        """A plan: who, why, and the numbers before and after."""
        return await self._page(request, _read(plan_id), after=after)

    async def _page(
        self, request: Request, plan_id: int, *, after: int = 0, problems: tuple[Problem, ...] = ()
    ) -> Response:
        workspace_id = visitor_of(request).workspace_id
        summary = await self._plans.summary(workspace_id, plan_id)
        move = request.query_params.get("move", "")
        wanted = move if move in list(Move) else None
        steps = await self._plans.steps(workspace_id, plan_id, move=wanted, after=after, limit=_PER_PAGE + 1)
        context = {
            "summary": summary,
            "plan": summary.plan,
            "sentence": told_again(summary.plan.sentence, summary.plan.terms),
            "why_chosen": "" if summary.terms.tree is None else meaning(summary.terms.tree),
            "href": f"/hygiene/{plan_id}",
            "state": PLAN_STATES[summary.plan.state],
            "moves": [(HYGIENE_MOVES[name], number) for name, number in sorted(summary.moves.items())],
            "move_words": HYGIENE_MOVES,
            "stages": await self._plans.winning_back(workspace_id, plan_id),
            "steps": steps[:_PER_PAGE],
            "next_after": steps[_PER_PAGE - 1].contact_id if len(steps) > _PER_PAGE else None,
            "is_first": not after,
            "done_steps": _settled(summary),
            "all_steps": sum(summary.states.values()),
            "is_active": summary.plan.state in ("making", "applying", "undoing"),
            "problems": problems,
            "offer": _offer(request, summary),
        }
        return self._site.page(request, "hygiene_plan", context, status=409 if problems else 200)

    async def progress(self, request: Request, plan_id: str) -> Response:
        """How far a plan is, for the script of its page."""
        summary = await self._plans.summary(visitor_of(request).workspace_id, _read(plan_id))
        total, settled = sum(summary.states.values()), _settled(summary)
        document = {
            "state": summary.plan.state,
            "active": summary.plan.state in ("making", "applying", "undoing"),
            "total": total,
            "settled": settled,
            "tried": settled,
            "percent": formats.percent(settled, total),
            "rows": {},
        }
        return JSONResponse(document)

    async def apply(self, request: Request, plan_id: str) -> Response:
        """Apply a plan."""
        visitor, row_id = visitor_of(request), _read(plan_id)
        try:
            await self._plans.apply(visitor.workspace_id, row_id, by=visitor.signed_in.address)
        except RefusedError as error:
            return await self._page(request, row_id, problems=error.problems)
        await self._plans.finish(visitor.workspace_id, row_id, chunks=_AT_ONCE)
        return go_to(f"/hygiene/{row_id}?done=hygiene_applied")

    async def undo(self, request: Request, plan_id: str) -> Response:
        """Bring back what was before."""
        visitor, row_id = visitor_of(request), _read(plan_id)
        try:
            await self._plans.undo(visitor.workspace_id, row_id, by=visitor.signed_in.address)
        except RefusedError as error:
            return await self._page(request, row_id, problems=error.problems)
        await self._plans.finish(visitor.workspace_id, row_id, chunks=_AT_ONCE)
        return go_to(f"/hygiene/{row_id}?done=hygiene_undone")

    async def discard(self, request: Request, plan_id: str) -> Response:
        """Throw a plan away."""
        row_id = _read(plan_id)
        try:
            await self._plans.discard(visitor_of(request).workspace_id, row_id)
        except RefusedError as error:
            return await self._page(request, row_id, problems=error.problems)
        return go_to("/hygiene?done=hygiene_discarded")


def _settled(summary: PlanSummary) -> int:
    left = {"applying": "planned", "undoing": "done"}.get(summary.plan.state)
    return sum(summary.states.values()) - (0 if left is None else summary.states.get(left, 0))


def _offer(request: Request, summary: PlanSummary) -> Offer | None:
    if request.query_params.get("done") != "hygiene_applied" or summary.plan.state != "applied":
        return None
    return Offer(f"/hygiene/{summary.plan.id}/undo", gettext("The plan is applied."))


def _read(plan_id: str) -> int:
    found = read_number(plan_id)
    if found is None:
        raise NotFoundError("hygiene plan")
    return found
