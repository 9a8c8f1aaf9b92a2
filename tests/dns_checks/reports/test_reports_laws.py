"""Whatever comes in: a report or a ``ReportSyntaxError``, and never anything else."""

import gzip
import io
import json
import zipfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.reports import (
    AggregateReport,
    Fare,
    OurHosts,
    ReportSyntaxError,
    SpfResult,
    TlsReport,
    read_report,
    sum_by_source,
)
from dns_checks.reports.mail_parts import read_mail

XML = (
    b"<?xml version='1.0' encoding='utf-8'?><feedback><report_metadata><org_name>a</org_name><report_id>1</report_id>"
    b"<date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published><domain>a.test</domain>"
    b"<pct>100</pct></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>1</count>"
    b"<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>other</type>"
    b"</reason></policy_evaluated></row><identifiers><header_from>a.test</header_from></identifiers><auth_results>"
    b"<dkim><domain>a.test</domain><result>pass</result></dkim></auth_results></record></feedback>"
)
TLS = b"""{"organization-name": "a", "date-range": {"start-datetime": "2023-11-14T00:00:00Z"}, "policies": [{"policy":
{"policy-type": "sts", "policy-string": ["x"], "mx-host": "m"}, "summary": {"total-failure-session-count": 1},
"failure-details": [{"result-type": "x", "failed-session-count": 1}]}]}"""
ARF = (
    b"From: a@b.test\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b\n"
    b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nArrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\n"
    b"Source-IP: 192.0.2.1\nVersion: 1\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nx\n--b--\n"
)
MAIL = (
    b"From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/xml; name=a.xml\n"
    b"Content-Transfer-Encoding: quoted-printable\n\n" + XML.replace(b"=", b"=3D") + b"\n--b--\n"
)


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", XML)
    return made.getvalue()


SEEDS = [XML, TLS, ARF, MAIL, gzip.compress(XML, mtime=0), _zip()]


def read_or_refuse(octets: bytes, name: str = "", content_type: str = "") -> None:
    try:
        report = read_report(octets, name, content_type)
    except ReportSyntaxError as error:
        error.explain()
        return
    assert isinstance(report.domain, str)
    assert isinstance(report.organisation, str)
    assert isinstance(report.report_id, str)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(octets)))
        end = min(len(octets), at + draw(st.integers(0, 12)))
        octets[at:end] = draw(st.one_of(st.binary(max_size=8), st.just(bytes(octets[end : end + 40]))))
    return bytes(octets)


@settings(max_examples=300, deadline=None)
@given(mutated(), st.sampled_from(["", "r!a.test!1!2.xml.gz"]), st.sampled_from(["", "message/feedback-report"]))
def test_mutated_reports(octets: bytes, name: str, content_type: str) -> None:
    read_or_refuse(octets, name, content_type)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"<feedback>", b"{", b"A: b\n\n"])
)
def test_random_octets(octets: bytes, start: bytes) -> None:
    read_or_refuse(start + octets)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    [
        *("organization-name", "date-range", "report-id", "policy", "summary", "failure-details", "policy-type"),
        *("policy-string", "mx-host", "start-datetime", "total-successful-session-count", "failed-session-count"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_KEYS, _JSON | st.dictionaries(_KEYS, _JSON)), _JSON | st.lists(st.dictionaries(_KEYS, _JSON)))
def test_any_json(document: dict[str, Any], policies: Any) -> None:
    read_or_refuse(json.dumps({**document, "policies": policies}).encode())


_TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_TEXT, st.integers(1, 10**6)), max_size=5), _TEXT)
def test_what_is_written_is_read(rows: list[tuple[str, int]], organisation: str) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    records = "".join(
        f"<record><row><source_ip>{escaped(ip)}</source_ip><count>{count}</count></row></record>" for ip, count in rows
    )
    octets = (
        f"<feedback><report_metadata><org_name>{escaped(organisation)}</org_name></report_metadata>{records}</feedback>"
    )
    report = read_report(octets.encode())
    assert isinstance(report, AggregateReport)
    assert report.organisation == organisation.strip()
    assert [row.count for row in report.rows] == [count for _, count in rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=30).filter(lambda body: b"--" not in body and not body.endswith(b"\r")), max_size=6))
def test_parts_come_out_as_they_went_in(bodies: list[bytes]) -> None:
    packed = b"".join(b"--frontier\r\nX: y\r\n\r\n" + body + b"\r\n" for body in bodies)
    mail = read_mail(b"Content-Type: multipart/mixed; boundary=frontier\r\n\r\n" + packed + b"--frontier--\r\n")
    assert [part.body for part in mail.parts] == bodies


_FARE = st.builds(
    Fare,
    source_ip=st.sampled_from(["192.0.2.1", "192.0.2.2", "odd"]),
    count=st.integers(1, 100),
    disposition=st.sampled_from(["none", "pass", "quarantine", "reject", "", "odd"]),
    dkim=st.sampled_from(["pass", "fail", ""]),
    spf=st.sampled_from(["pass", "fail", ""]),
    header_from=st.sampled_from(["a.test", "b.a.test"]),
    overrides=st.sampled_from([(), ("mailing_list",)]),
    spf_results=st.sampled_from([(), (SpfResult("bounce.a.test", "mfrom", "pass"),)]),
)


@given(st.lists(_FARE))
def test_sums_lose_no_message_and_keep_to_the_receivers_verdict(fares: list[Fare]) -> None:
    sums = sum_by_source(fares, OurHosts(frozenset({"192.0.2.1"}), frozenset({"bounce.a.test"})))
    assert sum(one.messages for one in sums) == sum(fare.count for fare in fares)
    passing = sum(fare.count for fare in fares if "pass" in (fare.dkim, fare.spf))
    assert sum(one.messages for one in sums if one.passes) == passing
    assert all(one.delivered + one.quarantined + one.rejected <= one.messages for one in sums)
    assert all(one.is_ours for one in sums if one.source_ip == "192.0.2.1")


def test_a_tls_report_survives_odd_types() -> None:
    report = read_report(b'{"policies": [1, {"policy": [], "summary": {"total-failure-session-count": "7"}}]}')
    assert isinstance(report, TlsReport)
    assert report.policies[0].failed == 7
    assert {remark.code for remark in report.remarks} >= {"tls.not_object", "tls.missing", "tls.unknown_value"}
