"""``postwright import`` with its options, and ``postwright contacts``."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]
PEOPLE = "Mail,city,labels\nada@example.com,Leeds,vip\ngrace@example.com,York,\nada@gmial.com,Bath,\nnobody,Ely,\n"


def test_an_import_is_looked_at_first(postwright: Command, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("שם;דואל\nדנה;dana@example.com\n".encode("cp1255"))
    (seen,) = postwright("import", str(file), "--preview", "--json").objects
    assert (seen["encoding"], seen["certain"]) == ("windows-1255", False)
    assert seen["columns"] == {"שם": "field:שם", "דואל": "address"}
    assert seen["rows"] == [["דנה", "dana@example.com"]]
    refused = postwright("import", str(file), "--list", "news")
    assert refused.code == 1 or refused.code > 1
    assert "windows-1255" in refused.err
    done = postwright("import", str(file), "--list", "news", "--encoding", "windows-1255", "--map", "שם=field:name")
    assert done.code == 0
    (shown,) = postwright("contacts", "list", "--json").objects
    assert (shown["address"], shown["fields"]) == ("dana@example.com", {"name": "דנה"})


def test_a_report_names_refused_and_doubtful_rows(postwright: Command, tmp_path: Path) -> None:
    file, report = tmp_path / "people.csv", tmp_path / "report.csv"
    file.write_text(PEOPLE)
    arguments = ("import", str(file), "--list", "news", "--map", "labels=tag", "--report", str(report))
    told = postwright(*arguments)
    assert told.code == 0
    assert "3 new, 0 known, 1 refused, 1 with a doubt." in told.out
    rows = list(csv.DictReader(report.read_text("utf-8").splitlines()))
    assert [(row["line"], row["outcome"], row["code"], row["suggestion"]) for row in rows] == [
        ("4", "flagged", "likely_typo", "ada@gmail.com"),
        ("5", "refused", "no_at_sign", ""),
    ]
    assert postwright("contacts", "list", "--tree", '{"tag": "vip"}', "--json").objects[0]["tags"] == ["vip"]
    assert "--list" in postwright("import", str(file)).err


def test_contacts_are_tagged_archived_shown_and_exported(postwright: Command, tmp_path: Path) -> None:
    file, out = tmp_path / "people.csv", tmp_path / "out.csv"
    file.write_text(PEOPLE)
    assert postwright("import", str(file), "--list", "news", "--consent", "paper form").code == 0
    assert "1 contact changed." in postwright("contacts", "tag", "ada@example.com", "--add", "reader").out
    assert postwright("contacts", "archive", "grace@example.com").code == 0
    (shown,) = postwright("contacts", "show", "ADA@example.com", "--json").objects
    assert shown["tags"] == ["reader"]
    kinds = {one["kind"]: one for one in shown["timeline"]}
    assert kinds["joined_list"]["why"] == "import:people.csv"
    assert (kinds["consent"]["event"], kinds["consent"]["why"]) == ("given", "paper form")
    assert len(postwright("contacts", "list", "--archived", "--json").objects) == 1
    assert "paper form" in postwright("contacts", "show", "ada@example.com").out
    assert postwright("contacts", "export", str(out), "--list", "news").code == 0
    assert [row["email"] for row in csv.DictReader(out.read_text("utf-8").splitlines())] == [
        "ada@example.com",
        "ada@gmial.com",
    ]
    assert postwright("contacts", "archive", "grace@example.com", "--restore").code == 0
    assert postwright("contacts", "show", "nowhere@example.com").code == 66
