"""When a campaign that is larger than today's budget will have gone out, if nothing objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from mailtypes.clock import Microseconds
from mailtypes.saying import say
from warmup.feedback import default_rules
from warmup.ramp import Phase, WarmUp, risen
from warmup.terms import WarmUpPlan

ASSUMPTION = say("if nothing objects")
_LONGEST = 400  # days that are looked ahead


@dataclass(frozen=True, slots=True)
class ProviderForecast:
    """``by_day``: how many go out on which day. ``ends`` is the last of them, ``None`` where no end is in sight."""

    provider: str
    waiting: int
    ends: date | None
    by_day: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The end for each provider and for all; ``None`` where something has to be resumed or started first."""

    providers: tuple[ProviderForecast, ...]
    ends: date | None
    zone: str
    assumption: str = ASSUMPTION

    def sentence(self) -> str:
        """The forecast in words."""
        stuck = [one.provider for one in self.providers if one.ends is None]
        if stuck:
            return say(
                "No end in sight for %(stuck)s: the warm-up is paused, or has not begun.", stuck=", ".join(stuck)
            )
        if self.ends is None:
            return say("Nothing waits.")
        return say(
            "Done on %(ends)s (%(zone)s), %(assumption)s.", ends=self.ends, zone=self.zone, assumption=self.assumption
        )


def forecast(
    plan: WarmUpPlan,
    budgets: Sequence[WarmUp],
    waiting: Mapping[str, int],
    now: Microseconds,
    used_today: Mapping[str, int] | None = None,
) -> Forecast:
    """Reckon day by day what marketing mail may use, each day's level following from the day before.

    ``budgets``: all ramps that the mail has to fit (of the egress address and of the sender domain), told apart by
    their providers. A provider without a ramp has no limit. ``used_today`` is what today's budgets have given already.
    """
    today = plan.rhythm.day_of(now)
    used = used_today or {}
    found = tuple(
        _provider(plan, [one for one in budgets if one.provider == name], (name, count), today, used.get(name, 0))
        for name, count in sorted(waiting.items())
    )
    ends = [one.ends for one in found if one.waiting]
    known = [end for end in ends if end is not None]
    return Forecast(found, max(known) if known and len(known) == len(ends) else None, plan.rhythm.zone)


def _provider(
    plan: WarmUpPlan, ramps: Sequence[WarmUp], waiting: tuple[str, int], today: date, used: int
) -> ProviderForecast:
    name, left = waiting
    by_day: list[tuple[date, int]] = []
    if any(ramp.phase in (Phase.PAUSED, Phase.WAITING) for ramp in ramps) and left:
        return ProviderForecast(name, left, None, ())
    for ahead in range(_LONGEST):
        if left <= 0:
            break
        day = today + timedelta(days=ahead)
        open_today = max(0, _open_on(plan, ramps, name, day) - (used if ahead == 0 else 0))
        sent = min(left, open_today)
        if sent:
            by_day.append((day, sent))
            left -= sent
        ramps = [_next_level(plan, ramp, day, used_up=sent > 0 or (ahead == 0 and used > 0)) for ramp in ramps]
    ends = by_day[-1][0] if by_day and left <= 0 else today if left <= 0 else None
    return ProviderForecast(name, waiting[1], ends, tuple(by_day))


def _open_on(plan: WarmUpPlan, ramps: Sequence[WarmUp], provider: str, day: date) -> int:
    caps = [cap for ramp in ramps if (cap := plan.cap(provider, ramp.level)) is not None]
    if caps:
        return plan.marketing_cap(min(caps), day)
    return 1 << 62 if plan.rhythm.open_hours(day) else 0


def _next_level(plan: WarmUpPlan, ramp: WarmUp, day: date, *, used_up: bool) -> WarmUp:
    """The ramp on the day after ``day``, after a clean one: it rises where enough clean days have passed."""
    if not used_up or ramp.level > len(plan.levels(ramp.provider)):
        return ramp
    clean = replace(ramp, clean_days=ramp.clean_days + 1)
    return clean if clean.clean_days < clean.needed_days else risen(plan, clean, day, default_rules().settle)
