"""One engine, one destination on loopback, a clock that moves only when told to."""

import asyncio
import datetime
import ipaddress
import random
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from mailtypes.clock import ManualClock
from mta.batch import BatchReport
from mta.client import EgressSource, SessionTerms, opportunistic_context
from mta.connector import OrderedHostConnector
from mta.delivery import DeliveryState
from mta.engine import DeliveryEngine, EnginePolicy, EnginePorts
from mta.ports import DueDestination, SigningKey
from mta.testing import LoopbackResolver, MemoryQueue, ScriptedPeer, delivery

DESTINATION = 7
KEY = Ed25519PrivateKey.generate()


class PlainComposer:
    def __init__(self):
        self.dated = {}

    def fetch(self, deliveries):
        """It has all it needs."""

    def compose(self, delivery, now):
        self.dated.setdefault(delivery.id, []).append(
            now if delivery.first_attempt_at is None else delivery.first_attempt_at
        )
        return (
            f"From: <news@sender.test>\r\nTo: <{delivery.rcpt_to}>\r\nSubject: hello {delivery.id}\r\n"
            f"Message-ID: <{delivery.id}@sender.test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n.hello\r\n"
        ).encode()


class OneKey:
    def signing_keys(self, domain, workspace_id):
        return [SigningKey(domain, "s1", KEY)]


@dataclass
class Rig:
    peers: Sequence[ScriptedPeer]
    policy: EnginePolicy = field(default_factory=lambda: EnginePolicy(chunk=4))
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    composer: PlainComposer = field(default_factory=PlainComposer)
    keys: OneKey = field(default_factory=OneKey)
    clock: ManualClock = field(default_factory=ManualClock)
    with_tls: bool = False

    def __post_init__(self):
        self.hosts = tuple(f"mx{number}.peer.test" for number in range(len(self.peers)))
        self.destination = DueDestination(DESTINATION, self.hosts)
        self.queue.add_destination(DESTINATION, self.hosts)
        self.executor = ThreadPoolExecutor(1)
        connection = replace(
            self.policy.connection,
            connect_timeout=timedelta(seconds=2),
            greeting_timeout=timedelta(seconds=2),
            command_timeout=timedelta(seconds=1),
            data_timeout=timedelta(seconds=1),
        )
        self.policy = replace(self.policy, connection=connection)
        resolver = LoopbackResolver(dict(zip(self.hosts, ([peer.address] for peer in self.peers), strict=True)))
        terms = SessionTerms(
            EgressSource("out.sender.test"), connection, opportunistic_context() if self.with_tls else None
        )
        self.connector = OrderedHostConnector(resolver, terms, allow_private=True)
        ports = EnginePorts(self.queue, self.composer, self.keys, self.connector, self.clock, random.Random(1))
        self.engine = DeliveryEngine(ports, self.policy, self.executor)

    def add(self, count=1, **changes):
        for identity in range(len(self.queue.entries) + 1, len(self.queue.entries) + count + 1):
            self.queue.add(DESTINATION, replace(delivery(identity, now=self.clock.now()), **changes))

    async def deliver(self) -> BatchReport:
        return await self.engine.deliver_one_batch(self.destination)

    def states(self) -> list[DeliveryState]:
        return [entry.state for entry in self.queue.entries.values()]

    async def close(self):
        await self.engine.close()
        self.executor.shutdown()


@pytest.fixture
async def rig():
    """``await rig(peer, ...)`` starts an engine toward the peers, first host first."""
    rigs = []

    def make(*peers, **settings):
        rigs.append(Rig(peers, **settings))
        return rigs[-1]

    yield make
    for each in rigs:
        await each.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request):
    if request.param == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        return uvloop.EventLoopPolicy()
    return asyncio.DefaultEventLoopPolicy()


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory) -> ssl.SSLContext:
    """A server context with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.peer.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "peer.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
