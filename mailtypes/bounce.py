"""Why mail was refused, in words that the reader of bounces, hygiene, the store and the screens share."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Blame(StrEnum):
    """Whose affair a refusal is: only what is the recipient's may count against a contact."""

    RECIPIENT = "recipient"
    SENDER = "sender"
    NEITHER = "neither"


class BounceReason(StrEnum):
    """Why a message was refused, delayed or answered."""

    USER_UNKNOWN = "user_unknown"  # there is no such mailbox
    HOST_UNKNOWN = "host_unknown"  # there is no such domain, or nothing that takes its mail
    NO_MAIL_SERVICE = "no_mail_service"  # the domain says that it takes no mail (RFC 7505)
    MOVED = "moved"  # the mailbox is elsewhere now
    SUSPENDED = "suspended"  # the mailbox is inactive or disabled; it may come back
    MAILBOX_FULL = "mailbox_full"
    FILTERED = "filtered"  # said to be unknown by a host that had seen the message, or that does not tell when
    BLOCKED = "blocked"  # by address, domain or reputation of the sender
    REVERSE_DNS = "reverse_dns"  # the sending host's PTR is missing or wrong
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC
    POLICY = "policy"
    SECURITY = "security"  # TLS, login, access denied
    SPAM = "spam"
    VIRUS = "virus"
    CONTENT = "content"  # headers or body are not acceptable
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    SENDER_REJECTED = "sender_rejected"  # the envelope sender, or who may write to a group
    RELAY_DENIED = "relay_denied"
    PROTOCOL = "protocol"  # commands out of order or not understood
    GREYLISTED = "greylisted"  # RFC 6647
    EXPIRED = "expired"  # tried for as long as mail is kept
    SYSTEM_ERROR = "system_error"  # of the receiving host
    NETWORK_ERROR = "network_error"  # no connection, a lost one, or DNS without an answer
    DELIVERED = "delivered"  # a notice of success
    AUTO_REPLY = "auto_reply"  # a person's machine answers: not a bounce
    COMPLAINT = "complaint"  # a feedback report (RFC 5965)
    UNKNOWN = "unknown"


_R, _S = Blame.RECIPIENT, Blame.SENDER
_BLAMED: Final = {
    _R: ("user_unknown", "host_unknown", "no_mail_service", "moved", "suspended", "mailbox_full", "filtered"),
    _S: (
        *("blocked", "reverse_dns", "authentication", "policy", "security", "spam", "virus", "content", "too_large"),
        *("rate_limited", "sender_rejected", "relay_denied", "protocol", "complaint"),
    ),
}
BLAMES: Final[Mapping[BounceReason, Blame]] = MappingProxyType(
    {
        reason: next((blame for blame, names in _BLAMED.items() if reason in names), Blame.NEITHER)
        for reason in BounceReason
    }
)
"""Whose affair each reason is."""

DEAD_REASONS: Final = frozenset(
    {BounceReason.USER_UNKNOWN, BounceReason.HOST_UNKNOWN, BounceReason.NO_MAIL_SERVICE, BounceReason.MOVED}
)
"""Where these are final, nothing will ever arrive at that address."""


class Stage(StrEnum):
    """The SMTP command that a reply answers; named as the states of the outgoing conversation are."""

    GREETING = "greeting"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    FINAL = "final"  # the dot that ends the content
    UNKNOWN = "unknown"
