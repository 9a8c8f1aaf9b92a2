"""Finding reports in files and mails, packed as they come; and what is refused."""

import base64
import gzip
import io
import json
import zipfile
import zlib

import pytest

from dns_checks.reports import AggregateReport, FailureReport, ReportSyntaxError, TlsReport, read_report
from dns_checks.reports.mail_parts import MAX_DEPTH, read_mail
from dns_checks.reports.unpack import MAX_PACKED_FILES, MAX_RATIO

XML = b"""<?xml version="1.0"?>
<feedback>
  <report_metadata><org_name>Example</org_name><email>d@receiver.test</email><report_id>r-1</report_id>
    <date_range><begin>1700000000</begin><end>1700086400</end></date_range></report_metadata>
  <policy_published><domain>acme.test</domain><p>reject</p></policy_published>
  <record>
    <row><source_ip>192.0.2.7</source_ip><count>3</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
    <identifiers><header_from>acme.test</header_from></identifiers>
    <auth_results><dkim><domain>acme.test</domain><selector>pw1</selector><result>pass</result></dkim>
      <spf><domain>bounce.acme.test</domain><result>softfail</result></spf></auth_results>
  </record>
</feedback>
"""
TLS = json.dumps(
    {
        "organization-name": "Example",
        "report-id": "t-1",
        "date-range": {"start-datetime": "2023-11-14T00:00:00Z", "end-datetime": "2023-11-14T23:59:59Z"},
        "policies": [{"policy": {"policy-type": "no-policy-found"}, "summary": {"total-successful-session-count": 2}}],
    }
).encode()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return made.getvalue()


def mail(content: bytes, content_type: str, name: str = "", *, before: str = "text/plain") -> bytes:
    disposition = f'Content-Disposition: attachment; filename="{name}"\r\n' if name else ""
    body = base64.encodebytes(content).decode().replace("\n", "\r\n")
    return (
        "From: Reports <reports@receiver.test>\r\nMessage-ID: <m1@receiver.test>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed;\r\n\tboundary="b_1"\r\n\r\npreamble\r\n'
        f"--b_1\r\nContent-Type: {before}\r\n\r\n<p>This is a report.</p>\r\n"
        f"--b_1\r\nContent-Type: {content_type}\r\n{disposition}Content-Transfer-Encoding: base64\r\n\r\n"
        f"{body}\r\n--b_1--\r\n"
    ).encode()


def aggregate(octets: bytes, name: str = "") -> AggregateReport:
    report = read_report(octets, name)
    assert isinstance(report, AggregateReport)
    return report


def codes(report: AggregateReport | TlsReport | FailureReport) -> set[str]:
    return {remark.code for remark in report.remarks}


def test_a_whole_report_has_no_remark() -> None:
    report = aggregate(XML)
    assert (report.organisation, report.report_id, report.domain) == ("Example", "r-1", "acme.test")
    assert (report.begin, report.end) == (1_700_000_000_000_000, 1_700_086_400_000_000)
    (row,) = report.rows
    assert (row.source_ip, row.count, row.disposition, row.dkim, row.spf) == ("192.0.2.7", 3, "none", "pass", "fail")
    assert row.spf_results[0].result == "softfail"
    assert report.remarks == ()


@pytest.mark.parametrize(
    "octets",
    [
        gzip.compress(XML),
        zipped(("report.xml", XML)),
        zipped(("report.xml", XML), method=zipfile.ZIP_STORED),
        gzip.compress(gzip.compress(XML)),
        zipped(("report.xml.gz", gzip.compress(XML))),
        gzip.compress(XML[:200]) + gzip.compress(XML[200:]),
        gzip.compress(XML) + b"\r\n",
        zipped(("readme.txt", b"nothing here"), ("report.xml", XML)),
    ],
    ids=["gzip", "zip", "stored", "twice", "gzip in zip", "members", "gzip and more", "second of zip"],
)
def test_packed_in_any_way(octets: bytes) -> None:
    assert aggregate(octets) == aggregate(XML)
    assert aggregate(mail(octets, "application/octet-stream")) == aggregate(XML)


