from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.bounce import BounceReason
from warmup.feedback import (
    Action,
    FeedbackRulesSyntaxError,
    Measure,
    ProviderDay,
    Reputation,
    default_rules,
    held_back,
    judge,
    read_rules,
    tallied,
)

FIRST = date(2026, 3, 1)


def _day(number: int = 0, **counts: object) -> ProviderDay:
    return ProviderDay(FIRST + timedelta(days=number), **counts)  # type: ignore[arg-type]


def _fired(*days: ProviderDay) -> tuple[Action, set[str]]:
    judgement = judge(default_rules(), days)
    return judgement.action, {one.rule for one in judgement.objections}


@pytest.mark.parametrize(
    ("counts", "action", "rule"),
    [
        ({"attempts": 10_000, "sent": 9_900, "hard_bounces": 100}, Action.ADVANCE, None),
        ({"attempts": 10_000, "sent": 9_700, "hard_bounces": 250}, Action.HOLD, "bounces-2"),
        ({"attempts": 10_000, "sent": 9_400, "hard_bounces": 600}, Action.STEP_BACK, "bounces-5"),
        ({"attempts": 10_000, "sent": 8_800, "hard_bounces": 1_200}, Action.PAUSE, "bounces-10"),
        ({"attempts": 20_000, "sent": 20_000, "complaints": 14}, Action.ADVANCE, None),
        ({"attempts": 20_000, "sent": 20_000, "complaints": 30}, Action.HOLD, "complaints-0.10"),
        ({"attempts": 20_000, "sent": 20_000, "complaints": 80}, Action.STEP_BACK, "complaints-0.30"),
        ({"attempts": 20_000, "sent": 20_000, "complaints": 150}, Action.PAUSE, "complaints-0.50"),
        ({"attempts": 1_000, "sent": 900, "deferrals": 100}, Action.HOLD, "deferrals-5"),
        ({"attempts": 1_000, "sent": 500, "deferrals": 500}, Action.STEP_BACK, "deferrals-25"),
        ({"attempts": 500, "blocks": {BounceReason.BLOCKED: 500}}, Action.PAUSE, "blocks-50"),
        ({"attempts": 500, "sent": 480, "blocks": {BounceReason.SPAM: 20}}, Action.STEP_BACK, "blocks-1"),
        ({"attempts": 500, "sent": 480, "blocks": {BounceReason.MAILBOX_FULL: 20}}, Action.ADVANCE, None),
        ({"attempts": 9_000, "sent": 9_000, "reported_spam_rate": 0.0009}, Action.ADVANCE, None),
        ({"attempts": 9_000, "sent": 9_000, "reported_spam_rate": 0.0015}, Action.HOLD, "reported-spam-0.10"),
        ({"attempts": 9_000, "sent": 9_000, "reported_spam_rate": 0.006}, Action.STEP_BACK, "reported-spam-0.30"),
        ({"attempts": 100, "sent": 100, "reputation": Reputation.HIGH}, Action.ADVANCE, None),
        ({"attempts": 100, "sent": 100, "reputation": Reputation.LOW}, Action.STEP_BACK, "reputation-low"),
        ({"attempts": 100, "sent": 100, "dmarc_passed": 700, "dmarc_failed": 300}, Action.PAUSE, "dmarc-25"),
        ({"attempts": 5_000, "sent": 5_000, "engaged": 20}, Action.HOLD, "nobody-reads"),
        ({"attempts": 5_000, "sent": 5_000, "engaged": 900}, Action.ADVANCE, None),
    ],
)
def test_the_published_thresholds(counts: dict[str, object], action: Action, rule: str | None) -> None:
    found, rules = _fired(_day(**counts))
    assert found == action
    assert rule is None or rule in rules


@pytest.mark.parametrize(
    "counts",
    [
        {"attempts": 3, "sent": 3, "complaints": 1},
        {"attempts": 100, "sent": 100, "complaints": 2},
        {"attempts": 10, "sent": 8, "hard_bounces": 2},
        {"attempts": 796, "sent": 796, "reported_spam_rate": 1 / 796},
        {"attempts": 20, "sent": 16, "deferrals": 4},
    ],
)
def test_small_numbers_prove_nothing(counts: dict[str, object]) -> None:
    assert _fired(_day(**counts))[0] == Action.ADVANCE


@pytest.mark.parametrize(
    ("granted", "answers", "taken_back", "held"),
    [
        (10_000, (6_009, 9), 3_991, 3_991),  # stopped nine times, each time at the first answer
        (10_000, (6_002, 2), 3_998, 0),  # stray
        (10_000, (0, 0), 10_000, 10_000),  # suspended all day
        (10_000, (6_009, 9), 0, 0),  # cancelled, paused, or nobody was there to send
        (1_000, (1_000, 200), 0, 0),  # all were tried, however many were put off
        (1_000, (1_200, 200), 200, 0),  # tried later on the same day after all
        (0, (500, 20), 0, 0),  # no budget, as with a warm sender
        (500, (150, 20), 2_000, 350),
    ],
)
def test_what_was_held_back_after_a_provider_stopped_us(
    granted: int, answers: tuple[int, int], taken_back: int, held: int
) -> None:
    assert held_back(granted, answers, taken_back) == held


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
@settings(max_examples=100)
def test_no_mail_counts_as_put_off_and_as_held_back(granted: int, attempts: int, taken: int, put_off: int) -> None:
    answers = (attempts, min(put_off, attempts))
    day = _day(attempts=attempts, deferrals=answers[1], held_back=held_back(granted, answers, taken))
    tally = tallied(Measure.DEFERRALS, [day])
    assert tally is not None
    assert tally.trials <= max(granted, attempts)
    assert tally.events <= tally.trials


