"""Mark certificates (VMC, CMC): chain, purpose, names, logo and validity.

Source: draft-fetch-validation-vmc-wchuang sections 3 to 5. Revocation is not looked up.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.logotype import LOGOTYPE_OID, Logotype, LogotypeSyntaxError, subject_logos, with_line_feeds
from dns_checks.findings import CheckFinding, Evidence, Severity, absent, present, unknown, warning
from mailtypes.auth import Finding
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

MARK_PURPOSE: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.31")  # id-kp-BrandIndicatorforMessageIdentification
MAX_OCTETS: Final = 262_144

_LOGOTYPE: Final = x509.ObjectIdentifier(LOGOTYPE_OID)
_MARK_TYPE: Final = x509.ObjectIdentifier("1.3.6.1.4.1.53087.1.13")
_MAX_CERTIFICATES: Final = 10
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_SOON_DAYS: Final = 30

_ASK_ISSUER: Final = say("Ask the issuer for a certificate that is made for BIMI (VMC or CMC).")


class CertificateSyntaxError(InputSyntaxError):
    """Octets that are no PEM file of certificates."""


@dataclass(frozen=True, slots=True)
class CertificateReport:
    """What is right and wrong with a mark certificate.

    ``names`` are the DNS names that it is made for, ``mark_type`` what its subject says of the mark ("Registered
    Mark"), ``logo`` the SVG file within it, ``expires_at`` the end of its validity (UTC).
    """

    findings: tuple[CheckFinding, ...]
    names: tuple[str, ...] = ()
    subject: str = ""
    mark_type: str | None = None
    expires_at: datetime | None = None
    logo: bytes | None = None

    @property
    def valid(self) -> bool:
        """Whether everything is as it should be; false as well where something could not be found out."""
        return all(one.severity is not Severity.ERROR and one.state is not Finding.UNKNOWN for one in self.findings)


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file in their order; raise ``CertificateSyntaxError`` where there are none to read."""
    if len(pem) > MAX_OCTETS or pem.count(_BEGIN) > _MAX_CERTIFICATES:
        raise CertificateSyntaxError(
            say(
                "the file is larger than %(max_octets)s octets or %(max_certificates)s certificates",
                max_octets=MAX_OCTETS,
                max_certificates=_MAX_CERTIFICATES,
            )
        )
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateSyntaxError(
            say("the file is no PEM file of certificates: %(error)s", error=excerpt(str(error))),
            next_step=say("Publish the mark certificate first, then each issuer up to the root, all as PEM."),
        ) from error


def check_certificate(
    pem: bytes, names: Collection[str], logo: bytes | None, roots: Sequence[x509.Certificate], now: datetime
) -> CertificateReport:
    """Check the certificate that a record's ``a=`` names; never raises for what is in ``pem``.

    ``names``: those of which the certificate has to hold one (see ``accepted_names``). ``logo``: the published SVG
    file, ``None`` where it could not be fetched. ``roots``: the issuers that are trusted; with none, trust is
    unknown. ``now`` has a time zone.
    """
    try:
        chain = read_certificates(pem)
        leaf, extensions = chain[0], chain[0].extensions
        evidence = (Evidence("certificate", excerpt(leaf.subject.rfc4514_string())),)
        validity = _check_validity(leaf, now, evidence)
        mark_types = leaf.subject.get_attributes_for_oid(_MARK_TYPE)
    except CertificateSyntaxError as error:
        return _unreadable(error.message, error.next_step)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return _unreadable(say("the certificate cannot be read: %(error)s", error=excerpt(str(error))), _ASK_ISSUER)
    found_names = _dns_names(extensions)
    embedded, logo_findings = _check_logo(extensions, logo, evidence)
    return CertificateReport(
        findings=(
            validity,
            _check_chain(chain, roots, now, evidence),
            _check_purpose(extensions, evidence),
            _check_names(found_names, names, evidence),
            *logo_findings,
        ),
        names=found_names,
        subject=evidence[0].answer,
        mark_type=excerpt(str(mark_types[0].value)) if mark_types else None,
        expires_at=leaf.not_valid_after_utc,
        logo=embedded.octets if embedded else None,
    )


def accepted_names(domain: str, record_domain: str, selector: str) -> tuple[str, ...]:
    """The names that make a certificate one for ``domain``: it, the domain of the record, or the record's own name."""
    domains = dict.fromkeys((domain, record_domain))
    return (*domains, *(f"{selector}._bimi.{one}".lower() for one in domains))


def _unreadable(message: str, next_step: str) -> CertificateReport:
    sentence = f"{message[0].upper()}{message[1:]}."
    return CertificateReport((absent("bimi.certificate_syntax", (), sentence, next_step),))


def _check_validity(leaf: x509.Certificate, now: datetime, evidence: tuple[Evidence, ...]) -> CheckFinding:
    starts, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < starts:
        sentence = say("The certificate does not count before %(starts)s.", starts=f"{starts:%Y-%m-%d}")
        return absent("bimi.certificate_not_yet_valid", evidence, sentence, say("Publish it from that day on."))
    if now > ends:
        sentence = say("The certificate expired on %(ends)s.", ends=f"{ends:%Y-%m-%d}")
        return absent("bimi.certificate_expired", evidence, sentence, say("Have it renewed and publish the new one."))
    sentence = say("The certificate is valid until %(ends)s.", ends=f"{ends:%Y-%m-%d}")
    if (ends - now).days < _SOON_DAYS:
        return warning("bimi.certificate_expires_soon", evidence, sentence, say("Have it renewed now."))
    return present("bimi.certificate_validity", evidence, sentence)


def _check_chain(
    chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime, evidence: tuple[Evidence, ...]
) -> CheckFinding:
    code, leaf = "bimi.certificate_untrusted", chain[0]
    if not roots:
        sentence = say(
            "Whether the certificate can be trusted is not known: no issuer of mark certificates is named here."
        )
        return unknown(code, evidence, sentence, say("Name the root certificates of the issuers in the settings."))
    # A certificate that expired is one finding, told above; whether its chain leads to a root is another.
    time = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    try:
        builder = PolicyBuilder().store(Store(list(roots))).time(time.astimezone(UTC).replace(tzinfo=None))
        verifier = builder.extension_policies(ca_policy=_issuer_policy(), ee_policy=_leaf_policy())
        verified = verifier.build_client_verifier().verify(leaf, list(chain[1:]))
    except (VerificationError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        return absent(
            code,
            evidence,
            say(
                "The chain of the certificate leads to no root that is trusted here: %(error)s.",
                error=excerpt(str(error)),
            ),
            say("Publish the whole chain, the mark certificate first, from an issuer that mailbox providers accept."),
        )
    root = excerpt(verified.chain[-1].subject.rfc4514_string())
    return present(
        "bimi.certificate_trusted", evidence, say("The chain of the certificate leads to %(root)s.", root=root)
    )


def _issuer_policy() -> ExtensionPolicy:
    return ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_purpose_of_issuer
    )


def _leaf_policy() -> ExtensionPolicy:
    return ExtensionPolicy.permit_all().may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _refuse_issuer)


