import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene.pruning_schedule import Chore, Due, PruningSchedule, PruningScheduleError, next_due
from mailtypes.clock import DAY, Microseconds, from_datetime

SCHEDULE = PruningSchedule()
moments = st.integers(0, 30_000 * DAY).map(Microseconds)


def at(text: str) -> Microseconds:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("look", "pruning", "now", "chore", "due"),
    [
        (None, None, "2026-05-05", Chore.LOOK, "2026-05-05"),
        ("2026-05-05", None, "2026-05-20", Chore.PRUNE, "2026-06-05"),
        ("2026-05-05", "2026-05-05", "2026-05-20", Chore.LOOK, "2026-06-05"),
        ("2026-07-05", "2026-05-05", "2026-07-20", Chore.PRUNE, "2026-08-05"),
        ("2026-05-05", "2026-05-05", "2026-12-20", Chore.PRUNE, "2026-08-05"),
        ("2026-05-05", "2026-05-05", "2026-07-20", Chore.LOOK, "2026-06-05"),
        ("2026-01-31", "2026-01-31", "2026-02-01", Chore.LOOK, "2026-02-28"),
        ("2026-12-10", "2026-12-10", "2026-12-11", Chore.LOOK, "2027-01-10"),
        (None, "2026-05-05", "2026-05-06", Chore.LOOK, "2026-06-05"),
    ],
)
def test_what_is_due(look: str | None, pruning: str | None, now: str, chore: Chore, due: str) -> None:
    found = next_due(
        SCHEDULE, last_look=at(look) if look else None, last_pruning=at(pruning) if pruning else None, now=at(now)
    )
    assert found == Due(chore, at(due))


def test_months_are_those_of_the_zone() -> None:
    # 23:30 UTC on the last of January is February in Israel, a month later is March there.
    schedule = PruningSchedule(zone=ZoneInfo("Asia/Jerusalem"))
    found = next_due(
        schedule, last_look=at("2026-01-31T23:30"), last_pruning=at("2026-01-31T23:30"), now=at("2026-02-02")
    )
    assert found.at == at("2026-02-28T23:30")


@given(moments, moments, moments)
def test_whoever_does_what_is_due_looks_monthly_and_prunes_quarterly(
    look: Microseconds, pruning: Microseconds, now: Microseconds
) -> None:
    last_look, last_pruning = look, pruning
    prunings = []
    now = Microseconds(max(now, look, pruning))
    for _ in range(14):
        due = next_due(SCHEDULE, last_look=last_look, last_pruning=last_pruning, now=now)
        now = Microseconds(max(now, due.at))
        last_look = now
        if due.chore is Chore.PRUNE:
            last_pruning = now
            prunings.append(now)
    # Once it is regular, there are two looks between prunings, and each quarter has one.
    assert len(prunings) in (4, 5)
    gaps = [(later - earlier) / DAY for earlier, later in itertools.pairwise(prunings)]
    assert all(89 <= gap <= 92 for gap in gaps)


@pytest.mark.parametrize(("look", "prune"), [(0, 3), (4, 3), (1, 25)])
def test_impossible_schedules_are_refused(look: int, prune: int) -> None:
    with pytest.raises(PruningScheduleError):
        PruningSchedule(look, prune)
