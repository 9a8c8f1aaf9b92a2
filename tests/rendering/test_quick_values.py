"""The short ways that most values take are the long ways' equals: getting them, escaping them, encoding them."""

import base64
import quopri
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from liquid.stringify import to_liquid_string

from rendering.filters import BrokenLines, UrlEncoded
from rendering.liquid_environment import ENVIRONMENT, MarkedOutput, MergeContext, quick_getter
from rendering.merge import Merge
from rendering.places import ENCODERS, Place
from rendering.segments import Addresses, MergeSlot, MessageUrls, Part
from rendering.slot_values import COMMON_PLACES, EncodedValues
from rendering.transfer import quoted_printable_value

NO_URLS = Addresses(MessageUrls(lambda n: "", ""), ())
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["", " ", "\n", "Ada", "0", "<b>"]), st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b"]), inner)),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "written", ["x", "x.a", "x.a.b", 'x | default: "you"', 'x.a | default: "you"', 'x.a.b | default: " "']
)
@given(data=st.dictionaries(st.sampled_from(["x", "y"]), values))
@settings(max_examples=60)
def test_a_quick_value_is_liquids(written: str, data: dict[str, Any]) -> None:
    template = ENVIRONMENT.from_string("{{ " + written + " }}")
    (node,) = template.nodes
    assert isinstance(node, MarkedOutput)
    quick = quick_getter(node.expression, frozenset())
    assert quick is not None
    found = quick(data)
    slow = to_liquid_string(node.expression.evaluate(MergeContext(template, data)), autoescape=False)
    assert found is None or found == slow


def test_the_quick_way_is_taken_for_what_is_there_and_what_is_missing() -> None:
    (node,) = ENVIRONMENT.from_string('{{ contact.name | default: "you" }}').nodes
    quick = quick_getter(node.expression, frozenset())  # type: ignore[attr-defined]
    assert quick is not None
    for contact, shown in (({"name": "Ada"}, "Ada"), ({"name": 7}, "7"), ({"name": ""}, "you"), ({}, "you")):
        assert quick({"contact": contact}) == shown
    assert quick({}) == "you"
    assert quick({"contact": {"name": "  "}}) is None


@given(st.lists(st.text(), max_size=3))
@settings(max_examples=60)
def test_a_straight_text_is_put_together_like_any_other(names: list[str]) -> None:
    source = "Hi {{ a }}, {{ b }}{{ a }}!"
    data = dict(zip("abc", names, strict=False))
    straight, branching = Merge(source, "subject"), Merge(source + "{% if c %}{% endif %}", "subject")
    assert not straight.has_control_tags
    assert branching.has_control_tags
    assert straight.text(*straight.evaluate(data)) == branching.text(*branching.evaluate(data))


awkward = st.one_of(
    st.text(),
    st.text(alphabet="aZ0 .=&<>\"'-@\n\r\t\x00\x7f\x85é", max_size=90),
    st.text(alphabet="ab.= ", min_size=70, max_size=80),
)


@given(awkward, st.sampled_from([str, BrokenLines, UrlEncoded]))
@example("." + "a" * 74, str)
@example("a" * 75, str)
@example("a" * 76, str)
@example("a  b", str)
@example("a ", str)
@settings(max_examples=300)
def test_what_is_encoded_for_every_place_at_once_is_what_each_place_writes(text: str, kind: type[str]) -> None:
    value = kind(text)
    for _ in range(2):  # the second time from memory
        once = EncodedValues([value])
        for place in COMMON_PLACES:
            escaped = ENCODERS[place](value)
            assert once.quoted[0] in (None, quoted_printable_value(escaped))
            assert once.octets[0] in (None, escaped.replace("\n", "\r\n").encode("utf-8", "replace"))


@pytest.mark.parametrize("filling", ["plain", "שלום " * 40])
def test_a_value_that_is_markup_does_not_hide_behind_a_harmless_one(filling: str) -> None:
    part = Part([filling, MergeSlot(0, Place.TEXT), MergeSlot(1, Place.ATTRIBUTE), MergeSlot(0, Place.PLAIN)], [])
    for first, second in (("Ada", '"><b>'), ("<b>", "Ada"), ("Ada", "Ada")):
        told = part.text([first, second], NO_URLS)
        octets = b"".join(part.encode(EncodedValues([first, second]), NO_URLS))
        decoded = _decoded(octets, part.transfer_encoding)
        assert decoded == told.replace("\n", "\r\n")
        assert "<b>" not in decoded.removesuffix("<b>")  # the plain place may show it


def _decoded(octets: bytes, encoding: str) -> str:
    return (quopri.decodestring(octets) if encoding == "quoted-printable" else base64.b64decode(octets)).decode()


@pytest.mark.parametrize(
    "url",
    [
        "https://a.test/é",
        "https://a.test/\n",
        "https://a.test/\0",
        "\nhttps://a",
        "https://a b",
        'x"',
        "<x",
        "x>",
        "\ud800",
    ],
)
def test_an_address_that_cannot_stand_in_mail_is_refused_whichever_it_is(url: str) -> None:
    good = "https://a.test/1"
    for urls in (
        MessageUrls(lambda n: url, good),
        MessageUrls(lambda n: good, url),
        MessageUrls(lambda n: good, good, url),
        MessageUrls(lambda n: good, good, good, url),
    ):
        with pytest.raises(ValueError, match="ASCII"):
            Addresses(urls, [1, 2])


@given(st.lists(st.text(alphabet="ab.&=/'" + "x" * 3, min_size=1, max_size=80), min_size=4, max_size=4))
@settings(max_examples=100)
def test_addresses_that_are_encoded_together_are_as_each_alone(given_urls: list[str]) -> None:
    first, second, out, pixel = given_urls
    found = Addresses(MessageUrls({1: first, 2: second}.__getitem__, out, pixel), [1, 2])
    if found.quoted_plainly is not None:
        assert [found.quoted_plainly[number] for number in (1, 2, 0)] == [
            quoted_printable_value(url) for url in (first, second, out)
        ]
