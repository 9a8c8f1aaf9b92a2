"""DKIM key pairs, and the key records that publish them (RFC 6376 section 3.6.1, RFC 8301, RFC 8463)."""

import base64
import binascii
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

from dns_checks.dkim.parse import Tag, TagListSyntaxError, parse_tag_list
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey

MIN_RSA_BITS = 1024  # RFC 8301 section 3.2: shorter keys never make a valid signature
ADVISED_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # beyond this, checking a signature is a burden that somebody else chooses for us
_MAX_RECORD_OCTETS = 8192
_ED25519_OCTETS = 32  # RFC 8463 section 4: the bare public key, not wrapped in ASN.1


class KeySyntaxError(InputSyntaxError):
    """A private key that cannot be read, or is not one that signs mail."""


class KeyRecordSyntaxError(InputSyntaxError):
    """A TXT record that is not a DKIM key record."""


class KeyType(StrEnum):
    """The ``k=`` tag."""

    RSA = "rsa"
    ED25519 = "ed25519"


def generate_rsa_key(bits: int = ADVISED_RSA_BITS) -> RSAPrivateKey:
    """A new RSA key from OpenSSL's own source of chance."""
    return generate_private_key(public_exponent=65537, key_size=bits)


def generate_ed25519_key() -> Ed25519PrivateKey:
    """A new Ed25519 key from OpenSSL's own source of chance."""
    return Ed25519PrivateKey.generate()


