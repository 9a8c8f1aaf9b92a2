"""Tokens that carry a delivery's id with a truncated HMAC: forged feedback does nothing.

20 octets, 32 letters in base32: key id (1), delivery id (8), the first 11 octets of an HMAC-SHA-256 over the purpose
and both. Read without regard to case: hosts fold local parts. 88 bits cannot be guessed by mail.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

_MAC_OCTETS = 11
_BLOCK_OCTETS = 64  # of SHA-256
_TOKEN = re.compile(r"[a-z2-7]{32}\Z")
_MIN_SECRET_OCTETS = 16


@dataclass(frozen=True, slots=True)
class FeedbackKey:
    """A secret with an id of one octet, so that it can change; keys outlive the mail that they marked."""

    key_id: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.key_id <= 255:
            raise ValueError("the id of a feedback key is one octet")
        if len(self.secret) < _MIN_SECRET_OCTETS:
            raise ValueError(f"a feedback key has at least {_MIN_SECRET_OCTETS} octets")


def make_token(purpose: str, delivery_id: int, key: FeedbackKey) -> str:
    """32 lower-case letters and digits for ``delivery_id`` (64 bits, not negative; ``OverflowError`` otherwise)."""
    payload = bytes([key.key_id]) + delivery_id.to_bytes(8, "big")
    return base64.b32encode(payload + _mac(purpose, payload, key)).decode().lower()


def read_token(purpose: str, token: str, keys: Iterable[FeedbackKey]) -> int | None:
    """The delivery id, or ``None`` where the token is not one that a key of ours made for this purpose."""
    folded = token.lower()
    if not _TOKEN.match(folded):
        return None
    octets = base64.b32decode(folded.upper())
    payload, mac = octets[:9], octets[9:]
    matches = [hmac.compare_digest(mac, _mac(purpose, payload, key)) for key in keys if key.key_id == payload[0]]
    return int.from_bytes(payload[1:], "big") if any(matches) else None


def _mac(purpose: str, payload: bytes, key: FeedbackKey) -> bytes:
    inner, outer = (keyed.copy() for keyed in _keyed_hashes(key.secret, purpose))
    inner.update(payload)
    outer.update(inner.digest())
    return outer.digest()[:_MAC_OCTETS]


@lru_cache(maxsize=256)
def _keyed_hashes(secret: bytes, purpose: str) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """HMAC's inner and outer hash (RFC 2104 section 4) with the key and the purpose already in them.

    Made once, since every message needs two tokens, and ``hmac.digest`` lets go of the interpreter's lock for each.
    """
    block = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK_OCTETS else secret).ljust(_BLOCK_OCTETS, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block))
    inner.update(purpose.encode() + b"\0")
    return inner, hashlib.sha256(bytes(octet ^ 0x5C for octet in block))
