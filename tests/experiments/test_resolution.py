from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.decision import Verdict, decide
from experiments.observations import Look, Rules, VariantCount
from experiments.resolution import AskPerson, AtDeadline, KeepWaiting, OnWinner, Policy, SendVariant, resolve
from mailtypes.clock import Microseconds


def verdict(first: int, second: int, people: int = 20_000, unsubscribes: tuple[int, int] = (0, 0)) -> Verdict:
    variants = (
        VariantCount("A", people, first, unsubscribes=unsubscribes[0]),
        VariantCount("B", people, second, unsubscribes=unsubscribes[1]),
    )
    return decide(Look(variants), Rules())


WINNER = verdict(400, 510)
SAME = verdict(40_000, 40_050, 200_000)
OPEN = verdict(400, 405)
STOPPED = verdict(510, 400, unsubscribes=(80, 5))
POLICY = Policy("A")
EARLY, DEADLINE, LATE = Microseconds(10), Microseconds(100), Microseconds(101)


@pytest.mark.parametrize(
    ("policy", "found", "now", "expected"),
    [
        (POLICY, WINNER, EARLY, SendVariant("B", WINNER.sentence)),
        (replace(POLICY, on_winner=OnWinner.ASK), WINNER, EARLY, AskPerson("B", WINNER.sentence)),
        (POLICY, SAME, EARLY, SendVariant("A", SAME.sentence)),
        (Policy("B"), SAME, EARLY, SendVariant("B", SAME.sentence)),
        (replace(POLICY, on_winner=OnWinner.ASK), SAME, EARLY, AskPerson("A", SAME.sentence)),
        (POLICY, OPEN, EARLY, KeepWaiting(DEADLINE, OPEN.sentence)),
        (POLICY, OPEN, DEADLINE, SendVariant("A", f"The deadline has come. {OPEN.sentence}")),
        (
            replace(POLICY, at_deadline=AtDeadline.ASK),
            OPEN,
            LATE,
            AskPerson("A", f"The deadline has come. {OPEN.sentence}"),
        ),
        (POLICY, STOPPED, EARLY, KeepWaiting(DEADLINE, STOPPED.sentence)),
        (Policy("B"), STOPPED, LATE, SendVariant("B", f"The deadline has come. {STOPPED.sentence}")),
        (POLICY, WINNER, LATE, SendVariant("B", WINNER.sentence)),
    ],
)
def test_what_the_rest_gets(policy: Policy, found: Verdict, now: Microseconds, expected: object) -> None:
    assert resolve(policy, found, now, DEADLINE) == expected


def test_what_a_guard_rail_stops_needs_a_person() -> None:
    resolution = resolve(POLICY, STOPPED, LATE, DEADLINE)
    assert isinstance(resolution, AskPerson)
    assert resolution.proposed is None
    assert "unsubscribes" in resolution.cause


def test_not_before_the_earliest_moment() -> None:
    policy = replace(POLICY, earliest=Microseconds(50))
    assert resolve(policy, WINNER, Microseconds(49), DEADLINE).until == 50
    assert isinstance(resolve(policy, WINNER, Microseconds(50), DEADLINE), SendVariant)
    late = replace(POLICY, earliest=Microseconds(500))
    assert resolve(late, WINNER, EARLY, DEADLINE).until == DEADLINE
    assert isinstance(resolve(late, WINNER, DEADLINE, DEADLINE), SendVariant)


@given(
    st.sampled_from([WINNER, SAME, OPEN, STOPPED]),
    st.builds(
        Policy,
        st.sampled_from("AB"),
        st.sampled_from(list(OnWinner)),
        st.sampled_from(list(AtDeadline)),
        st.none() | st.integers(0, 300),
    ),
    st.integers(0, 300),
)
def test_it_ends_at_the_deadline_and_never_sends_what_is_stopped(found: Verdict, policy: Policy, now: int) -> None:
    resolution = resolve(policy, found, Microseconds(now), DEADLINE)
    assert isinstance(resolution, KeepWaiting) <= (now < DEADLINE)
    if isinstance(resolution, KeepWaiting):
        assert now < resolution.until <= DEADLINE
    if isinstance(resolution, SendVariant):
        assert resolution.variant not in {one.variant for one in found.guard_rails}
