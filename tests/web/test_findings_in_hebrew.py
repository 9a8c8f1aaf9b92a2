"""Findings on Hebrew pages: every template has its Hebrew, what was stored is recognised, nothing English is left."""

import ast
import html
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.saying import Saying, joined, say
from postwright.services.accounts import Role
from postwright.store.templates import TemplateText
from postwright.web.hrefs import template_href
from postwright.web.language import Speech, gettext, speak
from postwright.web.sayings import _Template, told

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"%\((\w+)\)s")
HEBREW = re.compile("[\u05d0-\u05ea]")
# Of others, or for machines: code, addresses, what the author wrote, names of mail programs.
NOT_OURS = re.compile(
    r"<dl class=\"evidence\".*?</dl>|<span class=\"preheader\">.*?</span>|"
    r"<(script|style|textarea|code|pre|svg|bdi|dt|select|title)\b[^>]*>.*?</\1>",
    re.DOTALL,
)
ISOLATED = re.compile("\u2068[^\u2068\u2069]*\u2069")
ENGLISH = re.compile(r"\b[a-z']{2,} [a-z']{2,}\b")  # names have capitals
FAULTY = """<mjml><mj-body><mj-section><mj-column>
<mj-text>לחצו <a href="http://bit.ly/x">כאן</a>, 100% free! Act now! -20 %</mj-text>
<mj-image src="http://10.0.0.1/a.webp" />
<mj-text font-size="9px" color="#fafafa">small</mj-text>
<mj-text><a href="https://">x</a> <a href="javascript:x()">y</a> <a href="/z">www.bank.example</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


@pytest.fixture(scope="module")
def templates() -> list[str]:
    name = "postwright_translations"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / "translations.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sorted({template for template, _ in sys.modules[name].findings()})


@pytest.fixture
def hebrew() -> Iterator[None]:
    speak(Speech("he"))
    yield
    speak(Speech())


def english_in(page: str) -> list[str]:
    """The English sentences of a page, without what is not the house's own."""
    text = html.unescape(re.sub("<[^>]+>", "\n", NOT_OURS.sub("\n", page)))
    text = re.sub("<[^<>]*>", "", text)  # markup that a finding names
    while ISOLATED.search(text):
        text = ISOLATED.sub("", text)
    return [line.strip() for line in text.splitlines() if ENGLISH.search(line)]


@pytest.mark.usefixtures("hebrew")
def test_every_finding_has_its_hebrew_with_the_same_parameters(templates: list[str]) -> None:
    assert len(templates) > 1_000
    for template in templates:
        said = gettext(template)
        assert sorted(PLACE.findall(said)) == sorted(PLACE.findall(template)), template
        own = PLACE.sub("", template)
        words = re.findall(r"[a-z]{4,}", own)
        assert HEBREW.search(said) or len(words) < 2, template


@pytest.mark.usefixtures("hebrew")
def test_what_was_stored_is_told_with_all_its_values(templates: list[str]) -> None:
    lost = []
    for template in templates:
        if not PLACE.search(template) or len(re.findall("[A-Za-z]", PLACE.sub("", template))) < 12:
            continue
        values = {name: f"x{number}.test" for number, name in enumerate(dict.fromkeys(PLACE.findall(template)))}
        stored = str(say(template, **values))
        assert type(stored) is str
        again = told(stored)
        if not HEBREW.search(again) or any(value not in again for value in values.values()):
            lost.append((template, again))
    assert lost == []


@pytest.mark.usefixtures("hebrew")
def test_no_sentence_is_half_told() -> None:
    """What was stored is said anew as a whole or not at all: the nearest template wins, not the first that fits."""
    told_whole = told("there is no @ in the address. Write it as name@example.com.")
    assert "in the address" not in told_whole
    assert "name@example.com" in told_whole
    strange = "There is no way that anybody could have known of this."
    assert told(strange) == strange
    assert "\u2068their hosts are down for the whole day\u2069" in told(
        "Suspended: their hosts are down for the whole day"
    )


@pytest.mark.usefixtures("hebrew")
def test_values_are_isolated_and_findings_within_findings_are_told() -> None:
    inner = say("the record is longer than %(max_octets)s octets", max_octets=4096)
    outer = say("The MTA-STS record at %(name)s is not valid: %(message)s.", name="_mta-sts.acme.test", message=inner)
    for text in (outer, str(outer)):
        assert "\u2068_mta-sts.acme.test\u2069" in told(text)
        assert "הרשומה ארוכה" in told(text)
        assert "octets" not in told(text)
    assert (
        told(joined([say("Remove it."), say("Give it a value or remove it.")], " "))
        == "\u200fהסירו אותו. תנו לו ערך או הסירו אותו."
    )
    assert told("Remove it. Give it a value or remove it.") == "\u200fהסירו אותו. תנו לו ערך או הסירו אותו."


@pytest.mark.usefixtures("hebrew")
@pytest.mark.parametrize("reply", ["550 5.1.1 No such user here", "Readers", "", "<b>x</b> of nobody", "%(x)s %"])
def test_what_others_wrote_stays_as_it_is(reply: str) -> None:
    assert told(reply) == reply


def test_in_english_a_finding_is_the_text_that_it_was() -> None:
    sentence = say("%(domain)s has no SPF record.", domain="acme.test")
    assert sentence == "acme.test has no SPF record."
    assert told(sentence) == sentence
    assert isinstance(sentence, Saying)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab. :%;", max_size=12), min_size=3, max_size=3))
def test_a_template_finds_values_that_make_the_same_text(values: list[str]) -> None:
    template = "The %(one)s: of %(two)s%% at %(three)s."
    text = template % dict(zip(("one", "two", "three"), values, strict=True))
    found = _Template.of(template).values_in(text)
    assert found is not None
    assert template % found == text


def test_templates_are_literals_so_that_they_can_be_found() -> None:
    # The tables of rules are read as data; ``joined`` has no words of its own.
    tables = {"mailtypes/saying.py", "rendering/lint/run.py", "rendering/spam_risk/assessing.py"}
    tables |= {"rendering/lint/inbox_line.py", "postwright/web/template_reports.py"}
    loose = []
    for room in ("mailtypes", "dns_checks", "rendering", "warmup", "hygiene", "experiments", "mta", "postwright"):
        for path in (ROOT / room).rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            source = path.read_text("utf-8")
            for node in ast.walk(ast.parse(source)) if "say(" in source else ():
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"):
                    continue
                if not (node.args and isinstance(node.args[0], ast.Constant)) and place not in tables:
                    loose.append(f"{place}:{node.lineno}")
    assert loose == []


async def test_no_english_finding_is_on_the_pages(browser: Any, install: Any, pages: dict[str, str]) -> None:
    await browser.sign_in(Role.ADMIN)
    text = TemplateText(FAULTY, "mjml", "קנו עכשיו!!! FREE")
    stored = await install.application.templates.save(install.workspace, "faulty", text)
    browser.cookies.set("postwright-language", "he")
    await browser.submit("/domains/news.acme.test/verify")  # nobody answers: all is unknown, and stored
    for address, least in (
        (template_href(stored.template), 12),
        ("/domains/news.acme.test", 6),
        (pages["draft"], 1),
        (pages["import"], 1),
    ):
        page = (await browser.get(address)).text
        assert 'dir="rtl"' in page
        assert len(HEBREW.findall(page)) > 100 * least
        assert "\n".join(english_in(page)) == "", address
