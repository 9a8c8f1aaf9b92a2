from hypothesis import given
from hypothesis import strategies as st

from mta.chunk_sizes import ChunkSizes

MIB = 1024 * 1024


def test_small_messages_go_in_long_chunks_and_large_ones_one_by_one():
    sizes = ChunkSizes(25, 24 * MIB)
    sizes.note([30_000] * 4)
    assert sizes.size(1) == 24
    assert sizes.size(30) == 8
    assert sizes.size(60) == 6
    assert sizes.size(200) == 2
    sizes.note([8 * MIB])
    assert sizes.size(1) == 1


def test_before_the_first_message_little_is_made():
    assert ChunkSizes(25, 24 * MIB).size(12) == 1


def test_one_large_message_is_forgotten_again():
    sizes = ChunkSizes(25, 24 * MIB)
    sizes.note([8 * MIB])
    for _ in range(40):
        sizes.note([30_000])
    assert sizes.size(10) == 24


@given(st.integers(1, 1000), st.integers(1, 20 * MIB))
def test_what_all_connections_hold_stays_within_the_bound(connections, octets):
    sizes = ChunkSizes(25, 24 * MIB)
    sizes.note([octets])
    size = sizes.size(connections)
    assert 1 <= size <= 24
    assert size < 8 or size % 8 == 0
    assert size == 1 or 2 * connections * size * octets <= 24 * MIB
