"""The STARTTLS probe against scripted mail hosts."""

import asyncio
import datetime
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailtypes.clock import SystemClock
from mailtypes.domain import DomainName
from mta.testing import DISCONNECT, Reaction, ScriptedPeer
from postwright.starttls_probe import HostTls, ProbePolicy, StartTlsProbe
from tests.outbound.conftest import ZoneResolver

HOST = "mx.acme.test"
ZONE = f"""
acme.test. MX 10 {HOST}.
{HOST}. A 127.0.0.1
null.test. MX 0 .
lame.test. MX 10 a.lame.test.
;; TIMEOUT broken.test
"""


def tls_of(issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate_path, issued.key_path)
    return context


def self_signed(folder, name: str | None, *, days: int) -> ssl.SSLContext:
    """A context whose certificate nobody signed; it begins forty days ago and ends ``days`` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=40)).not_valid_after(now + timedelta(days=days))
    if name is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    path = folder / "peer.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def probe_to(port: int, root, **changes) -> StartTlsProbe:
    policy = ProbePolicy(
        **{
            "ehlo_name": "out.sender.test",
            "session": timedelta(seconds=3),
            "port": port,
            "ca_file": str(root),
            "allow_private": True,
            **changes,
        }
    )
    return StartTlsProbe(ZoneResolver(ZONE), policy, SystemClock())


async def probe(peer: ScriptedPeer, root, **changes) -> HostTls:
    async with peer:
        (found,) = await probe_to(peer.address[1], root, **changes).probe_domain(DomainName("acme.test"))
    assert found.host == HOST
    assert all(finding.evidence and finding.sentence.endswith(".") for finding in found.findings)
    return found


def codes(found: HostTls) -> str:
    return " ".join(finding.code.removeprefix("starttls.") for finding in found.findings)


async def test_a_valid_certificate(authority, root) -> None:
    peer = ScriptedPeer(tls=tls_of(authority.issue([HOST])))
    found = await probe(peer, root)
    assert (found.starttls, codes(found)) == ("present", "offered certificate_valid")
    assert found.tls_version == "TLSv1.3"
    assert found.certificate is not None
    assert (found.certificate.names, found.certificate.chain_fault) == ((HOST,), "")
    assert peer.commands == ["EHLO out.sender.test", "STARTTLS", "EHLO out.sender.test", "QUIT"]
    assert peer.connections == 1


async def test_a_certificate_that_soon_ends(authority, root) -> None:
    found = await probe(ScriptedPeer(tls=tls_of(authority.issue([HOST]))), root, expires_soon=timedelta(days=100))
    assert codes(found) == "offered certificate_valid certificate_expires_soon"


async def test_a_certificate_for_another_name(authority, root) -> None:
    found = await probe(ScriptedPeer(tls=tls_of(authority.issue(["mail.other.test"]))), root)
    assert codes(found) == "offered certificate_name"
    assert found.certificate is not None
    assert not found.certificate.is_named


async def test_a_wildcard_stands_for_one_label(authority, root, tmp_path) -> None:
    found = await probe(ScriptedPeer(tls=self_signed(tmp_path, "*.acme.test", days=10)), root)
    assert codes(found) == "offered certificate_chain"


async def test_a_certificate_that_nobody_signed(root, tmp_path) -> None:
    peer = ScriptedPeer(tls=self_signed(tmp_path, None, days=10))
    found = await probe(peer, root)
    assert (found.starttls, codes(found)) == ("present", "offered certificate_chain certificate_name")
    assert peer.connections == 2
    assert found.certificate is not None
    assert "self" in found.certificate.chain_fault


async def test_an_expired_certificate(root, tmp_path) -> None:
    found = await probe(ScriptedPeer(tls=self_signed(tmp_path, HOST, days=-1)), root)
    assert codes(found) == "offered certificate_expired"


async def test_no_starttls(root) -> None:
    found = await probe(ScriptedPeer(), root)
    assert (found.starttls, codes(found)) == ("absent", "not_offered")
    found = await probe(ScriptedPeer({"EHLO": ["502 what"]}), root)
    assert (found.starttls, codes(found)) == ("absent", "not_offered")


@pytest.mark.parametrize(
    ("script", "code", "extensions"),
    [
        ({"CONNECT": ["554 go away"]}, "unknown", ()),
        ({"CONNECT": [DISCONNECT]}, "unknown", ()),
        ({"CONNECT": [Reaction(delay=timedelta(seconds=5))]}, "unknown", ()),
        ({"CONNECT": ["hello"]}, "unknown", ()),
        ({"EHLO": [DISCONNECT]}, "unknown", ()),
        ({"STARTTLS": ["454 not now"]}, "failed", ("STARTTLS",)),
        ({"STARTTLS": [DISCONNECT]}, "failed", ("STARTTLS",)),
        ({"STARTTLS": ["220 go ahead\r\n220 and more"]}, "failed", ("STARTTLS",)),
        ({"STARTTLS": [Reaction("220 go ahead", disconnect=True)]}, "failed", ("STARTTLS",)),
    ],
)
async def test_what_cannot_be_found_out(root, script, code: str, extensions: tuple[str, ...]) -> None:
    found = await probe(ScriptedPeer(script, extensions=extensions), root, session=timedelta(seconds=0.5))
    assert (found.starttls, codes(found)) == ("unknown", code)
    assert found.findings[0].next_step


async def test_a_private_address_is_never_connected_to(root) -> None:
    peer = ScriptedPeer()
    found = await probe(peer, root, allow_private=False)
    assert (found.starttls, codes(found)) == ("unknown", "unknown")
    assert peer.connections == 0


async def test_domains_without_hosts(root) -> None:
    prober = probe_to(1, root)
    assert await prober.probe_domain(DomainName("null.test")) == ()
    (lame,) = await prober.probe_domain(DomainName("lame.test"))
    assert (lame.host, codes(lame)) == ("a.lame.test", "unknown")
    (broken,) = await prober.probe_domain(DomainName("broken.test"))
    assert codes(broken) == "mx_unknown"
    (refused,) = await prober.probe_domain(DomainName("acme.test"))
    assert codes(refused) == "unknown"
    with pytest.raises(ValueError):
        probe_to(1, root, ehlo_name="bad name\r\n")


async def test_a_host_that_talks_without_end(root) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"220-more and more and more\r\n" * 100)
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        found = await probe_to(server.sockets[0].getsockname()[1], root).probe_host(HOST)
    finally:
        server.close()
    assert codes(found) == "unknown"
