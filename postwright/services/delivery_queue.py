"""The port ``mta.ports.DeliveryQueue`` over the store."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import MINUTE, Microseconds, microseconds
from mailtypes.errors import InputSyntaxError, StorageError, SurroundingsError
from mailtypes.saying import say
from mta.delivery import Happening
from mta.ports import AttemptOutcome, Delivery, DueDestination
from mta.verp import make_verp
from postwright.keyrings import UnsealError
from postwright.services import refusals
from postwright.services.composition import FeedbackKeys, Payload
from postwright.services.frozen_runs import FrozenRun, FrozenRuns
from postwright.services.signing_keys import StoredKeys
from postwright.store import campaigns, leases, recipients, routes, suppressions, suspensions
from postwright.store.database import Database
from postwright.store.leases import Lease, Outcome, Taker
from postwright.store.messages import NULL_RETURN_PATH
from postwright.store.suppressions import NewSuppression, Scope

_LOG = logging.getLogger(__name__)
_MAX_REPLY = 1000
_UNREADY_WAIT = 5 * MINUTE  # somebody has to mend the machine first
PAUSED = say("The run is paused.")
"""Why the held recipients of a paused run wait."""


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """The name of a delivery worker in its leases, how long a lease lasts without being renewed, and its address.

    ``egress`` is what suspensions for one address go by. Only mail of streams of ``pool`` is taken; ``None``: all.
    """

    name: str
    lease: timedelta
    egress: str = ""
    pool: str | None = None


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
        self._egress = identity.egress
        self._taker = Taker(identity.name, microseconds(identity.lease), identity.pool, identity.egress)
        self._lease = microseconds(identity.lease)
        self._chance = chance

    async def due_destinations(self, now: Microseconds) -> Sequence[DueDestination]:
        """Destinations with something due, their equal hosts in drawn order."""

        def look(connection: Connection) -> list[routes.Destination]:
            ids = leases.due_destinations(connection, now, self._egress, self._taker.pool)
            return routes.list_destinations(connection, ids) if ids else []

        found = await self._database.read(look)
        return [
            DueDestination(
                destination.id,
                tuple(host for group in destination.host_groups for host in self._chance.sample(group, len(group))),
                destination.verified_tls,
            )
            for destination in found
        ]

    async def next_due_at(self, now: Microseconds) -> Microseconds | None:
        """When the next delivery falls due."""
        found = await self._database.read(lambda connection: leases.next_due_at(connection, now))
        return None if found is None else Microseconds(found)

    async def lease(self, destination_id: int, limit: int, now: Microseconds) -> Sequence[Delivery]:
        """Lease a batch; addresses that were suppressed meanwhile are stopped in the same transaction.

        A run that cannot be sent from here (a key is missing from this machine's ring, say) is deferred with the
        cause: it must not end the worker, which serves everybody else.
        """

        def take(connection: Connection) -> list[Lease]:
            if suspensions.stopped(connection, [destination_id], self._egress, now):
                return []
            taken = leases.lease(connection, self._taker, destination_id, limit, now)
            stopped = suppressions.stop_leased(connection, taken, now) if taken else set()
            return _of_runs_that_go_on(connection, [item for item in taken if item.id not in stopped], now)

        taken = await self._database.write(take)
        deliveries: list[Delivery] = []
        for run_id in dict.fromkeys(item.run_id for item in taken):
            of_run = [item for item in taken if item.run_id == run_id]
            try:
                frozen = await self._frozen_run(run_id)
                deliveries += [self._delivery(item, frozen) for item in of_run]
            except (SurroundingsError, InputSyntaxError) as error:
                if isinstance(error, StorageError):
                    raise
                _LOG.error("run %d cannot be sent now: %s", run_id, error)
                await self._defer(of_run, str(error), now)
        return deliveries

    async def _frozen_run(self, run_id: int) -> FrozenRun:
        frozen = await self._frozen_runs.get(run_id)
        if frozen.run.feedback_key_id not in self._feedback_keys:
            raise UnsealError(f"the return-path key {frozen.run.feedback_key_id} is not in the key file")
        await self._keys.prefetch(frozen.signing_domain, frozen.run.workspace_id)
        return frozen

    async def _defer(self, items: Sequence[Lease], cause: str, now: Microseconds) -> None:
        retry_at = now + _UNREADY_WAIT
        outcomes = [Outcome(item, Happening.TRANSIENT, now, retry_at, None, cause[:_MAX_REPLY], {}) for item in items]
        await self._database.write(lambda connection: leases.record(connection, outcomes, now))

    def _delivery(self, item: Lease, frozen: FrozenRun) -> Delivery:
        feedback_key = self._feedback_keys[frozen.run.feedback_key_id]
        address = EmailAddress.parse(item.address)
        is_notice = item.message_id != 0 and item.variant == NULL_RETURN_PATH
        return Delivery(
            id=item.id,
            workspace_id=item.workspace_id,
            run_id=item.run_id,
            epoch=item.epoch,
            attempt=item.attempts,
            mail_from="" if is_notice else f"{make_verp(item.id, feedback_key)}@{frozen.run.return_path_host}",
            rcpt_to=address.smtp,
            signing_domain=frozen.signing_domain,
            queued_at=Microseconds(item.queued_at),
            expires_at=Microseconds(item.expires_at),
            first_attempt_at=None if item.first_attempt_at is None else Microseconds(item.first_attempt_at),
            payload=Payload(item, frozen, address),
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
        dead = [_lease_of(outcome.delivery) for outcome in outcomes if refusals.is_hard_bounce(outcome)]
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


def _of_runs_that_go_on(connection: Connection, taken: Sequence[Lease], now: Microseconds) -> list[Lease]:
    """What may be sent. What came back from transmission after its run was paused or cancelled stops here."""
    kept: list[Lease] = []
    for run_id in dict.fromkeys(item.run_id for item in taken):
        of_run = [item for item in taken if item.run_id == run_id]
        run = campaigns.get_run(connection, run_id)
        assert run is not None  # foreign keys
        if run.state == "paused":
            given_back = [Outcome(item, Happening.LEASE_LOST, now, None, None, "", {}) for item in of_run]
            leases.record(connection, given_back, now)
            recipients.hold(connection, run_id, PAUSED)
        elif run.state == "cancelled":
            recipients.cancel(connection, run, now)
        else:
            kept += of_run
    return kept


def _lease_of(delivery: Delivery) -> Lease:
    payload = delivery.payload
    assert isinstance(payload, Payload)  # made by ``lease`` above
    return payload.lease


def _outcome(outcome: AttemptOutcome) -> Outcome:
    reply = outcome.reply
    detail: dict[str, object] = {"remote": outcome.remote, "tls": outcome.tls, **refusals.of_attempt(outcome)}
    if outcome.retry_at is not None:
        detail["retry_at"] = outcome.retry_at
    if reply is not None and reply.enhanced_status is not None:
        detail["enhanced_status"] = str(reply.enhanced_status)
    if reply is not None and not reply.is_positive:
        detail["stage"] = str(outcome.stage)
    return Outcome(
        lease=_lease_of(outcome.delivery),
        happening=outcome.happening,
        occurred_at=outcome.occurred_at,
        retry_at=outcome.retry_at,
        code=None if reply is None else reply.code,
        reply=(outcome.cause if reply is None else reply.text)[:_MAX_REPLY],
        detail=detail,
    )
