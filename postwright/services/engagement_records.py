"""Visits into the database: what the privacy modes allow of them, with a provisional verdict each."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection

from mailtypes.clock import MINUTE, Microseconds
from postwright.store import engagements, events
from postwright.store.engagements import FetchedDelivery, NewEngagement, StoredEngagement
from postwright.store.events import NewEvent
from tracking.privacy import Recording, effective_mode, recording
from tracking.verdicts import (
    WINDOW,
    AgentFamily,
    Decision,
    Fetch,
    FetchKind,
    Judge,
    NetworkClass,
    Networks,
    Settled,
    Verdict,
    family_of,
    shipped_judge,
    shipped_networks,
)
from tracking.verdicts.agents import MAX_USER_AGENT
from tracking.verdicts.features import NEAR
from tracking.verdicts.networks import neighbourhood

MOST_OF_A_DELIVERY: Final = 500
"""Fetches of one delivery within the window that are kept in detail; who fetches more is a machine."""
FLOOD: Final = Decision(Verdict.MACHINE, "flood")
_LOOKED_AT: Final = 64
_EVENT_KINDS: Final = {FetchKind.OPEN: "opened", FetchKind.CLICK: "clicked"}
_SHARED: Final = frozenset({NetworkClass.OTHER, NetworkClass.DATACENTER, NetworkClass.MICROSOFT})
"""Networks where many recipients at once mean something; the proxies of providers always serve many."""
_MAX_ADDRESS: Final = 45
_EARLY: Final = 10 * MINUTE
_BEHIND_ALL: Final = 1 << 63


class VisitKind(StrEnum):
    """What somebody did with a token."""

    OPEN = "open"
    CLICK = "click"
    LOOK = "look"
    UNSUBSCRIBE = "unsubscribe"
    HONEYPOT = "honeypot"


class Visit(NamedTuple):
    """One request with a genuine token. ``at`` in microseconds; ``address`` and ``user_agent`` are the client's."""

    kind: VisitKind
    delivery_id: int
    at: int
    link: int = 0
    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Criteria:
    """By what visits are judged; ``honeypots``: by links that no reader sees, too."""

    judge: Judge = field(default_factory=shipped_judge)
    networks: Networks = field(default_factory=shipped_networks)
    honeypots: bool = False


@dataclass(slots=True)
class _Batch:
    """What a batch of visits comes to."""

    events: list[NewEvent] = field(default_factory=list)
    detailed: list[tuple[int | None, NewEngagement]] = field(default_factory=list)
    last_opens: dict[int, int] = field(default_factory=dict)
    dropped: int = 0


def record_visits(connection: Connection, visits: Sequence[Visit], criteria: Criteria, now: Microseconds) -> int:
    """Store opens, clicks and looks in the caller's transaction; returns how many were dropped as a flood.

    Visits whose delivery is gone leave nothing.
    """
    fetches = sorted((one for one in visits if one.kind is not VisitKind.UNSUBSCRIBE), key=lambda one: one.at)
    if not fetches:
        return 0
    known = engagements.fetched_deliveries(connection, {one.delivery_id for one in fetches})
    span = (fetches[0].at - WINDOW, fetches[-1].at)
    before = {
        delivery_id: [as_fetch(row) for row in rows]
        for delivery_id, rows in engagements.around(connection, known, span).items()
    }
    places = {one: _place_of(one, known.get(one.delivery_id), criteria.networks) for one in fetches}
    crowds = Crowds.read(connection, {place for _, place in places.values() if place}, (fetches[0].at, fetches[-1].at))
    batch = _Batch()
    for visit in fetches:
        delivery = known.get(visit.delivery_id)
        if delivery is not None:
            network, place = places[visit]
            near = crowds.join(place, visit.at, visit.delivery_id) if place else 1
            fetch = Fetch(FetchKind(visit.kind), visit.at, family_of(visit.user_agent), network, visit.link, near)
            _take(batch, visit, (delivery, fetch, place), before, criteria.judge)
    event_ids = events.append(connection, batch.events, now)
    engagements.add(connection, [_with_event(new, place, event_ids) for place, new in batch.detailed])
    engagements.keep_last_open(connection, batch.last_opens)
    return batch.dropped


def _take(
    batch: _Batch,
    visit: Visit,
    about: tuple[FetchedDelivery, Fetch, str],
    before: dict[int, list[Fetch]],
    judge: Judge,
) -> None:
    delivery, fetch, _ = about
    allowed = recording(effective_mode(delivery.of_list, delivery.of_contact), fetch.kind)
    if allowed.nothing:
        return
    earlier = before.setdefault(delivery.id, [])
    is_flood = len(earlier) >= MOST_OF_A_DELIVERY
    if is_flood and fetch.kind is not FetchKind.CLICK:
        batch.dropped += 1
        return
    settled = judge.provisional(_in_order(earlier, fetch), delivery.sent_at)
    decision = FLOOD if is_flood else settled.decision if settled else Decision(Verdict.MACHINE, "look")
    if not is_flood:
        earlier.append(fetch)
    event_place = _add_event(batch, visit, delivery, allowed, decision)
    if allowed.last_open and decision.verdict is not Verdict.MACHINE and delivery.contact_id is not None:
        batch.last_opens[delivery.contact_id] = max(visit.at, batch.last_opens.get(delivery.contact_id, 0))
    if allowed.detail and not is_flood:
        batch.detailed.append((event_place, _engagement(visit, about, settled, decision)))


