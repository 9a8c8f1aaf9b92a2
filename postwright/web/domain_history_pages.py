"""What happened to a sender domain: its state, its records, its keys."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.clock import DAY
from postwright.store.events import Event, EventFilter
from postwright.web.domain_frame import DomainFrame
from postwright.web.event_words import EVENTS
from postwright.web.site import Site
from postwright.web.words import DOMAIN, FINDING, KEY, TOPICS, Word, word

_KINDS = (
    "domain_state_changed",
    "domain_drift",
    "domain_expiring",
    "dkim_rotation_begun",
    "dkim_key_moved",
    "dkim_key_missing",
    "dkim_key_back",
)
_SPAN = 30 * DAY
_MOST, _SHOWN = 1000, 50


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """One line of the history."""

    word: Word
    occurred_at: int
    lines: tuple[str, ...]


class DomainHistoryPages:
    """The tab of the history."""

    def __init__(self, site: Site, frame: DomainFrame) -> None:
        self._site = site
        self._frame = frame

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/domains/{name}/history", self.show, methods=["GET"])

    async def show(self, request: Request, name: str) -> Response:
        """The last 30 days."""
        domain = await self._frame.domain(request, name)
        found = [one for kind in _KINDS for one in await self._events(domain.workspace_id, kind)]
        told = [one for event in found if (one := domain_event(event, domain.name)) is not None]
        context = {"events": sorted(told, key=lambda one: -one.occurred_at)[:_SHOWN]}
        return self._frame.page(request, "/history", domain, context)

    async def _events(self, workspace_id: int, kind: str) -> list[Event]:
        since = (self._site.now() - _SPAN, 0)
        return list(
            await self._site.services.log.events(workspace_id, EventFilter(kind=kind), after=since, limit=_MOST)
        )


def domain_event(event: Event, domain: str) -> DomainEvent | None:
    """The event as a line; ``None`` where it is about another domain."""
    data = json.loads(event.data)
    if data.get("domain") != domain:
        return None
    return DomainEvent(word(EVENTS, event.kind), event.occurred_at, tuple(_lines(event.kind, data)))


def _lines(kind: str, data: dict[str, Any]) -> list[str]:
    match kind:
        case "domain_state_changed":
            return [f"{word(DOMAIN, data['before']).label} → {word(DOMAIN, data['after']).label}"]
        case "domain_drift":
            return [_drift(one) for one in data["changes"]]
        case "dkim_rotation_begun":
            return [f"New: {' and '.join(data['selectors'])}"]
        case "dkim_key_moved":
            before, after = word(KEY, data["before"]).label, word(KEY, data["after"]).label
            return [f"{data['selector']}: {before} → {after}"]
        case "dkim_key_missing" | "dkim_key_back":
            return [f"{data['selector']}: {data['sentence']}"]
    return [str(data.get("sentence", ""))]


def _drift(change: dict[str, str | None]) -> str:
    """``None`` stands for a finding that was not among those of that audit."""
    topic, _, what = str(change["code"]).partition(".")
    states = [
        word(FINDING, state).label.lower() if state else "not found" for state in (change["before"], change["after"])
    ]
    return f"{TOPICS.get(topic, topic)}, {what.replace('_', ' ')}: {states[0]} → {states[1]}"
