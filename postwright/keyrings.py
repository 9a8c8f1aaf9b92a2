"""Secrets that live in files: rings of keys with ids, so that each can be changed without a flag day.

A file has one key a line, ``id base64``; the first is in use, the others still open what they made.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailtypes.errors import ConfigurationError, SurroundingsError

_KEY_BYTES = 32
_NONCE_BYTES = 12


class UnsealError(SurroundingsError):
    """A sealed secret does not open: its key is missing from the ring, or the bytes were changed."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id; ``active`` is the id of the one that makes new things."""

    active: str
    keys: Mapping[str, bytes]

    @property
    def active_key(self) -> bytes:
        """The key in use."""
        return self.keys[self.active]


def read_key_ring(path: Path) -> KeyRing:
    """Read a ring; raises ``ConfigurationError`` where the file is missing or not in the form described above."""
    try:
        lines = path.read_text("ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the key file {path.name} cannot be read; `postwright init` makes it") from error
    keys: dict[str, bytes] = {}
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        key_id, _, encoded = line.strip().partition(" ")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ConfigurationError(f"{path.name}, key {number}: not base64") from error
        if not key_id or len(key) != _KEY_BYTES or key_id in keys:
            raise ConfigurationError(f"{path.name}, key {number}: write `id base64` with a key of {_KEY_BYTES} bytes")
        keys[key_id] = key
    if not keys:
        raise ConfigurationError(f"the key file {path.name} holds no key")
    return KeyRing(next(iter(keys)), keys)


def write_new_key(path: Path) -> None:
    """Make a ring of one random key, readable by its owner alone; leaves a file alone that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = base64.b64encode(os.urandom(_KEY_BYTES)).decode("ascii")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"1 {encoded}\n")


def seal(ring: KeyRing, plain: bytes, purpose: str) -> bytes:
    """Encrypt under the key in use (AES-256-GCM); ``purpose`` is bound to it and needed to open it again."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(ring.active_key).encrypt(nonce, plain, purpose.encode())


def unseal(ring: KeyRing, key_id: str, sealed: bytes, purpose: str) -> bytes:
    """Decrypt what ``seal`` made; raises ``UnsealError``."""
    key = ring.keys.get(key_id)
    if key is None:
        raise UnsealError(f"the master key '{key_id}' is not in the key file")
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
    except (InvalidTag, ValueError) as error:  # the second: cut off within the nonce
        raise UnsealError(
            "a sealed secret does not open; the key file is not the one that it was sealed with"
        ) from error
