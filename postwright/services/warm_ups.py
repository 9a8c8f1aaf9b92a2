"""Warm-ups as people handle them: started behind a gate, looked at, paused, resumed, set, ended; with notes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from mailtypes.clock import DAY, Clock, Microseconds, as_datetime
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.warm_up_budgets import RampBudget
from postwright.services.warm_up_hygiene import WarmUpHygiene
from postwright.services.warm_up_plans import plan_document, read_plan, stored_plan
from postwright.services.warm_up_release import EgressPlace
from postwright.services.warm_up_states import Judge, begin_ramp, override, reach_of, state_of
from postwright.store import budgets, domains, events, provider_days, warm_up_grants, warm_ups, workspaces
from postwright.store.database import Database
from postwright.store.domains import SenderDomain
from postwright.store.events import NewEvent
from postwright.store.provider_days import Figures, StoredDay
from postwright.store.warm_ups import StoredDecision, StoredRamp, StoredWarmUp, domain_subject, egress_subject
from warmup import overrides
from warmup.feedback import Reputation
from warmup.gate import Blocked, GateFacts, gate
from warmup.ramp import OverrideSyntaxError, Phase, WarmUp
from warmup.terms import Overflow, WarmUpPlan
from warmup.waiting import Budget

_SHOWN_DAYS = 120
_LONGEST_NOTE = 1_000


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be started, and by whom; ``plan`` is a document (``services.warm_up_plans``).

    ``note`` overrides what stands in the way, and is kept.
    """

    subject: str
    plan: Mapping[str, Any]
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RampStatus:
    """One provider's ramp: where it stands, and what is used of it now."""

    provider: str
    state: WarmUp
    budget: Budget
    levels: int

    @property
    def cap(self) -> int | None:
        """Messages a day; ``None`` without a limit."""
        return self.budget.caps.day.limit


@dataclass(frozen=True, slots=True)
class WarmUpStatus:
    """A warm-up with its ramps by provider."""

    warm_up: StoredWarmUp
    plan: WarmUpPlan
    ramps: tuple[RampStatus, ...]


@dataclass(frozen=True, slots=True)
class WarmUpHistory:
    """The days of a warm-up by provider, and what was decided, the latest last."""

    days: Mapping[str, Sequence[StoredDay]]
    decisions: Sequence[StoredDecision]

    def documents(self, provider: str | None = None) -> Iterator[dict[str, Any]]:
        """The decisions about a provider, or about all, as they were written down."""
        for one in self.decisions:
            if provider in (None, one.provider):
                yield json.loads(one.document)


@dataclass(frozen=True, slots=True)
class Order:
    """What a person decides about a warm-up: of one ``provider`` or of all (``None``)."""

    subject: str
    provider: str | None
    by: str
    note: str


