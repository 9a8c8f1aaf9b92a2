"""The class of network that a client address is in (``networks.toml``); the address itself is not kept."""

import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

from mailtypes.errors import InputSyntaxError

_Network: TypeAlias = IPv4Network | IPv6Network


class NetworkClass(StrEnum):
    """Whose network it is; ``other`` is everybody else's, people's among them.

    ``likely_scanner``: a security vendor's, as others say; no verdict rests on it alone.
    """

    APPLE = "apple"
    GOOGLE = "google"
    YAHOO = "yahoo"
    MICROSOFT = "microsoft"
    SCANNER = "scanner"
    LIKELY_SCANNER = "likely_scanner"
    DATACENTER = "datacenter"
    OTHER = "other"


class Confidence(StrEnum):
    """Who says whose a range is: its owner, or others."""

    PUBLISHED = "published"
    REPORTED = "reported"


class NetworksSyntaxError(InputSyntaxError):
    """A list of networks that cannot be read."""


class Networks:
    """Ranges with their classes; of several that hold an address the narrowest counts."""

    def __init__(self, ranges: Iterable[tuple[_Network, NetworkClass]]) -> None:
        by_version: dict[int, list[tuple[int, int, NetworkClass]]] = {4: [], 6: []}
        for network, kind in ranges:
            first, last = int(network.network_address), int(network.broadcast_address)
            by_version[network.version].append((first, last, kind))
        self._tables = {version: _without_overlaps(rows) for version, rows in by_version.items()}
        self.class_of = lru_cache(maxsize=16_384)(self._class_of)

    @classmethod
    def parse(cls, text: str, *, before_shipped: bool = False) -> "Networks":
        """Read TOML as ``networks.toml`` is written; raise ``NetworksSyntaxError``.

        With ``before_shipped`` the shipped list stands behind it; of two equal ranges the one in ``text`` counts.
        """
        try:
            own = _read_ranges(text)
            # Equal ranges keep their order, and the later one lies above the earlier.
            return cls([*(_shipped_ranges() if before_shipped else ()), *own])
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise NetworksSyntaxError(
                f"the list of networks cannot be read: {error}",
                source=text[:200],
                next_step="Write [[network]] with class, confidence, ranges and source, as the shipped list does.",
            ) from error

    def _class_of(self, address: str) -> NetworkClass:
        """The class of an address in text; ``other`` where it is none."""
        try:
            found: IPv4Address | IPv6Address = ip_address(address)
        except ValueError:
            return NetworkClass.OTHER
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        starts, rows = self._tables[found.version]
        place = bisect_right(starts, int(found)) - 1
        if place >= 0 and int(found) <= rows[place][0]:
            return rows[place][1]
        return NetworkClass.OTHER


def _without_overlaps(
    ranges: list[tuple[int, int, NetworkClass]],
) -> tuple[list[int], list[tuple[int, NetworkClass]]]:
    """Starts, and (last, class) of each piece: CIDR ranges nest or are apart, so a stack cuts them into pieces."""
    pieces: list[tuple[int, int, NetworkClass]] = []
    stack: list[tuple[int, NetworkClass]] = []
    position = 0

    def emit(until: int) -> None:
        if stack and position <= until:
            pieces.append((position, until, stack[-1][1]))

    for first, last, kind in sorted(ranges, key=lambda row: (row[0], -row[1])):
        while stack and stack[-1][0] < first:
            emit(stack[-1][0])
            position = max(position, stack.pop()[0] + 1)
        emit(first - 1)
        position = first
        stack.append((last, kind))
    while stack:
        emit(stack[-1][0])
        position = max(position, stack.pop()[0] + 1)
    return [piece[0] for piece in pieces], [(piece[1], piece[2]) for piece in pieces]


@cache
def shipped_networks() -> Networks:
    """The list that comes with the package."""
    return Networks(_shipped_ranges())


@cache
def _shipped_ranges() -> tuple[tuple[_Network, NetworkClass], ...]:
    return tuple(_read_ranges(files("tracking.verdicts").joinpath("networks.toml").read_text("utf-8")))


def _read_ranges(text: str) -> list[tuple[_Network, NetworkClass]]:
    entries = [(_class_in(entry), entry["ranges"]) for entry in tomllib.loads(text)["network"]]
    return [(ip_network(one), kind) for kind, ranges in entries for one in ranges]


def _class_in(entry: Mapping[str, Any]) -> NetworkClass:
    """An entry's class; an install's own list need not say how it knows."""
    kind, confidence = NetworkClass(entry["class"]), Confidence(entry.get("confidence", Confidence.PUBLISHED))
    is_doubtful = kind is NetworkClass.SCANNER and confidence is Confidence.REPORTED
    return NetworkClass.LIKELY_SCANNER if is_doubtful else kind


_INSIDE: Final[tuple[_Network, ...]] = (
    ip_network("10.0.0.0/8"),
    ip_network("100.64.0.0/10"),
    ip_network("127.0.0.0/8"),
    ip_network("169.254.0.0/16"),
    ip_network("172.16.0.0/12"),
    ip_network("192.168.0.0/16"),
    ip_network("::1/128"),
    ip_network("fc00::/7"),
    ip_network("fe80::/10"),
)
"""RFC 1918, RFC 6598, RFC 4193, loopback and link-local."""


@lru_cache(maxsize=16_384)
def neighbourhood(address: str) -> str:
    """The network that bursts are counted by: the first 24 bits of IPv4, 48 of IPv6; empty where it is no address.

    Empty, too, for addresses that do not occur on the Internet: there is a proxy in front that does not say for whom
    it asks, and everybody would seem to come from one place.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in _INSIDE):
        return ""
    bits = 8 if found.version == 4 else 80
    return str(ip_network((int(found) >> bits << bits, found.max_prefixlen - bits)))
