"""DKIM keys: made, sealed, and opened for signing; the port ``mta.ports.KeySource`` over the store."""

import asyncio
from collections.abc import Sequence

from dns_checks.dkim.keys import (
    PrivateKey,
    generate_rsa_key,
    key_record_text,
    private_key_from_pem,
    private_key_to_pem,
)
from mailtypes.clock import MINUTE, Clock
from mailtypes.domain import DomainName
from mta.ports import NoSigningKeyError, SigningKey
from postwright.keyrings import KeyRing, seal, unseal
from postwright.store import domains
from postwright.store.database import Database
from postwright.store.domains import DkimKey

_BELIEVED = MINUTE
"""How long a process signs with the keys that it has read: a key stays published far longer after it has retired."""


def make_key(master: KeyRing, workspace_id: int, domain_id: int, selector: str, now: int) -> DkimKey:
    """A fresh RSA-2048 key, its private part sealed under the master key in use. Takes a tenth of a second."""
    key = generate_rsa_key()
    return DkimKey(
        id=0,
        workspace_id=workspace_id,
        domain_id=domain_id,
        selector=selector,
        algorithm="rsa",
        state="made",
        public_record=key_record_text(key),
        private_key_sealed=seal(master, private_key_to_pem(key), _purpose(domain_id, selector)),
        sealed_with=master.active,
        created_at=now,
    )


def open_key(master: KeyRing, key: DkimKey) -> PrivateKey:
    """The private key; raises ``UnsealError`` where the master key is not the one."""
    purpose = _purpose(key.domain_id, key.selector)
    return private_key_from_pem(unseal(master, key.sealed_with, key.private_key_sealed, purpose))


def _purpose(domain_id: int, selector: str) -> str:
    return f"dkim:{domain_id}:{selector}"


class StoredKeys:
    """Active keys by domain, read again every minute.

    ``signing_keys`` is called from the threads that sign, so the database is asked beforehand by ``prefetch``.
    """

    def __init__(self, database: Database, master: KeyRing, clock: Clock) -> None:
        self._database = database
        self._master = master
        self._clock = clock
        self._keys: dict[tuple[int, str], tuple[int, tuple[SigningKey, ...]]] = {}

    async def prefetch(self, domain: DomainName, workspace_id: int) -> None:
        """Read the keys of a domain unless they have been read in the last minute."""
        place = (workspace_id, domain.ascii)
        read_at, _ = self._keys.get(place, (0, ()))
        now = self._clock.now()
        if now - read_at < _BELIEVED:
            return
        stored = await self._database.read(
            lambda connection: domains.active_keys(connection, workspace_id, domain.ascii)
        )
        opened = await asyncio.to_thread(self._open, domain, stored)
        self._keys[place] = (now, opened)

    def _open(self, domain: DomainName, stored: Sequence[DkimKey]) -> tuple[SigningKey, ...]:
        return tuple(SigningKey(domain, key.selector, open_key(self._master, key)) for key in stored)

    def signing_keys(self, domain: DomainName, workspace_id: int) -> Sequence[SigningKey]:
        """The active keys of a domain that was prefetched; raises ``NoSigningKeyError``."""
        _, keys = self._keys.get((workspace_id, domain.ascii), (0, ()))
        if not keys:
            raise NoSigningKeyError(f"{domain} has no active DKIM key")
        return keys
