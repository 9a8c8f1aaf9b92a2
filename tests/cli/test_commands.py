import csv
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dns_checks.testing import Zone

Command = Callable[..., Any]
GOOD = """<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ contact.first_name }}</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


def contacts(folder: Path, content: str = "email,first_name\na@example.com,Ann\nnobody,Bo\nA@example.com,An\n") -> str:
    (folder / "contacts.csv").write_text(content)
    return "contacts.csv"


def template(folder: Path, text: str = GOOD) -> str:
    (folder / "spring.mjml").write_text(text)
    return "spring.mjml"


def test_init_is_safe_to_run_again(bare: Command, tmp_path: Path) -> None:
    first = bare("init", "--admin", "ada@acme.test")
    assert first.code == 0, first.err
    assert "ada@acme.test" in first.out
    files = {path: path.read_bytes() for path in [tmp_path / "postwright.toml", *(tmp_path / "keys").iterdir()]}
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        "erasure.key", "master.key", "return-path.key", "token.key",
    ]  # fmt: skip
    for path in (tmp_path / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    again = bare("init", "--admin", "somebody@else.test")
    assert again.code == 0
    assert "password" not in again.out
    assert "left as it is" in again.out
    assert {path: path.read_bytes() for path in files} == files
    assert [one["address"] for one in bare("user", "list", "--json").objects] == ["ada@acme.test"]


def test_without_an_install_commands_say_what_to_do(bare: Command) -> None:
    found = bare("domain", "list")
    assert found.code in (69, 78)
    assert "postwright init" in found.err


def test_an_unknown_key_in_the_configuration_is_named(postwright: Command, tmp_path: Path) -> None:
    with (tmp_path / "postwright.toml").open("a") as config:
        config.write("[http]\nprot = 1\n")
    for arguments in (("domain", "list"), ("doctor",), ("init",), ("serve",)):
        found = postwright(*arguments)
        assert (found.code, "http.prot" in found.err) == (78, True), arguments


def test_an_unknown_variable_is_named(postwright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTWRIGHT_HTPP__PORT", "1")
    found = postwright("user", "list")
    assert (found.code, "POSTWRIGHT_HTPP__PORT" in found.err) == (78, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",), ("domain", "nosuch"), ("--nosuch",), ("domain", "add"), ("import", "x.csv"),
        ("user", "add", "a@acme.test", "--role", "king"), ("apikey", "create", "x", "--scope", "all"),
        ("domain", "add", "a.test", "b.test"), ("serve", "--role", "x"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_exits_with_64(bare: Command, arguments: tuple[str, ...]) -> None:
    found = bare(*arguments)
    assert (found.code, found.out) == (64, "")
    assert "postwright --help" in found.err


def states(found: Any) -> dict[str, str]:
    return {one["check"]: one["state"] for one in found.objects}


def test_doctor_tells_good_bad_and_unknown(
    postwright: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = postwright("doctor", "--json")
    assert states(found) == {
        "keys": "good", "database": "good", "clock": "good", "disk": "good", "egress": "good",
        "dns": "unknown", "ehlo": "unknown", "signing": "good",
    }  # fmt: skip
    assert found.code == 2
    (tmp_path / "keys/master.key").chmod(0o644)
    found = postwright("doctor", "--json")
    assert (found.code, states(found)["keys"]) == (1, "bad")
    (tmp_path / "keys/master.key").write_text("")
    found = postwright("doctor", "--json")
    assert (found.code, states(found)["keys"], states(found)["database"]) == (1, "bad", "good")
    (tmp_path / "keys/master.key").unlink()
    assert states(postwright("doctor", "--json"))["keys"] == "bad"
    config = tmp_path / "postwright.toml"
    config.write_text(config.read_text().replace('ip = "127.0.0.1"', 'ip = "192.0.2.99"'))
    assert states(postwright("doctor", "--json"))["egress"] == "bad"
    with sqlite3.connect(tmp_path / "data/postwright.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'older'")
    assert states(postwright("doctor", "--json"))["database"] == "bad"


def test_doctor_in_words(postwright: Command) -> None:
    found = postwright("doctor")
    assert (found.code, len(found.out.splitlines())) == (2, 8)


def test_domains(postwright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    records = postwright("domain", "add", "news.acme.test", "--json")
    assert records.code == 0, records.err
    assert {"TXT", "MX", "CNAME"} <= {one["type"] for one in records.objects}
    zone = postwright("domain", "records", "news.acme.test", "--zone")
    Zone.parse(zone.out)
    assert len(zone.out.splitlines()) == len(records.objects)
    assert postwright("domain", "records", "news.acme.test").code == 0
    silent = postwright("domain", "verify", "news.acme.test", "--json")
    assert (silent.code, silent.objects[0]["verdict"], silent.objects[0]["state"]) == (2, "unknown", "pending")
    assert postwright("domain", "verify", "news.acme.test").code == 2
    for zone_text, code in (("", 1), (zone.out + "localhost.localdomain. 300 IN A 127.0.0.1\n", 0)):
        answers = Zone.parse(zone_text)

        async def ask(_: Any, question: Any, answers: Zone = answers) -> Any:
            return answers.answer(question)

        monkeypatch.setattr("dns_checks.driver.Resolver.ask", ask)
        found = postwright("domain", "verify", "news.acme.test", "--json")
        assert (found.code, found.objects[0]["state"]) == (code, "pending" if code else "verified"), found.out
    assert postwright("domain", "list", "--json").objects == [{"name": "news.acme.test", "state": "verified"}]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("add", "a..b"), 65, "^^"),
        (("records", "nobody.test"), 66, "sender domain"),
        (("verify", "nobody.test"), 66, "sender domain"),
    ],
)
def test_domains_that_are_refused(postwright: Command, arguments: tuple[str, ...], code: int, part: str) -> None:
    found = postwright("domain", *arguments)
    assert (found.code, part in found.err) == (code, True), found.err


def test_an_import_tells_line_and_reason(postwright: Command, tmp_path: Path) -> None:
    file = contacts(tmp_path)
    found = postwright("import", file, "--list", "Gardeners", "--json", "--report", "report.csv")
    (document,) = found.objects
    assert (found.code, document["created"], document["updated"], document["refused"]) == (0, 1, 0, 2)
    assert [(one["row_number"], one["code"]) for one in document["refusals"]] == [(3, "no_at_sign"), (4, "duplicate")]
    rows = list(csv.reader((tmp_path / "report.csv").read_text().splitlines()))
    assert rows[0] == ["line", "outcome", "value", "code", "reason", "suggestion"]
    assert [row[0] for row in rows[1:]] == ["3", "4"]
    same = postwright("import", file, "--list", "Gardeners")
    assert "was imported before" in same.out
    told = postwright("import", file, "--list", "Gardeners", "--again")
    assert "0 new, 1 known, 2 refused" in told.out
    assert "nobody" in told.out


def test_what_a_file_says_neither_formats_nor_steers_the_terminal(postwright: Command, tmp_path: Path) -> None:
    file = contacts(tmp_path, "email\n[/bold]x\n[red]y\n\x1b[2Jz\n\u202ez\n")
    found = postwright("import", file, "--list", "[/nothing]")
    assert found.code == 0, found.err
    assert "[/bold]x" in found.out
    assert "[red]y" in found.out
    assert "\x1b" not in found.out
    assert "\u202e" not in found.out


@pytest.mark.parametrize(
    ("make", "code", "part"),
    [
        (lambda path: None, 66, "no file"),
        (lambda path: path.mkdir(), 66, "folder"),
        (lambda path: path.write_bytes(b""), 1, "empty"),
        (lambda path: path.write_bytes(b"name\nx\n"), 1, "email"),
        (lambda path: path.write_bytes(b"email\n\xff\n"), 1, "Line 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_imported(postwright: Command, tmp_path: Path, make: Any, code: int, part: str) -> None:
    make(tmp_path / "x.csv")
    found = postwright("import", "x.csv", "--list", "Gardeners")
    assert (found.code, part in found.err) == (code, True), found.err


def test_a_broken_template_is_shown_with_a_caret(postwright: Command, tmp_path: Path) -> None:
    file = template(tmp_path, GOOD.replace("}}</mj-text>", "| nofilter }}</mj-text>"))
    found = postwright("template", "add", file, "--subject", "Hi")
    assert found.code == 65
    lines = found.err.splitlines()
    assert "line 1, column" in lines[0]
    caret = next(number for number, line in enumerate(lines) if line.strip().startswith("^"))
    shown = lines[caret - 1][lines[caret].index("^") : lines[caret].rindex("^") + 1]
    assert "nofilter" in shown
    assert postwright("template", "list", "--json").objects == []
    (tmp_path / "spring.mjml").write_bytes(b"\xff\xfe")
    assert postwright("template", "add", file, "--subject", "Hi").code == 65
    assert postwright("template", "add", "missing.mjml", "--subject", "Hi").code == 66


def test_a_template_has_versions(postwright: Command, tmp_path: Path) -> None:
    for number in (1, 2):
        found = postwright("template", "add", template(tmp_path), "--subject", f"Hi {number}", "--name", "[b]Spring")
        assert (found.code, f"version {number}" in found.out) == (0, True)
    assert postwright("template", "list", "--json").objects == [{"name": "[b]Spring", "version": 2, "subject": "Hi 2"}]


CREATE = ("--list", "Gardeners", "--template", "spring", "--from", "letter@news.acme.test")


def test_campaigns(postwright: Command, tmp_path: Path) -> None:
    postwright("domain", "add", "news.acme.test")
    postwright("import", contacts(tmp_path), "--list", "Gardeners")
    postwright("template", "add", template(tmp_path), "--subject", "Hi {{ contact.first_name }}")
    name = "Sale [/today]"
    assert postwright("campaign", "create", name, *CREATE).code == 0
    taken = postwright("campaign", "create", name, *CREATE)
    assert (taken.code, "already" in taken.err) == (1, True)
    checked = postwright("campaign", "preflight", name, "--json")
    assert (checked.code, checked.objects[0]["recipients"]) == (1, 1)
    assert [one["code"] for one in checked.objects[0]["blocking"]] == ["domain_not_verified"]
    assert "domain verify news.acme.test" in postwright("campaign", "preflight", name).out
    refused = postwright("campaign", "send", name)
    assert (refused.code, "not verified" in refused.err) == (1, True)
    with sqlite3.connect(tmp_path / "data/postwright.db") as database:
        database.execute("UPDATE sender_domain SET state = 'verified'")
    strange = template(tmp_path).replace("spring", "strange")
    Path(strange).write_text(Path(template(tmp_path)).read_text().replace("<mj-text>", '<mj-text colour="red">', 1))
    assert postwright("template", "add", strange, "--subject", "Hi", "--name", "spring").code == 0
    blocked = postwright("campaign", "preflight", name, "--json")
    assert (blocked.code, blocked.objects[0]["overridable"]) == (1, ["mjml-unknown-attribute"])
    overrule = ("campaign", "overrule", name, "mjml-unknown-attribute", "--as", "dana@acme.test", "--note")
    assert postwright(*overrule, " ").code == 1
    found = postwright(*overrule, "The colour does no harm.")
    assert (found.code, "Overruled by dana@acme.test" in found.out) == (0, True), found.err
    assert postwright("campaign", "withdraw", name, "mjml-unknown-attribute").code == 1
    assert postwright("campaign", "withdraw", name, "mjml-unknown-attribute").code == 66
    assert postwright(*overrule, "It really does not.").code == 0
    shown = postwright("campaign", "overrides", name, "--json").objects
    assert [(one["note"], one["withdrawn_by"] is None) for one in shown] == [
        ("It really does not.", True),
        ("The colour does no harm.", False),
    ]
    with sqlite3.connect(tmp_path / "data/postwright.db") as database:
        entries = database.execute("SELECT who, action FROM audit_entry WHERE way = 'cli' ORDER BY id").fetchall()
    assert [action for _, action in entries] == [
        f"postwright campaign {word}" for word in ("overrule", "withdraw", "overrule")
    ]
    assert entries[0][0] == "dana@acme.test"
    assert postwright("campaign", "preflight", name).code == 0
    assert postwright("campaign", "send", name).code == 0
    assert postwright("campaign", "send", name).code == 1
    (status,) = postwright("campaign", "status", name, "--json").objects
    assert (status["name"], status["state"], status["run"]) == (name, "sending", "preparing")
    for action, state in (("pause", "paused"), ("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        found = postwright("campaign", action, name)
        assert (found.code, state in found.out) == (0, True), found.err
    assert postwright("campaign", "resume", name).code == 1
    assert name in postwright("campaign", "status", name).out
    assert postwright("campaign", "list", "--json").objects[0]["state"] == "cancelled"
    assert name in postwright("campaign", "list").out
    compared = postwright("campaign", "compare", name, "--json").objects[0]
    assert {one["place"] for one in compared["measures"]} == {"unknown"}
    assert "Against the last 0 campaigns" in postwright("campaign", "compare", name).out
    assert postwright("statistics", "hours", "--json").objects[0]["verdict"] == "too_few"
    assert "Not enough data" in postwright("statistics", "hours", "--zone", "Asia/Jerusalem").out


def test_campaigns_that_are_refused(postwright: Command) -> None:
    found = postwright("campaign", "create", "x", *CREATE, "--subject", "a\nBcc: b@c.test", "--reply-to", "nobody")
    assert found.code == 1
    for part in (
        "subject, column 2",
        "There is no such list",
        "There is no such template",
        "reply_to",
        "domain add news.acme.test",
    ):
        assert part in found.err
    for action in ("preflight", "send", "pause", "resume", "cancel", "status"):
        missing = postwright("campaign", action, "nobody knows")
        assert (missing.code, "nobody knows" in missing.err) == (66, True)


def test_keys_are_shown_once_and_can_be_revoked(postwright: Command, tmp_path: Path) -> None:
    (made,) = postwright("apikey", "create", "shop", "--scope", "read", "--scope", "send", "--json").objects
    (listed,) = postwright("apikey", "list", "--json").objects
    assert (listed["name"], listed["scopes"], listed["state"]) == ("shop", "read send", "active")
    assert made["key"].startswith(listed["begins"])
    assert len(listed["begins"]) < 16
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert hashlib.sha256(made["key"].encode()).hexdigest().encode() in stored
    assert made["key"].encode() not in stored
    assert postwright("apikey", "revoke", listed["id"]).code == 0
    assert postwright("apikey", "list", "--json").objects[0]["state"] == "revoked"
    assert postwright("apikey", "revoke", listed["id"]).code == 66
    assert postwright("apikey", "revoke", "key_nonsense").code in (65, 66)


def test_people(postwright: Command) -> None:
    found = postwright("user", "add", "ben@acme.test", "--role", "viewer")
    assert (found.code, "shown once" in found.out) == (0, True)
    users = postwright("user", "list", "--json").objects
    assert users[-1] == {"address": "ben@acme.test", "role": "viewer"}
    refused = postwright("user", "add", "ben")
    assert (refused.code, "name@example.com" in refused.err) == (65, True)


def test_suppressions(postwright: Command, tmp_path: Path) -> None:
    assert "Suppressed" in postwright("suppress", "add", "a@example.com", "--reason", "[/b] asked").out
    assert "already" in postwright("suppress", "add", "A@example.com").out
    file = contacts(tmp_path, "email,reason\nb@example.com,left\nnobody,x\n")
    found = postwright("suppress", "import", file)
    assert "1 new, 1 refused" in found.out
    assert "line 3" in found.out
    addresses = [one["address"] for one in postwright("suppress", "list", "--json").objects]
    assert addresses == ["a@example.com", "b@example.com"]
    assert "[/b] asked" in postwright("suppress", "list").out
