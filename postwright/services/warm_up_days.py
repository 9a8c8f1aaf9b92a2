"""The step of the warm-ups: counts what came back, judges the days that are over, takes back what did not leave.

A day is judged when it has ended in the sender's zone and everything of it is counted; until then none of the mail that
the ramp counts is let out (``warm_up_release``). What is missed while nothing runs is made up day by day.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from sqlalchemy import Connection

from mailtypes.bounce import BounceReason
from mailtypes.clock import DAY, Clock, Microseconds, as_datetime
from mta.destinations import provider_of
from postwright.services import warm_up_throttles
from postwright.services.warm_up_budgets import day_limit, taken_back_limit
from postwright.services.warm_up_plans import stored_plan
from postwright.services.warm_up_states import judged, state_of
from postwright.store import budgets, events, provider_days, warm_up_grants, warm_ups, workspaces
from postwright.store.database import Database
from postwright.store.events import ROLLUP_LAG, NewEvent
from postwright.store.provider_days import StoredDay
from postwright.store.warm_ups import StoredRamp, StoredWarmUp
from warmup.feedback import FeedbackRules, ProviderDay, Reputation, default_rules, held_back
from warmup.jumps import DAYS as JUMP_DAYS
from warmup.jumps import JumpPolicy, jump
from warmup.ramp import daily_step
from warmup.rhythm import Rhythm
from warmup.terms import WarmUpPlan

_BATCH = 1000  # events in one transaction
_MOST_BATCHES = 20  # in one step, so that the scheduler's other work is not kept waiting
_AT_ONCE = 500  # ramps in one step
_UTC = Rhythm()
_KEPT_WINDOWS = 40 * DAY
_REASONS = frozenset(reason.value for reason in BounceReason)
_REPORTERS = {
    "google.com": "google",
    "outlook.com": "outlook.com",
    "enterprise outlook": "microsoft365",
    "yahoo": "yahoo",
    "yahoo inc.": "yahoo",
    "yahoo! inc.": "yahoo",
    "gmx": "gmx",
    "web.de": "gmx",
}
"""By the organisation's name in the aggregate reports of large providers: what ``mta/destinations.toml`` calls them."""


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """By which rules days are judged, and what counts as a sudden jump."""

    rules: FeedbackRules | None = None
    jumps: JumpPolicy = field(default_factory=JumpPolicy)


