"""Between dnspython's names and records and ours.

A name of ours is a plain string: one character for each octet (ISO 8859-1), labels apart by dots, no escapes and no
trailing dot. A dot *inside* of a label, which no host name has, comes out as ``\\.``, so that nobody can pass off the
label ``mail.example`` as two.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import dns.exception
import dns.name
import dns.rdata

from mailtypes.questions import AddressRecord, DnsRecord, MxRecord, NameRecord, OtherRecord, RecordType, TxtRecord

_MAX_LABEL_OCTETS = 63  # RFC 1035 section 2.3.4
_MAX_NAME_OCTETS = 253  # the same section: 255 octets on the wire


def is_dns_name(name: str) -> bool:
    """Whether ``name`` can be asked for at all: RFC 1035 section 2.3.4's lengths, no empty label, octets only."""
    return len(name) <= _MAX_NAME_OCTETS and all(
        1 <= len(label) <= _MAX_LABEL_OCTETS and all(character <= "\xff" for character in label)
        for label in name.split(".")
    )


def to_dns_name(name: str) -> dns.name.Name:
    """``name`` for dnspython; ``ValueError`` where ``is_dns_name`` says no. The empty string is the root."""
    if not name:
        return dns.name.root
    if not is_dns_name(name):
        raise ValueError("not a name that the DNS can hold")
    return dns.name.Name([*(label.encode("latin-1") for label in name.split(".")), b""])


def from_dns_name(name: dns.name.Name) -> str:
    """A name from dnspython as ours; the root is the empty string."""
    return ".".join(label.decode("latin-1").replace(".", "\\.") for label in name.labels if label)


def record_of(record_type: RecordType, rdata: dns.rdata.Rdata) -> DnsRecord:
    """One record as a value of ours."""
    data: Any = rdata  # dnspython's record classes are made at run time, so the attributes are unknown to mypy
    match record_type:
        case RecordType.A:
            return AddressRecord(IPv4Address(data.address))
        case RecordType.AAAA:
            return AddressRecord(IPv6Address(data.address))
        case RecordType.CNAME | RecordType.NS | RecordType.PTR:
            return NameRecord(from_dns_name(data.target))
        case RecordType.MX:
            return MxRecord(data.preference, from_dns_name(data.exchange))
        case RecordType.TXT:
            return TxtRecord(tuple(data.strings))
        case RecordType.SOA | RecordType.TLSA:
            return OtherRecord(rdata.to_text())
