"""What a template may make and do: each way to multiply is refused at its place, and in time."""

import contextlib
import time
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid.exceptions import LiquidError

from rendering import MergeValueError, TemplateSource, TemplateSyntaxError, parse_template
from rendering.liquid_environment import ENVIRONMENT, MergeContext
from rendering.liquid_limits import MAX_CHARACTERS, MAX_WORK, weigh

LONG = "{% assign t = 'aaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaa'" * 4 + " %}"  # 100,000 characters
MANY = "{% assign l = 'a,b' | split: ',' %}" + "{% assign l = l | concat: l %}" * 12  # 8,192 items
SECONDS = 20  # of a processor; each takes far less than one, and took minutes or gigabytes


def refusal(body: str, data: dict[str, Any] | None = None) -> MergeValueError | TemplateSyntaxError:
    begun = time.process_time()
    with pytest.raises((MergeValueError, TemplateSyntaxError)) as caught:
        parse_template(TemplateSource(body, "html", "S")).fill(data or {})
    assert time.process_time() - begun < SECONDS
    return caught.value


def value(body: str, data: dict[str, Any] | None = None) -> str:
    _, values = parse_template(TemplateSource(body, "html", "S")).fill(data or {})
    return "".join(values.values)


MULTIPLIERS = {
    "squares": "{% assign s = 9999999999 %}" + "{% assign s = s | times: s %}" * 16 + "{{ s }}",
    "factors": "{% assign s = 9999999999 %}{{ 1" + " | times: s" * 30 + " | modulo: 7 }}",
    "digits": "{{ '" + "9" * 4_000 + "' | times: '" + "9" * 4_000 + "' }}",
    "exponent": "{{ '1e308' | ceil | times: 5 }}",
    "replace": "{{ 'aaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaa'" * 8 + " | size }}",
    "replace nothing": "{{ 'aaaaaaaaaa'" + " | replace: '', 'aaaaaaaaaa'" * 8 + " | size }}",
    "replace_first": LONG + "{{ t" + " | replace_first: 'a', t" * 8 + " }}",
    "replace_last": LONG + "{{ t" + " | replace_last: 'a', t" * 8 + " }}",
    "append": LONG + "{{ t" + " | append: t" * 8 + " }}",
    "prepend": LONG + "{{ t" + " | prepend: t" * 8 + " }}",
    "truncate": LONG + "{{ 'ab'" + " | truncate: 1, t | append: t" * 8 + " }}",
    "join": MANY + LONG + "{{ l | join: t | size }}",
    "split": LONG + "{{ t | split: '' | size }}",
    "split by blanks": LONG + "{{ t | replace: 'a', 'a ' | split: ' ' | size }}",
    "concat": MANY + "{{ l | concat: l | concat: l | concat: l | size }}",
    "shared items": LONG + "{% assign l = t | split: ',' %}" + "{% assign l = l | concat: l %}" * 14 + "{{ l }}",
    "url_encode": "{{ '😀😀'" + " | url_encode | replace: '%', '😀'" * 12 + " | size }}",
    "base64": "{{ 'a'" + " | base64_encode" * 60 + " | size }}",
    "plural": LONG + "{% assign h = t | replace: 'a', '#' %}{{ 1234567890123 | plural: other: h }}",
    "capture": "{% assign c = 'x' %}" + "{% capture c %}{{ c }}{{ c }}{% endcapture %}" * 40,
    "content": "{% for i in (1..2000) %}" + "word " * 200 + "{% endfor %}",
    "values": LONG + "{{ t }}" * 20,
}
RANGES = {
    "join": "{{ (1..3000000) | join: ',' | size }}",
    "size": "{{ (1..99999999999999999999999999) | size }}",
    "last": "{% assign r = (1..3000000000) %}{{ r.last }}",
    "reversed": "{% for i in (1..300000000) reversed %}x{% endfor %}",
    "contains": "{% if (1..3000000000) contains 'x' %}y{% endif %}",
    "when": "{% case 1.5 %}{% when (1..3000000000) %}y{% endcase %}",
    "argument": "{{ 'a' | append: (1..3000000000) }}",
    "nested": "{% assign n = 3000000000 %}{% capture c %}{% for i in (1..n) limit: 1 %}{% endfor %}{% endcapture %}",
}
REPETITIONS = {
    "empty loops": "{% for i in (1..2000) %}{% endfor %}" * 1_000,
    "tags in a loop": "{% for i in (1..2000) %}" + "{% assign a = i %}" * 2_000 + "{% endfor %}",
    "one when of many": "{% case 1 %}{% when 1,1,1,1,1,1,1,1,1 %}" * 15 + "{% assign a = 1 %}" + "{% endcase %}" * 15,
    "contains": LONG + "{% for i in (1..2000) %}" + "{% if t contains 'aab' %}{% endif %}" * 50 + "{% endfor %}",
    "equal": LONG
    + "{% assign u = t | append: 'a' %}{% assign v = t | append: 'a' %}{% for i in (1..2000) %}"
    + "{% if u == v %}{% endif %}" * 50
    + "{% endfor %}",
    "cycle": LONG + "{% for i in (1..2000) %}{% cycle i, t, t, t, t %}{% endfor %}",
    "sort": MANY + "{{ l" + " | sort_natural" * 400 + " | size }}",
    "strip_html": LONG + "{% assign t = t | replace: 'aaa', '<b>' %}{{ t" + " | append: t | strip_html" * 8 + " }}",
    "capture": LONG + "{% for i in (1..2000) %}{% capture c %}{{ t }}{{ t }}{{ t }}{{ t }}{% endcapture %}{% endfor %}",
    "money": "{% for i in (1..2000) %}" + "{% assign a = i | money: 'EUR' %}" * 12 + "{% endfor %}",
    "name of a loop": "{% for i in (1..1000) %}{% for j in '" + "x" * 200_000 + "' %}{% endfor %}{% endfor %}",
}
DEPTHS = {
    "and": "{% if a" + " and a" * 5_000 + " %}y{% endif %}",
    "equal": "{% if a" + " == a" * 5_000 + " %}y{% endif %}",
    "path": "{{ " + "a[" * 5_000 + "b" + "]" * 5_000 + " }}",
    "range": "{{ " + "(" * 3_000 + "1" + "..2)" * 3_000 + " }}",
    "liquid": "{% liquid\n if a" + " or a" * 3_000 + "\n endif %}",
    "liquid in liquid": "{% liquid " + "liquid " * 5_000 + " %}",
    "blocks": "{% if a %}" * 5_000 + "{% endif %}" * 5_000,
}


