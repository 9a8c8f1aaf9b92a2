from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene.dormancy import QUIET_FOR_A_YEAR, Engagement, judge_contact
from hygiene.pruning import (
    LOW_ENGAGEMENT_TAG,
    Applied,
    Candidate,
    ContactState,
    ListNumbers,
    Move,
    Place,
    PruningError,
    PruningPlan,
    PruningPolicy,
    PruningStep,
    apply,
    plan_pruning,
    undo,
)
from hygiene.reengagement import Reengagement, ReengagementError, ReengagementPolicy, ReengagementStage, next_step
from mailtypes.clock import DAY, Microseconds

NOW = Microseconds(20_000 * DAY)
POLICY = PruningPolicy()


def ago(days: float) -> Microseconds:
    return Microseconds(NOW - int(days * DAY))


DORMANT = Engagement(ago(900), received=30, received_since_opened=30, received_since_clicked=30)
READING = replace(DORMANT, opened=20, last_opened_at=ago(2), received_since_opened=0)
FAINT = replace(DORMANT, last_opened_at=ago(40), received_since_opened=6, received_since_clicked=30)
OVER = Reengagement(ago(60), 3, ago(20))
IN_REENGAGEMENT = ContactState(Place.REENGAGING, frozenset(), OVER)
PART = ListNumbers(1, 30, 2, 3)
WHOLE = ListNumbers(1000, 30_000, 600, 6000)


def candidate(engagement: Engagement, state: ContactState | None = None, number: int = 1) -> Candidate:
    verdict = judge_contact(engagement, QUIET_FOR_A_YEAR, NOW)
    return Candidate(number, state or ContactState(), verdict, engagement, PART)


def plan(*candidates: Candidate, policy: PruningPolicy = POLICY) -> PruningPlan:
    return plan_pruning(candidates, WHOLE, policy, NOW)


TAGGED = ContactState(tags=frozenset({LOW_ENGAGEMENT_TAG, "vip"}))


@pytest.mark.parametrize(
    ("engagement", "state", "move"),
    [
        (DORMANT, ContactState(), Move.REENGAGE),
        (READING, ContactState(), None),
        (FAINT, ContactState(), Move.TAG),
        (FAINT, TAGGED, None),
        (READING, TAGGED, Move.UNTAG),
        (DORMANT, IN_REENGAGEMENT, Move.ARCHIVE),
        (READING, IN_REENGAGEMENT, Move.WIN_BACK),
        (DORMANT, replace(IN_REENGAGEMENT, reengagement=Reengagement(ago(60), 2, ago(20))), None),
        (DORMANT, replace(IN_REENGAGEMENT, reengagement=Reengagement(ago(60), 3, ago(13))), None),
        (replace(DORMANT, joined_at=ago(10)), IN_REENGAGEMENT, Move.WIN_BACK),
        (DORMANT, ContactState(Place.SUPPRESSED), None),
        (DORMANT, ContactState(Place.ARCHIVED), None),
    ],
)
def test_what_a_plan_does(engagement: Engagement, state: ContactState, move: Move | None) -> None:
    steps = plan(candidate(engagement, state)).steps
    assert [step.move for step in steps] == ([] if move is None else [move])
    assert all(step.before == state and step.after != state and step.why for step in steps)


def test_nobody_is_removed_without_a_re_engagement() -> None:
    state, now, engagement = {1: ContactState()}, NOW, DORMANT
    moves, sent = [], 0
    for _ in range(60):  # a day at a time
        found = candidate(engagement, state[1])
        steps = plan_pruning([found], WHOLE, POLICY, now).steps
        moves += [step.move for step in steps]
        state, _ = apply(replace(plan(), steps=steps), state)
        progress = state[1].reengagement
        if progress and next_step(progress, engagement, POLICY.reengagement, now).stage is ReengagementStage.SEND:
            sent += 1
            state[1] = replace(state[1], reengagement=progress.after_mail(now))
        now = Microseconds(now + DAY)
    assert moves == [Move.REENGAGE, Move.ARCHIVE]
    assert sent == 3
    assert state[1].place is Place.ARCHIVED


def test_removal_is_by_policy() -> None:
    policy = PruningPolicy(removal=Move.SUPPRESS)
    (step,) = plan(candidate(DORMANT, IN_REENGAGEMENT), policy=policy).steps
    assert (step.move, step.after.place, step.after.reengagement) == (Move.SUPPRESS, Place.SUPPRESSED, None)


def test_numbers_count_out_the_removed_alone() -> None:
    found = plan(candidate(DORMANT, IN_REENGAGEMENT), candidate(DORMANT, number=2), candidate(FAINT, number=3))
    assert found.moves == {Move.ARCHIVE: 1, Move.REENGAGE: 1, Move.TAG: 1}
    assert found.before == WHOLE
    assert found.after == ListNumbers(999, 29_970, 598, 5997)
    assert found.after.open_rate == 5997 / (29_970 - 598)
    assert found.after.bounce_rate == 598 / 29_970
    assert ListNumbers(0, 0, 0, 0).open_rate is ListNumbers(0, 0, 0, 0).bounce_rate is None


