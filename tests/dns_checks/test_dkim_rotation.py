from collections.abc import Iterable
from ipaddress import IPv4Address
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dkim.keys import generate_ed25519_key, key_record_text
from dns_checks.dkim.rotation import (
    KEEP_PUBLISHED,
    NEXT_KEY_STATE,
    SETTLE,
    KeyHappening,
    KeyMove,
    KeyState,
    WatchedKey,
    judge,
    next_key_state,
    sighting_of,
)
from dns_checks.name_servers import Authority, NameServer, ServerAnswer, authority_of
from dns_checks.testing import Zone, run
from mailtypes.questions import (
    Absence,
    Absent,
    DnsAnswer,
    DnsQuestion,
    Found,
    RecordType,
    TxtRecord,
    Unanswered,
)

S, H = KeyState, KeyHappening
NOW = 1_700_000_000_000_000
RECORD, OTHER = (key_record_text(generate_ed25519_key()) for _ in range(2))

# Written down a second time, by hand: a slip in the table has to be made twice.
EXPECTED = {
    "made": {"seen_everywhere": "published", "not_seen": "made", "unknown": "made"},
    "published": {"seen_everywhere": "published", "not_seen": "made", "unknown": "published", "activate": "active"},
    "active": {"seen_everywhere": "active", "not_seen": "active", "unknown": "active", "retire": "retiring"},
    "retiring": {"seen_everywhere": "retiring", "not_seen": "retiring", "unknown": "retiring", "expire": "retired"},
    "retired": {},
}


@pytest.mark.parametrize(("state", "happening"), product(KeyState, KeyHappening))
def test_every_transition(state: KeyState, happening: KeyHappening) -> None:
    assert next_key_state(state, happening) == EXPECTED[state].get(happening)


def test_only_what_is_published_ever_becomes_active_and_nothing_leaves_retired() -> None:
    into_active = {before for (before, _), after in NEXT_KEY_STATE.items() if after is S.ACTIVE} - {S.ACTIVE}
    assert into_active == {S.PUBLISHED}
    assert not [before for before, _ in NEXT_KEY_STATE if before is S.RETIRED]
    assert {after for (_, what), after in NEXT_KEY_STATE.items() if what is H.UNKNOWN} <= set(S)
    assert all(before is after for (before, what), after in NEXT_KEY_STATE.items() if what is H.UNKNOWN)


def key(number: int, state: KeyState, seen: KeyHappening, **more: Any) -> WatchedKey:
    return WatchedKey(number, more.pop("algorithm", "rsa"), state, seen, **more)


def moves(*keys: WatchedKey, now: int = NOW) -> list[tuple[int, str, str]]:
    return [(move.number, str(move.before), str(move.after)) for move in judge(keys, now)]


def test_the_first_key_signs_as_soon_as_it_is_seen() -> None:
    assert moves(key(1, S.MADE, H.SEEN_EVERYWHERE)) == [(1, "made", "published"), (1, "published", "active")]
    assert moves(key(1, S.MADE, H.UNKNOWN)) == moves(key(1, S.MADE, H.NOT_SEEN)) == []


def test_a_new_key_waits_beside_one_that_signs_and_then_replaces_it() -> None:
    old = key(1, S.ACTIVE, H.SEEN_EVERYWHERE)
    assert moves(old, key(2, S.MADE, H.SEEN_EVERYWHERE)) == [(2, "made", "published")]
    waits = key(2, S.PUBLISHED, H.SEEN_EVERYWHERE, published_at=NOW - SETTLE + 1)
    assert moves(old, waits) == []
    ready = key(2, S.PUBLISHED, H.SEEN_EVERYWHERE, published_at=NOW - SETTLE)
    assert moves(old, ready) == [(2, "published", "active"), (1, "active", "retiring")]
    # However long it was visible: it does not begin in a moment in which it may be gone.
    for seen in (H.UNKNOWN, H.NOT_SEEN):
        unseen = key(2, S.PUBLISHED, seen, published_at=NOW - SETTLE)
        assert (2, "published", "active") not in moves(old, unseen)


