"""Bad templates are refused with the place and the next step."""

import pytest

from rendering import TemplateSource, TemplateSyntaxError, parse_template


def refused(source: TemplateSource) -> TemplateSyntaxError:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(source)
    assert caught.value.next_step
    return caught.value


def marked(error: TemplateSyntaxError) -> str:
    assert error.span is not None
    return error.source[error.span.start : error.span.end]


@pytest.mark.parametrize(
    ("body", "message", "place"),
    [
        ("<p>{{ a | upcas }}</p>", "there is no filter 'upcas'", "upcas"),
        ("<p>{{ a | safe }}</p>", "there is no filter 'safe'", "safe"),
        ("<p>{% iff a %}x{% endif %}</p>", "unexpected tag 'iff'", "iff"),
        ("<p>{% include 'x' %}</p>", "there is no tag 'include' for mail", "include"),
        ("<p>{% render 'x' %}</p>", "there is no tag 'render' for mail", "render"),
        ("<p>{{ a | }}</p>", "expected", None),
        ("<p>{{ a </p>", "", None),
        ("<p>{% if a %}x</p>", "", None),
        ("{% capture x %}<b>{{ a }}</b>{% endcapture %}{{ x }}", "capture", "<"),
        ("{{ unsubscribe_url | append: 'x' }}", "stand alone", "{{ unsubscribe_url | append: 'x' }}"),
        ("", "empty", None),
    ],
)
def test_liquid(body: str, message: str, place: str | None) -> None:
    error = refused(TemplateSource(body, "html", "S"))
    assert message in error.message
    assert error.part == "body"
    if place is not None:
        assert marked(error) == place


def test_the_nearest_name_is_suggested() -> None:
    assert "'upcase'" in refused(TemplateSource("{{ a | upcas }}", "html", "S")).next_step
    assert "'if'" in refused(TemplateSource("{% iff a %}x{% endif %}", "html", "S")).next_step
    assert "cannot read files" in refused(TemplateSource("{% include 'a' %}", "html", "S")).next_step


def mjml(content: str, head: str = "") -> TemplateSource:
    return TemplateSource(
        f"<mjml>{head}<mj-body><mj-section>\n<mj-column>\n{content}\n</mj-column></mj-section></mj-body></mjml>",
        "mjml",
        "S",
    )


@pytest.mark.parametrize(
    ("content", "message", "place"),
    [
        ("<mj-text><![CDATA[x]]></mj-text>", "CDATA", "<![CDATA["),
        ("<mj-text>{{ a }} hi", "<mj-text> is never closed", "<mj-text>"),
        ("<mj-text>hi</mj-text><mj-button>x", "<mj-button> is never closed", "<mj-button>"),
        ("<mj-text>hi</mj-text></mj-button>", "</mj-button> closes nothing", "</mj-button>"),
        ('<mj-text><a href="https://long.test/aaaaaaaaaaaa">x</a> 1 < 2</mj-text>', "lone <", "<"),
        ("<mj-include path='./a.mjml' />", "mj-include", "<mj-include path='./a.mjml' />"),
        ('<mj-raw position="file-start">x</mj-raw>', "file's start", '<mj-raw position="file-start">'),
        ('<mj-image src="https://x.test/" alt="" width="{{ w }}px" />', "does not reach", "{{ w }}"),
    ],
)
def test_mjml(content: str, message: str, place: str) -> None:
    error = refused(mjml(content))
    assert message in error.message
    assert marked(error) == place
    assert error.line_and_column is not None
    assert error.line_and_column[0] == 3


def test_mjml_head() -> None:
    head = '<mj-head><mj-html-attributes><mj-selector path=".a"></mj-selector></mj-html-attributes></mj-head>'
    error = refused(mjml("<mj-text>x</mj-text>", head))
    assert marked(error) == "<mj-html-attributes>"


@pytest.mark.parametrize("body", ["<html></html>", "hello", "<mj-body></mj-body>"])
def test_what_is_not_mjml(body: str) -> None:
    assert "not MJML" in refused(TemplateSource(body, "mjml", "S")).message


def test_the_place_is_right_behind_liquid_links_and_wide_characters() -> None:
    content = 'שלום {{ a }}<a href="https://a.test/very/long/address">😀</a>{% if a %}x{% endif %}'
    error = refused(mjml(f"<mj-text>{content}</mj-text><mj-text>{content}<![CDATA[y]]></mj-text>"))
    assert marked(error) == "<![CDATA["


def test_a_fault_in_a_branch_is_found_when_a_contact_takes_it() -> None:
    template = parse_template(mjml("{% if vip %}<mj-text>x{% endif %}"))
    key, _ = template.fill({"vip": True})
    with pytest.raises(TemplateSyntaxError, match="never closed"):
        template.compile(key)


def test_subject_and_preheader_have_places_of_their_own() -> None:
    error = refused(TemplateSource("x", "html", "a {{ b | nope }}"))
    assert (error.part, marked(error)) == ("subject", "nope")
    error = refused(TemplateSource("x", "html", "a\nb"))
    assert (error.part, marked(error)) == ("subject", "\n")
    error = refused(TemplateSource("x", "html", "a", preheader="{{ unsubscribe_url }}"))
    assert (error.part, marked(error)) == ("preheader", "{{ unsubscribe_url }}")
    error = refused(TemplateSource("x", "html", "a", plain_text="{{ b | nope }}"))
    assert error.part == "plain_text"


KNOWN = ["contact.first_name", "contact.last_name", "contact.orders", "company"]


def test_unknown_fields_have_a_place_and_a_suggestion() -> None:
    template = parse_template(
        TemplateSource("<p>{{ contact.frist_name }}</p>{% if contact.zzz %}x{% endif %}", "html", "For {{ compny }}")
    )
    errors = template.unknown_fields(KNOWN)
    assert [(e.part, e.field, marked(e), e.suggestion) for e in errors] == [
        ("subject", "compny", "compny", "company"),
        ("body", "contact.frist_name", "contact.frist_name", "contact.first_name"),
        ("body", "contact.zzz", "contact.zzz", ""),
    ]
    assert "Did you mean contact.first_name?" in errors[1].explain()


def test_known_fields_loops_and_locals_are_no_errors() -> None:
    body = (
        "{{ contact.first_name.size }}{% for o in contact.orders %}{{ o.title }}{{ forloop.index }}{% endfor %}"
        "{% assign x = contact.last_name %}{{ x }}{{ contact.orders[0].title }}{{ unsubscribe_url }}"
        "{% capture c %}{{ company }}{% endcapture %}{{ c }}{% for k in contact %}{{ k }}{% endfor %}"
    )
    assert parse_template(TemplateSource(body, "html", "S")).unknown_fields(KNOWN) == ()


def test_a_field_in_a_capture_is_seen() -> None:
    template = parse_template(TemplateSource("{% capture c %}{{ compny }}{% endcapture %}{{ c }}", "html", "S"))
    assert [e.field for e in template.unknown_fields(KNOWN)] == ["compny"]
