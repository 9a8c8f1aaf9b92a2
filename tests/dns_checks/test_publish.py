"""The records to publish: what they hold, how they are written, and that the audit is content with them."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.audit import AuditRequest, AuditTerms, ExpectedKey, Verdict, audit_domain
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key
from dns_checks.dmarc import parse_record
from dns_checks.publish import (
    PublishError,
    PublishRequest,
    RecordToPublish,
    as_zone_text,
    dmarc_start_record,
    merged_spf,
    records_to_publish,
)
from dns_checks.spf import SpfResult, check_host
from dns_checks.testing import Zone
from dns_checks.testing_pages import run
from mailtypes.domain import DomainName
from mailtypes.questions import DnsQuestion, Found, RecordType, TxtRecord

V4, V6 = ip_address("192.0.2.10"), ip_address("2001:db8::10")
REQUEST = PublishRequest(
    domain=DomainName("news.acme.test"),
    return_path_host=DomainName("bounce.news.acme.test"),
    egress_addresses=(V4, V6),
    keys=(
        ExpectedKey("rsa1", generate_rsa_key(4096).public_key()),
        ExpectedKey("ed1", generate_ed25519_key().public_key()),
    ),
    mail_hosts=(DomainName("mx.postwright.test"),),
    tracking_host=DomainName("click.news.acme.test"),
    tracking_target=DomainName("edge.postwright.test"),
    report_address="dmarc@acme.test",
)


def test_the_list() -> None:
    listed = [(r.name.ascii, r.record_type.value, r.value[:18]) for r in records_to_publish(REQUEST)]
    assert listed == [
        ("bounce.news.acme.test", "TXT", "v=spf1 ip4:192.0.2"),
        ("rsa1._domainkey.news.acme.test", "TXT", "v=DKIM1; k=rsa; p="),
        ("ed1._domainkey.news.acme.test", "TXT", "v=DKIM1; k=ed25519"),
        ("_dmarc.news.acme.test", "TXT", "v=DMARC1; p=none; "),
        ("bounce.news.acme.test", "MX", "10 mx.postwright.t"),
        ("click.news.acme.test", "CNAME", "edge.postwright.te"),
        ("news.acme.test._report._dmarc.acme.test", "TXT", "v=DMARC1;"),
        ("_smtp._tls.news.acme.test", "TXT", "v=TLSRPTv1; rua=ma"),
    ]
    assert all(record.purpose for record in records_to_publish(REQUEST))
    without = replace(REQUEST, has_dmarc=True, tracking_host=None)
    assert {r.record_type.value for r in records_to_publish(without)} == {"TXT", "MX"}
    assert not any(r.name.ascii == "_dmarc.news.acme.test" for r in records_to_publish(without))
    assert {r.topic for r in records_to_publish(REQUEST) if r.is_required} == {"spf", "dkim", "dmarc", "return_path"}


def test_the_audit_is_content_with_what_was_published() -> None:
    text = as_zone_text(records_to_publish(REQUEST)) + "edge.postwright.test. 60 IN A 192.0.2.20\n"
    audited = AuditRequest(
        REQUEST.domain,
        REQUEST.return_path_host,
        REQUEST.egress_addresses,
        REQUEST.keys,
        REQUEST.mail_hosts,
        REQUEST.tracking_host,
        terms=AuditTerms(block_lists=()),
    )
    report = run(audit_domain(audited), Zone.parse(text))
    assert report.verdict is Verdict.VERIFIED
    about = {record.topic for record in records_to_publish(REQUEST)}
    assert {finding.severity.value for finding in report.findings if finding.topic in about} == {"info"}


def test_zone_text_cuts_long_strings() -> None:
    line = next(line for line in as_zone_text(records_to_publish(REQUEST)).splitlines() if "k=rsa" in line)
    strings = line.split("TXT ")[1].strip('"').split('" "')
    assert len(strings) == 3
    assert [len(string) for string in strings[:-1]] == [255, 255]


@given(st.text(max_size=600))
def test_any_text_survives_the_zone_file(value: str) -> None:
    record = RecordToPublish(DomainName("a.test"), RecordType.TXT, value, "", "dkim")
    answer = Zone.parse(as_zone_text((record,))).answer(DnsQuestion("a.test", RecordType.TXT))
    assert isinstance(answer, Found)
    assert isinstance(answer.records[0], TxtRecord)
    assert answer.records[0].joined.decode() == value


class TestSpf:
    @pytest.mark.parametrize(
        ("existing", "merged"),
        [
            (None, "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"),
            ("v=spf1 include:_spf.a.test ~all", "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.a.test ~all"),
            ("v=spf1 redirect=_spf.a.test", "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 redirect=_spf.a.test"),
            ("v=spf1", "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10"),
            ("V=SPF1  IP4:192.0.2.0/24 -all", "V=SPF1 ip6:2001:db8::10 IP4:192.0.2.0/24 -all"),
            ("v=spf1 ip4:192.0.2.10 +ip6:2001:db8::/32 -all", "v=spf1 ip4:192.0.2.10 +ip6:2001:db8::/32 -all"),
            # An earlier term may refuse us: what stands behind it does not count.
            (
                "v=spf1 -ip4:192.0.2.10 ip4:192.0.2.0/24 ip6:2001:db8::10 -all",
                "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -ip4:192.0.2.10 ip4:192.0.2.0/24 ip6:2001:db8::10 -all",
            ),
        ],
    )
    def test_merged(self, existing: str | None, merged: str) -> None:
        assert merged_spf(existing, (V4, V6)) == merged
        assert merged_spf(merged, (V4, V6)) == merged

    @pytest.mark.parametrize("existing", ["v=spf1 ip4:nonsense -all", "v=spf2.0/pra -all", ""])
    def test_what_cannot_be_built_upon_is_refused(self, existing: str) -> None:
        with pytest.raises(PublishError) as caught:
            merged_spf(existing, (V4,))
        assert caught.value.next_step


terms = st.sampled_from(
    ["-ip4:192.0.2.10", "ip4:192.0.2.0/28", "?ip6:2001:db8::/32", "ip6:2001:db8::10", "a:x.test", "-all", "~all"]
)


@given(st.lists(terms, max_size=4))
def test_every_merged_record_lets_us_send(existing: list[str]) -> None:
    record = merged_spf(" ".join(["v=spf1", *existing]), (V4, V6))
    zone = Zone.from_records({("b.test", RecordType.TXT): [record]})
    for address in (V4, V6):
        assert run(check_host(address, "b.test", "x@b.test"), zone).result is SpfResult.PASS


@pytest.mark.parametrize("address", ["a@acme.test", "a,b!c;d?e%f@acme.test"])
def test_the_report_address_survives(address: str) -> None:
    record = parse_record(dmarc_start_record(address))
    assert record.remarks == ()
    assert len(record.rua) == 1
