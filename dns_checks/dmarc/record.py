"""DMARC policy records (RFC 9989 sections 4.7 and 4.8)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dns_checks.dkim.parse import Tag, TagListSyntaxError, parse_tag_list
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_VERSION = re.compile(r"[ \t]*v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,]+\Z")
_MAILTO = re.compile(r"mailto:[^\s,@]+@[A-Za-z0-9.-]+(?:\?\S*)?\Z", re.IGNORECASE)
_OBSOLETE_SIZE = re.compile(r"![0-9]+[kmgtKMGT]?\Z")
_FAILURE_OPTIONS = frozenset({"0", "1", "d", "s"})
_EXCLUSIVE_FAILURE_OPTIONS = frozenset({"0", "1"})
OBSOLETE_TAGS = ("pct", "rf", "ri")
_MAX_OCTETS = 4096
_MAX_URIS = 50


class DmarcSyntaxError(InputSyntaxError):
    """A text that is not a DMARC policy record at all."""


class Policy(StrEnum):
    """What the domain owner asks for (``p``, ``sp``, ``np``)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class AlignmentMode(StrEnum):
    """``adkim`` and ``aspf``."""

    RELAXED = "r"
    STRICT = "s"


class PublicSuffix(StrEnum):
    """``psd``: whether the domain is a public suffix domain."""

    YES = "y"
    NO = "n"
    UNKNOWN = "u"


@dataclass(frozen=True, slots=True)
class RecordRemark:
    """A fault that receivers pass over (section 4.8: the default counts instead), for the record's owner to mend.

    ``code`` names the kind of fault and never changes its meaning.
    """

    message: str
    span: Span
    next_step: str
    code: str


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A policy record; ``p`` is ``None`` where the tag is missing or not valid.

    ``faulty_policies`` are those of ``p`` (missing or wrong), ``sp`` and ``np`` (wrong) that are at fault, which
    section 4.10.1 treats on its own. Report addresses are URIs as published, the valid ones only. ``tags`` are all
    tags that could be read, known or not, with their places; the first of each name, in lower case.
    """

    text: str
    p: Policy | None
    sp: Policy | None
    np: Policy | None
    adkim: AlignmentMode
    aspf: AlignmentMode
    rua: tuple[str, ...]
    ruf: tuple[str, ...]
    fo: tuple[str, ...]
    psd: PublicSuffix
    is_testing: bool
    faulty_policies: tuple[str, ...]
    remarks: tuple[RecordRemark, ...]
    tags: tuple[Tag, ...] = ()

    @property
    def has_invalid_policy(self) -> bool:
        """Whether one of ``p``, ``sp`` and ``np`` is at fault."""
        return bool(self.faulty_policies)

    def tag(self, name: str) -> Tag | None:
        """The tag ``name`` (lower case) as published."""
        return next((tag for tag in self.tags if tag.name.lower() == name), None)

    @property
    def is_applicable(self) -> bool:
        """Section 4.10.1: with a faulty policy the record still counts, as ``p=none``, if it asks for reports."""
        return not self.has_invalid_policy or bool(self.rua)

    def policy_for(self, *, subdomain: bool, exists: bool) -> Policy:
        """The policy asked of mail from the record's own domain, or from a subdomain of it."""
        if self.has_invalid_policy or self.p is None:
            return Policy.NONE
        if not subdomain:
            return self.p
        below = self.sp or self.p
        return below if exists else self.np or below


def is_policy_record(text: str) -> bool:
    """Whether the text begins with the version tag (section 4.10 step 2): others are no DMARC records."""
    return _VERSION.match(text) is not None


def parse_record(text: str) -> DmarcRecord:
    """Read a record as receivers do: raise ``DmarcSyntaxError`` only where nobody would take it for one.

    Unknown tags are ignored; other faults are ``remarks`` with the span and the next step.
    """
    if len(text) > _MAX_OCTETS:
        raise DmarcSyntaxError(
            say("the record is longer than %(max_octets)s octets", max_octets=_MAX_OCTETS), source=text[:100]
        )
    if not is_policy_record(text):
        raise DmarcSyntaxError(
            say("the record does not begin with v=DMARC1"),
            source=text,
            span=Span(0, min(len(text), 10)),
            next_step=say("Begin it with 'v=DMARC1;' written exactly so."),
        )
    reader = _Reader(text)
    p, sp, np = reader.policy("p"), reader.policy("sp"), reader.policy("np")
    if "p" not in reader.tags:
        next_step = say("Add p=none, p=quarantine or p=reject.")
        reader.remark("dmarc.missing_policy", say("there is no p= tag"), Span(0, len(text)), next_step)
    reader.check_tag_names()
    return DmarcRecord(
        text=text,
        p=p,
        sp=sp,
        np=np,
        adkim=AlignmentMode(reader.choice("adkim", "rs", "r")),
        aspf=AlignmentMode(reader.choice("aspf", "rs", "r")),
        rua=reader.uris("rua"),
        ruf=reader.uris("ruf"),
        fo=reader.failure_options(),
        psd=PublicSuffix(reader.choice("psd", "ynu", "u")),
        is_testing=reader.choice("t", "yn", "n") == "y",
        faulty_policies=reader.faulty_policies(p, sp, np),
        remarks=tuple(reader.remarks),
        tags=tuple(reader.tags.values()),
    )


