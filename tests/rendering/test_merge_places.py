"""No merge value breaks out of its place, whatever it is."""

import email
import email.policy
import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from rendering import (
    HeaderSyntaxError,
    Layouts,
    MergeValueError,
    MessageHeaders,
    MessageUrls,
    Template,
    TemplateSource,
    TemplateSyntaxError,
    compose_headers,
    parse_template,
)

READER = EmailAddress.parse("reader@a.test")
NASTY = [
    '"><script>alert(1)</script>',
    "' onmouseover='x",
    "--><b>",
    "<![endif]--><img src=x>",
    "{{ contact.other }}{% if x %}",
    "javascript:alert(1)",
    "a&b=c#d?e/../f",
    "pw000000000000m0z",
    "line\r\nbreak\x00\x1b",
    "</title></style><body>",
    "שלום\u202eabc",
    "\ud800",
    ".",
    "  two  spaces  ",
]
values = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=200), st.text(alphabet="<>\"'&-=!/;:() \t\r\n\x00a", max_size=80)
)
TEMPLATE = """<!DOCTYPE html><html><head><title>T {{ v }}</title><style>p{color:red}</style></head><body>
<p title="t {{ v }}">Text {{ v }} end</p><a href="https://acme.test/path/{{ v }}?q={{ v }}#{{ v }}">x</a>
<!--[if mso]><table title="{{ v }}"><tr><td>{{ v }}</td></tr></table><![endif]--><!-- note {{ v }} -->
<img src="https://cdn.test/{{ v }}" alt="{{ v }}"><p>{{ v | upcase }} {{ v | newline_to_br }}</p>
<p>{{ unsubscribe_url }}</p></body></html>"""
URLS = MessageUrls(lambda n: f"https://t.test/{n}?a=1&b=2", "https://t.test/u", "https://t.test/p")


