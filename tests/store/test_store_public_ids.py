"""Public ids: read back what was put in, told apart by kind, in the order of time, and real UUIDs."""

import uuid

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mailtypes.clock import SECOND
from postwright.store.public_ids import (
    MAX_RECIPIENTS,
    PublicIdSyntaxError,
    delivery_id,
    public_id,
    read_public_id,
    run_of_delivery,
)

PREFIXES = st.sampled_from(["cmp", "run", "dlv", "evt", "tpl", "key"])
MOMENTS = st.integers(0, (1 << 48) * 1000 - 1)
ROW_IDS = st.integers(0, (1 << 63) - 1)


@given(PREFIXES, MOMENTS, ROW_IDS)
@example("cmp", 0, 0)
@example("cmp", (1 << 48) * 1000 - 1, (1 << 63) - 1)
def test_a_public_id_leads_back_to_its_row(prefix: str, moment: int, row_id: int) -> None:
    made = public_id(prefix, moment, row_id)
    assert read_public_id(made, prefix) == row_id
    parsed = uuid.UUID(made.removeprefix(f"{prefix}_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == moment // 1000


@given(PREFIXES, PREFIXES, MOMENTS, ROW_IDS)
def test_an_id_of_another_kind_is_refused(prefix: str, other: str, moment: int, row_id: int) -> None:
    assume(prefix != other)
    with pytest.raises(PublicIdSyntaxError):
        read_public_id(public_id(prefix, moment, row_id), other)


def test_an_id_under_another_prefix_is_nearly_always_refused() -> None:
    """Ten bits bind the id to its kind, so about one in a thousand slips through."""
    slipped = 0
    for row_id in range(1, 3001):
        forged = public_id("cmp", SECOND, row_id).replace("cmp_", "run_")
        try:
            read_public_id(forged, "run")
            slipped += 1
        except PublicIdSyntaxError:
            pass
    assert slipped < 15


@given(MOMENTS, MOMENTS, ROW_IDS, ROW_IDS)
def test_the_older_one_sorts_first(one: int, other: int, row_id: int, other_id: int) -> None:
    assume(one // 1000 < other // 1000)
    assert public_id("cmp", one, row_id) < public_id("cmp", other, other_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cmp_",
        "cmp_0",
        "cmp-" + "0" * 32,
        "cmp_" + "g" * 32,
        "cmp_" + "0" * 33,
        "CMP_" + "0" * 32,
        "cmp_" + "0" * 32 + "\n",
        "cmp_" + "0" * 32,
        "x" * 10_000,
    ],
)
def test_what_is_no_id_is_refused_with_a_next_step(text: str) -> None:
    with pytest.raises(PublicIdSyntaxError) as caught:
        read_public_id(text, "cmp")
    assert caught.value.next_step
    assert len(str(caught.value)) < 200


@given(MOMENTS, ROW_IDS, st.sampled_from([76, 77, 78, 79, 62, 63]))
def test_another_version_or_variant_is_refused(moment: int, row_id: int, bit: int) -> None:
    value = int(public_id("cmp", moment, row_id).removeprefix("cmp_"), 16) ^ 1 << bit
    with pytest.raises(PublicIdSyntaxError):
        read_public_id(f"cmp_{value:032x}", "cmp")


@given(st.integers(1, (1 << 35) - 1), st.integers(1, MAX_RECIPIENTS))
def test_a_delivery_id_tells_its_run_and_fits_64_bits(run_id: int, number: int) -> None:
    made = delivery_id(run_id, number)
    assert made < 1 << 63
    assert run_of_delivery(made) == run_id
    assert delivery_id(run_id, 1) <= made < delivery_id(run_id + 1, 1)


@pytest.mark.parametrize("number", [-1, 0, MAX_RECIPIENTS + 1])
def test_a_number_beyond_the_bits_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="recipients"):
        delivery_id(1, number)
