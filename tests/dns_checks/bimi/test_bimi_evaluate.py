"""BIMI of one domain as a whole: lookup and fallback, DMARC, logo, certificate, and what could not be found out."""

from collections.abc import Mapping
from typing import Any

import pytest

from dns_checks.bimi import BimiEvaluation, BimiResult, BimiSyntaxError, evaluate
from dns_checks.testing import Zone
from dns_checks.testing_pages import Pages, run
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import HttpAnswer, HttpFetched, Unanswered
from tests.dns_checks.bimi.marks import LOGO, NOW, Leaf, root

ACME = DomainName("acme.test")
NEWS = DomainName("news.acme.test")
DMARC = '_dmarc.acme.test. TXT "v=DMARC1; p=reject"\n'
RECORD = 'default._bimi.acme.test. TXT "v=BIMI1; l=https://acme.test/logo.svg; a=https://acme.test/vmc.pem"\n'
SELF = 'default._bimi.acme.test. TXT "v=BIMI1; l=https://acme.test/logo.svg"\n'
LOGO_PAGE = HttpFetched(200, "image/svg+xml; charset=utf-8", LOGO)
LOGO_URL, MARK_URL = "https://acme.test/logo.svg", "https://acme.test/vmc.pem"


@pytest.fixture(scope="module")
def pages() -> dict[str, HttpAnswer]:
    return {LOGO_URL: LOGO_PAGE, MARK_URL: HttpFetched(200, "application/x-pem-file", Leaf().chain())}


def bimi(
    zone: str, pages: Mapping[str, HttpAnswer], domain: DomainName = ACME, selector: str = "default", **options: Any
) -> BimiEvaluation:
    evaluation = evaluate(domain, selector, **{"roots": [root().certificate], "now": NOW, **options})
    return run(evaluation, Zone.parse(zone), Pages(pages))


def faults(evaluation: BimiEvaluation) -> list[str]:
    return [one.code for one in evaluation.findings if one.state is not Finding.PRESENT]


def test_everything_right(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD, pages)
    assert evaluation.result is BimiResult.PASS
    assert faults(evaluation) == []
    assert [one.code for one in evaluation.findings][:4] == [
        "bimi.record",
        "bimi.dmarc",
        "bimi.logo",
        "bimi.certificate",
    ]
    assert evaluation.record_domain == ACME
    assert evaluation.svg is not None
    assert evaluation.svg.valid
    assert evaluation.certificate is not None
    assert evaluation.certificate.valid
    assert evaluation.findings[0].evidence[0].question == "default._bimi.acme.test TXT"


def test_a_subdomain_falls_back_to_its_organizational_domain(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD, pages, NEWS)
    assert evaluation.result is BimiResult.PASS
    assert (evaluation.domain, evaluation.record_domain) == (NEWS, ACME)


def test_the_subdomain_s_own_record_comes_first(pages: dict[str, HttpAnswer]) -> None:
    declined = 'default._bimi.news.acme.test. TXT "v=BIMI1; l=; a="\n'
    evaluation = bimi(DMARC + RECORD + declined, pages, NEWS)
    assert (evaluation.result, evaluation.record_domain) == (BimiResult.DECLINED, NEWS)
    assert faults(evaluation) == []


def test_another_selector(pages: dict[str, HttpAnswer]) -> None:
    zone = DMARC + RECORD.replace("default", "brand")
    assert bimi(zone, pages, selector="Brand").result is BimiResult.PASS
    assert bimi(zone, pages).result is BimiResult.NONE
    with pytest.raises(BimiSyntaxError):
        bimi(zone, pages, selector="no such")


def test_no_record_is_no_fault_of_anybody(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + 'default._bimi.acme.test. TXT "v=spf1 -all"\n', pages)
    assert evaluation.result is BimiResult.NONE
    (finding,) = evaluation.findings
    assert (finding.code, finding.severity) == ("bimi.no_record", "info")
    assert "default._bimi.acme.test" in finding.next_step


