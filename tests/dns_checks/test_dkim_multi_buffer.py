"""RSA signatures made eight at a time: the same octets as OpenSSL's, and never one that does not verify."""

import ctypes
import os
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.dkim import multi_buffer, sealing
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key
from dns_checks.dkim.multi_buffer import LaneKey, MultiBuffer, Unavailable, find_multi_buffer
from dns_checks.dkim.sealing import SealingKey, UnsealedField, seal_all

FIRST, SECOND, LONG, ED = generate_rsa_key(), generate_rsa_key(), generate_rsa_key(3072), generate_ed25519_key()
UNUSUAL = [generate_rsa_key(1024), generate_private_key(public_exponent=3, key_size=2048)]
KEYS = [FIRST, SECOND, LONG, ED, *UNUSUAL]


@pytest.fixture(scope="module")
def library() -> MultiBuffer:
    found = find_multi_buffer()
    if isinstance(found, Unavailable):
        if os.environ.get("CI") and "processor" not in found.cause:
            pytest.fail(found.cause)
        pytest.skip(found.cause)
    return found


@pytest.fixture
def afresh() -> Iterator[None]:
    find_multi_buffer.cache_clear()
    yield
    find_multi_buffer.cache_clear()


def alone(key: RSAPrivateKey | Ed25519PrivateKey, digest: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(digest, PKCS1v15(), Prehashed(SHA256()))
    return key.sign(digest)


def lane_key(key: RSAPrivateKey) -> LaneKey:
    found = LaneKey.of(key)
    assert found is not None
    return found


def digests(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_the_octets_are_those_of_openssl(library: MultiBuffer, bits: int) -> None:
    key = generate_rsa_key(bits)
    given_digests = [bytes(32), b"\xff" * 32, *digests(18)]
    assert library.sign([lane_key(key)] * 20, given_digests) == [alone(key, one) for one in given_digests]


def test_each_lane_has_the_key_that_stands_beside_it(library: MultiBuffer) -> None:
    keys = [FIRST, SECOND, SECOND, FIRST, SECOND, FIRST, FIRST, FIRST, SECOND]
    for order in (keys, [FIRST] * 9, keys[::-1]):
        made = library.sign([lane_key(key) for key in order], digests(9))
        assert made == [alone(key, one) for key, one in zip(order, digests(9), strict=True)]


def test_primes_in_either_order_are_taken(library: MultiBuffer) -> None:
    numbers = FIRST.private_numbers()
    turned = RSAPrivateNumbers(
        numbers.q, numbers.p, numbers.d, numbers.dmq1, numbers.dmp1, pow(numbers.p, -1, numbers.q),
        numbers.public_numbers,
    ).private_key()  # fmt: skip
    assert library.sign([lane_key(turned)] * 8, digests(8)) == [alone(FIRST, one) for one in digests(8)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(KEYS) - 1), max_size=20))
def test_fields_are_sealed_in_their_order_whatever_keys_meet(order: list[int]) -> None:
    in_use = [SealingKey(key) for key in KEYS]
    hashes = digests(len(order))
    fields = [UnsealedField(in_use[at], b"%d:" % at, digest) for at, digest in zip(order, hashes, strict=True)]
    expected = [field.seal(alone(KEYS[at], field.digest)) for at, field in zip(order, fields, strict=True)]
    assert seal_all(fields) == expected


