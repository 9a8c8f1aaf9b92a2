"""Records as octoDNS zone files (YAML): one document a zone, keys in natural order as its ``enforce_order`` wants."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dns_checks.dmarc import bundled_suffixes
from dns_checks.dmarc.public_suffixes import organizational_domain_7489
from dns_checks.publish.error import PublishError
from dns_checks.publish.records import RecordToPublish
from dns_checks.publish.zone_text import TTL
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType
from mailtypes.saying import say

_NUMBER = re.compile(r"([0-9]+)")
_PLAIN = re.compile(r"[A-Za-z_*][A-Za-z0-9_.*-]*\Z")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})  # YAML 1.1 takes these for values


def as_octodns_yaml(
    records: Sequence[RecordToPublish], zones: Sequence[DomainName] = (), ttl: int = TTL
) -> Mapping[str, str]:
    """The text of each zone's file by its name (``acme.test.yaml``).

    A record belongs to the longest of ``zones`` that it is in; where none is given, to its organizational domain by the
    public suffix list. Raises ``PublishError`` for a record that is in none of ``zones``. Semicolons are escaped, as
    octoDNS reads them unless ``escaped_semicolons`` is off.
    """
    grouped: dict[DomainName, list[RecordToPublish]] = defaultdict(list)
    for record in records:
        grouped[_zone_of(record.name, zones)].append(record)
    return {f"{zone}.yaml": _zone_text(zone, grouped[zone], ttl) for zone in sorted(grouped)}


def _zone_of(name: DomainName, zones: Sequence[DomainName]) -> DomainName:
    if not zones:
        return organizational_domain_7489(name, bundled_suffixes())
    above = [zone for zone in zones if name.is_within(zone)]
    if not above:
        raise PublishError(
            say("%(name)s is in none of the zones", name=name),
            source=name.ascii,
            next_step=say("Name its zone as well."),
        )
    return max(above, key=lambda zone: len(zone.labels))


def _zone_text(zone: DomainName, records: Sequence[RecordToPublish], ttl: int) -> str:
    sets: dict[str, dict[RecordType, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        relative = record.name.ascii.removesuffix(zone.ascii).removesuffix(".")
        sets[relative][record.record_type].append(record.value)
    lines = ["---"]
    for relative in sorted(sets, key=_natural):
        lines.append(f"{_scalar(relative)}:")
        several = len(sets[relative]) > 1
        for record_type in sorted(sets[relative]):
            inner = _set_lines(record_type, sets[relative][record_type], ttl)
            first, rest = ("  - ", "    ") if several else ("  ", "  ")
            lines += [f"{first if not at else rest}{line}" for at, line in enumerate(inner)]
    return "\n".join(lines) + "\n"


def _set_lines(record_type: RecordType, values: Sequence[str], ttl: int) -> list[str]:
    lines = [f"ttl: {ttl}", f"type: {record_type}"]
    if record_type is RecordType.MX:
        lines.append("values:")
        for value in values:
            preference, _, exchange = value.partition(" ")
            lines += [f"  - exchange: {_scalar(f'{exchange}.')}", f"    preference: {preference}"]
        return lines
    shown = [_scalar(_value(record_type, value)) for value in values]
    if len(shown) == 1:
        return [*lines, f"value: {shown[0]}"]
    return [*lines, "values:", *(f"  - {value}" for value in shown)]


def _value(record_type: RecordType, value: str) -> str:
    if record_type is RecordType.TXT:
        return value.replace("\\", "\\\\").replace(";", "\\;")
    return f"{value}." if record_type is RecordType.CNAME else value


def _scalar(text: str) -> str:
    """``text`` as a YAML scalar: plain where nothing could mistake it, in single quotes, or with escapes."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    escaped = "".join(
        letter if 0x20 <= ord(letter) < 0x7F and letter not in '"\\' else f"\\U{ord(letter):08x}" for letter in text
    )
    return f'"{escaped}"'


def _natural(name: str) -> tuple[tuple[str, int], ...]:
    """pw2 before pw10."""
    parts = _NUMBER.split(name)
    return tuple((parts[at], int(parts[at + 1]) if at + 1 < len(parts) else -1) for at in range(0, len(parts), 2))
