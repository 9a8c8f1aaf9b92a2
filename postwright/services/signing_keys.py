"""DKIM keys: made, sealed, replaced, and opened for signing; the port ``mta.ports.KeySource`` over the store."""

import asyncio
import re
from collections.abc import Sequence

from sqlalchemy import Connection

from dns_checks.dkim.keys import (
    KeyType,
    PrivateKey,
    generate_ed25519_key,
    generate_rsa_key,
    key_record_text,
    private_key_from_pem,
    private_key_to_pem,
)
from mailtypes.clock import MINUTE, Clock
from mailtypes.domain import DomainName
from mailtypes.saying import say
from mta.ports import NoSigningKeyError, SigningKey
from postwright.keyrings import KeyRing, seal, unseal
from postwright.services.errors import RefusedError
from postwright.store import domains, events
from postwright.store.database import Database
from postwright.store.domains import DkimKey, SenderDomain

_BELIEVED = MINUTE
"""How long a process signs with the keys that it has read: a key stays published far longer after it has retired."""


def make_key(
    master: KeyRing, workspace_id: int, domain_id: int, selector: str, now: int, algorithm: KeyType = KeyType.RSA
) -> DkimKey:
    """A fresh key, its private part sealed under the master key in use. RSA-2048 takes a tenth of a second."""
    key = generate_rsa_key() if algorithm is KeyType.RSA else generate_ed25519_key()
    return DkimKey(
        id=0,
        workspace_id=workspace_id,
        domain_id=domain_id,
        selector=selector,
        algorithm=str(algorithm),
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


def keys_to_audit(keys: Sequence[DkimKey]) -> tuple[DkimKey, ...]:
    """The keys that a domain cannot do without: those that sign; where none does yet, those that are to be the first.

    A new key beside one that signs may take its time to be published, and nobody fails for want of a retiring one.
    """
    active = tuple(key for key in keys if key.state == "active")
    return active or tuple(key for key in keys if key.state in {"made", "published"})


class KeyRotation:
    """Makes the keys that replace others; ``postwright.services.domain_watch`` does the replacing."""

    def __init__(self, database: Database, clock: Clock, master: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._master = master

    async def rotate(self, domain: SenderDomain, *, with_ed25519: bool | None = None) -> Sequence[DkimKey]:
        """Make the next key of a domain (RSA-2048) and perhaps an Ed25519 key beside it (``None``: as it is now).

        They sign as soon as all name servers show them; then the keys in use retire. Raises ``RefusedError`` while
        another key waits to be published, and where no key is in use that could be replaced.
        """
        keys = await self._database.read(lambda connection: domains.list_keys(connection, domain.id))
        _check_rotation(keys)
        if with_ed25519 is None:
            with_ed25519 = any(key.state == "active" and key.algorithm == KeyType.ED25519 for key in keys)
        now, selector = self._clock.now(), _next_selector(keys)
        made = [await asyncio.to_thread(make_key, self._master, domain.workspace_id, domain.id, selector, now)]
        if with_ed25519:
            place = (domain.workspace_id, domain.id, f"{selector}-ed25519")
            made.append(make_key(self._master, *place, now, KeyType.ED25519))

        def store(connection: Connection) -> Sequence[DkimKey]:
            # Looked at once more: somebody else may have begun while the key was made.
            present = domains.list_keys(connection, domain.id)
            _check_rotation(present)
            ids = {domains.add_key(connection, key) for key in made}
            data = {"domain": domain.name, "selectors": [key.selector for key in made]}
            begun = events.NewEvent(domain.workspace_id, "dkim_rotation_begun", now, data=data)
            events.append(connection, [begun], now)
            domains.check_soon(connection, domain.id, now)
            return [key for key in domains.list_keys(connection, domain.id) if key.id in ids]

        return await self._database.write(store)


def _check_rotation(keys: Sequence[DkimKey]) -> None:
    waiting = [key.selector for key in keys if key.state in {"made", "published"}]
    if waiting:
        raise RefusedError(
            "rotation_under_way",
            say("There is a new key that is not in use yet: %(waiting)s.", waiting=" and ".join(waiting)),
            next_step=say("Publish what is new on all name servers of the domain; it takes over by itself."),
        )
    if not any(key.state == "active" for key in keys):
        raise RefusedError(
            "no_key_in_use",
            say("No key of this domain is in use, so there is none to replace."),
            next_step=say("Publish the domain's records and verify it first."),
        )


def _next_selector(keys: Sequence[DkimKey]) -> str:
    numbers = [int(found[1]) for key in keys if (found := re.match(r"pw([0-9]{1,9})(?![0-9])", key.selector))]
    return f"pw{max(numbers, default=0) + 1}"


class StoredKeys:
    """Active keys by domain, read again every minute.

    ``signing_keys`` is called from the threads that sign, so the database is asked beforehand by ``prefetch``. The
    platform's domain (``platform_name``, A-labels) signs for other workspaces than its own too.
    """

    def __init__(self, database: Database, master: KeyRing, clock: Clock, platform_name: str = "") -> None:
        self._database = database
        self._master = master
        self._clock = clock
        self._platform_name = platform_name
        self._keys: dict[tuple[int, str], tuple[int, tuple[SigningKey, ...]]] = {}

    async def prefetch(self, domain: DomainName, workspace_id: int) -> None:
        """Read the keys of a domain unless they have been read in the last minute."""
        place = (workspace_id, domain.ascii)
        read_at, _ = self._keys.get(place, (0, ()))
        now = self._clock.now()
        if now - read_at < _BELIEVED:
            return
        stored = await self._database.read(lambda connection: self._stored(connection, domain.ascii, workspace_id))
        opened = await asyncio.to_thread(self._open, domain, stored)
        self._keys[place] = (now, opened)

    def _stored(self, connection: Connection, name: str, workspace_id: int) -> Sequence[DkimKey]:
        own = domains.active_keys(connection, workspace_id, name)
        if own or name != self._platform_name:
            return own
        platform = domains.find_verified(connection, name)
        return domains.active_keys(connection, platform.workspace_id, name) if platform is not None else []

    def _open(self, domain: DomainName, stored: Sequence[DkimKey]) -> tuple[SigningKey, ...]:
        return tuple(SigningKey(domain, key.selector, open_key(self._master, key)) for key in stored)

    def signing_keys(self, domain: DomainName, workspace_id: int) -> Sequence[SigningKey]:
        """The active keys of a domain that was prefetched; raises ``NoSigningKeyError``."""
        _, keys = self._keys.get((workspace_id, domain.ascii), (0, ()))
        if not keys:
            raise NoSigningKeyError(f"{domain} has no active DKIM key")
        return keys
