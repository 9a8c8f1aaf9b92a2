"""Who asks the pages and the API, where a proxy stands in front of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from mailtypes.clock import ManualClock
from postwright.keyrings import write_new_key
from postwright.serving.http import create_app
from postwright.settings import DatabaseSettings, HttpSettings, KeySettings, Settings
from postwright.wiring.application import Application

OURS: Any = ("10.0.0.0/8", "192.0.2.9", "2001:db8::/32")


async def _who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.client.host if request.client else "nobody")


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Any]:
    """Asks an application behind ``OURS`` who it takes the client for."""
    names = ("master", "token", "return-path", "erasure")
    for name in names:
        write_new_key(tmp_path / f"{name}.key")
    settings = Settings.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{tmp_path}/postwright.db"),
        keys=KeySettings(**{f"{name.replace('-', '_')}_file": tmp_path / f"{name}.key" for name in names}),
        http=HttpSettings(trusted_proxies=OURS),
    )
    application = Application(settings, ManualClock())
    app = create_app(application)
    app.add_route("/who", _who)

    async def ask(peer: str, *forwarded: str) -> str:
        transport = httpx.ASGITransport(app, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/who", headers=[("X-Forwarded-For", one) for one in forwarded])).text

    yield ask
    await application.close()


async def test_only_a_trusted_proxy_is_believed_and_only_about_the_last_it_did_not_write_itself(asked: Any) -> None:
    assert HttpSettings().trusted_proxies == ()  # not even one on this machine
    for peer, forwarded, who in (
        ("127.0.0.1", ["203.0.113.9"], "127.0.0.1"),
        ("192.0.2.8", ["203.0.113.9"], "192.0.2.8"),
        ("192.0.2.9", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:192.0.2.9", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["6.6.6.6, 203.0.113.9, 2001:db8::7"], "203.0.113.9"),
        ("10.1.2.3", ["6.6.6.6", "203.0.113.9", "10.0.0.7"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9, not an address"], "10.1.2.3"),
        ("10.1.2.3", ["10.0.0.4, 10.0.0.5"], "10.0.0.4"),
        ("10.1.2.3", [f"6.6.6.6{', 10.0.0.1' * 4000}"], "10.0.0.1"),  # bounded, and no further than our own
        ("10.1.2.3", [], "10.1.2.3"),
    ):
        assert await asked(peer, *forwarded) == who, (peer, forwarded)
