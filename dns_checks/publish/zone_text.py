"""Records as lines of a zone file (RFC 1035 section 5)."""

from dns_checks.publish.records import RecordToPublish
from mailtypes.questions import RecordType

_STRING_OCTETS = 255  # RFC 1035 section 3.3: one character-string
TTL = 3600


def as_zone_text(records: tuple[RecordToPublish, ...], ttl: int = TTL) -> str:
    """The records as lines of an RFC 1035 master file: absolute names, TXT in strings of at most 255 octets."""
    return "".join(f"{r.name.ascii}. {ttl} IN {r.record_type} {_rdata(r)}\n" for r in records)


def _rdata(record: RecordToPublish) -> str:
    if record.record_type is not RecordType.TXT:
        return f"{record.value}."
    octets = record.value.encode()
    strings = [octets[at : at + _STRING_OCTETS] for at in range(0, len(octets), _STRING_OCTETS)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, string))}"' for string in strings)


def _escaped(octet: int) -> str:
    # RFC 1035 section 5.1: a quote and a backslash are escaped, what cannot be printed is \DDD.
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
