"""A rate shared by any number of takers is never exceeded, and what is stranded is bounded."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import SECOND, Microseconds
from mta.shaping.slots import Slots, interval_of, returned, take_slots

START = 1_700_000_000 * SECOND
HORIZON = 5 * SECOND
_TAKES = st.lists(
    st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40
)


@given(st.floats(0.01, 5000), _TAKES)
def test_no_two_messages_are_closer_than_the_rate_allows(rate: float, takes: list[tuple[int, int, int]]) -> None:
    interval, now, free, used = interval_of(rate), START, 0, []
    for pause, wanted, needed in takes:
        now += pause
        slots = take_slots(free, interval, wanted, Microseconds(now), HORIZON)
        assert 0 <= slots.count <= wanted
        assert slots.count <= HORIZON // interval + 1  # what a worker can strand
        if slots.count:
            assert slots.first_at >= now
            assert slots.moment(slots.count - 1) <= now + HORIZON
            free = slots.end
        used += [slots.moment(number) for number in range(min(slots.count, needed))]
        free = returned(free, slots, min(slots.count, needed)) if slots.count else free
    assert all(later - earlier >= interval for earlier, later in pairwise(used))
    if len(used) > 1:
        assert (len(used) - 1) / ((used[-1] - used[0]) / SECOND) <= rate * 1.000001


def test_where_no_slot_is_left_the_answer_says_when_to_come_again() -> None:
    far = START + 60 * SECOND
    slots = take_slots(far, SECOND, 5, Microseconds(START), HORIZON)
    assert slots.count == 0
    again = Microseconds(slots.first_at - HORIZON)
    assert take_slots(far, SECOND, 5, again, HORIZON).count == 1


def test_slots_come_back_only_while_nobody_took_the_next() -> None:
    slots = Slots(Microseconds(START), SECOND, 10)
    assert returned(slots.end, slots, 3) == START + 3 * SECOND
    assert returned(slots.end + SECOND, slots, 3) == slots.end + SECOND
    assert returned(slots.end, slots, 10) == slots.end


def test_unused_slots_pass_by_themselves() -> None:
    slots = take_slots(0, SECOND, 5, Microseconds(START), HORIZON)
    much_later = Microseconds(START + 3600 * SECOND)
    assert take_slots(slots.end, SECOND, 5, much_later, HORIZON).first_at == much_later
