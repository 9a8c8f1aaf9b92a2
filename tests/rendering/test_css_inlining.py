import re

from rendering.css import inline_css
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
