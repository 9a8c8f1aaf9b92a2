from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene.dormancy import (
    PRESETS,
    QUIET_FOR_A_QUARTER,
    QUIET_FOR_A_YEAR,
    WAITS,
    Condition,
    DormancyRule,
    DormancyRuleError,
    DormancyVerdict,
    Engagement,
    Protection,
    Rhythm,
    Standing,
    as_tree,
    judge_contact,
    low_engagement,
    opened_in_a_row,
    rhythm_of,
    scaled,
)
from hygiene.segments.document import as_document
from hygiene.segments.facts import ActivityFacts, ContactFacts, Known
from hygiene.segments.matching import matches
from hygiene.segments.parse import parse
from hygiene.segments.tree import ActivityKind
from mailtypes.clock import DAY, Microseconds

NOW = Microseconds(20_000 * DAY + 12_345)
ACTIVE, DORMANT, PROTECTED, UNKNOWN = Standing.ACTIVE, Standing.DORMANT, Standing.PROTECTED, Standing.UNKNOWN


def ago(days: float) -> Microseconds:
    return Microseconds(NOW - int(days * DAY))


SILENT = Engagement(
    joined_at=ago(800),
    received=40,
    last_received_at=ago(3),
    opened=9,
    last_opened_at=ago(280),
    clicked=2,
    last_clicked_at=ago(300),
    received_since_opened=12,
    received_since_clicked=20,
    last_action_at=ago(500),
)


def judged(rule: DormancyRule = QUIET_FOR_A_YEAR, **changes: object) -> DormancyVerdict:
    return judge_contact(replace(SILENT, **changes), rule, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", PRESETS.values(), ids=PRESETS)
def test_who_is_silent_in_every_way_is_dormant(rule: DormancyRule) -> None:
    verdict = judged(rule)
    assert verdict.standing is DORMANT
    assert verdict.failed == ()
    assert verdict.cause


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"last_opened_at": ago(59.9)}, Condition.NO_OPEN),
        ({"last_clicked_at": ago(179.9)}, Condition.NO_CLICK),
        ({"last_action_at": ago(364.9)}, Condition.NO_ACTION),
        ({"received_since_opened": 4}, Condition.ENOUGH_MAILS),
        ({"received_since_clicked": 4}, Condition.ENOUGH_MAILS),
    ],
)
def test_one_sign_of_life_is_enough(changes: dict[str, int], failed: Condition) -> None:
    verdict = judged(**changes)
    assert (verdict.standing, verdict.failed) == (ACTIVE, (failed,))


WITHDRAWN = {"last_opened_at": None, "last_clicked_at": None, "known": Known.NOTHING}


@pytest.mark.parametrize("rule", PRESETS.values(), ids=PRESETS)
def test_who_withdrew_is_unknown_and_never_dormant(rule: DormancyRule) -> None:
    verdict = judged(rule, **WITHDRAWN)
    assert verdict.standing is UNKNOWN
    assert verdict.cause == "opens and clicks of this contact are not kept"
    assert set(verdict.held) <= {Condition.NO_ACTION}
    assert verdict.failed == ()


def test_other_evidence_counts_of_who_withdrew() -> None:
    assert judged(**WITHDRAWN, last_action_at=ago(100)).failed == (Condition.NO_ACTION,)
    assert judged(**WITHDRAWN, last_action_at=ago(20)).standing is ACTIVE
    assert judged(**WITHDRAWN, received_since_clicked=2, received_since_opened=2).standing is ACTIVE
    assert judged(**WITHDRAWN, joined_at=ago(10)).standing is PROTECTED


def test_the_day_of_the_last_open_tells_and_its_absence_does_not() -> None:
    assert judged(known=Known.LAST_OPEN, last_clicked_at=None).standing is DORMANT
    assert judged(known=Known.LAST_OPEN, last_clicked_at=None, last_opened_at=ago(100)).standing is ACTIVE
    assert judged(known=Known.LAST_OPEN, last_clicked_at=None, last_opened_at=None).standing is UNKNOWN