@pytest.mark.parametrize(
    ("content", "content_type", "name"),
    [
        (gzip.compress(XML), "application/zip", "report.zip"),
        (zipped(("x", XML)), "application/gzip", "report.xml.gz"),
        (XML, "application/gzip", "report.xml.gz"),
        (gzip.compress(XML), "text/plain", ""),
        (XML, "text/plain", ""),
        (XML, "text/html", ""),
        (gzip.compress(XML), "message/external-thing", "noname"),
        (gzip.compress(XML), "broken", "a!b"),
    ],
)
def test_mislabelled_attachments(content: bytes, content_type: str, name: str) -> None:
    for before in ("text/plain", "text/html"):
        assert aggregate(mail(content, content_type, name, before=before)).report_id == "r-1"


def test_a_mail_that_is_the_attachment_itself() -> None:
    packed = base64.encodebytes(zipped(("r.xml", XML)))
    octets = (
        b"Subject: report\nContent-Type: application/zip; name=r.zip\nContent-Transfer-Encoding: base64\n\n" + packed
    )
    assert aggregate(octets).report_id == "r-1"


def test_a_report_that_somebody_forwarded() -> None:
    forwarded = b"Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n" + mail(gzip.compress(XML), "application/gzip")
    assert aggregate(forwarded).report_id == "r-1"


def test_a_broken_attachment_before_a_good_one() -> None:
    both = mail(b"\x1f\x8bnothing", "application/gzip", "a.xml.gz").replace(
        b"--b_1--", b"--b_1\r\nContent-Type: text/xml\r\n\r\n" + XML + b"\r\n--b_1--"
    )
    assert aggregate(both).report_id == "r-1"


def test_the_domain_comes_from_the_name_where_the_report_says_none() -> None:
    name = "receiver.test!acme.test!1700000000!1700086400.json.gz"
    for octets in (gzip.compress(TLS), mail(gzip.compress(TLS), "application/tlsrpt+gzip", name)):
        report = read_report(octets, name)
        assert isinstance(report, TlsReport)
        assert report.domain == "acme.test"
        assert report.policies[0].successful == 2
        assert report.policies[0].failed is None
    headed = read_report(b"TLS-Report-Domain: Other.test\r\n" + mail(TLS, "application/tlsrpt+json", name))
    assert isinstance(headed, TlsReport)
    assert headed.domain == "other.test"


# Broken senders


def change(old: bytes, new: bytes) -> AggregateReport:
    assert old in XML
    return aggregate(XML.replace(old, new))


def test_namespaces_and_prefixes_do_not_matter() -> None:
    for root in (b'<feedback xmlns="urn:wrong">', b"<unbound:feedback>", b'<F:Feedback xmlns:F="x">'):
        name = root[1:].partition(b" ")[0].rstrip(b">")
        octets = XML.replace(b"<feedback>", root).replace(b"</feedback>", b"</" + name + b">")
        assert aggregate(octets) == aggregate(XML)


