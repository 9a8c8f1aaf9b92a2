import hashlib
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.allocation import assign

seeds = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
keys = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
shares = st.lists(st.integers(0, 1000), min_size=1, max_size=5).filter(any)


@given(seeds, keys, shares)
def test_the_same_draw_gives_the_same_variant_among_those_with_a_share(seed: str, key: str, parts: list[int]) -> None:
    variant = assign(seed, key, parts)
    assert parts[variant] > 0
    assert assign(seed, key, tuple(parts)) == variant


@given(seeds, st.lists(keys, unique=True, max_size=30), st.randoms(use_true_random=False))
def test_neither_order_nor_company_matters(seed: str, many: list[str], chance) -> None:
    before = {key: assign(seed, key, (1, 1, 8)) for key in many}
    shuffled = list(many)
    chance.shuffle(shuffled)
    assert {key: assign(seed, key, (1, 1, 8)) for key in shuffled[: len(shuffled) // 2 + 1]}.items() <= before.items()


@given(seeds, keys, shares, st.integers(2, 50))
def test_only_the_proportion_of_the_shares_matters(seed: str, key: str, parts: list[int], factor: int) -> None:
    assert assign(seed, key, parts) == assign(seed, key, [part * factor for part in parts])


@pytest.mark.parametrize("parts", [(1, 1), (1, 1, 8), (5, 15, 30, 50), (1, 0, 1)])
@pytest.mark.parametrize("seed", ["run-1", "run-2", "exp_0190"])
def test_counts_keep_to_the_shares(parts: tuple[int, ...], seed: str) -> None:
    size = 20_000
    counts = Counter(assign(seed, f"reader{number}@mailhub.test", parts) for number in range(size))
    for variant, part in enumerate(parts):
        share = part / sum(parts)
        bound = 4.5 * math.sqrt(size * share * (1 - share))  # fails by chance once in 150,000 draws
        assert abs(counts[variant] - size * share) <= bound


def test_two_seeds_draw_independently() -> None:
    size = 20_000
    both = Counter(
        (assign("a", f"r{number}@x.test", (1, 1)), assign("b", f"r{number}@x.test", (1, 1))) for number in range(size)
    )
    assert all(abs(count - size / 4) <= 4.5 * math.sqrt(size * 3 / 16) for count in both.values())
    assert len(both) == 4


def test_anybody_can_recompute_it() -> None:
    digest = hashlib.sha256(b"seed\0dana@mailhub.test").hexdigest()
    point = int(digest[:16], 16) / 2**64 * 10
    expected = 0 if point < 1 else 1 if point < 2 else 2
    assert assign("seed", "dana@mailhub.test", (1, 1, 8)) == expected


@pytest.mark.parametrize(("seed", "parts"), [("s", ()), ("s", (0, 0)), ("s", (3, -1)), ("s\0x", (1, 1))])
def test_bad_shares_and_seeds(seed: str, parts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        assign(seed, "x", parts)
