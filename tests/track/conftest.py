"""The ASGI application over the services of one install, and a client that speaks ASGI and nothing else."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mailtypes.clock import ManualClock
from postwright.services.preferences import Preferences
from postwright.services.sign_ups import SignUps
from postwright.track.asgi import TrackApplication
from postwright.track.recipient_desk import RecipientDesk
from tests.services.conftest import World, make_cheap
from tracking.tokens import TokenKind, make


@dataclass
class Answer:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Visitor:
    """Asks the application; counts what happened in the log."""

    world: World
    application: TrackApplication
    delivery: Any = None
    tokens: dict[str, str] = field(default_factory=dict)

    async def __call__(
        self, method: str, path: str, body: Sequence[bytes] = (), content_type: str = "", **scope: Any
    ) -> Answer:
        waiting = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        waiting.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", content_type.encode())] if content_type else []
        asked = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", **scope}
        await self.application(asked, receive, send)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        named = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        assert len(dict(named)) == len(named)
        assert all(name == name.lower() for name, _ in named)
        answer = Answer(sent[0]["status"], dict(named), sent[1]["body"])
        if method != "HEAD":
            assert int(answer.headers["content-length"]) == len(answer.body)
        return answer

    def happened(self) -> list[str]:
        kinds = "('opened', 'clicked', 'unsubscribed')"
        return [row[0] for row in self.world.rows(f"SELECT kind FROM event WHERE kind IN {kinds} ORDER BY id")]

    def is_suppressed(self) -> bool:
        return bool(self.world.rows("SELECT 1 FROM suppression"))


@pytest.fixture
async def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visitor]:
    make_cheap(monkeypatch)
    world = await World(tmp_path, ManualClock()).begin()
    await world.sending("dana@example.test,דנה,he\n", from_name="Acme & <b>Sons</b>", list_name="Gardeners")
    (delivery,) = await world.leased()
    sign_ups = SignUps(world.database, world.clock, world.token_keys, test_environment=True)
    desk = RecipientDesk(world.engagement, Preferences(world.database, world.clock), sign_ups)
    visitor = Visitor(world, TrackApplication(world.engagement, recipients=desk), delivery)
    kinds = {"o": TokenKind.PIXEL, "c": TokenKind.CLICK, "u": TokenKind.UNSUBSCRIBE, "p": TokenKind.PREFERENCES}
    for name, kind in kinds.items():
        visitor.tokens[name] = make(kind, delivery.id, int(name == "c"), world.token_keys)
    yield visitor
    await world.database.close()