@pytest.mark.parametrize("body", [*MULTIPLIERS.values()], ids=[*MULTIPLIERS])
def test_what_multiplies_is_refused_before_it_is_made(body: str) -> None:
    error = refusal(body)
    assert error.next_step
    assert error.span is not None or "the merged values" in str(error)  # all of them together


@pytest.mark.parametrize("body", [*RANGES.values()], ids=[*RANGES])
def test_no_range_is_longer_than_a_loop(body: str) -> None:
    error = refusal(body)
    assert "range" in str(error)
    assert error.span is not None


@pytest.mark.parametrize("body", [*REPETITIONS.values()], ids=[*REPETITIONS])
def test_repeated_work_ends(body: str) -> None:
    error = refusal(body)
    assert error.span is not None


@pytest.mark.parametrize("body", [*DEPTHS.values()], ids=[*DEPTHS])
def test_no_expression_takes_a_deep_stack(body: str) -> None:
    error = refusal(body)
    assert isinstance(error, TemplateSyntaxError)
    assert error.span is not None


def test_data_under_many_names_are_not_written_without_end() -> None:
    names = {f"k{number}": "k" for number in range(2_000)}
    body = "".join(f"{{{{ big[{name}] }}}}" for name in names)
    assert refusal(body, {**names, "big": {"k": ["x" * 100] * 3_000}}).span is not None


