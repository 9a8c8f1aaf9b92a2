"""``postwright address check``: forms of files, lines, DNS, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from postwright.cli.addresses import app
from postwright.cli.exit_codes import Exit

Run = Callable[..., tuple[Result, list[dict[str, Any]]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def check(content: str | bytes, *options: str) -> tuple[Result, list[dict[str, Any]]]:
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        result = CliRunner().invoke(app, ["check", str(path), "--json", *options])
        return result, [json.loads(line) for line in result.stdout.splitlines()]

    return check


def test_one_object_an_address(run: Run) -> None:
    result, rows = run("dana@gmail.com\n\n  noa@gmial.com \nnobody\nD.ana+x@googlemail.com\n")
    assert result.exit_code == Exit.REFUSED
    assert [row["n"] for row in rows] == [1, 3, 4, 5]
    assert [row["value"] for row in rows] == ["ok", "risky", "refused", "risky"]
    assert rows[0] == {
        "n": 1,
        "address": "dana@gmail.com",
        "value": "ok",
        "codes": [],
        "suggestion": None,
        "duplicate_of": None,
        "key": "dana@gmail.com",
        "sentences": [],
    }
    assert rows[1]["suggestion"] == "noa@gmail.com"
    assert (rows[2]["codes"], rows[2]["key"]) == (["no_at_sign"], None)
    assert (rows[3]["codes"], rows[3]["duplicate_of"]) == (["likely_duplicate"], 1)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ('name,Email\n"Levi, Dana",dana@acme.org\n\n"two\nlines","noa@acme.org"\n', ()),
        ("\ufeffEmail;name\r\ndana@acme.org;x\r\n\r\nnoa@acme.org;y\r\n", ()),
        ("name\tדואל\nx\tdana@acme.org\ny\tnoa@acme.org\n", ()),
        ("name,where\nx,dana@acme.org\ny,noa@acme.org\n", ("--column", "Where")),
        ("dana@acme.org\nnoa@acme.org", ()),
        ("email\ndana@acme.org\nnoa@acme.org".encode("utf-16"), ()),
    ],
)
def test_forms_of_files(run: Run, content: str | bytes, options: tuple[str, ...]) -> None:
    result, rows = run(content, *options)
    assert [row["address"] for row in rows] == ["dana@acme.org", "noa@acme.org"]
    assert result.exit_code == Exit.OK


def test_lines_are_those_of_the_file(run: Run) -> None:
    _, rows = run('email,name\na@acme.org,"x\ny"\n\nb@acme.org,z\n,\nc@acme.org,z\nx\n')
    assert [(row["n"], row["address"]) for row in rows] == [
        *((2, "a@acme.org"), (5, "b@acme.org"), (7, "c@acme.org"), (8, "x"))
    ]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("name,where\nx,dana@acme.org\n", (), "--column"),
        ("name,where\nx,dana@acme.org\n", ("--column", "mail"), "name, where"),
        ("email,name\n\xe9".encode("latin-1"), (), "UTF-8"),
        (b"\0\0\0", (), "no text"),
        ('email,name\n"' + "a" * 200_000, (), "quotation mark"),
    ],
)
def test_files_that_cannot_be_read_say_why(
    run: Run, content: str | bytes, options: tuple[str, ...], words: str
) -> None:
    result, _ = run(content, *options)
    assert result.exit_code == Exit.DATA
    assert words in " ".join(result.stderr.split())


def test_an_empty_file_has_no_addresses(run: Run) -> None:
    result, rows = run("")
    assert (result.exit_code, rows) == (Exit.OK, [])


def test_codes_can_be_made_refusals(run: Run) -> None:
    assert run("info@acme.org")[0].exit_code == Exit.OK
    assert run("info@acme.org", "--refuse", "role_address")[0].exit_code == Exit.REFUSED
    assert run("info@acme.org", "--refuse", "what")[0].exit_code == 2


ZONE = """acme.org. MX 10 mx.acme.org.
quiet.org. MX 0 .
;; SERVFAIL silent.org
"""


@pytest.mark.parametrize(
    ("content", "values", "code"),
    [
        ("a@acme.org\nb@ACME.org", ["ok", "ok"], Exit.OK),
        ("a@acme.org\na@quiet.org\na@gone.org\na@silent.org", ["ok", "refused", "refused", "unknown"], Exit.REFUSED),
        ("a@acme.org\na@silent.org", ["ok", "unknown"], Exit.UNKNOWN),
        ("info@silent.org\nx", ["risky", "refused"], Exit.REFUSED),
    ],
)
def test_domains_are_asked_where_wanted(run: Run, tmp_path: Path, content: str, values: list[str], code: Exit) -> None:
    zone = tmp_path / "zone"
    zone.write_text(ZONE)
    result, rows = run(content, "--dns", "--zone", str(zone), "--offline")
    assert [row["value"] for row in rows] == values
    assert result.exit_code == code
    offline, _ = run(content, "--zone", str(zone))
    assert offline.exit_code == 2
    assert "--dns" in offline.stderr


def test_people_get_a_table_and_the_counts(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("dana@gmail.com\n" + "".join(f"p[red]{n}@gmial.com\n" for n in range(3)))
    result = CliRunner().invoke(app, ["check", str(path)])
    assert "1 ok, 0 risky, 3 refused, 0 unknown." in result.stdout
    many = tmp_path / "many.txt"
    many.write_text("".join(f"p{n}@gmial.com\n" for n in range(60)))
    shown = CliRunner().invoke(app, ["check", str(many)])
    assert "10 more" in shown.stdout
    assert "60 risky" in shown.stdout
    assert shown.exit_code == Exit.OK
