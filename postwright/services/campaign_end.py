"""When the last waiting recipient of a run will have been tried, and what that hangs on.

The end is the latest of what has to be waited for: the warm-up's budgets, the hours for sending, the contacts' clocks,
a test that is not decided, what is tried again, a pace that replies have lowered, and the speed of the run itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from mailtypes.clock import HOUR, SECOND, Clock, Microseconds, as_datetime
from mailtypes.saying import joined, say
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.shared_looks import SharedLooks
from postwright.services.warm_up_forecast import RunForecast, WarmUpForecasts
from postwright.store import experiments, routes, run_waiting, shaping, suspensions
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.run_waiting import WaitingPart

_ACTIVE = ("preparing", "sending", "paused")
_LONGEST = 90 * 24 * HOUR
_KEEP, _MOST_KEPT = 15 * SECOND, 200
_STEP = HOUR // 4  # zones differ from UTC by quarters of an hour
_UNDER_WAY = ("ready", "leased", "transmitting")


class HangsOn(StrEnum):
    """What the end hangs on."""

    PACE = "pace"
    WARM_UP = "warm_up"
    HOURS = "hours"
    LOCAL_TIME = "local_time"
    TEST = "test"
    RETRY = "retry"
    SLOWED = "slowed"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class ExpectedEnd:
    """``at`` ``None``: no end is in sight, or nobody can say yet. ``waiting`` recipients have no end so far.

    ``is_too_late``: the end lies behind the run's expiry, so that some will expire. ``sentence`` is for people.
    """

    at: Microseconds | None
    hangs_on: HangsOn
    sentence: str
    waiting: int
    is_too_late: bool = False


@dataclass(frozen=True, slots=True)
class _Until:
    at: Microseconds | None
    hangs_on: HangsOn
    why: str


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the database says, read together."""

    parts: Sequence[WaitingPart]
    rate: float
    by_scope: Mapping[str, int]
    slowed: Mapping[str, float]
    suspended: Mapping[str, int | None]
    test: tuple[str, int | None] | None


class CampaignEnds:
    """Forecasts of the ends of runs."""

    def __init__(self, database: Database, clock: Clock, warm_ups: WarmUpForecasts) -> None:
        self._database = database
        self._clock = clock
        self._warm_ups = warm_ups
        self._looks: SharedLooks[tuple[int, str], ExpectedEnd] = SharedLooks(clock, _KEEP, _MOST_KEPT)

    async def of_run(self, run: Run) -> ExpectedEnd | None:
        """The end that is expected; ``None`` where the run is at its end already, or has not begun.

        It goes over everybody who waits, and pages ask every second: so one look at a time, and shared.
        """
        if run.state not in _ACTIVE:
            return None
        return await self._looks.find((run.id, run.state), partial(self._find, run))

    async def _find(self, run: Run) -> ExpectedEnd:
        now = self._clock.now()
        ground = await self._database.read(partial(_look, run=run, now=now))
        forecast = await self._warm_ups.forecast_of(run) if any(_is_free(one) for one in ground.parts) else None
        waiting = sum(one.count for one in ground.parts)
        if run.state == "paused":
            return ExpectedEnd(None, HangsOn.PAUSED, say("The campaign is paused."), waiting)
        if run.state == "preparing" or not waiting:
            sentence = (
                say("The recipients are being written down.") if run.state == "preparing" else say("The last ones end.")
            )
            return ExpectedEnd(None, HangsOn.NOT_KNOWN, sentence, waiting)
        return _told(run, waiting, [*_waits(run, ground, now), *_warm_up(forecast)])


def _told(run: Run, waiting: int, waits: Sequence[_Until]) -> ExpectedEnd:
    endless = [one for one in waits if one.at is None and one.hangs_on is not HangsOn.NOT_KNOWN]
    known = [one for one in waits if one.at is not None]
    if endless:
        return ExpectedEnd(None, endless[0].hangs_on, say("No end in sight: %(why)s", why=endless[0].why), waiting)
    if not known:
        return ExpectedEnd(None, HangsOn.NOT_KNOWN, say("Not known yet: nothing was tried so far."), waiting)
    last = max(known, key=lambda one: one.at or 0)
    assert last.at is not None
    when = f"{as_datetime(last.at):%Y-%m-%d %H:%M} UTC"
    is_too_late = last.at > run.expires_at
    sentence = say("The last waiting recipient is tried by about %(when)s: %(why)s", when=when, why=last.why)
    if is_too_late:
        until = f"{as_datetime(run.expires_at):%Y-%m-%d %H:%M} UTC"
        sentence = joined((sentence, say("Whoever is not reached by %(until)s expires.", until=until)), " ")
    return ExpectedEnd(last.at, last.hangs_on, sentence, waiting, is_too_late)


def _is_free(part: WaitingPart) -> bool:
    return part.state == "held" and not part.is_kept


def _look(connection: Connection, run: Run, now: Microseconds) -> _Ground:
    parts = run_waiting.waiting_parts(connection, run.id)
    by_scope = _by_scope(connection, run, parts)
    rates: dict[str, float] = {}
    for key, pace in shaping.list_paces(connection, run.workspace_id).items():
        if pace.limits.rate is not None and key.scope in by_scope:
            rates[key.scope] = rates.get(key.scope, 0.0) + pace.limits.rate
    stopped: dict[str, int | None] = {}
    for one in suspensions.in_force(connection, run.workspace_id, now):
        if one.scope in by_scope and not one.egress:
            known = stopped.get(one.scope, one.until)
            stopped[one.scope] = None if known is None or one.until is None else max(known, one.until)
    found = experiments.get_experiment(connection, run.id)
    test = None if found is None else (found.state, found.deadline)
    return _Ground(
        parts, run_waiting.fastest_hour(connection, run.id, run.created_at, now), by_scope, rates, stopped, test
    )