def test_who_agreed_lately_is_known_for_as_long() -> None:
    never = {"last_opened_at": None, "last_clicked_at": None}
    assert judged(**never, known_since=ago(179)).standing is UNKNOWN
    assert judged(**never, known_since=ago(180)).standing is DORMANT
    assert judged(**never, known_since=ago(179)).held == (
        Condition.ENOUGH_MAILS,
        Condition.NO_OPEN,
        Condition.NO_ACTION,
    )


@pytest.mark.parametrize("field", ["last_opened_at", "last_clicked_at", "last_action_at"])
def test_never_is_the_longest_silence(field: str) -> None:
    assert judged(**{field: None}).standing is DORMANT


def test_waits_end_to_the_microsecond() -> None:
    assert judged(last_opened_at=ago(60)).standing is ACTIVE
    assert judged(last_opened_at=ago(60) - 1).standing is DORMANT


def test_clicks_can_be_counted_in_mails() -> None:
    assert judged(QUIET_FOR_A_QUARTER, last_clicked_at=ago(10)).standing is DORMANT
    assert judged(QUIET_FOR_A_QUARTER, received_since_clicked=3).standing is DORMANT
    assert judged(QUIET_FOR_A_QUARTER, received_since_clicked=2).standing is ACTIVE
    rule = replace(QUIET_FOR_A_QUARTER, mails_unclicked=25)
    assert judged(rule).failed == (Condition.MAILS_UNCLICKED,)


@pytest.mark.parametrize(
    ("rule", "changes", "tags", "standing"),
    [
        (QUIET_FOR_A_YEAR, {"joined_at": ago(59)}, (), PROTECTED),
        (QUIET_FOR_A_YEAR, {"joined_at": ago(61)}, (), DORMANT),
        (QUIET_FOR_A_YEAR, {"joined_at": None}, (), UNKNOWN),
        (DormancyRule("r", no_click_days=30), {"last_action_at": ago(89)}, (), PROTECTED),
        (DormancyRule("r", no_click_days=30), {"last_action_at": ago(91)}, (), DORMANT),
        (DormancyRule("r", no_click_days=30, protection=Protection(tags=frozenset({"vip"}))), {}, ("vip",), PROTECTED),
        (DormancyRule("r", no_click_days=30, protection=Protection(tags=frozenset({"vip"}))), {}, ("vip2",), DORMANT),
    ],
)
def test_protected_groups(
    rule: DormancyRule, changes: dict[str, Microseconds | None], tags: tuple[str, ...], standing: Standing
) -> None:
    verdict = judge_contact(replace(SILENT, **changes), rule, NOW, frozenset(tags))
    assert verdict.standing is standing
    assert verdict.failed == ()


@pytest.mark.parametrize(
    "options",
    [
        {"no_open_days": 60},
        {},
        {"no_click_days": 0},
        {"no_click_days": 4000},
        {"no_click_days": 30, "least_received": 0},
        {"no_click_days": 30, "mails_unclicked": 0},
        {"no_click_days": 30, "protection": Protection(new_days=-1)},
    ],
)
def test_rules_that_would_harm_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(DormancyRuleError) as caught:
        DormancyRule("r", **options)  # type: ignore[arg-type]
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("mails", "days", "rhythm"),
    [
        (30, 30, Rhythm.DAILY),
        (10, 30, Rhythm.MID),
        (4, 30, Rhythm.WEEKLY),
        (1, 30, Rhythm.MONTHLY),
        (0, 0, Rhythm.MONTHLY),
    ],
)
def test_rhythm_of_a_list(mails: int, days: int, rhythm: Rhythm) -> None:
    assert rhythm_of(mails, timedelta(days=days)) is rhythm


@given(st.sampled_from(list(PRESETS.values())), st.sampled_from(Rhythm), st.booleans())
def test_scaling_waits_for_opens_as_the_rhythm_says_and_shortens_nothing_else(
    rule: DormancyRule, rhythm: Rhythm, is_patient: bool
) -> None:
    found = scaled(rule, rhythm, is_patient=is_patient)
    assert found.no_open_days == WAITS[rhythm][is_patient]
    for before, after in ((rule.no_click_days, found.no_click_days), (rule.no_action_days, found.no_action_days)):
        assert (before is None) == (after is None)
        assert before is None or (after is not None and after >= max(before, found.no_open_days or 0))