def test_a_vanished_key_is_taken_out_only_beside_a_visible_one() -> None:
    gone, there = key(2, S.ACTIVE, H.NOT_SEEN), key(1, S.ACTIVE, H.SEEN_EVERYWHERE)
    assert moves(gone) == []
    assert moves(gone, key(1, S.ACTIVE, H.UNKNOWN)) == []
    assert moves(gone, key(1, S.ACTIVE, H.SEEN_EVERYWHERE, algorithm="ed25519")) == []
    assert moves(there, gone) == [(2, "active", "retiring")]
    assert moves(there, key(2, S.ACTIVE, H.UNKNOWN)) == []


def test_a_fresh_key_takes_over_at_once_from_one_that_vanished() -> None:
    assert moves(key(1, S.ACTIVE, H.NOT_SEEN), key(2, S.MADE, H.SEEN_EVERYWHERE)) == [
        (2, "made", "published"),
        (2, "published", "active"),
        (1, "active", "retiring"),
    ]


def test_pairs_are_replaced_by_algorithm() -> None:
    old = (key(1, S.ACTIVE, H.SEEN_EVERYWHERE), key(2, S.ACTIVE, H.SEEN_EVERYWHERE, algorithm="ed25519"))
    ready = key(3, S.PUBLISHED, H.SEEN_EVERYWHERE, published_at=NOW - SETTLE)
    assert moves(*old, ready) == [(3, "published", "active"), (1, "active", "retiring")]


def test_a_retiring_key_expires_after_the_longest_queue_life() -> None:
    assert KEEP_PUBLISHED > 5 * 86_400_000_000
    assert moves(key(1, S.RETIRING, H.NOT_SEEN, retiring_at=NOW - KEEP_PUBLISHED + 1)) == []
    assert moves(key(1, S.RETIRING, H.UNKNOWN, retiring_at=NOW - KEEP_PUBLISHED)) == [(1, "retiring", "retired")]


WATCHED = st.builds(
    WatchedKey,
    number=st.integers(1, 9),
    algorithm=st.sampled_from(["rsa", "ed25519"]),
    state=st.sampled_from([one for one in S if one is not S.RETIRED]),
    seen=st.sampled_from([H.SEEN_EVERYWHERE, H.NOT_SEEN, H.UNKNOWN]),
    published_at=st.none() | st.integers(NOW - 2 * SETTLE, NOW),
    retiring_at=st.none() | st.integers(NOW - 2 * KEEP_PUBLISHED, NOW),
)


@given(st.lists(WATCHED, unique_by=lambda one: one.number, max_size=6))
def test_laws_of_every_look(keys: list[WatchedKey]) -> None:
    found = judge(keys, NOW)
    by_number = {one.number: one for one in keys}
    after = {one.number: one.state for one in keys} | {move.number: move.after for move in found}
    for move in found:
        assert move.after in {NEXT_KEY_STATE.get((move.before, what)) for what in H}
        if move.after is S.ACTIVE:
            assert by_number[move.number].seen is H.SEEN_EVERYWHERE
        if move.after is S.RETIRING:
            heirs = [one for one in keys if one.algorithm == by_number[move.number].algorithm]
            assert any(after[one.number] is S.ACTIVE and one.seen is H.SEEN_EVERYWHERE for one in heirs)
    if all(one.seen is H.UNKNOWN for one in keys):
        assert {move.after for move in found} <= {S.RETIRED}


@given(st.lists(WATCHED, unique_by=lambda one: one.number, max_size=6))
def test_a_look_that_is_repeated_at_once_changes_nothing_more(keys: list[WatchedKey]) -> None:
    assert judge(list(_standing(keys, judge(keys, NOW))), NOW) == ()


def _standing(keys: list[WatchedKey], found: Iterable[KeyMove]) -> Iterable[WatchedKey]:
    for one in keys:
        state, published_at, retiring_at = one.state, one.published_at, one.retiring_at
        for move in found:
            if move.number == one.number:
                state = move.after
                published_at = NOW if state is S.PUBLISHED else published_at
                retiring_at = NOW if state is S.RETIRING else retiring_at
        yield WatchedKey(one.number, one.algorithm, state, one.seen, published_at, retiring_at)


