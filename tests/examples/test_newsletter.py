import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from liquid import Environment, StrictUndefined
from mjml import mjml2html

from tracking.links import is_trackable

SOURCE = (Path(__file__).parents[2] / "examples" / "newsletter.mjml").read_text(encoding="utf-8")
UNSUBSCRIBE = "https://links.news.acme.test/u/token"
PREFERENCES = "https://links.news.acme.test/p/token"
OLIVIA = {"first_name": "Olivia", "city": "Bristol", "language": "en", "plan": "gardener"}
DANA = {"first_name": "דנה", "city": "חיפה", "language": "he", "plan": "seedling"}


def compiled(contact: dict[str, str]) -> str:
    template = Environment(undefined=StrictUndefined, autoescape=True).from_string(SOURCE)
    urls = {"unsubscribe_url": UNSUBSCRIBE, "preferences_url": PREFERENCES}
    return str(mjml2html(template.render(contact=contact, **urls)))


class Body(HTMLParser):
    """Links, and the words that people see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "title")
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


@pytest.mark.parametrize("contact", [OLIVIA, DANA], ids=["en", "he"])
def test_it_compiles_to_a_letter_of_usual_size(contact: dict[str, str]) -> None:
    html = compiled(contact)
    assert 25_000 <= len(html.encode()) <= 29_500
    assert "<mj-" not in html
    assert "{{" not in html
    assert "{%" not in html
    assert "mj-html-attributes" not in SOURCE
    assert "CDATA" not in SOURCE


@pytest.mark.parametrize("contact", [OLIVIA, DANA], ids=["en", "he"])
def test_its_links_can_be_tracked_and_one_unsubscribes(contact: dict[str, str]) -> None:
    body = Body(compiled(contact))
    assert len(body.links) == 10
    assert all(is_trackable(link) for link in body.links)
    assert body.links.count(UNSUBSCRIBE) == 1
    assert body.links.count(PREFERENCES) == 1
    text = " ".join(body.words)
    assert contact["first_name"] in text
    assert text.count(contact["city"]) >= 2


def test_hebrew_runs_from_right_to_left_and_english_does_not() -> None:
    english, hebrew = compiled(OLIVIA), compiled(DANA)
    assert '<div dir="rtl">' in hebrew
    assert "rtl" not in english
    assert not re.search("[א-ת]", english)
    assert "text-align:right" in hebrew
    assert "text-align:right" not in english


def test_without_a_name_it_greets_a_friend_and_names_are_escaped() -> None:
    assert "Hello friend," in compiled({**OLIVIA, "first_name": ""})
    assert "<script>" not in compiled({**OLIVIA, "first_name": "<script>alert(1)</script>"})


def test_every_other_language_gets_english() -> None:
    assert compiled({**OLIVIA, "language": "fr"}) == compiled(OLIVIA)
