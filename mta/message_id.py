"""Message-IDs that name the delivery: complaints often hide the recipient, but seldom the Message-ID."""

from collections.abc import Iterable

from mailtypes.domain import DomainName
from mta.feedback_token import FeedbackKey, make_token, read_token

_PURPOSE = "message-id"


def make_message_id(delivery_id: int, domain: DomainName, key: FeedbackKey) -> str:
    """``<token@domain>`` (RFC 5322 section 3.6.4).

    Every attempt of a delivery needs the same Message-ID, so take the key that was current when the delivery was
    queued. The check is keyed, since ids can be guessed and a forged complaint would suppress a recipient.
    """
    return f"<{make_token(_PURPOSE, delivery_id, key)}@{domain.ascii}>"


def read_message_id(message_id: str, keys: Iterable[FeedbackKey]) -> int | None:
    """The delivery id in a Message-ID with or without angle brackets, ``None`` where we did not make it."""
    local_part, at, _ = message_id.strip().removeprefix("<").removesuffix(">").partition("@")
    return read_token(_PURPOSE, local_part, keys) if at else None
