"""Reading trees: what is refused and where, sentences, fields by kind, segments within segments."""

from typing import Any

import pytest

from hygiene.segments.checking import OPERATORS, check_fields
from hygiene.segments.describe import describe
from hygiene.segments.document import as_document
from hygiene.segments.errors import FieldValueError, SegmentCycleError, SegmentSyntaxError
from hygiene.segments.fields import FieldDefinition, FieldKind, check_definition, coerce, increment
from hygiene.segments.parse import DEEPEST, MOST_NODES, parse
from hygiene.segments.references import MOST_LEAVES, resolve
from hygiene.segments.tree import AllOf, FieldOperator, Node, OnList

NEWS = {"list": "news"}


def nested(depth: int) -> Any:
    tree: Any = NEWS
    for _ in range(depth):
        tree = {"not": tree}
    return tree


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (None, "$"),
        ([], "$"),
        ({}, "$"),
        ("list", "$"),
        ({"lists": "x"}, "$"),
        ({"list": ""}, "$.list"),
        ({"list": "a\nb"}, "$.list"),
        ({"list": "x", "tag": "y"}, "$.tag"),
        ({"all": NEWS}, "$.all"),
        ({"all": [NEWS, {"any": [NEWS, 5]}]}, "$.all[1].any[1]"),
        ({"not": {"list": 5}}, "$.not.list"),
        ({"field": "a", "op": "like", "value": "x"}, "$.op"),
        ({"field": "a", "op": "is"}, "$"),
        ({"field": "a", "op": "is", "value": None}, "$.value"),
        ({"field": "a", "op": "is", "value": float("nan")}, "$.value"),
        ({"field": "a", "op": "is", "value": "\ud800"}, "$.value"),
        ({"field": "a", "op": "one_of", "value": []}, "$.value"),
        ({"field": "a", "op": "one_of", "value": ["x", {}]}, "$.value[1]"),
        ({"field": "a", "op": "contains", "value": ""}, "$.value"),
        ({"field": "a", "op": "before", "value": "2026-02-30"}, "$.value"),
        ({"field": "a", "op": "within_days", "value": 1.5}, "$.value"),
        ({"field": "a", "op": "at_least", "value": True}, "$.value"),
        ({"field": "a", "op": "is_set", "value": False}, "$.value"),
        ({"contact": "shoe", "op": "is", "value": "x"}, "$.contact"),
        ({"contact": "locale", "op": "at_least", "value": 1}, "$.op"),
        ({"contact": "locale", "op": "is", "value": 1}, "$.value"),
        ({"consent": "maybe"}, "$.consent"),
        ({"consent": "given", "scope": {"list": "x", "stream": "y"}}, "$.scope"),
        ({"activity": "opened", "op": "none", "value": 0}, "$.value"),
        ({"activity": "opened", "op": "at_least", "value": 2, "within_days": 366}, "$.within_days"),
        ({"activity": "opened", "op": "at_least", "value": True}, "$.value"),
        ({"activity_last": "opened"}, "$"),
        ({"activity_last": "opened", "within_days": 5, "before_days": 5}, "$"),
        ({"received_since": "acted", "op": "none"}, "$.received_since"),
        ({"opened_in_a_row": 11}, "$.opened_in_a_row"),
        ({"joined": 5}, "$.joined"),
        ({"domain": ["a.test", "a..b"]}, "$.domain[1]"),
    ],
)
def test_faults_are_told_with_their_path_and_the_next_step(document: Any, path: str) -> None:
    with pytest.raises(SegmentSyntaxError) as caught:
        parse(document)
    assert caught.value.path == path
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.next_step


def test_trees_are_bounded() -> None:
    parse(nested(DEEPEST - 1))
    parse({"any": [NEWS] * (MOST_NODES - 1)})
    for document in (nested(DEEPEST), nested(500), {"any": [NEWS] * MOST_NODES}):
        with pytest.raises(SegmentSyntaxError, match="too large"):
            parse(document)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"all": []}, "All contacts."),
        (NEWS, 'Contacts who are on the list "news".'),
        (
            {
                "all": [
                    {"activity": "received", "op": "at_least", "value": 5},
                    {"activity": "opened", "op": "none", "within_days": 60},
                    {"any": [{"tag": "vip"}, {"not": NEWS}]},
                ]
            },
            "Contacts who have received at least 5 mails and have opened no mail in the last 60 days"
            ' and (have the tag "vip" or do not meet (are on the list "news")).',
        ),
        (
            {"field": "city", "op": "one_of", "value": ["Leeds", "York"]},
            'Contacts who have a city that is one of "Leeds", "York".',
        ),
        (
            {"consent": "given", "scope": {"stream": "marketing"}},
            'Contacts who consented to the stream "marketing".',
        ),
        ({"joined": {"before_days": 1}}, "Contacts who were added more than 1 day ago."),
    ],
)
def test_a_tree_as_a_sentence(document: Any, sentence: str) -> None:
    tree = parse(document)
    assert describe(tree) == sentence
    assert parse(as_document(tree)) == tree


# --- fields by kind -----------------------------------------------------------------------------------------------

_VALUES = {
    FieldKind.TEXT: "x",
    FieldKind.CHOICE: "x",
    FieldKind.DATE: "2026-03-09",
    FieldKind.NUMBER: 5,
    FieldKind.RATING: 5,
    FieldKind.YES_NO: True,
}


