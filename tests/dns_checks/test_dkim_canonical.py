"""Canonical forms: the RFC's examples, dkimpy as the oracle, and time that grows with the length alone."""

import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dkim.canonical import Canonicalization, body, header_field, is_relaxed_body, relaxed_body, simple_body

SIMPLE, RELAXED = Canonicalization.SIMPLE, Canonicalization.RELAXED


def test_the_example_of_rfc_6376_section_3_4_5() -> None:
    assert header_field(RELAXED, b"A: X") == b"a:X"
    assert header_field(RELAXED, b"B : Y\t\r\n\tZ  ") == b"b:Y Z"
    assert header_field(SIMPLE, b"B : Y\t\r\n\tZ  ") == b"B : Y\t\r\n\tZ  "
    text = b" C \r\nD \t E\r\n\r\n\r\n"
    assert body(RELAXED, text) == b" C\r\nD E\r\n"
    assert body(SIMPLE, text) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    ("octets", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b"a\r\n \r\n", b"a\r\n \r\n", b"a\r\n"),
        (b"\r\na\r\n", b"\r\na\r\n", b"\r\na\r\n"),
    ],
)
def test_ends_of_bodies(octets: bytes, simple: bytes, relaxed: bytes) -> None:
    assert simple_body(octets) == simple
    assert relaxed_body(octets) == relaxed


lines = st.lists(st.text(st.sampled_from("ab \t.\u05d0\x0b"), max_size=12), max_size=10)
bodies = lines.map(lambda parts: "".join(part + "\r\n" for part in parts).encode())


@given(bodies)
def test_bodies_agree_with_dkimpy(octets: bytes) -> None:
    assert relaxed_body(octets) == Relaxed.canonicalize_body(octets)
    assert simple_body(octets) == Simple.canonicalize_body(octets)


@given(st.binary(max_size=40) | bodies | st.text("a \t\r\n", max_size=20).map(str.encode))
def test_relaxed_form_is_stable_and_the_quick_exit_is_never_wrong(octets: bytes) -> None:
    once = relaxed_body(octets)
    assert relaxed_body(once) == once
    prefix = b"From: a  b\t\r\n\r\n"
    assert is_relaxed_body(prefix + octets, len(prefix)) == is_relaxed_body(octets)
    if is_relaxed_body(octets):
        assert b"  " not in octets
        assert b"\t" not in octets
        assert b" \r\n" not in octets
        assert octets.endswith(b"\r\n") or not octets
        assert octets == once


@given(bodies)
def test_the_quick_exit_knows_every_canonical_body(octets: bytes) -> None:
    assert is_relaxed_body(relaxed_body(octets))


@given(st.text("aB \t", max_size=20), st.text("aB \t", max_size=20))
def test_header_fields_agree_with_dkimpy(first: str, second: str) -> None:
    value = f"{first}\r\n\t{second}".encode()
    ((name, expected),) = Relaxed.canonicalize_headers([(b"Subject", value + b"\r\n")])
    assert header_field(RELAXED, b"Subject:" + value) + b"\r\n" == name + b":" + expected


@pytest.mark.parametrize("unit", [b" ", b"\t", b" \t", b"a ", b" \r\n", b"\r\n", b"\n\r", b"\r", b" \r"])
@pytest.mark.parametrize("algorithm", [SIMPLE, RELAXED])
def test_200_000_octets_of_anything_take_no_time(unit: bytes, algorithm: Canonicalization) -> None:
    octets = b"x" + unit * (200_000 // len(unit)) + b"x\r\n"
    durations = []
    for _ in range(3):
        start = time.process_time()
        body(algorithm, octets)
        durations.append(time.process_time() - start)
    assert min(durations) < 0.05
