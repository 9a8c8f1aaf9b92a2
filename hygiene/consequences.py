"""What a final refusal means for the recipient: nothing, one soft bounce, or a hard bounce.

A hard bounce says that the mailbox or its domain is gone: suppress at once. A soft bounce says that it cannot be
reached just now: count it (suppressing after several in a row is the list's policy). What was the sender's own
fault (reputation, authentication, content, protocol, rate) never counts against the contact.

The enhanced status decides where it is specific (``MEANINGS``). Where there is none, or a vague one, the wording
does (``WORDINGS``). Wording that names a blocklist, greylisting or a rate outweighs every status: hosts do write
``550 5.1.1`` to a blocked sender and ``550 5.2.1`` for a mailbox that gets mail too fast (``OUTWEIGHING_WORDINGS``).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from mailtypes.bounce import BLAMES, Blame, BounceReason
from mailtypes.smtp import EnhancedStatus, SmtpReply


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


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: what a status subject and detail mean. ``kind`` ``None``: too vague, the wording decides."""

    kind: BounceKind | None
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Wording:
    """One row: a phrase of replies (lower case, white space folded, addresses and URLs removed) and what it means."""

    phrase: re.Pattern[str]
    kind: BounceKind
    reason: str
    source: str


_NONE, _SOFT, _HARD = BounceKind.NONE, BounceKind.SOFT_BOUNCE, BounceKind.HARD_BOUNCE

# (subject, detail); detail None stands for the rest of the subject. A row holds for 4.x.x and 5.x.x alike, save
# that a transient status never makes a hard bounce: the host itself says that it may change.
MEANINGS: dict[tuple[int, int | None], Meaning] = {
    (0, None): Meaning(None, "unspecified", "RFC 3463 section 3.1"),
    (1, 0): Meaning(None, "address_other", "RFC 3463 section 3.2"),
    (1, 1): Meaning(_HARD, "no_such_mailbox", "RFC 3463 section 3.2"),
    (1, 2): Meaning(_HARD, "no_such_domain", "RFC 3463 section 3.2"),
    (1, 3): Meaning(_HARD, "bad_address_syntax", "RFC 3463 section 3.2"),
    (1, 4): Meaning(_SOFT, "ambiguous_address", "RFC 3463 section 3.2"),
    (1, 6): Meaning(_HARD, "mailbox_moved", "RFC 3463 section 3.2"),
    (1, 7): Meaning(_NONE, "sender_address", "RFC 3463 section 3.2"),
    (1, 8): Meaning(_NONE, "sender_address", "RFC 3463 section 3.2"),
    (1, 9): Meaning(_NONE, "relayed_without_dsn", "RFC 3886 section 3.3.4"),
    (1, 10): Meaning(_HARD, "null_mx", "RFC 7505 section 4.1"),
    (1, None): Meaning(None, "address_other", "RFC 3463 section 3.2"),
    (2, 1): Meaning(_HARD, "mailbox_disabled", "RFC 3463 section 3.3"),
    (2, 2): Meaning(_SOFT, "mailbox_full", "RFC 3463 section 3.3"),
    (2, 3): Meaning(_NONE, "message_too_long", "RFC 3463 section 3.3"),
    (2, None): Meaning(None, "mailbox_other", "RFC 3463 section 3.3"),
    (3, 3): Meaning(_NONE, "not_capable", "RFC 3463 section 3.4"),
    (3, 4): Meaning(_NONE, "message_too_long", "RFC 3463 section 3.4"),
    (3, None): Meaning(_SOFT, "mail_system", "RFC 3463 section 3.4"),
    (4, 1): Meaning(None, "no_answer", "RFC 3463 section 3.5; Exchange Online says it of unknown mailboxes"),
    (4, None): Meaning(_SOFT, "network", "RFC 3463 section 3.5"),
    (5, 0): Meaning(None, "protocol", "RFC 3463 section 3.6; outlook.com says it of unknown mailboxes"),
    (5, None): Meaning(_NONE, "protocol", "RFC 3463 section 3.6"),
    (6, None): Meaning(_NONE, "content", "RFC 3463 section 3.7"),
    (7, 17): Meaning(_HARD, "owner_changed", "RFC 7293 section 14.2"),
    (7, 18): Meaning(_HARD, "owner_changed", "RFC 7293 section 14.2"),
    (7, None): Meaning(_NONE, "policy", "RFC 3463 section 3.8"),
}


def _wording(phrase: str, kind: BounceKind, reason: str, source: str) -> Wording:
    return Wording(re.compile(phrase), kind, reason, source)


# Looked up before the status, whatever that is.
OUTWEIGHING_WORDINGS: tuple[Wording, ...] = (
    _wording(
        r"spamhaus|spamcop|barracudacentral|\b(?:dnsbl|rbl|dbl)\b|block ?list|black ?list|deny ?list",
        _NONE,
        "blocklist",
        "names a DNS blocklist (RFC 5782)",
    ),
    _wording(r"gr[ae]y ?-?list", _NONE, "greylisting", "RFC 6647 section 2"),
    _wording(
        r"receiving (?:e-?)?mail (?:at a rate|too quickly)|too many (?:messages|connections|recipients)|rate limit",
        _NONE,
        "rate",
        "Gmail says it with 4.2.1 and 5.2.1",
    ),
)

