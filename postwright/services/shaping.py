"""The port ``mta.shaping.ports.Shaping`` over the store: one worker's share of every destination's pace.

Toward the database it works in chunks. Connections are held for a while and renewed by ``keep``; slots of a rate are
taken for a few seconds ahead; what a worker that vanished has left behind runs out by itself.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random

from sqlalchemy import Connection

from mailtypes.clock import MINUTE, SECOND, Clock, Microseconds, as_datetime, microseconds
from mailtypes.saying import say
from mta.shaping.adaptation import AdaptationPolicy, Finding, Terms, react, recover, resume
from mta.shaping.pace import Limits, Pace, PaceChange, lower
from mta.shaping.ports import NotNow, Observation, Permit, PermitUse
from mta.shaping.rules import RuleBook, RuleScope, ShapingRule, built_in_rules
from mta.shaping.slots import Slots, together
from postwright.store import routes, shaping, suspensions
from postwright.store.database import Database
from postwright.store.shaping import HoldKey, PaceKey

_LOOK_AGAIN = 15 * SECOND  # somebody may end a suspension before its time
_METERED = MINUTE
_RENEWED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ShapingIdentity:
    """The worker's name, the address that it sends from, and how long its connections stay its own unrenewed."""

    worker: str
    egress: str
    hold: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ShapingPolicy:
    """``limits`` are those of every destination; ``rules`` may bring lower ones for some providers.

    ``horizon`` is how far ahead slots are taken: the most that a worker can strand. ``look`` is how long what was
    read of a pace is believed; suspensions are looked up in the lease itself.
    """

    limits: Limits
    rules: RuleBook = field(default_factory=built_in_rules)
    adaptation: AdaptationPolicy = field(default_factory=AdaptationPolicy)
    horizon: timedelta = timedelta(seconds=5)
    look: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _View:
    """What was known of a destination at ``read_at``."""

    read_at: Microseconds
    key: HoldKey
    site: str
    paces: Mapping[PaceKey, Pace]
    suspensions: Sequence[suspensions.Suspension]


@dataclass(frozen=True, slots=True)
class _StoredPermit(Permit):
    """A permit with what it was given on, and the slots that were taken for it."""

    view: _View | None = None
    taken: Mapping[PaceKey, Slots] = field(default_factory=dict)


@dataclass(slots=True)
class _Desk:
    """One destination's connections as this worker counts them."""

    key: HoldKey
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    in_use: int = 0
    granted: int = 0
    valid_until: int = 0
    refused_until: int = 0


class _Meter:
    """Messages a second over the last minute."""

    def __init__(self) -> None:
        self._counts: deque[tuple[Microseconds, int]] = deque()

    def add(self, count: int, now: Microseconds) -> None:
        self._counts.append((now, count))
        while self._counts and self._counts[0][0] < now - _METERED:
            self._counts.popleft()

    def rate(self, now: Microseconds) -> float:
        recent = [(at, count) for at, count in self._counts if at >= now - _METERED]
        if not recent:
            return 0.0
        return sum(count for _, count in recent) * SECOND / max(now - recent[0][0], SECOND)


