"""What the engine refuses is told in words, at its place, with what to write instead."""

import re

import pytest

from rendering.mjml_engine import MjmlError, mjml_to_html, with_alternative_texts


def document(content: str, head: str = "") -> str:
    return (
        f"<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{content}</mj-column></mj-section></mj-body>"
        "</mjml>"
    )


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        (document("<mj-text><p>a<p>b</mj-text>"), "<p> is never closed", "<p>"),
        (document("<mj-text><ul><li>a<li>b</ul></mj-text>"), "<li> is never closed", "<li>"),
        (document("<mj-text><img src='x'></img></mj-text>"), "", None),
        (document("<mj-text><a href=x>a</a></mj-text>"), "the value of href has no quotes", "href=x"),
        (document("<mj-text color='red'align='left'>x</mj-text>"), "without a space", "align='left'"),
        (document("<!-- a -- b --><mj-text>x</mj-text>"), "two hyphens", "--"),
        (document("<mj-raw><!--[if mso]><td><![endif]--></mj-raw>"), "<td> is never closed", "<td>"),
        (document("x", "<mj-title>a <b>x</b></mj-title>"), "<b> cannot stand inside of mj-title", "<b>"),
        (document("x", "<mj-foo></mj-foo>"), "mj-foo cannot stand here", None),
        (document("<mj-navbar><mj-text>y</mj-text></mj-navbar>"), "mj-text cannot stand here", None),
        (document("<mj-text>x</mj-text>") + " more", "nothing can stand after </mjml>", "more"),
        ("<?xml version='1.0'?>" + document("x"), "nothing can stand before <mjml>", "<?xml version='1.0'?>"),
        ("<!DOCTYPE mjml>" + document("x"), "nothing can stand before <mjml>", "<!DOCTYPE mjml>"),
        (document('<mj-include path="x" />'), "mj-include is not supported", '<mj-include path="x" />'),
    ],
)
def test_a_refusal_in_words(source: str, message: str, place: str | None) -> None:
    with pytest.raises(MjmlError) as caught:
        mjml_to_html(source)
    assert message in caught.value.message
    assert caught.value.next_step
    if place is not None:
        assert caught.value.span is not None
        assert source[caught.value.span.start : caught.value.span.end] == place


def test_images_without_alternative_text_get_an_empty_one() -> None:
    html = mjml_to_html(
        document('<mj-image src="a.png" /><mj-image src="b.png" alt="B" /><mj-text><img src="c.png" /></mj-text>')
    )
    assert sorted(re.findall(r'alt="([^"]*)"', html)) == ["", "", "B"]
    for kept in ('<img alt="a > b" src="x">', "<img src='x' alt=''/>", '<img src="x" ALT="x">', '<img src="x" alt>'):
        assert with_alternative_texts(kept).lower().count("alt") == 1
    assert with_alternative_texts('<img src="alt">') == '<img alt="" src="alt">'