def txt(*texts: str) -> Found:
    return Found(tuple(TxtRecord((text.encode("latin-1"),)) for text in texts))


SILENT, GONE, HERE = Unanswered("servfail"), Absent(Absence.NO_SUCH_NAME), txt(RECORD)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([[HERE], [HERE]], H.SEEN_EVERYWHERE),
        ([[HERE, SILENT], [SILENT, HERE]], H.SEEN_EVERYWHERE),
        ([[HERE], [GONE]], H.UNKNOWN),
        ([[HERE], [SILENT]], H.UNKNOWN),
        ([[HERE], []], H.UNKNOWN),
        ([[GONE], [SILENT]], H.UNKNOWN),
        ([[HERE, GONE]], H.NOT_SEEN),
        ([[GONE], [GONE]], H.NOT_SEEN),
        ([[SILENT], [SILENT]], H.UNKNOWN),
        ([], H.UNKNOWN),
        ([[txt(OTHER)]], H.NOT_SEEN),
        ([[txt(RECORD, OTHER)]], H.NOT_SEEN),
        ([[txt("v=DKIM1; p=")]], H.NOT_SEEN),
        ([[txt("v=DKIM1; k=rsa; p=\xff\xfe")]], H.NOT_SEEN),
    ],
)
def test_sightings(servers: list[list[DnsAnswer]], expected: KeyHappening) -> None:
    answers = [ServerAnswer(f"ns{number}.test", tuple(one)) for number, one in enumerate(servers)]
    found = sighting_of(RECORD, answers)
    assert found.happening is expected
    assert found.sentence.endswith(".")


def test_name_servers_that_cannot_be_found_tell_nothing() -> None:
    found = sighting_of(RECORD, Unanswered("timeout"))
    assert found.happening is H.UNKNOWN
    assert "timeout" in found.sentence


@given(st.binary(max_size=300))
def test_any_octets_in_the_record_are_just_not_the_key(octets: bytes) -> None:
    answer = Found((TxtRecord((octets,)),))
    assert sighting_of(RECORD, [ServerAnswer("ns", (answer,))]).happening is H.NOT_SEEN


ZONE = """
acme.test. 300 IN NS ns1.acme.test.
acme.test. 300 IN NS NS2.other.test.
ns1.acme.test. 300 IN A 192.0.2.1
ns1.acme.test. 300 IN AAAA 2001:db8::1
ns2.other.test. 300 IN A 192.0.2.2
pw1._domainkey.news.acme.test. 300 IN TXT "v=DKIM1; p="
pw2._domainkey.news.acme.test. 300 IN CNAME key.other.test.
key.other.test. 300 IN TXT "v=DKIM1; p="
other.test. 300 IN NS ns2.other.test.
;; SERVFAIL silent.test
"""


def authority(name: str) -> Authority | Unanswered:
    return run(authority_of(DnsQuestion(name, RecordType.TXT)), Zone.parse(ZONE))


def test_the_servers_of_the_zone_above_are_found_with_their_addresses() -> None:
    for name in ("pw1._domainkey.news.acme.test", "pw9._domainkey.news.acme.test"):
        found = authority(name)
        assert isinstance(found, Authority)
        assert found.name == name
        shown = [(one.name, [str(address) for address in one.addresses]) for one in found.servers]
        assert shown == [("ns1.acme.test", ["192.0.2.1", "2001:db8::1"]), ("ns2.other.test", ["192.0.2.2"])]


def test_an_alias_leads_to_the_servers_of_its_target() -> None:
    found = authority("pw2._domainkey.news.acme.test")
    assert isinstance(found, Authority)
    assert found.name == "key.other.test"
    assert found.servers == (NameServer("ns2.other.test", (IPv4Address("192.0.2.2"),)),)


def test_silence_on_the_way_is_silence() -> None:
    assert authority("silent.test") == Unanswered("servfail")
    assert isinstance(authority("a.nowhere.test"), Unanswered)
