"""Mark certificates: good ones, one for each fault, and octets that are none."""

import base64
import gzip
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.bimi import CertificateReport, CertificateSyntaxError, accepted_names, check_certificate
from dns_checks.bimi.certificate import MAX_OCTETS, read_certificates
from dns_checks.bimi.logotype import LogotypeSyntaxError, subject_logos
from mailtypes.auth import Finding
from tests.dns_checks.bimi.marks import (
    LOGO,
    NOW,
    SERVER_PURPOSE,
    SHA1,
    YEAR,
    Leaf,
    der,
    intermediate,
    logotype,
    make_issuer,
    root,
)

NAMES = accepted_names("news.acme.test", "acme.test", "default")


def check(pem: bytes, logo: bytes | None = LOGO, now: datetime = NOW) -> CertificateReport:
    return check_certificate(pem, NAMES, logo, [root().certificate], now)


def faults(report: CertificateReport) -> list[str]:
    return [one.code for one in report.findings if one.state is not Finding.PRESENT]


def test_a_good_certificate() -> None:
    report = check(Leaf().chain())
    assert report.valid
    assert [finding.code for finding in report.findings] == [
        "bimi.certificate_validity",
        "bimi.certificate_trusted",
        "bimi.certificate_purpose",
        "bimi.certificate_domain",
        "bimi.certificate_logo",
    ]
    assert report.names == ("acme.test",)
    assert report.mark_type == "Registered Mark"
    assert report.expires_at == NOW + YEAR / 2
    assert report.logo == LOGO
    assert "Acme" in report.subject


@pytest.mark.parametrize(
    "name", ["news.acme.test", "ACME.test", "default._bimi.acme.test", "default._bimi.news.acme.test"]
)
def test_every_accepted_name(name: str) -> None:
    assert check(Leaf(names=("other.test", name)).chain()).valid


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        (Leaf(starts=NOW - 2 * YEAR, ends=NOW - timedelta(seconds=1)), "bimi.certificate_expired"),
        (Leaf(starts=NOW + timedelta(seconds=1)), "bimi.certificate_not_yet_valid"),
        (Leaf(names=("other.test",)), "bimi.certificate_domain"),
        (Leaf(names=("test",)), "bimi.certificate_domain"),
        (Leaf(names=("*.acme.test",)), "bimi.certificate_domain"),
        (Leaf(names=("brand._bimi.acme.test",)), "bimi.certificate_domain"),
        (Leaf(names=()), "bimi.certificate_domain"),
        (Leaf(purposes=(SERVER_PURPOSE,)), "bimi.certificate_purpose"),
        (Leaf(purposes=()), "bimi.certificate_purpose"),
        (Leaf(logotype=None), "bimi.certificate_logo_missing"),
        (Leaf(logotype=logotype(address=b"https://acme.test/logo.svg")), "bimi.certificate_logo_missing"),
        (Leaf(logotype=logotype(LOGO + b" ")), "bimi.certificate_logo"),
        (Leaf(logotype=logotype(digest=b"\0" * 32)), "bimi.certificate_logo_hash"),
        (Leaf(logotype=logotype(algorithm=SHA1)), "bimi.certificate_logo_hash"),
        (Leaf(logotype=b"\x30\x80"), "bimi.certificate_logo_syntax"),
        (Leaf(logotype=b"\x30\x00"), "bimi.certificate_logo_syntax"),
        (Leaf(logotype=logotype(address=b"data:image/svg+xml,<svg/>")), "bimi.certificate_logo_syntax"),
        (Leaf(logotype=logotype(address=b"data:image/svg+xml;base64,%%%")), "bimi.certificate_logo_syntax"),
        (Leaf(is_issuer=True), "bimi.certificate_untrusted"),
    ],
)
def test_one_fault_and_no_other(leaf: Leaf, code: str) -> None:
    report = check(leaf.chain())
    assert not report.valid
    assert faults(report) == [code]
    (finding,) = [one for one in report.findings if one.code == code]
    assert finding.state is Finding.ABSENT
    assert finding.next_step
    assert finding.sentence.endswith(".")


def test_soon_to_expire_is_a_warning() -> None:
    report = check(Leaf(ends=NOW + timedelta(days=20)).chain())
    assert report.valid
    assert faults(report) == ["bimi.certificate_expires_soon"]


def test_now_may_be_given_in_any_time_zone() -> None:
    ends = datetime(2026, 7, 1, 12, tzinfo=UTC)
    pem = Leaf(ends=ends).chain()
    east = timezone(timedelta(hours=14))
    assert faults(check(pem, now=ends.astimezone(east))) == ["bimi.certificate_expires_soon"]
    late = (ends + timedelta(seconds=1)).astimezone(east)
    assert faults(check(pem, now=late)) == ["bimi.certificate_expired"]


