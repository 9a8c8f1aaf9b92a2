"""What the engine needs from its owner; ``postwright/wiring`` brings the implementations.

The engine knows no template and no database: it leases ``Delivery`` values, asks a ``Composer`` for bytes and a
``KeySource`` for keys, and hands ``AttemptOutcome`` values back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mailtypes.bounce import Stage
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from mailtypes.smtp import SmtpReply
from mta.delivery import Happening


@dataclass(frozen=True, slots=True)
class Delivery:
    """One leased recipient. ``payload`` belongs to the composer; the engine never looks inside.

    ``epoch`` fences the lease, ``attempt`` counts from 1. ``first_attempt_at`` is ``None`` until the first
    ``transmitting``; Message-ID and Date follow from it and never change afterwards.
    """

    id: int
    workspace_id: int
    run_id: int
    epoch: int
    attempt: int
    mail_from: str
    rcpt_to: str
    signing_domain: DomainName
    queued_at: Microseconds
    expires_at: Microseconds
    first_attempt_at: Microseconds | None
    payload: object


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What became of one attempt; ``reply`` is the other side's word, ``cause`` ours where there was none.

    ``retry_at`` is set with ``Happening.TRANSIENT``.
    ``remote`` is the host and address spoken to, ``tls`` the protocol version where the connection was encrypted,
    ``stage`` the command that ``reply`` answered.
    """

    delivery: Delivery
    happening: Happening
    occurred_at: Microseconds
    reply: SmtpReply | None = None
    cause: str = ""
    retry_at: Microseconds | None = None
    remote: str = ""
    tls: str = ""
    stage: Stage = Stage.UNKNOWN


@dataclass(frozen=True, slots=True)
class DueDestination:
    """A destination (MX site) with something to lease now."""

    destination_id: int
    hosts: tuple[str, ...]
    """MX host names in order of preference; equal preferences are already in their drawn order."""
    verified_tls: bool = False
    """Whether a policy of the recipient domain forbids to send without TLS and a certificate that names the host."""


class DeliveryQueue(Protocol):
    """The durable queue. Every call returns only after its change is durable."""

    async def due_destinations(self, now: Microseconds) -> Sequence[DueDestination]:
        """Destinations that have deliveries ready or due again at ``now``."""
        ...

    async def next_due_at(self, now: Microseconds) -> Microseconds | None:
        """When the earliest deferred delivery after ``now`` falls due, ``None`` where there is none."""
        ...

    async def lease(self, destination_id: int, limit: int, now: Microseconds) -> Sequence[Delivery]:
        """Take up to ``limit`` deliveries of one destination; nobody else gets them while the lease lasts."""
        ...

    async def mark_transmitting(self, deliveries: Sequence[Delivery], now: Microseconds) -> frozenset[int]:
        """Make ``transmitting`` durable; returns the ids that are still ours. The others must not be sent."""
        ...

    async def record(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """Store outcomes with their events; an outcome whose lease somebody else took over is dropped."""
        ...


@dataclass(frozen=True, slots=True)
class ComposedMessage:
    """A message whose composer vouches for the form of its ``body``, so that nobody looks through 30 KB again.

    The body is ASCII, every line ends with CRLF, there is no NUL and no bare CR or LF, no line begins with a dot, and
    relaxed DKIM canonicalization (RFC 6376 section 3.4.4) changes nothing in it: what ``rendering.transfer``
    encodes. ``header`` has its fields with their final CRLF, without the empty line; it is checked like any other.
    """

    header: bytes
    body: bytes


class Composer(Protocol):
    """Makes a recipient's message at the moment it is sent."""

    def fetch(self, deliveries: Sequence[Delivery]) -> None:
        """Fetch together what the messages of a chunk need, in the worker thread that composes each of them next."""
        ...

    def compose(self, delivery: Delivery, now: Microseconds) -> bytes | ComposedMessage:
        """The whole message with CRLF line ends, not yet signed; the same octets for the same delivery.

        Plain ``bytes`` are looked through before they are signed and sent. Runs in a worker thread.
        ``now`` dates the message where ``delivery.first_attempt_at`` is ``None``.
        Raises ``CompositionError`` where the message cannot be made; the delivery then fails for good.
        """
        ...


class CompositionError(Exception):
    """The message of one delivery cannot be made, and trying again would not help."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A DKIM key that is visible in the DNS and may sign."""

    domain: DomainName
    selector: str
    private_key: RSAPrivateKey | Ed25519PrivateKey


class KeySource(Protocol):
    """Where the signing keys are."""

    def signing_keys(self, domain: DomainName, workspace_id: int) -> Sequence[SigningKey]:
        """The active keys of ``domain``, the first to sign with first; ``NoSigningKeyError`` where there is none."""
        ...


class NoSigningKeyError(Exception):
    """The domain has no active key, so nothing may be sent for it."""


class HostResolver(Protocol):
    """Turns MX host names into addresses; the sandbox answers with its own ports."""

    async def addresses(self, host: str) -> Sequence[tuple[str, int]]:
        """Addresses and ports of ``host`` in the order to try them; empty where it has none or nobody could say."""
        ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after transient failures: ``first``, then ``factor`` times more up to ``longest``.

    Each wait is drawn from plus or minus ``jitter`` (a share) around that, so that a crowd does not come back at once.
    ``greylisted`` is the wait after a first refusal that looks like greylisting (RFC 6647 section 2.1).
    """

    first: timedelta = timedelta(minutes=5)
    factor: float = 2.0
    longest: timedelta = timedelta(hours=4)
    jitter: float = 0.2
    greylisted: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """Limits toward one destination, and the time that each step may take (RFC 5321 section 4.5.3.2)."""

    connections: int = 10
    messages_per_connection: int = 1000
    batch: int = 100
    connect_timeout: timedelta = timedelta(seconds=30)
    greeting_timeout: timedelta = timedelta(minutes=5)
    command_timeout: timedelta = timedelta(minutes=5)
    data_timeout: timedelta = timedelta(minutes=10)
