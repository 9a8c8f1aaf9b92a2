"""A block that is not closed is named with its place."""

import pytest

from rendering.liquid_blocks import unclosed_block
from rendering.source import TemplateSource, TemplateSyntaxError
from rendering.template import parse_template


@pytest.mark.parametrize(
    ("body", "block", "tag"),
    [
        ("<p>\n{% if contact.a %}x</p>", "if", "{% if contact.a %}"),
        ("{% for x in contact.y %}{% if x %}1{% endif %}", "for", "{% for x in contact.y %}"),
        ("{% for x in contact.y %}{%- if x -%}1{% endfor %}", "if", "{%- if x -%}"),
        ("{% raw %}{% if x %}{% endraw %}{% unless contact.a %}", "unless", "{% unless contact.a %}"),
        ("{% comment %} {% endif %}", "comment", "{% comment %}"),
    ],
)
def test_the_tag_that_opened_it_is_the_place(body, block, tag):
    name, span = unclosed_block(body)
    assert (name, body[span.start : span.end]) == (block, tag)


@pytest.mark.parametrize(
    "body", ["", "{{ contact.a }}", "{% if contact.a %}1{% else %}2{% endif %}", "{% assign a = 1 %}"]
)
def test_whole_templates_have_none(body):
    assert unclosed_block(body) is None


def test_an_author_is_told_line_and_end():
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(TemplateSource("<p>\n  {% if contact.a %}x</p>", "html", "Hi"))
    assert caught.value.line_and_column == (2, 3)
    assert "{% endif %}" in caught.value.next_step
