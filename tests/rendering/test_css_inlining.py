import re
import socket
from html import unescape

import pytest

from rendering import css
from rendering.css import INLINE_ONLY, inline_css
from rendering.mjml_engine import mjml_to_html

LETTER = """<mjml><mj-head><mj-attributes><mj-all font-family="Arial" /></mj-attributes>
<mj-style>a { color: #123456; }</mj-style></mj-head><mj-body><mj-section><mj-column>
<mj-text>Hello <a href="https://acme.test/">you</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
BOILERPLATE = """<html><head><style type="text/css">
#outlook a { padding: 0; }
body { margin: 0; }
p { color: #123456; }
</style></head><body><p>Hello</p></body></html>"""


def test_the_reset_sheet_of_mjml_stays_a_sheet() -> None:
    html = mjml_to_html(LETTER)
    inlined = inline_css(html)
    reset = re.search(r"<style[^>]*>\s*#outlook a.*?</style>", html, re.DOTALL)
    assert reset is not None
    assert reset[0] in inlined
    assert inlined.count("mso-table-lspace") == html.count("mso-table-lspace")
    assert "data-css-inline" not in inlined


def test_the_other_sheets_of_mjml_are_inlined() -> None:
    (link,) = re.findall(r"<a [^>]*>", inline_css(mjml_to_html(LETTER)))
    assert re.search(r"color: ?#123456", link)


def test_an_authors_sheet_that_begins_alike_is_inlined() -> None:
    (paragraph,) = re.findall(r"<p[^>]*>", inline_css(BOILERPLATE))
    assert re.search(r"color: ?#123456", paragraph)


@pytest.fixture(params=["css-inline", "premailer"])
def inliner(request, monkeypatch):
    if request.param == "premailer":

        class Refusing:
            def inline(self, html):
                raise ValueError("refused")

        monkeypatch.setattr(css, "_INLINER", Refusing())
    return inline_css


def styles(html: str, tag: str) -> dict[str, str]:
    (style,) = re.findall(rf"<{tag} style=[\"']([^\"']*)[\"']", html)
    pairs = (pair.split(":", 1) for pair in style.split(";") if pair.strip())
    return {name.strip(): value.strip() for name, value in pairs}


OLD_DOCTYPE = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"'
    ' "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">'
)


@pytest.mark.parametrize("doctype", [OLD_DOCTYPE, "<!doctype html>"])
def test_the_doctype_survives(inliner, doctype: str) -> None:
    html = f"{doctype}\n<html><head><style>p{{color:red}}</style></head><body><p>x</p></body></html>"
    inlined = inliner(html)
    assert inlined.startswith(doctype + "\n<html")
    assert inlined.lower().count("<!doctype") == 1
    assert inliner(html.removeprefix(doctype)).startswith("<!DOCTYPE html>\n<html")


def test_important_and_at_rules_survive(inliner) -> None:
    sheet = (
        "p { color: red !important; margin: 0 } p { color: blue } a:hover { color: green }"
        " @media (max-width: 400px) { p { color: green !important } }"
        " @media (prefers-color-scheme: dark) { p { background-color: #111111 } }"
    )
    inlined = inliner(f"<html><head><style>{sheet}</style></head><body><p>x</p></body></html>")
    assert styles(inlined, "p") == {"color": "red !important", "margin": "0"}
    assert f"<style>{sheet}</style>" in inlined


OUTLOOK = [
    "<!--[if mso]><style>p { mso-line-height-rule: exactly }</style><xml><o:AllowPNG/></xml><![endif]-->",
    '<!--[if (gte mso 9)|(IE)]><table width="600"><tr><td width="5"><![endif]-->',
    "<!--[if !mso]><!-->",
    "<!--<![endif]-->",
    "<![if !mso]>",
    "<![endif]>",
    "<!-- a note with pw0123m0z -->",
]


@pytest.mark.parametrize("comment", OUTLOOK)
def test_outlooks_comments_survive_letter_by_letter(inliner, comment: str) -> None:
    body = f"<p>one</p>{comment}<p>two</p>"
    inlined = inliner(f"<html><head><style>p{{color:red}}</style></head><body>{body}</body></html>")
    assert comment in inlined
    assert inlined.index("one") < inlined.index(comment) < inlined.index("two")
    assert "pw-kept" not in inlined


def test_slots_survive_wherever_they_stand(inliner) -> None:
    marks = [f"pw0123456789abm{number}z" for number in range(9)]
    html = (
        f"<html><head><title>{marks[0]}</title><style>p{{color:red;background:url(https://x.test/{marks[1]})}}</style>"
        f'</head><body><p title="{marks[2]}">{marks[3]} <a href="{marks[4]}">x</a>'
        f'<a href="https://a.test/{marks[5]}?q={marks[6]}">y</a><img src="{marks[7]}" alt="{marks[8]}"></p></body>'
    )
    inlined = inliner(html)
    for mark in marks:
        assert mark in inlined
    assert f'href="https://a.test/{marks[5]}?q={marks[6]}"' in inlined
    assert 'width="' not in inliner("<html><head><style>td{width:5px}</style></head><body><table><td>x</table></body>")


def test_text_is_the_same_by_both(inliner) -> None:
    head = "<html><head><style>p{color:red}</style></head>"
    html = head + "<body><p>שלום &nbsp;&copy; a  b</p>\n<p>c<b>d</b> e</p></body></html>"
    text = re.sub(r"<[^>]*>", "", unescape(inliner(html)[inliner(html).index("<body") :]))
    assert text.strip() == "שלום \xa0© a  b\ncd e"


@pytest.mark.parametrize("style", ["{", "color:red;}{", "<"])
def test_what_one_refuses_the_other_takes(style: str) -> None:
    html = f"<html><head><style>b{{color:#123456}}</style></head><body><p style='{style}'>x</p><b>y</b></body></html>"
    assert styles(inline_css(html), "b") == {"color": "#123456"}


def test_nothing_is_loaded(inliner, monkeypatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("the web was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    html = (
        '<html><head><link rel="stylesheet" href="http://127.0.0.1:9/a.css"><link rel="stylesheet" href="/etc/hosts">'
        "<style>@import url(http://127.0.0.1:9/b.css); p{color:red}</style></head><body><p>x</p></body></html>"
    )
    inlined = inliner(html)
    assert '<link rel="stylesheet" href="http://127.0.0.1:9/a.css">' in inlined
    assert styles(inlined, "p") == {"color": "red"}


INLINE_SHEETS = """<mjml><mj-head><mj-style inline="inline">.a { color: #aa0000 }</mj-style>
<mj-style inline="inline">.b { margin: 0 } .b:hover { color: #bb0000 } @media (width > 1px) { .b { margin: 1px } }
</mj-style><mj-style>.c { padding: 0 }</mj-style></mj-head><mj-body><mj-section><mj-column><mj-text>
<p class="a b c">x</p></mj-text></mj-column></mj-section></mj-body></mjml>"""


def test_mj_style_inline_leaves_only_what_attributes_cannot_hold(inliner) -> None:
    inlined = inliner(mjml_to_html(INLINE_SHEETS))
    (style,) = re.findall(r'<p class="a b c" style="([^"]*)"', inlined)
    assert set(re.findall(r"[a-z]+(?=:)", style)) == {"color", "margin", "padding"}
    assert ".a {" not in inlined
    assert ".b:hover" in inlined
    assert ".c {" in inlined
    assert INLINE_ONLY not in inlined
