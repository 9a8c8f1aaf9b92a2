from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene.bounce_policy import (
    SEVEN_IN_A_ROW,
    SOFT_BOUNCE_PRESETS,
    THREE_OVER_TWO_WEEKS,
    BounceAction,
    BouncePolicyError,
    Outcome,
    SoftBounceHistory,
    SoftBouncePolicy,
    decide,
)
from mailtypes.bounce import BLAMES, Blame, BounceReason
from mailtypes.clock import DAY, Microseconds

KEEP, SUPPRESS = BounceAction.KEEP, BounceAction.SUPPRESS
R = BounceReason
SENDERS = [reason for reason, blame in BLAMES.items() if blame is Blame.SENDER]
reasons = st.sampled_from([R.DELIVERED, R.MAILBOX_FULL]) | st.sampled_from(BounceReason)
moments = (st.integers(0, 9) | st.integers(0, 40 * DAY)).map(Microseconds)
outcomes = st.builds(Outcome, reasons, moments, st.booleans())


def history(*days: float, reason: BounceReason = R.MAILBOX_FULL) -> SoftBounceHistory:
    found = SoftBounceHistory()
    for day in days:
        found = found.after(Outcome(reason, Microseconds(int(day * DAY))))
    return found


def after_all(outcomes: list[Outcome]) -> SoftBounceHistory:
    found = SoftBounceHistory()
    for outcome in outcomes:
        found = found.after(outcome)
    return found


@pytest.mark.parametrize(
    ("policy", "days", "is_active", "action"),
    [
        (SEVEN_IN_A_ROW, range(6), False, KEEP),
        (SEVEN_IN_A_ROW, range(7), False, SUPPRESS),
        (SEVEN_IN_A_ROW, range(14), True, KEEP),
        (SEVEN_IN_A_ROW, range(15), True, SUPPRESS),
        (THREE_OVER_TWO_WEEKS, (0, 14), False, KEEP),
        (THREE_OVER_TWO_WEEKS, (0, 1, 13.9), False, KEEP),
        (THREE_OVER_TWO_WEEKS, (0, 1, 14), False, SUPPRESS),
        (THREE_OVER_TWO_WEEKS, range(14), False, KEEP),
    ],
)
def test_presets(policy: SoftBouncePolicy, days: list[float], is_active: bool, action: BounceAction) -> None:
    found = decide(history(*days), policy, is_active=is_active)
    assert found.action is action
    assert found.in_a_row == len(list(days))
    assert found.cause


@given(st.sampled_from(SENDERS), st.booleans(), st.lists(outcomes, max_size=20))
def test_the_senders_fault_never_counts(reason: BounceReason, is_dead: bool, earlier: list[Outcome]) -> None:
    before = after_all(earlier)
    assert before.after(Outcome(reason, Microseconds(41 * DAY), is_dead)) == before


@pytest.mark.parametrize("reason", [R.GREYLISTED, R.AUTO_REPLY, R.UNKNOWN, R.COMPLAINT])
def test_what_says_nothing_of_the_mailbox_does_not_count(reason: BounceReason) -> None:
    assert history(1, 2, reason=reason) == SoftBounceHistory()


@pytest.mark.parametrize("reason", [R.MAILBOX_FULL, R.SUSPENDED, R.FILTERED, R.EXPIRED, R.NETWORK_ERROR])
def test_what_is_the_mailboxs_counts(reason: BounceReason) -> None:
    assert len(history(1, 2, reason=reason).soft_at) == 2


def test_a_hard_bounce_is_not_counted_here() -> None:
    assert SoftBounceHistory().after(Outcome(R.USER_UNKNOWN, Microseconds(1), True)) == SoftBounceHistory()


@given(st.lists(outcomes, max_size=30), st.sampled_from(list(SOFT_BOUNCE_PRESETS.values())), st.booleans())
def test_a_delivery_clears_the_account(earlier: list[Outcome], policy: SoftBouncePolicy, is_active: bool) -> None:
    cleared = after_all(earlier).after(Outcome(R.DELIVERED, Microseconds(41 * DAY)))
    assert cleared.soft_at == ()
    assert decide(cleared, policy, is_active=is_active).action is KEEP


@given(st.lists(outcomes, max_size=40), st.randoms(use_true_random=False))
def test_late_news_changes_nothing(found: list[Outcome], random: Random) -> None:
    mixed = found.copy()
    random.shuffle(mixed)
    assert after_all(mixed) == after_all(found)


@given(st.lists(outcomes, max_size=30), st.sampled_from(list(SOFT_BOUNCE_PRESETS.values())))
def test_an_active_contact_is_never_judged_harder(found: list[Outcome], policy: SoftBouncePolicy) -> None:
    if decide(after_all(found), policy, is_active=True).action is SUPPRESS:
        assert decide(after_all(found), policy, is_active=False).action is SUPPRESS


@given(st.lists(outcomes, max_size=30), st.sampled_from(list(SOFT_BOUNCE_PRESETS.values())), st.booleans())
def test_one_more_soft_bounce_never_helps(found: list[Outcome], policy: SoftBouncePolicy, is_active: bool) -> None:
    before = after_all(found)
    more = before.after(Outcome(R.MAILBOX_FULL, Microseconds(41 * DAY)))
    if decide(before, policy, is_active=is_active).action is SUPPRESS:
        assert decide(more, policy, is_active=is_active).action is SUPPRESS


def test_a_history_is_bounded_and_remembers_its_beginning() -> None:
    found = history(*range(500))
    assert len(found.soft_at) == 64
    assert (found.soft_at[0], found.soft_at[-1]) == (0, 499 * DAY)


@pytest.mark.parametrize(("in_a_row", "active", "days"), [(0, 5, 0), (8, 7, 0), (7, 65, 0), (3, 3, -1)])
def test_impossible_policies_are_refused(in_a_row: int, active: int, days: int) -> None:
    with pytest.raises(BouncePolicyError):
        SoftBouncePolicy("own", in_a_row, active, timedelta(days=days))
