"""RSA signatures eight at a time, by Intel's crypto_mb (the packages of the extra ``multibuffer``).

Where the processor has AVX-512 IFMA, one call makes eight signatures in the time of two or three. It is optional:
without library, processor or a fitting key, ``cryptography`` signs one by one, and the octets are the same
(RSASSA-PKCS1-v1_5 of RFC 8017 section 8.2 leaves no choice). A signature leaves this module only after the public key
has given the encoded digest back: a fault in a computation by the Chinese remainder theorem would give the private key
away (Boneh, DeMillo, Lipton: On the Importance of Checking Cryptographic Protocols for Faults, 1997).
"""

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LANES = 8
WORTH_IT = 3
"""From so many signatures on a call for eight is quicker than as many calls of OpenSSL."""
_EXPONENT = 65537  # the only one that the library checks with
_KEY_BITS = (2048, 3072, 4096)
# RFC 8017 section 9.2, note 1: DigestInfo of SHA-256 up to the digest.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_RUNTIME = ("libintlc.so.5", "libimf.so", "libirng.so", "libsvml.so")
_LIBRARY = "libcrypto_mb.so"

_Lanes = ctypes.c_void_p * LANES


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why signatures are made one by one, for whoever runs the server."""

    cause: str


@dataclass(frozen=True, slots=True)
class LaneKey:
    """A private key as the library reads it: numbers in little-endian order, as long as the key makes them."""

    bits: int
    modulus: ctypes.Array[ctypes.c_char]
    numbers: tuple[ctypes.Array[ctypes.c_char], ...]
    """p, q, d mod p-1, d mod q-1, and the inverse of q modulo p."""

    @classmethod
    def of(cls, key: RSAPrivateKey) -> "LaneKey | None":
        """``None`` where the key is of a kind that the library does not take."""
        if key.key_size not in _KEY_BITS:
            return None
        private = key.private_numbers()
        half = key.key_size // 2
        if private.public_numbers.e != _EXPONENT or {private.p.bit_length(), private.q.bit_length()} != {half}:
            return None
        numbers = (private.p, private.q, private.dmp1, private.dmq1, private.iqmp)
        return cls(
            key.key_size,
            _buffer(private.public_numbers.n, key.key_size),
            tuple(_buffer(number, half) for number in numbers),
        )


def _buffer(number: int, bits: int) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(number.to_bytes(bits // 8, "little"), bits // 8)


class _Workplace(threading.local):
    """What one thread works in, by key size; a call of the library lets go of the interpreter's lock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._benches: dict[int, _Bench] = {}

    def bench(self, bits: int) -> "_Bench":
        if bits not in self._benches:
            self._benches[bits] = _Bench(self._library, bits)
        return self._benches[bits]


