import itertools
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.clock import HOUR, Microseconds, from_datetime
from warmup.caps import Caps, Purpose, Used, allowance, place, remaining, tightest
from warmup.feedback import ProviderDay
from warmup.forecast import forecast
from warmup.overrides import pause, start
from warmup.plans import PRESETS, PlanSyntaxError, RampPlan, doubling, growing, read_table
from warmup.ramp import Phase, WarmUp, daily_step
from warmup.rhythm import Rhythm
from warmup.terms import Overflow, ProviderTerms, WarmUpPlan, preset
from warmup.waiting import Budget, Wait, WaitingReason, why_waiting

RHYTHM = Rhythm("Asia/Jerusalem", quiet=(22, 7), weekend=frozenset({4, 5}), weekend_share=0.5)
PLAN = WarmUpPlan(RampPlan("own", (100, 1_200, 5_000), "invented"), rhythm=Rhythm("Asia/Jerusalem"))
NOON = from_datetime(datetime(2026, 3, 3, 10, tzinfo=UTC))  # a Tuesday, 12:00 in Jerusalem
MARKETING, TRANSACTIONAL = Purpose.MARKETING, Purpose.TRANSACTIONAL


def _at(level: int, provider: str = "google") -> WarmUp:
    return WarmUp(provider, Phase.RAMPING, level)


def _why(plan: WarmUpPlan, warm_up: WarmUp, day: Used, hour: Used, now: Microseconds = NOON) -> WaitingReason:
    budget = Budget("news.example", allowance(plan, warm_up, now), day, hour)
    reason = why_waiting([budget], MARKETING, plan.rhythm, now)
    assert reason is not None
    return reason


def test_caps_of_day_and_hour() -> None:
    caps = allowance(PLAN, _at(2), NOON)
    assert (caps.day.limit, caps.hour.limit) == (1_200, 120)
    assert caps.day.begins == from_datetime(datetime(2026, 3, 2, 22, tzinfo=UTC))
    assert (caps.hour.begins, caps.hour.ends) == (NOON, NOON + HOUR)
    assert remaining(caps, MARKETING, Used(1_100, 1_100), Used(30, 30)) == 90
    assert remaining(caps, MARKETING, Used(1_150, 1_150), Used(30, 30)) == 50
    assert remaining(caps, MARKETING, Used(9_999, 0), Used()) == 0


def test_presets_keep_their_hours() -> None:
    caps = allowance(preset("sendgrid"), _at(1), NOON)
    assert (caps.day.limit, caps.hour.limit) == (480, 20)
    assert allowance(preset("billionmail"), _at(1), NOON).hour.limit == 100
    with pytest.raises(KeyError):
        preset("nobody")


@given(
    level=st.integers(1, 40),
    reserve=st.fractions(0, Fraction(9, 10)),
    share=st.fractions(Fraction(1, 50), 1),
    days=st.integers(0, 7),
    name=st.sampled_from(sorted(PRESETS)),
)
@settings(max_examples=60, deadline=None)
def test_marketing_never_reaches_the_reserve(
    level: int, reserve: Fraction, share: Fraction, days: int, name: str
) -> None:
    """Law: hour by hour, whatever is granted stays within the day, and marketing mail leaves the reserve alone."""
    plan = WarmUpPlan(PRESETS[name], hourly_share=share, rhythm=RHYTHM, reserve=reserve)
    begins = plan.rhythm.begins(date(2026, 3, 24) + timedelta(days=days))  # a change of the clocks is near
    day, moment = Used(), begins
    while plan.rhythm.day_of(Microseconds(moment)) == plan.rhythm.day_of(begins):
        caps = allowance(plan, _at(level), Microseconds(moment))
        granted = remaining(caps, MARKETING, day, Used())
        if granted is None:
            assert plan.cap("google", level) is None
            return
        day = Used(day.total + granted, day.marketing + granted)
        assert remaining(caps, MARKETING, day, Used(granted, granted)) == 0
        moment = caps.hour.ends
    cap = plan.cap("google", level) or 0
    assert day.marketing <= cap - plan.reserved(cap)
    assert day.marketing == plan.marketing_cap(cap, plan.rhythm.day_of(begins))
    left = remaining(allowance(plan, _at(level), begins), TRANSACTIONAL, day, Used())
    assert left is not None
    assert left >= min(plan.reserved(cap), plan.hour_cap(cap))


