"""Lets held deliveries out as far as warm-ups allow: reserved of the sender's budget and of the address's at once.

Which address a message leaves from is decided here where a warm-up counts it, and bound to the delivery for the hour
that it was counted in (docs/adr/0010-where-warm-up-is-counted.md). Without a warm-up nothing of this is asked.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import MINUTE, SECOND, Clock, Microseconds
from mailtypes.saying import say
from postwright.services.warm_up_budgets import Choice, RampBudget, is_cut, is_spent_for_today, opens
from postwright.services.warm_up_states import begin_ramp
from postwright.store import budgets, recipients, warm_up_grants, warm_ups
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.domains import SenderDomain
from postwright.store.routes import Route
from postwright.store.warm_up_grants import Grant
from postwright.store.warm_ups import StoredWarmUp, domain_subject, egress_subject
from warmup.caps import Purpose
from warmup.terms import Overflow

CHUNK = 2000
_TOLD_FOR = MINUTE
_MOST_TOLD = 10_000
BEING_JUDGED = say("Yesterday's answers are being judged; it goes on in a moment")


@dataclass(frozen=True, slots=True)
class EgressPlace:
    """A place that mail leaves from, as workers call it, and its pool."""

    name: str
    pool: str


@dataclass(frozen=True, slots=True)
class _Sending:
    """A run under warm-up: who sends, whose mail, and where it may leave from."""

    run: Run
    sender: SenderDomain
    purpose: Purpose
    of_domain: StoredWarmUp | None
    of_places: dict[str, StoredWarmUp]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """The routes of a run to one provider, and the ways out at this moment."""

    provider: str
    routes: tuple[Route, ...]
    choices: tuple[Choice, ...]


def _sending(
    run: Run, sender: SenderDomain, way: tuple[str, Sequence[EgressPlace]], active: Sequence[StoredWarmUp]
) -> _Sending | None:
    """``None`` where no warm-up counts this run's mail; ``way``: the kind of the stream, its places."""
    kind, places = way
    by_subject = {one.subject: one for one in active}
    of_domain = by_subject.get(domain_subject(sender.id))
    names = tuple(place.name for place in places)
    of_places = {name: by_subject[egress_subject(name)] for name in names if egress_subject(name) in by_subject}
    if of_domain is None and not of_places:
        return None
    return _Sending(run, sender, Purpose(kind), of_domain, of_places, names)


