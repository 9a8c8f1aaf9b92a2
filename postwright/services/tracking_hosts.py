"""Whether a host name is one that links in our mails point to, for the proxy that fetches certificates on demand."""

from typing import Final

from mailtypes.clock import SECOND, Clock
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import StorageError
from postwright.store import engagements
from postwright.store.database import Database

_FRESH: Final = 30 * SECOND
_SHORTEST: Final = 2 * SECOND


class TrackingHosts:
    """The tracking hosts of all sender domains and ``own``, the host that they point to; kept for half a minute.

    A host that is not among them is looked up again at most every two seconds, since a domain may be new.
    """

    def __init__(self, database: Database, clock: Clock, own: str) -> None:
        self._database = database
        self._clock = clock
        self._own = own.lower()
        self._hosts: set[str] = set()
        self._read_at: int | None = None

    async def has(self, host: str) -> bool:
        """Whether ``host`` (in any spelling) is ours; may raise ``StorageError``, but never for a host known before."""
        try:
            name = DomainName.parse(host.strip().removesuffix(".")).ascii
        except DomainSyntaxError:
            return False
        if name == self._own:
            return True
        age = None if self._read_at is None else self._clock.now() - self._read_at
        if age is None or age > (_FRESH if name in self._hosts else _SHORTEST):
            await self._read(is_known=name in self._hosts)
        return name in self._hosts

    async def _read(self, *, is_known: bool) -> None:
        try:
            self._hosts = await self._database.read(engagements.tracking_hosts)
        except StorageError:
            if not is_known:
                raise
        self._read_at = self._clock.now()
