"""Who asks: the client's address, as the proxy in front tells it, and the User-Agent header."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from postwright.services.engagement import Visitor
from tracking.verdicts.agents import MAX_USER_AGENT

_Network = IPv4Network | IPv6Network
LOOPBACK: Final[tuple[_Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_MAX_FORWARDED: Final = 2_000


class Visitors:
    """Reads visitors from requests. ``proxies`` are believed when they say for whom they ask, and nobody else is."""

    def __init__(self, proxies: Iterable[_Network] = LOOPBACK) -> None:
        self._proxies = tuple(proxies)
        self._is_proxy = lru_cache(maxsize=4096)(self._find_proxy)

    def read(self, scope: Mapping[str, Any]) -> Visitor:
        """The visitor of an ASGI request."""
        peer = scope.get("client")
        address = str(peer[0]) if peer else ""
        agent, forwarded = b"", b""
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value
            elif name == b"x-forwarded-for":
                # Several fields are one list (RFC 9110 section 5.3).
                forwarded = forwarded + b"," + value if forwarded else value
        if forwarded and self._is_proxy(address):
            address = self._client(address, forwarded[-_MAX_FORWARDED:].decode("latin-1"))
        return Visitor(address, agent[:MAX_USER_AGENT].decode("latin-1"))

    def is_internal(self, scope: Mapping[str, Any]) -> bool:
        """Whether a proxy or somebody beside it asks for itself, not for a visitor."""
        peer = scope.get("client")
        forwarded = any(name in (b"x-forwarded-for", b"forwarded", b"via") for name, _ in scope["headers"])
        return peer is not None and not forwarded and self._is_proxy(str(peer[0]))

    def _client(self, peer: str, forwarded: str) -> str:
        """The last address in the list that is none of our proxies': what stands before it anybody can write."""
        found = peer
        for entry in reversed(forwarded.split(",")):
            text = entry.strip().strip("[]")
            try:
                found = str(ip_address(text))
            except ValueError:
                break
            if not self._is_proxy(found):
                break
        return found

    def _find_proxy(self, address: str) -> bool:
        try:
            found: IPv4Address | IPv6Address = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped  # a listener on "::" sees clients of both kinds so
        return any(found in network for network in self._proxies)
