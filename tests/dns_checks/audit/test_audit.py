"""The audit: every check failing, passing and silent, and the verdict in three values."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from dns_checks.audit import DECIDING, AuditRequest, AuditTerms, Severity, Verdict, audit_domain, checks, combine
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key, key_record_text
from dns_checks.testing import Zone
from dns_checks.testing_pages import run
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType as T
from mailtypes.questions import Unanswered

SPF = ("bounce.news.acme.test", T.TXT)
MX = ("bounce.news.acme.test", T.MX)
RSA1 = ("rsa1._domainkey.news.acme.test", T.TXT)
DMARC = ("_dmarc.news.acme.test", T.TXT)
CLICK = ("edge.postwright.test", T.A)
DECISIVE = frozenset().union(*DECIDING.values())


def key_text(kind: str, ground: Any) -> str:
    rsa = key_record_text(ground.rsa)
    return {
        "right": rsa,
        "ed25519": key_record_text(ground.ed25519),
        "foreign": key_record_text(generate_rsa_key(2048)),
        "broken": rsa[:-8] + "########",
        "tlsrpt": rsa.replace("k=rsa;", "k=rsa; s=tlsrpt;"),
        "sha1": rsa.replace("k=rsa;", "k=rsa; h=sha1;"),
        "testing": key_record_text(ground.rsa, testing=True),
    }[kind]


def test_a_domain_in_order_is_verified_and_has_no_fault(ground: Any) -> None:
    report = ground.audit()
    assert report.verdict is Verdict.VERIFIED
    assert {finding.severity for finding in report.findings} == {Severity.INFO}
    assert not [finding for finding in report.findings if finding.state is Finding.UNKNOWN]
    present = {finding.code for finding in report.findings if finding.state is Finding.PRESENT}
    assert present >= {
        "spf.authorised",
        "spf.record",
        "dkim.published",
        "dmarc.published",
        "dmarc.spf_aligned",
        "return_path.mx",
        "tracking.resolves",
        "mx.hosts",
        "ptr.confirmed",
        "ptr.ehlo_matches",
        "ptr.own_domain",
        "mta_sts.enforced",
        "mta_sts.mx_covered",
        "tls_rpt.published",
        "dnsbl.not_listed",
    }
    assert {finding.topic for finding in report.findings} >= {"bimi", "tlsa"}
    facts = report.facts
    assert (facts.spf, facts.dkim, facts.dmarc, facts.fcrdns) == (Finding.PRESENT,) * 4
    assert facts.dmarc_policy == "reject"
    assert all(finding.evidence and finding.sentence for finding in report.findings if finding.topic != "bimi")
    assert len({finding.sentence for finding in report.findings}) == len(report.findings)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (SPF, [], "spf.missing"),
        (SPF, ["v=spf1 -all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ip4:93.184.215.10 -all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ?all"], "spf.not_authorised"),
        (SPF, ["v=spf1 ip4:nonsense -all"], "spf.invalid"),
        (SPF, ["v=spf1 -all", "v=spf1 +all"], "spf.invalid"),
        (RSA1, [], "dkim.missing"),
        (RSA1, ["v=DKIM1; p="], "dkim.revoked"),
        (RSA1, "ed25519", "dkim.wrong_key"),
        (RSA1, "foreign", "dkim.wrong_key"),
        (RSA1, "broken", "dkim.invalid"),
        (RSA1, ["v=DKIM1; p=", "v=spf1 -all"], "dkim.several"),
        (RSA1, "tlsrpt", "dkim.not_for_email"),
        (RSA1, "sha1", "dkim.not_for_email"),
        (DMARC, [], "dmarc.missing"),
        (DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc.several_records"),
        (DMARC, ["v=DMARC1; p=noone"], "dmarc.invalid"),
        (MX, [], "return_path.no_mx"),
        (MX, ["0 ."], "return_path.wrong_mx"),
        (MX, ["10 mx.elsewhere.test"], "return_path.wrong_mx"),
    ],
)
def test_each_fault_keeps_the_domain_from_being_verified(
    ground: Any, key: tuple[str, T], value: list[str] | str, code: str
) -> None:
    report = ground.audit({key: [key_text(value, ground)] if isinstance(value, str) else value})
    assert report.verdict is Verdict.NOT_VERIFIED
    faults = [one for one in report.findings if one.state is Finding.ABSENT and one.code in DECISIVE]
    assert {finding.code for finding in faults} == {code}
    assert all(finding.severity is Severity.ERROR and finding.next_step and finding.evidence for finding in faults)


def test_a_key_of_512_bits_is_none(ground: Any) -> None:
    weak = (
        "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL9fS1j0GqtGZzVCKRRFDPSBqVoJgqFbJ9o0TBrYyKDzD2mm"
        "QkRJ7UOzJ8B6aQJ6pZeYwBOYPDAxV1tBG4T1fVECAwEAAQ=="
    )
    request = AuditRequest.of_any(DomainName("news.acme.test"), ["rsa1"], terms=AuditTerms(block_lists=()))
    report = run(audit_domain(request), ground.zone({RSA1: [weak]}), ground.pages())
    assert {one.code for one in report.findings if one.topic == "dkim"} == {"dkim.published", "dkim.key_too_short"}
    assert report.facts.dkim is Finding.ABSENT
    assert report.verdict is Verdict.NOT_VERIFIED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({CLICK: []}, "tracking.missing"),
        ({("news.acme.test", T.MX): []}, "mx.missing"),
        ({("10.215.184.93.in-addr.arpa", T.PTR): []}, "ptr.missing"),
        ({("out1.acme.test", T.A): ["93.184.215.99"]}, "ptr.not_confirmed"),
        ({SPF: ["v=spf1 +all"]}, "spf.passes_everyone"),
        ({("_mta-sts.news.acme.test", T.TXT): ["v=STSv1; id=!"]}, "mta_sts.invalid_record"),
        ({("_smtp._tls.news.acme.test", T.TXT): ["v=TLSRPTv1; rua=x"]}, "tls_rpt.invalid"),
        ({("default._bimi.news.acme.test", T.TXT): ["v=BIMI1; l=http://a.test/x.svg"]}, "bimi.syntax"),
        ({("news.acme.test.dbl.spamhaus.org", T.A): ["127.0.1.4"]}, "dnsbl.listed"),
    ],
)
def test_errors_elsewhere_are_shown_and_do_not_block(
    ground: Any, changes: dict[tuple[str, T], list[str]], code: str
) -> None:
    report = ground.audit(changes)
    assert report.verdict is Verdict.VERIFIED
    faults = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert code in {finding.code for finding in faults}
    assert all(finding.next_step for finding in faults)


@pytest.mark.parametrize(
    ("key", "code"),
    [(SPF, "spf.unknown"), (RSA1, "dkim.unknown"), (DMARC, "dmarc.unknown"), (MX, "return_path.unknown")],
)
def test_silence_is_unknown_and_not_a_fault(ground: Any, key: tuple[str, T], code: str) -> None:
    report = ground.audit({key: Unanswered("timeout")})
    assert report.verdict is Verdict.UNKNOWN
    assert {one.code for one in report.findings if one.state is Finding.UNKNOWN and one.code in DECISIVE} == {code}
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("cause", ["servfail", "timeout", "refused"])
def test_where_nobody_answers_all_is_unknown_and_nothing_fails(ground: Any, cause: str) -> None:
    report = ground.silent_audit(cause)
    assert report.verdict is Verdict.UNKNOWN
    assert {finding.state for finding in report.findings} == {Finding.UNKNOWN}
    assert {finding.topic for finding in report.findings} == {
        *("spf", "dkim", "dmarc", "return_path", "tracking", "mx", "ptr", "bimi", "mta_sts", "tls_rpt", "tlsa", "dnsbl")
    }
    facts = report.facts
    assert {facts.spf, facts.dkim, facts.dmarc, facts.fcrdns} == {Finding.UNKNOWN}
    stranger = AuditRequest.of_any(DomainName("acme.test"), addresses=[ip_address("192.0.2.1")])
    silent = run(audit_domain(stranger), ground.silence())
    assert {finding.state for finding in silent.findings} == {Finding.UNKNOWN}


def test_a_certain_fault_outweighs_silence(ground: Any) -> None:
    report = ground.audit({SPF: Unanswered("timeout"), DMARC: []})
    assert report.verdict is Verdict.NOT_VERIFIED
    assert (report.facts.spf, report.facts.dmarc) == (Finding.UNKNOWN, Finding.ABSENT)


def test_a_tracking_host_that_nobody_answers_for(ground: Any) -> None:
    report = ground.audit({CLICK: Unanswered("servfail")})
    assert [f.code for f in report.findings if f.state is Finding.UNKNOWN] == ["tracking.unknown"]
    ipv6_only = ground.audit({CLICK: [], ("edge.postwright.test", T.AAAA): ["2606:2800::20"]})
    assert "tracking.resolves" in {finding.code for finding in ipv6_only.findings}


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (RSA1, "testing", "dkim.testing"),
        (DMARC, ["v=DMARC1; p=none; aspf=s; rua=mailto:d@news.acme.test"], "dmarc.spf_not_aligned"),
        (DMARC, ["v=DMARC1; p=none; rua=mailto:d@news.acme.test; what=ever"], "dmarc.unknown_tag"),
        (DMARC, ["v=DMARC1; p=none"], "dmarc.no_reports"),
        (("_dmarc.news.acme.test", T.TXT), ["v=DMARC1; p=none; rua=mailto:d@x.test"], "dmarc.destination_refused"),
    ],
)
def test_warnings_do_not_decide(ground: Any, key: tuple[str, T], value: list[str] | str, code: str) -> None:
    report = ground.audit({key: [key_text(value, ground)] if isinstance(value, str) else value})
    assert report.verdict is Verdict.VERIFIED
    assert [finding.code for finding in report.findings if finding.severity is Severity.WARNING] == [code]


def test_a_second_mail_host_that_is_not_ours_is_a_warning(ground: Any) -> None:
    report = ground.audit({MX: ["10 mx.postwright.test", "20 mx.acme.test"]})
    assert report.verdict is Verdict.VERIFIED
    assert "return_path.other_mx" in {finding.code for finding in report.findings}


def test_the_policy_of_the_organization_counts(ground: Any) -> None:
    report = ground.audit({DMARC: [], ("_dmarc.acme.test", T.TXT): ["v=DMARC1; p=reject; sp=none"]})
    assert (report.verdict, report.facts.dmarc_policy) == (Verdict.VERIFIED, "none")


def test_what_older_receivers_decide_otherwise_is_told(ground: Any) -> None:
    """Section 4.10.1: the tree walk finds the record of a public suffix, which RFC 7489 passes over."""
    older = {"dmarc.older_receivers_differ"}
    assert not older & {finding.code for finding in ground.audit().findings}
    report = ground.audit({DMARC: ["v=DMARC1; p=reject; sp=none; rua=mailto:d@news.acme.test"]})
    assert not older & {finding.code for finding in report.findings}
    report = ground.audit({DMARC: [], ("_dmarc.test", T.TXT): ["v=DMARC1; p=reject; psd=y"]})
    assert report.verdict is Verdict.VERIFIED
    assert older <= {finding.code for finding in report.findings}


def test_checks_run_apart_and_in_any_order_give_the_same_verdict(ground: Any) -> None:
    outcomes = [run(check, ground.zone(), ground.pages()) for check in reversed(checks(ground.request))]
    assert combine(ground.request, outcomes).verdict is Verdict.VERIFIED
    assert combine(ground.request, ()).verdict is Verdict.UNKNOWN
    assert len({outcome.check for outcome in outcomes}) == len(outcomes)


def test_an_audit_of_nothing_is_refused(ground: Any) -> None:
    with pytest.raises(ValueError, match="nothing could fail"):
        replace(ground.request, egress_addresses=())


def test_evidence_shows_question_and_answer_and_no_strange_octets(ground: Any) -> None:
    report = ground.audit({RSA1: ["v=DKIM1; p=\x1b[31m"]})
    (finding,) = [finding for finding in report.findings if finding.code == "dkim.invalid"]
    assert finding.evidence[0].question == "rsa1._domainkey.news.acme.test TXT"
    assert finding.evidence[0].answer == "v=DKIM1; p=\\027[31m"


class TestAnyDomain:
    """A domain that is not ours."""

    def audit(self, records: dict[tuple[str, T], Any], **known: Any) -> Any:
        request = AuditRequest.of_any(DomainName("acme.test"), terms=AuditTerms(block_lists=()), **known)
        return run(audit_domain(request), Zone.from_records(records))

    def test_an_unknown_selector_is_not_a_missing_key(self) -> None:
        below = {("some._domainkey.acme.test", T.TXT): [key_record_text(generate_ed25519_key())]}
        assert self.codes(self.audit(below), "dkim") == ["dkim.selector_unknown"]
        assert self.audit(below).facts.dkim is Finding.UNKNOWN
        assert self.codes(self.audit(below, selectors=["some"]), "dkim") == ["dkim.published"]
        assert self.codes(self.audit(below, selectors=["other"]), "dkim") == ["dkim.missing"]
        assert self.codes(self.audit({("acme.test", T.A): ["192.0.2.1"]}), "dkim") == ["dkim.no_keys"]

    def codes(self, report: Any, topic: str) -> list[str]:
        return [finding.code for finding in report.findings if finding.topic == topic]

    def test_the_verdict_without_addresses(self) -> None:
        good: dict[tuple[str, T], Any] = {
            ("acme.test", T.TXT): ["v=spf1 ip4:192.0.2.1 -all"],
            ("some._domainkey.acme.test", T.TXT): [key_record_text(generate_ed25519_key())],
            ("_dmarc.acme.test", T.TXT): ["v=DMARC1; p=none"],
        }
        assert self.audit(good, selectors=["some"]).verdict is Verdict.VERIFIED
        assert self.audit(good).verdict is Verdict.UNKNOWN
        bad = {**good, ("acme.test", T.TXT): ["v=spf1 ip4:nonsense"]}
        assert self.audit(bad, selectors=["some"]).verdict is Verdict.NOT_VERIFIED
        address = ip_address("192.0.2.9")
        assert self.codes(self.audit(good, addresses=[address]), "spf")[0] == "spf.not_authorised"

    def test_the_other_checks_run_too(self) -> None:
        topics = {finding.topic for finding in self.audit({}).findings}
        assert topics == {"spf", "dkim", "dmarc", "mx", "mta_sts", "tls_rpt", "tlsa"}


def test_the_next_step_for_spf_says_what_to_publish_or_mend(ground: Any) -> None:
    def step(code: str, *records: str) -> str:
        report = ground.audit({SPF: list(records)})
        return next(one.next_step for one in report.findings if one.code == code)

    wanted = "v=spf1 ip4:93.184.215.10 ip6:2606:2800:21f::10 -all"
    assert step("spf.missing") == f"Publish the SPF record, a TXT record at bounce.news.acme.test: {wanted}"
    assert step("spf.invalid", "v=spf1 -all", "v=spf1 +all") == "Merge them into one."
    assert "192.0.2.0/24" in step("spf.invalid", "v=spf1 ip4:nonsense -all")
    report = ground.audit({SPF: []})
    assert not any("None" in each.answer for one in report.findings for each in one.evidence)