def _require_purpose_of_issuer(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if usage is not None and MARK_PURPOSE not in usage:
        raise ValueError(say("an issuer in the chain may not issue for BIMI"))


def _refuse_issuer(_policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError(say("the first certificate is that of an issuer"))


def _check_purpose(extensions: x509.Extensions, evidence: tuple[Evidence, ...]) -> CheckFinding:
    code = "bimi.certificate_purpose"
    try:
        if MARK_PURPOSE in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
            return present(code, evidence, say("The certificate is made for BIMI."))
    except x509.ExtensionNotFound:
        pass
    sentence = say(
        "The certificate is not made for BIMI: it lacks the key purpose %(dotted_string)s.",
        dotted_string=MARK_PURPOSE.dotted_string,
    )
    return absent(code, evidence, sentence, _ASK_ISSUER)


def _dns_names(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower().removesuffix(".") for name in names.get_values_for_type(x509.DNSName))


def _check_names(found: Collection[str], wanted: Collection[str], evidence: tuple[Evidence, ...]) -> CheckFinding:
    code = "bimi.certificate_domain"
    matching = [name for name in found if name in wanted]
    if matching:
        return present(code, evidence, say("The certificate is made for %(matching)s.", matching=excerpt(matching[0])))
    made_for = excerpt(", ".join(found)) or say("no domain at all")
    sentence = say(
        "The certificate is made for %(made_for)s, not for %(wanted)s.",
        made_for=made_for,
        wanted=excerpt(" or ".join(wanted)),
    )
    return absent(code, evidence, sentence, say("Have a certificate issued with this domain in it."))


def _check_logo(
    extensions: x509.Extensions, published: bytes | None, evidence: tuple[Evidence, ...]
) -> tuple[Logotype | None, list[CheckFinding]]:
    missing = "bimi.certificate_logo_missing"
    try:
        extension = extensions.get_extension_for_oid(_LOGOTYPE).value
        octets = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
        logos = subject_logos(octets)
    except x509.ExtensionNotFound:
        return None, [absent(missing, evidence, say("The certificate holds no logo."), _ASK_ISSUER)]
    except LogotypeSyntaxError as error:
        sentence = say("The logo in the certificate cannot be read: %(message)s.", message=error.message)
        return None, [absent("bimi.certificate_logo_syntax", evidence, sentence, _ASK_ISSUER)]
    if not logos:
        return None, [absent(missing, evidence, say("The certificate only links to a logo."), _ASK_ISSUER)]
    findings = []
    if any(logo.hash_matches is not True for logo in logos):
        sentence = say("No hash in the certificate (SHA-256 or better) fits the logo within it.")
        findings.append(absent("bimi.certificate_logo_hash", evidence, sentence, _ASK_ISSUER))
    same, finding = _compare(logos, published, evidence)
    return same, [*findings, finding]


def _compare(
    logos: Sequence[Logotype], published: bytes | None, evidence: tuple[Evidence, ...]
) -> tuple[Logotype, CheckFinding]:
    code = "bimi.certificate_logo"
    if published is None:
        sentence = say(
            "Whether the published logo is the one in the certificate is not known: it could not be fetched."
        )
        return logos[0], unknown(code, evidence, sentence)
    same = [logo for logo in logos if with_line_feeds(logo.octets) == with_line_feeds(published)]
    if same:
        return same[0], present(code, evidence, say("The published logo is the one in the certificate."))
    sentence = say("The published logo is not the one in the certificate.")
    return logos[0], absent(
        code, evidence, sentence, say("Publish exactly the file that the certificate was issued for.")
    )
