"""``postwright form``, ``person`` and ``preferences``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_a_form_is_made_embedded_and_closed(postwright: Command, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email\nada@example.com\n")
    assert postwright("import", str(people), "--list", "news").code == 0
    assert postwright("domain", "add", "news.example.com").code == 0
    options = ("--title", "Letter", "--wording", "Yes", "--from", "letter@news.example.com", "--list", "news")
    made = postwright("form", "create", "footer", *options)
    assert made.code == 0, made.err
    assert "/s/" in made.out
    (shown,) = postwright("form", "list", "--json").objects
    assert (shown["name"], shown["closed"]) == ("footer", False)
    assert shown["url"] in postwright("form", "embed", "footer").out
    assert postwright("form", "close", "footer").code == 0
    assert postwright("form", "embed", "nothing").code == 66
    assert postwright("form", "create", "footer", *options).code != 0
    assert postwright("preferences", "show", "news", "--title", "News").code == 0
    assert postwright("preferences", "hide", "news").code == 0


def test_a_person_is_exported_and_erased(postwright: Command, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,city\nada@example.com,Leeds\n")
    assert postwright("import", str(people), "--list", "news").code == 0
    file = tmp_path / "ada.json"
    assert postwright("person", "export", "ada@example.com", "-o", str(file)).code == 0
    assert json.loads(file.read_text("utf-8"))["contact"]["fields"] == {"city": "Leeds"}
    assert file.stat().st_mode & 0o077 == 0
    (done,) = postwright("person", "erase", "ada@example.com", "--yes", "--json").objects
    assert done["had_contact"]
    assert json.loads(postwright("person", "export", "ada@example.com").out)["erased"]
    again = postwright("import", str(people), "--list", "news", "--json")
    assert "ada" not in again.out