class StoredShaping:
    """The pace as one worker sees it. ``keep`` has to run beside it, ``close`` ends it."""

    def __init__(
        self, database: Database, clock: Clock, chance: Random, identity: ShapingIdentity, policy: ShapingPolicy
    ) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance
        self._identity = identity
        self._policy = policy
        self._hold = microseconds(identity.hold)
        self._views: dict[int, _View] = {}
        self._desks: dict[int, _Desk] = {}
        self._meters: dict[PaceKey, _Meter] = {}

    async def admit(self, destination_id: int, wanted: int, now: Microseconds) -> Permit | NotNow:
        """See ``Shaping.admit``."""
        view = await self._view(destination_id, now)
        if view.suspensions:
            return _suspended(view.suspensions[-1], now)
        limits = [pace.under(self._ceiling(view.key, key)) for key, pace in view.paces.items()]
        if not await self._take_connection(view.key, (limits[0].connections, limits[1].connections)):
            again = Microseconds(now + microseconds(self._policy.look))
            return NotNow(again, say("every connection allowed is in use"), is_full=True)
        try:
            slots, taken = await self._take_slots(view, limits, wanted, now)
        except BaseException:
            self._desks[destination_id].in_use -= 1
            raise
        if slots is not None and not slots.count:
            self._desks[destination_id].in_use -= 1
            return NotNow(Microseconds(slots.first_at - microseconds(self._policy.horizon)), say("the rate is used up"))
        messages = lower(limits[0].messages_per_connection, limits[1].messages_per_connection) or 1 << 30
        count = max(1, wanted) if slots is None else slots.count
        return _StoredPermit(destination_id, count, messages, slots, view, taken)

    def halts(self, destination_id: int, observation: Observation) -> bool:
        """See ``Shaping.halts``."""
        view = self._views.get(destination_id)
        rule = self._match(view.key.provider, observation) if view else None
        return rule is not None and rule.suspend is not None

    async def settle(self, permit: Permit, use: PermitUse) -> None:
        """See ``Shaping.settle``."""
        assert isinstance(permit, _StoredPermit)  # made by ``admit`` above
        assert permit.view is not None
        now, view, taken = self._clock.now(), permit.view, permit.taken
        desk = self._desks.get(permit.destination_id)
        if desk is not None:
            desk.in_use -= 1
        for key in view.key.paces:
            self._meters.setdefault(key, _Meter()).add(use.accepted, now)
        found: dict[str, tuple[ShapingRule, Observation]] = {}
        for observation in use.observations:
            rule = self._match(view.key.provider, observation)
            if rule is not None and not rule.this_message_only:
                found.setdefault(rule.name, (rule, observation))
        unused = any(use.begun < slots.count for slots in taken.values())
        can_recover = use.accepted and any(pace.is_slowed for pace in view.paces.values())
        if not (found or unused or can_recover):
            return

        def store(connection: Connection) -> None:
            if unused:
                shaping.return_slots(connection, taken, use.begun, now)
            self._adapt(connection, view, tuple(found.values()), use.accepted, now)

        await self._database.write(store)
        self._views[permit.destination_id] = _stale(view)

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew what is in use, and let go of what is not, three times a hold, until ``stop``."""
        while not stop.is_set():
            await self.renew()
            try:
                await asyncio.wait_for(stop.wait(), self._hold / 3_000_000)
            except TimeoutError:
                continue

    async def renew(self) -> None:
        """One round of ``keep``."""
        desks = tuple(self._desks.values())
        for begin in range(0, len(desks), _RENEWED_AT_ONCE):  # the writer commits together what comes together
            await asyncio.gather(*(self._renew(desk) for desk in desks[begin : begin + _RENEWED_AT_ONCE]))

    async def _renew(self, desk: _Desk) -> None:
        async with desk.lock:
            if desk.granted:
                kept = await self._database.write(
                    partial(shaping.keep_connections, key=desk.key, connections=desk.in_use, duration=self._hold)
                )
                # A hold that ran out is not ours any more: the next batch has to ask within the caps.
                desk.granted = desk.in_use if kept else 0
                desk.valid_until = self._clock.now() + self._hold * 2 // 3
            if not desk.in_use:
                self._desks.pop(desk.key.destination_id, None)
                self._views.pop(desk.key.destination_id, None)

    async def close(self) -> None:
        """Let go of every connection, so that others need not wait until the holds run out."""
        await self._database.write(partial(shaping.let_go, worker=self._identity.worker))
        self._desks.clear()

    def _match(self, provider: str, observation: Observation) -> ShapingRule | None:
        return self._policy.rules.match(provider, observation.stage, observation.reply)

    def _ceiling(self, key: HoldKey, pace: PaceKey) -> Limits:
        rules = self._policy.rules
        if pace == key.paces[0]:
            return self._policy.limits.within(rules.destination_limits.get(key.provider, Limits()))
        return rules.provider_limits.get(key.provider, Limits())

    async def _view(self, destination_id: int, now: Microseconds) -> _View:
        known = self._views.get(destination_id)
        if known is not None and 0 <= now - known.read_at < microseconds(self._policy.look):
            return known
        view = await self._database.read(partial(self._read_view, destination_id=destination_id, now=now))
        over = [key for key, pace in view.paces.items() if pace.suspended_until and not pace.is_suspended(now)]
        if over:
            await self._database.write(partial(self._resume, view=view, keys=over, now=now))
            view = await self._database.read(partial(self._read_view, destination_id=destination_id, now=now))
        self._views[destination_id] = view
        return view

    def _read_view(self, connection: Connection, destination_id: int, now: Microseconds) -> _View:
        (destination,) = routes.list_destinations(connection, [destination_id])
        egress = self._identity.egress
        key = HoldKey(destination.workspace_id, destination_id, destination.provider, egress, self._identity.worker)
        scopes = [pace.scope for pace in key.paces]
        stopped = [
            one for one in suspensions.in_force(connection, key.workspace_id, now, scopes) if one.egress in ("", egress)
        ]
        return _View(now, key, destination.site, shaping.load_paces(connection, key.paces), stopped)

    def _resume(self, connection: Connection, view: _View, keys: Sequence[PaceKey], now: Microseconds) -> None:
        def decide(pace: Pace) -> PaceChange | None:
            return None if pace.is_suspended(now) else resume(pace, now)

        for key in keys:
            shaping.change_pace(connection, key, decide, _told(view), now)

    async def _take_connection(self, key: HoldKey, caps: tuple[int | None, int | None]) -> bool:
        desk = self._desks.setdefault(key.destination_id, _Desk(key))
        desk.key = key  # the provider may have got another name
        cap = lower(*caps)
        async with desk.lock:
            if self._desks.get(key.destination_id) is not desk:  # nobody sat there, so ``keep`` has cleared it away
                return await self._take_connection(key, caps)
            if cap is not None and desk.in_use >= cap:
                return False
            now = self._clock.now()
            if desk.in_use >= desk.granted and now < desk.refused_until:
                return False  # others have the rest: not to be asked for at every batch
            if desk.in_use >= desk.granted or now >= desk.valid_until:
                desk.granted = await self._database.write(
                    partial(shaping.hold_connections, key=key, wanted=desk.in_use + 1, caps=caps, duration=self._hold)
                )
                desk.valid_until = now + self._hold * 2 // 3
            if desk.in_use >= desk.granted:
                desk.refused_until = now + microseconds(self._policy.look)
                return False
            desk.in_use += 1
            return True

    async def _take_slots(
        self, view: _View, limits: Sequence[Limits], wanted: int, now: Microseconds
    ) -> tuple[Slots | None, Mapping[PaceKey, Slots]]:
        rates = {key: one.rate for key, one in zip(view.paces, limits, strict=True) if one.rate is not None}
        if not rates:
            return None, {}
        horizon = microseconds(self._policy.horizon)
        taken = await self._database.write(
            lambda connection: shaping.reserve_slots(connection, rates, wanted, now, horizon)
        )
        return together(tuple(taken.values())), taken

    def _adapt(
        self,
        connection: Connection,
        view: _View,
        found: Sequence[tuple[ShapingRule, Observation]],
        accepted: int,
        now: Microseconds,
    ) -> None:
        troubled: set[PaceKey] = set()
        for rule, observation in found:
            key = view.key.paces[rule.scope is RuleScope.PROVIDER]
            finding = Finding(rule, str(observation.reply), self._cluster_rate(connection, view.key, key, now))
            terms = Terms(self._ceiling(view.key, key), self._policy.adaptation)
            decide = partial(react, finding=finding, terms=terms, now=now, random=self._chance)
            shaping.change_pace(connection, key, decide, _told(view), now)
            troubled.add(key)
        for key, pace in view.paces.items():
            if accepted and pace.is_slowed and key not in troubled:
                terms = Terms(self._ceiling(view.key, key), self._policy.adaptation)
                decide = partial(recover, accepted=accepted, terms=terms, now=now)
                shaping.change_pace(connection, key, decide, _told(view), now)

    def _cluster_rate(self, connection: Connection, key: HoldKey, pace: PaceKey, now: Microseconds) -> float:
        """Our own rate, taken for that part of the whole which our connections are of all."""
        meter = self._meters.get(pace)
        return meter.rate(now) / shaping.share_of_connections(connection, key) if meter else 0.0


def _stale(view: _View) -> _View:
    return _View(Microseconds(0), view.key, view.site, view.paces, view.suspensions)


def _told(view: _View) -> Mapping[str, object]:
    return {"destination_id": view.key.destination_id, "site": view.site, "provider": view.key.provider}


def _suspended(stopped: suspensions.Suspension, now: Microseconds) -> NotNow:
    until = now + _LOOK_AGAIN if stopped.until is None else min(stopped.until, now + _LOOK_AGAIN)
    end = (
        say("until it is resumed")
        if stopped.until is None
        else say("until %(until)s UTC", until=f"{as_datetime(stopped.until):%Y-%m-%d %H:%M}")
    )
    return NotNow(Microseconds(until), say("suspended %(end)s: %(reason)s", end=end, reason=stopped.reason))
