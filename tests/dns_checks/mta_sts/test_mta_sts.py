"""MTA-STS: records, policy files, patterns, and all of it together (RFC 8461)."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dns_checks.findings import Severity
from dns_checks.mta_sts import (
    Mode,
    MtaStsPolicySyntaxError,
    MtaStsRecordSyntaxError,
    check_mta_sts,
    matches,
    parse_policy,
    parse_record,
)
from dns_checks.mta_sts.match import is_pattern
from dns_checks.testing import Zone
from dns_checks.testing_pages import Pages, run
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import HttpFetched, Unanswered

POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mail.acme.test\r\nmx: *.acme.net\r\nmax_age: 604800\r\n"


def test_the_record_of_the_rfc() -> None:
    record = parse_record("v=STSv1; id=20160831085700Z;")  # RFC 8461 section 3.1
    assert (record.id, record.remarks) == ("20160831085700Z", ())


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("v=STSv1; id=", "id"),
        ("v=STSv1; id=2016-08", "2016-08"),
        ("v=STSv1; id=" + "1" * 33, "1" * 33),
        ("v=STSv1; mode=x", "v=STSv1; mode=x"),
        ("v=STSv1; nonsense", "nonsense"),
        ("v=STSv1;; id=1", ";"),
        ("v=STSv1; id=1\xe9", "1\xe9"),
        ("v=STSv1 id=1", "v=STSv1 "),
        ("V=STSv1; id=1", "V=STSv1;"),
        ("v=STSv12; id=1", "v=STSv12"),
    ],
)
def test_a_fault_of_a_record_is_marked(text: str, marked: str) -> None:
    with pytest.raises(MtaStsRecordSyntaxError) as caught:
        parse_record(text)
    span = caught.value.span
    assert span is not None
    assert text[span.start : span.end] == marked
    assert caught.value.next_step


def test_unknown_fields_are_ignored_and_doubled_ones_remarked() -> None:
    record = parse_record("v=STSv1;a=1;id=7;id=8")
    assert record.id == "7"
    assert [remark.message for remark in record.remarks] == ["id= occurs twice; the first counts"]


def test_a_policy_file() -> None:
    policy = parse_policy(POLICY)
    assert (policy.mode, policy.patterns) == (Mode.ENFORCE, ("mail.acme.test", "*.acme.net"))
    assert (policy.max_age, policy.remarks) == (timedelta(weeks=1), ())
    assert parse_policy(POLICY.replace("\r\n", "\n").rstrip("\n")) == policy
    assert parse_policy("version: STSv1\nmode: none\nmax_age: 86400").patterns == ()
    assert parse_policy(POLICY + "later: thing").mode is Mode.ENFORCE


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (POLICY.replace("STSv1", "STSv2"), 1),
        (POLICY.replace("enforce", "Enforce"), 2),
        (POLICY.replace("mail.acme.test", ".acme.test"), 3),
        (POLICY.replace("mail.acme.test", "mail.*.test"), 3),
        (POLICY.replace("mail.acme.test", "192.0.2.1"), 3),
        (POLICY.replace("604800", "31557601"), 5),
        (POLICY.replace("604800", "-1"), 5),
        (POLICY.replace("604800", "1 week"), 5),
        (POLICY.replace("mode:", "mode="), 2),
        ("\ufeff" + POLICY, 1),
        (POLICY.replace("max_age", "maxage"), 1),
        ("version: STSv1\nmode: testing\nmax_age: 86400\n", 1),
        ("<html>", 1),
        ("", 1),
    ],
)
def test_a_fault_of_a_policy_names_its_line(text: str, line: int) -> None:
    with pytest.raises(MtaStsPolicySyntaxError) as caught:
        parse_policy(text)
    assert caught.value.line_and_column is not None
    assert caught.value.line_and_column[0] == line
    assert caught.value.next_step


def test_policies_that_count_with_a_remark() -> None:
    text = POLICY.replace("604800", "600").replace("mode: enforce", "mode: enforce\n\nmode: none")
    policy = parse_policy(text)
    assert (policy.mode, policy.max_age) == (Mode.ENFORCE, timedelta(minutes=10))
    assert len(policy.remarks) == 3


@pytest.mark.parametrize(
    ("host", "pattern", "is_named"),
    [
        ("mail.example.com", "mail.example.com", True),
        ("MAIL.example.com.", "mail.Example.com", True),
        ("mail.example.com", "*.example.com", True),  # RFC 8461 section 4.1
        ("a.b.example.com", "*.example.com", False),
        ("example.com", "*.example.com", False),
        (".example.com", "*.example.com", False),
        ("mailexample.com", "*.example.com", False),
        ("mail.example.org", "mail.example.com", False),
        ("", "", False),
        ("mail.example.com", "*", False),
        ("mail.example.com", "m*.example.com", False),
    ],
)
def test_patterns(host: str, pattern: str, is_named: bool) -> None:
    assert matches(host, pattern) is is_named


@pytest.mark.parametrize(
    "text", ["*", "*.", "*.*.acme.test", "acme.test.", "acme", " acme.test", "a..test", "\u05d0.test"]
)
def test_no_patterns(text: str) -> None:
    assert not is_pattern(text)


@given(st.text(max_size=80) | st.text("vSTid=;1 \t*x.", max_size=60).map("v=STSv1;".__add__))
def test_records_raise_nothing_else(text: str) -> None:
    try:
        parse_record(text)
    except MtaStsRecordSyntaxError as error:
        error.explain()


@given(
    st.text(max_size=80) | st.lists(st.sampled_from([*POLICY.split("\r\n"), "", "x", "mx:\x00", ":"])).map("\n".join)
)
@example("version:\u2028STSv1")
def test_policies_raise_nothing_else(text: str) -> None:
    try:
        policy = parse_policy(text)
    except MtaStsPolicySyntaxError as error:
        error.explain()
    else:
        assert all(0 <= remark.span.start <= remark.span.end <= len(text) for remark in policy.remarks)


URL = "https://mta-sts.acme.test/.well-known/mta-sts.txt"
ZONE = """
acme.test. MX 10 mail.acme.test.
acme.test. MX 20 mx1.acme.net.
_mta-sts.acme.test. TXT "v=STSv1; " "id=1"
"""


def codes(zone: str = ZONE, page: object = None, body: str = POLICY) -> dict[str, tuple[Severity, Finding]]:
    answer = HttpFetched(200, "text/plain; charset=utf-8", body.encode()) if page is None else page
    pages = Pages({URL: answer})  # type: ignore[dict-item]
    check = run(check_mta_sts(DomainName("acme.test")), Zone.parse(zone), pages)
    assert all(finding.sentence.endswith(".") and finding.evidence for finding in check.findings)
    assert all(finding.next_step for finding in check.findings if finding.state is not Finding.PRESENT)
    assert not any(fetch.follow_redirects for fetch in pages.fetched)
    return {finding.code: (finding.severity, finding.state) for finding in check.findings}


def test_all_in_order() -> None:
    assert list(codes()) == ["mta_sts.record", "mta_sts.enforced", "mta_sts.mx_covered"]


@pytest.mark.parametrize(
    ("zone", "code", "severity", "state"),
    [
        ("acme.test. MX 10 mail.acme.test.", "mta_sts.missing", "info", "absent"),
        ('_mta-sts.acme.test. TXT "v=spf1"', "mta_sts.missing", "info", "absent"),
        (";; SERVFAIL _mta-sts.acme.test", "mta_sts.unknown", "warning", "unknown"),
        (
            '_mta-sts.acme.test. TXT "v=STSv1; id=1"\n_mta-sts.acme.test. TXT "v=STSv1; id=2"',
            "mta_sts.several",
            "error",
            "absent",
        ),
        ('_mta-sts.acme.test. TXT "v=STSv1; di=1"', "mta_sts.invalid_record", "error", "absent"),
        ('_mta-sts.acme.test. TXT "v=stsv1; id=1"', "mta_sts.invalid_record", "error", "absent"),
    ],
)
def test_without_a_valid_record_nothing_is_fetched(zone: str, code: str, severity: str, state: str) -> None:
    assert codes(zone) == {code: (severity, state)}


def test_a_foreign_text_beside_the_record_does_no_harm() -> None:
    assert "mta_sts.enforced" in codes(ZONE + '_mta-sts.acme.test. TXT "verification=1"')


@pytest.mark.parametrize(
    ("page", "code", "state"),
    [
        (Unanswered("the certificate is not valid"), "mta_sts.policy_unknown", "unknown"),
        (HttpFetched(503, "text/html", b""), "mta_sts.policy_unknown", "unknown"),
        (HttpFetched(404, "text/html", b""), "mta_sts.policy_missing", "absent"),
        (HttpFetched(301, "text/html", b""), "mta_sts.policy_redirected", "absent"),
        (HttpFetched(200, "text/plain", b"<html>"), "mta_sts.invalid_policy", "absent"),
        (HttpFetched(200, "text/plain", b"x" * 70_000), "mta_sts.policy_unknown", "unknown"),
        (HttpFetched(200, "text/plain", b"\xff\xfe"), "mta_sts.invalid_policy", "absent"),
    ],
)
def test_without_a_valid_policy(page: object, code: str, state: str) -> None:
    found = codes(page=page)
    assert list(found) == ["mta_sts.record", code]
    assert found[code][1] == state


def test_html_is_a_warning_only() -> None:
    found = codes(page=HttpFetched(200, "text/html", POLICY.encode()))
    assert found["mta_sts.content_type"] == ("warning", "absent")
    assert "mta_sts.mx_covered" in found


@pytest.mark.parametrize(("mode", "severity"), [("enforce", "error"), ("testing", "warning")])
def test_a_host_that_the_policy_does_not_name(mode: str, severity: str) -> None:
    found = codes(body=POLICY.replace("enforce", mode).replace("*.acme.net", "*.other.net"))
    assert found["mta_sts.mx_not_covered"] == (severity, "absent")
    assert found["mta_sts.unused_pattern"] == ("info", "absent")
    assert "mta_sts.mx_covered" not in found


def test_modes_and_unknown_hosts() -> None:
    assert codes(body=POLICY.replace("enforce", "testing"))["mta_sts.testing"] == ("info", "absent")
    assert list(codes(body=POLICY.replace("enforce", "none"))) == ["mta_sts.record", "mta_sts.mode_none"]
    zone = ZONE.replace("acme.test. MX", "other.test. MX").replace("_mta-sts.other", "_mta-sts.acme")
    found = codes(zone + ";; TIMEOUT acme.test MX\n")
    assert found["mta_sts.mx_unknown"] == ("warning", "unknown")
