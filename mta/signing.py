"""Composes and signs the messages of a chunk: one call in a worker thread, outside the event loop."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from dns_checks.dkim.sign import (
    DEFAULT_POLICY,
    SignaturePolicy,
    Signer,
    SigningRequest,
    UnsignableMessageError,
    sign_all,
    sign_canonical,
)
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import SurroundingsError
from mta.ports import ComposedMessage, Composer, CompositionError, Delivery, KeySource, NoSigningKeyError, SigningKey
from mta.transmission import Transmission

_LOG = logging.getLogger(__name__)
_MAX_SIGNERS = 4096


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery with its signed message, or with the ``cause`` why there is none.

    ``is_final`` tells whether the cause lasts (the message cannot be made) or may pass (a fault of ours).
    """

    delivery: Delivery
    transmission: Transmission | None
    cause: str = ""
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """Prepared deliveries, all dated ``now``: the same moment has to be stored as the first attempt."""

    items: tuple[Prepared, ...]
    now: Microseconds


class MessageSigner:
    """Puts DKIM-Signature fields before messages, with every active key of the domain; safe to share by threads."""

    def __init__(self, keys: KeySource, policy: SignaturePolicy = DEFAULT_POLICY) -> None:
        self._keys = keys
        self._policy = policy
        self._signers: dict[tuple[DomainName, str], tuple[RSAPrivateKey | Ed25519PrivateKey, Signer]] = {}

    def signers(self, domain: DomainName, workspace_id: int) -> tuple[Signer, ...]:
        """The signers of ``domain``, those kept from before where the key is the same; ``NoSigningKeyError``."""
        keys = self._keys.signing_keys(domain, workspace_id)
        if not keys:
            raise NoSigningKeyError(f"{domain} has no active key")
        return tuple(self._signer(key) for key in keys)

    def _signer(self, key: SigningKey) -> Signer:
        known = self._signers.get((key.domain, key.selector))
        if known is not None and known[0] is key.private_key:
            return known[1]
        if len(self._signers) >= _MAX_SIGNERS:
            self._signers.clear()
        signer = Signer(SigningRequest(key.domain, key.selector, key.private_key, self._policy))
        self._signers[key.domain, key.selector] = (key.private_key, signer)
        return signer


class ChunkPreparer:
    """Composer and signer behind one call."""

    def __init__(self, composer: Composer, signer: MessageSigner) -> None:
        self._composer = composer
        self._signer = signer

    def prepare(self, deliveries: Sequence[Delivery], now: Microseconds) -> PreparedChunk:
        """Make the messages of ``deliveries``; runs in a worker thread.

        What cannot be made comes back with its cause. Only broken surroundings (``SurroundingsError``: the store
        of the keys is away) raise; an unforeseen failure of one message is logged and may pass with the next attempt.
        """
        signers: dict[tuple[DomainName, int], tuple[Signer, ...]] = {}
        return PreparedChunk(tuple(self._prepare(delivery, now, signers) for delivery in deliveries), now)

    def _prepare(
        self,
        delivery: Delivery,
        now: Microseconds,
        signers: dict[tuple[DomainName, int], tuple[Signer, ...]],
    ) -> Prepared:
        who = (delivery.signing_domain, delivery.workspace_id)
        try:
            if who not in signers:
                signers[who] = self._signer.signers(*who)
            message = self._composer.compose(delivery, now)
            return Prepared(delivery, _transmission(delivery, message, signers[who], now))
        except (CompositionError, NoSigningKeyError, UnsignableMessageError) as error:
            return Prepared(delivery, None, f"{type(error).__name__}: {error}")
        except SurroundingsError:
            raise
        except Exception as error:
            _LOG.exception("the message of delivery %d could not be made", delivery.id)
            return Prepared(delivery, None, f"the message could not be made: {type(error).__name__}", is_final=False)


def _transmission(
    delivery: Delivery, message: bytes | ComposedMessage, signers: Sequence[Signer], now: Microseconds
) -> Transmission:
    if isinstance(message, ComposedMessage):
        header = sign_canonical(signers, message.header, message.body, now) + message.header
        return Transmission.of_parts(delivery.mail_from, delivery.rcpt_to, header, message.body)
    signed = sign_all(signers, message, now) + message
    return Transmission.of(delivery.mail_from, delivery.rcpt_to, signed, is_checked=True)
