"""E-mail addresses: kept as given, beside a key under which two spellings of one mailbox meet.

The folding rule of ``EmailAddress.key``, the same everywhere and for ever:

1. the local part in Unicode normalization form C, then lower case (``str.lower``). RFC 5321 section 2.4 lets a
   host tell ``Joe`` from ``joe``; no provider of note does, and sending twice is the costlier mistake;
2. the domain as lower-case A-labels;
3. nothing else: dots and ``+tags`` stay, since only some providers ignore them.
"""

import re
import unicodedata
from dataclasses import dataclass

from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_MAX_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
_MAX_PATH_OCTETS = 254  # RFC 5321 section 4.5.3.1.3: 256 with the angle brackets
# RFC 5321 section 4.1.2 Dot-string, with RFC 6531 section 3.3's UTF-8 beside the ASCII atext.
_DOT_STRING = re.compile(
    r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*\Z"
)


class AddressSyntaxError(InputSyntaxError):
    """A text that is not an address that mail can be sent to."""


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address as given (``text``), taken apart, with its folded ``key`` (rule in the module's docstring)."""

    text: str
    local_part: str
    domain: DomainName

    @classmethod
    def parse(cls, text: str) -> "EmailAddress":
        """Read ``local@domain``; raise ``AddressSyntaxError`` with the place and the next step.

        Quoted local parts (``"a b"@example.com``) and address literals (``a@[192.0.2.1]``) are refused: no
        sender that we know needs them, and both have carried attacks.
        """
        address = text.strip()
        local_part, at, domain_text = address.rpartition("@")
        if not at:
            raise AddressSyntaxError(
                say("there is no @ in the address"), source=text, next_step=say("Write it as name@example.com.")
            )
        _check_local_part(text, address, local_part)
        try:
            domain = DomainName.parse(domain_text)
        except DomainSyntaxError as error:
            offset = text.find(address) + len(local_part) + 1
            span = error.span and Span(
                min(offset + error.span.start, len(text)), min(offset + error.span.end, len(text))
            )
            raise AddressSyntaxError(error.message, source=text, span=span, next_step=error.next_step) from error
        if domain_text != domain_text.strip() or "_" in domain.ascii or "." not in domain.ascii:
            raise AddressSyntaxError(
                say("'%(domain_text)s' is not a domain that receives mail", domain_text=domain_text),
                source=text,
                next_step=say("Write a full host name such as example.com after the @."),
            )
        if len(local_part.encode()) + 1 + len(domain.ascii) > _MAX_PATH_OCTETS:
            raise AddressSyntaxError(
                say("the address is longer than %(max_path_octets)s octets", max_path_octets=_MAX_PATH_OCTETS),
                source=text,
            )
        return cls(address, local_part, domain)

    @property
    def key(self) -> str:
        """The folded form under which spellings of one mailbox meet."""
        return f"{unicodedata.normalize('NFC', self.local_part).lower()}@{self.domain.ascii}"

    @property
    def smtp(self) -> str:
        """The address as written on the wire: local part as given, domain as A-labels."""
        return f"{self.local_part}@{self.domain.ascii}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the local part has characters that only SMTPUTF8 (RFC 6531) can carry."""
        return not self.local_part.isascii()

    def __str__(self) -> str:
        return self.text


def _check_local_part(source: str, address: str, local_part: str) -> None:
    start = source.find(address)
    if len(local_part.encode("utf-8", "surrogatepass")) > _MAX_LOCAL_OCTETS:
        raise AddressSyntaxError(
            say("the part before the @ is longer than %(max_local_octets)s octets", max_local_octets=_MAX_LOCAL_OCTETS),
            source=source,
            span=Span(start, start + len(local_part)),
        )
    for position, character in enumerate(local_part):
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}:
            raise AddressSyntaxError(
                say(
                    "the address has a character that is not allowed: %(character)s",
                    character=unicodedata.name(character, repr(character)),
                ),
                source=source,
                span=Span(start + position, start + position + 1),
                next_step=say("Remove it; invisible characters often come with copied text."),
            )
    if not _DOT_STRING.match(local_part):
        raise AddressSyntaxError(
            say("'%(local_part)s' cannot stand before the @", local_part=local_part),
            source=source,
            span=Span(start, start + len(local_part)),
            next_step=say("Letters, digits and !#$%&'*+/=?^_`{|}~- are allowed, with single dots between them."),
        )
