"""Every rule is held to its examples, and the examples to their rule; what is malformed is refused by name."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.destinations import provider_rules
from mta.shaping.rules import (
    Example,
    ShapingRule,
    ShapingRulesError,
    Stage,
    StatusRange,
    built_in_rules,
    read_rules,
)

BOOK = built_in_rules()
_CASES = [(rule, example) for rule in BOOK.rules for example in rule.examples]


def reply(text: str) -> SmtpReply:
    return SmtpReply.of(int(text[:3]), text[4:])


@pytest.mark.parametrize(("rule", "example"), _CASES, ids=[f"{one.name}: {two.reply[:40]}" for one, two in _CASES])
def test_an_example_meets_its_rule_first(rule: ShapingRule, example: Example) -> None:
    found = BOOK.match(example.provider, example.stage, reply(example.reply))
    assert found is not None
    assert found.name == rule.name


def test_every_rule_has_examples_a_source_and_providers_that_exist() -> None:
    known = {rule.provider for rule in provider_rules()}
    for rule in BOOK.rules:
        assert rule.examples, rule.name
        assert rule.source, rule.name
        assert set(rule.providers) <= known, rule.name
        if rule.providers:
            assert {example.provider for example in rule.examples} <= set(rule.providers), rule.name
    assert set(BOOK.destination_limits) | set(BOOK.provider_limits) <= known


@pytest.mark.parametrize(
    ("provider", "stage", "text"),
    [
        ("google", "message", "550 5.1.1 The email account that you tried to reach does not exist."),
        ("google", "message", "552 5.2.2 The email account that you tried to reach is over quota"),
        ("google", "message", "250 2.0.0 OK, rate limit? too many connections? greylisted?"),
        ("", "message", "452 4.2.2 Mailbox full"),
        ("", "message", "554 5.7.1 Message rejected as spam"),
        ("", "message", "451 4.3.0 Temporary lookup failure"),
        ("", "message", "421 4.3.2 System shutting down"),
        ("yahoo", "message", "554 delivery error: dd This user doesn't have a yahoo.com account"),
        ("microsoft365", "message", "550 5.4.1 Recipient address rejected: Access denied"),
        ("microsoft365", "message", "550 5.7.605 no such block"),
        ("microsoft365", "message", "550 5.7.650 not on the list"),
    ],
)
def test_what_says_nothing_about_the_pace_meets_no_rule(provider: str, stage: str, text: str) -> None:
    assert BOOK.match(provider, Stage(stage), reply(text)) is None


def test_a_providers_rule_is_for_that_provider_alone() -> None:
    text = reply("421 4.7.28 unusual amount of mail")
    found = BOOK.match("google", Stage.MESSAGE, text)
    assert found is not None
    assert found.name == "google-rate-limit"
    assert BOOK.match("acme.test", Stage.MESSAGE, text) is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("4.7.28", ["4.7.28"], ["5.7.28", "4.7.29", "4.1.28"]),
        ("4.7.500-699", ["4.7.500", "4.7.650", "4.7.699"], ["4.7.499", "4.7.700", "5.7.650"]),
    ],
)
def test_status_ranges_end_where_they_say(text: str, inside: list[str], outside: list[str]) -> None:
    found = StatusRange.parse(text)
    assert [found.has(status(one)) for one in (*inside, *outside)] == [True] * len(inside) + [False] * len(outside)


def status(text: str) -> EnhancedStatus:
    found = EnhancedStatus.find(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nonsense", "TOML"),
        ("[[rules]]\nname='x'", "unknown parts: rules"),
        ("[[rule]]\nname='x'\ncodes=[421]", "rule x: either it acts"),
        ("[[rule]]\nname='x'\nconnections=1", "rule x: a rule asks for"),
        ("[[rule]]\nname='x'\ncodes=[421]\nconnections=0", "rule x: a limit"),
        ("[[rule]]\nname='x'\ncodes=[421]\nspeed=1", "rule x:"),
        ("[[rule]]\nname='x'\nstatus=['4.7']\nconnections=1", "rule x: '4.7' is no status"),
        ("[[rule]]\nname='x'\nstatus=['4.7.9-1']\nconnections=1", "rule x:"),
        ("[[rule]]\nname='x'\nphrases=['a']\nconnections=1", "rule x: a phrase"),
        ("[[rule]]\nname='x'\nphrases=['a*b*c*d*e*f*g']\nconnections=1", "rule x: a phrase"),
        ("[[rule]]\nname='x'\ncodes=[421]\nslow={factor=1.0, floor=1}", "rule x: slow"),
        ("[[rule]]\nname='x'\ncodes=[421]\nsuspend={first=9, longest=8}", "rule x: suspend"),
        ("[[rule]]\nname='x'\ncodes=[421]\nstage='later'\nconnections=1", "rule x:"),
        ("[[rule]]\nname='x'\ncodes=[1]\nconnections=1\n[[rule]]\nname='x'\ncodes=[1]\nconnections=1", "same name"),
        ("[[limit]]\nprovider='x'\nconnections=0", "limit for x"),
        ("[[limit]]\nconnections=1", "limit for nobody"),
    ],
)
def test_malformed_rules_are_refused_by_name(text: str, part: str) -> None:
    with pytest.raises(ShapingRulesError) as refused:
        read_rules(text)
    assert part in refused.value.message


def test_a_book_of_ones_own_goes_before() -> None:
    own = read_rules(
        "[[rule]]\nname='mine'\ncodes=[421]\nconnections=1\n"
        "[[limit]]\nprovider='yahoo'\nconnections=3\n[[limit]]\nprovider='google'\nscope='provider'\nrate=2.5\n"
    ).before(BOOK)
    found = own.match("google", Stage.MESSAGE, reply("421 4.7.28 unusual rate"))
    assert found is not None
    assert found.name == "mine"
    assert own.destination_limits["yahoo"].messages_per_connection is None
    assert own.destination_limits["comcast"].connections == 25
    assert own.provider_limits["google"].rate == 2.5


def test_lines_may_break_anywhere_and_a_star_has_an_end() -> None:
    book = read_rules("[[rule]]\nname='x'\nphrases=['rate * exceeded by you']\nconnections=1\n")
    for text in ("450 rate was\nexceeded\nby   you", "450 RATE of 1/s EXCEEDED BY YOU"):
        assert book.match("", Stage.MESSAGE, reply(text)) is not None, text
    assert book.match("", Stage.MESSAGE, reply(f"450 rate {'x' * 70} exceeded by you")) is None


@given(st.text(max_size=3000), st.sampled_from([421, 450, 451, 452, 550, 553, 554]))
def test_nothing_that_strangers_say_raises(text: str, code: int) -> None:
    BOOK.match("google", Stage.MESSAGE, SmtpReply.of(code, text))


def test_nothing_that_strangers_say_takes_long() -> None:
    hostile = SmtpReply.of(450, "rate connections from your maximum too many mails in " * 20_000)
    begun = time.process_time()
    for _ in range(20):
        BOOK.match("google", Stage.MESSAGE, hostile)
    assert time.process_time() - begun < 5
