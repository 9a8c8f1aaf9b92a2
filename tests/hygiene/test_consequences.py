import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene.consequences import MEANINGS, BounceKind, consequence
from mailtypes.smtp import EnhancedStatus, SmtpReply

NONE, SOFT, HARD = BounceKind.NONE, BounceKind.SOFT_BOUNCE, BounceKind.HARD_BOUNCE


@pytest.mark.parametrize(
    ("code", "text", "kind", "reason"),
    [
        (250, "2.0.0 queued", NONE, "accepted"),
        # Postfix, Gmail, Yahoo, Exim, outlook.com, Exchange Online
        (550, "5.1.1 <x@a.test>: Recipient address rejected: User unknown in virtual table", HARD, "no_such_mailbox"),
        (550, "5.1.1 The account that you tried does not exist. Try\n5.1.1 double-checking", HARD, "no_such_mailbox"),
        (554, "delivery error: dd This user doesn't have a yahoo.com account [0]", HARD, "no_such_mailbox"),
        (550, "No such user here", HARD, "no_such_mailbox"),
        (550, "<spam@a.test>... User unknown", HARD, "no_such_mailbox"),
        (550, "5.5.0 Requested action not taken: mailbox unavailable", HARD, "no_such_mailbox"),
        (550, "5.4.1 Recipient address rejected: Access denied. [x.prod.outlook.com]", HARD, "no_such_mailbox"),
        (550, "5.2.1 The email account that you tried to reach is disabled", HARD, "mailbox_disabled"),
        (550, "5.1.6 Mailbox has moved", HARD, "mailbox_moved"),
        (550, "5.1.2 Domain does not exist", HARD, "no_such_domain"),
        (556, "5.1.10 Recipient domain has a null MX", HARD, "null_mx"),
        (550, "5.7.17 Mailbox owner has changed", HARD, "owner_changed"),
        # full, or not reachable
        (552, "5.2.2 The email account that you tried to reach is over quota", SOFT, "mailbox_full"),
        (452, "4.2.2 Over quota", SOFT, "mailbox_full"),
        (552, "Requested mail action aborted: exceeded storage allocation, mailbox full", SOFT, "mailbox_full"),
        (451, "4.3.0 Temporary lookup failure", SOFT, "mail_system"),
        (450, "4.1.1 User unknown, perhaps", SOFT, "no_such_mailbox"),
        (451, "4.4.1 no answer from host", SOFT, "no_answer"),
        (550, "5.4.7 Delivery time expired", SOFT, "network"),
        (550, "rejected", SOFT, "unspecified"),
        # the sender's own fault
        (550, "5.7.1 Message rejected as spam", NONE, "policy"),
        (550, "5.7.26 This mail is unauthenticated", NONE, "policy"),
        (421, "4.7.28 rate limited", NONE, "rate"),
        (550, "5.7.515 Access denied, domain does not meet the required authentication level", NONE, "policy"),
        (552, "5.3.4 Message size exceeds fixed limit", NONE, "message_too_long"),
        (552, "5.2.3 Message too long", NONE, "message_too_long"),
        (550, "5.6.0 Lone CR or LF in body", NONE, "content"),
        (503, "5.5.1 Bad sequence of commands", NONE, "protocol"),
        (553, "5.1.8 Sender address rejected: Domain not found", NONE, "sender_address"),
        (554, "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", NONE, "blocklist"),
        (550, "5.1.1 Blocked by our RBL", NONE, "blocklist"),
        (550, "Message rejected due to content policy", NONE, "policy"),
        (550, "SPF check failed", NONE, "authentication"),
        (450, "4.2.0 <x@a.test>: Recipient address rejected: Greylisted", NONE, "greylisting"),
        (550, "5.2.1 The user you are trying to contact is receiving mail at a rate that prevents", NONE, "rate"),
        (421, "Service not available", NONE, "unspecified"),
        (554, "Transaction failed", NONE, "unspecified"),
    ],
)  # fmt: skip
def test_replies_of_real_hosts(code: int, text: str, kind: BounceKind, reason: str) -> None:
    found = consequence(SmtpReply.of(code, text))
    assert (found.kind, found.reason) == (kind, reason), found
    assert found.rule


def test_a_dsn_status_alone_is_enough() -> None:
    assert consequence(SmtpReply(550, EnhancedStatus(5, 1, 1), "")).kind is HARD


replies = st.builds(
    SmtpReply.of,
    st.integers(200, 599),
    st.builds(
        lambda status, words: f"{status} {words}",
        st.from_regex(r"[245]\.\d\.\d{1,2}", fullmatch=True) | st.just(""),
        st.text() | st.sampled_from(["user unknown", "spam", "over quota", "mailbox disabled", "greylisted"]),
    ),
)


@given(replies)
def test_only_permanent_refusals_can_be_hard_bounces(reply: SmtpReply) -> None:
    found = consequence(reply)
    assert found.kind is not HARD or reply.is_permanent
    assert found.kind is NONE or not reply.is_positive
    assert found.reason


@given(st.integers(0, 999), st.sampled_from([4, 5]), st.sampled_from([5, 6, 7]), st.text(max_size=50))
def test_what_is_the_senders_fault_never_counts(detail: int, status_class: int, subject: int, words: str) -> None:
    if (subject, detail) in ((5, 0), (7, 17), (7, 18)):
        return
    reply = SmtpReply(status_class * 100 + 50, EnhancedStatus(status_class, subject, detail), f"user unknown {words}")
    assert consequence(reply).kind is NONE


def test_every_subject_of_rfc_3463_has_a_row_for_its_rest() -> None:
    assert all((subject, None) in MEANINGS for subject in range(8))


def test_a_hostile_text_is_read_quickly() -> None:
    for text in ("<" * 200_000, "@" * 200_000, "exceeded " * 20_000, "user " * 40_000, "a.b.c@" * 30_000):
        consequence(SmtpReply.of(550, text))
