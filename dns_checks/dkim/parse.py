"""Reading: tag lists (RFC 6376 section 3.2), DKIM-Signature fields (section 3.5), messages as header and body."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dns_checks.dkim.canonical import Canonicalization
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_FOLDING_WHITE_SPACE = " \t\r\n"
_DELETE_FOLDING = str.maketrans("", "", _FOLDING_WHITE_SPACE)
_DIGITS = re.compile(r"[0-9]{1,76}\Z")  # RFC 6376 section 3.5: l= has at most 76 digits
_TIME_DIGITS = re.compile(r"[0-9]{1,12}\Z")  # RFC 6376 section 3.5: t= and x= up to 12 digits suffice until AD 200,000
_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+\Z")
_MAX_TAGS = 100
_MAX_SIGNED_NAMES = 500


class TagListSyntaxError(InputSyntaxError):
    """A text that is not a list of ``tag=value`` pairs."""


class SignatureSyntaxError(InputSyntaxError):
    """A DKIM-Signature field that does not follow RFC 6376 section 3.5."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One ``name=value``; the value without surrounding white space. ``area`` reaches from the ``=`` to the ``;``."""

    name: str
    value: str
    name_span: Span
    value_span: Span
    area: Span

    @property
    def packed_value(self) -> str:
        """The value without any folding white space, as base64 and colon-separated lists are read."""
        return self.value.translate(_DELETE_FOLDING)


def parse_tag_list(text: str) -> dict[str, Tag]:
    """Read a tag list in order; names are case-sensitive. A final semicolon is allowed, an empty tag elsewhere is not.

    Raises ``TagListSyntaxError`` with the span for a missing ``=``, a bad name, a doubled or too many tags.
    """
    tags: dict[str, Tag] = {}
    start = 0
    parts = text.split(";")
    for number, part in enumerate(parts):
        if part.strip(_FOLDING_WHITE_SPACE):
            tag = _parse_tag(text, part, start)
            if tag.name in tags:
                # RFC 6376 section 3.2: a tag that occurs twice makes the whole list invalid.
                raise _tag_error(
                    text, say("the tag %(tag)s= occurs twice", tag=tag.name), tag.name_span, say("Keep one of them.")
                )
            tags[tag.name] = tag
        elif number < len(parts) - 1 or number == 0:
            span = Span(start, min(start + len(part) + 1, len(text)))
            raise _tag_error(text, say("there is an empty tag"), span, say("Remove the extra semicolon."))
        if len(tags) > _MAX_TAGS:
            raise _tag_error(text, say("more than %(max_tags)s tags", max_tags=_MAX_TAGS), None, "")
        start += len(part) + 1
    return tags


def _parse_tag(text: str, part: str, start: int) -> Tag:
    name_text, equals, value_text = part.partition("=")
    name = name_text.strip(_FOLDING_WHITE_SPACE)
    name_start = start + len(name_text) - len(name_text.lstrip(_FOLDING_WHITE_SPACE))
    name_span = Span(name_start, name_start + len(name))
    if not equals:
        raise _tag_error(
            text, say("'%(name)s' has no =", name=name), name_span, say("Write each tag as name=value, separated by ;.")
        )
    if not _TAG_NAME.match(name):
        raise _tag_error(
            text,
            say("'%(name)s' is not a tag name", name=name),
            name_span,
            say("A tag name is a letter, then letters, digits."),
        )
    area_start = start + len(name_text) + 1
    value = value_text.strip(_FOLDING_WHITE_SPACE)
    value_start = area_start + len(value_text) - len(value_text.lstrip(_FOLDING_WHITE_SPACE))
    value_span = Span(value_start, value_start + len(value))
    return Tag(name, value, name_span, value_span, Span(area_start, start + len(part)))


def _tag_error(text: str, message: str, span: Span | None, next_step: str) -> TagListSyntaxError:
    return TagListSyntaxError(message, source=text, span=span, next_step=next_step)


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature that is well-formed. Times in seconds since 1970 UTC; ``body_length`` is the ``l=`` tag."""

    algorithm: str
    header_canonicalization: Canonicalization
    body_canonicalization: Canonicalization
    domain: DomainName
    selector: str
    identity: str
    signed_names: tuple[str, ...]
    signature: bytes
    body_hash: bytes
    body_length: int | None
    signed_at: int | None
    expires_at: int | None
    b_area: Span

    @property
    def key_name(self) -> str:
        """Where the public key is published (RFC 6376 section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain.ascii}"


def parse_signature(value: str) -> Signature:
    """Read the value of a DKIM-Signature field (latin-1 text, so that spans count octets).

    Raises ``SignatureSyntaxError`` or ``TagListSyntaxError``.
    """
    tags = parse_tag_list(value)
    for name in ("v", "a", "b", "bh", "d", "h", "s"):
        if name not in tags:
            raise SignatureSyntaxError(say("the signature has no %(name)s= tag", name=name), source=value)
    if tags["v"].value != "1":
        raise _bad_tag(value, tags["v"], say("the version is not 1"))
    if "q" in tags and "dns/txt" not in tags["q"].packed_value.lower().split(":"):
        raise _bad_tag(value, tags["q"], say("no query method that we know (dns/txt)"))
    domain = _parse_domain(value, tags["d"])
    header_algorithm, body_algorithm = _parse_canonicalization(value, tags.get("c"))
    return Signature(
        algorithm=tags["a"].value.lower(),
        header_canonicalization=header_algorithm,
        body_canonicalization=body_algorithm,
        domain=domain,
        selector=_parse_selector(value, tags["s"], domain),
        identity=_parse_identity(value, tags.get("i"), domain),
        signed_names=_parse_signed_names(value, tags["h"]),
        signature=_parse_base64(value, tags["b"]),
        body_hash=_parse_base64(value, tags["bh"]),
        body_length=_parse_number(value, tags, "l", _DIGITS),
        signed_at=_parse_number(value, tags, "t", _TIME_DIGITS),
        expires_at=_parse_number(value, tags, "x", _TIME_DIGITS),
        b_area=tags["b"].area,
    )


