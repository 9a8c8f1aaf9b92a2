"""Who gets which variant: drawn by a seeded hash, so that anybody can draw it again.

``assign`` is for shares of a list whose length nobody knows yet: the share of a recipient depends on the seed and the
address key alone, neither on the order of the list nor on who else is on it; the counts vary as in a draw of lots.
Recompute it anywhere: the first eight octets of SHA-256 over ``seed``, a zero octet and the address key (UTF-8), read
as an unsigned integer most significant octet first, times the sum of the shares, divided by 2**64 and rounded down, is
a point on the line on which the shares lie one behind the other.

``bucket``, ``sample_sizes`` and ``Cut`` are for a frozen audience: the counts are exact. Sort everybody by
``(bucket, address key)``; the first ``n1`` of them get the first variant, the next ``n2`` the second, and so on; who
stands behind the last block waits for the winner. The bucket fits a signed 64-bit column, so that a database can sort
ten million of them by an index and say who stands at the end of each block; from those few rows, ``Cut`` tells the
variant of anybody else without sorting, in chunks of any size and any order.
"""

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite

from experiments.errors import ExperimentSyntaxError
from mailtypes.saying import say

MIN_VARIANTS, MAX_VARIANTS = 2, 5
_HASH_OCTETS = 8
_ROUNDING = 1e-9  # 0.29 of 100 people are 29, whatever binary fractions say
Place = tuple[int, str]
"""Where somebody stands in the draw: the bucket, then the address key for the rare equal buckets."""


def _point(seed: str, address_key: str) -> int:
    if "\0" in seed:
        raise ValueError("a seed has no zero octet")
    digest = hashlib.sha256(f"{seed}\0{address_key}".encode()).digest()
    return int.from_bytes(digest[:_HASH_OCTETS], "big")


def assign(seed: str, address_key: str, shares: Sequence[int]) -> int:
    """Index of the variant that ``address_key`` (``EmailAddress.key``) falls to.

    ``shares`` are whole weights, for instance ``(1, 1, 8)`` for two tenths tested and a remainder; a variant with
    share 0 gets nobody. Counts vary as in independent draws. ``ValueError`` for a negative share or none above 0,
    or a seed with a zero octet.
    """
    total = sum(shares)
    if total <= 0 or min(shares) < 0:
        raise ValueError(f"shares are whole numbers, at least one above 0: {list(shares)}")
    point = _point(seed, address_key) * total >> 8 * _HASH_OCTETS
    for variant, share in enumerate(shares):
        point -= share
        if point < 0:
            return variant
    raise AssertionError("the point lies beyond the shares")


def bucket(seed: str, address_key: str) -> int:
    """The lot of ``address_key``: a whole number from 0 to 2**63 - 1, as good as random, the same for ever.

    It is the number that ``assign`` begins with, halved and rounded down, so that a signed column holds it.
    ``ValueError`` for a seed with a zero octet.
    """
    return _point(seed, address_key) >> 1


def sample_sizes(audience: int, sample_share: float, variants: int) -> tuple[int, ...]:
    """How many people each variant is tried on: equal within one, and together at most ``sample_share`` of all.

    The remainder of the audience waits for the winner; with a share of 1 nobody does. ``ExperimentSyntaxError``
    where a variant would get nobody, or for what is no share or no number of variants.
    """
    if not MIN_VARIANTS <= variants <= MAX_VARIANTS:
        raise ExperimentSyntaxError(
            "variants",
            say("%(variants)s variants; a test has two to five.", variants=variants),
            next_step=say("Add or take away variants."),
        )
    if not (isfinite(sample_share) and 0 < sample_share <= 1):
        raise ExperimentSyntaxError(
            "sample_share",
            say("%(sample_share)s is no share.", sample_share=sample_share),
            next_step=say("Give a number above 0 and at most 1, as 0.2."),
        )
    each, over = divmod(int(audience * sample_share + _ROUNDING), variants)
    if each < 1:
        raise ExperimentSyntaxError(
            "sample_share",
            say(
                "%(sample_share)s of %(audience)s people leaves nobody for some of %(variants)s variants.",
                sample_share=f"{sample_share:g}",
                audience=f"{audience:,}",
                variants=variants,
            ),
            next_step=say("Test on a larger share, or send without a test."),
        )
    return tuple(each + (number < over) for number in range(variants))


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the blocks of a draw end: the place of the last person of each variant, in the order of the variants."""

    ends: tuple[Place, ...]

    def __post_init__(self) -> None:
        if not self.ends or any(later <= earlier for earlier, later in pairwise(self.ends)):
            raise ValueError("the ends of the blocks rise strictly")

    def variant_of(self, place: Place) -> int | None:
        """Index of the variant of whoever stands at ``place``; ``None``: with those who wait for the winner."""
        return next((number for number, end in enumerate(self.ends) if place <= end), None)


def end_ranks(sizes: Sequence[int]) -> tuple[int, ...]:
    """The ranks, counted from 0, of those whose places make the ``Cut``: what a database is asked by OFFSET.

    ``ValueError`` for a block without people.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError(f"each block has somebody: {list(sizes)}")
    return tuple(end - 1 for end in accumulate(sizes))


def draw(seed: str, address_keys: Iterable[str], sizes: Sequence[int]) -> Cut:
    """The cut of an audience that lies in memory or comes by and by; keeps no more than the sample itself.

    Each key comes once. ``ExperimentSyntaxError`` where the audience is smaller than the sample.
    """
    ranks = end_ranks(sizes)
    places = ((bucket(seed, key), key) for key in address_keys)
    sample = heapq.nsmallest(ranks[-1] + 1, places)
    if len(sample) <= ranks[-1]:
        raise ExperimentSyntaxError(
            "sizes",
            say(
                "a sample of %(sample)s from %(people)s people.", sample=f"{ranks[-1] + 1:,}", people=f"{len(sample):,}"
            ),
            next_step=say("Make the sample smaller: sample_sizes() says how many each variant can have."),
        )
    return Cut(tuple(sample[rank] for rank in ranks))
