"""Whatever an author writes, it compiles or is refused with ``TemplateSyntaxError``, and in time."""

import contextlib
import time
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering import MergeValueError, MessageUrls, TemplateSource, TemplateSyntaxError, parse_template
from rendering.links import find_links, mask_liquid
from rendering.liquid_environment import ENVIRONMENT
from rendering.markup import Tag, scan

URLS = MessageUrls(lambda n: f"https://t.test/{n}", "https://t.test/u", "https://t.test/p")
FRAGMENTS = [
    *("<p>", "</p>", "<a href=", '"https://a.test/', '">', "'", '"', "<!--", "-->", "<!--[if mso]>", "<![endif]-->"),
    *("{{ v }}", "{{ v | upcase }}", "{% if v %}", "{% else %}", "{% endif %}", "{% for i in l %}", "{% endfor %}"),
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{{ unsubscribe_url }}",
        "<style>",
        "</style>",
        "p{color:",
        "}",
        "<mj-text>",
        "</mj-text>",
    ),
    *(
        "<mjml><mj-body>",
        "</mj-body></mjml>",
        "<mj-section><mj-column>",
        "</mj-column></mj-section>",
        "<mj-button href='",
    ),
    *(
        "<",
        ">",
        " ",
        "\n",
        "text",
        "שלום",
        "&amp;",
        "&",
        "</body>",
        "<body>",
        "style=",
        "<table><tr><td>",
        "\x00",
        "\ue000",
    ),
    *(
        "{% raw %}",
        "{% endraw %}",
        "{% comment %}",
        "{% endcomment %}",
        "{% capture c %}",
        "{% endcapture %}",
        "{{- v -}}",
    ),
]
sources = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
data = st.fixed_dictionaries(
    {"v": st.sampled_from(["x", "<b>", "", "https://x.test"]), "l": st.lists(st.just(1), max_size=2)}
)


@given(sources, st.sampled_from(["html", "mjml"]), data)
@settings(max_examples=600, deadline=None)
def test_an_author_gets_a_mail_or_an_explanation(source: str, body_format, contact) -> None:
    with contextlib.suppress(TemplateSyntaxError, MergeValueError):
        template = parse_template(TemplateSource(source, body_format, "S"))
        key, values = template.fill(contact)
        layout = template.compile(key)
        body = layout.render(values, URLS)
        assert max(map(len, body.split(b"\r\n"))) <= 76


@given(sources)
@settings(max_examples=300, deadline=None)
def test_places_are_places(source: str) -> None:
    masked = mask_liquid(source)
    assert len(masked) == len(source)
    for item in scan(masked):
        assert 0 <= item.start <= item.end <= len(source)
        if isinstance(item, Tag):
            assert source[item.start] == "<"
            for attribute in item.attributes:
                assert item.start < attribute.start <= attribute.value_start <= attribute.value_end <= attribute.end
    _, edits = find_links(source)
    assert all(before.end <= after.start for before, after in pairwise(edits))


@given(sources)
@settings(max_examples=300, deadline=None)
def test_refusals_have_a_place_in_their_source(source: str) -> None:
    error = None
    try:
        parse_template(TemplateSource(source, "mjml", "S"))
    except TemplateSyntaxError as refusal:
        error = refusal
    if error is not None:
        assert error.explain()
        assert error.next_step
        assert error.span is None or error.span.end <= len(error.source)


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.just("big").map(lambda _: 10**5000),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abw"), inner, max_size=2)),
    max_leaves=4,
)


@pytest.mark.parametrize("filter_name", sorted(ENVIRONMENT.filters))
@given(st.tuples(anything, anything, anything))
@settings(max_examples=25, deadline=None)
def test_filters_meet_any_data_with_a_value_or_a_merge_error(filter_name, three) -> None:
    v, w, x = three
    for template in _filtered(filter_name):
        with contextlib.suppress(MergeValueError):
            template.fill({"v": v, "w": w, "x": x})


@cache
def _filtered(filter_name):
    forms = ("{{% if true %}}{}{{% endif %}}", "{}")
    values = [f"{{{{ v | {filter_name}{arguments} }}}}" for arguments in ("", ": w", ": w, x")]
    return [parse_template(TemplateSource("b", "html", form.format(value))) for form in forms for value in values]


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a ",
        "<a href='",
        "<!--",
        "<!--[if",
        " ",
        "{{ v }}",
        '<p "',
        "<style>",
        "<b><!--[if mso]>",
        "&",
        "</p>",
        '<p a="{{ v }}">x</p>',
    ],
)
def test_a_hostile_template_takes_no_longer_than_its_length(unit: str) -> None:
    source = unit * (30_000 // len(unit))
    began = time.process_time()
    with contextlib.suppress(TemplateSyntaxError):
        parse_template(TemplateSource("x" + source + '"', "html", "S"))
    assert time.process_time() - began < 20