def private_key_to_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 in PEM, encrypted where a passphrase is given."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def private_key_from_pem(pem: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """Read a key in PEM (PKCS#8 or PKCS#1). Raises ``KeySyntaxError``, which never shows the key itself."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeySyntaxError(
            say("the private key cannot be read"),
            next_step=say("Give an unencrypted PEM file, or the right passphrase."),
        ) from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise KeySyntaxError(say("the key is neither RSA nor Ed25519"), next_step=say("Make a new key for DKIM."))
    if isinstance(key, RSAPrivateKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeySyntaxError(
            say("an RSA key of %(key_size)s bits", key_size=key.key_size),
            next_step=say("Use %(advised_rsa_bits)s bits.", advised_rsa_bits=ADVISED_RSA_BITS),
        )
    return key


def public_key_octets(key: PublicKey | PrivateKey) -> bytes:
    """The octets that ``p=`` holds in base64: SubjectPublicKeyInfo for RSA, the bare key for Ed25519."""
    public = key.public_key() if isinstance(key, RSAPrivateKey | Ed25519PrivateKey) else key
    if isinstance(public, Ed25519PublicKey):
        return public.public_bytes_raw()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_type(key: PublicKey | PrivateKey) -> KeyType:
    """Which ``k=`` belongs to the key."""
    return KeyType.RSA if isinstance(key, RSAPrivateKey | RSAPublicKey) else KeyType.ED25519


def key_record_text(key: PublicKey | PrivateKey, *, testing: bool = False) -> str:
    """The TXT record that publishes the key at ``<selector>._domainkey.<domain>``."""
    flags = "t=y; " if testing else ""
    return f"v=DKIM1; k={key_type(key)}; {flags}p={base64.b64encode(public_key_octets(key)).decode()}"


@dataclass(frozen=True, slots=True)
class KeyRemark:
    """Something about a valid key record that its owner should know; ``span`` points into the record."""

    code: str
    message: str
    span: Span | None
    next_step: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key record. ``public_key`` is ``None`` where the key is revoked (``p=`` empty). ``hashes`` empty: any."""

    text: str
    key_type: KeyType
    public_key: PublicKey | None = field(compare=False)
    hashes: tuple[str, ...]
    services: tuple[str, ...]
    flags: tuple[str, ...]
    remarks: tuple[KeyRemark, ...]

    @property
    def is_revoked(self) -> bool:
        """RFC 6376 section 3.6.1: an empty ``p=``."""
        return self.public_key is None

    @property
    def is_testing(self) -> bool:
        """``t=y``: the owner is testing DKIM."""
        return "y" in self.flags

    @property
    def is_strict(self) -> bool:
        """``t=s``: the domain of ``i=`` must equal that of ``d=``."""
        return "s" in self.flags

    @property
    def serves_email(self) -> bool:
        """``s=`` names e-mail or everything."""
        return "*" in self.services or "email" in self.services

    @property
    def rsa_bits(self) -> int | None:
        """Length of the RSA modulus."""
        return self.public_key.key_size if isinstance(self.public_key, RSAPublicKey) else None

    def publishes(self, key: PublicKey | PrivateKey) -> bool:
        """Whether this is the record of ``key``."""
        return self.public_key is not None and public_key_octets(self.public_key) == public_key_octets(key)


def parse_key_record(text: str) -> KeyRecord:
    """Read and check a key record; raise ``KeyRecordSyntaxError`` with the span and the next step.

    What is valid but unwise (short key, testing flag, revoked) is in ``remarks``.
    """
    if len(text) > _MAX_RECORD_OCTETS:
        raise KeyRecordSyntaxError(
            say("the record is longer than %(max_record_octets)s octets", max_record_octets=_MAX_RECORD_OCTETS),
            source=text[:100],
        )
    try:
        tags = parse_tag_list(text)
    except TagListSyntaxError as error:
        raise KeyRecordSyntaxError(error.message, source=text, span=error.span, next_step=error.next_step) from error
    _check_version(text, tags)
    kind = _parse_key_type(text, tags.get("k"))
    if "p" not in tags:
        raise KeyRecordSyntaxError(say("there is no p= tag"), source=text, next_step=say("Add p= with the public key."))
    public = _parse_public_key(text, tags["p"], kind)
    return KeyRecord(
        text=text,
        key_type=kind,
        public_key=public,
        hashes=_parse_list(tags.get("h")),
        services=_parse_list(tags.get("s")) or ("*",),
        flags=_parse_list(tags.get("t")),
        remarks=tuple(_remarks(tags, public)),
    )


def _check_version(text: str, tags: dict[str, Tag]) -> None:
    version = tags.get("v")
    if version is None:
        return
    # RFC 6376 section 3.6.1: where v= is there it must be first and exactly this.
    if next(iter(tags)) != "v":
        raise KeyRecordSyntaxError(
            say("v= is not the first tag"),
            source=text,
            span=version.name_span,
            next_step=say("Move v=DKIM1 to the front."),
        )
    if version.value != "DKIM1":
        raise KeyRecordSyntaxError(
            say("the version is '%(version)s'", version=version.value),
            source=text,
            span=version.value_span,
            next_step=say("Write v=DKIM1."),
        )


def _parse_key_type(text: str, tag: Tag | None) -> KeyType:
    if tag is None:
        return KeyType.RSA
    try:
        return KeyType(tag.value.lower())
    except ValueError as error:
        raise KeyRecordSyntaxError(
            say("the key type '%(tag)s' is unknown", tag=tag.value),
            source=text,
            span=tag.value_span,
            next_step=say("Use rsa or ed25519."),
        ) from error


def _parse_list(tag: Tag | None) -> tuple[str, ...]:
    return tuple(part for part in tag.packed_value.lower().split(":") if part) if tag else ()


def _parse_public_key(text: str, tag: Tag, kind: KeyType) -> PublicKey | None:
    packed = tag.packed_value
    if not packed:
        return None
    try:
        octets = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_key(
            text, tag, say("p= is not base64"), say("Paste the key again, whole and without quotes.")
        ) from error
    if kind is KeyType.ED25519:
        if len(octets) != _ED25519_OCTETS:
            raise _bad_key(
                text,
                tag,
                say(
                    "p= holds %(count)s octets, an Ed25519 key has %(ed25519_octets)s",
                    count=len(octets),
                    ed25519_octets=_ED25519_OCTETS,
                ),
                say("Publish the bare 32 octets in base64, without the ASN.1 wrapping (RFC 8463 section 4)."),
            )
        return Ed25519PublicKey.from_public_bytes(octets)
    try:
        # Also reads the bare RSAPublicKey that some publish (RFC 6376 erratum 3017).
        public = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_key(text, tag, say("p= holds no RSA key"), say("Paste the key again, whole.")) from error
    if not isinstance(public, RSAPublicKey):
        raise _bad_key(text, tag, say("p= holds a key that is not RSA"), say("Let k= and p= agree."))
    if public.key_size > MAX_RSA_BITS:
        raise _bad_key(
            text,
            tag,
            say("the key has %(key_size)s bits", key_size=public.key_size),
            say("Use %(advised_rsa_bits)s bits.", advised_rsa_bits=ADVISED_RSA_BITS),
        )
    return public


def _bad_key(text: str, tag: Tag, message: str, next_step: str) -> KeyRecordSyntaxError:
    return KeyRecordSyntaxError(message, source=text, span=tag.value_span, next_step=next_step)


def _remarks(tags: dict[str, Tag], public: PublicKey | None) -> list[KeyRemark]:
    remarks = []
    if public is None:
        remarks.append(
            KeyRemark(
                "dkim.revoked",
                say("the key is revoked"),
                tags["p"].name_span,
                say("Publish a key, or retire the selector."),
            )
        )
    if isinstance(public, RSAPublicKey) and public.key_size < ADVISED_RSA_BITS:
        code = "dkim.key_too_short" if public.key_size < MIN_RSA_BITS else "dkim.key_short"
        message = say("the RSA key has %(key_size)s bits", key_size=public.key_size)
        remarks.append(
            KeyRemark(
                code,
                message,
                tags["p"].value_span,
                say("Rotate to %(advised_rsa_bits)s bits.", advised_rsa_bits=ADVISED_RSA_BITS),
            )
        )
    if "y" in _parse_list(tags.get("t")):
        remarks.append(
            KeyRemark(
                "dkim.testing",
                say("t=y tells receivers to treat signed mail as unsigned"),
                tags["t"].value_span,
                say("Remove t=y once the signatures pass."),
            )
        )
    return remarks
