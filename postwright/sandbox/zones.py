"""Zones as the sandbox's name server holds them: master files read (RFC 1035 section 5), questions answered.

Pure but for ``publish_zone``, ``withdraw_zone`` and ``ZoneDirectory``, which look at the files.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

from mailtypes.clock import SECOND, Clock, SystemClock
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError, Span
from postwright.sandbox.layout import write_atomically

_LOG = logging.getLogger(__name__)
_MAX_ZONE_OCTETS = 1 << 20
_MAX_CNAME_CHAIN = 8
_SUFFIX = ".zone"
# Short, so that a record that was just published or mended is seen within a second or so.
_PREFACE = "$TTL 1\n"
_SOA = "ns.sandbox.test. hostmaster.sandbox.test. 1 3600 600 86400 1"
_SYNTAX_ERROR = re.compile(r"<string>:(\d+):\s*(.*)", re.DOTALL)


class ZoneSyntaxError(InputSyntaxError):
    """A zone text that is not a master file."""


Records = dict[dns.rdatatype.RdataType, dns.rdataset.Rdataset]


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: its records by owner name, and all names that exist in it, empty non-terminals included."""

    origin: dns.name.Name
    records: Mapping[dns.name.Name, Records]
    names: frozenset[dns.name.Name]

    @classmethod
    def parse(cls, origin: str, text: str) -> "Zone":
        """Read a master file; a TTL of one second, an SOA and an NS are supplied where the text has none.

        Raises ``ZoneSyntaxError`` with the line at fault.
        """
        if len(text) > _MAX_ZONE_OCTETS:
            raise ZoneSyntaxError(f"the zone has more than {_MAX_ZONE_OCTETS} characters")
        apex = dns.name.from_text(origin)
        try:
            parsed = dns.zone.from_text(_PREFACE + text, apex, relativize=False, check_origin=False)
        except (dns.exception.DNSException, ValueError) as error:
            raise _syntax_error(text, error) from error
        records: dict[dns.name.Name, Records] = {
            name: {rdataset.rdtype: rdataset for rdataset in node.rdatasets} for name, node in parsed.nodes.items()
        }
        at_apex = records.setdefault(apex, {})
        for rdtype, value in ((dns.rdatatype.SOA, _SOA), (dns.rdatatype.NS, "ns.sandbox.test.")):
            at_apex.setdefault(rdtype, dns.rdataset.from_text(dns.rdataclass.IN, rdtype, 1, value))
        return cls(apex, records, frozenset(_with_non_terminals(apex, records)))

    @property
    def soa(self) -> dns.rrset.RRset:
        """The start of authority, as negative answers carry it (RFC 2308 section 3)."""
        return _rrset(self.origin, self.records[self.origin][dns.rdatatype.SOA])

    def find(self, name: dns.name.Name) -> Records | None:
        """The records at ``name``, by wildcard where it applies; ``None`` where the name does not exist."""
        exact = self.records.get(name)
        if exact is not None:
            return exact
        if name in self.names:
            return {}
        # RFC 4592 section 3.3.1: only the wildcard right below the closest encloser counts.
        encloser = name.parent()
        while encloser not in self.names:
            encloser = encloser.parent()
        return self.records.get(dns.name.Name((b"*", *encloser.labels)))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a question leads to: the answer section, and the SOA where there is nothing (more) to be found."""

    rcode: dns.rcode.Rcode
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """All zones of the sandbox, the whole Internet as far as it is concerned: other names do not exist."""

    zones: Mapping[dns.name.Name, Zone]
    broken: frozenset[dns.name.Name] = field(default_factory=frozenset)

    def zone_of(self, name: dns.name.Name) -> Zone | None:
        """The closest zone that holds ``name``; the root zone says which names do not exist at all."""
        while True:
            if name in self.broken:
                return None
            if (zone := self.zones.get(name)) is not None:
                return zone
            if name == dns.name.root:
                return _ROOT_ZONE
            name = name.parent()

    def resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Resolution:
        """Answer one question of class IN, following CNAMEs through all zones as a resolver does."""
        answer: list[dns.rrset.RRset] = []
        for _ in range(_MAX_CNAME_CHAIN):
            zone = self.zone_of(name)
            if zone is None:
                return Resolution(dns.rcode.SERVFAIL)
            found = zone.find(name)
            if found is None:
                return Resolution(dns.rcode.NXDOMAIN, tuple(answer), (zone.soa,))
            if (rdataset := found.get(rdtype)) is not None:
                return Resolution(dns.rcode.NOERROR, (*answer, _rrset(name, rdataset)))
            if (alias := found.get(dns.rdatatype.CNAME)) is None:
                return Resolution(dns.rcode.NOERROR, tuple(answer), (zone.soa,))
            answer.append(_rrset(name, alias))
            name = alias[0].target
        return Resolution(dns.rcode.SERVFAIL)


class ZoneDirectory:
    """The built-in zones together with the zone files of a directory, read again when they change.

    A file takes the place of the built-in zone of the same origin. A file that cannot be read leaves its last
    good version in force, or else makes its names fail (SERVFAIL), as a broken zone does anywhere.
    """

    def __init__(self, directory: Path, built_in: Iterable[Zone] = (), clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._built_in = {zone.origin: zone for zone in built_in}
        self._files: dict[Path, tuple[tuple[int, int, int], Zone | None]] = {}
        self._seen = -1
        self._looked_at = 0
        self.current = ZoneSet(self._built_in)
        self.generation = 0
        self.refresh()

    def refresh(self) -> ZoneSet:
        """Look whether anything was published (one ``stat`` where nothing was) and return what is in force."""
        now = self._clock.now()
        try:
            changed = self._directory.stat().st_mtime_ns
        except FileNotFoundError:
            changed = -1
        # File times are coarse: two renames may carry one time, so a directory is looked at again
        # until it has been quiet. Files that somebody edits in place are found once a second.
        settled = changed == self._seen and changed // 1_000 < self._looked_at - SECOND // 10
        if settled and now - self._looked_at < SECOND:
            return self.current
        self._seen, self._looked_at = changed, now
        self._scan()
        return self.current

    def _scan(self) -> None:
        files: dict[Path, tuple[tuple[int, int, int], Zone | None]] = {}
        for path in sorted(self._directory.glob(f"[!.]*{_SUFFIX}")):
            try:
                status = path.stat()
            except OSError:  # withdrawn this very moment
                continue
            mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._files.get(path)
            files[path] = known if known and known[0] == mark else (mark, self._read(path, known and known[1]))
        if {path: mark for path, (mark, _) in files.items()} == {path: mark for path, (mark, _) in self._files.items()}:
            return
        self._files = files
        zones = dict(self._built_in)
        broken = set()
        for path, (_, zone) in files.items():
            if zone is None:
                broken.add(dns.name.from_text(path.name.removesuffix(_SUFFIX)))
            else:
                zones[zone.origin] = zone
        self.current = ZoneSet(zones, frozenset(broken))
        self.generation += 1

    @staticmethod
    def _read(path: Path, last_good: Zone | None) -> Zone | None:
        try:
            return Zone.parse(path.name.removesuffix(_SUFFIX), path.read_text("utf-8"))
        except (InputSyntaxError, OSError, ValueError, dns.exception.DNSException) as error:
            _LOG.warning("zone file %s cannot be used: %s", path.name, error)
            return last_good


def publish_zone(directory: Path, name: str, text: str) -> Path:
    """Put a zone into force: ``text`` is a master file with owner names relative to ``name``.

    ``directory`` is the layout's ``zones_directory``. The name server answers from the new zone at once.
    Raises ``DomainSyntaxError`` or ``ZoneSyntaxError``, and then changes nothing.
    """
    origin = DomainName.parse(name).ascii
    Zone.parse(origin, text)
    path = directory / f"{origin}{_SUFFIX}"
    write_atomically(path, text.encode())
    return path


def withdraw_zone(directory: Path, name: str) -> None:
    """Take a published zone out of force; nothing happens where there is none."""
    (directory / f"{DomainName.parse(name).ascii}{_SUFFIX}").unlink(missing_ok=True)


def _with_non_terminals(apex: dns.name.Name, names: Iterable[dns.name.Name]) -> set[dns.name.Name]:
    existing = {apex}
    for owner in names:
        name = owner
        while name not in existing:
            existing.add(name)
            name = name.parent()
    return existing


def _rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))


def _syntax_error(text: str, error: Exception) -> ZoneSyntaxError:
    match = _SYNTAX_ERROR.match(str(error))
    if match is None:
        return ZoneSyntaxError(f"not a zone file: {error}", source=text)
    lines = text.splitlines()
    number = min(max(int(match[1]) - 1, 1), max(len(lines), 1))  # the preface is one line
    start = sum(len(line) + 1 for line in lines[: number - 1])
    width = len(lines[number - 1]) if lines else 0
    return ZoneSyntaxError(
        f"line {number} of the zone: {match[2]}",
        source=text,
        span=Span(start, start + width),
        next_step="Write records as 'name type data', for instance: @ TXT \"v=spf1 -all\".",
    )


_ROOT_ZONE = Zone.parse(".", "@ SOA ns.sandbox.test. hostmaster.sandbox.test. 1 3600 600 86400 1")
