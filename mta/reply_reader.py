"""Cuts what arrives into SMTP replies."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from mailtypes.smtp import ReplySyntaxError, SmtpReply

_MAX_LINE = 4096  # RFC 5321 section 4.5.3.1.5 says 512 octets; real servers exceed it
_MAX_LINES = 100
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@lru_cache(maxsize=1024)
def _one_line_reply(line: str) -> SmtpReply:
    # A host says much the same to each of a thousand messages.
    return SmtpReply.parse([line])


@dataclass(slots=True)
class ReplyReader:
    """Cuts bytes into replies; both the line and the number of lines are bounded."""

    _buffer: bytearray = field(default_factory=bytearray)
    _lines: list[str] = field(default_factory=list)

    @property
    def has_bytes(self) -> bool:
        """Whether something waits that is no whole reply yet."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def next_reply(self) -> SmtpReply | None:
        """The next whole reply, ``None`` while it is not complete; raises ``ReplySyntaxError``."""
        while (end := self._buffer.find(b"\n")) >= 0:
            if end > _MAX_LINE:
                break
            line = bytes(self._buffer[:end]).removesuffix(b"\r").decode("utf-8", "replace")
            del self._buffer[: end + 1]
            # Replies go to logs, pages and databases: no control characters there.
            self._lines.append(line if line.isprintable() else _CONTROL.sub("?", line))
            if line[3:4] != "-":
                if len(self._lines) == 1:
                    return _one_line_reply(self._lines.pop())
                lines, self._lines = self._lines, []
                return SmtpReply.parse(lines)
            if len(self._lines) >= _MAX_LINES:
                raise ReplySyntaxError(f"a reply of more than {_MAX_LINES} lines")
        if end > _MAX_LINE or (end < 0 and len(self._buffer) > _MAX_LINE):
            raise ReplySyntaxError(f"a reply line of more than {_MAX_LINE} octets")
        return None