def test_the_chain() -> None:
    assert faults(check(Leaf().pem(root()))) == []
    assert faults(check(Leaf().chain() + root().pem)) == []
    assert faults(check(Leaf().pem())) == ["bimi.certificate_untrusted"]
    stranger = make_issuer("Mark Root")
    assert faults(check(Leaf().pem(stranger) + stranger.pem)) == ["bimi.certificate_untrusted"]
    same_name = make_issuer("Mark Issuer", stranger)
    assert faults(check(Leaf().pem(same_name) + intermediate().pem)) == ["bimi.certificate_untrusted"]
    web = make_issuer("Web Issuer", root(), purposes=(SERVER_PURPOSE,))
    assert faults(check(Leaf().pem(web) + web.pem)) == ["bimi.certificate_untrusted"]


def test_a_certificate_cannot_issue_another() -> None:
    pem = Leaf().chain()
    forged = Leaf(names=("acme.test",)).pem(make_issuer("Acme", intermediate()))
    assert "bimi.certificate_untrusted" in faults(check(forged + pem))


def test_extensions_that_issuers_add() -> None:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    policy = x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.53087.1.1"), ["https://issuer.test/cps"])
    address = x509.UniformResourceIdentifier("http://issuer.test/a.crl")
    lists = x509.CRLDistributionPoints([x509.DistributionPoint([address], None, None, None)])
    extensions = ((usage, True), (x509.CertificatePolicies([policy]), False), (lists, False))
    assert check(Leaf(more=extensions).chain()).valid


def test_a_critical_extension_that_nobody_knows_is_refused() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert faults(check(Leaf(more=((strange, True),)).chain())) == ["bimi.certificate_untrusted"]
    assert check(Leaf(more=((strange, False),)).chain()).valid


def test_without_roots_trust_is_unknown() -> None:
    report = check_certificate(Leaf().chain(), NAMES, LOGO, [], NOW)
    (finding,) = [one for one in report.findings if one.state is not Finding.PRESENT]
    assert (finding.code, finding.state) == ("bimi.certificate_untrusted", Finding.UNKNOWN)
    assert not report.valid


def test_without_the_published_logo_the_comparison_is_unknown() -> None:
    report = check(Leaf().chain(), logo=None)
    (finding,) = [one for one in report.findings if one.state is not Finding.PRESENT]
    assert (finding.code, finding.state) == ("bimi.certificate_logo", Finding.UNKNOWN)


@pytest.mark.parametrize("packed", [True, False])
def test_line_ends_do_not_matter(packed: bool) -> None:
    pem = Leaf(logotype=logotype(packed=packed)).chain()
    assert check(pem, logo=LOGO.replace(b"\n", b"\r\n")).valid


@pytest.mark.parametrize("pem", [b"", b"hello", b"\0" * 100, b"x" * (MAX_OCTETS + 1), intermediate().pem * 11])
def test_no_certificates_at_all(pem: bytes) -> None:
    with pytest.raises(CertificateSyntaxError):
        read_certificates(pem)
    report = check(pem)
    assert faults(report) == ["bimi.certificate_syntax"]
    assert not report.valid


def test_an_embedded_bomb_is_refused() -> None:
    bomb = base64.b64encode(gzip.compress(b"\0" * 50_000_000))
    extension = logotype(address=b"data:image/svg+xml;base64," + bomb)
    with pytest.raises(LogotypeSyntaxError, match="larger"):
        subject_logos(extension)


def test_octets_behind_the_extension_are_refused() -> None:
    with pytest.raises(LogotypeSyntaxError):
        subject_logos(logotype() + b"\0")
    with pytest.raises(LogotypeSyntaxError):
        subject_logos(der(0x30, der(0xA1, der(0xA0, b""))))


@given(st.binary(max_size=200))
def test_any_octets_as_an_extension(octets: bytes) -> None:
    for extension in (octets, der(0x30, octets), der(0x30, der(0xA2, der(0xA0, octets)))):
        try:
            subject_logos(extension)
        except LogotypeSyntaxError:
            continue


EXTENSION = logotype()
GOOD = Leaf().chain()
OTHER_NAMES = ("x.test",)


def mutated(data: st.DataObject, octets: bytes) -> bytes:
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    return bytes(changed)


@given(st.data())
def test_mutated_extensions(data: st.DataObject) -> None:
    try:
        for logo in subject_logos(mutated(data, EXTENSION)):
            assert logo.octets == LOGO or logo.hash_matches is not True
    except LogotypeSyntaxError:
        pass


@pytest.mark.filterwarnings("ignore")
@given(st.data())
def test_mutated_certificates_are_never_taken_for_good(data: st.DataObject) -> None:
    block = GOOD.split(b"-----")[2]
    inner = base64.b64decode(block)
    changed = mutated(data, inner)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(changed) + b"-----END CERTIFICATE-----\n"
    report = check(pem + intermediate().pem)
    assert report.valid is (changed == inner)


@given(st.binary(max_size=300))
def test_any_octets_as_a_certificate(octets: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(octets) + b"-----END CERTIFICATE-----\n"
    assert not check(octets).valid
    assert not check(pem).valid