moments = (
    st.none() | st.integers(0, 900 * 4).map(lambda quarters: ago(quarters / 4)) | st.sampled_from([ago(60), ago(90)])
)
engagements = st.builds(
    Engagement,
    joined_at=moments,
    received=st.just(50),
    last_opened_at=moments,
    last_clicked_at=moments,
    received_since_opened=st.integers(0, 12),
    received_since_clicked=st.integers(0, 12),
    last_action_at=moments,
    known=st.sampled_from([Known.ALL, Known.ALL, Known.NOTHING]),
    known_since=st.none() | moments,
)
waits = st.none() | st.integers(1, 400)
rules = st.sampled_from(list(PRESETS.values())) | st.builds(
    DormancyRule,
    name=st.just("own"),
    no_open_days=waits,
    no_click_days=st.integers(1, 400),
    mails_unclicked=st.none() | st.integers(1, 9),
    no_action_days=waits,
    least_received=st.integers(1, 8),
    protection=st.builds(
        Protection, st.integers(0, 100), st.integers(0, 200), st.sampled_from([frozenset(), frozenset({"vip"})])
    ),
)
tags = st.sampled_from([frozenset(), frozenset({"vip"})])


@settings(max_examples=200)
@given(engagements, rules, tags)
def test_the_segment_is_exactly_the_dormant(engagement: Engagement, rule: DormancyRule, tags: frozenset[str]) -> None:
    # A row of contacts always knows when it was made, so joined_at is known there.
    engagement = replace(engagement, joined_at=engagement.joined_at or ago(70))
    last = {
        ActivityKind.OPENED: engagement.last_opened_at,
        ActivityKind.CLICKED: engagement.last_clicked_at,
        ActivityKind.ACTED: engagement.last_action_at,
    }
    facts = ContactFacts(
        "a@b.test",
        "b.test",
        created_at=engagement.joined_at or 0,
        tags=tags,
        tracking="off" if engagement.known is Known.NOTHING else None,
        tracked_since=engagement.known_since,
        activity=ActivityFacts(
            last_at={kind: at for kind, at in last.items() if at is not None},
            received_since={
                ActivityKind.OPENED: engagement.received_since_opened,
                ActivityKind.CLICKED: engagement.received_since_clicked,
            },
        ),
    )
    tree = as_tree(rule)
    assert parse(as_document(tree)) == tree
    assert matches(tree, facts, NOW) == (judge_contact(engagement, rule, NOW, tags).standing is DORMANT)


@settings(max_examples=120)
@given(
    engagements, rules, st.sampled_from(["last_opened_at", "last_clicked_at", "last_action_at"]), st.integers(0, 900)
)
def test_a_later_sign_of_life_never_makes_dormant(
    engagement: Engagement, rule: DormancyRule, field: str, days: int
) -> None:
    before = getattr(engagement, field)
    later = replace(engagement, **{field: max(ago(days), before or 0)})
    if judge_contact(later, rule, NOW).standing is DORMANT:
        assert judge_contact(engagement, rule, NOW).standing is DORMANT


@settings(max_examples=120)
@given(engagements, rules, st.integers(1, 400))
def test_silence_only_grows_with_time(engagement: Engagement, rule: DormancyRule, days: int) -> None:
    if judge_contact(engagement, rule, NOW).standing is DORMANT:
        later = Microseconds(NOW + days * DAY)
        assert judge_contact(engagement, rule, later).standing is DORMANT


def test_low_engagement_needs_silence_in_opens_and_clicks() -> None:
    assert low_engagement(replace(SILENT, received_since_opened=5, received_since_clicked=5))
    assert not low_engagement(replace(SILENT, received_since_opened=4, received_since_clicked=9))
    assert not low_engagement(replace(SILENT, received_since_opened=9, received_since_clicked=4))


def test_opened_the_last_three() -> None:
    assert opened_in_a_row([False, True, True, True]) is True
    assert opened_in_a_row([True, True, True, False]) is False
    assert opened_in_a_row([True, True]) is None
