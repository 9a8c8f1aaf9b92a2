"""The DNS as a dictionary, read from RFC 1035 master files: draft zones, the sandbox, tests."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeAlias

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from dns_checks.rdata import from_dns_name, is_dns_name, record_of
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.questions import (
    Absence,
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    Found,
    MxRecord,
    NameRecord,
    OtherRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)
from mailtypes.saying import say

RecordsByQuestion: TypeAlias = Mapping[tuple[str, RecordType], Sequence[DnsRecord | str] | Unanswered]

_DEFAULT_TTL = 300
_MAX_CHAIN = 8
_DIRECTIVES = ("$ORIGIN", "$TTL")  # not $INCLUDE, which reads files, nor $GENERATE, which makes a zone of any size
_FAILURE = re.compile(r";;[ \t]*(SERVFAIL|TIMEOUT|REFUSED)[ \t]+(\S+)(?:[ \t]+([A-Za-z]+))?[ \t\r]*\Z")
_FAILURE_WORD = re.compile(r";;[ \t]*(SERVFAIL|TIMEOUT|REFUSED)\b")
_KNOWN_TYPES = {record_type.value: record_type for record_type in RecordType}


class ZoneSyntaxError(InputSyntaxError):
    """A text that is not an RFC 1035 master file, with the line at fault."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """All records of one type at one name, with their TTL in seconds."""

    records: tuple[DnsRecord, ...]
    ttl: int = _DEFAULT_TTL


@dataclass(slots=True)
class _Node:
    """What is at one name; a node without sets and failures is an empty non-terminal."""

    sets: dict[RecordType, RecordSet] = field(default_factory=dict)
    failures: dict[RecordType | None, str] = field(default_factory=dict)
    negative_ttl: int | None = None


class Zone:
    """Any number of DNS zones laid into one dictionary; whatever is not in it does not exist.

    Answers as a recursive resolver would: follows CNAMEs (RFC 1034 section 3.6.2; a loop is a ``servfail``), tells
    "no such name" from "no such record" (an empty non-terminal has no record, RFC 8020), and applies wildcards
    (RFC 4592). Delegations mean nothing to it: NS records are records like any other.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, ...], _Node] = {}

    @classmethod
    def parse(cls, text: str) -> "Zone":
        """Read an RFC 1035 master file; raise ``ZoneSyntaxError`` with the line at fault.

        Names are absolute or relative to ``$ORIGIN`` (the root at first), TTLs default to 300 seconds. A line
        ``;; SERVFAIL name``, ``;; TIMEOUT name`` or ``;; REFUSED name``, with a type behind it if wanted, makes a
        name fail; that name is always absolute.
        """
        zone = cls()
        sets: dict[tuple[tuple[str, ...], RecordType], tuple[str, list[RecordSet]]] = {}
        for owner, record_type, record_set in _read_master_file(text):
            zone._node(owner)  # a record of a type that we never ask for makes its name exist all the same
            if record_type is not None:
                sets.setdefault((_key(owner), record_type), (owner, []))[1].append(record_set)
        for (_, record_type), (owner, parts) in sets.items():
            # At once: a set that grows record by record would be hashed anew for each.
            records = tuple(one for part in parts for one in part.records)
            zone._put(owner, record_type, RecordSet(records, parts[-1].ttl))
        for name, failing_type, cause in _read_failures(text):
            zone._node(name).failures[failing_type] = cause
        return zone

    @classmethod
    def from_records(cls, records: RecordsByQuestion) -> "Zone":
        """A zone from ``{(name, type): [record, ...]}``; an ``Unanswered`` for a list makes that question fail.

        A string stands for a record as people write it: an address, a name, ``10 mail.example.test``, or the text
        of a TXT record, which is cut into strings of 255 octets.
        """
        zone = cls()
        for (name, record_type), content in records.items():
            if isinstance(content, Unanswered):
                zone._node(name).failures[record_type] = content.cause
            else:
                values = tuple(_from_text(record_type, one) if isinstance(one, str) else one for one in content)
                zone._put(name, record_type, RecordSet(values))
        return zone

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        """What a resolver in front of these zones would answer; never raises."""
        name, ttl = question.name, None
        for _ in range(_MAX_CHAIN):
            if not is_dns_name(name):
                return Absent(Absence.NO_SUCH_NAME)
            node = self._find(_key(name))
            if node is None:
                return Absent(Absence.NO_SUCH_NAME, _shortest(ttl, self._negative_ttl(name)))
            cause = node.failures.get(question.record_type) or node.failures.get(None)
            if cause is not None:
                return Unanswered(cause)
            found = node.sets.get(question.record_type)
            if found is not None:
                return Found(found.records, _shortest(ttl, found.ttl), canonical_name=name)
            alias = node.sets.get(RecordType.CNAME)
            if alias is None or not isinstance(alias.records[0], NameRecord):
                return Absent(Absence.NO_DATA, _shortest(ttl, self._negative_ttl(name)))
            name, ttl = alias.records[0].target, _shortest(ttl, alias.ttl)
        return Unanswered("servfail")

    def _put(self, name: str, record_type: RecordType, added: RecordSet) -> None:
        if not added.records:
            return
        node = self._node(name)
        earlier = node.sets.get(record_type)
        records = (*(earlier.records if earlier else ()), *added.records)
        # RFC 2181 section 5: a record set has no duplicates and one TTL.
        node.sets[record_type] = RecordSet(tuple(dict.fromkeys(records)), added.ttl)
        if record_type is RecordType.SOA and isinstance(records[0], OtherRecord):
            node.negative_ttl = min(added.ttl, int(records[0].text.split()[-1]))  # RFC 2308 section 5

    def _node(self, name: str) -> _Node:
        """The node at ``name``, made if need be together with the empty ones above it."""
        key = _key(name)
        for above in range(1, len(key)):
            self._nodes.setdefault(key[above:], _Node())
        return self._nodes.setdefault(key, _Node())

    def _find(self, key: tuple[str, ...]) -> _Node | None:
        """The node at ``key``, or the wildcard that stands for it (RFC 4592 section 3.3.1)."""
        node = self._nodes.get(key)
        if node is not None:
            return node
        for cut in range(1, len(key) + 1):
            if cut == len(key) or key[cut:] in self._nodes:  # the closest encloser; nothing further up counts
                return self._nodes.get(("*", *key[cut:]))
        return None

    def _negative_ttl(self, name: str) -> int:
        key = _key(name)
        for cut in range(len(key)):
            node = self._nodes.get(key[cut:])
            if node is not None and node.negative_ttl is not None:
                return node.negative_ttl
        return 0


