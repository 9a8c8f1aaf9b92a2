"""Every rule decides its own examples; what outweighs what; whose affair a reason is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.bounce import BLAMES, DEAD_REASONS, Blame, BounceReason, Stage
from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.bounce import Refusal, classify, classify_reply
from mta.bounce.forms import FORMS
from mta.bounce.rules import MAX_TEXT, RULES, folded_words, load_rules

R = BounceReason
_WORDINGS = (*RULES.literal, *RULES.outweighing.rules, *RULES.wordings.rules)


def reply(text: str) -> SmtpReply:
    return SmtpReply.of(int(text[:3]), text[4:])


@pytest.mark.parametrize("rule", _WORDINGS, ids=lambda rule: rule.name)
def test_every_wording_decides_its_examples(rule) -> None:
    assert rule.examples
    for example in rule.examples:
        found = classify_reply(reply(example), Stage(rule.example_stage))
        # The status of an example may decide alike; then the reason has to be the same.
        assert found.reason is rule.reason, (example, found)
    first = classify_reply(reply(re.sub(r"[245]\.\d\.\d+ ", "", rule.examples[0])), Stage(rule.example_stage))
    assert rule.name in first.evidence


@pytest.mark.parametrize("place", sorted(RULES.statuses))
def test_every_status_decides_where_the_wording_says_nothing(place) -> None:
    subject, detail = place
    status = EnhancedStatus(5, subject, 99 if detail < 0 else detail)
    rule = RULES.of_status(subject, status.detail)
    assert rule is not None
    found = classify_reply(SmtpReply(550, status, "xyzzy"), Stage.RCPT)
    assert found.reason is rule.reason
    assert rule.reason is R.UNKNOWN or rule.source in found.evidence


@pytest.mark.parametrize(
    ("text", "stage", "reason", "dead"),
    [
        ("550 5.1.1 <a@b.test>: User unknown", "rcpt", R.USER_UNKNOWN, True),
        ("550 No such user", "rcpt", R.USER_UNKNOWN, True),
        ("550 No such user", "final", R.FILTERED, False),  # it has seen the message
        ("550 No such user", "unknown", R.FILTERED, False),
        ("550 No such user", "mail", R.SENDER_REJECTED, False),
        ("450 4.1.1 User unknown", "rcpt", R.USER_UNKNOWN, False),  # may change
        ("550 5.1.1 We are on the RBL of nobody, but you are", "rcpt", R.BLOCKED, False),
        ("552 5.1.1 over quota", "rcpt", R.MAILBOX_FULL, False),
        ("550 5.2.1 The account is disabled", "rcpt", R.SUSPENDED, False),
        ("550 5.2.1 <a@b.test>: User unknown", "rcpt", R.USER_UNKNOWN, True),
        ("550 5.5.0 Requested action not taken: mailbox unavailable", "unknown", R.USER_UNKNOWN, True),
        ("550 5.4.4 Host or domain name not found", "unknown", R.HOST_UNKNOWN, True),
        ("450 4.4.3 Host or domain name not found, try again", "unknown", R.NETWORK_ERROR, False),
        ("550 5.7.1 Helo command rejected: Host not found", "ehlo", R.BLOCKED, False),
        ("550 5.7.1 Sender address rejected: Domain not found", "mail", R.SENDER_REJECTED, False),
        ("556 5.1.10 null MX", "rcpt", R.NO_MAIL_SERVICE, True),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", "unknown", R.USER_UNKNOWN, True),
        ("550 5.4.1 Recipient address rejected: Access denied.", "rcpt", R.USER_UNKNOWN, True),
        ("550 5.7.26 Unauthenticated", "final", R.AUTHENTICATION, False),
        ("421 4.7.28 unusual rate of mail", "final", R.RATE_LIMITED, False),
        ("550 5.7.25 the PTR record is missing", "final", R.REVERSE_DNS, False),
        ("550 5.7.606 Access denied, banned sending IP", "rcpt", R.BLOCKED, False),
        ("550 5.7.515 Access denied", "final", R.AUTHENTICATION, False),
        ("550 Verified <no-such-user@b.test> https://b.test/user-unknown/", "rcpt", R.UNKNOWN, False),
        ("250 2.0.0 ok", "final", R.DELIVERED, False),
        ("554 go away", "mail", R.SENDER_REJECTED, False),
        ("554 go away", "greeting", R.BLOCKED, False),
    ],
)  # fmt: skip
def test_replies(text: str, stage: str, reason: BounceReason, dead: bool) -> None:
    found = classify_reply(reply(text), Stage(stage))
    assert (found.reason, found.is_recipient_dead) == (reason, dead), found
    assert found.evidence


def test_a_reporting_hosts_own_status_does_not_outweigh_what_the_reply_says() -> None:
    own = EnhancedStatus(5, 1, 1)
    refused = Refusal(own, 550, "550 rejected by policy", Stage.RCPT, is_final=True, is_status_of_reply=False)
    assert classify(refused).reason is R.POLICY
    silent = Refusal(own, 550, "550 no", Stage.RCPT, is_final=True, is_status_of_reply=False)
    assert classify(silent).is_recipient_dead


def test_what_is_final_can_be_dead_whatever_the_last_reply_was() -> None:
    status = EnhancedStatus(4, 1, 1)
    assert classify(Refusal(status, 450, "450 4.1.1 User unknown", is_final=True)).is_recipient_dead
    assert not classify(Refusal(status, 450, "450 4.1.1 User unknown")).is_recipient_dead


def test_every_reason_has_one_to_blame_and_only_recipients_die() -> None:
    assert set(BLAMES) == set(BounceReason)
    assert all(BLAMES[reason] is Blame.RECIPIENT for reason in DEAD_REASONS)
    assert {BLAMES[reason] for reason in (R.EXPIRED, R.UNKNOWN, R.GREYLISTED)} == {Blame.NEITHER}


def test_words() -> None:
    assert (
        folded_words("It's SPAM-ish: a@b.test, see https://spam.test/virus?x")
        == " it s spam ish see https spam test $ "
    )
    assert folded_words("x" * (MAX_TEXT * 2)).strip(" $") == "x" * MAX_TEXT


@pytest.mark.parametrize("text", ["* unknown", "a", "ab", "", "user * "])
def test_phrases_that_cannot_be_found_are_refused(text: str) -> None:
    rules = f'status = []\n[[wording]]\nname="x"\nreason="spam"\nsource=""\nexamples=[]\nphrases=["{text}"]'
    with pytest.raises(ValueError, match="too short"):
        load_rules(rules)


def test_two_rules_for_one_status_are_refused() -> None:
    row = '[[status]]\ncodes=["1.1", "1.0-3"]\nreason="spam"\nsource=""\n'
    with pytest.raises(ValueError, match="two rules"):
        load_rules("wording = []\n" + row)


def test_phrases_of_forms_are_as_they_are_looked_for() -> None:
    lists = [FORMS.returned_message, FORMS.lead_in, FORMS.daemons, FORMS.bounce_subject, FORMS.auto_reply_subject]
    lists += [FORMS.delayed, FORMS.not_a_recipient, *FORMS.stages.values()]
    for phrases in lists:
        for phrase in phrases:
            assert phrase == " ".join(phrase.lower().split()) != ""


replies = st.builds(
    lambda code, status, words: reply(f"{code} {status}{words}"),
    st.integers(400, 599),
    st.sampled_from(["", "5.1.1 ", "4.1.1 ", "5.7.1 ", "5.0.0 ", "5.2.2 "]),
    st.text(max_size=80)
    | st.sampled_from(["user unknown", "spam", "over quota", "greylisted", "rate limit", "host unknown"]),
)


@given(replies, st.sampled_from(Stage))
def test_laws_of_replies(refused: SmtpReply, stage: Stage) -> None:
    found = classify_reply(refused, stage)
    assert not found.is_recipient_dead or (refused.is_permanent and found.reason in DEAD_REASONS)
    assert found.is_permanent == refused.is_permanent
    assert found.blames is not Blame.SENDER or not found.is_recipient_dead
    assert found.evidence
