"""Whatever stands in a mail, the lint ends, in time; and real newsletters are read without false alarm."""

import json
import os
import re
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.lint import (
    ClientTableError,
    LintSubject,
    SenderFacts,
    Severity,
    default_policy,
    lint,
    read_policy,
    rules_as_markdown,
)
from rendering.lint.client_data import features
from rendering.lint.style_values import BLACK, WHITE, Colour, background_colour, colour, contrast, declarations

UNITS = [
    "<",
    "<a ",
    "<a href='",
    "<!--",
    "<!--[if mso]>",
    " ",
    "{{",
    '<p "',
    "<style>@media{",
    "&",
    "</p>",
    "<div>",
    "<b></b>",
]
UNITS += [
    "<td>",
    '<a href="https://x.test/">a.b</a>',
    "<img src=x>",
    "<table><tr><td>שלום -20% C++ ",
    "aa.",
    "(A",
    "1 - ",
    "!",
]
UNITS += [
    "<p style='a:((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((('>x"
]
UNITS += ["<style>a{{{{{", "12345 ", "st. ", "unsubscribe ", "<font color=red>x", "\n", "<div style='color:red;", "×"]


@pytest.mark.parametrize(
    ("unit", "body_format"), [(unit, ("html", "mjml")[number % 2]) for number, unit in enumerate(UNITS)]
)
def test_a_hostile_megabyte_ends_in_time(unit: str, body_format) -> None:
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    source = text if body_format == "mjml" else ""
    sender = SenderFacts(advertisement_to_israel=True)
    began = time.process_time()
    lint(LintSubject(text, source, body_format, subject=text, preheader=text, plain_text=text, sender=sender))
    assert time.process_time() - began < 10  # a slow machine's time; the figure of ours is in docs/lint.md


_PIECES = [
    "<p>",
    "</p>",
    "<a href='",
    "'>",
    "<img>",
    '<td style="',
    "color:#fff",
    "padding: 1 2 3 4 5",
    '">',
    "שלום",
    "-20%",
]
_PIECES += [
    "<style>",
    "</style>",
    "@media {",
    "@import",
    "}",
    "text ",
    "<table>",
    "<tr>",
    "<h1>",
    "<h3>",
    "&#0;",
    "&bogus;",
]
_PIECES += [
    "\x00",
    "\ud800",
    "<b",
    "https://[",
    "http://a:b",
    "dir=rtl ",
    "<html lang=",
    "width='1e9999'",
    "\x92",
    "\x85",
]
_PIECES += ["data-pw-at='99999'", "<meta charset=x>"]
pieces = st.sampled_from(_PIECES)


@given(st.lists(pieces, max_size=30).map("".join), st.lists(pieces, max_size=4).map("".join))
@settings(max_examples=100, deadline=None)
def test_any_mail_gets_findings_with_places_in_it(html: str, subject: str) -> None:
    mail = LintSubject(html, subject=subject, preheader=subject, plain_text=html)
    findings = lint(mail)
    assert findings == lint(mail)
    for finding in findings:
        text = {"body": html, "subject": subject, "preheader": subject, "plain_text": html}[finding.part]
        if finding.span is not None:
            assert finding.span.end <= len(text)
            before = text[: finding.span.start].split("\n")
            assert (finding.line, finding.column) == (len(before), len(before[-1]) + 1)


@pytest.fixture(scope="module")
def shared() -> Path:
    root = Path(os.environ.get("POSTWRIGHT_SHARED", Path(__file__).parents[4] / "shared"))
    if not root.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"reference data is missing: {root}")
        pytest.skip(f"no reference data at {root}; set POSTWRIGHT_SHARED")
    return root


def test_real_newsletters_raise_no_false_alarm(shared: Path) -> None:
    """Every code that these good templates may raise was looked at by hand: pale footers, placeholders, no language."""
    expected = {
        "client.ornament_lacking",
        "link.placeholder",
        "reading.heading_skipped",
        "reading.lang_missing",
        "reading.low_contrast",
        "reading.text_small",
    }
    files = sorted((shared / "corpora/newsletter_templates/templates-inlined").rglob("content.html"))
    assert files
    raised: set[str] = set()
    for file in files:
        html = re.sub(r"\{\{\s*[#/^][^{}]*\}\}", "", file.read_text("utf-8"))
        html = re.sub(r'(href=")\{\{[^{}]*\}\}', r"\1https://acme.test/", html)
        html = re.sub(r"mailto:\{\{[^{}]*\}\}", "mailto:a@acme.test", html)
        subject = "Welcome to the service: what to do first"
        mail = LintSubject(html, subject=subject, sender=SenderFacts(stream="transactional"))
        findings = lint(mail)
        raised |= {finding.code for finding in findings}
        assert not [finding for finding in findings if finding.severity is Severity.ERROR]
    assert raised <= expected


def test_client_facts_are_those_of_the_reference(shared: Path) -> None:
    reference = json.loads((shared / "facts/caniemail_support.json").read_text("utf-8"))["features"]
    ours = features()
    assert set(ours) == set(reference)
    for slug, feature in ours.items():
        assert feature.title == reference[slug]["title"]
        assert feature.support == {client: state for client, (_, state) in reference[slug]["support"].items()}
        year, month, day = map(int, reference[slug]["tested"].split("-"))
        assert feature.tested == date(year, month, day)


def test_every_client_of_the_shares_is_known() -> None:
    known = {client for feature in features().values() for client in feature.support}
    assert set(default_policy().shares) <= known


@pytest.mark.parametrize(
    "text", ["", "report_from = 5", "report_from = 5\n[shares]\na = 200", "report_from = nan\n[shares]\na = 2", "[["]
)
def test_a_bad_table_of_clients_is_refused(text: str) -> None:
    with pytest.raises(ClientTableError):
        read_policy(text)


def test_shares_decide_what_is_told() -> None:
    html = '<p style="position:absolute">Some words that stand on the page</p>'
    told = [f for f in lint(LintSubject(html, today=date(2026, 1, 1))) if f.code == "client.feature_lacking"]
    assert len(told) == 1
    assert "tested 20" in told[0].message
    assert "ago" in told[0].message
    only_apple = read_policy('report_from = 5.0\n[shares]\n"apple-mail.ios" = 100.0')
    assert not [f for f in lint(LintSubject(html, clients=only_apple)) if f.code == "client.feature_lacking"]


def test_the_documentation_has_the_table_of_rules() -> None:
    text = (Path(__file__).parents[3] / "docs/lint.md").read_text("utf-8")
    assert rules_as_markdown() in text


def test_contrast_and_colours() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    grey = colour("#777")
    assert grey is not None
    assert contrast(grey, WHITE) == pytest.approx(4.478, abs=0.001)  # just below 4.5 to 1
    assert colour("rgb(255, 0, 0)") == Colour(1, 0, 0)
    assert colour("no colour") is None
    assert background_colour("#fff url(x.png)").known is False
    assert background_colour("transparent") is None
    assert background_colour("no-repeat #ffffff center") == WHITE


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("color: red; COLOR: blue", {"color": "blue"}),
        ("color: red !important; color: blue", {"color": "red"}),
        ("background: url('a;b:c.png'); margin:0", {"background": 'url("a;b:c.png")', "margin": "0"}),
        ("/* x: y; */ color: red", {"color": "red"}),
        (";;: x; color", {}),
    ],
)
def test_declarations(style: str, expected: dict[str, str]) -> None:
    assert declarations(style) == expected