def test_a_faulty_signature_is_made_anew_and_never_shown(library: MultiBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = library._workplace._library

    def faulty(*arguments: Any) -> int:
        real.mbx_rsa_private_crt_mb8(*arguments)
        ctypes.memset(arguments[1][2] + 7, 0, 3)  # as a fault of the processor would, in the third lane
        return 0

    class Faulty:
        mbx_rsa_private_crt_mb8 = staticmethod(faulty)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    broken = MultiBuffer.__new__(MultiBuffer)
    broken._workplace = multi_buffer._Workplace(Faulty())  # type: ignore[arg-type]
    made = broken.sign([lane_key(FIRST)] * 8, digests(8))
    assert made[2] is None
    assert [one for one in made if one] == [alone(FIRST, one) for number, one in enumerate(digests(8)) if number != 2]
    monkeypatch.setattr(sealing, "find_multi_buffer", lambda: broken)
    fields = [UnsealedField(SealingKey(FIRST), b"", one) for one in digests(8)]
    assert seal_all(fields) == [field.seal(alone(FIRST, field.digest)) for field in fields]


def test_what_a_call_that_failed_left_behind_does_not_pass(library: MultiBuffer) -> None:
    real = library._workplace._library

    class Failing:
        fails = False

        def __getattr__(self, name: str) -> Any:
            return (lambda *_: 1) if self.fails and name.endswith("_mb8") else getattr(real, name)

    failing = Failing()
    broken = MultiBuffer.__new__(MultiBuffer)
    broken._workplace = multi_buffer._Workplace(failing)  # type: ignore[arg-type]
    assert None not in broken.sign([lane_key(FIRST)] * 8, digests(8))
    failing.fails = True
    assert broken.sign([lane_key(SECOND)] * 8, digests(8)) == [None] * 8


def test_a_library_that_breaks_while_it_signs_is_told_of_and_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Library(MultiBuffer):
        def __init__(self) -> None: ...

        def sign(self, keys: Any, digests: Any) -> list[bytes | None]:
            raise MemoryError

    monkeypatch.setattr(sealing, "find_multi_buffer", Library)
    fields = [UnsealedField(SealingKey(FIRST), b"", one) for one in digests(8)]
    assert seal_all(fields) == [field.seal(alone(FIRST, field.digest)) for field in fields]
    assert "OpenSSL does" in caplog.text


def test_a_library_that_lacks_what_is_needed_later_is_not_taken() -> None:
    class Older:
        def __getattr__(self, name: str) -> Any:
            if "RSA4K" in name:
                raise AttributeError(name)
            return lambda *_: 1

    with pytest.raises(AttributeError, match="RSA4K"):
        MultiBuffer(Older())  # type: ignore[arg-type]


def test_few_are_signed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Library(MultiBuffer):
        def __init__(self) -> None: ...

        def sign(self, keys: Any, digests: Any) -> list[bytes | None]:
            asked.append(len(digests))
            return [None] * len(digests)

    monkeypatch.setattr(sealing, "find_multi_buffer", Library)
    for count in (1, 2, 3, 8, 9, 10, 11, 16):
        fields = [UnsealedField(SealingKey(FIRST), b"", one) for one in digests(count)]
        assert seal_all(fields) == [field.seal(alone(FIRST, field.digest)) for field in fields]
    assert asked == [3, 8, 8, 8, 11, 16]


@pytest.mark.parametrize("key", UNUSUAL)
def test_keys_that_the_library_does_not_take_are_left_to_openssl(key: RSAPrivateKey) -> None:
    assert LaneKey.of(key) is None
    assert seal_all([UnsealedField(SealingKey(key), b"", digests(1)[0])]) == [
        UnsealedField(SealingKey(key), b"", digests(1)[0]).seal(alone(key, digests(1)[0]))
    ]


def _no_package(name: str) -> list[Any]:
    raise PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        (_no_package, "intel-cmplr-lib-rt is not installed"),
        (lambda _: None, "intel-cmplr-lib-rt has no libintlc.so.5"),
        (
            lambda _: [SimpleNamespace(name="libintlc.so.5", locate=lambda: "absent/libintlc.so.5")],
            "cannot open shared object file",
        ),
    ],
)
def test_why_it_is_not_there_is_said(files: Any, cause: str, monkeypatch: pytest.MonkeyPatch, afresh: None) -> None:
    monkeypatch.setattr(multi_buffer, "files", files)
    found = find_multi_buffer()
    assert isinstance(found, Unavailable)
    assert cause in found.cause
    fields = [UnsealedField(SealingKey(FIRST), b"", one) for one in digests(9)]
    assert seal_all(fields) == [field.seal(alone(FIRST, field.digest)) for field in fields]
