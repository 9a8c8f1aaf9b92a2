"""The laws of the ramp: nothing falls without cause, nothing flaps, nothing rises while somebody objects."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.bounce import BounceReason
from warmup.documents import (
    WarmUpDocumentSyntaxError,
    decision_document,
    read_decision,
    read_state,
    state_document,
)
from warmup.feedback import Action, Measure, ProviderDay, default_rules
from warmup.overrides import pause, resume, set_level, start
from warmup.plans import PRESETS, RampPlan
from warmup.ramp import Cause, Decision, OverrideSyntaxError, Phase, WarmUp, daily_step
from warmup.terms import ProviderTerms, WarmUpPlan

FIRST = date(2026, 3, 1)
PLAN = WarmUpPlan(PRESETS["postmark"])
SETTLE = default_rules().settle


def _begun(plan: WarmUpPlan = PLAN) -> WarmUp:
    return start(plan, WarmUp("google"), FIRST, "audit passed")[0]


Share = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.018, 0.03, 0.07, 0.2, 0.6, 1.0])
Story = st.lists(st.tuples(Share, Share, Share, st.sampled_from([0.0, 0.3, 1.0, 1.0, 1.0])), min_size=1, max_size=70)


def _told(day: date, cap: int, parts: tuple[float, float, float, float]) -> ProviderDay:
    bounced, deferred, complained, used = parts
    attempts = int(cap * used)
    bounces, deferrals = int(attempts * bounced), int(attempts * deferred)
    sent = max(0, attempts - bounces - deferrals)
    return ProviderDay(
        day,
        attempts=attempts,
        sent=sent,
        hard_bounces=bounces,
        deferrals=deferrals,
        complaints=int(sent * complained / 10),
    )


def _live(story: list[tuple[float, float, float, float]], plan: WarmUpPlan = PLAN) -> list[tuple[WarmUp, Decision]]:
    warm_up, days, lived = _begun(plan), [], []
    for number, parts in enumerate(story):
        day = FIRST + timedelta(days=number)
        if warm_up.phase == Phase.PAUSED and number % 5 == 0:
            warm_up = resume(plan, warm_up, day, "mended")[0]
        cap = 0 if warm_up.phase == Phase.PAUSED else plan.cap("google", warm_up.level) or 500_000
        days.append(_told(day, cap, parts))
        warm_up, decision = daily_step(plan, warm_up, days[-10:])
        lived.append((warm_up, decision))
    return lived


@given(story=Story)
@settings(max_examples=60, deadline=None)
def test_nothing_falls_without_a_cause(story: list[tuple[float, float, float, float]]) -> None:
    rules = {rule.name: rule for rule in default_rules().rules}
    for number, (_, decision) in enumerate(_live(story)):
        fell = decision.to_level < decision.from_level
        assert not fell or decision.action in (Action.STEP_BACK, Action.PAUSE)
        if fell and decision.cause == Cause.OBJECTION:
            fired = [one for one in decision.evidence if one.fired]
            assert any(rules[one.rule].then in (Action.STEP_BACK, Action.PAUSE) for one in fired)
            assert all(one.tally.rate >= rules[one.rule].at for one in fired)
            assert all(one.first_day <= decision.day == one.last_day for one in fired)
        elif fell:
            assert decision.cause == Cause.IDLE
            quiet = story[number - SETTLE.idle_days + 1 : number + 1]
            assert number + 1 >= SETTLE.idle_days
            assert quiet


@given(used=st.lists(st.sampled_from([0.1, 0.6, 1.0]), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_without_objection_a_plan_never_falls(used: list[float]) -> None:
    levels = [warm_up.level for warm_up, _ in _live([(0.0, 0.0, 0.0, share) for share in used])]
    assert levels == sorted(levels)


_CLEAN, _SILENT = (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0)
_Spell = st.tuples(
    st.sampled_from(
        [_CLEAN, _CLEAN, _CLEAN, (0.07, 0.0, 0.0, 1.0), (0.0, 0.6, 0.0, 1.0), (0.2, 0.0, 0.0, 1.0), _SILENT]
    ),
    st.integers(1, 9),
)


@given(course=st.lists(_Spell, min_size=3, max_size=14))
@settings(max_examples=60, deadline=None)
def test_it_does_not_flap(course: list[tuple[tuple[float, float, float, float], int]]) -> None:
    """After a fall by objection the level rises only after so many clean days with mail: 2, 4, 8, at most 14."""
    story = [parts for parts, days in [(_CLEAN, 8), *course] for _ in range(days)]
    clean, falls, risen = 0, list[date](), True
    for parts, (_, decision) in zip(story, _live(story), strict=True):
        if decision.cause == Cause.OBJECTION:
            clean = 0
            if decision.to_level < decision.from_level:
                falls, risen = [*falls, decision.day], False
        elif decision.action == Action.ADVANCE and not risen:
            recent = [day for day in falls if falls[-1] - day <= timedelta(SETTLE.forget_days)]
            assert clean + 1 >= min(SETTLE.most_clean_days, SETTLE.clean_days << (len(recent) - 1))
            risen = True
        elif decision.cause in (Cause.CLEAN, Cause.SETTLING, Cause.UNUSED) and parts != _SILENT:
            clean += 1


@given(rate=st.floats(0.0, 0.2), length=st.integers(20, 60))
@settings(max_examples=40, deadline=None)
def test_a_steady_world_does_not_make_it_swing(rate: float, length: int) -> None:
    """With a constant bounce rate the course turns from down to up a few times at most, ever more slowly."""
    levels = [warm_up.level for warm_up, _ in _live([(rate, 0.0, 0.0, 1.0)] * length)]
    turns = sum(a > b < c for a, b, c in zip(levels, levels[1:], levels[2:], strict=False))
    assert turns <= length // 10 + 1


@given(story=Story)
@settings(max_examples=60, deadline=None)
def test_a_level_rises_by_one_and_never_while_a_rule_fires(story: list[tuple[float, float, float, float]]) -> None:
    for _, decision in _live(story):
        if decision.to_level > decision.from_level:
            assert decision.to_level == decision.from_level + 1
            assert decision.action == Action.ADVANCE
            assert decision.evidence == ()


@given(story=Story)
@settings(max_examples=30, deadline=None)
def test_states_survive_json(story: list[tuple[float, float, float, float]]) -> None:
    for warm_up, decision in _live(story):
        assert read_state(state_document(warm_up)) == warm_up
        assert decision_document(decision)["sentence"] == decision.sentence()
        assert read_decision(json.loads(json.dumps(decision_document(decision)))) == decision


def test_a_clean_ramp_follows_its_table_and_ends_warm() -> None:
    lived = _live([(0.0, 0.0, 0.0, 1.0)] * 36)
    caps = [decision.from_cap for _, decision in lived]
    assert tuple(caps[:35]) == PRESETS["postmark"].daily_caps
    assert (lived[-1][0].phase, caps[35]) == (Phase.WARM, None)


def test_one_bad_day_costs_one_step_back() -> None:
    story = [(0.0, 0.0, 0.0, 1.0)] * 8 + [(0.07, 0.0, 0.0, 1.0)] + [(0.0, 0.0, 0.0, 1.0)] * 8
    lived = _live(story)
    fall = lived[8][1]
    assert (fall.action, fall.from_cap, fall.to_cap, fall.alarm) == (Action.STEP_BACK, 9_216, 3_200, True)
    assert [decision.action for _, decision in lived[9:12]] == [Action.HOLD, Action.ADVANCE, Action.ADVANCE]
    assert all(decision.action != Action.STEP_BACK for _, decision in lived[9:])
    assert lived[8][0].phase == Phase.RECOVERING


def test_near_the_objected_level_it_goes_slowly() -> None:
    story = [(0.0, 0.0, 0.0, 1.0)] * 8 + [(0.07, 0.0, 0.0, 1.0)] + [(0.0, 0.0, 0.0, 1.0)] * 12
    levels = [warm_up.level for warm_up, _ in _live(story)]
    assert levels[8:17] == [6, 6, 7, 8, 8, 9, 9, 10, 10]


def test_falls_in_a_row_wait_longer() -> None:
    warm_up, days = replace(_begun(), level=12), []
    needed = []
    for number in range(4):
        day = FIRST + timedelta(days=number)
        days.append(ProviderDay(day, attempts=1_000, sent=930, hard_bounces=70))
        warm_up, _ = daily_step(PLAN, warm_up, days)
        needed.append(warm_up.needed_days)
    assert needed == [2, 4, 8, 14]


def test_spent_days_do_not_count_twice() -> None:
    bad = ProviderDay(FIRST, attempts=10_000, sent=9_300, hard_bounces=700)
    good = ProviderDay(FIRST + timedelta(days=1), attempts=3_200, sent=3_200)
    fallen, _ = daily_step(PLAN, replace(_begun(), level=10), [bad])
    after, decision = daily_step(PLAN, fallen, [bad, good])
    assert (after.level, decision.cause) == (fallen.level, Cause.SETTLING)


def test_at_the_first_level_a_step_back_holds_and_alarms() -> None:
    day = ProviderDay(FIRST, attempts=100, sent=85, hard_bounces=15, deferrals=0)
    rules = default_rules()
    calm = replace(rules, rules=tuple(rule for rule in rules.rules if rule.then != Action.PAUSE))
    warm_up, decision = daily_step(PLAN, _begun(), [day], calm)
    assert (warm_up.level, decision.action, decision.alarm) == (1, Action.HOLD, True)


def test_a_block_that_still_stands_does_not_lower_it_again() -> None:
    blocked = [
        ProviderDay(FIRST + timedelta(days=number), attempts=1_000, blocks={BounceReason.BLOCKED: 1_000})
        for number in range(2)
    ]
    first, decision = daily_step(PLAN, replace(_begun(), level=9), blocked[:1])
    assert (decision.action, first.phase) == (Action.PAUSE, Phase.PAUSED)
    resumed, _ = resume(PLAN, first, FIRST + timedelta(days=1), "asked the provider")
    second, again = daily_step(PLAN, resumed, blocked)
    assert (again.action, second.phase, second.level) == (Action.PAUSE, Phase.PAUSED, first.level)


def test_silent_weeks_halve_what_is_proven() -> None:
    warm_up = _begun()
    days: list[ProviderDay] = []
    for number in range(10):
        cap = PLAN.cap("google", warm_up.level) or 0
        days.append(ProviderDay(FIRST + timedelta(days=number), attempts=cap, sent=cap))
        warm_up, _ = daily_step(PLAN, warm_up, days)
    assert (warm_up.level, warm_up.proven) == (11, 11_059)
    idle = []
    for number in range(10, 38):
        days.append(ProviderDay(FIRST + timedelta(days=number)))
        warm_up, decision = daily_step(PLAN, warm_up, days[-10:])
        if decision.cause == Cause.IDLE:
            idle.append((number - 9, decision.to_cap, warm_up.proven))
    assert idle == [(14, 3_200, 5_529), (28, 1_600, 1_600)]


def test_a_warm_sender_steps_back_from_what_it_has_proven() -> None:
    warm = WarmUp("google", Phase.WARM, level=36, proven=20_000)
    day = ProviderDay(FIRST, attempts=20_000, sent=18_500, hard_bounces=1_500)
    after, decision = daily_step(PLAN, warm, [day])
    assert (decision.from_cap, decision.to_cap, after.phase) == (None, 9_216, Phase.RECOVERING)


def test_a_day_is_judged_once_and_in_order() -> None:
    today = ProviderDay(FIRST, attempts=10, sent=10)
    warm_up, _ = daily_step(PLAN, _begun(), [today])
    with pytest.raises(ValueError, match="judged already"):
        daily_step(PLAN, warm_up, [today])
    with pytest.raises(ValueError, match="in order"):
        daily_step(PLAN, warm_up, [today, today])
    with pytest.raises(ValueError, match="in order"):
        daily_step(PLAN, warm_up, [])


def test_a_cap_that_is_not_used_does_not_grow() -> None:
    warm_up, decision = daily_step(PLAN, _begun(), [ProviderDay(FIRST, attempts=49, sent=49)])
    assert (warm_up.level, decision.cause) == (1, Cause.UNUSED)
    warm_up, decision = daily_step(PLAN, _begun(), [ProviderDay(FIRST, attempts=50, sent=50)])
    assert (warm_up.level, decision.action) == (2, Action.ADVANCE)


def test_overrides_need_a_note() -> None:
    with pytest.raises(OverrideSyntaxError, match="note"):
        start(PLAN, WarmUp("google"), FIRST, "  ")
    with pytest.raises(OverrideSyntaxError, match="too long"):
        pause(PLAN, _begun(), FIRST, "x" * 1_001)
    with pytest.raises(OverrideSyntaxError, match="has begun"):
        start(PLAN, _begun(), FIRST, "again")
    with pytest.raises(OverrideSyntaxError, match="not paused"):
        resume(PLAN, _begun(), FIRST, "go")
    with pytest.raises(OverrideSyntaxError, match="no level 0"):
        set_level(PLAN, _begun(), 0, FIRST, "go")
    with pytest.raises(OverrideSyntaxError, match="has not begun"):
        set_level(PLAN, WarmUp("google"), 5, FIRST, "past the gate")
    paused, decision = pause(PLAN, _begun(), FIRST, "holiday")
    assert (paused.phase, decision.action, decision.cause, decision.note) == (
        Phase.PAUSED,
        Action.PAUSE,
        Cause.OVERRIDE,
        "holiday",
    )
    with pytest.raises(OverrideSyntaxError, match="nothing is being sent"):
        pause(PLAN, paused, FIRST, "again")
    warm, decision = set_level(PLAN, _begun(), 36, FIRST, "came from another service, warm for years")
    assert (warm.phase, decision.to_cap, decision.action) == (Phase.WARM, None, Action.ADVANCE)
    assert "came from another service" in decision.sentence()


def test_what_has_not_begun_is_not_judged() -> None:
    warm_up, decision = daily_step(PLAN, WarmUp("google"), [ProviderDay(FIRST, attempts=100, sent=100)])
    assert (warm_up.phase, decision.cause, decision.to_cap) == (Phase.WAITING, Cause.RESTING, 0)


def test_unknown_measures_are_told() -> None:
    _, decision = daily_step(PLAN, _begun(), [ProviderDay(FIRST, attempts=100, sent=100)])
    assert Measure.REPORTED_SPAM_RATE in decision.unknown


def test_documents_that_are_none() -> None:
    with pytest.raises(WarmUpDocumentSyntaxError):
        read_state({"provider": "google"})
    with pytest.raises(WarmUpDocumentSyntaxError):
        read_state(state_document(_begun()) | {"phase": "asleep"})


def test_a_short_plan_with_a_ceiling_stays_at_it() -> None:
    plan = WarmUpPlan(RampPlan("short", (10, 20, 40, 80), "invented"), ProviderTerms(ceiling=30))
    lived = _live([(0.0, 0.0, 0.0, 1.0)] * 6, plan)
    assert [decision.to_cap for _, decision in lived] == [20, 30, 30, 30, 30, 30]
    assert lived[-1][0].phase == Phase.WARM
