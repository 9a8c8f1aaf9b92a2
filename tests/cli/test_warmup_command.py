import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from postwright.cli.warmup import app


def _run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def _documents(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _run(*words, "--json").splitlines()]


def test_plans_side_by_side() -> None:
    shown = _run("plan", "postmark", "--table", "10 20 40", "--volume", "30")
    assert "own table" in shown
    documents = _documents("plan", "--volume", "50000", "--days", "30")
    assert [one["plan"] for one in documents] == ["reach 50,000 in 30 days"]
    assert documents[0]["daily_caps"][-1] == 50_000
    assert documents[0]["days_to_volume"] == 30
    assert [one["plan"] for one in _documents("plan")] == ["sendgrid", "billionmail", "postmark", "ipost"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", "nobody"), 65),
        (("plan", "--table", "100 50"), 65),
        (("plan", "--days", "30"), 2),
        (("plan", "--chart", "x.gif"), 2),
        (("simulate", "--temper", "angry"), 65),
        (("simulate", "--sender", "spammer"), 65),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], code: int) -> None:
    _run(*words, code=code)


def test_policies_compared() -> None:
    words = ("simulate", "--temper", "strict", "--sender", "clean", "--seeds", "2", "--days", "20", "--volume", "5000")
    documents = _documents(*words)
    assert [one["policy"] for one in documents if one["kind"] == "summary"] == [
        "table",
        "doubling",
        "listening",
        "listening-doubling",
    ]
    (duel,) = [one for one in documents if one["kind"] == "duel"]
    assert (duel["first"], duel["second"], duel["runs"]) == ("listening", "table", 2)
    assert documents == _documents(*words)  # the same seeds, the same figures
    assert "listening less table" in _run(*words)


def test_one_run_as_a_chart(tmp_path: Path) -> None:
    words = ("simulate", "--sender", "bad_import", "--days", "30", "--provider", "google", "--chart")
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    documents = _documents(*words, str(first))
    assert "hard bounces" in _run(*words, str(second))
    assert first.read_bytes() == second.read_bytes()
    assert len([one for one in documents if one["kind"] == "day"]) == 30
    assert any(one["action"] == "pause" for one in documents if one["kind"] == "decision")
    _run("plan", "--chart", str(tmp_path / "plans.png"), "--theme", "dark")
    assert (tmp_path / "plans.png").read_bytes()[:4] == b"\x89PNG"


def test_sensitivity() -> None:
    words = ("simulate", "--sensitivity", "--sender", "clean", "--seeds", "2", "--days", "6", "--volume", "2000")
    documents = _documents(*words)
    assert {one["kind"] for one in documents} == {"sensitivity"}
    assert "as they are" in _run(*words)
