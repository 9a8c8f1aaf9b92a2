"""What SMTP says: envelopes, replies and enhanced status codes (RFC 5321, RFC 3463, RFC 2034)."""

import re
from dataclasses import dataclass

from mailtypes.address import EmailAddress
from mailtypes.errors import InputSyntaxError

_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=\s|\Z)")
# RFC 5321 section 4.2: the code stands alone, or a space or hyphen follows it.
_REPLY_LINE = re.compile(r"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)


class ReplySyntaxError(InputSyntaxError):
    """A line that is not an SMTP reply."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender and recipients of one SMTP transaction; ``mail_from`` is ``None`` for the null reverse path ``<>``."""

    mail_from: EmailAddress | None
    rcpt_to: tuple[EmailAddress, ...]


@dataclass(frozen=True, slots=True)
class EnhancedStatus:
    """An enhanced mail system status code, class.subject.detail (RFC 3463 section 2)."""

    status_class: int
    subject: int
    detail: int

    @classmethod
    def find(cls, text: str) -> "EnhancedStatus | None":
        """The code at the beginning of a reply text, or ``None``."""
        match = _ENHANCED.match(text)
        return cls(*(int(part) for part in match.groups())) if match else None

    def __str__(self) -> str:
        return f"{self.status_class}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A whole reply: three-digit code, enhanced status where given, and the text (lines joined by ``\\n``)."""

    code: int
    enhanced_status: EnhancedStatus | None
    text: str

    @classmethod
    def parse(cls, lines: list[str]) -> "SmtpReply":
        """Join the lines of one reply (without line ends); raise ``ReplySyntaxError`` where they are none."""
        texts: list[str] = []
        code = 0
        for number, line in enumerate(lines):
            match = _REPLY_LINE.match(line)
            if match is None or (code and int(match[1]) != code):
                raise ReplySyntaxError("not a line of an SMTP reply", source=line)
            if (match[2] == "-") != (number < len(lines) - 1):
                raise ReplySyntaxError("the lines of the reply do not end where they say", source=line)
            code = int(match[1])
            texts.append(match[3] or "")
        if not code:
            raise ReplySyntaxError("an SMTP reply has at least one line")
        return cls.of(code, "\n".join(texts))

    @classmethod
    def of(cls, code: int, text: str) -> "SmtpReply":
        """A reply from its code and text; the enhanced status is read from the text if its class agrees."""
        enhanced = EnhancedStatus.find(text)
        if enhanced is not None and enhanced.status_class != code // 100:
            enhanced = None
        return cls(code, enhanced, text)

    @property
    def is_positive(self) -> bool:
        """2yz or 3yz."""
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: may succeed later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: will not succeed as it is."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.text}"
