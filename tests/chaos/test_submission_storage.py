"""A full disk while clients submit: told to try again, nothing of it kept, and what was acknowledged is there."""

import asyncio
import email.policy
import smtplib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from mailtypes.clock import SystemClock
from mta.submission.server import SubmissionGate, SubmissionServer
from postwright.install.initialise import initialise
from postwright.services.accounts import KeyScope
from postwright.serving.http import create_app
from postwright.settings import read_settings
from postwright.store import domains
from postwright.wiring.application import Application

SENDER = "orders@news.acme.test"
FILLER = "The parcel has left the orchard.\n" * 300


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    done = await initialise(tmp_path / "postwright.toml", "admin@acme.test", "main", SystemClock())
    one = Application.open(read_settings(tmp_path / "postwright.toml"))
    domain = await one.sender_domains.add(done.workspace_id, "news.acme.test")
    now = one.clock.now()
    await one.database.write(lambda connection: domains.save_audit(connection, domain.id, "verified", "{}", now))
    yield one
    await one.close()


@pytest.fixture
async def key(application: Application) -> str:
    return (await application.accounts.create_key(1, "test", frozenset({KeyScope.SEND})))[1]


@pytest.fixture
def room(application: Application) -> Callable[[int | None], None]:
    """``room(pages)`` bounds the database's file, as a full disk does; ``room(None)`` makes space again."""

    def bound(pages: int | None) -> None:
        def set_limit(connection: Connection) -> None:
            size = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {1 << 30 if pages is None else size + pages}"))

        application.database._writer.submit(set_limit).result()

    return bound


async def stored(application: Application) -> set[str]:
    """The subjects of what can be sent: message, content and delivery are there."""
    statement = text(
        "SELECT m.subject FROM message m JOIN blob b ON b.id = m.blob_id"
        " JOIN delivery d ON d.run_id = m.run_id AND d.message_id = m.id WHERE b.size = length(b.content)"
    )
    rows = await application.database.read(lambda connection: connection.execute(statement).scalars().all())
    counts = await application.database.read(
        lambda connection: connection.execute(
            text("SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM blob), (SELECT count(*) FROM delivery)")
        ).one()
    )
    assert set(counts) == {len(rows)}, "a message is stored in part"
    assert len(rows) == len(set(rows))
    return set(rows)


async def test_by_smtp(application: Application, key: str, room: Callable[[int | None], None]) -> None:
    server = SubmissionServer(SubmissionGate(application.smtp_submissions, "mx.acme.test"))
    port = await server.start("127.0.0.1", 0)

    def submit(client: smtplib.SMTP, number: int) -> int:
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"], message["To"], message["Subject"] = SENDER, "a@example.test", f"Order {number}"
        message.set_content(f"{number}\n{FILLER}")
        client.mail("shop@acme.test")
        client.rcpt("a@example.test")
        return client.data(message.as_bytes())[0]

    def session(numbers: range) -> dict[int, int]:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.login("any", key)
            return {number: submit(client, number) for number in numbers}

    try:
        assert await asyncio.to_thread(session, range(1)) == {0: 250}
        room(20)
        codes = await asyncio.to_thread(session, range(1, 30))
        assert set(codes.values()) in ({250, 452}, {250, 451}), codes
        acknowledged = {0, *(number for number, code in codes.items() if code == 250)}
        assert await stored(application) == {f"Order {number}" for number in acknowledged}
        room(None)
        assert await asyncio.to_thread(session, range(100, 101)) == {100: 250}  # the same process goes on
        assert await stored(application) == {f"Order {number}" for number in acknowledged | {100}}
    finally:
        await server.close_with_421(timedelta(seconds=1))


async def test_by_http(application: Application, key: str, room: Callable[[int | None], None]) -> None:
    transport = httpx.ASGITransport(create_app(application), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

        async def submit(number: int) -> int:
            answer = await client.post(
                "/v1/messages",
                headers={"Idempotency-Key": f"order-{number}"},
                json={"from": SENDER, "to": ["a@example.test"], "subject": f"Order {number}", "text": FILLER},
            )
            if answer.status_code in (503, 507):
                assert answer.headers["content-type"] == "application/problem+json"
            return answer.status_code

        assert await submit(0) == 202
        room(20)
        statuses = {number: await submit(number) for number in range(1, 30)}
        assert set(statuses.values()) in ({202, 503}, {202, 507}), statuses
        acknowledged = {number for number, status in statuses.items() if status == 202} | {0}
        assert await stored(application) == {f"Order {number}" for number in acknowledged}
        room(None)
        refused = next(number for number, status in statuses.items() if status != 202)
        assert await submit(refused) == 202  # under the same key: a failure is not kept as the answer
        assert await stored(application) == {f"Order {number}" for number in acknowledged | {refused}}
