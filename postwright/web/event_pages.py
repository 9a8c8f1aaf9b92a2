"""The log of events: the newest first, by kind, each with what it is about and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.saying import Saying
from postwright.services.event_fields import told_data
from postwright.services.event_vocabulary import KINDS
from postwright.services.hygiene_terms import told_again, told_without_terms
from postwright.store.event_search import EventPage
from postwright.store.events import Event
from postwright.store.public_ids import public_id
from postwright.web.domain_history_pages import domain_event
from postwright.web.event_words import EVENT_GROUPS, EVENTS
from postwright.web.happenings import Happening, happening_of
from postwright.web.hrefs import domain_href
from postwright.web.language import N_, gettext, speech
from postwright.web.site import Site, visitor_of
from postwright.web.tables import ChosenFilter, Column, csv_file, page_of
from postwright.web.words import word
from warmup.documents import read_decision

_PER_PAGE = 50
_EXPORTED = 10_000


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event as a line: what it is about (with a page of its own, or none), and why."""

    event: Event
    happening: Happening
    about: str
    href: str
    lines: tuple[str, ...]


_COLUMNS: tuple[Column[EventLine], ...] = (
    Column("occurred_at", N_("When"), lambda line: line.event.occurred_at, "moment"),
    Column("kind", N_("What"), lambda line: line.event.kind),
    Column("about", N_("About"), lambda line: line.about),
    Column("why", N_("Why"), lambda line: " ".join((line.happening.reply, *line.lines)).strip()),
)


class EventPages:
    """Pages of the log."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._search = site.services.event_search

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/events", self.list, methods=["GET"])
        router.add_api_route("/events.csv", self.export, methods=["GET"])

    async def list(self, request: Request, kind: str = "", before: str = "") -> Response:
        """The newest events, of one kind or one group of kinds."""
        chosen = kind if kind in KINDS or kind in EVENT_GROUPS else ""
        page = await self._newest(request, chosen, _read_place(before), _PER_PAGE)
        later = {"before": f"{page.goes_on[0]}-{page.goes_on[1]}"} if page.goes_on else None
        choices = [(name, one.label) for name, one in EVENT_GROUPS.items()]
        choices += [(name, f"\u2003{word(EVENTS, name).label}") for name, one in KINDS.items() if one.is_recorded]
        view = page_of(
            request,
            _COLUMNS,
            await self._lines(request, page),
            filters=[ChosenFilter("kind", gettext("What"), choices, chosen)],
            later=later,
            csv_path="/events.csv",
        )
        tabs = event_tabs("/events", is_admin=visitor_of(request).is_admin)
        return self._site.page(request, "events", {"view": view, "tabs": tabs})

    async def export(self, request: Request, kind: str = "") -> Response:
        """The newest 10,000 events of the same kinds as a file."""
        chosen = kind if kind in KINDS or kind in EVENT_GROUPS else ""
        page = await self._newest(request, chosen, None, _EXPORTED)
        return csv_file(_COLUMNS, await self._lines(request, page), "events.csv")

    async def _newest(self, request: Request, chosen: str, before: tuple[int, int] | None, limit: int) -> EventPage:
        kinds = [chosen] if chosen in KINDS else [one.name for one in KINDS.values() if one.topic.name == chosen]
        return await self._search.newest(visitor_of(request).workspace_id, kinds, before, limit)

    async def _lines(self, request: Request, page: EventPage) -> Sequence[EventLine]:
        wanted = {event.delivery_id for event in page.events if event.delivery_id is not None}
        found = await self._search.deliveries(visitor_of(request).workspace_id, sorted(wanted))
        lines = []
        for event in page.events:
            delivery = found.get(event.delivery_id) if event.delivery_id is not None else None
            if delivery is not None:
                href = f"/messages/{public_id('msg', delivery.queued_at, delivery.id)}"
                happening = happening_of(event, delivery)
                lines.append(
                    EventLine(event, happening, delivery.address, href, (happening.why,) if happening.why else ())
                )
            else:
                lines.append(event_line(event))
        return lines


def event_line(event: Event) -> EventLine:
    """A line of an event that is about no message."""
    data = told_data(event)
    happening = happening_of(event)
    about, href = _subject(data)
    told = domain_event(event, about) if href.startswith("/domains/") else None
    why = tuple(told.lines) if told else tuple(_reasons(data)) or ((happening.why,) if happening.why else ())
    return EventLine(event, happening, about, href, tuple(line for line in why if line))


def _subject(data: dict[str, Any]) -> tuple[str, str]:
    if isinstance(data.get("domain"), str) and "scope" not in data:
        return data["domain"], domain_href(data["domain"])
    if isinstance(data.get("plan"), int):
        return gettext("Plan %(number)s", number=data["plan"]), f"/hygiene/{data['plan']}"
    scope = str(data.get("scope") or "")
    if scope.startswith("destination:"):
        return str(data.get("site") or data.get("target") or scope), f"/queue/{scope.partition(':')[2]}"
    for name in ("site", "target", "campaign", "address", "url", "organisation", "provider"):
        if isinstance(data.get(name), str) and data[name]:
            return str(data[name]), ""
    return scope.partition(":")[2], ""


def _reasons(data: dict[str, Any]) -> list[str]:
    if isinstance(data.get("evidence"), list):  # a decision of a warm-up: its sentence says all of it
        told = [read_decision(data).sentence()]
    elif "plan" in data:
        told = [one] if (one := _of_plan(str(data.get("sentence", "")), data.get("terms"))) else []
    else:
        told = [str(data[name]) for name in ("rule", "evidence", "note", "sentence", "detail") if data.get(name)]
    if data.get("by"):
        told.append(gettext("By %(who)s.", who=data["by"]))
    return told


def _of_plan(sentence: str, terms: object) -> str:
    """Whom a hygiene plan is about; nothing where an older log cannot say it in the language of the page."""
    again = told_again(sentence, json.dumps(terms)) if isinstance(terms, dict) else told_without_terms(sentence)
    return again if isinstance(again, Saying) or speech().language == "en" else ""


def event_tabs(here: str, *, is_admin: bool) -> list[tuple[str, str, bool]]:
    """The tabs of the log."""
    places = [("/events", gettext("What happened")), ("/messages", gettext("Find a message"))]
    if is_admin:
        places.append(("/webhooks", gettext("Webhooks")))
    return [(href, title, href == here) for href, title in places]


def _read_place(text: str) -> tuple[int, int] | None:
    at, _, event_id = text.partition("-")
    if not (at.isascii() and at.isdigit() and event_id.isascii() and event_id.isdigit()) or len(text) > 40:
        return None
    place = int(at), int(event_id)
    return place if max(place) < 1 << 63 else None
