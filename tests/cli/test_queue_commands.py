"""``postwright queue``: seen, suspended, flushed and failed from the command line."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from mailtypes.clock import HOUR, SystemClock
from postwright.store import routes
from postwright.store.database import Database
from postwright.store.public_ids import delivery_id
from postwright.store.records import table

Command = Callable[..., Any]
HERE = ("--destination", "mx.example.test")


@pytest.fixture
def queue(postwright: Command, tmp_path: Path) -> Command:
    """The command in an install where two mails are ready and one is deferred."""
    (file,) = tmp_path.rglob("*.db")

    def fill(connection: Connection) -> None:
        now = SystemClock().now()
        for name, provider in (("mx.example.test", "example.test"), ("mx.idle.test", "idle.test")):
            routes.save_destination(connection, 1, name, provider, ((name,),))
        rows = [
            {
                "run_id": 1, "id": delivery_id(1, number), "workspace_id": 1, "address": f"p{number}@example.test",
                "address_key": f"p{number}@example.test", "domain": "example.test", "variant": 0, "merge_data": "{}",
                "state": state, "deferrals": int(state == "deferred"), "destination_id": 1, "queued_at": now,
                "expires_at": now + HOUR, "next_attempt_at": now + (HOUR if state == "deferred" else 0),
                "reply_code": 450, "reply_text": "4.2.0 \x1b[31mlater",
            }
            for number, state in enumerate(("ready", "ready", "deferred", "delivered"), start=1)
        ]  # fmt: skip
        connection.execute(table("delivery").insert(), rows)

    async def work() -> None:
        database = Database(f"sqlite:///{file}", SystemClock())
        await database.write(fill)
        await database.close()

    asyncio.run(work())
    return partial(postwright, "queue")


def test_what_waits_is_listed(queue: Command) -> None:
    (found,) = queue("list", "--json").objects
    assert (found["destination"], found["provider"], found["state"]) == ("mx.example.test", "example.test", "open")
    assert (found["ready"], found["deferred"], found["under_way"]) == (2, 1, 0)
    assert [one["destination"] for one in queue("list", "--all", "--json").objects] == [
        "mx.example.test",
        "mx.idle.test",
    ]
    table = queue("list").out
    assert "mx.example.test" in table
    assert "mx.idle.test" not in table


def test_one_destination_is_shown_with_its_last_word_in_plain_text(queue: Command) -> None:
    (found,) = queue("show", "mx.example.test", "--json").objects
    assert found["last_word"] == "450 4.2.0 \x1b[31mlater"
    assert found["domains"] == [{"domain": "example.test", "waiting": 3}]
    shown = queue("show", "mx.example.test").out
    assert "example.test, waiting: 3" in shown
    assert "\x1b" not in shown
    missing = queue("show", "mx.nowhere.test")
    assert (missing.code, "no such destination" in missing.err) == (66, True)


def test_suspend_and_resume(queue: Command) -> None:
    assert queue("suspend", *HERE, "--for", "2h", "--note", "they asked").out.strip() == "Suspended."
    (found,) = queue("list", "--json").objects
    assert (found["state"], found["reason"], found["until"] is not None) == ("suspended", "they asked", True)
    assert "they asked" in queue("list").out
    refused = queue("flush", *HERE)
    assert refused.code == 1
    assert "Resume it first" in refused.err
    assert queue("resume", *HERE).code == 0
    again = queue("resume", *HERE)
    assert (again.code, "is not suspended" in again.err) == (1, True)
    held = queue("suspend", "--domain", "Example.test")
    assert held.out.strip() == "Suspended; 3 deliveries are held."


def test_flush(queue: Command) -> None:
    assert queue("flush", *HERE).out.strip() == "1 deferred deliveries are due now."
    assert queue("flush", "--domain", "example.test").out.strip() == "0 deferred deliveries are due now."


def test_fail_asks_for_a_note_and_for_leave(queue: Command) -> None:
    assert queue("fail", *HERE, "--yes").code == 64
    assert queue("fail", *HERE, "--note", " ", "--yes").code == 1
    assert queue("list", "--json").objects[0]["ready"] == 2
    assert queue("fail", *HERE, "--note", "no longer true", "--yes").out.strip() == "3 deliveries failed."
    assert queue("list").out.strip() == "Nothing waits, and every destination is open."


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("suspend",), 1),
        (("suspend", *HERE, "--domain", "example.test"), 1),
        (("suspend", *HERE, "--for", "soon"), 1),
        (("suspend", *HERE, "--for", "0h"), 1),
        (("suspend", *HERE, "--for", "999d"), 1),
        (("suspend", "--domain", "not a domain"), 65),
        (("suspend", "--campaign", "No such"), 66),
        (("flush", "--destination", "mx.nowhere.test"), 66),
    ],
)
def test_what_cannot_be_done_is_told(queue: Command, arguments: tuple[str, ...], code: int) -> None:
    told = queue(*arguments)
    assert told.code == code, told.err
    assert told.err.strip()
