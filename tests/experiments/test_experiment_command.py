import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from postwright.cli.experiments import app

COUNTS = {
    "metric": "click",
    "variants": [
        {"name": "A [bold]", "successes": 100, "recipients": 1000, "complaints": 1},
        {"name": "B", "successes": 150, "recipients": 1000, "complaints": 1},
    ],
    "sizes": [1000, 1000],
    "seed": "run-1",
}


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def file_of(folder: Path, document: object) -> str:
    path = folder / "counts.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return str(path)


def test_power() -> None:
    found = json.loads(call("power", "--baseline", "0.02", "--lift", "0.2", "--json"))
    assert found["one_look"] == {"per_variant": 21_108, "total": 42_216}
    assert found["any_look"]["per_variant"] / found["one_look"]["per_variant"] == pytest.approx(
        found["price_of_looking"]
    )
    shown = call("power", "--baseline", "0.02", "--lift", "0.2", "--audience", "150000")
    assert "21,108 a variant" in shown
    assert "hours" in shown
    assert "assumed" in shown
    small = call("power", "--baseline", "0.02", "--lift", "0.2", "--audience", "10000")
    assert "cannot detect a lift of less than 59" in small
    assert "too small" in small
    assert "any lift" in call("power", "--baseline", "0.02", "--audience", "4")


def test_power_without_a_question() -> None:
    call("power", "--baseline", "0.02", code=2)
    assert "baseline" in call("power", "--baseline", "7", "--lift", "1", code=65)
    call("power", "--baseline", "0.1", "--audience", "1", code=65)


def test_decide(tmp_path: Path) -> None:
    path = file_of(tmp_path, COUNTS)
    shown = call("decide", path)
    assert "Winner: B." in shown
    assert "A [bold]" in shown
    assert "balanced" in shown
    found = json.loads(call("decide", path, "--json"))
    assert (found["verdict"], found["winner"]) == ("winner", "B")
    exported = call("decide", path, "--export")
    assert call("decide", file_of(tmp_path, exported), "--export") == exported


def test_not_yet_known_exits_with_two(tmp_path: Path) -> None:
    same = {"variants": [{**one, "successes": 100} for one in COUNTS["variants"]]}
    assert "Not yet known" in call("decide", file_of(tmp_path, same), code=2)


@pytest.mark.parametrize("text", ["", '{"variants": []}', '{"variants": [{"name": "A", "recipients": NaN}, {}]}'])
def test_bad_files(tmp_path: Path, text: str) -> None:
    call("decide", file_of(tmp_path, text), code=65)
    call("decide", str(tmp_path / "none.json"), code=66)


def test_simulate() -> None:
    words = ("simulate", "--baseline", "0.1", "--lift", "0", "--plan-lift", "0.3", "--trials", "40", "--json")
    assert call(*words) == call(*words)
    assert json.loads(call(*words))["trials"] == 40
    assert "right winner" in call("simulate", "--baseline", "0.1", "--plan-lift", "0.3", "--trials", "5")
    call("simulate", "--baseline", "0.6", "--lift", "0.9", "--trials", "5", code=65)
