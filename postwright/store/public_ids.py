"""Ids that outsiders see: prefixed UUIDv7 (RFC 9562 section 5.7), made from the row's id and moment of creation.

Nothing is stored for them: the 48 time bits are the row's ``created_at`` in milliseconds, the other 74 bits carry the
64-bit id and 10 bits that bind it to its prefix, so that a campaign's id is not taken for a run's. They are opaque,
not secret: who may see a row is decided by workspace and scope.
"""

import hashlib
import re

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

_TEXT = re.compile(r"([a-z]{3})_([0-9a-f]{32})\Z")
_RECIPIENT_BITS = 28
MAX_RECIPIENTS = (1 << _RECIPIENT_BITS) - 1


class PublicIdSyntaxError(InputSyntaxError):
    """A text that is not an id of the kind asked for."""


def public_id(prefix: str, created_at: int, row_id: int) -> str:
    """The public id of a row: ``prefix`` has three letters, ``created_at`` is in microseconds."""
    payload = (_binding(prefix, row_id) << 64) | row_id
    value = (created_at // 1_000) << 80 | 0x7 << 76 | (payload >> 62) << 64 | 0b10 << 62 | payload & ((1 << 62) - 1)
    return f"{prefix}_{value:032x}"


def read_public_id(text: str, prefix: str) -> int:
    """The row id in a public id; raises ``PublicIdSyntaxError`` where it is none, or one of another kind."""
    match = _TEXT.match(text)
    if match and match[1] == prefix:
        value = int(match[2], 16)
        payload = ((value >> 64) & 0xFFF) << 62 | value & ((1 << 62) - 1)
        row_id = payload & ((1 << 64) - 1)
        # Version 7 and the variant of RFC 9562 sections 4.1 and 4.2: one row has one id.
        is_uuid7 = (value >> 76) & 0xF == 0x7 and (value >> 62) & 0b11 == 0b10
        if is_uuid7 and payload >> 64 == _binding(prefix, row_id) and row_id < 1 << 63:
            return row_id
    raise PublicIdSyntaxError(
        say("'%(text)s' is not an id that begins with %(prefix)s_", text=text[:60], prefix=prefix),
        source=text,
        next_step=say("Take the id from the answer that created or listed the thing."),
    )


def delivery_id(run_id: int, number: int) -> int:
    """The id of a run's ``number``-th recipient (from 1): both in 64 bits, so that the id tells the partition."""
    if not 0 < number <= MAX_RECIPIENTS:
        raise ValueError(f"a run has at most {MAX_RECIPIENTS} recipients")
    return run_id << _RECIPIENT_BITS | number


def run_of_delivery(delivery: int) -> int:
    """The run that a delivery belongs to."""
    return delivery >> _RECIPIENT_BITS


def _binding(prefix: str, row_id: int) -> int:
    digest = hashlib.blake2b(f"{prefix}:{row_id}".encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") & 0x3FF