def _in_order(earlier: Sequence[Fetch], fetch: Fetch) -> list[Fetch]:
    """What is known to have come before a fetch, and the fetch; of several processes one may be ahead of another."""
    return [*sorted((one for one in earlier[-_LOOKED_AT:] if one.at <= fetch.at), key=lambda one: one.at), fetch]


def _add_event(
    batch: _Batch, visit: Visit, delivery: FetchedDelivery, allowed: Recording, decision: Decision
) -> int | None:
    kind = _EVENT_KINDS.get(FetchKind(visit.kind))
    if kind is None or not (allowed.detail or allowed.counts):
        return None
    data: dict[str, object] = {"verdict": decision.verdict, "rule": decision.rule}
    if visit.kind is VisitKind.CLICK:
        data = {"link": visit.link, **data}
    who, contact = (delivery.id, delivery.contact_id) if allowed.detail else (None, None)
    batch.events.append(NewEvent(delivery.workspace_id, kind, visit.at, delivery.run_id, who, contact, data))
    return len(batch.events) - 1


def _engagement(
    visit: Visit, about: tuple[FetchedDelivery, Fetch, str], settled: Settled | None, decision: Decision
) -> NewEngagement:
    delivery, fetch, place = about
    features = settled.features.as_dict() if settled else {"recipients_near": fetch.recipients_near}
    return NewEngagement(
        workspace_id=delivery.workspace_id,
        run_id=delivery.run_id,
        delivery_id=delivery.id,
        contact_id=delivery.contact_id,
        kind=visit.kind,
        link=visit.link,
        occurred_at=visit.at,
        sent_at=delivery.sent_at,
        agent=fetch.agent,
        network=fetch.network,
        features=_ENCODE(features),
        verdict=decision.verdict,
        rule=decision.rule,
        event_id=None,
        address=visit.address[:_MAX_ADDRESS] or None,
        user_agent=visit.user_agent[:MAX_USER_AGENT] or None,
        neighbourhood=place or None,
    )


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def _with_event(new: NewEngagement, place: int | None, event_ids: Sequence[int]) -> NewEngagement:
    return new if place is None else replace(new, event_id=event_ids[place])


def as_fetch(row: StoredEngagement) -> Fetch:
    """A stored fetch as it was judged by."""
    near = json.loads(row.features).get("recipients_near", 1)
    return Fetch(
        FetchKind(row.kind), row.occurred_at, AgentFamily(row.agent), NetworkClass(row.network), row.link, near
    )


def _place_of(visit: Visit, delivery: FetchedDelivery | None, networks: Networks) -> tuple[NetworkClass, str]:
    """The class of the visitor's network, and the neighbourhood to count recipients in where that means something.

    Gateways look at mail as it comes; later on readers of one network are many, and no sign of anything.
    """
    network = networks.class_of(visit.address)
    is_early = delivery is not None and delivery.sent_at is not None and visit.at < delivery.sent_at + _EARLY
    return network, neighbourhood(visit.address) if is_early and network in _SHARED else ""


class Crowds:
    """Who came from which neighbourhood when; counts distinct recipients within ten seconds."""

    def __init__(self, seen: Mapping[str, list[tuple[int, int]]]) -> None:
        self._seen = {place: list(rows) for place, rows in seen.items()}

    @classmethod
    def read(cls, connection: Connection, places: set[str], span: tuple[int, int]) -> "Crowds":
        """What is stored around ``span``."""
        return cls(engagements.nearby(connection, places, (span[0] - NEAR, span[1] + NEAR)))

    def join(self, place: str, at: int, delivery_id: int) -> int:
        """Add a fetch that is newer than the others that were added, and count the ten seconds before it."""
        rows = self._seen.setdefault(place, [])
        end = bisect_right(rows, (at, _BEHIND_ALL))
        first = max(bisect_left(rows, (at - NEAR,)), end - _LOOKED_AT)
        rows.insert(end, (at, delivery_id))
        return len({who for _, who in rows[first : end + 1]})

    def after(self, place: str, at: int) -> int:
        """How many recipients came within the ten seconds from ``at`` on."""
        rows = self._seen.get(place, [])
        first = bisect_left(rows, (at,))
        return len({who for moment, who in rows[first : first + _LOOKED_AT] if moment <= at + NEAR})
