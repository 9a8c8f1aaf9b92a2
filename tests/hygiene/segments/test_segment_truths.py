"""Three truths: what privacy modes keep from being recorded is unknown, and nobody is in a segment for it."""

from itertools import product
from typing import Any

import pytest

from hygiene.segments.facts import ActivityFacts, ContactFacts, Known, known_by
from hygiene.segments.matching import matches
from hygiene.segments.parse import parse
from hygiene.segments.references import resolve
from hygiene.segments.tree import ActivityKind, AllOf, LeftOut, Node, NotThis
from mailtypes.clock import DAY

NOW = 20_000 * DAY
HIDDEN = ContactFacts("a@b.test", "b.test", 0, tracking="off", tags=frozenset({"yes"}))
UNKNOWN: dict[str, Any] = {"activity": "opened", "op": "at_least", "value": 1}
TRUTHS = {True: {"tag": "yes"}, False: {"tag": "no"}, None: UNKNOWN}


def kleene(parts: tuple[bool | None, ...], *, is_all: bool) -> bool | None:
    """By the table of Kleene's logic: the least (greatest) of false, unknown, true."""
    order = [False, None, True]
    return (min if is_all else max)(parts, key=order.index)


def truth(document: dict[str, Any]) -> bool | None:
    if matches(parse(document), HIDDEN, NOW):
        return True
    return False if matches(parse({"not": document}), HIDDEN, NOW) else None


@pytest.mark.parametrize("parts", product(TRUTHS, repeat=2))
def test_all_any_and_not_are_those_of_kleene(parts: tuple[bool | None, ...]) -> None:
    written = [TRUTHS[one] for one in parts]
    assert truth({"all": written}) is kleene(parts, is_all=True)
    assert truth({"any": written}) is kleene(parts, is_all=False)


@pytest.mark.parametrize(
    ("modes", "known"),
    [
        ((), Known.ALL),
        ((None, "full"), Known.ALL),
        (("full", "last_open"), Known.LAST_OPEN),
        (("last_open", "aggregate"), Known.NOTHING),
        (("off",), Known.NOTHING),
        (("a word of a later release",), Known.NOTHING),
    ],
)
def test_the_strictest_mode_counts(modes: tuple[str | None, ...], known: Known) -> None:
    assert known_by(modes) is known


def test_what_was_recorded_stays_true() -> None:
    opened = ActivityFacts(totals={ActivityKind.OPENED: 2}, last_at={ActivityKind.OPENED: NOW - 9 * DAY})
    facts = ContactFacts("a@b.test", "b.test", 0, tracking="aggregate", activity=opened)
    for document, is_in in (
        (UNKNOWN, True),
        ({"activity": "opened", "op": "none"}, False),
        ({"activity": "opened", "op": "at_least", "value": 3}, False),
        ({"activity": "opened", "op": "at_most", "value": 2}, False),
        ({"activity_last": "opened", "within_days": 10}, True),
        ({"activity_last": "opened", "before_days": 8}, False),
        ({"activity": "received", "op": "none"}, True),
    ):
        assert matches(parse(document), facts, NOW) is is_in, document


def test_an_audience_leaves_out_whoever_is_known_to_be_in() -> None:
    def left_out(part: Node) -> bool:
        tree = resolve(AllOf((parse(TRUTHS[True]), LeftOut(part))), lambda _: None)
        assert isinstance(tree, AllOf)
        assert isinstance(tree.parts[1], LeftOut)
        return not matches(tree, HIDDEN, NOW)

    unknown = parse(UNKNOWN)
    assert [left_out(parse(TRUTHS[one])) for one in (True, False, None)] == [True, False, False]
    assert left_out(NotThis(unknown)) is False
