"""TLSA records of mail hosts, with and without a resolver whose AD bit is trusted (RFC 6698, RFC 7672)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.testing import Zone, run
from dns_checks.tlsa import TlsaCheck, TlsaSyntaxError, check_tlsa, parse_tlsa
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, Found, RecordType

DIGEST = "ab" * 32
BASE = f"""
acme.test. MX 10 mx.acme.test.
_25._tcp.mx.acme.test. TLSA 3 1 1 {DIGEST}
"""


class Signed:
    """A zone whose answers carry the AD bit, those of ``unsigned`` types apart."""

    def __init__(self, zone: str, *unsigned: RecordType) -> None:
        self._zone, self._unsigned = Zone.parse(zone), unsigned

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        answer = self._zone.answer(question)
        is_signed = isinstance(answer, Found) and question.record_type not in self._unsigned
        return replace(answer, authenticated=True) if is_signed else answer  # type: ignore[type-var]


def check(answers: object, *, trusts: bool = True) -> TlsaCheck:
    return run(check_tlsa(DomainName("acme.test"), trusts_resolver=trusts), answers)  # type: ignore[arg-type]


def codes(found: TlsaCheck) -> list[str]:
    return [finding.code for finding in found.findings]


def test_records() -> None:
    record = parse_tlsa(f"3 1 1 {DIGEST[:20]} {DIGEST[20:]}")
    assert (record.usage, record.selector, record.matching_type, len(record.data)) == (3, 1, 1, 32)
    assert record.is_usable
    assert parse_tlsa("2 0 0 308201").is_usable


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"1 1 1 {DIGEST}", "not for mail"),
        (f"4 1 1 {DIGEST}", "usage 4"),
        (f"3 2 1 {DIGEST}", "selector 2"),
        (f"3 1 3 {DIGEST}", "matching type 3"),
        (f"3 1 2 {DIGEST}", "64 octets, there are 32"),
        ("3 1 1 abcd", "32 octets, there are 2"),
    ],
)
def test_records_that_senders_pass_over(text: str, fault: str) -> None:
    assert fault in parse_tlsa(text).fault


@pytest.mark.parametrize(
    "text", ["", "3 1 1", "3 1 1 abc", "3 1 1 xx", "3 1 256 ab", "x 1 1 ab", "-3 1 1 ab", "\u0663 1 1 ab"]
)
def test_no_records(text: str) -> None:
    with pytest.raises(TlsaSyntaxError):
        parse_tlsa(text)


@given(st.text(max_size=40) | st.text("0123 abAB()x", max_size=30).map("3 1 1 ".__add__))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        record = parse_tlsa(text)
    except TlsaSyntaxError as error:
        error.explain()
    else:
        assert record.is_usable is (record.fault == "")


def test_signed_all_the_way() -> None:
    found = check(Signed(BASE))
    assert (found.dane, codes(found)) == ("present", ["tlsa.usable"])
    assert [host for host, _ in found.records] == ["mx.acme.test"]


def test_without_a_trusted_resolver_it_stays_unknown() -> None:
    found = check(Zone.parse(BASE), trusts=False)
    assert (found.dane, codes(found)) == ("unknown", ["tlsa.signature_unknown"])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (Signed(BASE, RecordType.TLSA), ["tlsa.not_signed"]),
        (Signed(BASE, RecordType.MX), ["tlsa.usable", "tlsa.mx_not_signed"]),
        (Signed(BASE + "acme.test. MX 20 b.acme.test."), ["tlsa.usable", "tlsa.missing"]),
        (Signed("acme.test. MX 10 mx.acme.test."), ["tlsa.missing"]),
        (Signed("acme.test. MX 0 ."), ["tlsa.no_mail_host"]),
        (
            Signed(f"acme.test. MX 10 mx.acme.test.\n_25._tcp.mx.acme.test. TLSA 0 1 1 {DIGEST}"),
            ["tlsa.not_usable", "tlsa.none_usable"],
        ),
        (Signed(BASE + f"_25._tcp.mx.acme.test. TLSA 1 1 1 {DIGEST}"), ["tlsa.usable", "tlsa.not_usable"]),
    ],
)
def test_what_is_missing(answers: object, expected: list[str]) -> None:
    found = check(answers)
    assert codes(found) == expected
    assert found.dane == ("present" if expected == ["tlsa.usable", "tlsa.not_usable"] else "absent")


def test_unanswered() -> None:
    assert codes(check(Signed("acme.test. MX 10 mx.acme.test.\n;; SERVFAIL _25._tcp.mx.acme.test"))) == ["tlsa.unknown"]
    assert codes(check(Signed(";; SERVFAIL acme.test"))) == ["tlsa.mx_unknown"]
