"""Includes come from the library alone, are bounded, and keep the place where each letter came from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering import Layouts, MessageUrls, TemplateSource, TemplateSyntaxError, parse_template
from rendering.mjml import IncludeLimits, expand_includes

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u")
FOOTER = """<mjml><mj-head><mj-attributes><mj-class name="small" font-size="11px" /></mj-attributes></mj-head><mj-body>
<mj-section><mj-column><mj-text mj-class="small">Acme, <a href="{{ unsubscribe_url }}">out</a></mj-text></mj-column>
</mj-section></mj-body></mjml>"""
LIBRARY = {
    "footer": FOOTER,
    "greeting": "<mj-text>Hello {{ contact.name }}</mj-text>",
    "nested": '<mj-include path="greeting" /><mj-spacer />',
    "styles": ".warm { color: #aa0000 }",
    "fragment.html": "<p>plain <b>HTML</b></p>",
    "a": '<mj-include path="b" />',
    "b": '<mj-include path="c" />',
    "c": '<mj-include path="a" />',
    "self": '<mj-include path="self" />',
}


def document(content: str, head: str = "") -> str:
    return f"<mjml>{head}<mj-body><mj-section><mj-column>{content}</mj-column></mj-section></mj-body></mjml>"


def refused(source: str, **limits: int) -> TemplateSyntaxError:
    with pytest.raises(TemplateSyntaxError) as caught:
        expand_includes(source, LIBRARY.get, IncludeLimits(**limits))
    assert caught.value.next_step
    assert caught.value.span is not None
    assert "<mj-include" in caught.value.source[caught.value.span.start : caught.value.span.end]
    return caught.value


def html_of(source: str, **data: object) -> str:
    template = parse_template(TemplateSource(source, "mjml", "S"))
    key, values = template.fill(data)
    return Layouts(template)[key].html(values, URLS)


def test_a_fragment_stands_where_the_include_stood() -> None:
    expanded = expand_includes(document('<mj-include path="nested" /><mj-text>after</mj-text>'), LIBRARY.get)
    assert expanded.text == document("<mj-text>Hello {{ contact.name }}</mj-text><mj-spacer /><mj-text>after</mj-text>")
    assert expanded.names == ("nested", "greeting")
    html = html_of(expanded.text, contact={"name": "<Dana>"})
    assert html.index("Hello &lt;Dana&gt;") < html.index("after")


@pytest.mark.parametrize(
    "head", ["", "<mj-head />", "<mj-head></mj-head>", "<mj-head><mj-title>T</mj-title></mj-head>"]
)
def test_a_document_gives_its_head_to_the_head(head: str) -> None:
    source = f'<mjml>{head}<mj-body><mj-include path="footer" /></mj-body></mjml>'
    html = html_of(expand_includes(source, LIBRARY.get).text)
    assert "font-size:11px" in html.replace(": ", ":")
    assert 'href="https://t.test/u"' in html
    assert ("<title>T</title>" in html) == ("T" in head)


def test_html_and_css_are_wrapped() -> None:
    head = '<mj-head><mj-include path="styles" type="css" css-inline="inline" /></mj-head>'
    source = document('<mj-text><p class="warm">x</p></mj-text><mj-include path="fragment.html" type="html" />', head)
    html = html_of(expand_includes(source, LIBRARY.get).text)
    assert '<p class="warm" style="color: #aa0000' in html
    assert ".warm {" not in html
    assert "<p>plain <b>HTML</b></p>" in html
    assert "<mj-style>.warm" in expand_includes('<mj-include path="styles" type="css"/>', LIBRARY.get).text


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("./footer.mjml", "no name of a template"),
        ("/etc/passwd", "no name of a template"),
        ("../footer", "no name of a template"),
        ("..\\footer", "no name of a template"),
        ("https://evil.test/x.mjml", "no name of a template"),
        ("file:///etc/passwd", "no name of a template"),
        ("nothing", "there is no template 'nothing'"),
        ("{{ contact.part }}", "a fixed name"),
        ("", "a fixed name"),
        ("a", "'a' includes 'b' includes 'c' includes 'a'"),
        ("self", "'self' includes 'self'"),
    ],
)
def test_what_cannot_be_included_is_told(path: str, message: str) -> None:
    assert message in refused(document(f'<mj-include path="{path}" />')).message


def test_the_resolver_is_never_asked_for_paths_and_addresses() -> None:
    asked: list[str] = []
    for path in ("/etc/passwd", "https://evil.test/x", "../x", "C:\\x"):
        with pytest.raises(TemplateSyntaxError):
            expand_includes(f'<mj-include path="{path}" />', asked.append)
    assert asked == []


def test_limits_hold() -> None:
    deep = {str(n): f'<mj-include path="{n + 1}" />' for n in range(20)} | {"20": "x"}
    with pytest.raises(TemplateSyntaxError, match="more than 8"):
        expand_includes('<mj-include path="0" />', deep.get)
    assert "more than" in refused('<mj-include path="greeting" />' * 5, includes=4).message
    assert "longer than" in refused('<mj-include path="footer" />' * 5, characters=1_000).message
    doubling = {str(n): f'<mj-include path="{n + 1}" />' * 2 for n in range(8)} | {"8": "x" * 10_000}
    with pytest.raises(TemplateSyntaxError, match="in all"):
        expand_includes('<mj-include path="1" />', doubling.get)


def test_what_only_looks_like_an_include_is_left_alone() -> None:
    source = '<!-- <mj-include path="footer" /> -->{% comment %}<mj-include path="footer" />{% endcomment %}'
    assert expand_includes(source, LIBRARY.get).text == source
    both = '<mj-include path="greeting"></mj-include>x'
    assert expand_includes(both, LIBRARY.get).text == "<mj-text>Hello {{ contact.name }}</mj-text>x"


def test_an_error_in_a_part_can_be_shown_in_that_part() -> None:
    library = {"part": "<mj-text>{{ a | upcas }}</mj-text>"}
    expanded = expand_includes(document('<mj-text>x</mj-text><mj-include path="part" />'), library.get)
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(TemplateSource(expanded.text, "mjml", "S"))
    name, place = expanded.origin(caught.value.span.start)
    assert name == "part"
    assert library["part"][place:].startswith("upcas")


@given(
    st.lists(
        st.sampled_from(['<mj-include path="greeting" />', '<mj-include path="nested"/>', "אx ", "{{ a }}"]), max_size=8
    )
)
@settings(max_examples=80, deadline=None)
def test_every_letter_knows_where_it_came_from(parts: list[str]) -> None:
    source = "".join(parts)
    expanded = expand_includes(source, LIBRARY.get)
    for position, letter in enumerate(expanded.text):
        name, place = expanded.origin(position)
        assert (LIBRARY[name] if name else source)[place] == letter
    assert "mj-include" not in expanded.text