class WarmUpDays:
    """The step that the scheduler takes."""

    def __init__(self, database: Database, clock: Clock, policy: WatchPolicy | None = None) -> None:
        policy = policy or WatchPolicy()
        self._database = database
        self._clock = clock
        self._rules = policy.rules or default_rules()
        self._jumps = policy.jumps
        self._next_sweep = Microseconds(0)

    async def step(self) -> int:
        """Do what is due; returns how much was done, 0 where nothing is left to do now."""
        now = self._clock.now()
        rhythms = await self._rhythms()
        done = await self._count(rhythms)
        done += await self._take_back(now)
        # What is still out of a day that is over could turn out to have been kept back.
        if not await self._database.read(partial(warm_up_grants.has_over, now=now)):
            done += await self._judge(now)
        done += await self._look_for_jumps(now)
        if now >= self._next_sweep:
            self._next_sweep = Microseconds(now + DAY)
            await self._database.write(partial(budgets.forget, before=Microseconds(now - _KEPT_WINDOWS)))
        return done

    async def _rhythms(self) -> dict[str, Rhythm]:
        active = await self._database.read(warm_ups.all_active)
        return {one.subject: stored_plan(one.plan).rhythm for one in active}

    async def _count(self, rhythms: dict[str, Rhythm]) -> int:
        """Count what has come in; 0 unless there is more of it: a few events every now and then make no step follow."""

        def day_of(subject: str, moment: Microseconds) -> date:
            return rhythms.get(subject, _UTC).day_of(moment)

        more = 0
        for workspace in await self._database.read(workspaces.list_workspaces):
            # Asked first, since a write every tick would keep an idle machine's disk busy.
            if not await self._database.read(partial(provider_days.needs_roll_up, workspace_id=workspace.id)):
                continue
            work = partial(provider_days.roll_up, workspace_id=workspace.id, day_of=day_of, limit=_BATCH)
            for _ in range(_MOST_BATCHES):
                found = await self._database.write(work)
                if found < _BATCH:
                    break
            else:
                more += found
        return more

    async def _take_back(self, now: Microseconds) -> int:
        taken = 0
        for _ in range(_MOST_BATCHES):
            if not await self._database.read(partial(warm_up_grants.has_over, now=now)):
                break
            found = await self._database.write(partial(warm_up_throttles.take_back, now=now))
            taken += found
            if not found:  # somebody else has them
                break
        return taken

    async def _judge(self, now: Microseconds) -> int:
        settled = Microseconds(now - ROLLUP_LAG)
        due = await self._database.read(partial(warm_ups.due_ramps, now=settled, limit=_AT_ONCE))
        if not due:
            return 0
        by_id = {one.id: one for one in await self._database.read(warm_ups.all_active)}
        done = 0
        complete: dict[int, bool] = {}
        kept_back: dict[tuple[int, int], Mapping[str, int]] = {}
        for ramp in due:
            if ramp.due_at not in complete:
                until = Microseconds(ramp.due_at)
                complete[ramp.due_at] = await self._database.read(partial(provider_days.is_counted_until, until=until))
            if complete[ramp.due_at] and ramp.warm_up_id in by_id:
                warm_up, key = by_id[ramp.warm_up_id], (ramp.warm_up_id, ramp.due_at)
                if key not in kept_back:
                    kept_back[key] = await self._kept_back(warm_up, ramp.due_at)
                done += await self._judge_day(warm_up, ramp, kept_back[key].get(ramp.provider, 0), now)
        return done

    async def _judge_day(self, warm_up: StoredWarmUp, ramp: StoredRamp, kept_back: int, now: Microseconds) -> int:
        plan = stored_plan(warm_up.plan)
        state = state_of(ramp)
        day = plan.rhythm.day_of(Microseconds(ramp.due_at - 1))
        longest = max(rule.days for rule in self._rules.rules)
        first = max(day - timedelta(longest - 1), min(day, plan.rhythm.day_of(Microseconds(warm_up.started_at))))
        if kept_back:  # to be looked back at: the marks of it go with the next release
            noted = taken_back_limit(warm_up, ramp.provider, plan.rhythm.begins(day))
            await self._database.write(partial(budgets.note, what=noted, amount=kept_back))
        days = await self._database.read(
            partial(read_days, warm_up=warm_up, provider=ramp.provider, span=(first, day), plan=plan)
        )
        outcome = daily_step(plan, state, days, self._rules)
        work = partial(judged, place=(warm_up, ramp), outcome=outcome, now=now)
        return int(await self._database.write(work) is not None)

    async def _kept_back(self, warm_up: StoredWarmUp, due_at: int) -> Mapping[str, int]:
        """By provider, what of the day that ended at ``due_at`` was kept back."""
        rhythm = stored_plan(warm_up.plan).rhythm
        begins = rhythm.begins(rhythm.day_of(Microseconds(due_at - 1)))
        look = partial(warm_up_throttles.kept_back, warm_up=warm_up, span=(begins, Microseconds(due_at)))
        return await self._database.read(look)

    async def _look_for_jumps(self, now: Microseconds) -> int:
        """Yesterday (UTC) of everybody, warm or not, against the thirty days before."""
        today = as_datetime(now - ROLLUP_LAG).date()
        day = today - timedelta(days=1)
        ended = _UTC.begins(today)
        found = 0
        for workspace in await self._database.read(workspaces.list_workspaces):
            through = await self._database.read(partial(provider_days.jumps_through, workspace_id=workspace.id))
            if through >= day.isoformat():
                continue
            if not await self._database.read(partial(provider_days.is_counted_until, until=ended)):
                continue
            work = partial(self._tell_jumps, workspace_id=workspace.id, through=through, day=day, now=now)
            found += await self._database.write(work)
        return found

    def _tell_jumps(self, connection: Connection, workspace_id: int, through: str, day: date, now: Microseconds) -> int:
        if not provider_days.claim_jumps(connection, workspace_id, through, day):
            return 0
        told = []
        for subject, provider, _ in provider_days.busy_subjects(connection, workspace_id, day, self._jumps.floor):
            first = day - timedelta(JUMP_DAYS)
            known = provider_days.days_of(connection, subject, first, day, provider).get(provider, [])
            sent = {one.day: one.sent for one in known}
            before = [sent.get(first + timedelta(ahead), 0) for ahead in range(JUMP_DAYS)]
            finding = jump(before, sent.get(day, 0), self._jumps)
            if finding.is_jump:
                data = {
                    "subject": subject, "provider": provider, "day": day.isoformat(), "sent": finding.today,
                    "usual": finding.usual, "allowed": finding.allowed, "sentence": finding.sentence(),
                }  # fmt: skip
                told.append(NewEvent(workspace_id, "warmup_jump", now, data=data))
        events.append(connection, told, now)
        return len(told)


