import asyncio
import base64
import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mta.submission.limits import SubmissionLimits
from mta.submission.ports import SubmissionReceipt, SubmissionRefusedError, Submitter
from mta.submission.server import SubmissionGate, SubmissionServer, TlsSubmissionServer

KEY = "pw_live_a-good-key"
MESSAGE = b"From: Ann <ann@sender.test>\r\nSubject: x\r\n\r\nHello\r\n"


class Owner:
    """The owner's side: keeps what it accepts."""

    def __init__(self):
        self.accepted, self.tries, self.refused = [], [], {}
        self.gate = self.error = None

    async def authenticate(self, username, secret, peer):
        self.tries.append((username, secret, peer))
        return Submitter("key_1", None) if secret == KEY else None

    async def recipient(self, submitter, address):
        refusal = self.refused.get(address.text)
        return SubmissionRefusedError(refusal) if refusal else None

    async def accept(self, submission):
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        self.accepted.append(submission)
        return SubmissionReceipt(f"msg_{len(self.accepted)}")


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, octets):
        self.writer.write(octets)
        return await self.hear()

    async def hear(self):
        lines = []
        async with asyncio.timeout(10):
            while line := await self.reader.readline():
                lines.append(line)
                if line[3:4] != b"-":
                    break
        return b"".join(lines).decode()

    async def rest(self):
        async with asyncio.timeout(10):
            return (await self.reader.read()).decode()

    async def sign_in(self):
        await self.hear()
        await self.say(b"EHLO client.test\r\n")
        return await self.say(auth_plain())

    async def envelope(self, mail=b"<ann@sender.test>", rcpt=b"<bob@example.com>"):
        await self.sign_in()
        await self.say(b"MAIL FROM:" + mail + b"\r\n")
        return await self.say(b"RCPT TO:" + rcpt + b"\r\n")

    async def data(self, octets=MESSAGE):
        assert (await self.say(b"DATA\r\n")).startswith("354")
        return await self.say(octets + b".\r\n")


def auth_plain(key=KEY, username="apikey"):
    return b"AUTH PLAIN " + base64.b64encode(f"\0{username}\0{key}".encode()) + b"\r\n"


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
async def listen(owner):
    closing = []

    async def start(*, server_tls=None, tls_first=False, tries=None, **limits):
        gate = SubmissionGate(owner, "mx.sender.test", SubmissionLimits(**limits), tries)
        server = TlsSubmissionServer(gate, server_tls) if tls_first else SubmissionServer(gate, server_tls)
        port = await server.start("127.0.0.1", 0)
        closing.append(lambda: server.close_with_421(datetime.timedelta(seconds=1)))

        async def connect(**options):
            client = Client(*await asyncio.open_connection("127.0.0.1", port, **options))
            closing.insert(0, lambda: asyncio.sleep(0, client.writer.transport.abort()))
            return client

        server.gate, server.port = gate, port
        return server, connect

    yield start
    for close in closing:
        await close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The path of a certificate for ``mx.sender.test`` and ``localhost`` with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.sender.test")])
    now = datetime.datetime.now(datetime.UTC)
    issued = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.sender.test"), x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mx.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + issued.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def client_tls(certificate):
    return ssl.create_default_context(cafile=certificate)
