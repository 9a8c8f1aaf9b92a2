"""Reports that come by SMTP: through the real listener into the store, before the answer to the final dot."""

import smtplib
from asyncio import to_thread
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mta.inbound import InboundLimits, RecipientDecision, ReturnPathHandler, ReturnPathServer
from postwright.services.incoming_mail import IncomingMail
from postwright.services.reports import Reports

ADDRESS = "reports@bounce.news.acme.test"
REPORT = """From: TLS <tls@isp.test>
Message-ID: <m2@isp.test>
Content-Type: application/tlsrpt+json

{"organization-name": "Isp", "report-id": "t-9", "policies": [{"policy": {"policy-type": "sts",
"policy-domain": "news.acme.test"}, "summary": {"total-successful-session-count": 2,
"total-failure-session-count": 0}}]}
"""


@pytest.fixture
async def port(world: Any) -> AsyncIterator[int]:
    await world.sender_domains.add(world.workspace, "news.acme.test")
    incoming = IncomingMail(world.bounces, Reports(world.database, world.clock), "reports")
    handler = ReturnPathHandler(incoming.take, incoming.decide, InboundLimits(message_octets=5_000))
    server = ReturnPathServer(handler, "mx.postwright.test")
    yield await server.start("127.0.0.1", 0)
    await server.close_with_421()


async def send(port: int, rcpt: list[str], message: str) -> Any:
    def talk() -> Any:
        with smtplib.SMTP("127.0.0.1", port, "mx.isp.test", timeout=10) as client:
            return client.sendmail("tls@isp.test", rcpt, message)

    return await to_thread(talk)


def kinds(world: Any) -> list[str]:
    return [row[0] for row in world.rows("SELECT kind FROM received_report ORDER BY id")]


async def test_a_report_is_stored_once_however_often_it_comes(world: Any, port: int) -> None:
    # The domain is newer than what the listener remembers.
    assert await send(port, [ADDRESS, "Reports@Bounce.news.acme.test"], REPORT) == {}
    await send(port, [ADDRESS], REPORT.replace("m2", "m3"))
    assert kinds(world) == ["tls"]


async def test_what_is_no_report_is_kept(world: Any, port: int) -> None:
    await send(port, [ADDRESS], "Subject: hello\n\nIs anybody there?\n")
    assert kinds(world) == ["unread"]
    ((content,),) = world.rows("SELECT content FROM blob")
    assert b"Is anybody there?" in content


async def test_size_and_relaying_are_refused(world: Any, port: int) -> None:
    with pytest.raises(smtplib.SMTPException) as large:
        await send(port, [ADDRESS], "Subject: x\n\n" + "x\n" * 4_000)
    assert "552" in str(large.value)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await send(port, ["reports@stranger.test"], REPORT)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await send(port, ["postmaster@bounce.news.acme.test"], REPORT)
    assert kinds(world) == []


async def test_without_a_local_part_no_reports_are_taken(world: Any) -> None:
    await world.sender_domains.add(world.workspace, "news.acme.test")
    await world.bounces.refresh_hosts()
    incoming = IncomingMail(world.bounces, Reports(world.database, world.clock), "")
    assert await incoming.decide(ADDRESS) is RecipientDecision.UNKNOWN
    assert await incoming.decide("@bounce.news.acme.test") is RecipientDecision.UNKNOWN
