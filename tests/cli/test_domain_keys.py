import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_rotating_prints_the_new_keys_alone(postwright: Command, tmp_path: Path) -> None:
    assert postwright("domain", "rotate", "news.acme.test").code == 66
    postwright("domain", "add", "news.acme.test")
    early = postwright("domain", "rotate", "news.acme.test")
    assert early.code == 1
    assert "not in use yet: pw1" in early.err
    (file,) = tmp_path.rglob("*.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE dkim_key SET state = 'active'")
    made = postwright("domain", "rotate", "news.acme.test", "--ed25519", "--json")
    assert made.code == 0, made.err
    assert [one["name"].partition(".")[0] for one in made.objects] == ["pw2", "pw2-ed25519"]
    found = postwright("domain", "keys", "news.acme.test", "--json")
    shown = [(one["selector"], one["algorithm"], one["state"], one["last_look"]) for one in found.objects]
    assert shown == [
        ("pw1", "rsa", "active", None),
        ("pw2", "rsa", "made", None),
        ("pw2-ed25519", "ed25519", "made", None),
    ]
    assert [one["record"] for one in found.objects[1:]] == [one["value"] for one in made.objects]
    assert "not looked at yet" in postwright("domain", "keys", "news.acme.test").out