def _key(name: str) -> tuple[str, ...]:
    # DNS compares ASCII letters without case and all other octets as they are (RFC 4343), so not str.lower.
    folded = name.encode("latin-1", "replace").lower().decode("latin-1").removesuffix(".")
    return tuple(folded.split(".")) if folded else ()


def _shortest(first: int | None, second: int) -> int:
    return second if first is None else min(first, second)


def _from_text(record_type: RecordType, text: str) -> DnsRecord:
    match record_type:
        case RecordType.A | RecordType.AAAA:
            return AddressRecord(ip_address(text))
        case RecordType.CNAME | RecordType.NS | RecordType.PTR:
            return NameRecord(text.removesuffix("."))
        case RecordType.MX:
            preference, _, exchange = text.partition(" ")
            return MxRecord(int(preference), exchange.strip().removesuffix("."))
        case RecordType.TXT:
            octets = text.encode()
            return TxtRecord(tuple(octets[at : at + 255] for at in range(0, len(octets), 255)) or (b"",))
        case _:
            return OtherRecord(text)


class _Tokenizer(dns.tokenizer.Tokenizer):
    """Remembers the line of the last word: an error is often noticed only after the line's end."""

    line_of_last_word = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        """The next token."""
        line_number, is_new = self.line_number, self.ungotten_token is None
        token = super().get(want_leading, want_comment)
        if is_new and not token.is_eol_or_eof():
            self.line_of_last_word = line_number
        return token


class _Collector(dns.zonefile.RRsetsReaderTransaction):
    """Takes the records that dnspython's reader reads, of as many zones as there are in the file."""

    def __init__(self) -> None:
        super().__init__(dns.zonefile.RRSetsReaderManager(), True, False)  # type: ignore[no-untyped-call]
        self.collected: list[tuple[str, RecordType | None, RecordSet]] = []
        self._owners_of_aliases: dict[dns.name.Name, bool] = {}

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Keep one record; called by the reader."""
        is_alias = rdata.rdtype == dns.rdatatype.CNAME
        if self._owners_of_aliases.setdefault(name, is_alias) != is_alias:
            raise ValueError("a name with a CNAME has no other records (RFC 1034 section 3.6.2)")
        record_type = _KNOWN_TYPES.get(dns.rdatatype.to_text(rdata.rdtype))
        records = () if record_type is None else (record_of(record_type, rdata),)
        self.collected.append((from_dns_name(name), record_type, RecordSet(records, ttl)))


def _read_master_file(text: str) -> list[tuple[str, RecordType | None, RecordSet]]:
    collector = _Collector()
    tokenizer = _Tokenizer(text)
    reader = dns.zonefile.Reader(
        tokenizer, dns.rdataclass.IN, collector, allow_directives=_DIRECTIVES, default_ttl=_DEFAULT_TTL
    )
    try:
        reader.read()
    except (dns.exception.DNSException, ValueError) as error:
        raise _zone_error(text, error, tokenizer.line_of_last_word) from error
    return collector.collected


def _read_failures(text: str) -> Iterator[tuple[str, RecordType | None, str]]:
    """The lines that make names fail. A line that only looks like one is an error: it would be lost otherwise."""
    start = 0
    for line in text.split("\n"):
        if _FAILURE_WORD.match(line):
            match = _FAILURE.match(line)
            record_type = match and match[3] and _KNOWN_TYPES.get(match[3].upper())
            if match is None or (match[3] and record_type is None) or not is_dns_name(match[2].removesuffix(".")):
                raise ZoneSyntaxError(
                    say("this line names no failure that we know"),
                    source=text,
                    span=Span(start, start + len(line)),
                    next_step=say("Write it as ';; TIMEOUT name' or ';; SERVFAIL name TXT'."),
                )
            yield match[2].removesuffix("."), record_type or None, match[1].lower()
        start += len(line) + 1


def _zone_error(text: str, error: Exception, line_number: int) -> ZoneSyntaxError:
    detail = re.sub(r"\A<string>:\d+: ", "", str(error))
    lines = text.split("\n")
    number = min(line_number, len(lines))
    start = sum(len(line) + 1 for line in lines[: number - 1])
    return ZoneSyntaxError(
        say("not a zone file: %(detail)s", detail=detail),
        source=text,
        span=Span(start, start + len(lines[number - 1])),
        next_step=say("Write one record a line, as in 'example.com. 300 IN TXT \"v=spf1 -all\"'."),
    )
