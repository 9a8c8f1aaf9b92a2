from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import DAY, Microseconds, from_datetime
from warmup.gate import GateFacts, HygieneCover, HygienePolicy, Precondition, gate
from warmup.jumps import JumpPolicy, jump
from warmup.order import Engagement, order

NOW = from_datetime(datetime(2026, 3, 3, 10, tzinfo=UTC))


def _ago(days: int) -> Microseconds:
    return Microseconds(NOW - days * DAY)


def test_the_most_engaged_come_first() -> None:
    in_order = [
        Engagement(last_click=_ago(2), last_received=_ago(1)),
        Engagement(last_click=_ago(20), last_received=_ago(1)),
        Engagement(last_open=_ago(2), last_received=_ago(1)),
        Engagement(joined=_ago(1)),
        Engagement(joined=_ago(20)),
        Engagement(last_click=_ago(60), last_received=_ago(1)),
        Engagement(last_open=_ago(60), last_received=_ago(1)),
        Engagement(last_open=_ago(120), last_received=_ago(1)),
        Engagement(joined=_ago(400)),
        Engagement(),
        Engagement(last_open=_ago(300), last_received=_ago(1)),
        Engagement(last_received=_ago(1), joined=_ago(500)),
    ]
    keys = [order(one, NOW) for one in in_order]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


Moment = st.none() | st.integers(0, 500).map(_ago)


@given(opened=Moment, received=Moment, joined=Moment, clicked=st.integers(0, 500))
def test_a_click_never_moves_anybody_back(
    opened: Microseconds | None, received: Microseconds | None, joined: Microseconds | None, clicked: int
) -> None:
    """Law: of those who were written to, who clicked as well does not come later."""
    without = Engagement(None, opened, received or _ago(1), joined)
    assert order(Engagement(_ago(clicked), opened, received or _ago(1), joined), NOW) <= order(without, NOW)


def test_the_gate_is_open_only_where_everything_is_known_to_hold() -> None:
    clean = HygieneCover(1_000, 900)
    assert gate(GateFacts(True, True, clean)) == ()
    assert gate(GateFacts(True, None, clean, marketing=False)) == ()
    blocked = gate(GateFacts(False, None, None))
    assert [(one.precondition, one.known) for one in blocked] == [
        (Precondition.AUDIT_PASSED, True),
        (Precondition.ONE_CLICK, False),
        (Precondition.HYGIENE_DONE, False),
    ]
    assert all(one.sentence and one.next_step for one in blocked)
    assert blocked[1].sentence.startswith("It is not known")


@pytest.mark.parametrize(
    ("cover", "done", "part"),
    [
        (HygieneCover(1_000, 900), True, "900 of 1,000 contacts; 90 %"),
        (HygieneCover(1_000, 899), False, "899 of 1,000"),
        (HygieneCover(3, 2, ("Bought",)), False, "The last mails to Bought did harm"),
        (HygieneCover(0, 0), None, "no contacts yet"),
        (HygieneCover(2, 1, policy=HygienePolicy(7, 50)), True, "last 7 days"),
    ],
)
def test_hygiene_counts_by_whom_it_has_looked_at(cover: HygieneCover, done: bool | None, part: str) -> None:
    assert cover.done is done
    assert part in cover.sentence()
    blocked = gate(GateFacts(True, True, cover))
    assert len(blocked) == (0 if done else 1)
    assert all(part in one.sentence and one.known is (done is False) for one in blocked)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HygieneCover(1, 2),
        lambda: HygieneCover(1, -1),
        lambda: HygienePolicy(0),
        lambda: HygienePolicy(30, 0),
        lambda: HygienePolicy(30, 101),
    ],
)
def test_covers_that_cannot_be(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"contacts|days"):
        make()


@pytest.mark.parametrize(
    ("before", "today", "found"),
    [
        ([10_000] * 30, 20_000, False),
        ([10_000] * 30, 20_001, True),
        ([0, 0, 0, 0, 0, 0, 40_000] * 4, 40_000, False),  # a weekly newsletter
        ([100] * 30, 900, False),  # below the floor nothing is a jump
        ([100] * 30, 1_100, True),
        ([], 50_000, None),
        ([9_000, 9_000], 50_000, None),
        ([90_000] + [1_000] * 30, 50_000, True),  # longer ago than thirty days
    ],
)
def test_jumps(before: list[int], today: int, found: bool | None) -> None:
    result = jump(before, today)
    assert result.is_jump is found
    assert f"{today:,}" in result.sentence()


def test_the_sentence_of_a_jump_says_what_to_do() -> None:
    assert jump([10_000] * 5, 35_000).sentence() == (
        "35,000 today, 3.5 times the largest day of the last 30 (10,000); spread it, at most 20,000 a day."
    )
    assert jump([10_000] * 5, 35_000, JumpPolicy(factor=4.0)).is_jump is False
