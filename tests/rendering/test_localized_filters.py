"""Numbers, dates, plurals and direction come in the reader's language."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering import MergeValueError, MessageUrls, TemplateSource, parse_template

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u")


def merged(expression: str, locale: str | None = None, **data: object) -> str:
    template = parse_template(TemplateSource("<p>x</p>", "html", "S", plain_text="[{{ " + expression + " }}]"))
    contact = {} if locale is None else {"locale": locale}
    key, values = template.fill({"contact": contact, **data})
    return template.compile(key).text(values, URLS).strip()[1:-1]


@pytest.mark.parametrize(
    ("expression", "locale", "written"),
    [
        ("v | number", None, "1,234,567.5"),
        ("v | number", "de", "1.234.567,5"),
        ("v | number: 2", "en", "1,234,567.50"),
        ("v | number: 0", "de-CH", "1’234’568"),
        ("v | number", "zz-ZZ", "1,234,567.5"),
        ("v | number", "../../etc", "1,234,567.5"),
        ('v | number: locale: "fr"', "de", "1\u202f234\u202f567,5"),
        ('v | money: "EUR"', "de", "1.234.567,50\xa0€"),
        ('v | money: "USD"', "en", "$1,234,567.50"),
        ("half | percent", "en", "12%"),
        ("half | percent: 1", "de", "12,5%"),
        ("word | number", "de", "word"),
        ("nothing | number", "de", ""),
        ('n | plural: one: "# item", other: "# items"', "en", "2 items"),
        ('one | plural: one: "# item", other: "# items"', "en", "1 item"),
        ('n | plural: one: "פריט", two: "שני פריטים", other: "# פריטים"', "he", "שני פריטים"),
        ('five | plural: one: "# файл", few: "# файла", many: "# файлов", other: "# файла"', "ru", "5 файлов"),
        ('n | plural: one: "# файл", few: "# файла", many: "# файлов", other: "# файла"', "ru", "2 файла"),
        ('nothing | plural: one: "# item", other: "items"', "en", "items"),
        ('day | date: "long"', "en-GB", "3 March 2026"),
        ('day | date: "long"', "he", "3 במרץ 2026"),
        ('day | date: "short"', "en-US", "3/3/26"),
        ('day | date: "%d.%m.%Y"', "he", "03.03.2026"),
        ('at | timezone: "Asia/Jerusalem" | date: "%d %H:%M"', "en", "04 00:30"),
        ('at | timezone: "America/New_York" | date: "full"', "en", "Tuesday, March 3, 2026"),
        ("contact.locale | direction", "he", "rtl"),
        ("contact.locale | direction", "ar-EG", "rtl"),
        ("contact.locale | direction", "en", "ltr"),
        ("contact.locale | direction", None, "ltr"),
        ("contact.locale | direction", "nonsense", "ltr"),
        ("word | isolate", "he", "\u2068word\u2069"),
        ("nothing | isolate", "he", ""),
        ('nothing | default: "friend"', "he", "friend"),
        ('void | default: "friend"', "he", "friend"),
    ],
)
def test_written_for_the_reader(expression: str, locale: str | None, written: str) -> None:
    data = {
        "v": "1234567.5", "half": 0.125, "word": "word", "n": 2, "one": 1, "five": 5, "void": "",
        "day": datetime.date(2026, 3, 3), "at": "2026-03-03T22:30:00+00:00",
    }  # fmt: skip
    assert merged(expression, locale, **data) == written


def test_the_contacts_language_counts_too() -> None:
    template = parse_template(TemplateSource("{{ 1234.5 | number }}", "html", "S"))
    for data, written in (
        ({"contact": {"language": "de"}}, "1.234,5"),
        ({"locale": "de"}, "1.234,5"),
        ({"contact": {"locale": "en"}, "locale": "de"}, "1,234.5"),
    ):
        assert template.fill(data)[1].values == [written]


@pytest.mark.parametrize(
    "expression",
    [
        "v | money",
        'v | money: "euro"',
        "v | number: 99",
        'v | number: locale: "xx_nowhere_at_all"',
        'v | plural: one: "x"',
        'v | plural: lots: "x", other: "y"',
        'v | timezone: "Mars/Base"',
        'v | timezone: "../../etc/passwd"',
    ],
)
def test_wrong_arguments_are_told(expression: str) -> None:
    with pytest.raises(MergeValueError):
        merged(expression, v=5)


@given(
    st.one_of(
        st.integers(), st.floats(), st.text(max_size=60), st.none(), st.booleans(), st.lists(st.integers(), max_size=3)
    ),
    st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["he", "de_DE", "zh-Hant-TW", "ar", "x" * 100])),
    st.sampled_from(
        ["number", "number: 2", 'money: "ILS"', "percent", 'plural: other: "#"', "direction", "isolate", 'date: "long"',
         'timezone: "UTC"'],
    ),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_contact_data_is_an_error(value: object, locale: str | None, name: str) -> None:
    assert isinstance(merged(f"v | {name}", locale, v=value), str)
