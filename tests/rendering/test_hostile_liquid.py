"""No source keeps the Liquid lexer busy: it is refused at its place, or read in linear time."""

import time

import pytest

from rendering import TemplateSource, TemplateSyntaxError, parse_template
from rendering.links import mask_liquid
from rendering.liquid_blocks import readable_end

LENGTH = 60_000


@pytest.mark.parametrize(
    "source",
    [
        "{{ a " * (LENGTH // 5),
        "{% a " * (LENGTH // 5),
        "{% raw %}" * (LENGTH // 9),
        "{% doc %}" * (LENGTH // 9),
        "{% comment %}" + "{{ a " * (LENGTH // 5),
        "{{" + " " * LENGTH + "}}",
        "{% if" + " " * LENGTH + "a %}x{% endif %}",
        "{%" + " " * LENGTH + "if a %}x{% endif %}",
    ],
)
def test_hostile_sources_are_refused_at_once(source: str) -> None:
    begun = time.process_time()
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(TemplateSource(source, "html", "S"))
    assert caught.value.span is not None
    assert caught.value.next_step
    assert len(mask_liquid(source)) == len(source)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://x.test/' + "{{ a }}" * 3_000 + '">x</a>',
        "<style>" + "p{color:{{ a }}}" * 3_000 + "</style>x",
        '<p style="' + "color:{{ a }};" * 3_000 + '">x',
        '<a href="https://x.test/">{{ a }}</a>' * 1_000,
    ],
)
def test_many_values_in_one_place_take_linear_time(body: str) -> None:
    begun = time.process_time()
    parse_template(TemplateSource(body, "html", "S"))
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    "source",
    [
        "",
        "{{ a }}",
        "{% raw %}{{{% endraw %}" * 50,
        "{{ a }}" * 500 + "{{ b",
        "{% if a %}" * 5,
        "{{" + " " * 50 + "a }}",
    ],
)
def test_what_people_write_is_read_whole(source: str) -> None:
    assert readable_end(source) == len(source)
    assert len(mask_liquid(source)) == len(source)
