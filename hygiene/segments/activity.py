"""What a contact got and did, folded from events: totals, last moments, mails since, soft bounces in a row.

A mail counts as opened (clicked) once, by people alone. The last ``RECENT`` mails are remembered one by one, so that
a verdict that changes later can be taken back with all that followed from it; of older mails each open counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hygiene.segments.tree import ActivityKind
from mailtypes.clock import DAY

RECENT: Final = 10
_NO_MOMENT: Final = -1


class Happening(StrEnum):
    """What an event means to the contact."""

    RECEIVED = "received"
    OPENED = "opened"
    CLICKED = "clicked"
    ACTED = "acted"
    OPEN_REVISED = "open_revised"
    CLICK_REVISED = "click_revised"
    SOFT_BOUNCE = "soft_bounce"


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """One event. ``counts`` is what it says now (a person did it), ``counted`` what a revision takes back.

    ``done_at`` is when the open or click that is revised took place, where the event tells.
    """

    happening: Happening
    at: int
    delivery_id: int | None = None
    counts: bool = True
    counted: bool = False
    done_at: int | None = None


@dataclass(slots=True)
class Mark:
    """What was done with one mail: how often, first and last."""

    times: int
    first_at: int
    last_at: int


@dataclass(slots=True)
class Mail:
    """One of the newest mails."""

    delivery_id: int
    received_at: int
    opened: Mark | None = None
    clicked: Mark | None = None

    def mark(self, kind: ActivityKind) -> Mark | None:
        """The mark for opens or clicks."""
        return self.opened if kind is ActivityKind.OPENED else self.clicked

    def set_mark(self, kind: ActivityKind, mark: Mark | None) -> None:
        """Set it."""
        if kind is ActivityKind.OPENED:
            self.opened = mark
        else:
            self.clicked = mark


def _none() -> dict[ActivityKind, int | None]:
    return dict.fromkeys(ActivityKind)


@dataclass(slots=True)
class Activity:
    """The row of one contact. ``days`` collects what ``apply`` adds, by day (from 1970) and kind; it begins empty.

    ``older`` is what is left of mails that are not among the ``recent`` any more: when one of them was last opened
    (clicked), and how many mails had been received by then.
    """

    totals: dict[ActivityKind, int] = field(default_factory=lambda: dict.fromkeys(ActivityKind, 0))
    last_at: dict[ActivityKind, int | None] = field(default_factory=_none)
    received_since: dict[ActivityKind, int] = field(
        default_factory=lambda: {ActivityKind.OPENED: 0, ActivityKind.CLICKED: 0}
    )
    soft_bounces: int = 0
    first_soft_bounce_at: int | None = None
    last_soft_bounce_at: int | None = None
    recent: list[Mail] = field(default_factory=list)
    older: dict[ActivityKind, tuple[int, int]] = field(default_factory=dict)
    days: dict[tuple[int, ActivityKind], int] = field(default_factory=dict)

    @property
    def opened_in_a_row(self) -> int:
        """How many of the newest mails were opened without a gap; the newest itself may still be unread."""
        row = 0
        for place, mail in enumerate(reversed(self.recent)):
            if mail.opened is not None:
                row += 1
            elif place > 0:
                break
        return row

    def apply(self, event: ActivityEvent) -> None:
        """Fold one event in. They come in the order of the log."""
        happening = event.happening
        if happening is Happening.RECEIVED:
            self._receive(event)
        elif happening is Happening.SOFT_BOUNCE:
            self._bounce(event.at)
        elif happening is Happening.ACTED:
            self._add(ActivityKind.ACTED, event.at, 1)
            self._move_last(ActivityKind.ACTED, event.at)
        elif happening in (Happening.OPENED, Happening.CLICKED):
            if event.counts:
                self._do(ActivityKind(happening.value), event, event.at)
        else:
            self._revise(event)

    def _receive(self, event: ActivityEvent) -> None:
        delivery_id = event.delivery_id or 0
        if any(mail.delivery_id == delivery_id for mail in self.recent):
            return  # the same message, handed over again
        newest = self.recent[-1] if self.recent else None
        if newest is not None and newest.received_at > (self.last_soft_bounce_at or _NO_MOMENT):
            self._end_row()  # the mail before stayed where it was delivered
        self._add(ActivityKind.RECEIVED, event.at, 1)
        self._move_last(ActivityKind.RECEIVED, event.at)
        for kind in self.received_since:
            self.received_since[kind] += 1
        self.recent.append(Mail(delivery_id, event.at))
        if len(self.recent) > RECENT:
            self._forget(self.recent.pop(0))

    def _forget(self, mail: Mail) -> None:
        for kind in self.received_since:
            mark = mail.mark(kind)
            if mark is not None:
                self._note_older(kind, mark.last_at)

    def _note_older(self, kind: ActivityKind, at: int) -> None:
        since = sum(mail.received_at > at for mail in self.recent)
        self.older[kind] = max((at, self.totals[ActivityKind.RECEIVED] - since), self.older.get(kind, (at, 0)))

    def _bounce(self, at: int) -> None:
        if self.soft_bounces == 0:
            self.first_soft_bounce_at = at
        self.soft_bounces += 1
        self.last_soft_bounce_at = max(at, self.last_soft_bounce_at or _NO_MOMENT)

    def _end_row(self) -> None:
        self.soft_bounces = 0
        self.first_soft_bounce_at = self.last_soft_bounce_at = None

    def _do(self, kind: ActivityKind, event: ActivityEvent, at: int) -> None:
        """A person opened or clicked: the mailbox is read."""
        self._end_row()
        mail = self._mail(event.delivery_id)
        mark = mail.mark(kind) if mail is not None else None
        if mark is not None:
            mark.times += 1
            mark.last_at = max(mark.last_at, at)
        else:
            self._add(kind, at, 1)
            if mail is not None:
                mail.set_mark(kind, Mark(1, at, at))
            else:
                self._note_older(kind, at)
        self._move_last(kind, at)
        self.received_since[kind] = 0

    def _revise(self, event: ActivityEvent) -> None:
        kind = ActivityKind.OPENED if event.happening is Happening.OPEN_REVISED else ActivityKind.CLICKED
        if event.counts == event.counted:
            return
        if event.counts:
            self._do(kind, event, event.at if event.done_at is None else event.done_at)
            return
        mail = self._mail(event.delivery_id)
        mark = mail.mark(kind) if mail is not None else None
        if mail is None or mark is None:
            # Too old to be remembered: the total at least is mended.
            if self.totals[kind] > 0:
                self.totals[kind] -= 1
                if event.done_at is not None:
                    self._count_day(kind, event.done_at, -1)
            return
        mark.times -= 1
        if mark.times == 0:
            mail.set_mark(kind, None)
            self._take_back(kind, mark)

    def _take_back(self, kind: ActivityKind, mark: Mark) -> None:
        self._add(kind, mark.first_at, -1)
        left = [other.last_at for mail in self.recent if (other := mail.mark(kind)) is not None]
        older = self.older.get(kind)
        if older is not None and older[0] >= max(left, default=_NO_MOMENT):
            self.last_at[kind], received_then = older
            self.received_since[kind] = self.totals[ActivityKind.RECEIVED] - received_then
        elif left:
            self.last_at[kind] = last = max(left)
            self.received_since[kind] = sum(mail.received_at > last for mail in self.recent)
        else:
            self.last_at[kind] = None
            self.received_since[kind] = self.totals[ActivityKind.RECEIVED]

    def _mail(self, delivery_id: int | None) -> Mail | None:
        return next((mail for mail in reversed(self.recent) if mail.delivery_id == delivery_id), None)

    def _move_last(self, kind: ActivityKind, at: int) -> None:
        last = self.last_at[kind]
        self.last_at[kind] = at if last is None else max(last, at)

    def _add(self, kind: ActivityKind, at: int, number: int) -> None:
        self.totals[kind] = max(0, self.totals[kind] + number)
        self._count_day(kind, at, number)

    def _count_day(self, kind: ActivityKind, at: int, number: int) -> None:
        place = (at // DAY, kind)
        self.days[place] = self.days.get(place, 0) + number


def write_recent(activity: Activity) -> dict[str, Any]:
    """The newest mails, and what is left of older ones, as small JSON."""
    mails = [[one.delivery_id, one.received_at, _written(one.opened), _written(one.clicked)] for one in activity.recent]
    return {"mails": mails, "older": {str(kind): list(left) for kind, left in activity.older.items()}}


def read_recent(document: Mapping[str, Any], activity: Activity) -> None:
    """The way back, into a row that has none of it."""
    activity.recent = [Mail(one[0], one[1], _read(one[2]), _read(one[3])) for one in document["mails"]]
    activity.older = {ActivityKind(kind): (left[0], left[1]) for kind, left in document["older"].items()}


def _written(mark: Mark | None) -> object:
    return 0 if mark is None else [mark.times, mark.first_at, mark.last_at]


def _read(document: Any) -> Mark | None:
    return Mark(*document) if document else None


VERDICT_OF_MACHINES: Final = "machine"


def is_by_person(data: Mapping[str, Any], key: str = "verdict") -> bool:
    """Whether an open or click counts: what has no verdict does."""
    return data.get(key) != VERDICT_OF_MACHINES