class Structure(HTMLParser):
    """Tags with the names of their attributes, and comments that are no conditional ones."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shape: list[object] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.shape.append((tag, [name for name, _ in attrs]))
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        self.shape.append("/" + tag)

    def handle_comment(self, data):
        inner = data.removeprefix("[if mso]>").removesuffix("<![endif]")
        self.shape.append(("comment", Structure(inner).shape if inner != data else data))

    def handle_data(self, data):
        self.texts.append(data)


def shape_for(template: Template, value: str) -> Structure:
    key, filled = template.fill({"v": value})
    return Structure(template.compile(key).html(filled, URLS))


PARSED = parse_template(TemplateSource(TEMPLATE, "html", "S"))
LAYOUTS = Layouts(PARSED)
BENIGN = shape_for(PARSED, "benign")


def cleaned(value: str) -> str:
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in value if c in "\n\t" or not (ord(c) < 32 or 0x7F <= ord(c) < 0xA0))


@given(values)
@settings(max_examples=400, deadline=None)
def test_the_structure_is_the_same_for_every_value(value: str) -> None:
    key, filled = PARSED.fill({"v": value})
    rendered = LAYOUTS[key].html(filled, URLS)
    found = Structure(rendered)
    assert found.shape == BENIGN.shape
    titles = [text for tag, name, text in found.attributes if (tag, name) == ("p", "title")]
    assert titles == [html.unescape("t ") + cleaned(value)]
    assert "Text " + cleaned(value) + " end" in "".join(found.texts)


@given(values)
@settings(max_examples=300, deadline=None)
def test_a_value_in_a_url_stays_in_its_component(value: str) -> None:
    key, filled = PARSED.fill({"v": value})
    found = Structure(LAYOUTS[key].html(filled, URLS))
    href = next(text for tag, name, text in found.attributes if (tag, name) == ("a", "href"))
    parts = urlsplit(href)
    assert (parts.scheme, parts.netloc) == ("https", "acme.test")
    sent = value.encode("utf-8", "replace").decode()
    assert unquote(parts.path) == "/path/" + sent
    assert unquote(parts.query) == "q=" + sent
    assert unquote(parts.fragment) == sent


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", " JaVaScRiPt:x", "data:text/html,x", "//evil.test", "x", "https://"]
)
def test_a_whole_link_that_is_none_is_refused_with_the_field(html_template, value) -> None:
    template = html_template('<a href="{{ contact.page }}">x</a>')
    key, filled = template.fill({"contact": {"page": value}})
    with pytest.raises(MergeValueError) as caught:
        template.compile(key).render(filled, URLS)
    assert caught.value.field == "contact.page"
    assert caught.value.source[caught.value.span.start : caught.value.span.end] == "{{ contact.page }}"


def test_a_whole_link_is_kept_and_escaped(html_template, html_of) -> None:
    template = html_template('<a href="{{ contact.page }}">x</a>')
    assert 'href="https://a.test/%D7%90?x=1&amp;y=%22"' in html_of(
        template, {"contact": {"page": 'https://a.test/א?x=1&y="'}}
    )


@pytest.mark.parametrize(
    "value", ["red;background:url(x)", "expression(alert(1))", "red}</style>", 'a"b', "url(x)", "\\72"]
)
def test_a_value_in_css_is_one_harmless_token(html_template, value) -> None:
    template = html_template('<p style="color:{{ contact.color }}">x</p>')
    key, filled = template.fill({"contact": {"color": value}})
    with pytest.raises(MergeValueError, match=r"contact\.color"):
        template.compile(key).render(filled, URLS)


@pytest.mark.parametrize("value", ["#fff", "red", "rgb(1, 2, 3)", "12px"])
def test_colours_and_sizes_go_into_css(html_template, html_of, value) -> None:
    template = html_template('<p style="color:{{ contact.color }}">x</p>')
    assert f'style="color:{value}"' in html_of(template, {"contact": {"color": value}})


def test_a_background_address_in_css_cannot_end_its_url(mjml_template, html_of) -> None:
    body = '<mj-hero background-url="{{ contact.picture }}"><mj-text>x</mj-text></mj-hero>'
    template = parse_template(TemplateSource(f"<mjml><mj-body>{body}</mj-body></mjml>", "mjml", "s"))
    rendered = html_of(template, {"contact": {"picture": "https://a.test/x');color:red;('"}})
    assert "');color" not in rendered
    assert "https://a.test/x%27%29;color:red;%28%27" in rendered


@pytest.mark.parametrize(
    "body",
    [
        "<p {{ v }}>x</p>",
        "<{{ v }}>x</p>",
        "<p title={{ v }}>x</p>",
        '<p onclick="{{ v }}">x</p>',
        "<script>{{ v }}</script>",
        '<iframe srcdoc="{{ v }}"></iframe>',
    ],
)
def test_places_that_cannot_be_made_safe_are_refused_when_parsing(html_template, body) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        html_template(body)
    assert caught.value.source[caught.value.span.start : caught.value.span.end] == "{{ v }}"


def test_filters_know_the_place(html_template, html_of) -> None:
    template = html_template(
        '{{ v | escape }}|{{ v | newline_to_br }}|<a href="https://a.test/?q={{ v | url_encode }}">x</a>'
    )
    rendered = html_of(template, {"v": "a&\nb"})
    assert "a&amp;\nb|a&amp;<br>\nb|" in rendered
    assert 'q=a%26%0Ab"' in rendered


def test_a_marked_value_is_not_taken_for_the_same_text_unmarked(html_template, html_of) -> None:
    encoded = html_template('<a href="https://a.test/?q={{ v | url_encode }}">x</a>')
    plain = html_template('<a href="https://a.test/?q={{ v }}">x</a>')
    for _ in range(2):
        assert "q=a%2Bb" in html_of(plain, {"v": "a+b"})
        assert "q=a%2Bb" in html_of(encoded, {"v": "a+b"})
        assert "q=%252B" in html_of(plain, {"v": "%2B"})
    two = html_template(
        '<a href="https://a.test/?q={{ v | url_encode }}">1</a>'
        '<a href="https://a.test/?q={{ w | newline_to_br }}">2</a>'
    )
    key, filled = two.fill({"v": "c+d", "w": "c%2Bd"})
    body = two.compile(key).render(filled, URLS)
    assert b"c%2Bd=" in body
    assert b"c%252Bd=" in body


def test_a_value_in_a_host_name_cannot_choose_the_host(html_template, html_of) -> None:
    template = html_template('<a href="https://{{ v }}.acme.test/x">x</a>')
    for value in ("evil.test/", "evil.test?", "evil.test#", "me@evil.test:80", "evil.test\\"):
        rendered = html_of(template, {"v": value})
        assert urlsplit(rendered.split('href="')[1].split('"')[0]).netloc.endswith(".acme.test")
        assert "@" not in rendered


@given(values)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_plain_part_has_the_value_without_controls(value: str) -> None:
    template = parse_template(TemplateSource("<p>x</p>", "html", "S", plain_text="a {{ v }} b"))
    key, filled = template.fill({"v": value})
    assert template.compile(key).text(filled, URLS) == f"a {cleaned(value)} b\n"


@given(values, st.sampled_from(["{{ v }}", "For {{ v }}, now", "{{ v }}{{ v }}"]))
@settings(max_examples=300, deadline=None)
def test_a_value_in_the_subject_stays_in_the_subject(value: str, subject: str) -> None:
    template = parse_template(TemplateSource("<p>x</p>", "html", subject))
    try:
        merged = template.fill({"v": value})[1].subject
        composed = compose_headers(MessageHeaders(READER, READER, merged, Microseconds(0), "<1@a.test>"))
    except (MergeValueError, HeaderSyntaxError):
        assert re.search("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]", value) or len(value) > 100
        return
    message = email.message_from_bytes(composed + b"\r\nbody", policy=email.policy.default)
    assert message.keys() == ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version"]
    assert message.get_content().strip() == "body"
