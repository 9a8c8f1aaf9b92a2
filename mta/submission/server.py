"""The submission listener: ports 587 (STARTTLS) and 465 (TLS at once, RFC 8314 section 3.3)."""

import asyncio
import logging
import socket
import ssl
from datetime import timedelta

from mta.strict_smtp import StrictServer
from mta.submission.auth import KeyCheck
from mta.submission.connection import Ground
from mta.submission.limits import OctetBudget, SubmissionLimits
from mta.submission.ports import Submissions
from mta.submission.session import SubmissionSession
from mta.submission.tries import TryLimits

_LOG = logging.getLogger(__name__)
_BACKLOG = 1024
_PAUSE_SECONDS = 1.0


class SubmissionGate:
    """What the listeners of one process share: the owner, the budget of octets, the tries to sign in."""

    def __init__(
        self,
        submissions: Submissions,
        hostname: str,
        limits: SubmissionLimits | None = None,
        tries: TryLimits | None = None,
    ) -> None:
        self.limits = limits or SubmissionLimits()
        self.budget = OctetBudget(self.limits.octets_in_flight)
        self._submissions = submissions
        self._hostname = hostname
        self._keys = KeyCheck(submissions, tries)

    def ground(self, tls: ssl.SSLContext | None) -> Ground:
        """What the sessions of one listener stand on."""
        return Ground(self._submissions, self._keys, self._hostname, self.limits, self.budget, tls)


class SubmissionServer(StrictServer):
    """A listener in the clear, with STARTTLS where there is a TLS context; else keys are taken from loopback alone."""

    def __init__(self, gate: SubmissionGate, tls: ssl.SSLContext | None = None) -> None:
        ground = gate.ground(tls)
        super().__init__(lambda listeners: SubmissionSession(ground, listeners))


class TlsSubmissionServer(StrictServer):
    """A listener whose connections begin with TLS.

    It accepts connections itself: those that the event loop's own TLS server holds in their handshake are counted by
    nobody, and uvloop reads the beginning of a handshake before a protocol can ask for TLS.
    """

    def __init__(self, gate: SubmissionGate, tls: ssl.SSLContext) -> None:
        self._ground = gate.ground(None)
        self._tls = tls
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        super().__init__(lambda listeners: SubmissionSession(self._ground, listeners))

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses where ``port`` is 0."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        listening.setblocking(False)
        self._accepting = loop.create_task(self._accept(listening))
        return int(listening.getsockname()[1])

    async def close_with_421(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Take no more connections, answer what is being stored, say 421 to everyone, and close."""
        ending = [*self._handshakes, *filter(None, [self._accepting])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await super().close_with_421(grace)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    connection, address = await loop.sock_accept(listening)
                except OSError:  # no file descriptor left, or the client is gone already
                    _LOG.exception("a connection could not be accepted")
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                session = SubmissionSession(self._ground, self._listeners)
                if session.admit(str(address[0])) is not None:
                    connection.close()  # nothing can be said before the handshake
                    continue
                task = loop.create_task(self._begin(connection, session))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)

    async def _begin(self, connection: socket.socket, session: SubmissionSession) -> None:
        seconds = self._ground.limits.handshake.total_seconds()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session, connection, ssl=self._tls, ssl_handshake_timeout=seconds
            )
        except BaseException as error:
            session.connection_lost(None)
            if not isinstance(error, OSError):
                raise
            _LOG.info("no TLS with a client: %s", error)
