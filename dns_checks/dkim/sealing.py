"""The last step of signing: many DKIM-Signature fields get their signatures together."""

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from dns_checks.dkim.keys import PrivateKey
from dns_checks.dkim.multi_buffer import LANES, WORTH_IT, LaneKey, MultiBuffer, find_multi_buffer

_LOG = logging.getLogger(__name__)
_BASE64_LINE = 72
_PADDING = PKCS1v15()
_HASH = Prehashed(SHA256())


class SealingKey:
    """A private key in use; what the multi-buffer library needs of it is made once."""

    def __init__(self, private_key: PrivateKey) -> None:
        self._private_key = private_key

    def sign(self, digest: bytes) -> bytes:
        """The signature over a SHA-256 ``digest``, by OpenSSL (RFC 6376 section 3.3.1, RFC 8463 section 3)."""
        if isinstance(self._private_key, RSAPrivateKey):
            return self._private_key.sign(digest, _PADDING, _HASH)
        return self._private_key.sign(digest)

    @cached_property
    def lane_key(self) -> LaneKey | None:
        """``None`` for Ed25519, and for RSA keys that the library does not take."""
        return LaneKey.of(self._private_key) if isinstance(self._private_key, RSAPrivateKey) else None


@dataclass(frozen=True, slots=True)
class UnsealedField:
    """A DKIM-Signature field up to ``b=``, and the SHA-256 of what its signature covers."""

    key: SealingKey
    head: bytes
    digest: bytes

    def seal(self, signature: bytes) -> bytes:
        """The whole field with its final CRLF."""
        value = base64.b64encode(signature)
        folded = b"\r\n ".join([value[at : at + _BASE64_LINE] for at in range(0, len(value), _BASE64_LINE)])
        return b"%b%b\r\n" % (self.head, folded)


def seal_all(fields: Sequence[UnsealedField]) -> list[bytes]:
    """The whole fields in their order; RSA signatures eight at a time where the library for it is there."""
    library = find_multi_buffer()
    signatures = _signed_together(library, fields) if isinstance(library, MultiBuffer) else {}
    return [field.seal(signatures.get(number) or field.key.sign(field.digest)) for number, field in enumerate(fields)]


def _signed_together(library: MultiBuffer, fields: Sequence[UnsealedField]) -> dict[int, bytes | None]:
    """Signatures by the number of the field; those that are better made one by one are absent."""
    by_bits: dict[int, list[tuple[int, LaneKey, bytes]]] = {}
    for number, field in enumerate(fields):
        lane_key = field.key.lane_key
        if lane_key is not None:
            by_bits.setdefault(lane_key.bits, []).append((number, lane_key, field.digest))
    signatures: dict[int, bytes | None] = {}
    for lanes in by_bits.values():
        if len(lanes) % LANES < WORTH_IT:
            del lanes[len(lanes) - len(lanes) % LANES :]
        if lanes:
            numbers, keys, digests = zip(*lanes, strict=True)
            signatures.update(zip(numbers, _signed(library, keys, digests), strict=True))
    return signatures


def _signed(library: MultiBuffer, keys: Sequence[LaneKey], digests: Sequence[bytes]) -> Sequence[bytes | None]:
    """What the library made; ``None`` where OpenSSL has to, which is told: nobody would notice otherwise."""
    try:
        made = library.sign(keys, digests)
    except Exception:
        _LOG.exception("crypto_mb cannot sign; OpenSSL does, one by one")
        return [None] * len(digests)
    if None in made:
        _LOG.error("%d of %d signatures of crypto_mb were wrong; OpenSSL makes them", made.count(None), len(made))
    return made