@given(cap=st.integers(1, 200), reserve=st.fractions(0, Fraction(99, 100)), share=st.fractions(Fraction(1, 50), 1))
@settings(max_examples=80, deadline=None)
def test_a_reserve_never_takes_a_small_cap_whole(cap: int, reserve: Fraction, share: Fraction) -> None:
    plan = WarmUpPlan(RampPlan("small", (cap,), "invented"), hourly_share=share, reserve=reserve)
    assert plan.marketing_cap(cap, date(2026, 3, 3)) >= 1
    assert remaining(allowance(plan, _at(1), NOON), MARKETING, Used(), Used()) != 0


def test_a_day_without_a_share_is_over_before_mail_goes_on() -> None:
    rhythm = Rhythm("Asia/Jerusalem", weekend=frozenset({1}), weekend_share=0.5)
    plan = WarmUpPlan(RampPlan("one", (1,), "invented"), rhythm=rhythm)
    assert _why(plan, _at(1), Used(), Used()).next_told == "00:00 Asia/Jerusalem"


def test_transactional_mail_knows_no_quiet_hours() -> None:
    plan = WarmUpPlan(PRESETS["postmark"], rhythm=RHYTHM, reserve=Fraction(1, 10))
    night = from_datetime(datetime(2026, 3, 3, 21, tzinfo=UTC))
    caps = allowance(plan, _at(5), night)
    assert remaining(caps, MARKETING, Used(), Used()) == 0
    assert remaining(caps, TRANSACTIONAL, Used(), Used()) == 160
    warm = allowance(plan, WarmUp("google", Phase.WARM, 99), night)
    assert remaining(warm, MARKETING, Used(), Used()) == 0
    assert remaining(warm, TRANSACTIONAL, Used(), Used()) is None


def test_half_a_day_of_rest() -> None:
    plan = WarmUpPlan(PRESETS["postmark"], rhythm=RHYTHM)
    friday = from_datetime(datetime(2026, 3, 6, 10, tzinfo=UTC))
    assert allowance(plan, _at(5), friday).day.marketing_limit == 800
    assert allowance(plan, _at(5), NOON).day.marketing_limit == 1_600


def test_starting_points_and_ceilings_by_provider() -> None:
    plan = WarmUpPlan(
        PRESETS["postmark"],
        ProviderTerms(ceiling=1_000),
        {"google": ProviderTerms(30, 500), "yahoo": ProviderTerms(first=900), "small": ProviderTerms(30)},
    )
    assert plan.levels("google") == (30, 60, 100, 200, 400, 500)
    assert plan.levels("anybody") == (100, 200, 400, 800, 1_000)
    assert plan.levels("yahoo")[:3] == (900, 1_600, 3_200)
    assert plan.levels("small")[:3] == (30, 60, 100)
    assert (plan.cap("google", 0), plan.cap("google", 7), plan.cap("yahoo", 99)) == (0, 500, None)
    for wrong in ({"first": 0}, {"ceiling": 0}, {"first": 10, "ceiling": 5}):
        with pytest.raises(ValueError, match=r"ramp|starting"):
            ProviderTerms(**wrong)


