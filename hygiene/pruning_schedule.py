"""When to look at a list, and when to prune it: by default every month and every quarter of the calendar."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from mailtypes.clock import Microseconds, as_datetime, from_datetime
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say


class PruningScheduleError(InputSyntaxError):
    """A schedule that can mean nothing."""


class Chore(StrEnum):
    """What is due: a plan to look at, or a plan to apply."""

    LOOK = "look"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class PruningSchedule:
    """Whole months between looks and between prunings; ``zone`` is where the months are counted."""

    look_every: int = 1
    prune_every: int = 3
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        if not 1 <= self.look_every <= self.prune_every <= 24:
            raise PruningScheduleError(
                say(
                    "looking every %(look_every)s months, pruning every %(prune_every)s",
                    look_every=self.look_every,
                    prune_every=self.prune_every,
                ),
                next_step=say("Look at least as often as you prune, from every month to every 24 months."),
            )


@dataclass(frozen=True, slots=True)
class Due:
    """The next chore and its moment, which has passed where it is overdue."""

    chore: Chore
    at: Microseconds


def next_due(
    schedule: PruningSchedule, *, last_look: Microseconds | None, last_pruning: Microseconds | None, now: Microseconds
) -> Due:
    """What is due next, given the last of each (``None``: never). A list is looked at before it is ever pruned.

    Pruning begins with a look, so it counts as one, and comes first where both are due.
    """
    if last_look is None and last_pruning is None:
        return Due(Chore.LOOK, now)
    looked = max(one for one in (last_look, last_pruning) if one is not None)
    look = _months_later(looked, schedule.look_every, schedule.zone)
    # Never pruned: due from the first look on, of which the last one is the nearest that is known.
    prune = look if last_pruning is None else _months_later(last_pruning, schedule.prune_every, schedule.zone)
    return Due(Chore.PRUNE, prune) if prune <= max(look, now) else Due(Chore.LOOK, look)


def _months_later(moment: Microseconds, months: int, zone: tzinfo) -> Microseconds:
    """The same day and time of day so many months later; the last day of a shorter month."""
    local = as_datetime(moment).astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    later = datetime(
        year, month + 1, day, local.hour, local.minute, local.second, local.microsecond, tzinfo=zone, fold=local.fold
    )
    return from_datetime(later)
