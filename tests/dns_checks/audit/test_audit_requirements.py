"""The table provider x requirement: each line failing, passing and unknown."""

from dataclasses import replace
from typing import Any

import pytest

from dns_checks.audit import (
    REQUIREMENTS,
    AuditReport,
    AuditRequest,
    ExpectedKey,
    Provider,
    RequirementState,
    Senders,
    SendingPractice,
    audit_domain,
)
from dns_checks.audit.measures import MEASURES
from dns_checks.dkim.keys import generate_rsa_key, key_record_text
from dns_checks.testing_pages import run
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType as T
from mailtypes.questions import Unanswered

SPF = ("bounce.news.acme.test", T.TXT)
DMARC = ("_dmarc.news.acme.test", T.TXT)
RSA1 = ("rsa1._domainkey.news.acme.test", T.TXT)
ED1 = ("ed1._domainkey.news.acme.test", T.TXT)
PTR4 = ("10.215.184.93.in-addr.arpa", T.PTR)
NO_KEYS: dict[tuple[str, T], Any] = {RSA1: [], ED1: []}


def states(report: AuditReport) -> dict[str, RequirementState]:
    """By ``provider.code``."""
    return {f"{one.provider}.{one.code}": one.state for one in report.requirements}


def failing(report: AuditReport) -> set[str]:
    return {name for name, state in states(report).items() if state is RequirementState.FAIL}


def of_all(code: str) -> set[str]:
    return {f"{one.provider}.{one.code}" for one in REQUIREMENTS if one.code == code}


def test_a_domain_in_order_meets_all(ground: Any) -> None:
    report = ground.audit()
    assert set(states(report).values()) == {RequirementState.PASS}
    assert len(report.requirements) == len(REQUIREMENTS)
    assert {one.provider for one in report.requirements} == set(Provider)
    assert all(one.sentence and not one.next_step for one in report.requirements)
    seen = {one.code: one for one in report.requirements if one.provider is Provider.GMAIL}
    assert seen["reverse_name"].findings == ("ptr.confirmed",)
    assert any("PTR" in evidence.question for evidence in seen["reverse_name"].evidence)


