"""The starters are right MJML, complete mails, and Hebrew runs from right to left."""

import re

import pytest

from rendering import Layouts, MessageUrls, parse_template
from rendering.mjml import validate_mjml
from rendering.starters import Starter, starters

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/o.gif", "https://t.test/p")


@pytest.mark.parametrize("starter", starters(), ids=lambda starter: starter.key)
def test_a_starter_is_a_whole_mail(starter: Starter) -> None:
    assert validate_mjml(starter.source.body) == ()
    template = parse_template(starter.source)
    known = ["contact.first_name"]
    assert template.unknown_fields(known) == ()
    for data in ({}, {"contact": {"first_name": "<Dana>"}}):
        key, values = template.fill(data)
        layout = Layouts(template)[key]
        html, text = layout.html(values, URLS), layout.text(values, URLS)
        assert layout.has_unsubscribe
        assert "(https://t.test/u)" in text
        assert "(https://t.test/p)" in text
        assert html.count('href="https://t.test/p"') == 1
        assert re.search(r"1 Example Street|רחוב הדוגמה 1", text)
        assert 'name="color-scheme"' in html
        assert "prefers-color-scheme: dark" in html
        assert "<Dana>" not in html
        assert values.subject.strip()
        assert len(html.encode()) < 40_000
        assert f'lang="{starter.language}"' in html
    if starter.language == "he":
        assert 'dir="rtl"' in html
        assert "direction:ltr" not in html.replace(": ", ":")
        assert 'align="left"' not in html


def test_each_comes_in_both_languages() -> None:
    names = {(starter.key.partition(".")[0], starter.language) for starter in starters()}
    assert names == {(name, language) for name in ("newsletter", "announcement") for language in ("en", "he")}
