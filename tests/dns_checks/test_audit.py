"""The audit: every check failing, passing and silent, and the verdict in three values."""

from ipaddress import ip_address

import pytest

from dns_checks.audit import AuditReport, AuditRequest, ExpectedKey, Severity, Verdict, audit_domain, checks, combine
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key, key_record_text
from dns_checks.testing import Zone, run
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType as T
from mailtypes.questions import Unanswered

RSA, ED25519 = generate_rsa_key(2048), generate_ed25519_key()
REQUEST = AuditRequest(
    domain=DomainName("news.acme.test"),
    return_path_host=DomainName("bounce.news.acme.test"),
    egress_addresses=(ip_address("192.0.2.10"), ip_address("2001:db8::10")),
    keys=(ExpectedKey("rsa1", RSA.public_key()), ExpectedKey("ed1", ED25519.public_key())),
    mail_hosts=(DomainName("mx.postwright.test"),),
    tracking_host=DomainName("click.news.acme.test"),
)
SPF = ("bounce.news.acme.test", T.TXT)
MX = ("bounce.news.acme.test", T.MX)
RSA1 = ("rsa1._domainkey.news.acme.test", T.TXT)
DMARC = ("_dmarc.news.acme.test", T.TXT)
CLICK = ("click.news.acme.test", T.A)
GOOD: dict[tuple[str, T], list[str] | Unanswered] = {
    SPF: ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/64 -all"],
    MX: ["10 mx.postwright.test"],
    RSA1: [key_record_text(RSA)],
    ("ed1._domainkey.news.acme.test", T.TXT): [key_record_text(ED25519)],
    DMARC: ["v=DMARC1; p=quarantine"],
    ("click.news.acme.test", T.CNAME): ["edge.postwright.test"],
    ("edge.postwright.test", T.A): ["192.0.2.20"],
}


def audit(changes: dict[tuple[str, T], list[str] | Unanswered] | None = None) -> AuditReport:
    records = {key: value for key, value in {**GOOD, **(changes or {})}.items() if value != []}
    return run(audit_domain(REQUEST), Zone.from_records(records))


def test_a_domain_in_order_is_verified() -> None:
    report = audit()
    assert report.verdict is Verdict.VERIFIED
    assert [finding.code for finding in report.findings] == [
        "spf.authorised",
        "spf.authorised",
        "dkim.published",
        "dkim.published",
        "dmarc.published",
        "return_path.mx",
        "tracking.resolves",
    ]
    facts = report.facts
    assert (facts.spf, facts.dkim, facts.dmarc) == (Finding.PRESENT,) * 3
    assert facts.dmarc_policy == "quarantine"
    assert facts.fcrdns is Finding.UNKNOWN
    assert all(finding.evidence and finding.sentence for finding in report.findings)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (SPF, [], "spf.missing"),
        (SPF, ["v=spf1 -all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ip4:192.0.2.10 -all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ?all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ip4:nonsense -all"], "spf.invalid"),
        (RSA1, [], "dkim.missing"),
        (RSA1, ["v=DKIM1; p="], "dkim.revoked"),
        (RSA1, [key_record_text(ED25519)], "dkim.wrong_key"),
        (RSA1, [key_record_text(generate_rsa_key(2048))], "dkim.wrong_key"),
        (RSA1, [key_record_text(RSA)[:-8] + "########"], "dkim.invalid"),
        (RSA1, [key_record_text(RSA), "v=spf1 -all"], "dkim.several"),
        (RSA1, [key_record_text(RSA).replace("k=rsa;", "k=rsa; s=tlsrpt;")], "dkim.not_for_email"),
        (RSA1, [key_record_text(RSA).replace("k=rsa;", "k=rsa; h=sha1;")], "dkim.not_for_email"),
        (DMARC, [], "dmarc.missing"),
        (DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc.missing"),
        (DMARC, ["v=DMARC1; p=noone"], "dmarc.invalid"),
        (MX, [], "return_path.no_mx"),
        (MX, ["0 ."], "return_path.wrong_mx"),
        (MX, ["10 mx.elsewhere.test"], "return_path.wrong_mx"),
        (("edge.postwright.test", T.A), [], "tracking.missing"),
    ],
)
def test_each_fault_keeps_the_domain_from_being_verified(key: tuple[str, T], value: list[str], code: str) -> None:
    report = audit({key: value})
    assert report.verdict is Verdict.NOT_VERIFIED
    faults = [finding for finding in report.findings if finding.state is Finding.ABSENT]
    assert {finding.code for finding in faults} == {code}
    assert all(finding.severity is Severity.ERROR and finding.next_step and finding.evidence for finding in faults)


