import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.allocation import Cut, assign, bucket, draw, end_ranks, sample_sizes
from experiments.errors import ExperimentSyntaxError

keys = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), unique=True, min_size=6, max_size=60)


@given(st.integers(10, 10**8), st.floats(0.01, 1.0), st.integers(2, 5))
def test_sizes_are_equal_within_one_and_no_more_than_the_share(audience: int, share: float, variants: int) -> None:
    if int(audience * share) < variants:
        return
    sizes = sample_sizes(audience, share, variants)
    assert len(sizes) == variants
    assert max(sizes) - min(sizes) <= 1
    assert audience * share - 1 <= sum(sizes) <= audience * share + 1e-6


def test_binary_fractions_take_nobody_away() -> None:
    assert sum(sample_sizes(100, 0.29, 2)) == 29
    assert sample_sizes(11, 1.0, 2) == (6, 5)


@pytest.mark.parametrize(("audience", "share", "variants"), [(100, 0.2, 1), (100, 0.2, 6), (100, 0, 2), (100, 1.1, 2)])
def test_impossible_samples(audience: int, share: float, variants: int) -> None:
    with pytest.raises(ExperimentSyntaxError) as caught:
        sample_sizes(audience, share, variants)
    assert caught.value.next_step


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.1, 0.01])
def test_a_share_that_leaves_nobody(share: float) -> None:
    with pytest.raises(ExperimentSyntaxError, match="sample_share"):
        sample_sizes(100, share, 2)


@settings(max_examples=60)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10), keys, st.randoms())
def test_blocks_are_exact_whatever_the_order(seed: str, people: list[str], chance) -> None:
    sizes = (2, 1, 2)
    cut = draw(seed, people, sizes)
    variants = {key: cut.variant_of((bucket(seed, key), key)) for key in people}
    counts = Counter(variants.values())
    assert tuple(counts[number] for number in range(3)) == sizes
    assert counts[None] == len(people) - 5
    shuffled = list(people)
    chance.shuffle(shuffled)
    assert draw(seed, iter(shuffled), sizes) == cut


def test_the_cut_is_what_a_sorted_column_says() -> None:
    people = [f"reader{number}@mailhub.test" for number in range(5_000)]
    places = sorted((bucket("run-7", key), key) for key in people)
    sizes = sample_sizes(len(people), 0.2, 3)
    cut = Cut(tuple(places[rank] for rank in end_ranks(sizes)))
    assert cut == draw("run-7", people, sizes)
    assert [cut.variant_of(place) for place in places[: sizes[0] + 1]] == [0] * sizes[0] + [1]


def test_equal_buckets_are_told_apart_by_the_key() -> None:
    cut = Cut(((5, "b"), (5, "d")))
    assert [cut.variant_of((5, key)) for key in "abcde"] == [0, 0, 1, 1, None]


def test_anybody_can_recompute_a_bucket() -> None:
    digest = hashlib.sha256(b"seed\0dana@mailhub.test").hexdigest()
    assert bucket("seed", "dana@mailhub.test") == int(digest[:16], 16) // 2


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_signed_column_holds_it_and_shares_agree(key: str) -> None:
    assert 0 <= bucket("s", key) < 2**63
    assert assign("s", key, (1, 1)) == bucket("s", key) >> 62


def test_a_sample_is_a_draw_over_all_parts_of_the_list() -> None:
    people = [f"reader{number}@mailhub.test" for number in range(20_000)]
    cut = draw("run-1", people, (2_000, 2_000))
    early = Counter(cut.variant_of((bucket("run-1", key), key)) for key in people[:10_000])
    assert all(abs(early[number] - 1_000) < 5 * 22 for number in (0, 1))


def test_too_few_people() -> None:
    with pytest.raises(ExperimentSyntaxError, match="sizes"):
        draw("s", ["a", "b"], (2, 2))
    with pytest.raises(ValueError):
        end_ranks((1, 0))
    with pytest.raises(ValueError):
        Cut(((2, "a"), (1, "b")))