class _Bench:
    """Room for eight signatures of one key size."""

    def __init__(self, library: ctypes.CDLL, bits: int) -> None:
        self._library = library
        self._bits, self._octets = bits, bits // 8
        self._private, self._public = methods = _methods(library, bits)
        self._scratch = ctypes.create_string_buffer(max(library.mbx_RSA_Method_BufSize(one) for one in methods))
        size = LANES * self._octets
        self._encoded, self._signatures, self._opened = (ctypes.create_string_buffer(size) for _ in range(3))
        self._into, self._out, self._back = (
            self._lanes(buffer) for buffer in (self._encoded, self._signatures, self._opened)
        )
        self._prefix = b"\0\1" + b"\xff" * (self._octets - 3 - len(_SHA256_INFO) - 32) + b"\0" + _SHA256_INFO
        self._keys: list[LaneKey] = []
        self._key_lanes: list[Any] = []

    def _lanes(self, buffer: ctypes.Array[ctypes.c_char]) -> Any:
        start = ctypes.addressof(buffer)
        return _Lanes(*[start + lane * self._octets for lane in range(LANES)])

    def sign(self, keys: list[LaneKey], digests: list[bytes]) -> list[bytes | None]:
        """A signature for each of at most eight digests, ``None`` where it did not stand its check."""
        spare = LANES - len(digests)
        encoded = [self._prefix + digest for digest in (*digests, *digests[:1] * spare)]
        self._set_keys([*keys, *keys[:1] * spare])
        self._encoded.raw = b"".join(encoded)
        ctypes.memset(self._opened, 0, len(self._opened))  # what was opened before shall not stand the check
        *numbers, modulus = self._key_lanes
        library, bits, scratch = self._library, self._bits, self._scratch
        library.mbx_rsa_private_crt_mb8(self._into, self._out, *numbers, bits, self._private, scratch)
        library.mbx_rsa_public_mb8(self._out, self._back, modulus, bits, self._public, scratch)
        ctypes.memset(scratch, 0, len(scratch))  # it holds what the key could be reckoned from
        # What the two calls say of themselves is left aside: nothing but the right octets will do.
        made, opened = self._signatures.raw, self._opened.raw
        found: list[bytes | None] = []
        for lane in range(len(digests)):
            place = slice(lane * self._octets, (lane + 1) * self._octets)
            found.append(made[place] if opened[place] == encoded[lane] else None)
        return found

    def _set_keys(self, keys: list[LaneKey]) -> None:
        if len(self._keys) == LANES and all(one is other for one, other in zip(keys, self._keys, strict=True)):
            return  # as nearly always: a chunk has one sender
        columns = [*zip(*[key.numbers for key in keys], strict=True), [key.modulus for key in keys]]
        self._key_lanes = [_Lanes(*[ctypes.addressof(number) for number in column]) for column in columns]
        self._keys = keys


class MultiBuffer:
    """The library, ready for use; safe to share by threads."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises ``AttributeError`` where it lacks something that is needed later."""
        for bits in _KEY_BITS:
            _methods(library, bits)
        library.mbx_RSA_Method_BufSize.argtypes = [ctypes.c_void_p]
        library.mbx_rsa_private_crt_mb8.argtypes = [_Lanes] * 7 + [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        library.mbx_rsa_public_mb8.argtypes = [_Lanes] * 3 + [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._workplace = _Workplace(library)

    def sign(self, keys: Sequence[LaneKey], digests: Sequence[bytes]) -> list[bytes | None]:
        """RSASSA-PKCS1-v1_5 over SHA-256 ``digests``, each by the key beside it; all keys are equally long.

        ``None`` stands where a signature did not stand its check: another implementation has to make that one.
        """
        bench = self._workplace.bench(keys[0].bits)
        made: list[bytes | None] = []
        for at in range(0, len(digests), LANES):
            made += bench.sign(list(keys[at : at + LANES]), list(digests[at : at + LANES]))
        return made


def _methods(library: ctypes.CDLL, bits: int) -> tuple[int, int]:
    """The methods for signing and for checking with keys of a size."""
    found = []
    for name in (f"mbx_RSA{bits // 1024}K_private_crt_Method", f"mbx_RSA{bits // 1024}K_pub65537_Method"):
        function = getattr(library, name)
        function.restype = ctypes.c_void_p
        if (method := function()) is None:
            raise AttributeError(f"{name} is not to be had")
        found.append(int(method))
    return found[0], found[1]


@cache
def find_multi_buffer() -> MultiBuffer | Unavailable:
    """The library, looked for once in a process."""
    try:
        for name in _RUNTIME:
            _load("intel-cmplr-lib-rt", name)
        library = _load("ipp-crypto", _LIBRARY)
        library.mbx_is_crypto_mb_applicable.argtypes = [ctypes.c_uint64]
        is_applicable = bool(library.mbx_is_crypto_mb_applicable(0))
        found = MultiBuffer(library)
    except PackageNotFoundError as error:
        return Unavailable(f"{error.name} is not installed")
    except (OSError, AttributeError) as error:
        return Unavailable(f"crypto_mb cannot be loaded: {error}")
    return found if is_applicable else Unavailable("the processor has no AVX-512 IFMA")


def _load(package: str, name: str) -> ctypes.CDLL:
    for path in files(package) or ():
        if path.name == name:
            return ctypes.CDLL(str(path.locate()))
    raise OSError(f"{package} has no {name}")