@pytest.mark.parametrize(
    ("key", "code"),
    [(SPF, "spf.unknown"), (RSA1, "dkim.unknown"), (DMARC, "dmarc.unknown"), (MX, "return_path.unknown")],
)
def test_silence_is_unknown_and_not_a_fault(key: tuple[str, T], code: str) -> None:
    report = audit({key: Unanswered("timeout")})
    assert report.verdict is Verdict.UNKNOWN
    assert {finding.code for finding in report.findings if finding.state is Finding.UNKNOWN} == {code}
    assert not [finding for finding in report.findings if finding.state is Finding.ABSENT]


def test_a_tracking_host_that_nobody_answers_for() -> None:
    report = audit({("edge.postwright.test", T.A): Unanswered("servfail")})
    assert [f.code for f in report.findings if f.state is Finding.UNKNOWN] == ["tracking.unknown"]
    ipv6_only = audit({("edge.postwright.test", T.A): [], ("edge.postwright.test", T.AAAA): ["2001:db8::20"]})
    assert ipv6_only.verdict is Verdict.VERIFIED


def test_a_certain_fault_outweighs_silence() -> None:
    report = audit({SPF: Unanswered("timeout"), DMARC: []})
    assert report.verdict is Verdict.NOT_VERIFIED
    assert (report.facts.spf, report.facts.dmarc) == (Finding.UNKNOWN, Finding.ABSENT)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (RSA1, [key_record_text(RSA, testing=True)], "dkim.testing"),
        (DMARC, ["v=DMARC1; p=none; aspf=s"], "dmarc.spf_not_aligned"),
        (DMARC, ["v=DMARC1; p=none; pct=10"], "dmarc.remark"),
        (MX, ["10 mx.postwright.test", "20 mx.elsewhere.test"], "return_path.other_mx"),
    ],
)
def test_warnings_do_not_decide(key: tuple[str, T], value: list[str], code: str) -> None:
    report = audit({key: value})
    assert report.verdict is Verdict.VERIFIED
    assert [finding.code for finding in report.findings if finding.severity is Severity.WARNING] == [code]


def test_the_policy_of_the_organization_counts() -> None:
    report = audit({DMARC: [], ("_dmarc.acme.test", T.TXT): ["v=DMARC1; p=reject; sp=none"]})
    assert (report.verdict, report.facts.dmarc_policy) == (Verdict.VERIFIED, "none")


def test_checks_run_apart_and_in_any_order_give_the_same_verdict() -> None:
    zone = Zone.from_records(GOOD)
    outcomes = [run(check, zone) for check in reversed(checks(REQUEST))]
    assert combine(REQUEST, outcomes).verdict is Verdict.VERIFIED
    assert combine(REQUEST, ()).verdict is Verdict.UNKNOWN


def test_an_audit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing could fail"):
        AuditRequest(REQUEST.domain, REQUEST.return_path_host, (), REQUEST.keys, REQUEST.mail_hosts)


def test_evidence_shows_question_and_answer_and_no_strange_octets() -> None:
    report = audit({RSA1: ["v=DKIM1; p=\x1b[31m"]})
    (finding,) = [finding for finding in report.findings if finding.code == "dkim.invalid"]
    assert finding.evidence[0].question == "rsa1._domainkey.news.acme.test TXT"
    assert finding.evidence[0].answer == "v=DKIM1; p=\\027[31m"
