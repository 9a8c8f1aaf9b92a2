"""Warm-ups: all of them, and the one of a sender domain with its chart, its decisions and what a person may decide."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.warm_up_charts import DayRow, day_rows, history_chart
from postwright.services.warm_ups import Order, Start, WarmUpHistory, WarmUps, WarmUpStatus
from postwright.store.domains import SenderDomain
from postwright.web.chart_pictures import chart_picture, theme_of
from postwright.web.chart_words import told_chart
from postwright.web.domain_frame import DomainFrame
from postwright.web.gate import ForbiddenError
from postwright.web.hrefs import domain_href
from postwright.web.language import N_
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.words import Tone, Word
from warmup.documents import read_decision
from warmup.plans import PRESETS
from warmup.ramp import Phase

_TAB = "/warm-up"
_DAYS = 60
_LONGEST_NOTE = 1_000


PHASES = {
    word.key: word
    for word in (
        Word(Phase.WAITING, Tone.QUIET, N_("Not begun")),
        Word(Phase.RAMPING, Tone.ACTIVE, N_("Growing"), N_("It rises a level a day while nobody objects.")),
        Word(Phase.HELD, Tone.ATTENTION, N_("Held"), N_("It stays at its level until the objection is gone.")),
        Word(Phase.RECOVERING, Tone.ATTENTION, N_("Recovering"), N_("It stepped back, and waits for clean days.")),
        Word(Phase.PAUSED, Tone.BAD, N_("Paused"), N_("It sends nothing until somebody resumes it.")),
        Word(Phase.WARM, Tone.GOOD, N_("Warm"), N_("It has passed the last level of its plan.")),
    )
}
"""Where a ramp stands, in words."""


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision in words, and who decided where a person did."""

    sentence: str
    by: str
    action: str