ALIGNMENT = of_all("alignment")
FAILURES: list[tuple[dict[tuple[str, T], Any], set[str]]] = [
    ({SPF: ["v=spf1 -all"]}, of_all("spf")),
    ({SPF: []}, of_all("spf")),
    (NO_KEYS, of_all("dkim") | of_all("dkim_length") | of_all("dkim_length_advised")),
    (
        {SPF: [], **NO_KEYS},
        of_all("spf")
        | of_all("dkim")
        | of_all("spf_or_dkim")
        | ALIGNMENT
        | of_all("dkim_length")
        | of_all("dkim_length_advised"),
    ),
    ({DMARC: []}, of_all("dmarc") | ALIGNMENT),
    ({DMARC: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, of_all("dmarc") | ALIGNMENT),
    ({PTR4: []}, of_all("reverse_name") | of_all("own_reverse_name")),
    ({("out1.acme.test", T.A): []}, of_all("reverse_name") | of_all("own_reverse_name")),
    (
        {PTR4: ["out.host.test"], ("out.host.test", T.A): ["93.184.215.10"]},
        of_all("own_reverse_name"),
    ),
    ({("news.acme.test", T.MX): []}, of_all("reply_address")),
    ({("news.acme.test", T.MX): ["0 ."]}, of_all("reply_address")),
]


@pytest.mark.parametrize(("changes", "expected"), FAILURES)
def test_each_requirement_fails_by_what_the_dns_says(
    ground: Any, changes: dict[tuple[str, T], Any], expected: set[str]
) -> None:
    report = ground.audit(changes)
    assert failing(report) == expected
    for one in report.requirements:
        if one.state is RequirementState.FAIL:
            assert one.next_step
            assert one.findings
            assert one.evidence


@pytest.mark.parametrize(
    ("practice", "expected"),
    [
        ({"offers_tls": False}, of_all("tls")),
        ({"visible_link": False}, of_all("visible_link")),
        ({"valid_format": False}, of_all("format")),
        ({"spam_rate": 0.1}, of_all("spam_rate")),
        ({"spam_rate": 0.3}, of_all("spam_rate") | of_all("spam_rate_limit")),
    ],
)
def test_each_requirement_fails_by_what_the_sender_does(
    ground: Any, practice: dict[str, Any], expected: set[str]
) -> None:
    report = ground.audit(practice=replace(ground.request.practice, **practice))
    assert failing(report) == expected


def test_without_one_click(ground: Any) -> None:
    assert failing(ground.audit(one_click=False)) == of_all("one_click")


def test_mail_from_gmail(ground: Any) -> None:
    report = ground.audit(domain=DomainName("gmail.com"))
    assert "gmail.own_from" in failing(report)


def test_short_keys(ground: Any) -> None:
    key = generate_rsa_key(1024)
    request = {"keys": (ExpectedKey("rsa1", key.public_key()),)}
    assert failing(ground.audit({RSA1: [key_record_text(key)]}, **request)) == of_all("dkim_length_advised")


def test_alignment_stands_on_spf_alone_where_dkim_is_missing(ground: Any) -> None:
    assert not failing(ground.audit(NO_KEYS)) & ALIGNMENT
    strict = {**NO_KEYS, DMARC: ["v=DMARC1; p=none; aspf=s; rua=mailto:d@news.acme.test"]}
    assert failing(ground.audit(strict)) >= ALIGNMENT


@pytest.mark.parametrize("cause", ["servfail", "timeout", "refused"])
def test_silence_fails_nothing(ground: Any, cause: str) -> None:
    report = ground.silent_audit(cause)
    assert not failing(report)
    told = {"tls", "visible_link", "format", "spam_rate_010", "spam_rate_030", "one_click", "own_from"}
    for requirement, one in zip(REQUIREMENTS, report.requirements, strict=True):
        expected = RequirementState.PASS if requirement.measure in told else RequirementState.UNKNOWN
        assert one.state is expected, one


@pytest.mark.parametrize("key", [SPF, DMARC, RSA1, PTR4, ("out1.acme.test", T.A), ("news.acme.test", T.MX)])
def test_one_silent_name_fails_nothing(ground: Any, key: tuple[str, T]) -> None:
    report = ground.audit({key: Unanswered("servfail")})
    assert not failing(report)
    assert RequirementState.UNKNOWN in states(report).values()


def test_what_nobody_told_is_unknown(ground: Any) -> None:
    seen = states(ground.audit(practice=SendingPractice()))
    assert {seen[f"gmail.{code}"] for code in ("tls", "visible_link", "format", "spam_rate")} == {
        RequirementState.UNKNOWN
    }
    stranger = AuditRequest.of_any(DomainName("news.acme.test"))
    seen = states(run(audit_domain(stranger), ground.zone(), ground.pages()))
    assert seen["gmail.one_click"] is seen["gmail.reverse_name"] is seen["gmail.dkim"] is RequirementState.UNKNOWN


@pytest.mark.parametrize(
    ("provider", "messages", "expected"),
    [
        (Provider.GMAIL, 4_999, False),
        (Provider.GMAIL, 5_000, True),
        (Provider.MICROSOFT, 5_000, False),
        (Provider.MICROSOFT, 5_001, True),
        (Provider.YAHOO, 1_000_000, None),
        (Provider.GMAIL, None, None),
    ],
)
def test_the_threshold_of_bulk_senders(
    ground: Any, provider: Provider, messages: int | None, expected: bool | None
) -> None:
    report = ground.audit(practice=replace(ground.request.practice, daily_messages=messages))
    of_provider = [one for one in report.requirements if one.provider is provider]
    assert {one.applies for one in of_provider if one.senders is Senders.BULK} == {expected}
    assert {one.applies for one in of_provider if one.senders is Senders.ALL} <= {True}


def test_the_reply_codes() -> None:
    codes = {f"{one.provider}.{one.code}": one.reply_codes for one in REQUIREMENTS}
    assert codes["gmail.reverse_name"] == ("4.7.23", "5.7.25")
    assert codes["gmail.dmarc"] == ("4.7.31", "4.7.40", "5.7.40")
    assert codes["gmail.spf_or_dkim"] == ("5.7.26",)
    assert {codes[f"microsoft.{code}"] for code in ("spf", "dkim", "dmarc", "alignment")} == {("5.7.515",)}
    assert len(codes) == len(REQUIREMENTS)
    assert {one.measure for one in REQUIREMENTS} == set(MEASURES)