class _Reader:
    """The tags of one record, and the faults met while reading them."""

    def __init__(self, text: str) -> None:
        self.remarks: list[RecordRemark] = []
        self._text = text
        self.tags: Mapping[str, Tag] = self._read_tags()

    def remark(self, code: str, message: str, span: Span, next_step: str) -> None:
        self.remarks.append(RecordRemark(message, span, next_step, code))

    def faulty_policies(self, p: Policy | None, sp: Policy | None, np: Policy | None) -> tuple[str, ...]:
        """Section 4.10.1: ``p`` has to be there, ``sp`` and ``np`` only have to be right."""
        below = tuple(name for name, value in (("sp", sp), ("np", np)) if value is None and name in self.tags)
        return (*(("p",) if p is None else ()), *below)

    def _read_tags(self) -> dict[str, Tag]:
        """All tags that can be read; a faulty one between semicolons is passed over (section 4.7)."""
        try:
            found = parse_tag_list(self._text)
        except TagListSyntaxError as error:
            self.remark("dmarc.syntax", error.message, error.span or Span(0, len(self._text)), error.next_step)
        else:
            return _by_name(found.values())
        tags: list[Tag] = []
        start = 0
        for part in self._text.split(";"):
            # Blanks before the part keep the spans where they are in the whole record.
            try:
                found = parse_tag_list(" " * start + part)
            except TagListSyntaxError:
                found = {}
            tags += found.values()
            start += len(part) + 1
        return _by_name(tags)

    def choice(self, name: str, allowed: str, default: str) -> str:
        tag = self.tags.get(name)
        if tag is None:
            return default
        value = tag.value.lower()
        if len(value) == 1 and value in allowed:
            return value
        message = say("%(name)s=%(tag)s is not valid", name=name, tag=tag.value)
        self.remark(
            "dmarc.invalid_value", message, tag.value_span, say("Use one of %(allowed)s.", allowed=", ".join(allowed))
        )
        return default

    def policy(self, name: str) -> Policy | None:
        tag = self.tags.get(name)
        if tag is None:
            return None
        try:
            return Policy(tag.value.lower())
        except ValueError:
            message = say("%(name)s=%(tag)s is not a policy", name=name, tag=tag.value)
            self.remark("dmarc.invalid_policy", message, tag.value_span, say("Use none, quarantine or reject."))
            return None

    def uris(self, name: str) -> tuple[str, ...]:
        tag = self.tags.get(name)
        if tag is None:
            return ()
        found = []
        at = tag.value_span.start
        for part in tag.value.split(",")[:_MAX_URIS]:
            uri = part.strip()
            start = at + len(part) - len(part.lstrip())
            span = Span(start, start + len(uri))
            at += len(part) + 1
            sized = _OBSOLETE_SIZE.search(uri)
            if sized:
                message = say("a size limit behind ! is gone since RFC 9989")
                self.remark("dmarc.obsolete_size", message, span, say("Remove %(sized)s.", sized=sized[0]))
                uri = uri[: sized.start()]
            if not _URI.match(uri) or (uri.lower().startswith("mailto:") and not _MAILTO.match(uri)):
                message = say("%(name)s= holds '%(uri)s', which is no address", name=name, uri=uri)
                self.remark("dmarc.invalid_report_address", message, span, say("Write mailto:name@example.com."))
            else:
                found.append(uri)
        return tuple(found)

    def failure_options(self) -> tuple[str, ...]:
        tag = self.tags.get("fo")
        if tag is None:
            return ("0",)
        options = tuple(tag.packed_value.lower().split(":"))
        chosen = set(options)
        # Section 4.8: each at most once, and of 0 and 1 only one.
        if len(chosen) == len(options) and chosen <= _FAILURE_OPTIONS and not chosen >= _EXCLUSIVE_FAILURE_OPTIONS:
            return options
        next_step = say("Use 0 or 1, and d or s, separated by colons, each once.")
        self.remark("dmarc.invalid_value", say("fo=%(tag)s is not valid", tag=tag.value), tag.value_span, next_step)
        return ("0",)

    def check_tag_names(self) -> None:
        for name in OBSOLETE_TAGS:
            if name in self.tags:
                message = say("%(name)s= is gone since RFC 9989", name=name)
                self.remark(
                    "dmarc.obsolete_tag", message, self.tags[name].name_span, say("Remove %(name)s=.", name=name)
                )


def _by_name(tags: Iterable[Tag]) -> dict[str, Tag]:
    """The first of each name; names are ABNF literals (RFC 9989 section 4.8) and so without case."""
    named: dict[str, Tag] = {}
    for tag in tags:
        named.setdefault(tag.name.lower(), tag)
    return named
