"""What events come to, and each recipient once: pure counting, for ``postwright.store.statistics``.

Whatever is counted is counted by the hour, by recipient domain and by provider, and clicks by link as well. A verdict
that changes takes back what was counted, at the hour of the open or click that it is about.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from mailtypes.clock import HOUR

VERDICTS: Final = ("human", "probable", "machine")
"""The best one of a recipient's opens (or clicks) is the recipient's."""
ENGAGED: Final = ("opened", "clicked")
REVISIONS: Final[Mapping[str, str]] = {"opened_revised": "opened", "clicked_revised": "clicked"}
ONCE: Final = frozenset({"accepted", "delivered", "failed", "expired", "suppressed", "cancelled"})
"""The end (or the beginning) of a delivery: happens once, so nothing need be remembered."""
REPEATED: Final = frozenset(
    {"deferred", "ambiguous", "bounced", "delayed", "complained", "unsubscribed", "replied", "feedback_unread"}
)
REFUSALS: Final = frozenset({"deferred", "ambiguous", "failed", "expired", "bounced", "delayed"})
COUNTED: Final = (*sorted(ONCE | REPEATED), *ENGAGED, *REVISIONS)
PLAIN: Final = frozenset({"accepted", "delivered", "suppressed", "cancelled"})
"""Counted whatever their data say."""


class Key(NamedTuple):
    """What is counted: a row of ``tables.statistics.Statistic`` without its counts."""

    run_id: int
    cut: str
    value: str
    variant: int
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a recipient is counted; ``NOBODY`` where an event names none."""

    variant: int
    domain: str
    provider: str


NOBODY: Final = Recipient(-1, "", "")


@dataclass(slots=True)
class Engagement:
    """A recipient's opens (or clicks) by verdict, and the hour of the first one."""

    counts: list[int]
    hour: int

    @property
    def verdict(self) -> str | None:
        """The best verdict of them."""
        return next((name for name, number in zip(VERDICTS, self.counts, strict=True) if number > 0), None)


@dataclass(slots=True)
class Counted:
    """What a recipient has been counted for already."""

    recipient: Recipient
    once: set[str] = field(default_factory=set)
    engaged: dict[str, Engagement] = field(default_factory=dict)

    def write(self) -> str:
        """As JSON."""
        place = self.recipient
        engaged = {name: [*one.counts, one.hour] for name, one in sorted(self.engaged.items())}
        document = {"at": [place.variant, place.domain, place.provider], "once": sorted(self.once), "did": engaged}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> "Counted":
        """What ``write`` made."""
        document = json.loads(text)
        engaged = {name: Engagement(one[:3], one[3]) for name, one in document["did"].items()}
        return cls(Recipient(*document["at"]), set(document["once"]), engaged)


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event as far as it is counted. ``about_at``: of a revision, when the open or click happened."""

    run_id: int
    kind: str
    occurred_at: int
    data: Mapping[str, Any]
    about_at: int | None = None


@dataclass(slots=True)
class Tally:
    """What some events change of the counts: all of them, and recipients once."""

    events: Counter[Key] = field(default_factory=Counter)
    recipients: Counter[Key] = field(default_factory=Counter)

    def count(self, event: CountedEvent, recipient: Recipient, counted: Counted | None) -> None:
        """Add one event. ``counted`` is changed; ``None`` where the event names no recipient, or happens once."""
        place = counted.recipient if counted is not None else recipient
        if event.kind in ENGAGED:
            self._engage(event, place, counted)
        elif event.kind in REVISIONS:
            self._revise(event, place, counted)
        else:
            detail = _detail(event)
            hour = event.occurred_at // HOUR
            is_first = event.kind in ONCE or (counted is not None and event.kind not in counted.once)
            self._add(event, place, (event.kind, detail, hour), (1, int(is_first)))
            if counted is not None and event.kind in REPEATED:
                counted.once.add(event.kind)

    def _engage(self, event: CountedEvent, place: Recipient, counted: Counted | None) -> None:
        verdict, hour = _verdict(event.data.get("verdict")), event.occurred_at // HOUR
        self._add(event, place, (event.kind, verdict, hour), (1, 0))
        for name, link in _names(event.kind, event.data):
            if link is not None:
                self.events[_link_key(event, place, link, verdict)] += 1
            if counted is not None:
                engaged = counted.engaged.setdefault(name, Engagement([0, 0, 0], hour))
                self._move(event, place, (engaged, link), {verdict: 1})

    def _revise(self, event: CountedEvent, place: Recipient, counted: Counted | None) -> None:
        kind = REVISIONS[event.kind]
        about = CountedEvent(event.run_id, kind, event.about_at or event.occurred_at, event.data)
        verdict, was = _verdict(event.data.get("verdict")), _verdict(event.data.get("was"))
        hour = about.occurred_at // HOUR
        for name, change in ((was, -1), (verdict, 1)):
            self._add(about, place, (kind, name, hour), (change, 0))
        for name, link in _names(kind, event.data):
            if link is not None:
                self.events[_link_key(about, place, link, was)] -= 1
                self.events[_link_key(about, place, link, verdict)] += 1
            engaged = counted.engaged.get(name) if counted is not None else None
            # Whoever was forgotten meanwhile is not counted anew.
            if engaged is not None and engaged.counts[VERDICTS.index(was)] > 0:
                self._move(about, place, (engaged, link), {was: -1, verdict: 1})

    def _move(
        self,
        event: CountedEvent,
        place: Recipient,
        about: tuple[Engagement, int | None],
        changes: Mapping[str, int],
    ) -> None:
        """Count the recipient under the verdict that is the best one now."""
        engaged, link = about
        before = engaged.verdict
        for name, change in changes.items():
            engaged.counts[VERDICTS.index(name)] += change
        after = engaged.verdict
        for verdict, change in ((before, -1), (after, 1)):
            if verdict is None or before == after:
                continue
            if link is not None:
                self.recipients[_link_key(event, place, link, verdict)] += change
            else:
                self._add(event, place, (event.kind, verdict, engaged.hour), (0, change))

    def _add(self, event: CountedEvent, place: Recipient, what: tuple[str, str, int], changes: tuple[int, int]) -> None:
        """Add so many events and so many recipients of a kind, a detail and an hour, under every cut."""
        (kind, detail, hour), (of_events, of_recipients) = what, changes
        for cut, value in (("hour", str(hour)), ("domain", place.domain), ("provider", place.provider)):
            key = Key(event.run_id, cut, value, place.variant, kind, detail)
            if of_events:
                self.events[key] += of_events
            if of_recipients:
                self.recipients[key] += of_recipients


def _link_key(event: CountedEvent, place: Recipient, link: int, verdict: str) -> Key:
    return Key(event.run_id, "link", str(link), place.variant, event.kind, verdict)


def _names(kind: str, data: Mapping[str, Any]) -> tuple[tuple[str, int | None], ...]:
    """Under what a recipient's opens or clicks are remembered: as a whole, and clicks by link."""
    link = data.get("link")
    if kind == "clicked" and isinstance(link, int):
        return (kind, None), (f"link {link}", link)
    return ((kind, None),)


def _verdict(word: object) -> str:
    """What says nothing is what nobody can know."""
    return str(word) if word in VERDICTS else "probable"


def _detail(event: CountedEvent) -> str:
    if event.kind in PLAIN:
        return ""
    if event.kind == "unsubscribed":
        return str(event.data.get("way", ""))[:40]
    if event.kind in REFUSALS:
        return f"{event.data.get('kind') or 'none'}:{event.data.get('reason') or 'unknown'}"[:100]
    return ""
