"""Questions that pure code asks of the world, and the answers that a driver sends back.

An evaluator is a generator: it yields a ``DnsQuestion`` or an ``HttpFetch`` and is sent the answer. "No such
record" and "could not find out" are different values everywhere.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias, TypeVar


class RecordType(StrEnum):
    """The DNS record types that we ask for."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    TLSA = "TLSA"
    TXT = "TXT"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One query: ``name`` in A-labels without the trailing dot (any octets that DNS allows), and the type."""

    name: str
    record_type: RecordType


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """A or AAAA."""

    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class NameRecord:
    """CNAME, NS or PTR: the name pointed to, without the trailing dot."""

    target: str


@dataclass(frozen=True, slots=True)
class MxRecord:
    """MX: lower preference first; ``exchange`` is empty for a null MX (RFC 7505)."""

    preference: int
    exchange: str


@dataclass(frozen=True, slots=True)
class TxtRecord:
    """TXT as its character-strings, each of at most 255 octets."""

    strings: tuple[bytes, ...]

    @property
    def joined(self) -> bytes:
        """The strings put together without anything between, as SPF, DKIM and DMARC read them."""
        return b"".join(self.strings)


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """Any other type, in presentation format (RFC 1035 section 5)."""

    text: str


DnsRecord: TypeAlias = AddressRecord | NameRecord | MxRecord | TxtRecord | OtherRecord


@dataclass(frozen=True, slots=True)
class Found:
    """The records of the type asked for, at ``canonical_name`` (after CNAMEs); ``ttl`` in seconds."""

    records: tuple[DnsRecord, ...]
    ttl: int = 0
    canonical_name: str = ""
    authenticated: bool = False


class Absence(StrEnum):
    """Why there is no record: the name does not exist, or it has none of this type."""

    NO_SUCH_NAME = "nxdomain"
    NO_DATA = "nodata"


@dataclass(frozen=True, slots=True)
class Absent:
    """The authoritative answer that there is no such record."""

    absence: Absence
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Could not find out: ``cause`` is one of ``servfail``, ``timeout``, ``refused``, or a short sentence."""

    cause: str


DnsAnswer: TypeAlias = Found | Absent | Unanswered


@dataclass(frozen=True, slots=True)
class HttpFetch:
    """A GET over HTTPS of at most ``max_bytes``; redirects are followed only if ``follow_redirects``."""

    url: str
    max_bytes: int
    follow_redirects: bool = False


@dataclass(frozen=True, slots=True)
class HttpFetched:
    """A complete answer: ``status`` and the body."""

    status: int
    content_type: str
    body: bytes


HttpAnswer: TypeAlias = HttpFetched | Unanswered

T = TypeVar("T")
DnsEvaluation: TypeAlias = Generator[DnsQuestion, DnsAnswer, T]
"""Pure code that asks DNS questions one by one and returns a ``T``."""

Evaluation: TypeAlias = Generator[DnsQuestion | HttpFetch, DnsAnswer | HttpAnswer, T]
"""Pure code that also asks for files over HTTPS; each question gets an answer of its own kind."""
