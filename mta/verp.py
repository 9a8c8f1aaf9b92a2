"""VERP: return paths whose local part names the delivery, so that a bounce says what bounced."""

from collections.abc import Iterable

from mta.feedback_token import FeedbackKey, make_token, read_token

_PREFIX = "b-"
_PURPOSE = "return-path"


def make_verp(delivery_id: int, key: FeedbackKey) -> str:
    """The local part of the return path of ``delivery_id``: 34 octets, the same for the same key."""
    return _PREFIX + make_token(_PURPOSE, delivery_id, key)


def read_verp(local_part: str, keys: Iterable[FeedbackKey]) -> int | None:
    """The delivery id behind ``local_part`` in whatever case, ``None`` where we did not make it."""
    if local_part[: len(_PREFIX)].lower() != _PREFIX:
        return None
    return read_token(_PURPOSE, local_part[len(_PREFIX) :], keys)
