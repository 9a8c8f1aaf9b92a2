"""``postwright bounce classify``: lines, tables, exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from postwright.cli.bounce import app
from postwright.cli.exit_codes import Exit

BOUNCE = """From: MAILER-DAEMON@mx.test
Subject: failure notice

<a@b.test>: host mx said: 550 5.1.1 user unknown (in reply to RCPT TO command)

<c@d.test>: host mx said: 452 4.2.2 full (in reply to RCPT TO command)

Message-ID: <no@header>
"""
ANSWER = "From: a@b.test\nSubject: Automatic reply\n\naway\n"
OTHER = "From: a@b.test\nSubject: hello\n\nhow are you?\n"
COMPLAINT = """From: fbl@p.test
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
--b
Content-Type: message/rfc822

Message-ID: <id@ours.test>

x
--b--
"""


@pytest.fixture
def run(tmp_path: Path):
    def classify(*texts: str, as_json: bool = True):
        files = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.eml"
            path.write_text(text, "utf-8")
            files.append(str(path))
        result = CliRunner().invoke(app, ["classify", *files, *(["--json"] if as_json else [])])
        rows = [json.loads(line) for line in result.stdout.splitlines()] if as_json else []
        return result, rows

    return classify


def test_one_object_a_recipient(run) -> None:
    result, (first, second) = run(BOUNCE)
    assert result.exit_code == Exit.OK
    wanted = ("n", "recipient", "dsn", "reply_code", "reason", "permanent", "recipient_dead")
    assert [first[key] for key in wanted] == [0, "a@b.test", "5.1.1", 550, "user_unknown", True, True]
    assert [second[key] for key in wanted] == [1, "c@d.test", "4.2.2", 452, "mailbox_full", False, False]
    assert first["file"].endswith("0.eml")
    assert first["evidence"].startswith("status 5.1.1")
    assert (first["blames"], first["kind"], first["action"]) == ("recipient", "bounce", "failed")


def test_complaints_and_automatic_answers_are_told(run) -> None:
    result, (complaint, answer) = run(COMPLAINT, ANSWER)
    assert result.exit_code == Exit.OK
    assert (complaint["recipient"], complaint["reason"], complaint["message_id"]) == (
        None,
        "complaint",
        "<id@ours.test>",
    )
    assert (answer["recipient"], answer["reason"], answer["kind"]) == ("a@b.test", "auto_reply", "auto_reply")
    assert not answer["recipient_dead"]


@pytest.mark.parametrize(
    ("texts", "code"),
    [((BOUNCE, OTHER), Exit.UNKNOWN), ((BOUNCE, OTHER, ""), Exit.REFUSED), (("no mail",), Exit.REFUSED)],
)
def test_exit_codes(run, texts: tuple[str, ...], code: Exit) -> None:
    result, rows = run(*texts)
    assert result.exit_code == code
    assert len({row["file"] for row in rows}) == len(texts)


def test_a_mailbox_counts_through(run) -> None:
    _, rows = run("\n".join(f"From x@y Thu Jan 1 2015\n{mail}" for mail in (BOUNCE, ANSWER)))
    assert [(row["n"], row["kind"]) for row in rows] == [(0, "bounce"), (1, "bounce"), (2, "auto_reply")]


def test_a_table_for_people(run) -> None:
    result, _ = run(BOUNCE, as_json=False)
    assert "a@b.test" in result.stdout
    assert "user_unknown" in result.stdout


def test_a_file_that_is_not_there() -> None:
    assert CliRunner().invoke(app, ["classify", "/nowhere.eml"]).exit_code == Exit.NOT_FOUND
