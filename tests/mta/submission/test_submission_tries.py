from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mta.strict_smtp import peer_site
from mta.submission.tries import TryLimiter, TryLimits

LIMITS = TryLimits(free_by_peer=3, free_by_prefix=5, longest=timedelta(seconds=10))
ALICE, BOB = "192.0.2.1", "192.0.2.2"
KEY = "pw_live_abcdefgh"


def test_waits_grow_and_end():
    tries = TryLimiter(LIMITS)
    now, waits = 0.0, []
    for _ in range(9):
        wait = tries.begin(ALICE, f"{len(waits)}{KEY}", now)
        waits.append(wait)
        if wait:
            now += wait
            assert tries.begin(ALICE, KEY, now) == 0
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 10]


def test_tries_that_arrive_together_count_each():
    tries = TryLimiter(LIMITS)
    assert [tries.begin(ALICE, f"{number}", 0.0) > 0 for number in range(6)] == [False] * 4 + [True] * 2


def test_one_key_from_many_peers():
    tries = TryLimiter(LIMITS)
    replies = [tries.begin(f"192.0.2.{number}", KEY, 0.0) > 0 for number in range(8)]
    assert replies == [False] * 6 + [True] * 2
    assert tries.begin(BOB, "another_prefix", 0.0) == 0


def test_good_keys_are_never_held_off_and_give_no_credit():
    tries = TryLimiter(LIMITS)
    for _ in range(100):
        assert tries.begin(ALICE, KEY, 0.0) == 0
        tries.succeeded(ALICE, KEY, 0.0)
    for number in range(4):
        assert tries.begin(ALICE, f"{number}", 0.0) == 0
        if number < 3:
            assert tries.begin(ALICE, KEY, 0.0) == 0
            tries.succeeded(ALICE, KEY, 0.0)
    assert tries.begin(ALICE, KEY, 0.0) > 0


def test_counts_are_forgotten():
    tries = TryLimiter(LIMITS)
    for number in range(5):
        tries.begin(ALICE, f"{number}", 0.0)
    assert tries.begin(ALICE, KEY, 0.5) > 0
    assert [tries.begin(ALICE, f"{number}", 3602.0) for number in range(4)] == [0.0] * 4


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=100))
def test_the_tables_are_bounded(steps):
    tries = TryLimiter(TryLimits(entries=7))
    for now, (peer, key, is_good) in enumerate(steps):
        if tries.begin(str(peer), str(key), float(now)) == 0 and is_good:
            tries.succeeded(str(peer), str(key), float(now))
        assert len(tries._peers) <= 7
        assert len(tries._prefixes) <= 7


def test_peers_are_counted_as_sites():
    assert peer_site("192.0.2.1") == "192.0.2.1"
    assert peer_site("::ffff:192.0.2.1") == "192.0.2.1"
    assert peer_site("2001:db8:1:2:3::4") == peer_site("2001:db8:1:2::9") != peer_site("2001:db8:1:3::9")
    assert peer_site("fe80::1%eth0") == "fe80::/64"
    assert peer_site("nonsense") == "nonsense"
