"""What a refusal means, as events say it: reason, whose affair it is, and what it counts as against the contact."""

from collections.abc import Mapping
from typing import Any, Final

from dns_checks.mx import RouteResult
from hygiene.consequences import BounceKind, consequence_of
from mailtypes.bounce import BounceReason, Stage
from mailtypes.saying import say
from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.bounce import Classification, Refusal, classify, classify_reply
from mta.delivery import Happening
from mta.ports import AttemptOutcome

_NO_REPLY: Final = Classification(BounceReason.NETWORK_ERROR, False, False, say("no reply was heard"))


def told(found: Classification, kind: BounceKind | None) -> dict[str, Any]:
    """The part of an event that tells of a classified refusal; ``kind`` ``None``: nothing is decided yet."""
    return {
        "reason": str(found.reason),
        "blames": str(found.blames),
        "permanent": found.is_permanent,
        "evidence": found.evidence,
        "kind": "" if kind is None else str(kind),
    }


def of_attempt(outcome: AttemptOutcome) -> Mapping[str, Any]:
    """What an attempt that was no success tells; only a final refusal counts against anybody."""
    if outcome.happening in {Happening.ACCEPTED, Happening.NOT_SENT, Happening.LEASE_LOST}:
        return {}
    found = _classified(outcome.reply, outcome.cause, outcome.stage)
    if outcome.happening is not Happening.PERMANENT:
        return told(found, None)
    if outcome.reply is None:  # our own verdict on the message: the recipient's host has said nothing
        return told(found, BounceKind.NONE)
    return told(found, consequence_of(found.reason, is_recipient_dead=found.is_recipient_dead).kind)


def of_expiry(attempts: int, code: int | None, text: str) -> Mapping[str, Any]:
    """What it means that a delivery grew too old, by its last reply; a delivery never tried says nothing."""
    if attempts == 0:
        found = Classification(BounceReason.EXPIRED, True, False, say("never tried"))
        return told(found, BounceKind.NONE)
    last = _classified(None if code is None else SmtpReply.of(code, text), text, Stage.UNKNOWN)
    return told(last, consequence_of(last.reason, is_recipient_dead=False).kind)


def of_route(result: RouteResult) -> Mapping[str, Any]:
    """What it means that a domain takes no mail: a soft bounce, though the reason is a dead one.

    Nobody is bothered by trying again, since nothing reaches the wire; and the fault may be our resolver's: one bad
    hour of it must not suppress a whole list.
    """
    reason = BounceReason.NO_MAIL_SERVICE if result is RouteResult.NULL_MX else BounceReason.HOST_UNKNOWN
    return told(Classification(reason, True, False, say("route: %(result)s", result=result)), BounceKind.SOFT_BOUNCE)


def is_hard_bounce(outcome: AttemptOutcome) -> bool:
    """Whether the attempt showed that the mailbox or its domain is gone."""
    return of_attempt(outcome).get("kind") == BounceKind.HARD_BOUNCE


def _classified(reply: SmtpReply | None, cause: str, stage: Stage) -> Classification:
    if reply is not None and not reply.is_positive:
        return classify_reply(reply, stage)
    status = EnhancedStatus.find(cause)
    return _NO_REPLY if status is None else classify(Refusal(status, 0, cause))
