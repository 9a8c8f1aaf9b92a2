"""The port ``mta.ports.DeliveryQueue`` over the store."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from hygiene.consequences import BounceKind, consequence
from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds, microseconds
from mta.delivery import Happening
from mta.ports import AttemptOutcome, Delivery, DueDestination
from mta.verp import make_verp
from postwright.services.composition import FeedbackKeys, Payload
from postwright.services.frozen_runs import FrozenRuns
from postwright.services.signing_keys import StoredKeys
from postwright.store import leases, routes, suppressions
from postwright.store.database import Database
from postwright.store.leases import Lease, Outcome
from postwright.store.suppressions import NewSuppression, Scope

_MAX_REPLY = 1000


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """The name of a delivery process in its leases, and how long a lease lasts without being renewed."""

    name: str
    lease: timedelta


class StoredQueue:
    """The queue as one worker sees it."""

    def __init__(
        self,
        database: Database,
        frozen_runs: FrozenRuns,
        keys: StoredKeys,
        feedback_keys: FeedbackKeys,
        chance: random.Random,
        identity: WorkerIdentity,
    ) -> None:
        self._database = database
        self._frozen_runs = frozen_runs
        self._keys = keys
        self._feedback_keys = feedback_keys
        self._worker = identity.name
        self._lease = microseconds(identity.lease)
        self._chance = chance

    async def due_destinations(self, now: Microseconds) -> Sequence[DueDestination]:
        """Destinations with something due, their equal hosts in drawn order."""
        ids = await self._database.read(lambda connection: leases.due_destinations(connection, now))
        if not ids:
            return ()
        found = await self._database.read(lambda connection: routes.list_destinations(connection, ids))
        return [
            DueDestination(
                destination.id,
                tuple(host for group in destination.host_groups for host in self._chance.sample(group, len(group))),
            )
            for destination in found
        ]

    async def next_due_at(self, now: Microseconds) -> Microseconds | None:
        """When the next delivery falls due."""
        found = await self._database.read(lambda connection: leases.next_due_at(connection, now))
        return None if found is None else Microseconds(found)

    async def lease(self, destination_id: int, limit: int, now: Microseconds) -> Sequence[Delivery]:
        """Lease a batch; addresses that were suppressed meanwhile are stopped in the same transaction."""

        def take(connection: Connection) -> list[Lease]:
            taken = leases.lease(connection, self._worker, destination_id, limit, self._lease, now)
            stopped = suppressions.stop_leased(connection, taken, now) if taken else set()
            return [item for item in taken if item.id not in stopped]

        return [await self._delivery(item) for item in await self._database.write(take)]

    async def _delivery(self, item: Lease) -> Delivery:
        frozen = await self._frozen_runs.get(item.run_id)
        await self._keys.prefetch(frozen.signing_domain, item.workspace_id)
        feedback_key = self._feedback_keys[frozen.run.feedback_key_id]
        return Delivery(
            id=item.id,
            workspace_id=item.workspace_id,
            run_id=item.run_id,
            epoch=item.epoch,
            attempt=item.attempts,
            mail_from=f"{make_verp(item.id, feedback_key)}@{frozen.run.return_path_host}",
            rcpt_to=EmailAddress.parse(item.address).smtp,
            signing_domain=frozen.signing_domain,
            queued_at=Microseconds(item.queued_at),
            expires_at=Microseconds(item.expires_at),
            first_attempt_at=None if item.first_attempt_at is None else Microseconds(item.first_attempt_at),
            payload=Payload(item, frozen),
        )

    async def mark_transmitting(self, deliveries: Sequence[Delivery], now: Microseconds) -> frozenset[int]:
        """Make ``transmitting`` durable."""
        held = [_lease_of(delivery) for delivery in deliveries]
        ours = await self._database.write(
            lambda connection: leases.mark_transmitting(connection, held, self._lease, now)
        )
        return frozenset(ours)

    async def record(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """Store outcomes with their events; a reply that tells of a dead mailbox suppresses the address."""
        rows = [_outcome(outcome) for outcome in outcomes]
        dead = [_lease_of(outcome.delivery) for outcome in outcomes if _is_hard_bounce(outcome)]
        now = max(outcome.occurred_at for outcome in outcomes)

        def store(connection: Connection) -> None:
            applied = leases.record(connection, rows, now)
            for item in dead:
                if item.id in applied:
                    wanted = NewSuppression(item.address, item.address_key, Scope.ALL, 0, "hard_bounce")
                    suppressions.suppress(connection, item.workspace_id, [wanted], now)

        await self._database.write(store)

    async def keep_leases(self, stop: asyncio.Event) -> None:
        """Extend what this worker holds, three times a lease, until ``stop``; a worker that vanished does not."""
        while not stop.is_set():
            await self._database.write(lambda connection: leases.renew(connection, self._worker, self._lease))
            try:
                await asyncio.wait_for(stop.wait(), self._lease / 3_000_000)
            except TimeoutError:
                continue


def _is_hard_bounce(outcome: AttemptOutcome) -> bool:
    if outcome.happening is not Happening.PERMANENT or outcome.reply is None:
        return False
    return consequence(outcome.reply).kind is BounceKind.HARD_BOUNCE


def _lease_of(delivery: Delivery) -> Lease:
    payload = delivery.payload
    assert isinstance(payload, Payload)  # made by ``lease`` above
    return payload.lease


def _outcome(outcome: AttemptOutcome) -> Outcome:
    reply = outcome.reply
    detail: dict[str, object] = {"remote": outcome.remote, "tls": outcome.tls}
    if outcome.retry_at is not None:
        detail["retry_at"] = outcome.retry_at
    if reply is not None and reply.enhanced_status is not None:
        detail["enhanced_status"] = str(reply.enhanced_status)
    return Outcome(
        lease=_lease_of(outcome.delivery),
        happening=outcome.happening,
        occurred_at=outcome.occurred_at,
        retry_at=outcome.retry_at,
        code=None if reply is None else reply.code,
        reply=(outcome.cause if reply is None else reply.text)[:_MAX_REPLY],
        detail=detail,
    )
