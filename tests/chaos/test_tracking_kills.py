"""kill -9 of the tracking role under load: every click and unsubscribe that was answered is in the log, each once.

A round is one kill; several rounds meet the same log. Two seeded rounds; ``make chaos`` does fifty (CHAOS_ROUNDS).
"""

import asyncio
import base64
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailtypes.clock import ManualClock
from postwright.sandbox.ports import free_ports
from postwright.settings import CONFIG_VARIABLE
from tests.services.conftest import World, make_cheap
from tracking.tokens import TokenKind, make

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
ROUNDS_A_LOG = min(5, ROUNDS)
PEOPLE = 120
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
log_level = "warning"
[database]
url = "{url}"
[keys]
token_file = "{folder}/token.key"
[track]
port = {port}
"""


@contextmanager
def serving(config: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role", "track"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        env={**os.environ, CONFIG_VARIABLE: str(config), "PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        assert process.poll() is None
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdin
        process.stdin.close()


class Load:
    """Clients that click and unsubscribe until the server is gone; they count what was asked and what was answered."""

    def __init__(self, port: int, links: list[tuple[int, str]], unsubscribes: list[tuple[int, str]]) -> None:
        self.port, self.links, self.unsubscribes = port, links, unsubscribes
        self.asked: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.gone: set[int] = set()
        self._lock = threading.Lock()

    def run(self, seed: int) -> None:
        chance = random.Random(seed)
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
                while True:
                    self._once(connection, chance)
        except (OSError, http.client.HTTPException):
            return

    def _once(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        if chance.random() < 0.05:
            who, path = chance.choice(self.unsubscribes)
            connection.request("POST", path, b"List-Unsubscribe=One-Click")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                with self._lock:
                    self.gone.add(who)
            return
        who, path = chance.choice(self.links)
        with self._lock:
            self.asked[who] += 1
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302
        with self._lock:
            self.answered[who] += 1


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(ROUNDS // ROUNDS_A_LOG))
async def test_what_was_answered_is_kept(number: int, tmp_path: Path, monkeypatch: Any, told: Any) -> None:
    chance = random.Random(number)
    make_cheap(monkeypatch)
    world = await World(tmp_path, ManualClock(time.time_ns() // 1000)).begin()
    await world.sending("".join(f"p{one}@example.test,P,en\n" for one in range(PEOPLE)))
    ids = [one.id for one in await world.leased(PEOPLE)]
    await world.database.close()
    assert len(ids) == PEOPLE
    links = [(one, f"/c/{make(TokenKind.CLICK, one, 1, world.token_keys)}") for one in ids]
    unsubscribes = [(one, f"/u/{make(TokenKind.UNSUBSCRIBE, one, 0, world.token_keys)}") for one in ids]
    (tmp_path / "token.key").write_text(f"1 {base64.b64encode(b't' * 32).decode()}\n", "ascii")
    (tmp_path / "token.key").chmod(0o600)
    (port,) = free_ports(1)
    config = tmp_path / "postwright.toml"
    config.write_text(CONFIG.format(url=world.url, folder=tmp_path, port=port), "utf-8")
    load = Load(port, links, unsubscribes)
    for kill in range(ROUNDS_A_LOG):
        with serving(config, port) as process:
            clients = [threading.Thread(target=load.run, args=(kill * 10 + one,)) for one in range(6)]
            for client in clients:
                client.start()
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            process.kill()
            for client in clients:
                client.join(30)
    assert sum(load.answered.values()) > 50
    with serving(config, port):
        for _ in range(300):
            await asyncio.sleep(0.2)
            if len(os.listdir(tmp_path / "track")) == 1:  # its own
                break
    assert os.listdir(tmp_path / "track") == []
    clicks = Counter(row[0] for row in world.rows("SELECT delivery_id FROM event WHERE kind = 'clicked'"))
    for one in ids:
        assert load.answered[one] <= clicks[one] <= load.asked[one]
    stopped = {row[0] for row in world.rows("SELECT address_key FROM suppression")}
    asked = {row[0]: row[1] for row in world.rows("SELECT id, address_key FROM delivery")}
    assert {asked[one] for one in load.gone} <= stopped
    told({"kills while people click": ROUNDS_A_LOG, "clicks answered and kept": sum(load.answered.values())})
    print(f"{sum(load.answered.values())} clicks answered, {sum(clicks.values())} kept, {len(load.gone)} unsubscribed")
