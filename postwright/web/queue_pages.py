"""The queue: what waits where, how fast it goes and why, and what people do about it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.clock import MINUTE, Microseconds
from postwright.services.destinations import DestinationStatus, Note, QueueTarget, SlowedPace
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.web.form_numbers import read_number
from postwright.web.formats import number
from postwright.web.gate import ForbiddenError
from postwright.web.happenings import happening_of
from postwright.web.language import N_, gettext, ngettext
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.tables import Choice, Column, Plan, as_csv, sifted
from postwright.web.undo import Offer
from postwright.web.words import DESTINATION

_SPANS = {"": None, "15": 15 * MINUTE, "60": 60 * MINUTE, "240": 240 * MINUTE, "1440": 1440 * MINUTE}
_PLAN: Plan[DestinationStatus] = Plan(
    (
        Column("destination", N_("Destination"), lambda row: row.destination.site, is_found=True),
        Column("state", N_("State"), lambda row: str(row.state)),
        Column("ready", N_("Ready"), lambda row: row.waiting.ready, "count"),
        Column("deferred", N_("Deferred"), lambda row: row.waiting.deferred, "count"),
        Column("under_way", N_("Under way"), lambda row: row.waiting.under_way, "count"),
        Column("oldest", N_("Oldest"), lambda row: row.waiting.oldest_at, "moment"),
        Column("why", N_("Pace and reason"), lambda row: row.reason),
    ),
    order="-ready",
    csv_path="/queue.csv",
    filters=(
        Choice(
            "state",
            N_("State"),
            [(word.key, word.english) for word in DESTINATION.values()],
            lambda row, value: row.state == value,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class PaceLine:
    """What replies have taken off the limits of one destination or provider, in words."""

    pace: SlowedPace
    limits: tuple[str, ...]


class QueuePages:
    """Pages of the queue by destination."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._destinations = site.services.destinations

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/queue", self.list, methods=["GET"])
        router.add_api_route("/queue.csv", self.export, methods=["GET"])
        router.add_api_route("/queue/{destination_id}", self.show, methods=["GET"])
        for name in ("suspend", "resume", "flush", "fail"):
            router.add_api_route(f"/queue/{{destination_id}}/{name}", self._act(name), methods=["POST"])

    async def list(self, request: Request) -> Response:
        """Every destination, what waits most first."""
        found = await self._destinations.list(visitor_of(request).workspace_id, everything=True)
        context = {
            "view": sifted(request, _PLAN, found),
            "waiting": sum(one.waiting.ready + one.waiting.deferred for one in found),
            "count": len(found),
        }
        return self._site.page(request, "queue", context)

    async def export(self, request: Request) -> Response:
        """The same as a file."""
        found = await self._destinations.list(visitor_of(request).workspace_id, everything=True)
        return as_csv(request, _PLAN, found, "queue.csv")

    async def show(self, request: Request, destination_id: str) -> Response:
        """One destination."""
        return await self._page(request, _read(destination_id))

    async def _page(self, request: Request, destination_id: int, problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id = visitor_of(request).workspace_id
        details = await self._destinations.get(workspace_id, destination_id)
        replies = await self._site.services.event_search.replies(workspace_id, details.status.destination, 15)
        context = {
            "details": details,
            "status": details.status,
            "href": f"/queue/{destination_id}",
            "paces": [PaceLine(one, tuple(_limits(one))) for one in details.status.slowed],
            "spans": [("", gettext("until I resume it")), *((value, _span(value)) for value in _SPANS if value)],
            "replies": [happening_of(event, None) for event in replies],
            "problems": problems,
            "note": str(request.state.form.get("note", ""))[:500] if problems else "",
            "offer": _offer(request, destination_id),
        }
        return self._site.page(request, "destination", context, status=409 if problems else 200)

    def _act(self, name: str) -> Callable[[Request, str], Awaitable[Response]]:
        async def act(request: Request, destination_id: str) -> Response:
            visitor, form = visitor_of(request), request.state.form
            if name == "fail" and not visitor.is_admin:
                raise ForbiddenError(gettext("Only an admin gives up what waits, since nobody can take it back."))
            target = QueueTarget(destination_id=_read(destination_id))
            note = Note(visitor.signed_in.address, str(form.get("note", "")))
            span = _SPANS.get(str(form.get("span", "")))
            until = Microseconds(self._site.now() + span) if span else None
            works: dict[str, Callable[[], Awaitable[int | None]]] = {
                "suspend": lambda: self._destinations.suspend(visitor.workspace_id, target, note, until),
                "resume": lambda: self._destinations.resume(visitor.workspace_id, target, note),
                "flush": lambda: self._destinations.flush(visitor.workspace_id, target, note),
                "fail": lambda: self._destinations.fail(visitor.workspace_id, target, note),
            }
            try:
                await works[name]()
            except RefusedError as error:
                return await self._page(request, _read(destination_id), error.problems)
            return go_to(f"/queue/{_read(destination_id)}?done=queue_{name}")

        return act


def _read(destination_id: str) -> int:
    found = read_number(destination_id)
    if found is None:
        raise NotFoundError("destination")
    return found


def _offer(request: Request, destination_id: int) -> Offer | None:
    done = request.query_params.get("done", "")
    if done == "queue_suspend":
        return Offer(f"/queue/{destination_id}/resume", gettext("Nothing is sent to this destination now."))
    return None


def _span(minutes: str) -> str:
    hours = int(minutes) // 60
    if not hours:
        return gettext("for %(count)s minutes", count=minutes)
    return ngettext("for one hour", "for %(count)s hours", hours, count=number(hours))


def _limits(pace: SlowedPace) -> list[str]:
    limits = pace.limits
    told = []
    if limits.connections is not None:
        told.append(
            ngettext(
                "one connection at a time",
                "%(count)s connections at a time",
                limits.connections,
                count=number(limits.connections),
            )
        )
    if limits.messages_per_connection is not None:
        told.append(
            ngettext(
                "one message a connection",
                "%(count)s messages a connection",
                limits.messages_per_connection,
                count=number(limits.messages_per_connection),
            )
        )
    if limits.rate is not None:
        told.append(gettext("%(count)s messages a second", count=number(limits.rate)))
    return told
