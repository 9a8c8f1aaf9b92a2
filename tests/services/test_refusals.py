"""What events say of a refusal, and whom it counts against."""

import pytest

from dns_checks.mx import RouteResult
from mailtypes.bounce import Stage
from mailtypes.clock import Microseconds
from mailtypes.smtp import SmtpReply
from mta.delivery import Happening
from mta.ports import AttemptOutcome
from mta.testing import delivery
from postwright.services import refusals

H = Happening


def outcome(
    happening: Happening, code: int = 0, text: str = "", *, stage: Stage = Stage.RCPT, cause: str = ""
) -> AttemptOutcome:
    reply = SmtpReply.of(code, text) if code else None
    return AttemptOutcome(delivery(1), happening, Microseconds(1), reply, cause, stage=stage)


@pytest.mark.parametrize(
    ("told", "reason", "blames", "kind"),
    [
        (outcome(H.PERMANENT, 550, "5.1.1 no such user here"), "user_unknown", "recipient", "hard_bounce"),
        (outcome(H.PERMANENT, 550, "user unknown", stage=Stage.RCPT), "user_unknown", "recipient", "hard_bounce"),
        # Said of the content, the same words are a filter's.
        (outcome(H.PERMANENT, 550, "user unknown", stage=Stage.FINAL), "filtered", "recipient", "soft_bounce"),
        # Refused at MAIL, an unknown user is the sender.
        (outcome(H.PERMANENT, 550, "user unknown", stage=Stage.MAIL), "sender_rejected", "sender", "none"),
        (outcome(H.PERMANENT, 552, "5.2.2 mailbox full"), "mailbox_full", "recipient", "soft_bounce"),
        (outcome(H.PERMANENT, 550, "5.7.1 listed at zen.spamhaus.org"), "blocked", "sender", "none"),
        (outcome(H.TRANSIENT, 450, "4.2.0 greylisted, try again"), "greylisted", "neither", ""),
        (outcome(H.TRANSIENT, 450, "4.1.1 no such user here"), "user_unknown", "recipient", ""),
        (outcome(H.TRANSIENT, cause="the connection timed out"), "network_error", "neither", ""),
        (outcome(H.UNKNOWN, cause="the connection was lost (final)"), "network_error", "neither", ""),
        (outcome(H.PERMANENT, cause="5.3.4 the message has 9 octets, the host takes 8"), "too_large", "sender", "none"),
    ],
)  # fmt: skip
def test_attempts(told: AttemptOutcome, reason: str, blames: str, kind: str) -> None:
    found = refusals.of_attempt(told)
    assert (found["reason"], found["blames"], found["kind"]) == (reason, blames, kind)
    assert refusals.is_hard_bounce(told) is (kind == "hard_bounce")


@pytest.mark.parametrize("happening", [H.ACCEPTED, H.NOT_SENT, H.LEASE_LOST])
def test_what_refuses_nothing_tells_nothing(happening: Happening) -> None:
    assert refusals.of_attempt(outcome(happening, 250, "2.0.0 ok")) == {}


@pytest.mark.parametrize(
    ("attempts", "code", "text", "reason", "kind"),
    [
        (0, None, "", "expired", "none"),  # never tried: nobody but us is to blame
        (9, 452, "4.2.2 over quota", "mailbox_full", "soft_bounce"),
        (9, 421, "4.7.28 unusual rate of mail", "rate_limited", "none"),
        (9, 451, "4.7.650 temporarily rate limited", "rate_limited", "none"),
        (9, None, "the connection timed out", "network_error", "soft_bounce"),
        (9, 450, "4.1.1 no such user here", "user_unknown", "soft_bounce"),
    ],
)
def test_expiry_counts_by_the_last_reply(attempts: int, code: int | None, text: str, reason: str, kind: str) -> None:
    found = refusals.of_expiry(attempts, code, text)
    assert (found["reason"], found["kind"]) == (reason, kind)


@pytest.mark.parametrize("result", [RouteResult.NULL_MX, RouteResult.NO_MAIL_HOST, RouteResult.NO_SUCH_DOMAIN])
def test_a_domain_without_mail_is_a_soft_bounce(result: RouteResult) -> None:
    assert refusals.of_route(result)["kind"] == "soft_bounce"
