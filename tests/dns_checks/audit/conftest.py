"""A sender domain in perfect order, to be damaged by tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from dns_checks.audit import AuditReport, AuditRequest, AuditTerms, ExpectedKey, SendingPractice, audit_domain
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key, key_record_text
from dns_checks.dnsbl_lists import PSBL, SPAMHAUS_DBL
from dns_checks.testing import Answers, Zone
from dns_checks.testing_pages import Pages, run
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, HttpAnswer, HttpFetch, HttpFetched, RecordType, Unanswered

T = RecordType
Records = dict[tuple[str, RecordType], list[str] | Unanswered]

RSA, ED25519 = generate_rsa_key(2048), generate_ed25519_key()
FOUR, SIX = ip_address("93.184.215.10"), ip_address("2606:2800:21f::10")
OUT = "out1.acme.test"
REQUEST = AuditRequest(
    domain=DomainName("news.acme.test"),
    return_path_host=DomainName("bounce.news.acme.test"),
    egress_addresses=(FOUR, SIX),
    keys=(ExpectedKey("rsa1", RSA.public_key()), ExpectedKey("ed1", ED25519.public_key())),
    mail_hosts=(DomainName("mx.postwright.test"),),
    tracking_host=DomainName("click.news.acme.test"),
    ehlo_names={FOUR: DomainName(OUT), SIX: DomainName(OUT)},
    practice=SendingPractice(
        offers_tls=True, visible_link=True, valid_format=True, spam_rate=0.02, daily_messages=20_000
    ),
    terms=AuditTerms(now=datetime(2026, 6, 1, tzinfo=UTC), block_lists=(PSBL, SPAMHAUS_DBL)),
)
GOOD: Records = {
    ("bounce.news.acme.test", T.TXT): [f"v=spf1 ip4:{FOUR} ip6:{SIX} -all"],
    ("bounce.news.acme.test", T.MX): ["10 mx.postwright.test"],
    ("mx.postwright.test", T.A): ["93.184.215.20"],
    ("rsa1._domainkey.news.acme.test", T.TXT): [key_record_text(RSA)],
    ("ed1._domainkey.news.acme.test", T.TXT): [key_record_text(ED25519)],
    ("_dmarc.news.acme.test", T.TXT): ["v=DMARC1; p=reject; rua=mailto:dmarc@news.acme.test"],
    ("click.news.acme.test", T.CNAME): ["edge.postwright.test"],
    ("edge.postwright.test", T.A): ["93.184.215.21"],
    ("news.acme.test", T.MX): ["10 mx.acme.test"],
    ("mx.acme.test", T.A): ["93.184.215.22"],
    (FOUR.reverse_pointer, T.PTR): [OUT],
    (SIX.reverse_pointer, T.PTR): [OUT],
    (OUT, T.A): [str(FOUR)],
    (OUT, T.AAAA): [str(SIX)],
    ("_mta-sts.news.acme.test", T.TXT): ["v=STSv1; id=1"],
    ("_smtp._tls.news.acme.test", T.TXT): ["v=TLSRPTv1; rua=mailto:tls@acme.test"],
    ("2.0.0.127.psbl.surriel.com", T.A): ["127.0.0.2"],
    ("dbltest.com.dbl.spamhaus.org", T.A): ["127.0.1.2"],
}
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.acme.test\r\nmax_age: 604800\r\n"
PAGES: dict[str, HttpAnswer] = {
    "https://mta-sts.news.acme.test/.well-known/mta-sts.txt": HttpFetched(200, "text/plain", POLICY.encode())
}


class Silence:
    """A world in which every name server fails."""

    def __init__(self, cause: str = "servfail") -> None:
        self.cause = cause

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        return Unanswered(self.cause)


class SilentWeb(Pages):
    def answer(self, fetch: HttpFetch) -> HttpAnswer:
        return Unanswered("timeout")


class ZoneAsker:
    """A zone as a driver's port; ``asked`` has every question."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[DnsQuestion] = []

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question)
        return self.answers.answer(question)


@dataclass
class Ground:
    """The sender, its records, its pages, and audits of them with changes."""

    request: AuditRequest = REQUEST
    rsa = RSA
    ed25519 = ED25519

    def records(self, changes: Mapping[tuple[str, RecordType], Any] | None = None) -> Records:
        return {key: value for key, value in {**GOOD, **(changes or {})}.items() if value != []}

    def zone(self, changes: Mapping[tuple[str, RecordType], Any] | None = None) -> Zone:
        return Zone.from_records(self.records(changes))

    def pages(self) -> Pages:
        return Pages(PAGES)

    def audit(self, changes: Mapping[tuple[str, RecordType], Any] | None = None, **request: Any) -> AuditReport:
        return run(audit_domain(replace(self.request, **request)), self.zone(changes), self.pages())

    def silent_audit(self, cause: str = "servfail") -> AuditReport:
        return run(audit_domain(self.request), Silence(cause), SilentWeb())

    def asker(self, answers: Answers | None = None) -> ZoneAsker:
        return ZoneAsker(answers or self.zone())

    def silence(self) -> Silence:
        return Silence()


@pytest.fixture
def ground() -> Ground:
    return Ground()