@pytest.mark.parametrize("kind", FieldKind)
@pytest.mark.parametrize("operator", FieldOperator)
def test_each_kind_knows_its_operators(kind: FieldKind, operator: FieldOperator) -> None:
    value: Any = 30 if operator in ("within_days", "in_next_days") else _VALUES[kind]
    if operator in ("before", "after"):
        value = "2026-03-09"
    elif operator in ("at_least", "at_most"):
        value = 5
    elif operator in ("contains", "starts_with", "ends_with"):
        value = "x"
    document = {"field": "f", "op": str(operator), "value": [value] if operator == "one_of" else value}
    if operator == "is_set":
        del document["value"]
    tree = parse(document)
    if operator in OPERATORS[kind]:
        check_fields(tree, {"f": kind})
    else:
        with pytest.raises(SegmentSyntaxError) as caught:
            check_fields(tree, {"f": kind})
        assert caught.value.path == "$.op"


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        (FieldKind.TEXT, "  a  ", "a"),
        (FieldKind.TEXT, "", None),
        (FieldKind.NUMBER, "12.50", 12.5),
        (FieldKind.NUMBER, "007", 7),
        (FieldKind.NUMBER, -3, -3),
        (FieldKind.NUMBER, 1e3, 1000),
        (FieldKind.DATE, "2026-02-28", "2026-02-28"),
        (FieldKind.CHOICE, "GOLD", "gold"),
        (FieldKind.YES_NO, "כן", True),
        (FieldKind.YES_NO, "No", False),
        (FieldKind.YES_NO, 0, False),
        (FieldKind.RATING, "5", 5),
    ],
)
def test_values_are_stored_by_kind(kind: FieldKind, given: Any, stored: Any) -> None:
    choices = ("gold", "silver") if kind is FieldKind.CHOICE else ()
    found = coerce(FieldDefinition("f", kind, choices), given)
    assert (type(found), found) == (type(stored), stored)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (FieldKind.TEXT, "x" * 5000),
        (FieldKind.TEXT, ["x"]),
        (FieldKind.NUMBER, "12a"),
        (FieldKind.NUMBER, "1,5"),
        (FieldKind.NUMBER, float("inf")),
        (FieldKind.NUMBER, True),
        (FieldKind.NUMBER, "1234567890.1234567"),
        (FieldKind.DATE, "2026-02-30"),
        (FieldKind.DATE, "9.3.2026"),
        (FieldKind.CHOICE, "bronze"),
        (FieldKind.YES_NO, "perhaps"),
        (FieldKind.RATING, "6"),
        (FieldKind.RATING, True),
    ],
)
def test_values_that_do_not_fit_are_told_so(kind: FieldKind, given: Any) -> None:
    choices = ("gold", "silver") if kind is FieldKind.CHOICE else ()
    with pytest.raises(FieldValueError) as caught:
        coerce(FieldDefinition("f", kind, choices), given)
    assert caught.value.next_step


def test_counters() -> None:
    points = FieldDefinition("points", FieldKind.NUMBER)
    assert increment(points, None, 5) == 5
    assert increment(points, 0.1, "0.2") == 0.3
    assert increment(points, "old text", -1) == -1
    with pytest.raises(FieldValueError):
        increment(points, 5, "x")
    with pytest.raises(FieldValueError):
        increment(FieldDefinition("city", FieldKind.TEXT), 5, 1)


@pytest.mark.parametrize(
    "definition",
    [
        FieldDefinition("", FieldKind.TEXT),
        FieldDefinition('a"b', FieldKind.TEXT),
        FieldDefinition("a\\b", FieldKind.TEXT),
        FieldDefinition("f", FieldKind.CHOICE),
        FieldDefinition("f", FieldKind.TEXT, ("a",)),
        FieldDefinition("f", FieldKind.CHOICE, ("a", "A")),
    ],
)
def test_definitions_that_make_no_sense(definition: FieldDefinition) -> None:
    with pytest.raises(FieldValueError):
        check_definition(definition)


# --- segments within segments -------------------------------------------------------------------------------------


def test_segments_are_put_in_their_places() -> None:
    stored = {"a": parse({"segment": "b"}), "b": parse(NEWS)}
    assert resolve(parse({"all": [{"segment": "a"}]}), stored.get) == AllOf((OnList("news"),))


def test_cycles_are_found_whichever_way_they_go() -> None:
    stored: dict[str, Node] = {"a": parse({"not": {"segment": "b"}}), "b": parse({"any": [{"segment": "a"}]})}
    with pytest.raises(SegmentCycleError, match="a > b > a"):
        resolve(parse({"segment": "a"}), stored.get)
    with pytest.raises(SegmentCycleError, match="c > c"):
        resolve(parse({"segment": "c"}), stored.get, name="c")


def test_what_multiplies_is_bounded() -> None:
    stored = {f"s{n}": parse({"any": [{"segment": f"s{n + 1}"}] * 10}) for n in range(9)}
    stored["s9"] = parse(NEWS)
    with pytest.raises(SegmentSyntaxError, match="too large"):
        resolve(parse({"segment": "s0"}), stored.get)
    chain: dict[str, Node] = {f"s{n}": parse({"segment": f"s{n + 1}"}) for n in range(50)}
    with pytest.raises(SegmentSyntaxError, match="too large"):
        resolve(parse({"segment": "s0"}), chain.get)
    values = {"field": "a", "op": "one_of", "value": ["x"] * 500}
    with pytest.raises(SegmentSyntaxError, match="too large"):
        resolve(parse({"any": [values] * 30}), {}.get)
    assert MOST_LEAVES < 1000
