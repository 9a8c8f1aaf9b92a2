"""The scheduler's steps: write a run's recipients, route and release them, take back what was lost, close the books.

Every step is short, safe to repeat, and safe beside other processes that do the same.
"""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection

from dns_checks.mx import RouteResult
from mailtypes.clock import MINUTE, Clock, Microseconds, as_datetime
from mailtypes.errors import InputSyntaxError, StorageError
from mailtypes.saying import say
from mta.delivery import Happening
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.campaign_senders import drawing, shares_of
from postwright.services.delivery_queue import PAUSED
from postwright.services.destinations import end_suspensions, suspended_domains
from postwright.services.domain_watch import DomainWatch
from postwright.services.imports import ContactImports
from postwright.services.refusals import of_expiry, of_route
from postwright.services.routing import WITHHELD, Router
from postwright.services.second_looks import cause_of
from postwright.services.warm_up_release import WarmUpRelease
from postwright.store import (
    campaigns,
    client_runs,
    domains,
    events,
    idempotency,
    leases,
    preparation,
    recipients,
    routes,
    suspensions,
    workspaces,
)
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.preparation import Placing
from postwright.store.recipients import Ending
from postwright.store.routes import Route

_LOG = logging.getLogger(__name__)
SCHEDULE_FAULTS = Counter("postwright_schedule_faults_total", "Parts of the scheduler's steps that failed", ["part"])
_RELEASE_CHUNK = 2000
_Done = TypeVar("_Done")
_EXPIRE_EVERY = 10 * MINUTE  # where each recipient has an expiry of their own


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """What one step did; all zero means that there was nothing to do."""

    imported: int = 0
    prepared: int = 0
    released: int = 0
    settled: int = 0
    reclaimed: int = 0
    finished: int = 0
    beside: int = 0

    @property
    def did_something(self) -> bool:
        """Whether another step may follow at once."""
        moved = self.prepared or self.released or self.settled or self.reclaimed
        return bool(self.imported or moved or self.beside)


class SideStep(Protocol):
    """A service that has a little to do every now and then."""

    async def step(self) -> int:
        """Do a little; returns how much, 0 (or ``False``) where nothing is left to do now."""
        ...


@dataclass(frozen=True, slots=True)
class SideWork:
    """What is done beside the runs: looking at sender domains, and one step each of other services, in this order.

    ``release`` lets out what is routed; without one, no address that mail leaves from is counted.
    """

    watch: DomainWatch | None = None
    steps: tuple[SideStep, ...] = ()
    release: WarmUpRelease | None = None


