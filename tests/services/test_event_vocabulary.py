"""The vocabulary of events: every kind that the code records stands in it, and the page and the screens know it."""

import ast
import re
from pathlib import Path

import pytest

import postwright
from mta.shaping.pace import ChangeKind
from postwright.services.errors import RefusedError
from postwright.services.event_vocabulary import KINDS, EventTopic, check_kinds, events_page
from postwright.store.leases import EVENT_KIND
from postwright.store.statistic_counts import COUNTED

ROOM = Path(postwright.__file__).parent


_MAKERS = {"NewEvent", "_event", "_tell"}
"""What makes events; the two that are not the class itself take the kind as their second or third argument."""


def _written_kinds() -> set[str]:
    """The kinds that stand as words where events are made."""
    found = set()
    for file in ROOM.rglob("*.py"):
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "NewEvent" in text else ():
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _MAKERS:
                given = [*node.args[1:3], *(one.value for one in node.keywords if one.arg == "kind")]
                found |= {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_every_kind_that_is_recorded_is_in_the_vocabulary() -> None:
    written = _written_kinds()
    assert {"accepted", "resubscribed", "webhook_disabled"} <= written  # the search finds what it is for
    paces = {f"destination_{one}" for one in ChangeKind}
    assert written | paces | set(EVENT_KIND.values()) | set(COUNTED) <= set(KINDS)


def test_every_kind_says_what_it_means() -> None:
    assert {kind.topic for kind in KINDS.values()} >= set(EventTopic)
    for name, kind in KINDS.items():
        assert re.fullmatch(r"[a-z_]{1,60}", name)
        assert kind.meaning.endswith("."), name
        assert kind.version >= 1
        assert all(fields and meaning for fields, meaning in kind.fields.items())


def test_the_page_has_a_row_for_each() -> None:
    page = events_page()
    for name in KINDS:
        assert page.count(f"\n| `{name}` | ") == 1
    assert "nothing records it yet" in page
    assert "blob" not in page


def test_a_filter_is_checked_and_put_in_order() -> None:
    assert check_kinds(["clicked", "accepted", "clicked"]) == ("accepted", "clicked")
    assert check_kinds([]) == ()
    with pytest.raises(RefusedError) as refused:
        check_kinds(["delivered", "delievered", "x"])
    assert [problem.sentence for problem in refused.value.problems] == [
        "'delievered' is no kind of event.",
        "'x' is no kind of event.",
    ]
