"""Reading a received mail for showing it: headers, the HTML and plain parts, attachments by name. Bounded."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

MAX_SHOWN = 200_000
"""Characters of plain text or source that a page shows."""

_MAX_HEADERS = 100
_MAX_HEADER = 2000
_MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail taken apart. Texts are empty where the mail has no such part."""

    headers: tuple[tuple[str, str], ...]
    html: str
    plain_text: str
    attachments: tuple[str, ...]


def read_mail(raw: bytes) -> ReadMail:
    """Take a mail apart; what cannot be read is left out rather than failing."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    html = plain = ""
    attachments: list[str] = []
    for number, part in enumerate(message.walk()):
        if number >= _MAX_PARTS:
            break
        if part.is_multipart() or not isinstance(part, EmailMessage):
            continue
        kind = part.get_content_type()
        if part.is_attachment():
            attachments.append((part.get_filename() or kind)[:200])
        elif kind == "text/html" and not html:
            html = _text(part)
        elif kind == "text/plain" and not plain:
            plain = _text(part)
    return ReadMail(tuple(_headers(raw)), html, plain, tuple(attachments))


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset that nobody knows
        return octets.decode("utf-8", "replace")


def _headers(raw: bytes) -> list[tuple[str, str]]:
    """The headers as they stand, unfolded, in their order (RFC 5322 section 2.2.3)."""
    head = raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    lines: list[str] = []
    for line in head.split("\r\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += line
        elif ":" in line:
            lines.append(line)
    pairs = (line.partition(":") for line in lines[:_MAX_HEADERS])
    return [(name, value.strip()[:_MAX_HEADER]) for name, _, value in pairs]