def _bad_tag(source: str, tag: Tag, message: str) -> SignatureSyntaxError:
    return SignatureSyntaxError(
        say("%(tag)s=: %(message)s", tag=tag.name, message=message), source=source, span=tag.value_span
    )


def _parse_domain(source: str, tag: Tag) -> DomainName:
    try:
        # RFC 8616 section 5: a d= may hold U-labels, which are UTF-8 in the field.
        return DomainName.parse(tag.value.encode("latin-1").decode("utf-8"))
    except (DomainSyntaxError, UnicodeError) as error:
        raise _bad_tag(source, tag, say("not a domain name")) from error


def _parse_selector(source: str, tag: Tag, domain: DomainName) -> str:
    try:
        selector = DomainName.parse(tag.value.encode("latin-1").decode("utf-8")).ascii
        DomainName.parse(f"{selector}._domainkey.{domain.ascii}")
    except (DomainSyntaxError, UnicodeError) as error:
        raise _bad_tag(source, tag, say("not a selector")) from error
    return selector


def _parse_canonicalization(source: str, tag: Tag | None) -> tuple[Canonicalization, Canonicalization]:
    if tag is None:
        return Canonicalization.SIMPLE, Canonicalization.SIMPLE
    header_name, _, body_name = tag.value.lower().partition("/")
    try:
        # RFC 6376 section 3.5: where only one is named, the body is simple.
        return Canonicalization(header_name), Canonicalization(body_name or "simple")
    except ValueError as error:
        raise _bad_tag(source, tag, say("not a canonicalisation that we know")) from error


def _parse_identity(source: str, tag: Tag | None, domain: DomainName) -> str:
    if tag is None:
        return f"@{domain.ascii}"
    local_part, at, host = tag.value.rpartition("@")
    try:
        within = bool(at) and DomainName.parse(host.encode("latin-1").decode("utf-8")).is_within(domain)
    except (DomainSyntaxError, UnicodeError):
        within = False
    if not within:
        # RFC 6376 section 6.1.1: "domain mismatch".
        raise _bad_tag(source, tag, say("the identity is not within the domain of d="))
    return f"{local_part}@{host.lower()}"


def _parse_signed_names(source: str, tag: Tag) -> tuple[str, ...]:
    names = tuple(tag.packed_value.lower().split(":"))
    if len(names) > _MAX_SIGNED_NAMES or not all(_FIELD_NAME.match(name) for name in names):
        raise _bad_tag(source, tag, say("not a list of field names"))
    if "from" not in names:
        raise _bad_tag(source, tag, say("the From field is not signed"))  # RFC 6376 section 5.4
    return names


def _parse_base64(source: str, tag: Tag) -> bytes:
    try:
        octets = base64.b64decode(tag.packed_value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_tag(source, tag, say("not base64")) from error
    if not octets:
        raise _bad_tag(source, tag, say("the value is empty"))
    return octets


def _parse_number(source: str, tags: Mapping[str, Tag], name: str, pattern: re.Pattern[str]) -> int | None:
    tag = tags.get(name)
    if tag is None:
        return None
    if not pattern.match(tag.value):
        raise _bad_tag(source, tag, say("not a number"))
    return int(tag.value)


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One field as it stands in the message: folded, without its final CRLF. ``name`` is in lower case."""

    name: str
    octets: bytes


MAX_HEADER_LINES = 50_000
"""Far beyond any real header; each costs memory some fifty times its octets."""


def has_endless_header(message: bytes) -> bool:
    """Whether the header has more than ``MAX_HEADER_LINES`` lines, so that it should not be split into fields."""
    line_end = b"\r\n" if b"\r\n" in message else b"\n"
    if message.startswith(line_end):
        return False
    end = message.find(line_end * 2)
    return message.count(line_end, 0, end if end >= 0 else len(message)) > MAX_HEADER_LINES


def split_message(message: bytes) -> tuple[tuple[HeaderField, ...], bytes]:
    """Header fields and body of a message.

    A message without any CRLF is taken for a file with LF line ends and brought to the form of the wire first
    (RFC 6376 section 5.3). A line that is no header field gets an empty name, so that nothing can select it.
    """
    if b"\r\n" not in message:
        message = message.replace(b"\n", b"\r\n")
    header, _, body_octets = message.partition(b"\r\n\r\n")
    if message.startswith(b"\r\n"):
        header, body_octets = b"", message[2:]
    elif header.endswith(b"\r\n") and not body_octets:
        header = header[:-2]
    return tuple(_split_header(header)), body_octets


def _split_header(header: bytes) -> list[HeaderField]:
    runs: list[list[bytes]] = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and runs:
            runs[-1].append(line)
        else:
            runs.append([line])
    fields = []
    for lines in runs:
        octets = b"\r\n".join(lines)
        name = octets.partition(b":")[0].rstrip(b" \t").decode("latin-1").lower() if b":" in octets else ""
        fields.append(HeaderField(name if _FIELD_NAME.match(name) else "", octets))
    return fields
