"""The sandbox's certificate authority: a root of its own and leaf certificates for its hosts (RFC 5280)."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailtypes.clock import Clock, as_datetime
from mailtypes.domain import DomainName
from mailtypes.errors import ConfigurationError
from postwright.sandbox.layout import write_atomically

_BACKDATED = datetime.timedelta(hours=1)
_ROOT_LIFE = datetime.timedelta(days=3650)
_LEAF_LIFE = datetime.timedelta(days=90)
_RENEW_BEFORE = datetime.timedelta(days=7)
# RFC 6761: names that are nobody's. Whoever trusts this root trusts it for these only.
_PERMITTED_DOMAINS = ("test", "localhost", "example", "invalid")
_PERMITTED_NETWORKS = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate and its key, both PEM files; the key's file is readable by its owner alone."""

    certificate_path: Path
    key_path: Path


class Authority:
    """The authority of one sandbox. The root is made at the first use and kept; leaves are issued at need."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._key, self._root = self._open_root()

    @property
    def root_path(self) -> Path:
        """The root certificate, PEM: what clients have to trust."""
        return self._directory / "root.pem"

    def issue(self, names: Sequence[str]) -> IssuedCertificate:
        """A certificate for ``names`` (host names or loopback addresses); the present one while it is good.

        Raises ``ConfigurationError`` for no name or one outside of the reserved domains (RFC 6761).
        """
        subjects = _subject_names(names)
        stem = names[0].strip().lower() if _is_address(names[0]) else DomainName.parse(names[0]).ascii
        issued = IssuedCertificate(self._directory / f"{stem}.pem", self._directory / f"{stem}.key.pem")
        if self._is_good(issued, subjects):
            return issued
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign_leaf(key, stem, subjects)
        write_atomically(issued.key_path, _pem_of_key(key), 0o600)
        write_atomically(
            issued.certificate_path,
            certificate.public_bytes(serialization.Encoding.PEM) + self.root_path.read_bytes(),
        )
        return issued

    def _now(self) -> datetime.datetime:
        return as_datetime(self._clock.now())

    def _open_root(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key_path = self._directory / "root.key.pem"
        if key_path.exists() and self.root_path.exists():
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ConfigurationError(f"{key_path} is not a key of the sandbox's authority; remove it")
            return key, x509.load_pem_x509_certificate(self.root_path.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        root = self._sign_root(key)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(key_path, _pem_of_key(key), 0o600)
        write_atomically(self.root_path, root.public_bytes(serialization.Encoding.PEM))
        return key, root

    def _sign_root(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postwright sandbox root, for tests only")])
        permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in _PERMITTED_DOMAINS]
        permitted += [x509.IPAddress(ipaddress.ip_network(network)) for network in _PERMITTED_NETWORKS]
        return (
            self._builder(name, name, key, _ROOT_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints(permitted, None), critical=True)
            .sign(key, hashes.SHA256())
        )

    def _sign_leaf(
        self, key: ec.EllipticCurvePrivateKey, stem: str, subjects: Sequence[x509.GeneralName]
    ) -> x509.Certificate:
        # A common name is at most 64 characters (RFC 5280 appendix A.1); clients read the alternative names.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem[:64])])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            self._builder(name, self._root.subject, key, _LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: datetime.timedelta
    ) -> x509.CertificateBuilder:
        now = self._now()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _is_good(self, issued: IssuedCertificate, subjects: Sequence[x509.GeneralName]) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(issued.certificate_path.read_bytes())
            key = serialization.load_pem_private_key(issued.key_path.read_bytes(), None)
            certificate.verify_directly_issued_by(self._root)
        except Exception:  # whatever is wrong with the files, the mend is a new certificate
            return False
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            list(named) == list(subjects)
            and certificate.public_key() == key.public_key()
            and certificate.not_valid_after_utc - self._now() > _RENEW_BEFORE
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip())
    except ValueError:
        return False
    return True


def _subject_names(names: Sequence[str]) -> list[x509.GeneralName]:
    if not names:
        raise ConfigurationError("a certificate needs at least one name")
    subjects: list[x509.GeneralName] = []
    for name in names:
        if _is_address(name):
            address = ipaddress.ip_address(name.strip())
            if not address.is_loopback:
                raise ConfigurationError(f"the sandbox issues no certificate for {name}: not a loopback address")
            subjects.append(x509.IPAddress(address))
            continue
        host = DomainName.parse(name).ascii
        if host.rpartition(".")[2] not in _PERMITTED_DOMAINS:
            raise ConfigurationError(
                f"the sandbox issues no certificate for {host}: only names below .test, .example, .invalid or localhost"
            )
        subjects.append(x509.DNSName(host))
    return subjects


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
