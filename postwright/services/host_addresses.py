"""The port ``mta.ports.HostResolver`` over the DNS."""

from collections.abc import Sequence

from dns_checks.driver import Resolver
from dns_checks.mx import resolve_host


class HostAddressResolver:
    """Addresses of MX hosts, all with one port: 25, or the sandbox's."""

    def __init__(self, resolver: Resolver, port: int) -> None:
        self._resolver = resolver
        self._port = port

    async def addresses(self, host: str) -> Sequence[tuple[str, int]]:
        """Addresses in the order to try them; empty where there is none or nobody could say."""
        found = await self._resolver.evaluate(resolve_host(host))
        return [(str(address), self._port) for address in found.addresses]