def test_a_list_that_is_mostly_dormant_is_doubted() -> None:
    many = [candidate(DORMANT, number=number) for number in range(501)]
    assert "were recorded" in plan(*many).doubt
    assert plan(*many[:500]).doubt == ""


states = st.builds(
    ContactState,
    st.sampled_from(Place),
    st.frozensets(st.sampled_from([LOW_ENGAGEMENT_TAG, "vip"])),
    st.none() | st.just(OVER),
)
contacts = st.dictionaries(st.integers(1, 6), st.tuples(states, st.sampled_from([DORMANT, READING, FAINT])), max_size=6)


@settings(max_examples=120)
@given(contacts, st.dictionaries(st.integers(1, 6), states, max_size=3), st.booleans())
def test_apply_then_undo_is_identity(
    found: dict[int, tuple[ContactState, Engagement]], drifted: dict[int, ContactState], is_removed: bool
) -> None:
    """Also where contacts changed, came or went between the plan and its application."""
    made = plan(*(candidate(engagement, state, number) for number, (state, engagement) in found.items()))
    state = {number: state for number, (state, _) in found.items()} | drifted
    if is_removed and state:
        del state[min(state)]
    applied_state, applied = apply(made, state)
    assert undo(applied, applied_state)[0] == state
    assert set(applied.done) | set(applied.skipped) == set(made.steps)
    assert all(applied_state[step.contact_id] == step.after for step in applied.done)
    assert all(applied_state.get(step.contact_id) == state.get(step.contact_id) for step in applied.skipped)
    if not drifted and not is_removed:
        assert applied.skipped == ()


@settings(max_examples=120)
@given(contacts, st.dictionaries(st.integers(1, 6), states, max_size=3))
def test_what_happened_since_is_not_undone(
    found: dict[int, tuple[ContactState, Engagement]], since: dict[int, ContactState]
) -> None:
    made = plan(*(candidate(engagement, state, number) for number, (state, engagement) in found.items()))
    state = {number: state for number, (state, _) in found.items()}
    applied_state, applied = apply(made, state)
    now = applied_state | since
    after, undone = undo(applied, now)
    for step in applied.done:
        changed = now[step.contact_id] != step.after
        assert after[step.contact_id] == (now[step.contact_id] if changed else step.before)
        assert (step in undone.skipped) == changed
    assert after.keys() == now.keys()


def test_a_contact_with_two_steps_is_brought_back_to_the_first() -> None:
    one, two, three = ContactState(), TAGGED, IN_REENGAGEMENT
    steps = (PruningStep(1, Move.TAG, "x", one, two), PruningStep(1, Move.REENGAGE, "x", two, three))
    state, applied = apply(replace(plan(), steps=steps), {1: one})
    assert state == {1: three}
    assert undo(applied, state)[0] == {1: one}
    assert undo(Applied((), ()), state)[0] == state


@pytest.mark.parametrize(
    ("progress", "stage", "mail"),
    [
        (Reengagement(ago(0)), ReengagementStage.SEND, 1),
        (Reengagement(ago(9), 1, ago(6.9)), ReengagementStage.WAIT, 0),
        (Reengagement(ago(9), 1, ago(7)), ReengagementStage.SEND, 2),
        (Reengagement(ago(30), 3, ago(13.9)), ReengagementStage.WAIT, 0),
        (Reengagement(ago(30), 3, ago(14)), ReengagementStage.GIVEN_UP, 0),
    ],
)
def test_steps_of_a_re_engagement(progress: Reengagement, stage: ReengagementStage, mail: int) -> None:
    found = next_step(progress, DORMANT, ReengagementPolicy(), NOW)
    assert (found.stage, found.mail) == (stage, mail)
    assert (found.until is not None) == (stage is ReengagementStage.WAIT)


@pytest.mark.parametrize("field", ["last_opened_at", "last_clicked_at", "last_action_at"])
def test_a_sign_of_life_ends_it(field: str) -> None:
    progress = Reengagement(ago(30), 3, ago(20))
    before, since = (replace(DORMANT, **{field: ago(days)}) for days in (30.1, 30))
    assert next_step(progress, before, ReengagementPolicy(), NOW).stage is ReengagementStage.GIVEN_UP
    assert next_step(progress, since, ReengagementPolicy(), NOW).stage is ReengagementStage.WON_BACK


def test_impossible_policies_and_numbers_are_refused() -> None:
    for mails in (1, 4):
        with pytest.raises(ReengagementError):
            ReengagementPolicy(mails=mails)
    with pytest.raises(ReengagementError):
        ReengagementPolicy(patience=timedelta(hours=23))
    with pytest.raises(PruningError):
        PruningPolicy(removal=Move.TAG)
    with pytest.raises(PruningError):
        ListNumbers(1, 10, 6, 5)
