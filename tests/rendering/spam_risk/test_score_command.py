import json
from pathlib import Path

from typer.testing import CliRunner

from postwright.cli.app import app

TEMPLATE = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Hi {{ contact.first_name }}, here is what is new.</mj-text></mj-column></mj-section></mj-body></mjml>"""
SPAM = (
    "From: a@b.test\nSubject: MAKE MONEY FAST!!!\nContent-Type: text/html\n\n"
    "<p>ACT NOW!!! Earn extra income, no risk, satisfaction guaranteed! Call now, toll free.</p>\n"
)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["score", *arguments])
    return result.exit_code, result.output


def test_a_message_is_scored(tmp_path: Path) -> None:
    file = tmp_path / "spam.eml"
    file.write_text(SPAM)
    code, output = run(str(file), "--json")
    document = json.loads(output)
    assert code == 0
    assert document["score"] == 10
    assert document["band"] == "high"
    reason = document["reasons"][0]
    assert set(reason) == {"code", "block", "weight", "place", "sentence", "mend", "is_calibrated"}
    assert document["unknown"]
    assert run(str(file), "--json", "--fail-on", "high")[0] == 1
    code, table = run(str(file))
    assert "10.0 of 10, high" in table
    assert "no forecast of the inbox" in table


def test_a_template_is_scored_with_sample_data_and_compared(tmp_path: Path) -> None:
    template, data, old = tmp_path / "news.mjml", tmp_path / "data.json", tmp_path / "old.eml"
    template.write_text(TEMPLATE)
    data.write_text('{"contact": {"first_name": "Viagra"}}')
    old.write_text(SPAM)
    arguments = (str(template), "--subject", "For {{ contact.first_name }}", "-d", str(data), "--earlier", str(old))
    code, output = run(*arguments, "--json")
    document = json.loads(output)
    assert code == 0
    assert document["band"] != "high"
    pharmacy = next(reason for reason in document["reasons"] if reason["code"] == "wording-pharmacy")
    assert pharmacy["place"] == {"part": "subject", "line": 1, "column": 5, "excerpt": "Viagra"}
    assert document["changes"]["compared"] == 1
    assert document["changes"]["difference"] < -5
    assert "wording-earnings" in document["changes"]["gone"]
    assert "Against 1 earlier" in run(*arguments)[1]


def test_wrong_input_is_told(tmp_path: Path) -> None:
    no_mail, data = tmp_path / "x.eml", tmp_path / "data.json"
    no_mail.write_text("no mail")
    data.write_text("[1]")
    assert run(str(no_mail))[0] == 65
    assert run(str(tmp_path / "missing.eml"))[0] == 66
    assert run(str(no_mail), "--data", str(data))[0] == 65
    assert run(str(no_mail), "--fail-on", "low")[0] != 0
