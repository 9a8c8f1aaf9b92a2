"""BIMI assertion records (draft-brand-indicators-for-message-identification section 4)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from dns_checks.bimi.excerpt import excerpt
from dns_checks.dkim.parse import Tag, TagListSyntaxError, parse_tag_list
from dns_checks.field_list import RecordRemark
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_VERSION: Final = re.compile(r"[ \t]*v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|\Z)")
_KNOWN_TAGS: Final = frozenset({"v", "l", "a", "lps", "avp"})
_PREFIX: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9-])?\Z")
_SELECTOR: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z")
_URI_CHARACTERS: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]*\Z")  # a comma has to be written %2C
_MAX_OCTETS: Final = 4096
_MAX_PREFIXES: Final = 50


class BimiSyntaxError(InputSyntaxError):
    """A text that is no assertion record, or one that receivers cannot use, with the fault's span."""


class AvatarPreference(StrEnum):
    """``avp``: what is shown where the receiver also knows a picture of the person."""

    BRAND = "brand"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class AssertionRecord:
    """Where the logo (``l``) and the mark certificate (``a``) are; empty where the tag is.

    ``local_part_prefixes`` is ``lps``: local parts that begin so have logos of their own, under a selector of that
    name; ``None`` where the tag is missing.
    """

    text: str
    location: str
    authority: str
    local_part_prefixes: tuple[str, ...] | None
    avatar_preference: AvatarPreference | None
    remarks: tuple[RecordRemark, ...]

    @property
    def is_declined(self) -> bool:
        """Section 4.4: with both tags empty the owner says that no logo is to be shown."""
        return not self.location and not self.authority


def is_assertion_record(text: str) -> bool:
    """Whether the text begins with the version tag: others are passed over."""
    return _VERSION.match(text) is not None


def parse_record(text: str) -> AssertionRecord:
    """Read a record; raise ``BimiSyntaxError`` where a receiver cannot use it.

    What receivers pass over (unknown tags, an unknown ``avp``) is a remark.
    """
    if len(text) > _MAX_OCTETS:
        raise BimiSyntaxError(
            say("the record is longer than %(max_octets)s octets", max_octets=_MAX_OCTETS), source=text[:100]
        )
    if not is_assertion_record(text):
        raise BimiSyntaxError(
            say("the record does not begin with v=BIMI1"),
            source=text,
            span=Span(0, min(len(text), 10)),
            next_step=say("Begin it with 'v=BIMI1;' written exactly so."),
        )
    try:
        tags = parse_tag_list(text)
    except TagListSyntaxError as error:
        raise BimiSyntaxError(error.message, source=text, span=error.span, next_step=error.next_step) from error
    if "l" not in tags:
        raise BimiSyntaxError(
            say("there is no l= tag"),
            source=text,
            span=Span(0, len(text)),
            next_step=say("Add l=https://... with the address of the logo, or 'l=;' to decline."),
        )
    location = _uri(text, tags["l"])
    authority = _uri(text, tags["a"]) if "a" in tags else ""
    remarks: list[RecordRemark] = []
    if authority and not location:
        remarks.append(_remark(tags["l"], say("l= is empty, but a= is not"), say("Name the logo in l= as well.")))
    if location and not urlsplit(location).path.lower().endswith((".svg", ".svgz")):
        remarks.append(
            _remark(tags["l"], say("the logo's address does not end in .svg"), say("Publish it under such a name."))
        )
    prefixes = _prefixes(tags["lps"], remarks) if "lps" in tags else None
    preference = _preference(tags["avp"], remarks) if "avp" in tags else None
    for tag in tags.values():
        if tag.name not in _KNOWN_TAGS:
            next_step = (
                say("Write it %(lower)s=.", lower=tag.name.lower())
                if tag.name.lower() in _KNOWN_TAGS
                else say("Remove it.")
            )
            remarks.append(
                RecordRemark(say("the tag %(tag)s= means nothing", tag=excerpt(tag.name)), tag.name_span, next_step)
            )
    return AssertionRecord(text, location, authority, prefixes, preference, tuple(remarks))


def record_name(selector: str, domain: DomainName) -> str | None:
    """The DNS name of a record, ``default._bimi.acme.test``; ``None`` where it would be too long for the DNS.

    Raises ``BimiSyntaxError`` for a selector that can be no label.
    """
    labels = selector.lower().split(".")
    if not all(_SELECTOR.match(label) for label in labels):
        raise BimiSyntaxError(
            say("'%(selector)s' is not a selector", selector=excerpt(selector)),
            source=selector,
            span=Span(0, len(selector)),
            next_step=say("Use letters, digits and hyphens, as in 'default'."),
        )
    try:
        return DomainName.parse(f"{selector}._bimi.{domain.ascii}").ascii
    except DomainSyntaxError:
        return None


def _uri(text: str, tag: Tag) -> str:
    """Section 4.3: empty, or one address with the scheme https."""
    uri = tag.value
    if not uri:
        return ""
    fault = _fault_of_uri(uri)
    if fault is not None:
        message, next_step = fault
        raise BimiSyntaxError(
            say("%(tag)s=: %(message)s", tag=tag.name, message=message),
            source=text,
            span=tag.value_span,
            next_step=next_step,
        )
    return uri


def _fault_of_uri(uri: str) -> tuple[str, str] | None:
    plain = "Write one address such as https://acme.test/logo.svg."
    if not _URI_CHARACTERS.match(uri):
        return say("the address holds a blank, a comma or a character outside ASCII"), say(
            "%(plain)s A comma is written %%2C.", plain=plain
        )
    try:
        parts = urlsplit(uri)
        host, port = DomainName.parse(parts.hostname or ""), parts.port
    except (ValueError, DomainSyntaxError):
        return say("not an address with a host name"), plain
    if parts.scheme.lower() != "https":
        return say("the scheme is '%(scheme)s', only https is allowed", scheme=excerpt(parts.scheme)), plain
    if parts.username is not None or parts.password is not None:
        return say("the address holds a user name"), plain
    if port == 0 or "." not in host.ascii:
        return say("nothing can be fetched from that host"), plain
    return None


def _remark(tag: Tag, message: str, next_step: str) -> RecordRemark:
    return RecordRemark(message, tag.value_span, next_step)


def _prefixes(tag: Tag, remarks: list[RecordRemark]) -> tuple[str, ...]:
    found: list[str] = []
    at = tag.value_span.start
    for part in tag.value.split(",")[:_MAX_PREFIXES] if tag.value else ():
        prefix = part.strip()
        start = at + len(part) - len(part.lstrip())
        at += len(part) + 1
        if _PREFIX.match(prefix):
            found.append(prefix.lower())
        else:
            message = say("lps= holds '%(prefix)s', which can be no selector", prefix=excerpt(prefix))
            next_step = say("Use letters, digits and hyphens, separated by commas.")
            remarks.append(RecordRemark(message, Span(start, start + len(prefix)), next_step))
    return tuple(found)


def _preference(tag: Tag, remarks: list[RecordRemark]) -> AvatarPreference | None:
    try:
        return AvatarPreference(tag.value)
    except ValueError:
        message = say("avp='%(tag)s' is not known, so receivers pass it over", tag=excerpt(tag.value))
        remarks.append(_remark(tag, message, say("Write avp=brand or avp=personal, in lower case.")))
        return None
