"""The plain part reads as a person would write it, and no HTML makes it slow."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.markup import scan
from rendering.plain_text import html_to_text, shown_address

MARK = "\u200f"


def text_of(html: str) -> str:
    return html_to_text(html, lambda href: (shown_address(href), href)).rstrip("\n")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>News</h1><p>One<br>two</p><p>three</p>", "News\n\nOne\ntwo\n\nthree"),
        ('<p>See <a href="https://a.test/x">our shop</a>.</p>', "See our shop (https://a.test/x)."),
        ('<p><a href="https://a.test/x">https://a.test/x</a></p>', "https://a.test/x"),
        ('<p>Now: <a href="https://a.test/x"><img src="b.png"></a></p>', "Now: https://a.test/x"),
        ('<a href="https://a.test/x"><img src="b.png" alt="Lamp"></a>', "Lamp (https://a.test/x)"),
        ('<a href="mailto:help@a.test?subject=x">Write to us</a>', "Write to us (help@a.test)"),
        ('<a href="mailto:help@a.test">help@a.test</a>', "help@a.test"),
        ('<a href="tel:+97231234567">Call</a>', "Call (+97231234567)"),
        ('<a href="#top">Up</a> <a href="javascript:x()">No</a>', "Up No"),
        ('<a href="https://a.test">a<a href="https://b.test">b</a>', "a (https://a.test)b (https://b.test)"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>", "- a\n- b\n- c"),
        ('<ol><li>a</li><li>b</li></ol><ol start="7"><li>c</li></ol>', "1. a\n2. b\n\n7. c"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        (
            "<table><tr><th>What</th><th>Price</th></tr><tr><td>Lamp</td><td>5</td></tr></table>",
            "What | Price\nLamp | 5",
        ),
        ("<table><tr><td><table><tr><td>in</td></tr></table></td><td>out</td></tr></table>", "in\n\nout"),
        ('<p>a</p><div style="display:none">no</div><p hidden>no</p><p>b</p>', "a\n\nb"),
        ("<p>a&nbsp;b &amp; c\u200b\u00ad\ufeffd</p>", "a b & cd"),
        ("<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"),
        ("</td></a></li></p>x", "x"),
    ],
)
def test_it_reads_like_a_letter(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<div dir="rtl"><p>שלום Acme</p></div>', "שלום Acme"),
        ('<div dir="rtl"><p>Acme שולחת שלום</p></div>', MARK + "Acme שולחת שלום"),
        ('<div dir="rtl"><p>12 פריטים</p><p>12 items</p></div>', f"12 פריטים\n\n{MARK}12 items"),
        ('<div dir="rtl"><ul><li>Acme שולחת</li><li>שלום</li></ul></div>', f"{MARK}- Acme שולחת\n- שלום"),
        ('<div dir="rtl"><p>שלום<br>Acme</p><p dir="ltr">Acme</p></div>', f"שלום\n{MARK}Acme\n\nAcme"),
        ("<p>Acme שולחת</p>", "Acme שולחת"),
        (
            '<p dir="rtl">1 <b><a href="https://a.test">Acme <i>x</i></a></b> שלום</p>',
            f"{MARK}1 Acme x (https://a.test) שלום",
        ),
        ("<p>פתח\u2067abc\u2069 \u200eסוף</p>", "פתח\u2067abc\u2069 \u200eסוף"),
        ("<p>می\u200cخواهم 👨\u200d👩</p>", "می\u200cخواهم 👨\u200d👩"),
    ],
)
def test_right_to_left_stays(html: str, text: str) -> None:
    assert text_of(html) == text


HOSTILE = [
    "<a>", "</a>", "<a>x", "<a>x</a>", "<div>", "</div>x", "<td>", "<p><b>", "<li>", "<ol>", "<a href='https://a.test'>",
    "<!--[if x]><p>", "<style>", "<p a=", '<p a="', "<p a='b\" ", "<", "&", "&#", "<p style='display", " ",
    "<th>a</th>",
    "<table>", "<!", "<?", "<p dir=rtl>a",
]  # fmt: skip


@pytest.mark.parametrize("begin", ["", "x" * 150_000, "<p>" * 600, "<div dir=rtl><a href='https://a.test'>"])
def test_hostile_html_takes_linear_time(begin: str) -> None:
    for unit in HOSTILE:
        html = begin + unit * (30_000 // len(unit))
        begun = time.process_time()
        text_of(html)
        sum(1 for _ in scan(html))
        assert time.process_time() - begun < 10, unit


@given(st.lists(st.sampled_from([*HOSTILE, "x", "שלום ", "</p>", "</table>", "<br>", "</li>", "\n"]), max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_html_breaks_its_form(pieces: list[str]) -> None:
    text = text_of("".join(pieces))
    assert "\n\n\n" not in text
    assert all(line == line.strip() for line in text.split("\n"))


words = st.lists(st.text(alphabet="abcשלו", min_size=1, max_size=6), min_size=1, max_size=12)


@given(words, st.sampled_from(["p", "div", "li", "td", "h2", "span", "a", "th"]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_word_comes_through_in_order(said: list[str], tag: str, right_to_left: bool) -> None:
    direction = ' dir="rtl"' if right_to_left else ""
    html = f"<body{direction}>" + " ".join(f"<{tag}>{word}</{tag}>" for word in said) + "</body>"
    text = text_of(html).replace(MARK, "").replace("|", " ").replace("-", " ")
    assert text.split() == said