def read_days(
    connection: Connection, warm_up: StoredWarmUp, provider: str, span: tuple[date, date], plan: WarmUpPlan
) -> list[ProviderDay]:
    """Every day of ``span``, first and last included, as the rules look at it."""
    first, last = span
    stored = provider_days.days_of(connection, warm_up.subject, first, last, provider).get(provider, [])
    by_day = {one.day: one for one in stored}
    dmarc = _dmarc(connection, warm_up, span, plan).get(provider, {})
    days = [first + timedelta(ahead) for ahead in range((last - first).days + 1)]
    starts = {day: plan.rhythm.begins(day) for day in days}
    granted = {day: day_limit(warm_up, provider, begins) for day, begins in starts.items()}
    taken_back = {day: taken_back_limit(warm_up, provider, begins) for day, begins in starts.items()}
    known = budgets.reserved_of(connection, [*granted.values(), *taken_back.values()])
    left = {day: (known[granted[day].key], known[taken_back[day].key]) for day in days}
    return [as_day(day, by_day.get(day), dmarc.get(day), left[day]) for day in days]


def as_day(
    day: date, stored: StoredDay | None, dmarc: tuple[int, int] | None = None, left: tuple[int, int] = (0, 0)
) -> ProviderDay:
    """A stored day for the rules; ``dmarc``: passed and failed; ``left``: what its budget gave, and how much of that
    was taken back untried.

    Who read is known where all of it was tracked.
    """
    passed, failed = dmarc or (None, None)
    if stored is None:
        return ProviderDay(
            day, engaged=0, dmarc_passed=passed, dmarc_failed=failed, held_back=held_back(left[0], (0, 0), left[1])
        )
    return ProviderDay(
        day=day,
        attempts=stored.attempts,
        sent=stored.sent,
        deferrals=stored.deferrals,
        blocks={_reason(name): number for name, number in stored.blocks.items()},
        hard_bounces=stored.hard_bounces,
        complaints=stored.complaints,
        reported_spam_rate=stored.reported_spam_rate,
        reputation=None if stored.reputation is None else Reputation(stored.reputation),
        dmarc_passed=passed,
        dmarc_failed=failed,
        engaged=None if stored.untracked else stored.engaged,
        held_back=held_back(left[0], (stored.attempts, stored.deferrals), left[1]),
    )


def _reason(name: str) -> BounceReason:
    return BounceReason(name) if name in _REASONS else BounceReason.UNKNOWN


def _dmarc(
    connection: Connection, warm_up: StoredWarmUp, span: tuple[date, date], plan: WarmUpPlan
) -> dict[str, dict[date, tuple[int, int]]]:
    """What the providers' own aggregate reports say, by provider and the day that they begin on."""
    if not warm_up.is_of_domain:
        return {}
    moments = (plan.rhythm.begins(span[0]), plan.rhythm.ends(span[1]))
    found: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    rows = provider_days.dmarc_days(connection, warm_up.workspace_id, warm_up.name, moments)
    for organisation, begins_at, passed, failed in rows:
        provider, day = reporter_provider(organisation), plan.rhythm.day_of(Microseconds(begins_at))
        before = found[provider].get(day, (0, 0))
        found[provider][day] = (before[0] + passed, before[1] + failed)
    return found


def reporter_provider(organisation: str) -> str:
    """The provider that a report's organisation stands for: that of a mail host of its name, where it is a domain."""
    name = organisation.strip().lower()[:255]
    if name in _REPORTERS:
        return _REPORTERS[name]
    is_domain = "." in name and " " not in name
    return provider_of(f"mx.{name}") if is_domain else name