@given(first=st.integers(1, 3_000_000), ceiling=st.integers(1, 3_000_000), name=st.sampled_from(sorted(PRESETS)))
@settings(max_examples=100, deadline=None)
def test_levels_rise_from_start_to_ceiling(first: int, ceiling: int, name: str) -> None:
    if first > ceiling:
        first, ceiling = ceiling, first
    levels = WarmUpPlan(PRESETS[name], ProviderTerms(first, ceiling)).levels("any")
    assert (levels[0], levels[-1]) == (min(first, ceiling), ceiling)
    assert all(before < after for before, after in itertools.pairwise(levels))


@given(wanted=st.integers(0, 10**6), left=st.none() | st.integers(0, 10**6), overflow=st.sampled_from(Overflow))
def test_nobody_gets_lost_in_the_overflow(wanted: int, left: int | None, overflow: Overflow) -> None:
    placed = place(wanted, left, overflow)
    assert placed.now + placed.waits + placed.warm_pool + placed.cut == wanted
    assert left is None or placed.now <= left


def test_the_tightest_of_all_budgets_counts() -> None:
    assert tightest([None, 5, 3]) == 3
    assert tightest([None]) is None
    address, domain = allowance(PLAN, _at(3), NOON), allowance(PLAN, _at(1), NOON)
    budgets = [Budget("192.0.2.1", address, Used(), Used()), Budget("news.example", domain, Used(100, 100), Used())]
    reason = why_waiting(budgets, MARKETING, PLAN.rhythm, NOON)
    assert reason is not None
    assert reason.subject == "news.example"
    assert why_waiting(budgets[:1], MARKETING, PLAN.rhythm, NOON) is None


def test_reasons_as_sentences() -> None:
    day_used = _why(PLAN, _at(2), Used(1_200, 1_200), Used(0, 0))
    assert day_used.sentence() == (
        "google budget of news.example of today used: 1,200 of 1,200; next at 00:00 Asia/Jerusalem"
    )
    hour_used = _why(PLAN, _at(2), Used(120, 120), Used(120, 120))
    assert hour_used.sentence() == (
        "google budget of news.example of this hour used: 120 of 120; next at 13:00 Asia/Jerusalem"
    )
    reserving = WarmUpPlan(PLAN.ramp, rhythm=PLAN.rhythm, reserve=Fraction(1, 10))
    reserved = _why(reserving, _at(2), Used(108, 108), Used(108, 108))
    assert reserved.wait == Wait.RESERVED
    assert "108 of 108 used by marketing mail, the rest is kept for transactional mail" in reserved.sentence()
    quiet = WarmUpPlan(PLAN.ramp, rhythm=RHYTHM)
    closed = _why(quiet, _at(2), Used(), Used(), from_datetime(datetime(2026, 3, 3, 21, tzinfo=UTC)))
    assert closed.sentence() == (
        "Quiet hours or a day of rest: google budget of news.example opens at 07:00 Asia/Jerusalem"
    )
    resting = WarmUpPlan(PLAN.ramp, rhythm=Rhythm("Asia/Jerusalem", weekend=frozenset({1}), weekend_share=0.0))
    rest = _why(resting, _at(2), Used(), Used())
    assert (rest.wait, rest.next_told) == (Wait.CLOSED, "00:00 Asia/Jerusalem")
    late = from_datetime(datetime(2026, 3, 3, 19, 30, tzinfo=UTC))  # 21:30: the next hour is quiet
    assert _why(quiet, _at(2), Used(120, 120), Used(120, 120), late).next_told == "07:00 Asia/Jerusalem"


def test_reasons_that_need_a_person() -> None:
    paused, _ = pause(PLAN, _at(2), date(2026, 3, 3), "complaints 0.52 %")
    assert _why(PLAN, paused, Used(), Used()).sentence() == (
        "The warm-up is paused, google budget of news.example: complaints 0.52 %; it goes on when somebody resumes it"
    )
    waiting = _why(PLAN, WarmUp("google"), Used(), Used())
    assert (waiting.wait, waiting.next_at) == (Wait.NOT_BEGUN, None)