class WarmUpRelease:
    """Releases a run's routed mail. ``places`` are those of this install, as its workers have them."""

    def __init__(self, database: Database, clock: Clock, places: Sequence[EgressPlace] = ()) -> None:
        self._database = database
        self._clock = clock
        self._places = tuple(places)
        self._told: dict[tuple[int, str], tuple[str, int]] = {}

    async def release(self, run: Run, sender: SenderDomain, routed: Sequence[tuple[Route, str]]) -> int:
        """Make ready what may go of ``routed = (route, provider)``, tell the others why they wait; how many moved."""
        if not routed:
            return 0
        places = self._places
        if active := await self._database.read(warm_ups.all_active):
            kind, pool = await self._database.read(lambda connection: warm_ups.stream_pool(connection, run.stream_id))
            places = self._of_pool(pool)
            sending = _sending(run, sender, (kind, places), active)
        if not active or sending is None:
            return sum([await self._freely(run, route, places) for route, _ in routed])
        moved = 0
        for provider in dict.fromkeys(name for _, name in routed):
            own = tuple(route for route, name in routed if name == provider)
            moved += await self._to_provider(sending, provider, own)
        return moved

    def _of_pool(self, pool: str) -> tuple[EgressPlace, ...]:
        """The places that mail of a pool may leave from. As with the workers, the only pool takes everything."""
        if len({place.pool for place in self._places}) == 1:
            return self._places
        return tuple(place for place in self._places if place.pool == pool)

    async def _freely(self, run: Run, route: Route, places: Sequence[EgressPlace]) -> int:
        destination_id, now = route.destination_id, self._clock.now()
        assert destination_id is not None
        subjects = [domain_subject(run.domain_id), *(egress_subject(place.name) for place in places)]

        def work(connection: Connection) -> int:
            warm_ups.hold_senders(connection, run.domain_id, run.stream_id)
            if warm_ups.any_active(connection, subjects):
                return 0  # started since we looked; the next step counts
            return recipients.release(connection, run.id, route.domain, destination_id, now, limit=CHUNK)

        return await self._database.write(work)

    async def _to_provider(self, sending: _Sending, provider: str, routes: tuple[Route, ...]) -> int:
        now = self._clock.now()
        choices = await self._choices(sending, provider, now)
        if not all(budget.is_judged for choice in choices for budget in choice.budgets):
            await self._tell(sending.run, routes, f"{provider}: {BEING_JUDGED}", now)
            return 0
        way = _Way(provider, routes, tuple(choices))
        released = 0
        for choice in way.choices:
            if released < CHUNK:
                released += await self._by(sending, way, choice, now)
        if released < CHUNK:
            return released + await self._overflow(sending, way, now)
        return released

    async def _choices(self, sending: _Sending, provider: str, now: Microseconds) -> list[Choice]:
        """The ways out, those that are to be filled first in front."""
        own = () if sending.of_domain is None else (await self._budget(sending.of_domain, provider, now),)
        if not sending.of_places:
            return [Choice(None, own)]
        warming = [
            Choice(name, (*own, await self._budget(warm_up, provider, now)))
            for name, warm_up in sending.of_places.items()
        ]
        warm = [name for name in sending.places if name not in sending.of_places]
        if warm and all(choice.budgets[-1].plan.overflow == Overflow.WARM_POOL for choice in warming):
            # One after the other takes a chunk, so that all of them share the load.
            return [*warming, Choice(warm[now // SECOND % len(warm)], own)]
        return warming

    async def _budget(self, warm_up: StoredWarmUp, provider: str, now: Microseconds) -> RampBudget:
        found = await self._database.read(lambda connection: warm_ups.ramps_of(connection, [warm_up.id], provider))
        if not found:  # the first mail to this provider: its ramp begins
            await self._database.write(lambda connection: begin_ramp(connection, warm_up, provider, now))
            found = await self._database.read(lambda connection: warm_ups.ramps_of(connection, [warm_up.id], provider))
        return RampBudget.at(warm_up, found[0], now)

    async def _by(self, sending: _Sending, way: _Way, choice: Choice, now: Microseconds) -> int:
        """Release what fits ``choice``, the most engaged of all domains of the provider first."""
        run, limits = sending.run, choice.limits(sending.purpose)
        destinations = {route.domain: route.destination_id for route in way.routes}
        until = choice.until(sending.purpose, now)

        def look(connection: Connection) -> list[str]:
            reserved = budgets.reserved_of(connection, limits) if limits else {}
            wanted = min(CHUNK, choice.left(sending.purpose, reserved))
            return (
                warm_up_grants.first_held(connection, run.id, list(destinations), now, limit=wanted) if wanted else []
            )

        order = await self._database.read(look)
        if not order:
            return 0

        def reserve_and_release(connection: Connection) -> int:
            if not warm_ups.still_stand(connection, choice.ramps):
                return 0  # a decision came between; the next step knows it
            granted = budgets.reserve_all(connection, limits, len(order))
            released = 0
            for domain, count in Counter(order[:granted]).items():
                destination_id = destinations[domain]
                assert destination_id is not None
                place = (domain, destination_id)
                grant = Grant(until, choice.egress)
                released += warm_up_grants.release_granted(connection, run.id, place, grant, now, limit=count)
            budgets.give_back_all(connection, limits, granted - released)
            return released

        return await self._database.write(reserve_and_release)

    async def _overflow(self, sending: _Sending, way: _Way, now: Microseconds) -> int:
        """What is beyond the caps waits with its reason, or is cut; returns how many were cut."""
        limits = [limit for choice in way.choices for budget in choice.budgets for limit in budget.all_limits()]
        reserved = (
            await self._database.read(lambda connection: budgets.reserved_of(connection, limits)) if limits else {}
        )
        reasons = [choice.why(sending.purpose, reserved, now) for choice in way.choices]
        known = [reason for reason in reasons if reason is not None]
        if not known or len(known) < len(reasons):
            return 0  # something still fits
        reason, budget = min(known, key=lambda one: opens(one[0]))
        is_marketing = sending.purpose == Purpose.MARKETING
        if is_marketing and is_cut(budget) and is_spent_for_today(budget, sending.purpose, reserved):
            return await self._cut(
                sending.run, way.routes, say("left out by the warm-up: %(reason)s", reason=reason.sentence()), now
            )
        await self._tell(sending.run, way.routes, reason.sentence(), now)
        return 0

    async def _cut(self, run: Run, routes: Sequence[Route], why: str, now: Microseconds) -> int:
        done = 0
        for route in routes:
            domain = route.domain
            cut = partial(warm_up_grants.cut, run=run, domain=domain, why=why, now=now, limit=CHUNK)
            done += await self._database.write(cut)
        return done

    async def _tell(self, run: Run, routes: Sequence[Route], reason: str, now: Microseconds) -> None:
        """Write the reason down, and after that only where it changes: a look at everybody who waits costs too much."""
        for route in routes:
            key = (run.id, route.domain)
            told, at = self._told.get(key, ("", 0))
            if told == reason and now - at < _TOLD_FOR:
                continue
            domain = route.domain
            explain = partial(recipients.explain_wait, run_id=run.id, domain=domain, reason=reason)
            changed = await self._database.write(explain)
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            if changed < _MOST_TOLD:
                self._told[key] = (reason, now)
