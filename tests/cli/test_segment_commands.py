"""``postwright segment``: counted and shown, by name, by tree and by file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_a_tree_is_counted_and_shown(postwright: Command, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,city\nada@example.com,Leeds\ngrace@example.com,York\n")
    assert postwright("import", str(people), "--list", "news").code == 0
    tree = tmp_path / "tree.json"
    tree.write_text('{"all": [{"list": "news"}, {"field": "city", "op": "is", "value": "leeds"}]}')
    (counted,) = postwright("segment", "count", "--file", str(tree), "--json").objects
    assert counted["contacts"] == 1
    assert "2 contacts." in postwright("segment", "count", "--tree", '{"list": "news"}').out
    (shown,) = postwright("segment", "show", "--file", str(tree), "--json").objects
    assert shown == {"address": "ada@example.com", "fields": {"city": "Leeds"}}
    assert postwright("segment", "show").out.strip() == "No segment yet."


def test_what_is_wrong_ends_with_its_exit_code(postwright: Command) -> None:
    assert postwright("segment", "count").code == 64
    assert postwright("segment", "count", "nowhere").code == 66
    bad = postwright("segment", "count", "--tree", '{"list": 5}')
    assert bad.code == 65
    assert "$.list" in bad.err
    assert postwright("segment", "count", "--tree", "{").code == 65
    assert postwright("segment", "count", "--tree", "[" * 100_000).code == 65
