"""Tokens in tracking and unsubscribe URLs: they name a delivery, carry no address, and cannot be made up.

A token is 40 characters of base64url (RFC 4648 section 5), made from 30 octets:

====== ======= ==============================================================
octets content
====== ======= ==============================================================
1      version in the upper four bits, kind in the lower four
1      id of the key
8      delivery id, unsigned, most significant octet first
2      link number, unsigned, most significant octet first
18     the first 144 bits of HMAC-SHA256 (RFC 2104) over the 12 octets above
====== ======= ==============================================================

30 octets fill 40 characters without a spare bit, so that each token has exactly one spelling. A key makes tokens
while it is active and reads them for as long as it is kept: years, since mail is opened years later. The secrets
serve for tokens alone.
"""

import hashlib
import hmac
import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

_VERSION = 1
_CLAIMS = struct.Struct(">BBQH")
_MAC_OCTETS = 18
_TOKEN_LENGTH = 40
_MAX_DELIVERY_ID = 2**63 - 1
_MAX_LINK = 2**16 - 1
_MIN_SECRET_OCTETS = 32  # RFC 2104 section 3: shorter than the hash's output lessens the strength
_SHA256_BLOCK_OCTETS = 64
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")  # '!' is no base64: each token has one spelling


class TokenKind(IntEnum):
    """What a token is good for; the number stands in the token and never changes.

    ``UNDO`` names a delivery and, as its link, what was unsubscribed from; ``FORM`` a sign-up form and ``CONFIRM`` a
    sign-up in place of a delivery.
    """

    PIXEL = 1
    CLICK = 2
    UNSUBSCRIBE = 3
    PREFERENCES = 4
    UNDO = 5
    FORM = 6
    CONFIRM = 7


_KIND_OF_HEAD = {_VERSION << 4 | kind: kind for kind in TokenKind}


class TokenClaims(NamedTuple):
    """What a genuine token says: ``link`` numbers the target in the run's link table, 0 where there is none."""

    kind: TokenKind
    delivery_id: int
    link: int


class TokenKeys:
    """The secrets by key id, and the id of the one that makes new tokens.

    To rotate, add a key under a new id and make it active; drop the old one only when no mail that it marked
    matters any more. Key ids are 0 to 255, secrets at least 32 octets; anything else is a ``ValueError``.
    """

    __slots__ = ("_hashes", "active_id")

    def __init__(self, active_id: int, secrets: Mapping[int, bytes]) -> None:
        if active_id not in secrets:
            raise ValueError(f"there is no secret for the active token key {active_id}")
        for key_id, secret in secrets.items():
            if not 0 <= key_id <= 255:
                raise ValueError(f"the id of a token key is 0 to 255, not {key_id}")
            if len(secret) < _MIN_SECRET_OCTETS:
                raise ValueError(f"the secret of token key {key_id} is shorter than {_MIN_SECRET_OCTETS} octets")
        self.active_id = active_id
        self._hashes = {key_id: _keyed_hashes(secret) for key_id, secret in secrets.items()}

    @property
    def key_ids(self) -> frozenset[int]:
        """The ids of the keys whose tokens can be read."""
        return frozenset(self._hashes)

    def mac(self, key_id: int, claims: bytes) -> bytes | None:
        """The code over ``claims`` under one key, or ``None`` where that key is not kept."""
        hashes = self._hashes.get(key_id)
        if hashes is None:
            return None
        inner, outer = hashes[0].copy(), hashes[1].copy()
        inner.update(claims)
        outer.update(inner.digest())
        return outer.digest()[:_MAC_OCTETS]

    def __repr__(self) -> str:
        return f"TokenKeys(active_id={self.active_id}, key_ids={sorted(self._hashes)})"


def _keyed_hashes(secret: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """HMAC's inner and outer hash with the key already in them (RFC 2104 section 4), faster than ``hmac.digest``."""
    key = hashlib.sha256(secret).digest() if len(secret) > _SHA256_BLOCK_OCTETS else secret
    block = key.ljust(_SHA256_BLOCK_OCTETS, b"\0")
    return (
        hashlib.sha256(bytes(octet ^ 0x36 for octet in block)),
        hashlib.sha256(bytes(octet ^ 0x5C for octet in block)),
    )


def make(kind: TokenKind, delivery_id: int, link: int, keys: TokenKeys) -> str:
    """The token under the active key; the same arguments always make the same token.

    ``delivery_id`` is 0 to 2**63-1, ``link`` 0 to 65,535; a ``ValueError`` otherwise.
    """
    if not (0 <= delivery_id <= _MAX_DELIVERY_ID and 0 <= link <= _MAX_LINK):
        raise ValueError(f"no token can carry delivery {delivery_id}, link {link}")
    claims = _CLAIMS.pack(_VERSION << 4 | kind, keys.active_id, delivery_id, link)
    mac = keys.mac(keys.active_id, claims)
    assert mac is not None  # TokenKeys has the active key
    return b2a_base64(claims + mac, newline=False).translate(_TO_URL_SAFE).decode("ascii")


def read(token: str, keys: TokenKeys) -> TokenClaims | None:
    """What the token says if one of ``keys`` made it; ``None`` for everything else, whatever is wrong with it.

    The comparison takes the same time wherever the codes differ.
    """
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        octets = a2b_base64(token.encode("ascii").translate(_FROM_URL_SAFE), strict_mode=True)
    except ValueError:
        return None
    if len(octets) != _CLAIMS.size + _MAC_OCTETS:
        return None
    claims = octets[: _CLAIMS.size]
    head, key_id, delivery_id, link = _CLAIMS.unpack(claims)
    mac = keys.mac(key_id, claims)
    if mac is None or not hmac.compare_digest(mac, octets[_CLAIMS.size :]):
        return None
    kind = _KIND_OF_HEAD.get(head)
    if kind is None or delivery_id > _MAX_DELIVERY_ID:
        return None
    return TokenClaims(kind, delivery_id, link)
