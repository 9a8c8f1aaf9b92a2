"""The laws of the pace: never above the ceiling, always back to it, no flapping around one reply."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import DAY, HOUR, MINUTE, SECOND, Microseconds
from mailtypes.smtp import SmtpReply
from mta.shaping.adaptation import AdaptationPolicy, Finding, Terms, raised_at, react, recover, resume
from mta.shaping.pace import ChangeKind, Limits, Pace
from mta.shaping.rules import RuleScope, ShapingRule, Slowing, Stage, Suspension, built_in_rules

NOW = Microseconds(1_700_000_000 * SECOND)
CEILING = Limits(10, 1000, 40.0)
TERMS = Terms(CEILING)
SLOW = ShapingRule("slow", codes=(421,), slow=Slowing(0.5, 1.0))
PAUSE = ShapingRule("pause", codes=(421,), suspend=Suspension(100, 1000, 2.0, 0.0), connections=2)


def heard(rule: ShapingRule, text: str = "421 slower", rate: float = 0.0) -> Finding:
    return Finding(rule, text, rate)


def after(pace: Pace, rule: ShapingRule, now: int, terms: Terms = TERMS, rate: float = 0.0) -> Pace:
    change = react(pace, heard(rule, rate=rate), terms, Microseconds(now), Random(1))
    return pace if change is None else change.after


def test_a_cut_says_what_by_which_rule_and_why() -> None:
    change = react(Pace(), heard(SLOW, "421 4.7.0 slower"), TERMS, NOW, Random(1))
    assert change is not None
    assert change.kind is ChangeKind.SLOWED
    assert (change.rule, change.evidence, change.until) == ("slow", "421 4.7.0 slower", None)
    assert change.after.under(CEILING) == Limits(10, 1000, 20.0)
    assert change.document()["after"] == {"connections": None, "messages_per_connection": None, "rate": 20.0}


def test_one_reply_that_many_connections_bring_cuts_once() -> None:
    pace = Pace()
    for second in range(59):
        pace = after(pace, SLOW, NOW + second * SECOND)
    assert pace.limits.rate == 20.0
    assert after(pace, SLOW, NOW + 60 * SECOND).limits.rate == 10.0


def test_a_pause_is_heard_though_a_cut_was_just_made_but_not_the_other_way_round() -> None:
    pace = after(Pace(), SLOW, NOW)
    pace = after(pace, PAUSE, NOW + SECOND)
    assert pace.suspended_until == NOW + 101 * SECOND
    assert after(pace, SLOW, NOW + 2 * SECOND) == pace


def test_cuts_end_at_the_floor_and_connections_at_one() -> None:
    pace, rule = Pace(), ShapingRule("x", codes=(421,), slow=Slowing(0.5, 3.0), connections=4)
    seen = []
    for minute in range(8):
        pace = after(pace, rule, NOW + minute * 2 * MINUTE)
        seen.append((pace.limits.rate, pace.limits.connections))
    assert seen == [(20, 4), (10, 2), (5, 1), (3, 1), (3, 1), (3, 1), (3, 1), (3, 1)]


def test_a_limit_below_the_floor_stays_where_it_is() -> None:
    low = Terms(Limits(10, 1000, 0.5))
    assert after(Pace(), SLOW, NOW, low).limits.rate == 0.5


def test_without_a_configured_rate_the_first_cut_goes_by_what_was_measured() -> None:
    free = Terms(Limits(10, 1000))
    assert after(Pace(), SLOW, NOW, free, rate=300.0).limits.rate == 150.0
    assert after(Pace(), SLOW, NOW, free).limits.rate == 1.0  # nothing measured: the least rate, held by the floor


def test_suspensions_grow_with_repetition_up_to_the_longest_and_are_forgotten_in_time() -> None:
    pace, now, lengths = Pace(), int(NOW), []
    for _ in range(6):
        pace = after(pace, PAUSE, now)
        assert pace.suspended_until is not None
        lengths.append((pace.suspended_until - now) // SECOND)
        now = int(pace.suspended_until)
        resumed = resume(pace, Microseconds(now))
        assert resumed is not None
        pace = resumed.after
    assert lengths == [100, 200, 400, 800, 1000, 1000]
    again = after(pace, PAUSE, now + DAY + HOUR)
    assert again.suspended_until == now + DAY + HOUR + 100 * SECOND


def test_a_probe_that_is_refused_right_after_a_short_suspension_counts() -> None:
    short = ShapingRule("short", codes=(421,), suspend=Suspension(10, 100, 2.0, 0.0))
    pace = after(Pace(), short, NOW)
    resumed = resume(pace, Microseconds(NOW + 10 * SECOND))
    assert resumed is not None
    assert after(resumed.after, short, NOW + 11 * SECOND).suspended_until == NOW + 31 * SECOND


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_jitter_stays_in_its_share(seed: int, repetitions: int) -> None:
    rule = replace(PAUSE, suspend=Suspension(100, 1000, 2.0, 0.2))
    pace = Pace(suspensions=repetitions, troubled_at=NOW, changed_at=NOW)
    change = react(pace, heard(rule), TERMS, Microseconds(NOW + 5 * MINUTE), Random(seed))
    assert change is not None
    assert change.until is not None
    base = min(100 * 2**repetitions, 1000)
    assert base * 0.8 <= (change.until - NOW - 5 * MINUTE) / SECOND <= base * 1.2


def test_while_suspended_nothing_that_comes_in_late_changes_anything() -> None:
    pace = after(Pace(), PAUSE, NOW)
    assert react(pace, heard(PAUSE), TERMS, Microseconds(NOW + 99 * SECOND), Random(1)) is None
    assert recover(pace, 500, TERMS, Microseconds(NOW + 99 * SECOND)) is None


def test_a_word_about_one_message_leaves_the_pace_alone() -> None:
    rule = ShapingRule("greylisted", codes=(450,), this_message_only=True)
    assert react(Pace(), heard(rule), TERMS, NOW, Random(1)) is None


def test_a_raise_needs_both_quiet_and_messages() -> None:
    pace = after(Pace(), SLOW, NOW)
    early = recover(pace, 1000, TERMS, Microseconds(NOW + 9 * MINUTE))
    assert early is not None
    assert not early.is_visible
    few = recover(pace, 19, TERMS, Microseconds(NOW + 11 * MINUTE))
    assert few is not None
    assert not few.is_visible
    then = recover(few.after, 1, TERMS, Microseconds(NOW + 11 * MINUTE))
    assert then is not None
    assert then.is_visible
    assert then.after.limits.rate == 24.0  # a tenth of the ceiling, whatever the limit is
    again = recover(then.after, 1000, TERMS, Microseconds(NOW + 12 * MINUTE))
    assert again is not None
    assert not again.is_visible  # one raise, one quiet while


def test_the_quiet_while_doubles_with_trouble_in_a_row() -> None:
    pace = after(Pace(), SLOW, NOW)
    pace = after(pace, SLOW, NOW + 2 * MINUTE)
    sooner = recover(pace, 100, TERMS, Microseconds(NOW + 21 * MINUTE))
    later = recover(pace, 100, TERMS, Microseconds(NOW + 22 * MINUTE))
    assert sooner is not None
    assert later is not None
    assert (sooner.is_visible, later.is_visible) == (False, True)


def test_it_can_be_told_when_the_next_raise_is_due() -> None:
    assert raised_at(Pace(), AdaptationPolicy()) is None
    once = after(Pace(), SLOW, NOW)
    assert raised_at(once, AdaptationPolicy()) == NOW + 10 * MINUTE
    assert raised_at(after(once, SLOW, NOW + 2 * MINUTE), AdaptationPolicy()) == NOW + 22 * MINUTE
    paused = after(Pace(), PAUSE, NOW)
    assert raised_at(paused, AdaptationPolicy()) == NOW + 100 * SECOND + 10 * MINUTE


def test_a_day_without_trouble_forgets_everything() -> None:
    pace = after(Pace(), PAUSE, NOW)
    resumed = resume(pace, Microseconds(NOW + HOUR))
    assert resumed is not None
    change = recover(resumed.after, 1, TERMS, Microseconds(NOW + DAY + 1))
    assert change is not None
    assert change.after == Pace()


def test_resuming_what_is_not_suspended_is_nothing() -> None:
    assert resume(Pace(), NOW) is None


_LIMITS = st.builds(
    Limits,
    st.none() | st.integers(1, 500),
    st.none() | st.integers(1, 5000),
    st.none() | st.floats(0.01, 10_000, allow_nan=False),
)
_RULES = st.sampled_from([*built_in_rules().rules, SLOW, PAUSE])
_STEPS = st.lists(
    st.tuples(st.sampled_from(["heard", "accepted", "resume"]), _RULES, st.integers(1, 4000), st.floats(0, 5000)),
    max_size=40,
)


@given(_LIMITS, _STEPS, st.randoms(use_true_random=False))
def test_no_history_leads_above_the_ceiling_and_every_one_leads_back_to_it(
    ceiling: Limits, steps: list[tuple[str, ShapingRule, int, float]], chance: Random
) -> None:
    terms, pace, now = Terms(ceiling), Pace(), int(NOW)
    for what, rule, number, rate in steps:
        now += number * SECOND
        if what == "heard":
            change = react(pace, heard(rule, rate=rate), terms, Microseconds(now), chance)
        elif what == "accepted":
            change = recover(pace, number, terms, Microseconds(now))
        else:
            change = resume(pace, Microseconds(now))
        if change is not None:
            assert change.before.suspended_until == pace.suspended_until
            pace = change.after
        stands(pace, ceiling)
        assert Pace.from_json(pace.to_json()) == pace
    ended = resume(pace, Microseconds(max(now, pace.suspended_until or 0)))
    pace = pace if ended is None else ended.after
    now = max(now, pace.changed_at or 0)
    for _ in range(400):
        now += 3 * HOUR
        change = recover(pace, 100, terms, Microseconds(now))
        if change is None:
            break
        pace = change.after
        stands(pace, ceiling)
    assert pace.under(ceiling) == ceiling
    assert not pace.is_slowed
    assert recover(pace, 100, terms, Microseconds(now)) is None  # nothing more to write


def stands(pace: Pace, ceiling: Limits) -> None:
    found = pace.under(ceiling)
    for name in ("connections", "messages_per_connection", "rate"):
        limit, highest = getattr(found, name), getattr(ceiling, name)
        assert limit is None or limit > 0
        assert highest is None or (limit is not None and limit <= highest)


@pytest.mark.parametrize("ceiling", [Limits(10, 1000, 5.0), Limits(10, 1000), Limits()])
def test_recovery_takes_no_more_than_its_steps(ceiling: Limits) -> None:
    policy = AdaptationPolicy(quiet=timedelta(minutes=1), memory=timedelta(days=30))
    terms, now = Terms(ceiling, policy), int(NOW)
    rule = ShapingRule("x", codes=(421,), slow=Slowing(0.01, 0.01), connections=1, messages_per_connection=1)
    pace = after(Pace(), rule, now, terms, rate=50.0)
    raises = 0
    while pace.is_slowed:
        now += MINUTE
        change = recover(pace, 20, terms, Microseconds(now))
        assert change is not None
        assert change.is_visible
        pace, raises = change.after, raises + 1
    assert raises <= policy.steps


@pytest.mark.parametrize(
    "values", [{"connections": 0}, {"messages_per_connection": 0}, {"rate": 0.0}, {"rate": float("nan")}]
)
def test_a_limit_of_nothing_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="lets something through"):
        Limits(**values)


def test_gmail_under_a_flood_settles_and_comes_back() -> None:
    """A simulated day: the provider takes 8 a second and refuses what goes beyond."""
    rule = built_in_rules().match("google", Stage.MESSAGE, SmtpReply.of(421, "4.7.28 unusual rate"))
    assert rule is not None
    assert rule.scope is RuleScope.PROVIDER
    terms, chance = Terms(Limits(10, 1000, 20.0)), Random(7)
    pace, now, suspended, changes = Pace(), int(NOW), 0, 0
    for _ in range(24 * 60):
        now += MINUTE
        if pace.is_suspended(Microseconds(now)):
            suspended += 1
            continue
        ended = resume(pace, Microseconds(now))
        pace = pace if ended is None else ended.after
        rate = pace.under(terms.ceiling).rate
        assert rate is not None
        change = (
            react(pace, heard(rule), terms, Microseconds(now), chance)
            if rate > 8
            else recover(pace, int(rate * 60), terms, Microseconds(now))
        )
        if change is not None:
            changes += change.is_visible
            pace = change.after
    assert changes < 60  # it does not flap
    assert suspended < 24 * 60 / 2
