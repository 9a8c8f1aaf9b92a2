"""kill -9 while clients submit by SMTP and HTTP: what was answered 250 or 202 is stored, whole, and once.

A round is one kill; several rounds meet the same install, on SQLite and on PostgreSQL in turns. Two seeded rounds;
``make chaos`` does fifty (CHAOS_ROUNDS). At an install's end all is killed once more, and what is stored then counts.
Each client goes on with the message that got no answer, under the same idempotency key, until it has one.
"""

import contextlib
import email.policy
import os
import random
import smtplib
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from postwright.settings import read_settings
from postwright.store.public_ids import read_public_id

SENDER = "orders@news.acme.test"
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
ROUNDS_AN_INSTALL = min(5, ROUNDS)
MESSAGES = 40  # at least, before the last kill and after it
LONGEST_WAIT = 60.0


@dataclass
class Clients:
    """Threads that submit without end; ``acknowledged`` maps what each message says to the id that it got."""

    smtp_port: int
    url: str
    key: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    unanswered: int = 0
    faults: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def begin(self, number: int) -> list[threading.Thread]:
        kinds = [self._by_smtp, self._by_smtp, self._by_http]
        threads = [
            threading.Thread(target=self._work, args=(kinds[one % len(kinds)], one), daemon=True)
            for one in range(number)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _work(self, submit: Callable[[str], str | None], worker: int) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            token = f"order-{worker}-{number}"
            while not self.stopping.is_set():
                try:
                    found = submit(token)
                except (OSError, smtplib.SMTPException, httpx.TransportError):
                    self.unanswered += 1
                    found = None
                    time.sleep(0.05)
                if found is not None:
                    self.acknowledged[token] = found
                    break

    def _by_smtp(self, token: str) -> str | None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, recipient(token), f"Your {token}"
        message["X-Postwright-Idempotency-Key"] = token
        message.set_content(content(token))
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20) as client:
            client.login("any", self.key)
            client.mail("shop@acme.test")
            client.rcpt(recipient(token))
            code, text = client.data(message.as_bytes(policy=email.policy.SMTP))
        if code == 250:
            return text.decode().split()[3].rstrip(",")
        if code not in (421, 451, 452):
            self.faults.append(f"{token}: {code} {text!r}")
        return None

    def _by_http(self, token: str) -> str | None:
        answer = httpx.post(
            f"{self.url}/v1/messages",
            headers={"Authorization": f"Bearer {self.key}", "Idempotency-Key": token},
            json={"from": SENDER, "to": [recipient(token)], "subject": f"Your {token}", "text": content(token)},
            timeout=20,
        )
        if answer.status_code == 202:
            return str(answer.json()["id"])
        if answer.status_code not in (409, 503):
            self.faults.append(f"{token}: {answer.status_code} {answer.text}")
        return None


def recipient(token: str) -> str:
    return f"reader.{token}@mailhub.test"


def content(token: str) -> str:
    return "".join(f"{token} has left the orchard, line {line}.\n" for line in range(40))


def stored(here: Any) -> dict[int, tuple[str, bytes, int, int]]:
    """Message id -> (subject, content, deliveries, accepted events)."""
    statement = """
        SELECT m.id, m.subject, b.content,
               (SELECT count(*) FROM delivery d WHERE d.run_id = m.run_id AND d.message_id = m.id),
               (SELECT count(*) FROM event e WHERE e.delivery_id = m.id AND e.kind = 'accepted')
        FROM message m JOIN blob b ON b.id = m.blob_id"""
    if here.postgres_url is None:
        assert here.ask("PRAGMA integrity_check") == [("ok",)]
    return {row[0]: tuple(row[1:]) for row in here.ask(statement)}


def kill_smtp(theatre: Any) -> None:
    theatre.kill(*theatre.tree()["smtp"])


def kill_http(theatre: Any) -> None:
    theatre.kill(*theatre.tree()["http"])


def kill_tree(theatre: Any) -> None:
    theatre.kill_tree()
    theatre.stage.start()


KILLS: Mapping[str, Callable[[Any], None]] = {"tree": kill_tree, "smtp": kill_smtp, "http": kill_http}


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(ROUNDS // ROUNDS_AN_INSTALL))
def test_what_was_acknowledged_is_there(number: int, theatre: Any, told: Any) -> None:
    chance = random.Random(1000 + number)
    here = theatre(10, chance, "postgresql" if number % 2 else "sqlite")
    with closing(here.job()) as job:
        job.verify_domain()
    settings = read_settings(here.stage.folder / "postwright.toml")
    clients = Clients(settings.submission.port, here.stage.url, here.stage.notes.api_key)
    first = number * ROUNDS_AN_INSTALL
    kinds = [list(KILLS)[(first + index) % len(KILLS)] for index in range(ROUNDS_AN_INSTALL)]
    chance.shuffle(kinds)
    threads = clients.begin(6)
    try:
        for kind in kinds:
            here.wait_until_whole()
            before = len(clients.acknowledged)
            here.wait_until(lambda before=before: len(clients.acknowledged) >= before + MESSAGES, LONGEST_WAIT)
            time.sleep(chance.uniform(0, 0.1))
            print(f"install {number}: killing {kind} with {len(clients.acknowledged)} acknowledged")
            KILLS[kind](here)
        here.wait_until_whole()
        before = len(clients.acknowledged)
        here.wait_until(lambda: len(clients.acknowledged) >= before + MESSAGES, LONGEST_WAIT)
    finally:
        clients.stopping.set()
        for thread in threads:
            thread.join(30)
    here.kill_tree()  # nothing was said goodbye to: what is on the disk now has to do

    found = stored(here)
    assert clients.faults == []
    assert clients.unanswered > 0, "no client noticed: nothing was killed under load"
    for token, identity in clients.acknowledged.items():
        subject, octets, deliveries, events = found[read_public_id(identity, "sub")]
        assert subject == f"Your {token}"
        assert content(token).replace("\n", "\r\n").encode() in octets, f"{token} is not whole"
        assert (deliveries, events) == (1, 1)
    subjects = [subject for subject, *_ in found.values()]
    assert len(subjects) == len(set(subjects)), "a message that was tried again was stored twice"
    told({"kills while clients submit": len(kinds) + 1, "messages acknowledged and stored": len(clients.acknowledged)})
    print(f"install {number}: {len(clients.acknowledged)} acknowledged, {clients.unanswered} tries without an answer")


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_what_was_acknowledged_is_delivered_after_a_restart(theatre: Any) -> None:
    here = theatre(10, random.Random(5))
    with closing(here.job()) as job:
        job.verify_domain()
    settings = read_settings(here.stage.folder / "postwright.toml")
    clients = Clients(settings.submission.port, here.stage.url, here.stage.notes.api_key)
    threads = clients.begin(3)
    here.wait_until(lambda: len(clients.acknowledged) >= 20, LONGEST_WAIT)
    here.kill_tree()
    clients.stopping.set()
    for thread in threads:
        thread.join(30)
    here.stage.start()
    wanted = {recipient(token) for token in clients.acknowledged}
    with contextlib.suppress(AssertionError):
        here.wait_until(lambda: wanted <= here.copies().keys(), LONGEST_WAIT)
    missing = wanted - here.copies().keys()
    assert missing == set()
    assert {dkim for held in here.copies().values() for _, _, dkim in held} == {"pass"}
    assert here.stage.stop_server() == 0
