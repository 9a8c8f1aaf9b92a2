"""Who gets which variant: drawn by a seeded hash, so that anybody can draw it again.

The share of a recipient depends on the seed and the address key alone: neither on the order of the list nor on who
else is on it. Recompute it anywhere: the first eight octets of SHA-256 over ``seed``, a zero octet and the address
key (UTF-8), read as an unsigned integer most significant octet first, times the sum of the shares, divided by
2**64 and rounded down, is a point on the line on which the shares lie one behind the other.
"""

import hashlib
from collections.abc import Sequence

_HASH_OCTETS = 8


def assign(seed: str, address_key: str, shares: Sequence[int]) -> int:
    """Index of the variant that ``address_key`` (``EmailAddress.key``) falls to.

    ``shares`` are whole weights, for instance ``(1, 1, 8)`` for two tenths tested and a remainder; a variant with
    share 0 gets nobody. Counts vary as in independent draws. ``ValueError`` for a negative share or none above 0,
    or a seed with a zero octet.
    """
    total = sum(shares)
    if total <= 0 or min(shares) < 0:
        raise ValueError(f"shares are whole numbers, at least one above 0: {list(shares)}")
    if "\0" in seed:
        raise ValueError("a seed has no zero octet")
    digest = hashlib.sha256(f"{seed}\0{address_key}".encode()).digest()
    point = int.from_bytes(digest[:_HASH_OCTETS], "big") * total >> 8 * _HASH_OCTETS
    for variant, share in enumerate(shares):
        point -= share
        if point < 0:
            return variant
    raise AssertionError("the point lies beyond the shares")