def test_records_that_cannot_be_used(pages: dict[str, HttpAnswer]) -> None:
    twice = bimi(DMARC + RECORD + SELF, pages)
    assert (twice.result, faults(twice)) == (BimiResult.FAIL, ["bimi.several_records"])
    broken = bimi(DMARC + 'default._bimi.acme.test. TXT "v=BIMI1; l=http://acme.test/a.svg"\n', pages)
    assert (broken.result, faults(broken)) == (BimiResult.FAIL, ["bimi.syntax"])
    assert "https" in broken.cause
    assert broken.findings[0].mark is not None
    assert broken.findings[0].mark.marked == "http://acme.test/a.svg"


def test_no_certificate_is_a_warning(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + SELF, pages)
    assert (evaluation.result, faults(evaluation)) == (BimiResult.PASS, ["bimi.no_certificate"])


def test_remarks_become_warnings(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD.replace('.pem"', '.pem; avp=me"'), pages)
    assert (evaluation.result, faults(evaluation)) == (BimiResult.PASS, ["bimi.record_remark"])
    assert [one.mark.marked for one in evaluation.findings if one.mark] == ["me"]


@pytest.mark.parametrize(
    ("dmarc", "result", "found"),
    [
        ("v=DMARC1; p=quarantine", BimiResult.PASS, []),
        ("v=DMARC1; p=quarantine; sp=reject; pct=100", BimiResult.PASS, []),
        ("v=DMARC1; p=none", BimiResult.SKIPPED, ["bimi.dmarc_not_enforced"]),
        ("v=DMARC1; p=reject; sp=none", BimiResult.SKIPPED, ["bimi.dmarc_subdomains"]),
        ("v=DMARC1; p=reject; t=y", BimiResult.SKIPPED, ["bimi.dmarc_testing"]),
        ("v=DMARC1; p=quarantine; pct=50", BimiResult.SKIPPED, ["bimi.dmarc_sampled"]),
        ("v=DMARC1; p=reject; pct=0", BimiResult.SKIPPED, ["bimi.dmarc_sampled"]),
        ("v=DMARC1; p=reject; pct=50", BimiResult.PASS, ["bimi.dmarc_sampled"]),
        ("v=DMARC1; p=nonsense; rua=mailto:a@acme.test", BimiResult.SKIPPED, ["bimi.dmarc_not_enforced"]),
        ("v=spf1 -all", BimiResult.SKIPPED, ["bimi.dmarc_missing"]),
    ],
)
def test_dmarc(dmarc: str, result: BimiResult, found: list[str], pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(f'_dmarc.acme.test. TXT "{dmarc}"\n{RECORD}', pages)
    assert (evaluation.result, faults(evaluation)) == (result, found)


@pytest.mark.parametrize(
    ("above", "below", "found"),
    [
        ("p=reject; sp=none", None, ["bimi.dmarc_not_enforced", "bimi.dmarc_subdomains"]),
        ("p=none; sp=reject", None, ["bimi.dmarc_not_enforced"]),
        ("p=none", "p=reject", ["bimi.dmarc_not_enforced"]),
        ("p=reject", "p=none", ["bimi.dmarc_not_enforced"]),
        ("p=reject", "p=quarantine", []),
    ],
)
def test_dmarc_of_subdomain_and_organization(
    above: str, below: str | None, found: list[str], pages: dict[str, HttpAnswer]
) -> None:
    zone = f'_dmarc.acme.test. TXT "v=DMARC1; {above}"\n{RECORD}'
    if below:
        zone += f'_dmarc.news.acme.test. TXT "v=DMARC1; {below}"\n'
    assert faults(bimi(zone, pages, NEWS)) == found


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        (DMARC + ";; SERVFAIL default._bimi.acme.test", "bimi.unknown"),
        (RECORD + ";; TIMEOUT _dmarc.acme.test", "bimi.dmarc_unknown"),
        (DMARC + RECORD + ";; SERVFAIL _dmarc.test", None),
    ],
)
def test_what_the_dns_does_not_tell_is_unknown(zone: str, found: str | None, pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(zone, pages)
    if found is None:
        # The walk stops before it knows the organizational domain: the owner's own record is all that is known.
        found = "bimi.dmarc_unknown"
    assert (evaluation.result, faults(evaluation)) == (BimiResult.TEMPERROR, [found])
    assert evaluation.cause == next(one.sentence for one in evaluation.findings if one.code == found)


def test_an_unknown_organizational_domain_is_no_absence(pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD + ";; SERVFAIL _dmarc.news.acme.test", pages, NEWS)
    assert (evaluation.result, faults(evaluation)) == (BimiResult.TEMPERROR, ["bimi.unknown"])


@pytest.mark.parametrize(
    ("answer", "result", "found"),
    [
        (HttpFetched(404, "text/html", b""), BimiResult.FAIL, ["bimi.logo", "bimi.certificate_logo"]),
        (HttpFetched(503, "text/html", b""), BimiResult.TEMPERROR, ["bimi.logo", "bimi.certificate_logo"]),
        (HttpFetched(429, "text/html", b""), BimiResult.TEMPERROR, ["bimi.logo", "bimi.certificate_logo"]),
        (Unanswered("timeout"), BimiResult.TEMPERROR, ["bimi.logo", "bimi.certificate_logo"]),
        (HttpFetched(200, "text/plain", LOGO), BimiResult.PASS, ["bimi.logo_type"]),
        (
            HttpFetched(200, "image/svg+xml", LOGO.replace(b"tiny-ps", b"tiny")),
            BimiResult.FAIL,
            ["svg.base_profile", "bimi.certificate_logo"],
        ),
    ],
)
def test_the_logo(answer: HttpAnswer, result: BimiResult, found: list[str], pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD, {**pages, LOGO_URL: answer})
    assert (evaluation.result, faults(evaluation)) == (result, found)


@pytest.mark.parametrize(
    ("answer", "result", "found"),
    [
        (HttpFetched(410, "text/html", b""), BimiResult.FAIL, "bimi.certificate"),
        (Unanswered("timeout"), BimiResult.TEMPERROR, "bimi.certificate"),
        (HttpFetched(200, "text/html", b"<html>"), BimiResult.FAIL, "bimi.certificate_syntax"),
        (
            HttpFetched(200, "text/plain", Leaf(names=("other.test",)).chain()),
            BimiResult.FAIL,
            "bimi.certificate_domain",
        ),
    ],
)
def test_the_certificate(answer: HttpAnswer, result: BimiResult, found: str, pages: dict[str, HttpAnswer]) -> None:
    evaluation = bimi(DMARC + RECORD, {**pages, MARK_URL: answer})
    assert (evaluation.result, faults(evaluation)) == (result, [found])


def test_without_roots_the_result_is_not_a_pass(pages: dict[str, HttpAnswer]) -> None:
    assert bimi(DMARC + RECORD, pages, roots=()).result is BimiResult.TEMPERROR


def test_a_certificate_without_a_logo(pages: dict[str, HttpAnswer]) -> None:
    zone = DMARC + 'default._bimi.acme.test. TXT "v=BIMI1; l=; a=https://acme.test/vmc.pem"\n'
    evaluation = bimi(zone, pages)
    assert evaluation.result is BimiResult.FAIL
    assert "bimi.no_logo" in faults(evaluation)


def test_only_https_is_fetched_and_only_so_much(pages: dict[str, HttpAnswer]) -> None:
    web = Pages(pages)
    run(evaluate(ACME, roots=[root().certificate], now=NOW), Zone.parse(DMARC + RECORD), web)
    assert [(fetch.url, fetch.max_bytes) for fetch in web.fetched] == [(LOGO_URL, 524_288), (MARK_URL, 262_144)]