def test_unknown_values_are_kept_with_a_remark() -> None:
    report = change(b"<disposition>none<", b"<disposition> Deferred\n<")
    assert report.rows[0].disposition == "deferred"
    assert report.remarks[0].code == "aggregate.unknown_value"
    assert report.remarks[0].line == 8
    assert change(b">softfail<", b">hardfail<").rows[0].spf_results[0].result == "hardfail"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<report_id>r-1</report_id>", b"", "aggregate.missing"),
        (b"<count>3</count>", b"<count>-1</count>", "aggregate.count"),
        (b"192.0.2.7", b"not an address", "aggregate.source_ip"),
        (b"<begin>1700000000</begin>", b"<begin>yesterday</begin>", "aggregate.time"),
        (b"<identifiers>", b"<other>", "xml"),
        (b"<header_from>acme.test<", b"<header_from>letter@Acme.test.<", "aggregate.address"),
        (b"Example<", b"Smith & Sons<", "xml.mended"),
        (b"Example<", "Exämple<".encode("latin-1"), "xml.mended"),
        (b"Example<", b"Ex\x08ample<", "xml.mended"),
        (b"<?xml", b"\r\n <?xml", "xml.mended"),
        (b"</feedback>", b"</feedback>\x00junk", "xml.junk"),
        (b"<feedback>", b'<!DOCTYPE feedback SYSTEM "http://nowhere.test/x.dtd"><feedback>', "xml.doctype"),
        (b"</feedback>", b"<report_metadata/></feedback>", "aggregate.repeated"),
    ],
)
def test_faults_are_forgiven_with_a_remark(old: bytes, new: bytes, code: str) -> None:
    if code == "xml":
        with pytest.raises(ReportSyntaxError, match="well-formed"):
            change(old, new)
        return
    report = change(old, new)
    assert code in codes(report)
    assert report.rows[0].header_from == "acme.test"
    assert report.rows[0].count in {1, 3}


def test_times_in_other_units() -> None:
    assert change(b"<begin>1700000000<", b"<begin>1700000000000<").begin == 1_700_000_000_000_000
    assert change(b"<begin>1700000000<", b"<begin>2023-11-14T22:13:20<").begin == 1_700_000_000_000_000
    assert change(b"<begin>1700000000<", b"<begin>1700000000.00<").begin == 1_700_000_000_000_000
    assert change(b"<begin>1700000000<", b"<begin>x<").begin is None


def test_a_report_in_utf_16_or_with_a_byte_order_mark() -> None:
    text = XML.decode().replace('<?xml version="1.0"?>\n', "")
    assert aggregate(text.encode("utf-16")).rows == aggregate(XML).rows
    assert aggregate(b"\xef\xbb\xbf" + XML).rows == aggregate(XML).rows


def test_a_mapped_address_is_the_address() -> None:
    assert change(b"192.0.2.7", b"::ffff:192.0.2.7").rows[0].source_ip == "192.0.2.7"


# What is refused

ENTITIES = b"""<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<feedback><version>&b;</version></feedback>"""
DEEP = b"<feedback>" + b"<a>" * 50


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "no report"),
        (b"\x00\x01\x02", "no report"),
        (b"Subject: hello\n\nno report in here", "No part"),
        (b"<html></html>", "<html>"),
        (b"<feedback></feedback>", "neither"),
        (XML[:400], "unclosed token"),
        (ENTITIES, "entities"),
        (DEEP, "nested"),
        (b'{"policies": ', "not JSON"),
        (b'{"a": 1}', "no policies"),
        (b"[" * 100_000, "holds what no report"),
        (b'{"policies": [' + b"9" * 5_000 + b"]}", "holds what no report"),
        (gzip.compress(XML)[:-20], "too early"),
        (gzip.compress(XML)[:100] + b"?" * 50 + gzip.compress(XML)[150:], "damaged"),
        (zipped(("r.xml", XML))[:200], "zip"),
        (zipped(("r.xml", XML), method=zipfile.ZIP_BZIP2), "deflate"),
        (zipped(*((f"{number}.txt", b"x") for number in range(MAX_PACKED_FILES + 1))), "files"),
        (zipped(), "no report"),
        (b"".join(gzip.compress(b"") for _ in range(MAX_PACKED_FILES + 1)), "members"),
    ],
)
def test_what_is_no_report_is_refused(octets: bytes, words: str) -> None:
    with pytest.raises(ReportSyntaxError, match=words) as caught:
        read_report(octets)
    assert caught.value.next_step


def test_the_place_of_a_fault() -> None:
    octets = zipped(("deep/report.xml", XML.replace(b"</count>", b"</cont>")))
    with pytest.raises(ReportSyntaxError) as caught:
        read_report(octets)
    assert caught.value.line_and_column == (7, 52)
    assert caught.value.within == "deep/report.xml"