# Looked up in this order where the status is vague or missing.
WORDINGS: tuple[Wording, ...] = (
    _wording(r"\b(?:spf|dkim|dmarc)\b|unauthenticated", _NONE, "authentication", "RFC 7372 section 3"),
    _wording(
        r"\bspam\b|unsolicited|bulk mail|reputation|policy|content (?:was )?reject",
        _NONE,
        "policy",
        "replies of Gmail, Yahoo, Microsoft",
    ),
    _wording(
        r"over ?quota|quota exceeded|exceeded (?:\w+ ){0,4}quota|(?:mailbox|inbox) (?:is |was )?full"
        r"|out of (?:storage|space)|insufficient (?:system )?storage",
        _SOFT,
        "mailbox_full",
        "RFC 5321 section 4.2.3 (452, 552)",
    ),
    _wording(
        r"(?:no such|unknown|invalid|non-?existent) (?:\w+ )?(?:user|mailbox|recipient|account|address)"
        r"|(?:user|mailbox|recipient|account|address)(?: \w+)? (?:is |was )?(?:unknown|not found|invalid)"
        r"|(?:user|mailbox|recipient|account|address)(?: \w+)? (?:does not|doesn't) (?:exist|have an? \S+ account)"
        r"|no mailbox here|not our customer|mailbox unavailable",
        _HARD,
        "no_such_mailbox",
        "RFC 5321 section 4.2.3 (550); replies of Postfix, Exim, Yahoo, outlook.com",
    ),
    _wording(
        r"(?:user|mailbox|recipient|account|address) (?:is |has been |was )?"
        r"(?:disabled|inactive|deactivated|suspended)",
        _HARD,
        "mailbox_disabled",
        "replies of Gmail, Yahoo, Exchange",
    ),
    _wording(
        r"recipient address rejected: access denied",
        _HARD,
        "no_such_mailbox",
        "Exchange Online, directory-based edge blocking (550 5.4.1)",
    ),
    _wording(
        r"(?:domain|host)(?: name)? (?:not found|does not exist)",
        _HARD,
        "no_such_domain",
        "RFC 3463 section 3.2 (X.1.2)",
    ),
)

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


_ADDRESS_OR_URL = re.compile(r"<[^>]*>|https?://\S*|\S+@\S+")
_REPEATED_STATUS = re.compile(r"\n[245]\.\d{1,3}\.\d{1,3}(?=\s)")
_MAX_READ = 1000  # characters of the text that are looked at


def consequence(reply: SmtpReply) -> RecipientConsequence:
    """What the reply that ended a delivery means for its recipient.

    Give it the permanent refusal, or the last transient reply of a delivery that expired: a deferral that was
    overcome later says nothing. A DSN (RFC 3464) is read the same way: its Diagnostic-Code as the reply, or its
    Status alone as ``SmtpReply(550, status, "")``, with 450 for a status of class 4.
    """
    if reply.is_positive:
        return RecipientConsequence(_NONE, "accepted", "RFC 5321 section 4.2.1")
    words = _words(reply.text)
    outweighing = _first(OUTWEIGHING_WORDINGS, words)
    if outweighing is not None:
        return outweighing
    status = reply.enhanced_status
    meaning = MEANINGS[0, None] if status is None else _meaning(status)
    if meaning.kind is None:
        found = _first(WORDINGS, words) or _unworded(reply, meaning)
    else:
        found = RecipientConsequence(meaning.kind, meaning.reason, f"{status}: {meaning.source}")
    if reply.is_transient and found.kind is _HARD:
        return RecipientConsequence(_SOFT, found.reason, f"{found.rule}; transient")
    return found


def _unworded(reply: SmtpReply, meaning: Meaning) -> RecipientConsequence:
    """Neither status nor wording tells: what the reply's code or the subject suggests, never a hard bounce."""
    if reply.code in (450, 452, 550, 551, 552, 553) and meaning.reason != "protocol":
        # RFC 5321 section 4.2.3: these are about the mailbox.
        return RecipientConsequence(_SOFT, meaning.reason, f"{reply.code}: RFC 5321 section 4.2.3")
    if meaning.reason in ("address_other", "mailbox_other", "no_answer"):
        return RecipientConsequence(_SOFT, meaning.reason, f"{reply.enhanced_status}: {meaning.source}")
    return RecipientConsequence(_NONE, meaning.reason, f"{reply.code}: says nothing about the mailbox")


def _meaning(status: EnhancedStatus) -> Meaning:
    exact = MEANINGS.get((status.subject, status.detail))
    return exact or MEANINGS.get((status.subject, None)) or MEANINGS[0, None]


def _words(text: str) -> str:
    without_status = _REPEATED_STATUS.sub(" ", "\n" + text[:_MAX_READ])
    return " ".join(_ADDRESS_OR_URL.sub(" ", without_status).lower().split())


def _first(wordings: tuple[Wording, ...], words: str) -> RecipientConsequence | None:
    for wording in wordings:
        if wording.phrase.search(words):
            return RecipientConsequence(wording.kind, wording.reason, f"wording: {wording.source}")
    return None
