"""Streams of records (NDJSON) in both directions: read in chunks while the answer tells how far it is.

Nothing is held but a chunk: about a thousand lines or a megabyte. The answer runs beside the request, so a client may
read it while it still sends; one that reads only afterwards may go on sending until ``_MOST_UNREAD`` is waiting for it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

NDJSON = "application/x-ndjson"
MAX_LINE = 256 * 1024
CHUNK_LINES = 1000
CHUNK_OCTETS = 1024 * 1024
_FLUSH_AFTER = 0.5  # seconds of silence after which what has come is stored
_SILENT_AFTER = 60.0  # seconds of silence after which the client is taken for gone
_MOST_UNREAD = 1000  # lines of the answer


class LongLineError(Exception):
    """A line that is longer than ``MAX_LINE``; ``number`` counts from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Line {number} has more than {MAX_LINE:,} octets.")
        self.number = number


class SilentClientError(Exception):
    """The client has sent nothing for a minute and has not ended its request."""

    def __init__(self) -> None:
        super().__init__(f"Nothing came for {_SILENT_AFTER:.0f} seconds.")


@dataclass(slots=True)
class Lines:
    """Cuts a request's body into chunks of whole lines."""

    receive: Receive
    read: int = 0
    _pending: list[bytes] = field(default_factory=list)
    _octets: int = 0
    _rest: bytes = b""
    _receiving: "asyncio.Task[Message] | None" = None

    async def chunks(self) -> AsyncIterator[list[bytes]]:
        """Chunks in their order; ``read`` counts the lines of those that were given.

        Raises ``LongLineError`` and ``SilentClientError`` after what came before was given, and ``ClientDisconnect``.
        """
        error: Exception | None = None
        more = True
        while more:
            piece: bytes | None = b""
            try:
                piece, more = await self._next_piece()
                if piece is not None:
                    self._take(piece, last=not more)
            except (LongLineError, SilentClientError) as caught:
                error, more = caught, False
            flushes = not more or piece is None
            while len(self._pending) >= CHUNK_LINES or self._octets >= CHUNK_OCTETS or (flushes and self._pending):
                chunk, self._pending = self._pending[:CHUNK_LINES], self._pending[CHUNK_LINES:]
                self._octets = sum(map(len, self._pending))
                self.read += len(chunk)
                yield chunk
        if error is not None:
            raise error

    async def _next_piece(self) -> tuple[bytes | None, bool]:
        """The next octets and whether more may come; ``None`` where nothing came for a while."""
        self._receiving = self._receiving or asyncio.ensure_future(self.receive())
        wait = _FLUSH_AFTER if self._pending else _SILENT_AFTER
        # Not wait_for: what is cancelled while it receives would lose octets.
        done, _ = await asyncio.wait({self._receiving}, timeout=wait)
        if not done:
            if self._pending:
                return None, True
            self._receiving.cancel()
            raise SilentClientError
        message, self._receiving = self._receiving.result(), None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)

    def _take(self, piece: bytes, *, last: bool) -> None:
        lines = (self._rest + piece).split(b"\n")
        self._rest = b"" if last else lines.pop()
        if last and not lines[-1]:
            lines.pop()
        if len(self._rest) > MAX_LINE:
            lines.append(self._rest)  # it is too long already, wherever it ends
        for line in lines:
            if len(line) > MAX_LINE:
                raise LongLineError(self.read + len(self._pending) + 1)
            self._pending.append(line)
            self._octets += len(line)


class StreamedAnswer(Response):
    """An answer that is sent while the request still comes in.

    Starlette's own listens for the end of the connection meanwhile and would swallow the rest of the request.
    """

    media_type = NDJSON

    def __init__(self, lines: AsyncIterator[bytes], status_code: int = 200) -> None:
        self._lines = lines
        self.status_code = status_code
        self.background = None
        self.init_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Send the lines as they come; work goes on while the client does not read, up to a bound.

        The answer begins with its first line, so that what goes wrong before can still be a problem document.
        """
        unread: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_UNREAD)
        sending: asyncio.Task[None] | None = None
        try:
            async for line in self._lines:
                if sending is None:
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    sending = asyncio.ensure_future(_send_lines(unread, send))
                await _put(unread, line, sending)
            if sending is not None:
                await _put(unread, None, sending)
                await sending
        finally:
            if sending is not None:
                sending.cancel()


async def _put(unread: "asyncio.Queue[bytes | None]", line: bytes | None, sending: "asyncio.Task[None]") -> None:
    """Hand a line over; where sending has ended because the client is gone, its error ends the work."""
    if not sending.done() and not unread.full():
        unread.put_nowait(line)
        return
    putting = asyncio.ensure_future(unread.put(line))
    await asyncio.wait({putting, sending}, return_when=asyncio.FIRST_COMPLETED)
    if not putting.done():
        putting.cancel()
        await sending


async def _send_lines(unread: "asyncio.Queue[bytes | None]", send: Send) -> None:
    while (line := await unread.get()) is not None:
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
