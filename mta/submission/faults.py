"""What is wrong with what a client sent, as errors that know their reply."""

from mailtypes.errors import InputSyntaxError
from mailtypes.smtp import SmtpReply

_LONGEST = 400  # RFC 5321 section 4.5.3.1.5: a reply line has at most 512 octets


class CommandError(InputSyntaxError):
    """A command that cannot be carried out; ``code`` and ``status`` make the reply."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    @property
    def reply(self) -> SmtpReply:
        """The reply to the client."""
        return SmtpReply.of(self.code, one_line(f"{self.status} {self.message}"))


class ContentSyntaxError(InputSyntaxError):
    """A message whose form is refused: 550 5.6.0 with what is wrong and what is right."""

    @property
    def reply(self) -> SmtpReply:
        """The reply to the client."""
        return SmtpReply.of(550, one_line(f"5.6.0 {self.message}. {self.next_step}".rstrip(" .")))


def one_line(text: str) -> str:
    """``text`` as it may stand in a reply: one line, printable ASCII, not too long."""
    shown = " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")
    return "".join(character if " " <= character <= "~" else "?" for character in shown)[:_LONGEST]
