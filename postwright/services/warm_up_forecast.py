"""When the held mail of a run will have gone out, by the warm-ups that it has to fit, if nothing objects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from mailtypes.saying import say
from postwright.services.warm_up_budgets import RampBudget
from postwright.services.warm_up_plans import stored_plan
from postwright.services.warm_up_release import EgressPlace
from postwright.services.warm_up_states import state_of
from postwright.store import budgets, routes, warm_up_grants, warm_ups
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.warm_ups import StoredWarmUp, domain_subject, egress_subject
from warmup.forecast import Forecast, forecast
from warmup.overrides import start
from warmup.ramp import WarmUp
from warmup.terms import Overflow


@dataclass(frozen=True, slots=True)
class RunForecast:
    """``waiting``: held messages by provider; ``parts``: the forecast by each warm-up, under its name.

    ``unrouted``: held messages of which it is not known yet where they go.
    """

    waiting: dict[str, int]
    parts: tuple[tuple[str, Forecast], ...]
    unrouted: int = 0

    @property
    def ends(self) -> date | None:
        """The last day; ``None`` where nothing waits or no end is in sight."""
        ends = [one.ends for _, one in self.parts]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def sentence(self) -> str:
        """The forecast in words; of several warm-ups the one that ends last is told."""
        if not self.parts or not self.waiting:
            return say("No warm-up holds this mail back.")
        name, last = max(self.parts, key=lambda part: (part[1].ends is None, part[1].ends or date.min))
        return say("%(sentence)s Counted by the warm-up of %(name)s.", sentence=last.sentence(), name=name)


class WarmUpForecasts:
    """Forecasts of runs. ``places`` as in ``WarmUpRelease``."""

    def __init__(self, database: Database, clock: Clock, places: Sequence[EgressPlace] = ()) -> None:
        self._database = database
        self._clock = clock
        self._places = tuple(places)

    async def forecast_of(self, run: Run) -> RunForecast:
        """When the run's held mail will be out."""
        now = self._clock.now()
        return await self._database.read(lambda connection: self._look(connection, run, now))

    def _look(self, connection: Connection, run: Run, now: Microseconds) -> RunForecast:
        waiting, unrouted = _waiting(connection, run, now)
        _, pool = warm_ups.stream_pool(connection, run.stream_id)
        only = len({place.pool for place in self._places}) == 1
        names = [place.name for place in self._places if only or place.pool == pool]
        active = {one.subject: one for one in warm_ups.all_active(connection)}
        parts = []
        if (of_domain := active.get(domain_subject(run.domain_id))) is not None:
            parts.append((of_domain.name, _by(connection, of_domain, waiting, now)))
        places = [active[egress_subject(name)] for name in names if egress_subject(name) in active]
        has_rest = len(places) < len(names) and all(
            stored_plan(one.plan).overflow == Overflow.WARM_POOL for one in places
        )
        if places and not has_rest:
            # Several addresses that are all new share the mail evenly.
            share = {name: -(-count // len(places)) for name, count in waiting.items()}
            parts += [(one.name, _by(connection, one, share, now)) for one in places]
        return RunForecast(dict(waiting), tuple(parts), unrouted)


def _waiting(connection: Connection, run: Run, now: Microseconds) -> tuple[Counter[str], int]:
    held = warm_up_grants.held_by_domain(connection, run.id)
    provider_of = routes.providers(connection, run.workspace_id)
    found: Counter[str] = Counter()
    unrouted = 0
    domains = list(held)
    for start_at in range(0, len(domains), 500):
        some = domains[start_at : start_at + 500]
        known = routes.fresh_routes(connection, run.workspace_id, some, now)
        for domain in some:
            route = known.get(domain)
            if route is None or route.destination_id is None:
                unrouted += held[domain]
            else:
                found[provider_of[route.destination_id]] += held[domain]
    return found, unrouted


def _by(
    connection: Connection, warm_up: StoredWarmUp, waiting: dict[str, int] | Counter[str], now: Microseconds
) -> Forecast:
    plan = stored_plan(warm_up.plan)
    today = plan.rhythm.day_of(now)
    stored = warm_ups.ramps_of(connection, [warm_up.id])
    ramps = {one.provider: state_of(one) for one in stored}
    for provider in waiting:
        if provider not in ramps:  # it begins with its first mail
            ramps[provider], _ = start(plan, WarmUp(provider), today, "forecast")
    counted = [RampBudget.at(warm_up, one, now) for one in stored]
    limits = [limit for one in counted for limit in one.all_limits()]
    reserved = budgets.reserved_of(connection, limits) if limits else {}
    used = {one.ramp.provider: one.used(reserved).day_used.marketing for one in counted}
    return forecast(plan, list(ramps.values()), dict(waiting), now, used)
