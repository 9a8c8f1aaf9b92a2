"""The compiled way gives what the plain way gives: Liquid, then MJML, then CSS, then email.message."""

import datetime
import email
import email.policy
import html
import re
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Environment

from rendering import (
    Layouts,
    MergeValueError,
    MessageUrls,
    TemplateSource,
    TemplateSyntaxError,
    Tracking,
    parse_template,
)
from rendering.css import inline_css
from rendering.mjml_engine import mjml_to_html

BRANCHING = """<mjml><mj-head><mj-title>News for {{ contact.name }}</mj-title>
<mj-style>.warm { color: #a00 } @media (max-width: 400px) { .warm { color: #b00 } }</mj-style></mj-head><mj-body>
<mj-section><mj-column><mj-text><p class="warm">Hello {{ contact.name | default: "friend" }}.</p></mj-text>
{% if contact.vip %}<mj-button href="https://acme.test/vip">For {{ contact.name | upcase }}</mj-button>
{% elsif contact.points > 10 %}
<mj-text>{{ contact.points }} points</mj-text>{% else %}<mj-text>Welcome</mj-text>{% endif %}
{% assign last = contact.items | last %}
{%- for item in contact.items -%}<mj-text>{{ forloop.index }}. {{ item.title }} {% cycle "odd", "even" %}
<a href="https://acme.test/items">see</a></mj-text>{% endfor %}
{% capture bye %}Bye {{ contact.name }}{% endcapture %}
{% unless last == nil %}<mj-text>{{ last.title }}</mj-text>{% endunless %}
{% case contact.city %}{% when "חיפה" %}<mj-text>צפון</mj-text>{% when "Eilat" %}<mj-text>South</mj-text>{% endcase %}
<mj-image src="https://cdn.test/a.png" alt="Picture of {{ contact.name }}" href="https://acme.test/img" />
<mj-text>{{ bye }}
{% raw %}{{ not liquid }}{% endraw %}{% comment %}<a href="https://hidden.test">{% endcomment %}</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Out</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
SOURCE = TemplateSource(BRANCHING, "mjml", "For {{ contact.name }}", preheader="Pre {{ contact.name }} & more")
TEMPLATE = parse_template(SOURCE)
LAYOUTS = Layouts(TEMPLATE)
WRITTEN = {link.number: link.url for link in TEMPLATE.links}
AS_WRITTEN = MessageUrls(WRITTEN.__getitem__, "https://unsubscribe.test/")
words = st.text(alphabet=st.sampled_from("abZ אבג<>&\"'.=é😀"), max_size=90)
contacts = st.fixed_dictionaries(
    {
        "name": words,
        "vip": st.booleans(),
        "points": st.integers(0, 20),
        "items": st.lists(st.fixed_dictionaries({"title": words}), max_size=4),
        "city": st.sampled_from(["חיפה", "Eilat", ""]),
    }
)


class Events(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.events: list[object] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.events.append((tag, sorted((n, v or "") for n, v in attrs)))

    def handle_endtag(self, tag):
        self.events.append("/" + tag)

    def handle_comment(self, data):
        self.events.append(("comment", html.unescape(data)))

    def handle_data(self, data):
        if self.events and isinstance(self.events[-1], list):
            self.events[-1][0] += data
        else:
            self.events.append([data])


def the_plain_way(data) -> str:
    merged = (
        Environment(autoescape=True).from_string(BRANCHING).render(**data, unsubscribe_url="https://unsubscribe.test/")
    )
    return inline_css(mjml_to_html(merged)) + "\n"


def without_preheader(text: str) -> str:
    return re.sub(r'<div style="display:none;font-size:1px.*?</div>', "", text, count=1, flags=re.DOTALL)


@given(contacts)
@settings(max_examples=120, deadline=None)
def test_the_compiled_html_is_that_of_the_plain_way(contact) -> None:
    data = {"contact": contact}
    key, values = TEMPLATE.fill(data)
    ours = without_preheader(LAYOUTS[key].html(values, AS_WRITTEN))
    assert Events(ours).events == Events(the_plain_way(data)).events


@given(contacts)
@settings(max_examples=120, deadline=None)
def test_the_joined_message_parses_to_what_email_message_builds(contact) -> None:
    key, values = TEMPLATE.fill({"contact": contact})
    layout = LAYOUTS[key]
    urls = MessageUrls(lambda n: f"https://t.test/{n}?a=1&b=2", "https://t.test/u", "https://t.test/p?x=1&y=2")
    body = layout.render(values, urls)
    ours = email.message_from_bytes(layout.content_headers + b"\r\n" + body, policy=email.policy.SMTP)
    theirs = EmailMessage(policy=email.policy.SMTP)
    theirs.set_content(layout.text(values, urls))
    theirs.add_alternative(layout.html(values, urls), subtype="html")
    assert not ours.defects
    assert ours.get_content_type() == theirs.get_content_type() == "multipart/alternative"
    for mine, other in zip(ours.iter_parts(), theirs.iter_parts(), strict=True):
        assert not mine.defects
        assert mine.get_content_type() == other.get_content_type()
        assert mine.get_content_charset() == other.get_content_charset() == "utf-8"
        assert mine.get_content().replace("\r\n", "\n") == other.get_content().replace("\r\n", "\n")
    assert Relaxed.canonicalize_body(body) == body
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert b"\n" not in body.replace(b"\r\n", b"")


@given(st.lists(contacts, min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_beyond_the_cap_the_bytes_are_the_same(several) -> None:
    urls = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/p")
    capped = Layouts(parse_template(SOURCE), limit=1)
    for contact in several:
        key, values = TEMPLATE.fill({"contact": contact})
        again, values_again = capped.template.fill({"contact": contact})
        assert (key, values) == (again, values_again)
        assert LAYOUTS[key].render(values, urls) == capped[again].render(values_again, urls)
        assert LAYOUTS[key].content_headers == capped[again].content_headers
    assert len(capped) == 1


def test_links_have_the_same_number_in_every_layout() -> None:
    keys = {
        TEMPLATE.fill({"contact": contact})[0] for contact in ({}, {"vip": True}, {"items": [{}, {}]}, {"points": 11})
    }
    assert len(keys) == 4
    for key in keys:
        for link in LAYOUTS[key].links:
            assert link is TEMPLATE.links[link.number - 1]
    assert [link.url for link in TEMPLATE.links] == [
        "https://acme.test/vip",
        "https://acme.test/items",
        "https://acme.test/img",
    ]
    assert len(LAYOUTS[TEMPLATE.fill({"contact": {"items": [{}, {}]}})[0]].links) == 2


def test_links_that_are_not_tracked_say_why(html_template, html_of) -> None:
    template = html_template(
        '<a href="https://a.test/1?x=1&amp;y=2">1</a><a data-pw-track="off" href="https://a.test/2">2</a>'
        '<a href="https://a.test/{{ contact.id }}">3</a><a href="mailto:x@a.test">m</a><a href="#top">t</a>'
        "<a href='HTTPS://a.test/4'>4</a><a href={% raw %}https://a.test/5{% endraw %}>5</a><a href=https://a.test/6>6</a>"
        '<a {% if contact.b %}href="https://a.test/7"{% else %}href="https://a.test/8"{% endif %}>7</a>'
        '<a href="{{ unsubscribe_url }}">u</a><link href="https://a.test/style"><a href="{{ contact.page }}">p</a>'
        "<!--[if mso]><v:roundrect href='https://a.test/9'></v:roundrect><![endif]-->"
    )
    tracked = {link.url for link in template.links if link.tracking is Tracking.TRACKED}
    paths = ("https://a.test/1?x=1&y=2", "HTTPS://a.test/4", *(f"https://a.test/{n}" for n in (6, 7, 8, 9)))
    assert tracked == set(paths)
    others = {link.url: link.tracking for link in template.links if link.tracking is not Tracking.TRACKED}
    assert others == {
        "https://a.test/2": Tracking.OPTED_OUT,
        "https://a.test/{{ contact.id }}": Tracking.DYNAMIC,
        "{{ contact.page }}": Tracking.DYNAMIC,
        "{% raw %}https://a.test/5{% endraw %}": Tracking.DYNAMIC,
    }
    rendered = html_of(template, {"contact": {"id": "x y", "page": "https://b.test"}})
    assert 'href="https://t.acme.test/c/1?a=1&amp;b=2"' in rendered
    assert 'href="https://a.test/2"' in rendered
    assert 'href="https://a.test/x%20y"' in rendered
    assert 'href="https://t.acme.test/u/token"' in rendered
    assert "data-pw-track" not in rendered
    for link in template.links:
        assert html.unescape(template.source.body[link.span.start : link.span.end]) == link.url


def test_share_buttons_keep_the_address_as_written(mjml_template, html_of) -> None:
    template = mjml_template(
        '<mj-social><mj-social-element name="facebook" href="https://a.test/x">F</mj-social-element></mj-social>'
    )
    assert "sharer.php?u=https://a.test/x" in html_of(template, {})
    key, values = template.fill({})
    urls = MessageUrls(lambda n: "https://t.test/", "https://t.test/u")
    assert "sharer.php?u=https://a.test/x" in template.compile(key).text(values, urls)


def test_compiling_is_deterministic(urls) -> None:
    contact = {"contact": {"name": "דנה", "vip": True, "items": [{"title": "x"}]}}
    results = set()
    for _ in range(3):
        template = parse_template(SOURCE)
        key, values = template.fill(contact)
        layout = template.compile(key)
        results.add((layout.content_headers, layout.render(values, urls)))
    assert len(results) == 1


def test_a_hebrew_mail_goes_as_base64_in_its_order(html_template, urls) -> None:
    paragraph = "שלום לכם, הנה כל החדשות של השבוע מהחנות שלנו בחיפה. " * 5
    template = html_template(
        f'<div dir="rtl"><p>{{{{ name }}}}</p><p>{paragraph}</p><a href="https://a.test/">לחנות</a></div>'
    )
    key, values = template.fill({"name": "דנה"})
    layout = template.compile(key)
    body = layout.render(values, urls)
    assert body.count(b"Content-Transfer-Encoding: base64") == 2
    message = email.message_from_bytes(layout.content_headers + b"\r\n" + body, policy=email.policy.SMTP)
    plain, rich = message.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == (
        # Nothing says which way a merged name runs, so its line says it itself.
        f"\u200fדנה\n\n{paragraph.strip()}\n\nלחנות (https://t.acme.test/c/1?a=1&b=2)\n"
    )
    assert 'dir="rtl"' in rich.get_content()


def test_doctype_comments_and_at_rules_survive_either_inliner(html_template, html_of) -> None:
    head = "<style>@media (max-width:9px){p{color:red!important}} p{color:blue!important}</style>"
    for broken in ("", '<p style=": x">broken</p>'):
        template = html_template(
            f"<!DOCTYPE html><html><head>{head}</head><body><!--[if mso]><b>{{{{ v }}}}</b><![endif]-->{broken}"
            '<p>{{ v }}</p><a href="https://a.test/">l</a></body></html>'
        )
        rendered = html_of(template, {"v": "<1>"})
        assert rendered.startswith("<!DOCTYPE html>")
        assert "<!--[if mso]><b>&lt;1&gt;</b><![endif]-->" in rendered
        assert "@media (max-width:9px)" in rendered
        assert "color:blue" in rendered.split("</style>")[1].replace(" ", "")
        assert 'href="https://t.acme.test/c/1?a=1&amp;b=2"' in rendered
        assert "&lt;1&gt;</p>" in rendered


def test_a_document_type_is_added_where_there_is_none_and_kept_where_there_is(html_template, html_of) -> None:
    old = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">'
    for style in ("", "<style>p{color:red}</style>", '<style>p{color:red}</style><p style=": x">y</p>'):
        assert html_of(html_template(f"{style}<p>x</p>"), {}).startswith("<!DOCTYPE html>")
        assert html_of(html_template(f"{old}<html><body>{style}<p>x</p></body></html>"), {}).startswith(old)


def test_style_sheets_of_others_are_kept_and_never_loaded(html_template, html_of, tmp_path) -> None:
    sheet = tmp_path / "local.css"
    sheet.write_text("p { color: lime }")
    for href in ("https://fonts.test/a.css", str(sheet), sheet.as_uri()):
        for broken in ("", '<p style=": x">y</p>'):
            link = f'<link rel="stylesheet" href="{href}">'
            rendered = html_of(
                html_template(f"<html><head>{link}<style>p{{margin:0}}</style></head>{broken}<p>x</p></html>"), {}
            )
            assert f'href="{href}"' in rendered
            assert "lime" not in rendered


def test_the_pixel_stands_before_the_end_of_the_body_or_not_at_all(html_template) -> None:
    template = html_template("<html><body><p>x {{ v }}</p></body></html>")
    key, values = template.fill({})
    layout = template.compile(key)
    with_pixel = layout.html(values, MessageUrls(str, "https://t.test/u", "https://t.test/p?a=1&b=2"))
    assert re.search(r'<img src="https://t.test/p\?a=1&amp;b=2"[^>]*alt=""[^>]*></body>', with_pixel)
    assert "<img" not in layout.html(values, MessageUrls(str, "https://t.test/u"))


def test_the_link_that_no_reader_sees_is_counted_and_stands_in_neither_text_nor_mail_without_links(
    html_template,
) -> None:
    off = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/p")
    on = replace(off, honeypot_url="https://t.test/h?a=1&b=2")
    layouts = []
    for text in ('<a href="https://acme.test/">{{ v }} קנו עכשיו</a>', "{{ v }}"):
        key, values = (template := html_template(f"<html><body><p>{text}</p></body></html>")).fill({})
        layouts.append((template.compile(key), values))
    (linked, values), (bare, none) = layouts
    assert re.search(r'<a href="https://t.test/h\?a=1&amp;b=2" tabindex="-1"[^>]*></a></body>', linked.html(values, on))
    assert linked.html_size(values, on) - linked.html_size(values, off) > len("https://t.test/h?a=1&amp;b=2")
    assert len(linked.render(values, on)) - len(linked.render(values, off)) > len("https://t.test/h?a=1&amp;b=2")
    assert bare.html(none, on) == bare.html(none, off)
    message = email.message_from_bytes(linked.content_headers + b"\r\n" + linked.render(values, on))
    plain, html = (part.get_payload(decode=True) for part in message.walk() if not part.is_multipart())
    assert (b"t.test/h" in plain, html.count(b"t.test/h")) == (False, 1)


def test_an_address_made_for_a_message_cannot_break_out(html_template) -> None:
    template = html_template('<a href="https://a.test/">x</a>')
    key, values = template.fill({})
    for bad in (
        'https://t.test/"x',
        "https://t.test/ x",
        "https://t.test/<",
        "https://t.test/\r\n",
        "https://t.test/é",
    ):
        with pytest.raises(ValueError, match="address"):
            template.compile(key).render(values, MessageUrls(lambda n, bad=bad: bad, "https://t.test/u"))


def test_a_preheader_is_hidden_and_not_in_the_plain_part(html_template, urls) -> None:
    template = html_template("<html><body><p>x</p></body></html>", preheader="Only <{{ v }}> today")
    key, values = template.fill({"v": "<1>"})
    layout = template.compile(key)
    assert "Only &lt;&lt;1&gt;&gt; today</div><p>" in layout.html(values, urls)
    assert layout.text(values, urls) == "x\n"


def test_an_authors_plain_text_is_used(html_template, urls) -> None:
    template = html_template(
        "<p>x</p>", plain_text="Hi {{ name }}{% if vip %}, dear{% endif %}\r\nOut: {{ unsubscribe_url }}"
    )
    key, values = template.fill({"name": "A <b> & c", "vip": 1})
    assert template.compile(key).text(values, urls) == "Hi A <b> & c, dear\nOut: https://t.acme.test/u/token\n"


def test_subjects_are_merged_without_escaping(html_template) -> None:
    template = html_template("x", subject="{{ n }} & {% if vip %}VIP{% else %}all{% endif %}")
    assert template.fill({"n": "<ד>", "vip": True})[1].subject == "<ד> & VIP"


@pytest.mark.parametrize("value", ["a\r\nBcc: x@y.test", "a\nb", "a\x00b", "\r"])
def test_a_line_break_in_the_subject_is_refused_with_the_field(html_template, value) -> None:
    template = html_template("x", subject="{{ contact.first }} {{ contact.last }}")
    with pytest.raises(MergeValueError) as caught:
        template.fill({"contact": {"first": "A", "last": value}})
    assert caught.value.field == "contact.last"
    assert caught.value.span.start == len("{{ contact.first }} ")


def test_straight_and_branching_templates_evaluate_alike(html_template) -> None:
    expressions = ("a", 'a | default: "d"', "b.c", "b.c.d", "n", "t", "l", 'x.y | default: "z"', "a | size", "a")
    outputs = "|".join(f"{{{{ {expression} }}}}" for expression in expressions)
    straight = html_template(outputs)
    branching = html_template("{% if true %}" + outputs + "{% endif %}")
    theirs = Environment().from_string(outputs)
    for data in (
        {},
        {"a": "", "b": {"c": "v"}, "n": 0, "t": True, "l": ["x", 1], "x": {"y": " "}},
        {"a": "  ", "b": "str", "n": 1.5, "t": False, "x": {"y": None}},
        {"a": None, "b": {"c": {"d": 7}}, "n": 12, "t": None, "x": {"y": False}},
    ):
        expected = theirs.render(**data)
        for template in (straight, branching):
            assert "|".join(template.fill(data)[1].values) == expected


def test_a_loop_variable_hides_the_contacts_field(html_template) -> None:
    template = html_template("{% for a in list %}{{ a }}{% endfor %}{% assign b = 'local' %}{{ b }}")
    assert template.fill({"a": "outer", "b": "outer", "list": ["1", "2"]})[1].values == ["1", "2", "local"]


def test_limits_hold(html_template) -> None:
    with pytest.raises(TemplateSyntaxError, match="loop iteration limit"):  # whatever the data are
        html_template("{% for a in (1..1000) %}{% for b in (1..1000) %}x{% endfor %}{% endfor %}")
    loops = html_template("{% for a in list %}{% for b in list %}x{% endfor %}{% endfor %}")
    with pytest.raises(MergeValueError, match="loop iteration limit"):
        loops.fill({"list": ["one"] * 1_000})
    long = html_template("{{ v }}")
    with pytest.raises(MergeValueError, match="longer"):
        long.fill({"v": "x" * 1_000_001})
    growing = html_template("{% assign s = v %}{% for i in (1..50) %}{% assign s = s | append: s %}{% endfor %}")
    with pytest.raises(MergeValueError):
        growing.fill({"v": "xxxxxxxxxx"})


def test_the_time_is_handed_in(html_template) -> None:
    template = html_template('{{ "now" | date: "%Y-%m-%d" }} {{ now | date: "%H" }} {{ d | date: "%d.%m.%Y" }}')
    moment = datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC)
    assert template.fill({"now": moment, "d": "2025-12-31"})[1].values == ["2026-01-02", "03", "31.12.2025"]
    with pytest.raises(MergeValueError, match="now"):
        template.fill({})