def _by_scope(connection: Connection, run: Run, parts: Sequence[WaitingPart]) -> Counter[str]:
    """How many wait for each destination and for each provider, as suspensions and paces name them."""
    of_destination = Counter(run_waiting.held_destinations(connection, run.id, run.workspace_id))
    for part in parts:
        if part.state != "held":
            of_destination[part.destination_id] += part.count
    provider_of = routes.providers(connection, run.workspace_id)
    found: Counter[str] = Counter()
    for destination, count in of_destination.items():
        if destination is not None:
            found[suspensions.destination_scope(destination)] += count
            found[suspensions.provider_scope(provider_of.get(destination, ""))] += count
    return found


def _waits(run: Run, ground: _Ground, now: Microseconds) -> list[_Until]:
    """Everything that has to be waited for but the warm-up."""
    plan = CampaignPlan.from_json(run.plan)
    found: list[_Until] = []
    for scope, until in ground.suspended.items():
        at = None if until is None else Microseconds(until)
        found.append(_Until(at, HangsOn.SUSPENDED, say("%(named)s is suspended.", named=_named(scope))))
    for scope, rate in ground.slowed.items():
        at = _through_hours(plan, now, ground.by_scope[scope] / rate)
        found.append(
            _Until(at, HangsOn.SLOWED, say("replies of %(named)s have lowered the pace.", named=_named(scope)))
        )
    again = [one.last_at for one in ground.parts if one.state in ("deferred", "ambiguous")]
    if again:
        at = Microseconds(max(now, *again))
        found.append(_Until(at, HangsOn.RETRY, say("some are tried again then, and may have to wait once more.")))
    later = [one.last_at for one in ground.parts if _is_free(one) and one.last_at > now]
    if later:
        found.append(_Until(Microseconds(max(later)), HangsOn.LOCAL_TIME, say("some get it by their own clocks.")))
    return found + _by_test(ground, now) + _by_pace(plan, ground, now)


def _named(scope: str) -> str:
    kind, _, name = scope.partition(":")
    return name if kind == "provider" else say("a destination")


def _by_test(ground: _Ground, now: Microseconds) -> list[_Until]:
    if not any(one.is_kept for one in ground.parts) or ground.test is None:
        return []
    state, deadline = ground.test
    if state == "asking":
        return [_Until(None, HangsOn.TEST, say("the test waits for somebody to choose."))]
    if deadline is None:
        return [_Until(None, HangsOn.NOT_KNOWN, say("the sample is being drawn."))]
    kept = sum(one.count for one in ground.parts if one.is_kept)
    more = round(kept / ground.rate * SECOND) if ground.rate else 0
    return [
        _Until(Microseconds(max(now, deadline) + more), HangsOn.TEST, say("the rest waits for the end of the test."))
    ]


def _by_pace(plan: CampaignPlan, ground: _Ground, now: Microseconds) -> list[_Until]:
    left = sum(one.count for one in ground.parts if one.state in _UNDER_WAY or _is_free(one))
    if not left:
        return []
    opens = plan.closed_until(now)
    if not ground.rate:
        return [_Until(None, HangsOn.NOT_KNOWN, "")] if opens is None else [_Until(opens, HangsOn.HOURS, _CLOSED)]
    at = _through_hours(plan, now, left / ground.rate)
    if opens is not None or (at is not None and at > now + left / ground.rate * SECOND + 2 * SECOND):
        return [_Until(at, HangsOn.HOURS, _CLOSED)]
    return [
        _Until(
            at,
            HangsOn.PACE,
            say("%(left)s are left at %(rate)s a second.", left=f"{left:,}", rate=f"{ground.rate:.3g}"),
        )
    ]


_CLOSED = say("it goes out within its hours for sending alone.")


def _through_hours(plan: CampaignPlan, now: Microseconds, seconds: float) -> Microseconds | None:
    """``seconds`` of sending from now on, of which the closed hours of the plan are none; ``None`` where too long."""
    left = round(seconds * SECOND)
    if plan.window is None:
        return Microseconds(now + left) if left < _LONGEST else None
    at = now
    while at < now + _LONGEST:
        at = plan.closed_until(at) or at
        step = _STEP - at % _STEP
        if left <= step:
            return Microseconds(at + left)
        left -= step
        at = Microseconds(at + step)
    return None


def _warm_up(forecast: RunForecast | None) -> list[_Until]:
    if forecast is None or not forecast.parts or not forecast.waiting:
        return []
    if forecast.ends is None:
        return [_Until(None, HangsOn.WARM_UP, forecast.sentence())]
    ends = forecast.ends
    zone = max((one.ends or ends, one.zone) for _, one in forecast.parts)[1]
    evening = datetime.combine(ends + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    at = Microseconds(round(evening.timestamp() * SECOND))
    return [
        _Until(at, HangsOn.WARM_UP, say("the warm-up spreads it over days. %(sentence)s", sentence=forecast.sentence()))
    ]