def test_a_fifth_put_off_holds_and_does_not_step_back() -> None:
    """Granted 1,000, tried 1,000, put off 200."""
    day = _day(attempts=1_000, sent=800, deferrals=200, held_back=held_back(1_000, (1_000, 200), 0))
    assert _fired(day) == (Action.HOLD, {"deferrals-5"})


def test_a_pace_that_stops_at_the_first_deferral_does_not_hide_the_objection() -> None:
    polite = _day(attempts=6_009, sent=6_000, deferrals=9)
    assert _fired(polite)[0] == Action.ADVANCE  # by its answers alone it looks welcome
    told = _day(attempts=6_009, sent=6_000, deferrals=9, held_back=4_000)
    assert _fired(told) == (Action.STEP_BACK, {"deferrals-5", "deferrals-25"})
    blunt = _day(attempts=10_009, sent=6_000, deferrals=4_009)  # what it would have heard
    assert _fired(blunt) == _fired(told)


def test_a_rule_lets_go_only_below_its_second_threshold() -> None:
    between = _day(attempts=100_000, sent=98_000, hard_bounces=1_700)  # 1.7 %: above 1.5, below 2
    below = _day(attempts=100_000, sent=98_800, hard_bounces=1_200)
    assert judge(default_rules(), [between]).clean
    lingering = judge(default_rules(), [between], frozenset({"bounces-2"}))
    assert (lingering.action, [one.rule for one in lingering.lingering]) == (Action.HOLD, ["bounces-2"])
    assert judge(default_rules(), [below], frozenset({"bounces-2"})).clean


def test_what_is_not_known_neither_fires_nor_clears() -> None:
    judgement = judge(default_rules(), [_day(attempts=100, sent=100)])
    assert set(judgement.unknown) == {
        Measure.DMARC_FAILURES,
        Measure.UNREAD,
        Measure.REPORTED_SPAM_RATE,
        Measure.REPUTATION_LOSS,
    }
    assert tallied(Measure.COMPLAINTS, []) is None


def test_the_gravest_objection_comes_first() -> None:
    judgement = judge(default_rules(), [_day(attempts=10_000, sent=8_800, hard_bounces=1_200, deferrals=900)])
    assert [one.rule for one in judgement.objections] == ["bounces-10", "bounces-5", "bounces-2", "deferrals-5"]


def test_the_evidence_is_written_down() -> None:
    days = [
        _day(0, attempts=5_000, sent=4_850, hard_bounces=150),
        _day(1, attempts=5_000, sent=4_850, hard_bounces=150),
    ]
    (evidence,) = judge(default_rules(), days).objections
    assert (evidence.tally.events, evidence.tally.trials, evidence.threshold) == (300, 10_000, 0.02)
    assert 0.02 < evidence.surely < evidence.tally.rate
    assert evidence.sentence() == (
        "hard bounces 300 of 10,000, 3.00 %, surely at least 2.86 % from 2026-03-01 to 2026-03-02: reached 2 %"
        " (bounces-2)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "not TOML"),
        ("x = 1", "1 to 200"),
        (
            '[[rule]]\nname="a"\nmeasure="complaints"\nat=0.1\nclear=0.2\nthen="hold"',
            "rule 1 \\(a\\): 'clear' and 'at'",
        ),
        ('[[rule]]\nname="a"\nmeasure="mood"\nat=0.1\nclear=0.1\nthen="hold"', "mood"),
        ('[[rule]]\nname="a"\nmeasure="complaints"\nat="x"\nclear=0.1\nthen="hold"', "wrong kind"),
        ('[[rule]]\nname="a"\nmeasure="complaints"\nat=true\nclear=0.1\nthen="hold"', "wrong kind"),
        ('[[rule]]\nname="a"\nmeasure="complaints"\nat=0.1\nclear=0.1\nthen="advance"', "hold, step_back or pause"),
        ('[[rule]]\nname="a"\ncolour=1', "unknown key 'colour'"),
        ('[[rule]]\nname="a"', "missing"),
        ("rule = [1]", "no table"),
        (2 * '[[rule]]\nname="a"\nmeasure="complaints"\nat=0.1\nclear=0.1\nthen="hold"\n', "same name"),
        ('[[rule]]\nname="a"\nmeasure="complaints"\nat=0.1\nclear=0.1\nthen="hold"\n[settle]\nclean_days=0', "settle"),
        ("x" * 300_000, "too long"),
    ],
)
def test_rules_that_cannot_be_read_say_where(text: str, message: str) -> None:
    with pytest.raises(FeedbackRulesSyntaxError, match=message):
        read_rules(text)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        _day(blocks={BounceReason.BLOCKED: -1})


def test_every_default_rule_has_a_source_and_can_fire() -> None:
    rules = default_rules().rules
    assert all(rule.source for rule in rules)
    assert {rule.measure for rule in rules} == set(Measure)
    assert {rule.at for rule in rules if rule.measure == Measure.HARD_BOUNCES} == {0.02, 0.05, 0.10}
    assert {0.001, 0.003} <= {rule.at for rule in rules if rule.measure == Measure.COMPLAINTS}
