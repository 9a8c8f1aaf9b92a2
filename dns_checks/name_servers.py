"""Which name servers are authoritative for a name, found through an ordinary resolver (RFC 1034 section 4.2.1)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mailtypes.questions import (
    AddressRecord,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Found,
    NameRecord,
    RecordType,
    Unanswered,
)
from mailtypes.saying import say

_MAX_SERVERS = 13
_MAX_ADDRESSES = 4
_MAX_LABELS = 12


@dataclass(frozen=True, slots=True)
class NameServer:
    """A name server's host name and its addresses (at most four are looked at); none: they could not be found out."""

    name: str
    addresses: tuple[IPv4Address | IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one name server said at each of its addresses; empty: it was not reached."""

    server: str
    answers: tuple[DnsAnswer, ...]


@dataclass(frozen=True, slots=True)
class Authority:
    """The name servers of the zone that holds ``name``, which is the name asked for or what it is an alias of."""

    name: str
    servers: tuple[NameServer, ...]


def authority_of(question: DnsQuestion) -> DnsEvaluation[Authority | Unanswered]:
    """Find the zone's NS records by walking up from the name (an alias is followed first), and their addresses.

    ``Unanswered`` where a question on the way was not answered, or no zone was found below the top-level domain.
    """
    answer = yield question
    name = question.name
    if isinstance(answer, Found) and answer.canonical_name:
        name = answer.canonical_name
    labels = name.split(".")
    for start in range(max(0, len(labels) - _MAX_LABELS), len(labels) - 1):
        found = yield DnsQuestion(".".join(labels[start:]), RecordType.NS)
        if isinstance(found, Unanswered):
            return found
        if isinstance(found, Found):
            names = sorted({one.target.lower() for one in found.records if isinstance(one, NameRecord)})
            servers: tuple[NameServer, ...] = ()
            for host in names[:_MAX_SERVERS]:
                servers += (NameServer(host, (yield from _addresses(host))),)
            return Authority(name, servers)
    return Unanswered(say("no zone holds %(name)s", name=name))


def _addresses(host: str) -> DnsEvaluation[tuple[IPv4Address | IPv6Address, ...]]:
    found: list[IPv4Address | IPv6Address] = []
    for record_type in (RecordType.A, RecordType.AAAA):
        answer = yield DnsQuestion(host, record_type)
        if isinstance(answer, Found):
            addresses = [one.address for one in answer.records if isinstance(one, AddressRecord)]
            found += sorted(addresses, key=int)[: _MAX_ADDRESSES // 2]
    return tuple(found)
