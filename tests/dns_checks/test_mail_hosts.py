"""Lint of MX records: RFC 5321 section 5.1, RFC 7505, RFC 2181 section 10.3."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.mail_hosts import check_mail_hosts
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName
from mailtypes.questions import DnsQuestion, Found, MxRecord, NameRecord, RecordType

GOOD = """
acme.test. MX 10 mx1.acme.test.
acme.test. MX 10 mx2.acme.test.
mx1.acme.test. A 8.8.8.8
mx2.acme.test. A 8.8.4.4
mx2.acme.test. AAAA 2600::1
"""


def findings(zone: str) -> list[str]:
    check = run(check_mail_hosts(DomainName("acme.test")), Zone.parse(zone))
    for finding in check.findings:
        assert finding.evidence
        assert finding.sentence.endswith(".")
        assert finding.next_step or finding.state == "present"
    return [f"{finding.code} {finding.severity} {finding.state}" for finding in check.findings]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (GOOD, ["mx.hosts info present"]),
        ("acme.test. TXT x", ["mx.missing error absent"]),
        ("other.test. TXT x", ["mx.no_such_domain error absent"]),
        (";; SERVFAIL acme.test", ["mx.unknown warning unknown"]),
        ("acme.test. TXT x\n;; TIMEOUT acme.test A", ["mx.unknown warning unknown"]),
        ("acme.test. A 8.8.8.8", ["mx.implicit warning absent"]),
        ("acme.test. MX 0 .", ["mx.null warning absent"]),
        (GOOD + "acme.test. MX 0 .", ["mx.hosts info present", "mx.null_beside_others error absent"]),
        (GOOD + "acme.test. MX 5 192.0.2.1.", ["mx.hosts info present", "mx.address_literal error absent"]),
        (GOOD + "acme.test. MX 5 -x.test.", ["mx.hosts info present", "mx.bad_name error absent"]),
        (
            GOOD + "acme.test. MX 5 www.acme.test.\nwww.acme.test. CNAME mx1.acme.test.",
            ["mx.hosts info present", "mx.alias warning absent"],
        ),
        (
            GOOD + "acme.test. MX 30 gone.acme.test.",
            ["mx.hosts info present", "mx.host_without_address warning absent"],
        ),
        (
            "acme.test. MX 30 gone.acme.test.",
            ["mx.no_usable_host error absent", "mx.host_without_address warning absent"],
        ),
        (
            "acme.test. MX 30 gone.acme.test.\nacme.test. MX 40 lame.test.\n;; TIMEOUT lame.test",
            [
                "mx.hosts_unknown warning unknown",
                "mx.host_without_address warning absent",
                "mx.host_unknown warning unknown",
            ],
        ),
        (
            "acme.test. MX 30 mx.acme.test.\nmx.acme.test. A 127.0.0.1",
            ["mx.hosts info present", "mx.private_address error absent"],
        ),
        (
            "acme.test. MX 30 mx.acme.test.\nmx.acme.test. A 10.0.0.1\nmx.acme.test. A 8.8.8.8",
            ["mx.hosts info present", "mx.private_address warning absent"],
        ),
        (
            "acme.test. MX 30 mx.acme.test.\nmx.acme.test. A 192.0.2.7\nmx.acme.test. AAAA 2001:db8::7",
            ["mx.hosts info present", "mx.documentation_address warning absent"],
        ),
        (
            "acme.test. MX 30 mx.acme.test.\nmx.acme.test. A 203.0.113.7\nmx.acme.test. A 10.0.0.1",
            [
                "mx.hosts info present",
                "mx.private_address error absent",
                "mx.documentation_address warning absent",
            ],
        ),
        (
            "acme.test. MX 30 mx.acme.test.\nmx.acme.test. AAAA 2600::1",
            ["mx.hosts info present", "mx.no_ipv4 info absent"],
        ),
    ],
)
def test_findings(zone: str, expected: list[str]) -> None:
    assert findings(zone) == expected


def test_a_hostile_number_of_hosts_is_cut() -> None:
    asked = []

    class Counting(Zone):
        def answer(self, question):  # type: ignore[no-untyped-def]
            asked.append(question)
            return super().answer(question)

    zone = "\n".join(f"acme.test. MX {number} m{number}.acme.test." for number in range(300))
    check = run(check_mail_hosts(DomainName("acme.test")), Counting.parse(zone))
    assert len(asked) == 1 + 20 * 3
    assert "mx.many" in {finding.code for finding in check.findings}


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=5))
def test_no_exchange_makes_it_raise(exchanges: list[str]) -> None:
    class Hostile:
        def answer(self, question: DnsQuestion) -> Found:
            if question.record_type is RecordType.MX:
                return Found(tuple(MxRecord(10, exchange) for exchange in exchanges))
            return Found(tuple(NameRecord(exchange) for exchange in exchanges))

    for finding in run(check_mail_hosts(DomainName("acme.test")), Hostile()).findings:
        assert all(evidence.question.isprintable() and evidence.answer.isprintable() for evidence in finding.evidence)
        assert finding.sentence.isprintable()
