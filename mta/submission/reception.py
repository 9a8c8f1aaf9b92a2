"""Takes the octets behind DATA in the pieces in which they come, and finds their end: CRLF.CRLF and nothing else.

The strict session has already seen to it that every CR and LF stands in a CRLF.
"""

from mailtypes.smtp import SmtpReply
from mta.submission.faults import ContentSyntaxError
from mta.submission.limits import OctetBudget

_END = b"\r\n.\r\n"
_LONGEST_LINE = 1000  # RFC 5321 section 4.5.3.1.6, with its CRLF, without the doubled dot
_TOO_LARGE = SmtpReply.of(552, "5.3.4 the message is larger than the size that is offered")
_NO_ROOM = SmtpReply.of(452, "4.3.1 too much mail at once, try again later")


class MessageReception:
    """One message on its way in; holds its octets in the budget until ``release``."""

    def __init__(self, limit: int, budget: OctetBudget) -> None:
        self._limit = limit
        self._budget = budget
        self._pieces: list[bytes] = []
        self._held = 0
        # The last octets seen, in which the end may begin. The first line begins as if behind a CRLF.
        self._tail = b"\r\n"
        self.octets = 0
        self.fault: SmtpReply | None = None

    @property
    def is_hopeless(self) -> bool:
        """Whether the client goes on sending far beyond what was offered."""
        return self.octets > 2 * self._limit

    def feed(self, octets: bytes) -> bytes | None:
        """Take ``octets``; returns what lies behind the end, ``None`` where that has not come."""
        window = self._tail + octets
        at = window.find(_END)
        if at < 0:
            self._tail = window[-(len(_END) - 1) :]
            self._keep(octets)
            return None
        # The CRLF before the dot belongs to the last line, unless there is no line.
        end = max(0, self.octets - len(self._tail) + at + 2)
        self._keep(octets[: max(0, end - self.octets)])
        self._cut(end)
        return window[at + len(_END) :]

    def take(self) -> bytes:
        """The content as it came, dots still doubled; the reception forgets it, the budget does not."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content

    def release(self) -> None:
        """Give the octets back to the budget."""
        self._pieces.clear()
        self._budget.give_back(self._held)
        self._held = 0

    def _keep(self, octets: bytes) -> None:
        self.octets += len(octets)
        if self.fault is not None or not octets:
            return
        if self.octets > self._limit:
            self._refuse(_TOO_LARGE)
        elif not self._budget.take(len(octets)):
            self._refuse(_NO_ROOM)
        else:
            self._held += len(octets)
            self._pieces.append(octets)

    def _cut(self, end: int) -> None:
        """Drop what of the end came in earlier pieces: at most four octets, perhaps in as many pieces."""
        surplus = self.octets - end
        while surplus > 0 and self._pieces:
            last = self._pieces.pop()
            if len(last) > surplus:
                self._pieces.append(last[:-surplus])
            surplus -= len(last)
        self.octets = end

    def _refuse(self, fault: SmtpReply) -> None:
        self.fault = fault
        self.release()


def checked_content(received: bytes) -> bytes:
    """The content without its doubled dots; raise ``ContentSyntaxError`` for a NUL or an over-long line."""
    content = received.replace(b"\r\n.", b"\r\n").removeprefix(b".")  # RFC 5321 section 4.5.2
    if b"\0" in content:
        raise ContentSyntaxError("the message has a NUL octet", next_step="Encode binary parts in base64")
    start, length = 0, len(content)
    while start < length:
        # From the beginning of a line to the last line end within reach: all lines between are short enough.
        end = content.rfind(b"\n", start, start + _LONGEST_LINE)
        if end < 0:
            number = content.count(b"\n", 0, start) + 1
            raise ContentSyntaxError(
                f"line {number} of the message is longer than 998 octets",
                next_step="Encode the part as quoted-printable or base64",
            )
        start = end + 1
    return content