def bomb(size: int) -> bytes:
    return b"<feedback>" + b" " * size


def test_bombs_are_not_unpacked() -> None:
    for octets in (gzip.compress(bomb(8 << 20)), zipped(("r.xml", bomb(8 << 20)))):
        assert MAX_RATIO * len(octets) < 8 << 20
        with pytest.raises(ReportSyntaxError, match=f"{MAX_RATIO} times"):
            read_report(octets)
    nested = XML
    for _ in range(4):
        nested = gzip.compress(nested)
    with pytest.raises(ReportSyntaxError, match="times over"):
        read_report(nested)


def test_many_files_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dns_checks.reports.unpack._FREE_OCTETS", 1 << 30)
    part = bomb(9 << 20)
    with pytest.raises(ReportSyntaxError, match="more than"):
        read_report(zipped(*((f"{number}.bin", b"\x00" + part) for number in range(8))))


def test_a_zip_that_lies_about_sizes() -> None:
    octets = bytearray(zipped(("r.xml", bomb(8 << 20))))
    entry = octets.index(b"PK\x01\x02")
    octets[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    with pytest.raises(ReportSyntaxError):
        read_report(bytes(octets))


def test_an_encrypted_zip() -> None:
    octets = bytearray(zipped(("r.xml", XML)))
    octets[octets.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ReportSyntaxError, match="encrypted"):
        read_report(bytes(octets))


def test_mails_without_end() -> None:
    levels = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(MAX_DEPTH + 1)]
    with pytest.raises(ReportSyntaxError, match="levels"):
        read_report(b"".join(levels))
    with pytest.raises(ReportSyntaxError, match="parts"):
        read_report(levels[0] + b"\n--b0\n" * 1_000)
    with pytest.raises(ReportSyntaxError, match="header"):
        read_report(b"A: b\n" * 200_000)


# Failure reports


def test_the_reported_message_is_kept() -> None:
    octets = (
        b"From: abuse@isp.test\nMessage-ID: <m2@isp.test>\n"
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        b"--b\n\nhello\n--b\nContent-Type: message/feedback-report\n\n"
        b"Feedback-Type: abuse\nVersion: 1\nUser-Agent: x\nSource-IP: 192.0.2.1\nIncidents: many\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: hi\n\nFeedback-Type: none\n--b--\n"
    )
    report = read_report(octets)
    assert isinstance(report, FailureReport)
    assert report.message == b"Subject: hi\n\nFeedback-Type: none"
    assert (report.organisation, report.report_id) == ("isp.test", "<m2@isp.test>")
    assert report.incidents == 1
    assert codes(report) == {"failure.number"}
    mislabelled = read_report(octets.replace(b"message/feedback-report", b"text/plain"))
    assert isinstance(mislabelled, FailureReport)
    assert mislabelled.source_ip == "192.0.2.1"


def test_the_fields_alone() -> None:
    octets = b"Feedback-Type: auth-failure\nVersion: 1\nReported-Domain: Acme.test\n"
    for content_type in ("", "message/feedback-report; charset=us-ascii"):
        report = read_report(octets, "", content_type)
        assert isinstance(report, FailureReport)
        assert report.domain == "acme.test"
    with pytest.raises(ReportSyntaxError, match="Feedback-Type"):
        read_report(b"Version: 1\n", "", "message/feedback-report")


def test_parts_are_found_where_they_are() -> None:
    octets = (
        b'Content-Type: multipart/mixed; boundary="a b"\r\n\r\n'
        b"--a b\r\n\r\none\r\n--a b  \r\nX: y\r\n\r\ntwo\r\n\r\n--a b--\r\nend"
    )
    first, second = read_mail(octets).parts
    assert (first.content(), second.content(), second.value("x")) == (b"one", b"two\r\n", "y")


def test_deflate_without_a_wrapper_is_no_report() -> None:
    with pytest.raises(ReportSyntaxError):
        read_report(zlib.compress(XML))