class WarmUpPages:
    """The list of warm-ups, and the tab of a sender domain."""

    def __init__(self, site: Site, frame: DomainFrame | None = None) -> None:
        self._site = site
        self._frame = frame or DomainFrame(site)

    @property
    def _warm_ups(self) -> WarmUps:
        found = self._site.services.warm_ups
        if found is None:
            raise NotFoundError("warm-up")
        return found

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(_TAB, self.list, methods=["GET"])
        router.add_api_route(f"/domains/{{name}}{_TAB}", self.show, methods=["GET"])
        router.add_api_route(f"/domains/{{name}}{_TAB}.svg", self.chart, methods=["GET"])
        for action in (self.start, self.pause, self.resume):
            router.add_api_route(f"/domains/{{name}}{_TAB}/{action.__name__}", action, methods=["POST"])

    async def list(self, request: Request) -> Response:
        """All warm-ups that go on, of domains and of addresses."""
        workspace_id = visitor_of(request).workspace_id
        found = await self._warm_ups.list(workspace_id)
        objections: dict[str, str] = {}
        for status in found:
            if any(ramp.state.note for ramp in status.ramps):
                objections |= said_objections(await self._warm_ups.history(workspace_id, status.warm_up.name, _DAYS))
        return self._site.page(request, "warm_ups", {"found": found, "phases": PHASES, "objections": objections})

    async def show(self, request: Request, name: str, provider: str = Query("")) -> Response:
        """Where the ramps of a domain stand, and how they came there."""
        return await self._page(request, await self._frame.domain(request, name), provider[:255])

    async def chart(
        self, request: Request, name: str, provider: str = Query(""), theme: str = Query(""), width: str = Query("")
    ) -> Response:
        """The days as an SVG picture."""
        domain = await self._frame.domain(request, name)
        status, history = await self._look(domain)
        look = (provider[:255] or None, theme_of(theme), self._today(status))
        spec = await run_in_threadpool(lambda: told_chart(history_chart(status, history, *look)))
        return await chart_picture(spec, width)

    async def start(self, request: Request, name: str) -> Response:
        """Start the warm-up of a domain; for admins."""
        domain = await self._frame.domain_for_admin(request, name, say("start a warm-up"))
        form = request.state.form
        plan = {"preset": str(form.get("plan", ""))[:50], "zone": str(form.get("zone", ""))[:64].strip()}
        note = str(form.get("note", ""))[:_LONGEST_NOTE]
        wanted = Start(domain.name, {name: value for name, value in plan.items() if value}, self._by(request), note)
        try:
            await self._warm_ups.start(domain.workspace_id, wanted)
        except RefusedError as error:
            return await self._page(request, domain, problems=error.problems)
        return go_to(f"{domain_href(domain.name)}{_TAB}?done=warm_up_started")

    async def pause(self, request: Request, name: str) -> Response:
        """Pause one provider's ramp, or all; for admins."""
        return await self._decide(request, name, self._warm_ups.pause, "warm_up_paused")

    async def resume(self, request: Request, name: str) -> Response:
        """Go on after a pause; for admins."""
        return await self._decide(request, name, self._warm_ups.resume, "warm_up_resumed")

    async def _decide(
        self, request: Request, name: str, act: Callable[[int, Order], Awaitable[WarmUpStatus]], done: str
    ) -> Response:
        domain = await self._frame.domain_for_admin(request, name, say("decide about a warm-up"))
        provider = str(request.state.form.get("provider", ""))[:255] or None
        note = str(request.state.form.get("note", ""))[:_LONGEST_NOTE]
        try:
            await act(domain.workspace_id, Order(domain.name, provider, self._by(request), note))
        except RefusedError as error:
            return await self._page(request, domain, provider or "", error.problems)
        except InputSyntaxError as error:
            return await self._page(request, domain, provider or "", (Problem.of(error, "warm_up"),))
        return go_to(f"{domain_href(domain.name)}{_TAB}?done={done}")

    def _by(self, request: Request) -> str:
        visitor = visitor_of(request)
        if not visitor.is_admin:
            raise ForbiddenError(say("Only an admin can decide about a warm-up."))
        return visitor.signed_in.address

    async def _look(self, domain: SenderDomain) -> tuple[WarmUpStatus, WarmUpHistory]:
        status = await self._warm_ups.status(domain.workspace_id, domain.name)
        return status, await self._warm_ups.history(domain.workspace_id, domain.name, _DAYS)

    def _today(self, status: WarmUpStatus) -> date:
        return status.plan.rhythm.day_of(self._site.now())

    async def _page(
        self, request: Request, domain: SenderDomain, provider: str = "", problems: tuple[Problem, ...] = ()
    ) -> Response:
        if await self._warm_ups.find(domain.workspace_id, domain.name) is None:
            blocked = await self._warm_ups.obstacles(domain.workspace_id, domain.name)
            context: dict[str, Any] = {"status": None, "blocked": blocked, "plans": list(PRESETS.values())}
            return self._frame.page(request, _TAB, domain, context, problems)
        status, history = await self._look(domain)
        chosen = provider if provider in {one.provider for one in status.ramps} else None
        rows: list[DayRow] = day_rows(history, chosen, self._today(status))
        decided = [one for one in history.decisions if chosen in (None, one.provider)]
        lines = [
            DecisionLine(read_decision(document).sentence(), one.decided_by, one.action)
            for one, document in zip(decided, history.documents(chosen), strict=True)
        ]
        context = {
            "status": status,
            "provider": chosen,
            "rows": rows[::-1],
            "decisions": lines[::-1][:100],
            "objections": said_objections(history),
            "phases": PHASES,
            "blocked": (),
        }
        return self._frame.page(request, _TAB, domain, context, problems)


def said_objections(history: WarmUpHistory) -> dict[str, str]:
    """What was objected, by its text, as it can be said in another language: the note of a pause is only the text."""
    return {
        str(sentence): sentence
        for document in history.documents()
        for sentence in (one.sentence() for one in read_decision(document).evidence)
    }
