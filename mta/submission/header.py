"""Reads the header of a submitted message, takes out what is not to be sent, and refuses what can be read in two ways.

Whoever could make two hosts see different fields could send under a name that is not theirs, so there is no leniency:
every line is a field or goes on with one, names stand directly before their colon, and a field that RFC 5322
section 3.6 allows once comes once.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mailtypes.address import AddressSyntaxError, EmailAddress
from mta.submission.faults import ContentSyntaxError
from mta.submission.limits import SubmissionLimits

OPTION_PREFIX = "x-postwright-"
_NAME = re.compile(rb"[!-9;-~]+\Z")  # RFC 5322 section 3.6.8
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ONCE = frozenset(
    ("date", "from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject")
)
_BLIND = frozenset(("bcc", "resent-bcc"))
_LONGEST_NAME = 77
_LONGEST_FROM = 2000
# RFC 5322 section 3.4 mailbox, without comments: a bare address, or one in angle brackets behind a name that is
# quoted or made of words. A name with an unquoted @ or comma is what forged authors look like.
_QUOTED = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_WORDS = r'[^"<>()@,:;\\\[\]\r\n]*'
# No two parts next to each other take the same character, so that no text takes long to refuse.
_AUTHOR = re.compile(rf"(?:(?:{_QUOTED}[ \t]*|{_WORDS})<([^<>\s]+)>|([^<>\s,;:()\"]+))\Z")


@dataclass(frozen=True, slots=True)
class SubmittedHeader:
    """What the header says, and the content without Bcc and options.

    ``options`` are the ``X-Postwright-*`` fields: their names in lower case without the prefix, and unfolded values.
    """

    author: EmailAddress
    message_id: str | None
    date: str | None
    options: tuple[tuple[str, str], ...]
    content: bytes


class _Field(NamedTuple):
    name: str
    octets: bytes
    """The whole field without its last line end."""

    @property
    def value(self) -> str:
        """The unfolded text (RFC 5322 section 2.2.3)."""
        raw = self.octets[len(self.name) + 1 :].replace(b"\r\n", b"")
        return raw.decode("utf-8").strip(" \t")


def read_header(content: bytes, limits: SubmissionLimits, *, smtputf8: bool) -> SubmittedHeader:
    """Read and clean ``content`` (CRLF line ends throughout); raise ``ContentSyntaxError``."""
    header, rest = _split(content, limits)
    _check_octets(header, smtputf8=smtputf8)
    fields = _fields(header, limits)
    seen: dict[str, _Field] = {}
    removed = False
    for field in fields:
        if field.name in _ONCE:
            if field.name in seen:
                raise ContentSyntaxError(
                    f"the header has {field.name.title()} twice", next_step="RFC 5322 section 3.6 allows it once"
                )
            seen[field.name] = field
        removed = removed or not _is_sent(field.name)
    if removed:
        kept = b"".join(field.octets + b"\r\n" for field in fields if _is_sent(field.name))
        content = kept + rest
    elif rest == b"\r\n":
        content = header + rest
    return SubmittedHeader(
        _author(seen.get("from")),
        seen["message-id"].value if "message-id" in seen else None,
        seen["date"].value if "date" in seen else None,
        tuple(
            (field.name.removeprefix(OPTION_PREFIX), field.value)
            for field in fields
            if field.name.startswith(OPTION_PREFIX)
        ),
        content,
    )


def _is_sent(name: str) -> bool:
    return name not in _BLIND and not name.startswith(OPTION_PREFIX)


def _split(content: bytes, limits: SubmissionLimits) -> tuple[bytes, bytes]:
    """The fields with their last CRLF, and what follows, which begins with the empty line."""
    end = content.find(b"\r\n\r\n")
    header, rest = (content, b"\r\n") if end < 0 else (content[: end + 2], content[end + 2 :])
    if content.startswith(b"\r\n") or not content:
        raise ContentSyntaxError(
            "the message has no header", next_step="It begins with its fields: From, To, Subject, an empty line"
        )
    if len(header) > limits.header_octets:
        raise ContentSyntaxError(
            f"the header is longer than {limits.header_octets} octets",
            next_step="An empty line ends the header; move recipients from To to RCPT",
        )
    return header, rest


def _check_octets(header: bytes, *, smtputf8: bool) -> None:
    if _CONTROL.search(header):
        raise ContentSyntaxError("the header has a control character", next_step="Encode it as RFC 2047 says")
    if header.isascii():
        return
    if not smtputf8:
        raise ContentSyntaxError(
            "the header is not ASCII", next_step="Encode it as RFC 2047 says, or add SMTPUTF8 to MAIL"
        )
    try:
        header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentSyntaxError("the header is not UTF-8", next_step="RFC 6532 allows UTF-8 alone") from error


def _fields(header: bytes, limits: SubmissionLimits) -> list[_Field]:
    fields: list[_Field] = []
    lines = header.split(b"\r\n")
    lines.pop()
    position = 0
    while position < len(lines):
        first = position
        name = _name(lines[first], first)
        position += 1
        while position < len(lines) and lines[position][:1] in (b" ", b"\t"):
            if not lines[position].strip(b" \t"):
                # Some readers take it for the end of the header.
                raise ContentSyntaxError(
                    f"line {position + 1} of the header is blank but not empty", next_step="Remove it"
                )
            position += 1
        fields.append(_Field(name, lines[first] if position == first + 1 else b"\r\n".join(lines[first:position])))
        if len(fields) > limits.header_fields:
            raise ContentSyntaxError(
                f"the header has more than {limits.header_fields} fields", next_step="An empty line ends the header"
            )
    return fields


def _name(line: bytes, index: int) -> str:
    name, colon, _ = line.partition(b":")
    if not colon or len(name) > _LONGEST_NAME or not _NAME.match(name):
        raise ContentSyntaxError(
            f"line {index + 1} of the header is no field",
            next_step="Write 'Name: text', and an empty line before the body",
        )
    return name.decode("ascii").lower()


def _author(field: _Field | None) -> EmailAddress:
    right = "Write one address, as in: From: Name <name@example.com>"
    if field is None:
        raise ContentSyntaxError("the header has no From", next_step=right)
    value = field.value
    match = _AUTHOR.match(value) if len(value) <= _LONGEST_FROM else None
    if match is None:
        raise ContentSyntaxError("From is not one address", next_step=right)
    try:
        return EmailAddress.parse(match[1] or match[2])
    except AddressSyntaxError as error:
        raise ContentSyntaxError(f"From is not an address: {error.message}", next_step=right) from error
