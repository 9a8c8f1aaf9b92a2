"""TLS reporting records (RFC 8460 section 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.testing import Zone, run
from dns_checks.tls_rpt import TlsRptSyntaxError, check_tls_rpt, parse_record
from mailtypes.domain import DomainName


def test_records_of_the_rfc() -> None:
    assert parse_record("v=TLSRPTv1;rua=mailto:reports@example.com").rua == ("mailto:reports@example.com",)
    record = parse_record("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt , mailto:a@b.test ; later=x;")
    assert record.rua == ("https://reporting.example.com/v1/tlsrpt", "mailto:a@b.test")
    assert record.remarks == ()


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("v=TLSRPTv1", "v=TLSRPTv1"),
        ("v=TLSRPTv2; rua=mailto:a@b.test", "v=TLSRPTv2;"),
        ("v=TLSRPTv1;", "v=TLSRPTv1;"),
        ("v=TLSRPTv1; rua=", "rua"),
        ("v=TLSRPTv1; rua=a@b.test", "a@b.test"),
        ("v=TLSRPTv1; rua=http://b.test/", "http://b.test/"),
        ("v=TLSRPTv1; rua=mailto:a@b.test!10m", "mailto:a@b.test!10m"),
        ("v=TLSRPTv1; rua mailto:a@b.test", "rua mailto:a@b.test"),
    ],
)
def test_faults_are_marked(text: str, marked: str) -> None:
    with pytest.raises(TlsRptSyntaxError) as caught:
        parse_record(text)
    span = caught.value.span
    assert span is not None
    assert text[span.start : span.end] == marked
    assert caught.value.next_step


def test_one_usable_address_is_enough() -> None:
    text = "v=TLSRPTv1; rua=mailto:nobody,mailto:a@b.test"
    record = parse_record(text)
    assert record.rua == ("mailto:a@b.test",)
    (remark,) = record.remarks
    assert text[remark.span.start : remark.span.end] == "mailto:nobody"


@given(st.text(max_size=80) | st.text("rua=,;:mailto@ https/!", max_size=60).map("v=TLSRPTv1;".__add__))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        record = parse_record(text)
    except TlsRptSyntaxError as error:
        error.explain()
    else:
        assert record.rua


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ('_smtp._tls.acme.test. TXT "v=TLSRPTv1; rua=mailto:a@b.test"', "tls_rpt.published info present"),
        ('acme.test. TXT "x"', "tls_rpt.missing info absent"),
        (";; TIMEOUT _smtp._tls.acme.test", "tls_rpt.unknown warning unknown"),
        ('_smtp._tls.acme.test. TXT "v=TLSRPTv1; rua=nobody"', "tls_rpt.invalid error absent"),
        ('_smtp._tls.acme.test. TXT "v=tlsrptv1; rua=mailto:a@b.test"', "tls_rpt.invalid error absent"),
        (
            '_smtp._tls.acme.test. TXT "v=TLSRPTv1; rua=mailto:a@b.test"\n'
            '_smtp._tls.acme.test. TXT "v=TLSRPTv1; rua=mailto:b@b.test"',
            "tls_rpt.several error absent",
        ),
    ],
)
def test_findings(zone: str, expected: str) -> None:
    check = run(check_tls_rpt(DomainName("acme.test")), Zone.parse(zone))
    (finding,) = check.findings
    assert f"{finding.code} {finding.severity} {finding.state}" == expected
    assert (check.record is not None) == (finding.code == "tls_rpt.published")
    assert finding.evidence
