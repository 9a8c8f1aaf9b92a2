"""Composes and signs the messages of a chunk: one call in a worker thread, outside the event loop."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from dns_checks.dkim.sealing import UnsealedField, seal_all
from dns_checks.dkim.sign import (
    DEFAULT_POLICY,
    SignaturePolicy,
    Signer,
    SigningRequest,
    UnsignableMessageError,
    unsealed_all,
    unsealed_canonical,
)
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import SurroundingsError
from mta.ports import ComposedMessage, Composer, CompositionError, Delivery, KeySource, NoSigningKeyError, SigningKey
from mta.transmission import Transmission

_LOG = logging.getLogger(__name__)
_MAX_SIGNERS = 4096
_T = TypeVar("_T")


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


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """A message whose DKIM-Signature ``fields`` lack their signatures."""

    delivery: Delivery
    message: bytes | ComposedMessage
    fields: list[UnsealedField]


class ChunkPreparer:
    """Composer and signer behind one call."""

    def __init__(self, composer: Composer, signer: MessageSigner) -> None:
        self._composer = composer
        self._signer = signer

    def prepare(self, deliveries: Sequence[Delivery], now: Microseconds) -> PreparedChunk:
        """Make the messages of ``deliveries``; runs in a worker thread.

        What cannot be made comes back with its cause. Only broken surroundings (``SurroundingsError``: the store
        of the keys is away) raise; an unforeseen failure is logged and may pass with the next attempt. Signatures
        come last, all together: several at a time are quicker than one after another.
        """
        self._fetch(deliveries)
        signers: dict[tuple[DomainName, int], tuple[Signer, ...]] = {}
        drafts = [_guarded(one, partial(self._draft, one, now, signers)) for one in deliveries]
        sealed = _sealed([draft for draft in drafts if isinstance(draft, _Unsealed)])
        drafts.reverse()  # so that each is let go of as soon as its message is made
        return PreparedChunk(tuple([_prepared(drafts.pop(), sealed) for _ in deliveries]), now)

    def _fetch(self, deliveries: Sequence[Delivery]) -> None:
        try:
            self._composer.fetch(deliveries)
        except SurroundingsError:
            raise
        except Exception:  # one message that spoils it for all shall spoil its own composition alone
            _LOG.exception("a chunk could not be fetched together; each message is fetched by itself")

    def _draft(
        self,
        delivery: Delivery,
        now: Microseconds,
        signers: dict[tuple[DomainName, int], tuple[Signer, ...]],
    ) -> _Unsealed:
        who = (delivery.signing_domain, delivery.workspace_id)
        if who not in signers:
            signers[who] = self._signer.signers(*who)
        message = self._composer.compose(delivery, now)
        if isinstance(message, ComposedMessage):
            return _Unsealed(delivery, message, unsealed_canonical(signers[who], message.header, message.body, now))
        return _Unsealed(delivery, message, unsealed_all(signers[who], message, now))


def _sealed(drafts: Sequence[_Unsealed]) -> Iterator[bytes | None]:
    """For each draft its DKIM-Signature fields, ``None`` where they cannot be made now."""
    try:
        made = iter(seal_all([field for draft in drafts for field in draft.fields]))
    except Exception:
        _LOG.exception("a chunk could not be signed together; each message is signed by itself")
        return iter([_sealed_alone(draft) for draft in drafts])
    return iter([b"".join([next(made) for _ in draft.fields]) for draft in drafts])


def _sealed_alone(draft: _Unsealed) -> bytes | None:
    try:
        return b"".join(seal_all(draft.fields))
    except Exception:
        _LOG.exception("the message of delivery %d could not be signed", draft.delivery.id)
        return None


def _prepared(draft: _Unsealed | Prepared, sealed: Iterator[bytes | None]) -> Prepared:
    """The signed message; ``sealed`` has the fields of each draft in turn."""
    if isinstance(draft, Prepared):
        return draft
    signatures = next(sealed)
    if signatures is None:
        return Prepared(draft.delivery, None, "the message could not be signed", is_final=False)
    return _guarded(draft.delivery, partial(_signed, draft, signatures))


def _signed(draft: _Unsealed, signatures: bytes) -> Prepared:
    delivery, message = draft.delivery, draft.message
    path, recipient = delivery.mail_from, delivery.rcpt_to
    if isinstance(message, ComposedMessage):
        transmission = Transmission.of_parts(path, recipient, signatures + message.header, message.body)
    else:
        transmission = Transmission.of(path, recipient, signatures + message, is_checked=True)
    return Prepared(delivery, transmission)


def _guarded(delivery: Delivery, make: Callable[[], _T]) -> _T | Prepared:
    """What ``make`` gives, or why the message of ``delivery`` cannot be made."""
    try:
        return make()
    except (CompositionError, NoSigningKeyError, UnsignableMessageError) as error:
        return Prepared(delivery, None, f"{type(error).__name__}: {error}")
    except SurroundingsError:
        raise
    except Exception as error:
        _LOG.exception("the message of delivery %d could not be made", delivery.id)
        return Prepared(delivery, None, f"the message could not be made: {type(error).__name__}", is_final=False)