class Scheduler:
    """Does the next thing for every run. ``ambiguous_wait``: microseconds before an ambiguous mail is tried again."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        router: Router,
        imports: ContactImports,
        ambiguous_wait: int,
        beside: SideWork | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._router = router
        self._imports = imports
        self._ambiguous_wait = ambiguous_wait
        self._beside = beside or SideWork()
        self._release = self._beside.release or WarmUpRelease(database, clock)
        self._next_expiry: dict[int, int] = {}

    async def step(self) -> ScheduleStep:
        """One round over imports, runs, lost leases and statistics; a look at the sender domains goes on beside it."""
        if self._beside.watch is not None:
            self._beside.watch.begin_look()
        imported = await _apart("imports", self._imports.run_jobs(), 0)
        prepared = released = settled = finished = 0
        await self._client_runs()
        for run in await self._database.read(lambda connection: campaigns.runs_in_state(connection, "preparing")):
            prepared += await _apart(f"run {run.id}", self.prepare(run), 0)
        for run in await self._database.read(lambda connection: campaigns.runs_in_state(connection, "sending")):
            run_released, run_settled = await _apart(f"run {run.id}", self.release(run), (0, 0))
            released += run_released
            settled += run_settled + await _apart(f"run {run.id}", self._expire(run), 0)
            finished += await _apart(f"run {run.id}", self._finish(run), 0)
        reclaimed = await self.reclaim()
        settled += await self._stop_stragglers()
        await self._end_suspensions()
        done = sum([await _apart(type(service).__name__, service.step(), 0) for service in self._beside.steps])
        await self._roll_up()
        return ScheduleStep(imported, prepared, released, settled, reclaimed, finished, done)

    async def _client_runs(self) -> None:
        """Begin what was scheduled, cancel bulks that nobody committed, forget answers that were kept for a day."""
        now = self._clock.now()
        # Asked first, since a write every tick would keep an idle machine's disk busy.
        if await self._database.read(partial(client_runs.has_something_due, now=now)):
            await self._database.write(partial(client_runs.begin_scheduled, now=now))
            await self._database.write(partial(client_runs.abandon_collecting, now=now))
        if await self._database.read(partial(idempotency.has_old_answers, now=now)):
            await self._database.write(partial(idempotency.forget_old_answers, now=now))

    async def prepare(self, run: Run) -> int:
        """Write the next chunk of a run's recipients; returns how many.

        A run whose audience cannot be read any more (its segment, tag or list is gone or has another name) is paused.
        """
        try:
            return await self._prepare(run)
        except InputSyntaxError as error:
            if run.campaign_id is None:  # it has no audience; this is a fault of ours
                raise
            pause = partial(_pause, run=run, campaign_id=run.campaign_id, cause=cause_of(error), now=self._clock.now())
            await self._database.write(pause)
            return 0

    async def _prepare(self, run: Run) -> int:
        variants = await self._database.read(lambda connection: campaigns.variants_of(connection, run.id))
        now, plan = self._clock.now(), CampaignPlan.from_json(run.plan)
        # With a test nobody has a variant before the draw, which is over everybody.
        variant = preparation.UNDECIDED if len(variants) > 1 else 0
        sender_of = drawing(shares_of(run), run.workspace_id)
        placing = Placing(lambda _: variant, plan.due_in(Microseconds(run.created_at)), sender_of)
        return await self._database.write(
            lambda connection: preparation.prepare_chunk(connection, run.id, placing, now)
        )

    async def release(self, run: Run) -> tuple[int, int]:
        """Route the held recipients of a run and make ready what the budget allows; returns (released, failed)."""
        if await self._is_closed(run):
            return 0, 0
        held = await self._database.read(lambda connection: recipients.held_domains(connection, run.id))
        if not held:
            return 0, 0
        found = await self._router.find(run.workspace_id, held)
        sender = await self._database.read(lambda connection: domains.get_domain(connection, run.domain_id))
        provider_of = await self._database.read(lambda connection: routes.providers(connection, run.workspace_id))
        assert sender is not None  # domains are not deleted while a run refers to them
        resting = await self._database.read(
            partial(suspended_domains, workspace_id=run.workspace_id, now=self._clock.now())
        )
        failed = 0
        routed: list[tuple[Route, str]] = []
        for route in found.values():
            if route.domain in resting:
                await self._explain(run, route.domain, f"Suspended: {resting[route.domain]}")
            elif route.destination_id is not None:
                routed.append((route, provider_of[route.destination_id]))
            elif route.result == RouteResult.UNKNOWN:
                await self._explain(
                    run, route.domain, say("Could not find out where the mail goes: %(cause)s", cause=route.cause)
                )
            elif route.result == WITHHELD:
                await self._explain(run, route.domain, say("Nobody to send to: %(cause)s", cause=route.cause))
            else:
                failed += await self._fail(run, route)
        return await self._release.release(run, sender, routed), failed

    async def _is_closed(self, run: Run) -> bool:
        """Whether the hours in which the run may go out are over for now; those who wait are told so."""
        opens = CampaignPlan.from_json(run.plan).closed_until(self._clock.now()) if run.plan != "{}" else None
        if opens is None:
            return False
        reason = say(
            "Outside of the hours for sending; goes on at %(opens)s UTC.", opens=f"{as_datetime(opens):%Y-%m-%d %H:%M}"
        )
        for domain in await self._database.read(partial(recipients.held_domains, run_id=run.id)):
            await self._explain(run, domain, reason)
        return True

    async def _explain(self, run: Run, domain: str, reason: str) -> None:
        await self._database.write(lambda connection: recipients.explain_wait(connection, run.id, domain, reason))

    async def _fail(self, run: Run, route: Route) -> int:
        now, told = self._clock.now(), of_route(RouteResult(route.result))
        ending = Ending(Happening.PERMANENT, f"{route.cause} ({route.result})", lambda *_: told)
        return await self._database.write(
            lambda connection: recipients.fail_held(connection, run, route.domain, ending, now, limit=_RELEASE_CHUNK)
        )

    async def _expire(self, run: Run) -> int:
        now = self._clock.now()
        if now < run.expires_at and (run.expiry is None or now < self._next_expiry.get(run.id, 0)):
            return 0
        self._next_expiry[run.id] = now + _EXPIRE_EVERY
        return await self._database.write(lambda connection: recipients.expire(connection, run, of_expiry, now))

    async def _finish(self, run: Run) -> int:
        now = self._clock.now()
        return int(await self._database.write(lambda connection: recipients.finish_if_done(connection, run, now)))

    async def _stop_stragglers(self) -> int:
        """What a worker held when its run was paused or cancelled comes back ready: hold or cancel it, too."""
        now = self._clock.now()
        stopped = 0
        for run in await self._database.read(recipients.stopped_runs):
            stop = partial(recipients.hold, run_id=run.id, reason=PAUSED)
            if run.state == "cancelled":
                stop = partial(recipients.cancel, run=run, now=now)
            stopped += await self._database.write(stop)
        return stopped

    async def reclaim(self) -> int:
        """Take back leases that ran out, and retry ambiguous deliveries whose time has come; returns how many."""
        now = self._clock.now()
        retry_at = now + self._ambiguous_wait
        unsent, ambiguous = await self._database.write(lambda connection: leases.reap(connection, retry_at, now))
        retried = await self._database.write(lambda connection: leases.retry_ambiguous(connection, now))
        return unsent + ambiguous + retried

    async def _end_suspensions(self) -> None:
        now = self._clock.now()
        if await self._database.read(partial(suspensions.ended, now=now)):
            await self._database.write(partial(end_suspensions, now=now))

    async def _roll_up(self) -> None:
        now = self._clock.now()
        for workspace in await self._database.read(workspaces.list_workspaces):
            # Asked first, since a write every tick would keep an idle machine's disk busy.
            if await self._database.read(partial(events.needs_roll_up, workspace_id=workspace.id, now=now)):
                await self._database.write(partial(events.roll_up, workspace_id=workspace.id, now=now))


async def _apart(part: str, work: Awaitable[_Done], nothing: _Done) -> _Done:
    """One part of a step. What goes wrong in it is logged and keeps no other part from its turn, whosever it is.

    A fault of the storage is everybody's.
    """
    try:
        return await work
    except StorageError:
        raise
    except Exception:
        _LOG.exception("%s failed in this step of the scheduler; all else goes on", part)
        SCHEDULE_FAULTS.labels(part.partition(" ")[0]).inc()
        return nothing


def _pause(connection: Connection, *, run: Run, campaign_id: int, cause: str, now: Microseconds) -> None:
    """Pause a run that cannot go on by itself, and tell why; resuming tries again."""
    if not campaigns.move_run(connection, run.id, ("preparing",), "paused", now):
        return
    campaigns.move_campaign(connection, campaign_id, ("sending",), "paused")
    campaigns.set_campaign_fields(connection, campaign_id, blocked_by=cause)
    campaign = campaigns.get_campaign(connection, run.workspace_id, campaign_id)
    data = {"campaign": campaign.name if campaign else "", "cause": cause}
    kinds = ("campaign_blocked", "run_paused")
    events.append(connection, [events.NewEvent(run.workspace_id, kind, now, run.id, data=data) for kind in kinds], now)