def test_forecast() -> None:
    plan = WarmUpPlan(RampPlan("own", (100, 200, 400), "invented"), rhythm=Rhythm("Asia/Jerusalem"))
    found = forecast(plan, [_at(1)], {"google": 450, "yahoo": 10_000}, NOON, {"google": 40})
    google, yahoo = found.providers
    assert google.by_day == ((date(2026, 3, 3), 60), (date(2026, 3, 4), 200), (date(2026, 3, 5), 190))
    assert yahoo.by_day == ((date(2026, 3, 3), 10_000),)  # no ramp, no limit
    assert found.sentence() == "Done on 2026-03-05 (Asia/Jerusalem), if nothing objects."
    stuck = forecast(plan, [WarmUp("google", Phase.PAUSED, 1), _at(1)], {"google": 5}, NOON)
    assert (stuck.ends, stuck.sentence()[:27]) == (None, "No end in sight for google:")
    assert forecast(plan, [], {"google": 0}, NOON).sentence() == "Nothing waits."


def test_forecast_fits_both_budgets_and_the_days_of_rest() -> None:
    plan = WarmUpPlan(
        RampPlan("own", (100, 200, 400), "invented"),
        rhythm=Rhythm("Asia/Jerusalem", weekend=frozenset({4, 5}), weekend_share=0.0),
    )
    found = forecast(plan, [_at(1), _at(3)], {"google": 1_000}, NOON)
    days = dict(found.providers[0].by_day)
    assert days == {date(2026, 3, 3): 100, date(2026, 3, 4): 200, date(2026, 3, 5): 400, date(2026, 3, 8): 300}


@given(waiting=st.integers(1, 60_000), level=st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_the_forecast_is_what_happens_where_nothing_objects(waiting: int, level: int) -> None:
    plan = WarmUpPlan(PRESETS["postmark"])
    found = forecast(plan, [_at(level)], {"google": waiting}, NOON).providers[0]
    warm_up, left, history = _at(level), waiting, []
    for day, expected in found.by_day:
        sent = min(left, plan.cap("google", warm_up.level) or left)
        assert sent == expected
        left -= sent
        history.append(ProviderDay(day, attempts=sent, sent=sent))
        warm_up, _ = daily_step(plan, warm_up, history[-10:])
    assert left == 0


def test_own_tables() -> None:
    assert read_table("mine", "100 1,000;2_000\n2000").daily_caps == (100, 1_000, 2_000, 2_000)
    for text, place_of in (("100 x 3", (1, 5)), ("100 50", (1, 5)), ("0", (1, 1)), ("1\n-2", (2, 1))):
        with pytest.raises(PlanSyntaxError) as caught:
            read_table("mine", text)
        assert caught.value.line_and_column == place_of
    with pytest.raises(PlanSyntaxError, match="empty"):
        read_table("mine", " ; ")
    with pytest.raises(PlanSyntaxError, match="too many"):
        read_table("mine", "5 " * 1_001)
    assert doubling(1_000, 300).daily_caps == (300, 600, 1_000)
    assert growing(200, 100, 50).daily_caps == (100, 150, 200)
    for wrong in (lambda: doubling(10, 20), lambda: growing(100, 5, 10), lambda: growing(10, 20, 50)):
        with pytest.raises(ValueError, match="cannot grow"):
            wrong()


def test_a_plan_needs_sensible_shares() -> None:
    for wrong in ({"hourly_share": Fraction(0)}, {"reserve": Fraction(1)}):
        with pytest.raises(ValueError, match="share"):
            WarmUpPlan(PLAN.ramp, **wrong)  # type: ignore[arg-type]


def test_caps_are_told_with_the_phase() -> None:
    caps = allowance(PLAN, start(PLAN, WarmUp("google"), date(2026, 3, 3), "go")[0], NOON)
    assert isinstance(caps, Caps)
    assert (caps.phase, caps.day.limit_for(TRANSACTIONAL), caps.day.limit_for(MARKETING)) == (Phase.RAMPING, 100, 100)
