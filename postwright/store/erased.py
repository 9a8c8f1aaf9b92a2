"""Whom nobody may write to again since they were erased: told by a keyed hash, for the address itself is gone.

The hash is HMAC-SHA256 (RFC 2104) over workspace and address key. Its key is no row of the database but lies in a file
of its own (``keys.erasure_file``): who has a copy of the database alone cannot try addresses out. Every connection of a
``Database`` that was opened with these keys can ask. Where somebody was erased and the key is missing, asking is an
error and nothing is sent: who cannot be told apart must not be written to.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from mailtypes.errors import ConfigurationError
from postwright.store.records import table

_erased = table("erased_address")
KEYS_OPTION: Final = "postwright_erasure_keys"
NOWHERE: Final = "@erased.invalid"
"""What stands in place of an erased address ends so (RFC 2606 section 2: nobody has ``.invalid``)."""
REASON: Final = "erased"
_AT_ONCE: Final = 500


class ErasureKeys(Protocol):
    """The keys by id; ``active`` is the id of the one that new hashes are made with."""

    @property
    def active(self) -> str:
        """The id of the key in use."""
        ...

    @property
    def keys(self) -> Mapping[str, bytes]:
        """Every key that is kept."""
        ...


ErasureKeySource = Callable[[], ErasureKeys]


def erased_among(connection: Connection, workspace_id: int, address_keys: Iterable[str]) -> set[str]:
    """Which of these address keys belong to people who were erased from the workspace, or were put in their place.

    Raises ``ConfigurationError`` where somebody was erased and the key that tells who is missing.
    """
    asked = set(address_keys)
    found = {key for key in asked if key.endswith(NOWHERE)}
    key_ids = _key_ids(connection, workspace_id)
    if not key_ids:
        return found
    keys = _keys(connection)
    missing = [key_id for key_id in key_ids if key_id not in keys.keys]
    if missing:
        raise ConfigurationError(f"the erasure key '{missing[0]}' is not in its key file: nobody knows who was erased")
    for key_id in key_ids:
        found |= _found(connection, workspace_id, key_id, _hashes(keys.keys[key_id], workspace_id, asked - found))
    return found


def is_erased(connection: Connection, workspace_id: int, address_key: str) -> bool:
    """Whether somebody with this address was erased."""
    return bool(erased_among(connection, workspace_id, [address_key]))


def remember(connection: Connection, workspace_id: int, address_key: str, now: Microseconds) -> None:
    """Let an address be known as erased from now on; twice is once."""
    keys = _keys(connection)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    (address_hash,) = _hashes(keys.keys[keys.active], workspace_id, [address_key])
    row = {"workspace_id": workspace_id, "hash_key_id": keys.active, "address_hash": address_hash, "created_at": now}
    connection.execute(insert(_erased).values(**row).on_conflict_do_nothing())


def _keys(connection: Connection) -> ErasureKeys:
    source: ErasureKeySource | None = connection.get_execution_options().get(KEYS_OPTION)
    if source is None:
        raise ConfigurationError("no erasure key was given, so nobody knows who was erased")
    return source()


def _key_ids(connection: Connection, workspace_id: int) -> list[str]:
    """The ids of the keys that were ever used here: one step along the index for each."""
    found: list[str] = []
    after = ""
    while True:
        step = select(func.min(_erased.c.hash_key_id)).where(
            _erased.c.workspace_id == workspace_id, _erased.c.hash_key_id > after
        )
        key_id = connection.execute(step).scalar_one_or_none()
        if key_id is None:
            return found
        after = str(key_id)
        found.append(after)


def _hashes(key: bytes, workspace_id: int, address_keys: Iterable[str]) -> dict[bytes, str]:
    before = b"%d\0" % workspace_id
    return {hmac.digest(key, before + one.encode("utf-8", "surrogatepass"), "sha256"): one for one in address_keys}


def _found(connection: Connection, workspace_id: int, key_id: str, hashes: Mapping[bytes, str]) -> set[str]:
    found: set[str] = set()
    wanted = list(hashes)
    for at in range(0, len(wanted), _AT_ONCE):
        statement = select(_erased.c.address_hash).where(
            _erased.c.workspace_id == workspace_id,
            _erased.c.hash_key_id == key_id,
            _erased.c.address_hash.in_(wanted[at : at + _AT_ONCE]),
        )
        found |= {hashes[bytes(row[0])] for row in connection.execute(statement)}
    return found
