"""Mark certificates made on the spot: a root, an issuer, and whatever certificate a test wants."""

import base64
import gzip
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
MARK_PURPOSE = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.31")
LOGOTYPE = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.12")
MARK_TYPE = x509.ObjectIdentifier("1.3.6.1.4.1.53087.1.13")
SHA256 = "608648016503040201"
SHA1 = "2b0e03021a"
LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9">
<title>Acme</title>
<rect width="9" height="9"/>
</svg>
"""


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def logotype(
    logo: bytes = LOGO,
    *,
    packed: bool = True,
    address: bytes | None = None,
    algorithm: str = SHA256,
    digest: bytes = b"",
) -> bytes:
    """The DER of the extension (RFC 9399 section 4.1) with one logo of the subject."""
    if address is None:
        data = gzip.compress(logo, mtime=0) if packed else logo
        address = b"data:image/svg+xml;base64," + base64.b64encode(data)
    make = hashlib.sha1 if algorithm == SHA1 else hashlib.sha256
    one_hash = der(0x30, der(0x30, der(0x06, bytes.fromhex(algorithm))), der(0x04, digest or make(logo).digest()))
    details = der(0x30, der(0x16, b"image/svg+xml"), der(0x30, one_hash), der(0x30, der(0x16, address)))
    images = der(0x30, der(0x30, details))
    return der(0x30, der(0xA2, der(0xA0, images)))


@dataclass(frozen=True)
class Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_issuer(name: str, above: Issuer | None = None, *, purposes: tuple[x509.ObjectIdentifier, ...] = ()) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = above.key if above else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(above.certificate.subject if above else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 5 * YEAR)
        .not_valid_after(NOW + 5 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_issuer_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return Issuer(builder.sign(signer, hashes.SHA256()), key)


def _issuer_usage() -> x509.KeyUsage:
    return x509.KeyUsage(False, False, False, False, False, True, True, False, False)


@cache
def root() -> Issuer:
    return make_issuer("Mark Root")


@cache
def intermediate() -> Issuer:
    return make_issuer("Mark Issuer", root(), purposes=(MARK_PURPOSE,))


@dataclass(frozen=True)
class Leaf:
    """What is asked of a mark certificate; the defaults make a good one."""

    names: tuple[str, ...] = ("acme.test",)
    purposes: tuple[x509.ObjectIdentifier, ...] = (MARK_PURPOSE,)
    logotype: bytes | None = field(default_factory=logotype)
    starts: datetime = NOW - YEAR / 2
    ends: datetime = NOW + YEAR / 2
    is_issuer: bool = False
    more: tuple[tuple[x509.ExtensionType, bool], ...] = ()

    def pem(self, issuer: Issuer | None = None) -> bytes:
        above = issuer or intermediate()
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
                x509.NameAttribute(MARK_TYPE, "Registered Mark"),
            ]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.starts)
            .not_valid_after(self.ends)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), critical=False)
        )
        if self.names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in self.names])
            builder = builder.add_extension(names, critical=False)
        if self.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), critical=False)
        if self.logotype is not None:
            builder = builder.add_extension(x509.UnrecognizedExtension(LOGOTYPE, self.logotype), critical=False)
        if self.is_issuer:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        for extension, is_critical in self.more:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(above.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def chain(self) -> bytes:
        return self.pem() + intermediate().pem


SERVER_PURPOSE = ExtendedKeyUsageOID.SERVER_AUTH
