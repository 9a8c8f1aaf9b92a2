import hashlib
import hmac
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.tokens import TokenClaims, TokenKeys, TokenKind, make, read

BASE64URL = string.ascii_letters + string.digits + "-_"
KEYS = TokenKeys(7, {7: b"a" * 32, 3: b"b" * 64, 200: b"c" * 100})

claims = st.builds(TokenClaims, st.sampled_from(TokenKind), st.integers(0, 2**63 - 1), st.integers(0, 2**16 - 1))


def made(claim: TokenClaims, keys: TokenKeys = KEYS) -> str:
    return make(claim.kind, claim.delivery_id, claim.link, keys)


@given(claims)
def test_a_token_says_what_it_was_made_from(claim: TokenClaims) -> None:
    token = made(claim)
    assert len(token) == 40
    assert set(token) <= set(BASE64URL)
    assert read(token, KEYS) == claim


@pytest.mark.parametrize("secret", [b"s" * 32, b"s" * 64, b"s" * 65, bytes(range(256))])
def test_the_code_is_hmac_sha256_of_the_octets_before_it(secret: bytes) -> None:
    token = make(TokenKind.CLICK, 2**63 - 1, 65_535, TokenKeys(0, {0: secret}))
    octets = urlsafe_b64decode(token)
    assert octets[:12] == bytes([0x12, 0]) + (2**63 - 1).to_bytes(8, "big") + b"\xff\xff"
    assert octets[12:] == hmac.new(secret, octets[:12], hashlib.sha256).digest()[:18]


@given(claims, st.integers(0, 39), st.sampled_from(BASE64URL))
def test_changing_any_character_makes_it_worthless(claim: TokenClaims, place: int, character: str) -> None:
    token = made(claim)
    changed = token[:place] + character + token[place + 1 :]
    assert read(changed, KEYS) == (claim if changed == token else None)


@given(claims, st.integers(0, 239))
def test_flipping_any_bit_makes_it_worthless(claim: TokenClaims, bit: int) -> None:
    octets = bytearray(urlsafe_b64decode(made(claim)))
    octets[bit // 8] ^= 1 << bit % 8
    assert read(urlsafe_b64encode(bytes(octets)).decode(), KEYS) is None


@given(claims, st.integers(0, 39))
def test_cut_tokens_never_resolve(claim: TokenClaims, length: int) -> None:
    token = made(claim)
    assert read(token[:length], KEYS) is None
    assert read(token[length + 1 :], KEYS) is None
    assert read(token + token[length], KEYS) is None


@given(claims, claims, st.integers(1, 39))
def test_halves_of_two_tokens_never_resolve(one: TokenClaims, other: TokenClaims, place: int) -> None:
    first, second = made(one), made(other)
    swapped = first[:place] + second[place:]
    if swapped not in (first, second):
        assert read(swapped, KEYS) is None


@given(st.text(max_size=60) | st.text(alphabet=BASE64URL, min_size=40, max_size=40))
def test_made_up_tokens_never_resolve(token: str) -> None:
    assert read(token, KEYS) is None


@given(st.lists(claims, max_size=20))
def test_different_claims_never_share_a_token(many: list[TokenClaims]) -> None:
    assert len({made(claim) for claim in many}) == len(set(many))


@pytest.mark.parametrize(("old", "new"), [("-", "+"), ("_", "/")])
def test_a_token_has_one_spelling(old: str, new: str) -> None:
    token = next(t for t in (make(TokenKind.PIXEL, n, 0, KEYS) for n in range(1000)) if old in t)
    assert read(token, KEYS) is not None
    assert read(token.replace(old, new), KEYS) is None


@pytest.mark.parametrize("spoiled", ["{}=", "{}\n", " {}", "{}==", "%41{}"])
def test_nothing_is_overlooked_around_a_token(spoiled: str) -> None:
    assert read(spoiled.format(make(TokenKind.PIXEL, 1, 0, KEYS)), KEYS) is None


def test_other_letters_that_fold_to_ascii_do_not_pass() -> None:
    token = make(TokenKind.PIXEL, 1, 0, KEYS)
    assert read(chr(ord(token[0]) - ord("A") + ord("Ａ")) + token[1:], KEYS) is None


def test_rotation_keeps_old_tokens_readable_until_the_key_goes() -> None:
    before = TokenKeys(1, {1: b"1" * 32})
    during = TokenKeys(2, {1: b"1" * 32, 2: b"2" * 32})
    after = TokenKeys(2, {2: b"2" * 32})
    old, new = make(TokenKind.UNSUBSCRIBE, 5, 0, before), make(TokenKind.UNSUBSCRIBE, 5, 0, during)
    assert old != new
    assert read(old, during) == read(new, during) == TokenClaims(TokenKind.UNSUBSCRIBE, 5, 0)
    assert read(old, after) is None
    assert read(new, after) is not None
    assert read(old, TokenKeys(1, {1: b"9" * 32})) is None


@pytest.mark.parametrize(("delivery_id", "link"), [(-1, 0), (2**63, 0), (0, -1), (0, 65_536)])
def test_numbers_that_do_not_fit_are_errors(delivery_id: int, link: int) -> None:
    with pytest.raises(ValueError, match="no token can carry"):
        make(TokenKind.CLICK, delivery_id, link, KEYS)


def test_genuine_codes_over_another_version_or_kind_do_not_resolve() -> None:
    for head in (0x21, 0x01, 0x10, 0x1F):
        octets = bytes([head, 7]) + bytes(10)
        code = hmac.new(b"a" * 32, octets, hashlib.sha256).digest()[:18]
        assert read(urlsafe_b64encode(octets + code).decode(), KEYS) is None


@pytest.mark.parametrize(
    ("active", "secrets"),
    [(1, {}), (1, {2: b"x" * 32}), (1, {1: b"x" * 31}), (256, {256: b"x" * 32}), (-1, {-1: b"x" * 32})],
)
def test_keys_that_cannot_work_are_refused(active: int, secrets: dict[int, bytes]) -> None:
    with pytest.raises(ValueError):
        TokenKeys(active, secrets)


def test_secrets_do_not_show_up_in_logs() -> None:
    assert "aaaa" not in repr(KEYS)
    assert repr(KEYS) == "TokenKeys(active_id=7, key_ids=[3, 7, 200])"
