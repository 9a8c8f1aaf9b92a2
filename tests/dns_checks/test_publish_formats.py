"""The plan for DMARC, the policy of MTA-STS, the logo, and octoDNS files."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.audit import ExpectedKey
from dns_checks.dkim.keys import generate_ed25519_key, generate_rsa_key
from dns_checks.dmarc import parse_record
from dns_checks.mta_sts import parse_policy
from dns_checks.publish import (
    LogoPublication,
    Progress,
    PublishError,
    PublishRequest,
    RecordToPublish,
    TlsPolicyPublication,
    as_octodns_yaml,
    dmarc_plan,
    records_to_publish,
)
from dns_checks.tls_rpt import parse_record as parse_tls_rpt
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType

REQUEST = PublishRequest(
    domain=DomainName("news.acme.test"),
    return_path_host=DomainName("bounce.news.acme.test"),
    egress_addresses=(ip_address("192.0.2.10"),),
    keys=(
        ExpectedKey("pw10", generate_rsa_key(2048).public_key()),
        ExpectedKey("pw2", generate_ed25519_key().public_key()),
    ),
    mail_hosts=(DomainName("mx1.postwright.test"), DomainName("mx2.postwright.test")),
    tracking_host=DomainName("click.news.acme.test"),
    tracking_target=DomainName("edge.postwright.test"),
    report_address="d;m@news.acme.test",
    logo=LogoPublication("https://acme.test/logo.svg", "https://acme.test/logo.pem"),
    tls_policy=TlsPolicyPublication(("mx.acme.test", "*.mail.acme.test"), web_host=DomainName("web.acme.test")),
)


def values(request: PublishRequest) -> dict[str, str]:
    return {record.name.ascii: record.value for record in records_to_publish(request)}


def test_what_a_domain_is_well_advised_to_have() -> None:
    found = values(REQUEST)
    assert found["default._bimi.news.acme.test"] == (
        "v=BIMI1; l=https://acme.test/logo.svg; a=https://acme.test/logo.pem;"
    )
    assert found["mta-sts.news.acme.test"] == "web.acme.test"
    assert parse_tls_rpt(found["_smtp._tls.news.acme.test"]).rua == ("mailto:d%3Bm@news.acme.test",)
    bare = replace(REQUEST, report_address=None, logo=None, tls_policy=None)
    assert {record.topic for record in records_to_publish(bare)} == {"spf", "dkim", "dmarc", "return_path", "tracking"}


def test_whoever_gets_reports_on_others_has_to_agree() -> None:
    name = "news.acme.test._report._dmarc.reports.test"
    assert values(replace(REQUEST, report_address="d@reports.test"))[name] == "v=DMARC1;"
    assert not any("_report" in name for name in values(REQUEST))


class TestDmarc:
    @pytest.mark.parametrize(
        "existing", ["v=DMARC1; p=quarantine; adkim=s; rua=mailto:a@b.test", "v=DMARC1; p=none", "v=DMARC1;p=reject"]
    )
    def test_a_record_that_counts_stays(self, existing: str) -> None:
        assert values(replace(REQUEST, existing_dmarc=existing))["_dmarc.news.acme.test"] == existing

    @pytest.mark.parametrize("existing", ["v=DMARC1; p=noone", "v=DMARC1", "v=spf1 -all", ""])
    def test_a_record_that_does_not_count_is_replaced(self, existing: str) -> None:
        proposed = values(replace(REQUEST, existing_dmarc=existing))["_dmarc.news.acme.test"]
        assert proposed == "v=DMARC1; p=none; rua=mailto:d%3Bm@news.acme.test"

    @pytest.mark.parametrize(
        ("existing", "progress"),
        [
            (None, "next next next"),
            ("nonsense", "next next next"),
            ("v=DMARC1; p=none", "current next next"),
            ("v=DMARC1; p=quarantine", "done current next"),
            ("v=DMARC1; p=reject", "done done current"),
        ],
    )
    def test_where_a_domain_stands(self, existing: str | None, progress: str) -> None:
        steps = dmarc_plan(existing, "d@a.test")
        assert [step.policy.value for step in steps] == ["none", "quarantine", "reject"]
        assert " ".join(step.progress for step in steps) == progress
        assert all(bool(step.go_on_when) is (step.policy != "reject") for step in steps)
        for step in steps:
            record = parse_record(step.record)
            assert (record.p, record.rua, record.remarks) == (step.policy, ("mailto:d@a.test",), ())
        assert Progress.CURRENT not in {step.progress for step in dmarc_plan(None)}

    def test_other_tags_stay_and_dropped_ones_go(self) -> None:
        existing = "v=DMARC1; p=none; sp=none; np=reject; adkim=s; pct=20; ri=3600; t=y; rua=mailto:x@a.test"
        none, quarantine, reject = (step.record for step in dmarc_plan(existing, "d@a.test"))
        assert none == "v=DMARC1; p=none; sp=none; np=reject; adkim=s; rua=mailto:x@a.test"
        assert quarantine == none.replace("p=none; sp=none", "p=quarantine; sp=none")
        assert reject == "v=DMARC1; p=reject; np=reject; adkim=s; rua=mailto:x@a.test"  # sp=none would undo it

    @given(st.text(max_size=200))
    def test_any_text_gets_a_plan(self, existing: str) -> None:
        for step in dmarc_plan(existing, "d@a.test"):
            assert parse_record(step.record).p is step.policy


class TestTlsPolicy:
    def test_the_file_and_its_id(self) -> None:
        policy = TlsPolicyPublication(("mx.acme.test",))
        assert policy.text == "version: STSv1\r\nmode: testing\r\nmx: mx.acme.test\r\nmax_age: 604800\r\n"
        assert parse_policy(policy.text).remarks == ()
        assert policy.record == TlsPolicyPublication(("mx.acme.test",)).record
        assert policy.record != TlsPolicyPublication(("mx2.acme.test",)).record
        assert len(policy.record.partition("id=")[2]) == 32

    @pytest.mark.parametrize("patterns", [(), ("a b",), ("mx.acme.test\r\nmode: none",), ("*.*.acme.test",)])
    def test_what_makes_no_policy_is_refused(self, patterns: tuple[str, ...]) -> None:
        with pytest.raises(PublishError):
            TlsPolicyPublication(patterns)
        with pytest.raises(PublishError):
            TlsPolicyPublication(("mx.acme.test",), max_age=timedelta(days=1000))


@pytest.mark.parametrize("url", ["http://acme.test/l.svg", "https://acme.test/a;b.svg", "https://a.test/a b", "x"])
def test_what_makes_no_logo_is_refused(url: str) -> None:
    with pytest.raises(PublishError):
        LogoPublication(url)


def test_octodns() -> None:
    (name,) = files = as_octodns_yaml(records_to_publish(REQUEST))
    assert name == "acme.test.yaml"
    read = yaml.safe_load(files[name])
    assert read["bounce.news"][0] == {
        "ttl": 3600,
        "type": "MX",
        "values": [
            {"exchange": "mx1.postwright.test.", "preference": 10},
            {"exchange": "mx2.postwright.test.", "preference": 10},
        ],
    }
    assert read["bounce.news"][1] == {"ttl": 3600, "type": "TXT", "value": "v=spf1 ip4:192.0.2.10 -all"}
    assert read["click.news"] == {"ttl": 3600, "type": "CNAME", "value": "edge.postwright.test."}
    assert read["_dmarc.news"]["value"] == r"v=DMARC1\; p=none\; rua=mailto:d%3Bm@news.acme.test"
    keys = [name for name in read if "_domainkey" in name]
    assert keys == ["pw2._domainkey.news", "pw10._domainkey.news"]


def test_octodns_zones_that_are_named() -> None:
    records = records_to_publish(REQUEST)
    files = as_octodns_yaml(records, [DomainName("news.acme.test"), DomainName("acme.test")])
    assert list(files) == ["news.acme.test.yaml"]
    assert "bounce" in yaml.safe_load(files["news.acme.test.yaml"])
    with pytest.raises(PublishError):
        as_octodns_yaml(records, [DomainName("other.test")])
    apex = RecordToPublish(DomainName("acme.test"), RecordType.TXT, "x", "", "spf")
    assert yaml.safe_load(as_octodns_yaml([apex], [DomainName("acme.test")])["acme.test.yaml"]) == {
        "": {"ttl": 3600, "type": "TXT", "value": "x"}
    }


@given(st.lists(st.text(max_size=80), min_size=1, max_size=3), st.sampled_from(["a", "yes", "1", "1.2", "on.x", "_y"]))
def test_any_text_survives_yaml(texts: list[str], label: str) -> None:
    name = DomainName(f"{label}.acme.test")
    records = [RecordToPublish(name, RecordType.TXT, text, "", "dkim") for text in texts]
    (read,) = (yaml.safe_load(text) for text in as_octodns_yaml(records, [DomainName("acme.test")]).values())
    found = read[label].get("values") or [read[label]["value"]]
    assert found == [text.replace("\\", "\\\\").replace(";", "\\;") for text in texts]
