"""What was found out of links is said once at its place, and only the author's own addresses may be asked for."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rendering.lint import (
    Finding,
    LinkFact,
    LintSubject,
    Liveness,
    Severity,
    compose_for_lint,
    link_addresses,
    lint,
)
from rendering.segments import MessageUrls
from rendering.source import TemplateSource
from rendering.template import parse_template

URLS = MessageUrls(
    link_url=lambda number: f"https://links.acme.test/c/{number}",
    unsubscribe_url="https://links.acme.test/u/token",
    pixel_url="https://links.acme.test/o/token.gif",
    preferences_url="https://links.acme.test/p/token",
)
SHOP = "https://shop.acme.test/a?b=1&c=2"


def composed(body: str, **data: object) -> LintSubject:
    mjml = f"<mjml><mj-body><mj-section><mj-column>\n{body}</mj-column></mj-section></mj-body></mjml>"
    return compose_for_lint(parse_template(TemplateSource(mjml, "mjml", "Garden", "")), {"contact": data}, URLS)


def told(address: str, fact: LinkFact) -> list[Finding]:
    mail = LintSubject(f'<p>Hello <a href="{address}">there</a></p>', links={address.partition("#")[0]: fact})
    return [one for one in lint(mail) if one.code in {"link.dead", "link.unreachable", "link.redirected"}]


def test_only_addresses_as_the_author_wrote_them_are_asked_for() -> None:
    mail = composed(
        f'<mj-button href="{SHOP.replace("&", "&amp;")}">Shop</mj-button>\n'
        f'<mj-text><a href="{SHOP.replace("&", "&amp;")}#new">new</a> <a href="https://acme.test/off" '
        'data-pw-track="off">off</a>\n<a href="https://acme.test/?who={{ contact.email }}">you</a>\n'
        '<a href="{{ contact.page }}">yours</a> {{ contact.note }}\n'
        "{% assign code = contact.code %}<a href='https://acme.test/{{ code }}'>code</a>\n"
        '{% if contact.vip %}<a href="https://acme.test/vip">vip</a>{% endif %}\n'
        '<a href="{{ unsubscribe_url }}">out</a> <a href="{{ preferences_url }}">choose</a>\n'
        '<a href="mailto:ann@acme.test">write</a> <a href="tel:+4420">call</a> <a href="https://192.0.2.7/">ip</a>\n'
        '<a href="https://example.com/">to fill in</a> <a href="https://ann:pw@acme.test/">name</a>\n'
        '<a href="#top">top</a> <a href="https://acme..test/">broken</a></mj-text>\n',
        email="ann@example.org",
        page="https://secret.test/token",
        code="4711",
        note='<a href="https://note.test/">note</a>',
    )
    assert link_addresses(mail) == (SHOP, "https://acme.test/off")


def test_a_finding_leads_back_to_the_source() -> None:
    mail = composed(f'<mj-text>Hello</mj-text>\n<mj-button href="{SHOP.replace("&", "&amp;")}">Shop</mj-button>')
    facts = {SHOP: LinkFact(Liveness.DEAD, "the host answers with 404")}
    (found,) = [one for one in lint(replace(mail, links=facts)) if one.code == "link.dead"]
    assert (found.severity, found.line, found.column) == (Severity.WARNING, 3, 1)
    assert SHOP in found.message
    assert "404" in found.message


@pytest.mark.parametrize(
    ("address", "moved_to", "is_told"),
    [
        ("https://acme.test/a", "https://www.acme.test/a", False),  # the same site
        ("https://acme.test/a", "https://acme.test/b", False),
        ("https://acme.test/a", "", False),
        ("https://bücher.test/a", "https://xn--bcher-kva.test/b", False),
        ("https://bücher.test/a", "https://xn--bchr-5qa.test/b", True),
        ("https://acme.test/a", "http://acme.test/b", False),
        ("https://acme.co.uk/a", "https://other.co.uk/a", True),
        ("https://acme.test/a", "https://acme.example/a", True),
        ("http://acme.test/a", "https://acme.test/a", True),
        (
            "https://bit.ly/a",
            "https://acme.test/a",
            False,
        ),  # a shortener does what it is for, and has a code of its own
    ],
)
def test_a_move_is_told_where_it_matters(address: str, moved_to: str, is_told: bool) -> None:
    codes = [one.code for one in told(address, LinkFact(Liveness.ALIVE, leads_to=moved_to, moved_to=moved_to))]
    assert codes == (["link.redirected"] if is_told else [])


def test_the_three_verdicts_exclude_each_other_and_name_the_way() -> None:
    for liveness, code in ((Liveness.DEAD, "link.dead"), (Liveness.UNKNOWN, "link.unreachable")):
        fact = LinkFact(liveness, "the host answers with 410", "https://end.test/x", "https://end.test/x")
        (found,) = told("https://acme.test/a#b", fact)
        assert found.code == code
        assert "it redirects to https://end.test/x: the host answers with 410" in found.message
    assert told("https://acme.test/a", LinkFact(Liveness.ALIVE)) == []


@settings(max_examples=60)
@example(LinkFact(Liveness.ALIVE, moved_to="http://["))
@given(
    st.builds(
        LinkFact,
        st.sampled_from(Liveness),
        st.text(max_size=20),
        st.text(max_size=20),
        st.text("htps:/[]a.", max_size=30),
    )
)
def test_no_fact_breaks_the_lint(fact: LinkFact) -> None:
    assert len(told("https://acme.test/a", fact)) <= 1