class WarmUps:
    """Warm-ups of all workspaces. ``places`` are what mail leaves from."""

    def __init__(self, database: Database, clock: Clock, places: Sequence[EgressPlace] = ()) -> None:
        self._database = database
        self._clock = clock
        self._places = {place.name: place for place in places}
        self._hygiene = WarmUpHygiene(database, clock)

    async def start(self, workspace_id: int, wanted: Start) -> WarmUpStatus:
        """Start a warm-up of a sender domain (its name) or of a place that mail leaves from (its address).

        ``RefusedError`` names all that stands in the way; with a note it is started all the same, and the log says who
        did so and why.
        """
        domain, place = await self._find_subject(workspace_id, wanted.subject)
        plan = self._read(wanted.plan, place)
        blocked = await self.obstacles(workspace_id, wanted.subject)
        note = wanted.note.strip()[:_LONGEST_NOTE]
        if blocked and not note:
            raise RefusedError.of([_problem(one) for one in blocked])
        now = self._clock.now()
        subject = _key(domain, place)

        def store(connection: Connection) -> None:
            pool = place.pool if place is not None and len({one.pool for one in self._places.values()}) > 1 else None
            warm_ups.close_senders(connection, None if domain is None else domain.id, pool)
            made = warm_ups.add_warm_up(
                connection, workspace_id, subject, json.dumps(plan_document(plan)), wanted.by, now
            )
            if made is None:
                raise RefusedError(
                    "warm_up_exists",
                    say("%(subject)s is being warmed up already.", subject=subject[1]),
                    field="subject",
                    next_step=say("Look at it: postwright warmup status."),
                )
            found = next(one for one in warm_ups.warm_ups_of(connection, workspace_id) if one.id == made)
            # What is out already was let out without a budget; it comes back and is counted.
            warm_up_grants.end_grants(connection, reach_of(found), now)
            _log_start(connection, found, (wanted.by, note), blocked, now)
            for provider in sorted(plan.providers):
                begin_ramp(connection, found, provider, now)

        await self._database.write(store)
        return await self.status(workspace_id, wanted.subject)

    def _read(self, document: Mapping[str, Any], place: EgressPlace | None) -> WarmUpPlan:
        """The plan that is meant; where a pool has other addresses, these take what is beyond the cap of a new one."""
        if place is not None and not document.get("overflow"):
            others = any(one.pool == place.pool and one.name != place.name for one in self._places.values())
            document = {**document, "overflow": str(Overflow.WARM_POOL if others else Overflow.WAITS)}
        try:
            plan = read_plan(document)
        except InputSyntaxError as error:
            raise RefusedError.of([Problem.of(error, "warm_up_plan", "plan")]) from error
        if plan.overflow == Overflow.WARM_POOL and place is None:
            raise RefusedError(
                "overflow",
                say("A sender domain has no warm pool: another address does not make it better known."),
                field="overflow",
                next_step=say("Let the overflow wait, or cut it."),
            )
        return plan

    async def obstacles(self, workspace_id: int, subject: str) -> Sequence[Blocked]:
        """What stands in the way of a warm-up; what could not be found out is no "yes"."""
        domain, _ = await self._find_subject(workspace_id, subject)
        stream = await self._database.read(partial(workspaces.find_stream, workspace_id=workspace_id, name="marketing"))
        named = await self._database.read(partial(domains.list_domains, workspace_id=workspace_id))
        passed = _audit_passed([domain] if domain is not None else named)
        one_click = None if stream is None else stream.one_click
        return gate(GateFacts(passed, one_click, await self._hygiene.cover(workspace_id)))

    async def _find_subject(self, workspace_id: int, subject: str) -> tuple[SenderDomain | None, EgressPlace | None]:
        """The sender domain or the place of that name; raises ``NotFoundError``."""
        for place in self._places.values():
            if subject.strip() in (place.name, *place.name.split(",")):
                return None, place
        try:
            name = DomainName.parse(subject.strip()).ascii
        except InputSyntaxError:
            raise NotFoundError("sender domain or address") from None
        found = await self._database.read(partial(domains.find_domain, workspace_id=workspace_id, name=name))
        if found is None:
            raise NotFoundError("sender domain or address")
        return found, None

    async def list(self, workspace_id: int) -> Sequence[WarmUpStatus]:
        """All warm-ups of a workspace that go on."""
        found = await self._database.read(partial(warm_ups.warm_ups_of, workspace_id=workspace_id))
        return [await self._status(one) for one in found]

    async def find(self, workspace_id: int, subject: str) -> StoredWarmUp | None:
        """The warm-up of a sender domain or place that goes on; ``None``: there is none."""
        key, _ = _key(*await self._find_subject(workspace_id, subject))
        found = await self._database.read(partial(warm_ups.warm_ups_of, workspace_id=workspace_id))
        return next((one for one in found if one.subject == key), None)

    async def status(self, workspace_id: int, subject: str) -> WarmUpStatus:
        """Where a warm-up stands; raises ``NotFoundError`` where there is none."""
        return await self._status(await self._one(workspace_id, subject))

    async def _one(self, workspace_id: int, subject: str) -> StoredWarmUp:
        found = await self.find(workspace_id, subject)
        if found is None:
            raise NotFoundError("warm-up")
        return found

    async def _status(self, warm_up: StoredWarmUp) -> WarmUpStatus:
        now = self._clock.now()
        plan = stored_plan(warm_up.plan)

        def look(connection: Connection) -> tuple[RampStatus, ...]:
            found = [RampBudget.at(warm_up, ramp, now) for ramp in warm_ups.ramps_of(connection, [warm_up.id])]
            limits = [limit for one in found for limit in one.all_limits()]
            reserved = budgets.reserved_of(connection, limits) if limits else {}
            return tuple(_ramp_status(one, one.used(reserved)) for one in found)

        return WarmUpStatus(warm_up, plan, await self._database.read(look))

    async def history(self, workspace_id: int, subject: str, days: int = _SHOWN_DAYS) -> WarmUpHistory:
        """The last ``days`` days, with what was decided."""
        warm_up = await self._one(workspace_id, subject)
        today = stored_plan(warm_up.plan).rhythm.day_of(self._clock.now())
        first = today - timedelta(days - 1)
        found = await self._database.read(
            partial(provider_days.days_of, subject=warm_up.subject, first=first, last=today)
        )
        decided = await self._database.read(partial(warm_ups.decisions_of, warm_up_id=warm_up.id, limit=5_000))
        return WarmUpHistory(found, [one for one in decided if one.day >= first.isoformat()])

    async def decisions(
        self, workspace_id: int, subject: str, *, provider: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[StoredDecision]:
        """What was decided, in its order, beginning behind the id ``after``."""
        warm_up = await self._one(workspace_id, subject)
        return await self._database.read(
            partial(warm_ups.decisions_after, warm_up_id=warm_up.id, provider=provider, after=after, limit=limit)
        )

    async def pause(self, workspace_id: int, order: Order) -> WarmUpStatus:
        """Send nothing more to a provider, or to any, until it is resumed."""
        return await self._decide(
            workspace_id, order, overrides.pause, lambda state: state.phase not in (Phase.PAUSED, Phase.WAITING)
        )

    async def resume(self, workspace_id: int, order: Order) -> WarmUpStatus:
        """Go on after a pause."""
        return await self._decide(workspace_id, order, overrides.resume, lambda state: state.phase == Phase.PAUSED)

    async def set_level(self, workspace_id: int, order: Order, level: int) -> WarmUpStatus:
        """Go on from a level of the plan."""

        def judge(plan: WarmUpPlan, state: WarmUp, day: date, note: str) -> Any:
            return overrides.set_level(plan, state, level, day, note)

        return await self._decide(workspace_id, order, judge, lambda _state: True)

    async def _decide(
        self,
        workspace_id: int,
        order: Order,
        judge: Callable[[WarmUpPlan, WarmUp, date, str], Any],
        is_meant: Callable[[WarmUp], bool],
    ) -> WarmUpStatus:
        warm_up = await self._one(workspace_id, order.subject)
        now = self._clock.now()
        today = stored_plan(warm_up.plan).rhythm.day_of(now)

        def decide(plan: WarmUpPlan, state: WarmUp) -> Any:
            return judge(plan, state, today, order.note)

        await self._database.write(
            partial(_decide_all, warm_up=warm_up, order=order, judge=decide, how=(is_meant, now))
        )
        return await self._status(warm_up)

    async def end(self, workspace_id: int, order: Order) -> None:
        """Count no more: what waits for the budget goes out."""
        warm_up = await self._one(workspace_id, order.subject)
        now = self._clock.now()
        if not order.note.strip():
            raise OverrideSyntaxError(say("an override needs a note"), next_step=say("Say why."))

        def store(connection: Connection) -> None:
            if warm_ups.end_warm_up(connection, warm_up.id, now):
                data = {"subject": warm_up.name, "by": order.by, "note": order.note.strip()[:_LONGEST_NOTE]}
                events.append(connection, [NewEvent(workspace_id, "warmup_ended", now, data=data)], now)

        await self._database.write(store)

    async def import_figures(self, workspace_id: int, subject: str, place: tuple[str, date], told: Figures) -> None:
        """Keep what a provider's own pages say of a day, of ``place = (provider, day)``; raises ``RefusedError``."""
        if told.spam_rate is None and told.reputation is None:
            raise RefusedError(
                "no_figures", say("No figure was told."), next_step=say("Give a spam rate, a reputation or both.")
            )
        if told.spam_rate is not None and not 0.0 <= told.spam_rate <= 1.0:
            raise RefusedError("spam_rate", say("A spam rate is a share from 0 to 1."), field="spam_rate")
        if told.reputation is not None and told.reputation not in {one.value for one in Reputation}:
            raise RefusedError(
                "reputation",
                say("There is no reputation '%(reputation)s'.", reputation=told.reputation[:50]),
                field="reputation",
                next_step=say("Take one of %(reputation)s.", reputation=", ".join(Reputation)),
            )
        key, _ = _key(*await self._find_subject(workspace_id, subject))
        provider, day = place
        if day > as_datetime(self._clock.now() + DAY).date():  # tomorrow by UTC has begun somewhere
            raise RefusedError(
                "day",
                say("%(day)s has not come yet.", day=day),
                field="day",
                next_step=say("Give the day that is told."),
            )
        work = partial(provider_days.import_figures, workspace_id=workspace_id, key=(key, provider, day), figures=told)
        await self._database.write(work)


def _key(domain: SenderDomain | None, place: EgressPlace | None) -> tuple[str, str]:
    """What a subject is stored under, and its name."""
    if domain is not None:
        return domain_subject(domain.id), domain.name
    assert place is not None
    return egress_subject(place.name), place.name


def _audit_passed(found: Sequence[SenderDomain]) -> bool | None:
    """Of several the worst counts; one that nobody has looked at is not known."""
    if not found or all(one.checked_at is None for one in found):
        return None
    return all(one.state == "verified" for one in found if one.checked_at is not None)


def _problem(blocked: Blocked) -> Problem:
    step = say(
        "%(next_step)s Or start with a note that says why it is right all the same.", next_step=blocked.next_step
    )
    return Problem(str(blocked.precondition), blocked.sentence, next_step=step)


def _log_start(
    connection: Connection, warm_up: StoredWarmUp, who: tuple[str, str], blocked: Sequence[Blocked], now: Microseconds
) -> None:
    by, note = who
    told: dict[str, object] = {"subject": warm_up.name, "by": by, "note": note, "plan": json.loads(warm_up.plan)}
    found = [NewEvent(warm_up.workspace_id, "warmup_started", now, data=told)]
    if blocked:
        ignored = [
            {"precondition": str(one.precondition), "known": one.known, "cause": one.sentence} for one in blocked
        ]
        data = {"subject": warm_up.name, "by": by, "note": note, "ignored": ignored}
        found.append(NewEvent(warm_up.workspace_id, "warmup_overridden", now, data=data))
    events.append(connection, found, now)


def _ramp_status(budget: RampBudget, used: Budget) -> RampStatus:
    levels = len(budget.plan.levels(budget.ramp.provider))
    return RampStatus(budget.ramp.provider, state_of(budget.ramp), used, levels)


def _decide_all(
    connection: Connection,
    warm_up: StoredWarmUp,
    order: Order,
    judge: Judge,
    how: tuple[Callable[[WarmUp], bool], Microseconds],
) -> None:
    """Decide about the provider that was named, or about all of whom it can be meant."""
    is_meant, now = how
    found = warm_ups.ramps_of(connection, [warm_up.id], order.provider)
    if not found:
        what = say("no mail to %(provider)s yet", provider=order.provider) if order.provider else say("no mail yet")
        sentence = say("%(warm_up)s: %(what)s.", warm_up=warm_up.name, what=what)
        raise RefusedError("no_ramp", sentence, next_step=say("A ramp begins with the first mail."))
    meant = found if order.provider else [one for one in found if is_meant(state_of(one))]
    if not meant:
        raise RefusedError("nothing_to_do", say("%(warm_up)s: there is nothing to change.", warm_up=warm_up.name))
    try:
        decided = [_one_decided(connection, (warm_up, ramp), judge, order, now) for ramp in meant]
    except InputSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "warm_up")]) from error
    if not all(decided):
        raise RefusedError(
            "changed_meanwhile",
            say("%(warm_up)s has changed meanwhile.", warm_up=warm_up.name),
            next_step=say("Look, and try again."),
        )
    told = {"subject": warm_up.name, "by": order.by, "note": order.note, "providers": [one.provider for one in meant]}
    events.append(connection, [NewEvent(warm_up.workspace_id, "warmup_overridden", now, data=told)], now)


def _one_decided(
    connection: Connection, place: tuple[StoredWarmUp, StoredRamp], judge: Judge, order: Order, now: Microseconds
) -> bool:
    warm_up, ramp = place
    if override(connection, place, judge, order.by, now) is not None:
        return True
    # Somebody moved it between the look and the change; once more from where it stands now.
    again = warm_ups.ramps_of(connection, [warm_up.id], ramp.provider)
    return override(connection, (warm_up, again[0]), judge, order.by, now) is not None
