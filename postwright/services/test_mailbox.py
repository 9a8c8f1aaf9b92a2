"""Where the mail of test keys ends: composed and signed like any other, kept instead of delivered."""

import asyncio
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from mailtypes.clock import Clock
from mailtypes.smtp import SmtpReply
from mta.connector import HostConnector
from mta.feedback_token import FeedbackKey
from mta.sessions import Course, Session
from mta.transmission import Attempt, Transmission, Verdict
from mta.verp import read_verp
from postwright.services.sending_places import TEST_MAILBOX
from postwright.store import blobs, messages
from postwright.store.database import Database
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import get_delivery

_KEPT = SmtpReply.of(250, "2.0.0 kept in the test mailbox")


class TestMailboxConnector:
    """Connects to the test mailbox where that is the destination, and else by ``onward``."""

    __test__ = False  # no test class, whatever its name begins with

    def __init__(self, onward: HostConnector, database: Database, clock: Clock, keys: Iterable[FeedbackKey]) -> None:
        self._onward = onward
        self._database = database
        self._clock = clock
        self._keys = tuple(keys)

    async def open(self, hosts: Sequence[str], *, verified_tls: bool = False) -> Session:
        """A session with the first of ``hosts`` that will have one; ``NoHostError`` where none will."""
        if tuple(hosts) == (TEST_MAILBOX,):
            return _TestMailboxSession(self._database, self._clock, self._keys)
        return await self._onward.open(hosts, verified_tls=verified_tls)


class _TestMailboxSession:
    """Takes everything and keeps it."""

    tls_version = ""
    remote = TEST_MAILBOX
    is_ready = True

    def __init__(self, database: Database, clock: Clock, keys: tuple[FeedbackKey, ...]) -> None:
        self.sent = 0
        self._database = database
        self._clock = clock
        self._keys = keys

    async def send_all(self, course: Course) -> None:
        """Keep what ``course`` gives, each durable before it counts as accepted."""
        while (transmission := course.next()) is not None:
            self.sent += 1
            try:
                attempt = await self._keep(transmission)
            except asyncio.CancelledError:
                course.settle(Attempt(Verdict.UNKNOWN, cause="interrupted while the message was being kept"))
                raise
            course.settle(attempt)

    async def _keep(self, transmission: Transmission) -> Attempt:
        delivery_id = read_verp(transmission.mail_from.partition("@")[0], self._keys)
        if delivery_id is None:
            return Attempt(Verdict.PERMANENT, cause="the return path names no delivery")
        now = self._clock.now()
        content = _as_composed(transmission.content)

        def keep(connection: Connection) -> None:
            delivery = get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
            assert delivery is not None  # a worker holds it
            blob_id = blobs.put_blob(connection, delivery.workspace_id, content, now)
            envelope = (transmission.mail_from, transmission.rcpt_to)
            messages.capture(connection, (delivery.workspace_id, delivery_id), envelope, blob_id, now)

        await self._database.write(keep)
        return Attempt(Verdict.ACCEPTED, _KEPT)

    async def quit(self) -> None:
        """There is nobody to part from."""

    def abort(self, cause: str) -> None:
        """There is nothing to close; a message that is being kept is kept or not by its transaction."""


def _as_composed(content: bytes) -> bytes:
    """Without the final dot, and with its doubled dots single again (RFC 5321 section 4.5.2)."""
    message = content.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
    return message[1:] if message.startswith(b"..") else message
