"""What a final refusal means for the recipient: nothing, one soft bounce, or a hard bounce.

A hard bounce says that the mailbox or its domain is gone: suppress at once. A soft bounce says that it cannot be
reached just now: count it (suppressing after several in a row is the list's policy). What was the sender's own
fault (reputation, authentication, content, protocol, rate) never counts against the contact. Why mail was refused is
for whoever read the reply or the bounce to say (``mailtypes.bounce``).
"""

from dataclasses import dataclass
from enum import StrEnum

from mailtypes.bounce import BLAMES, Blame, BounceReason


class BounceKind(StrEnum):
    """What a refusal counts as against the contact."""

    NONE = "none"
    SOFT_BOUNCE = "soft_bounce"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class RecipientConsequence:
    """``reason`` is a stable code for logs and statistics, ``rule`` the row that decided, with its source."""

    kind: BounceKind
    reason: str
    rule: str


# Nobody's fault, but the mailbox could not be reached for as long as mail is tried.
_OUT_OF_REACH = frozenset({BounceReason.EXPIRED, BounceReason.NETWORK_ERROR, BounceReason.SYSTEM_ERROR})


def consequence_of(reason: BounceReason, *, is_recipient_dead: bool, evidence: str = "") -> RecipientConsequence:
    """What a failure that was classified already means for its recipient.

    Give it what ended a delivery, or what a bounce says of a failed one; a delay says nothing. ``evidence`` is
    carried along as the rule.
    """
    if reason is BounceReason.COMPLAINT:
        kind = BounceKind.COMPLAINT
    elif BLAMES[reason] is Blame.SENDER:
        kind = BounceKind.NONE
    elif is_recipient_dead:
        kind = BounceKind.HARD_BOUNCE
    elif BLAMES[reason] is Blame.RECIPIENT or reason in _OUT_OF_REACH:
        kind = BounceKind.SOFT_BOUNCE
    else:
        kind = BounceKind.NONE
    return RecipientConsequence(kind, str(reason), evidence or f"reason {reason}")
