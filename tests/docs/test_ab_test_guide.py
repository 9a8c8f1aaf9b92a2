"""The rehearsal of docs/guides/ab-test.md, played as it is written there, on a list that is quickly sent."""

import csv
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer.main

from postwright.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "ab-test.md"
PEOPLE = 40


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    folder.mkdir()
    for name in ("newsletter.mjml", "suppressions.csv"):
        shutil.copy(ROOT / "examples" / name, folder)
    with (folder / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("email", "first_name", "city", "language", "plan"))
        people = (f"reader{number}@mailhub.test" for number in range(PEOPLE))
        rows.writerows((address, "Ada", "Leeds", "en", "gardener") for address in people)
    return folder


def test_the_rehearsal_of_the_guide(tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (written,) = re.findall(r"^\$ postwright (demo --ab .*)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    places = ["--dir", str(tmp_path / "demo"), "--examples", str(examples)]
    status = typer.main.get_command(app).main([*written.split(), *places], standalone_mode=False)
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert not status, told
    # Nobody finds a winner among so few: the default goes out at the deadline.
    assert re.search(r"Decided after 24\.0 hours by the deadline\.", told), told
    assert f"Each of the {PEOPLE} good recipients got one mail, the rest of the list got A" in told
    with closing(sqlite3.connect(tmp_path / "demo" / "data" / "postwright.db")) as database:
        assert database.execute("SELECT state, decided_by FROM experiment").fetchall() == [("finished", "deadline")]
    # With --exit nothing goes on here: the next demo in the folder begins anew.
    assert json.loads((tmp_path / "demo" / "demo.json").read_text())["finished"] is True