@pytest.mark.parametrize(
    "body",
    [
        "{{ 1.5 | round: 1000000000 }}{{ 5 | round: 999999999999999999999 }}",
        "{{ '1e999999999' | plus: 1 }}{{ '1e300' | times: '1e300' }}",
        "{{ '1e9999,0e-999999999,1' | split: ',' | sum }}",
        "{{ 0 | date: '%99999999d' }}{{ 0 | date: '" + "%c" * 50_000 + "' }}",
        "{{ 'a' | truncate: 99999999999999999999999 | slice: -99999999999999999999999, 99999999999999999999999 }}",
        "{{ 'a'" + " | upcase" * 20_000 + " }}",
        "{% if a %}" + "{% elsif a %}x" * 5_000 + "{% endif %}",
        "{% case a %}{% when 1" + ", 1" * 10_000 + " %}x{% endcase %}",
        "{% liquid \n" + "assign a = 1\n" * 5_000 + " %}",
        LONG + "{{ t | replace: 'aaa', '<a ' | append: '>' | strip_html | size }}",
        LONG + "{% assign l = t | slice: 0, 20000 | split: '' %}{{ l" + " | uniq | concat: l" * 10 + " | size }}",
    ],
)
def test_the_rest_takes_linear_time(body: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(MergeValueError, TemplateSyntaxError):
        value(body)
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("part", ["body", "subject"])
def test_what_is_too_much_without_data_is_refused_when_it_is_stored(part: str) -> None:
    much = MULTIPLIERS["replace"]
    source = TemplateSource(much, "html", "S") if part == "body" else TemplateSource("<p>Hi</p>", "html", much)
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(source).try_out()
    assert (caught.value.part, caught.value.source) == (part, much)
    assert caught.value.span is not None


def test_what_people_write_is_within_the_limits() -> None:
    rows = [{"name": f"A thing {number}", "price": number, "tags": ["a", "b"]} for number in range(300)]
    body = (
        "{% assign sorted = rows | sort: 'price' | reverse %}{% for row in sorted %}{% if row.price > 10 %}"
        "{{ row.name | upcase | truncate: 20 }} {{ row.price | times: 117 | divided_by: 100 | money: 'ILS' }}"
        "{% for tag in row.tags %}{{ tag | capitalize }}{% endfor %}{% endif %}{% endfor %}"
        "{{ rows | map: 'name' | join: ', ' | size }} {{ article | strip_html | truncatewords: 40 }}"
    )
    written = value(body, {"rows": rows, "article": "<p>Some <b>words</b> of an article.</p>" * 1_000})
    assert "A THING 299" in written
    assert "Some words of an article." in written


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("'<p>a &amp; b</p><style>p{}</style><!-- c --><br/>d' | strip_html", "a &amp; bd"),
        ("'1 < 2' | strip_html", "1 < 2"),
        ("'a,b,a,c,b' | split: ',' | uniq | join: ''", "abc"),
        ("rows | uniq | size", "2"),
        ("rows | uniq: 'a' | size", "1"),
        ("'a b  c' | split: ' ' | join: '-'", "a-b-c"),
        ("'abc' | split: '' | join: '.'", "a.b.c"),
        ("'' | split: ',' | size", "0"),
        ("'a-b-c' | replace: '-'", "abc"),
        ("'ab' | replace: '', '.'", ".a.b."),
        ("(1..4) | join: '+'", "1+2+3+4"),
        ("(1..2000) | size", "2000"),
        ("170141183460469231731687303715884105727 | plus: 1", "170141183460469231731687303715884105728"),
        ("2 | times: 'x'", "0"),
        ("'3' | plus: 4", "7"),
        ("' Aé ' | strip | upcase", "AÉ"),
    ],
)
def test_filters_do_what_liquid_says(expression: str, wanted: str) -> None:
    rows = [{"a": 1, "b": [1]}, {"a": 1, "b": [2]}, {"b": [1.0], "a": True}]
    assert value("{{ " + expression + " }}", {"rows": rows}) == wanted


starts = st.sampled_from(["'aaaaaaaaaa'", "9999999999", "(1..2000)", "v.l", "v.t", "'1e300'", "'😀<b>,'", "v.d", "v.n"])
arguments = st.sampled_from(
    ["", ": 'a'", ": 'a', 'aaaaaaaaaa'", ": '', r", ": r", ": ','", ": 9999999999", ": v.l", ": v.t"]
)
chains = st.lists(
    st.tuples(starts, st.lists(st.tuples(st.sampled_from(sorted(ENVIRONMENT.filters)), arguments), max_size=12)),
    min_size=1,
    max_size=8,
)
DATA: dict[str, Any] = {
    "v": {"l": ["ab"] * 500, "t": "a,b <i>c</i> " * 400, "d": {"a": [1, 2], "b": "x" * 500}, "n": 2**100}
}


@given(chains)
@settings(max_examples=80, deadline=None)
def test_no_expression_makes_more_than_the_bound(chain: list[Any]) -> None:
    source = "".join(
        "{% assign r = " + start + "".join(f" | {name}{argument}" for name, argument in filters) + " %}"
        for start, filters in chain
    )
    template = ENVIRONMENT.from_string(source + "{% assign r = r | append: r %}" * 3)
    context = MergeContext(template, DATA)
    begun = time.process_time()
    for node in template.nodes:
        with contextlib.suppress(LiquidError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError):
            node.render_to_output(context, StringIO())
        assert weigh(context.locals.get("r")) <= MAX_CHARACTERS
    assert context.work_left <= MAX_WORK
    assert time.process_time() - begun < SECONDS
