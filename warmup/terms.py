"""A warm-up as an admin orders it: a ramp, starting points and ceilings by provider, hours, a reserve, the overflow.

Providers are told apart by who runs the MX hosts; their names here are those of ``mta/destinations.toml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from mailtypes.saying import say
from warmup.plans import PRESETS, RampPlan
from warmup.rhythm import Rhythm

BILLIONMAIL_HOURLY = Fraction(1, 10)
SENDGRID_HOURLY = Fraction(1, 24)


class Overflow(StrEnum):
    """What becomes of mail beyond today's cap."""

    WAITS = "waits"  # for the next hour or day
    WARM_POOL = "warm_pool"  # goes out by egress addresses that are warm already
    CUT = "cut"  # is not sent: the least engaged are left out


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """Where one provider's ramp starts and ends, in messages a day; ``None`` leaves it to the plan."""

    first: int | None = None
    ceiling: int | None = None

    def __post_init__(self) -> None:
        if (self.first is not None and self.first < 1) or (self.ceiling is not None and self.ceiling < 1):
            raise ValueError(say("a starting point and a ceiling are at least 1 message a day"))
        if self.first is not None and self.ceiling is not None and self.first > self.ceiling:
            first, ceiling = f"{self.first:,}", f"{self.ceiling:,}"
            raise ValueError(
                say("the ramp starts at %(first)s, above its ceiling of %(ceiling)s", first=first, ceiling=ceiling)
            )


@dataclass(frozen=True, slots=True)
class WarmUpPlan:
    """``ramp``: its days are the levels. ``default`` goes for providers that ``providers`` does not name.

    ``hourly_share``: the share of a day's cap for one hour. ``reserve``: the share of each cap that only
    transactional mail may use.
    """

    ramp: RampPlan
    default: ProviderTerms = ProviderTerms()
    providers: Mapping[str, ProviderTerms] = field(default_factory=dict)
    hourly_share: Fraction = BILLIONMAIL_HOURLY
    rhythm: Rhythm = field(default_factory=Rhythm)
    reserve: Fraction = Fraction(0)
    overflow: Overflow = Overflow.WAITS

    def __post_init__(self) -> None:
        if not 0 < self.hourly_share <= 1 or not 0 <= self.reserve < 1:
            raise ValueError(say("an hour's share lies above 0 and up to 1, the reserve from 0 to below 1"))

    def terms_of(self, provider: str) -> ProviderTerms:
        """The starting point and ceiling of ``provider``."""
        return self.providers.get(provider, self.default)

    def levels(self, provider: str) -> tuple[int, ...]:
        """The daily caps of ``provider``, level 1 first; beyond the last stands :meth:`beyond`."""
        return _levels(self.ramp.daily_caps, self.terms_of(provider))

    def beyond(self, provider: str) -> int | None:
        """The cap of a warm sender: the ceiling, or ``None`` for no limit."""
        return self.terms_of(provider).ceiling

    def cap(self, provider: str, level: int) -> int | None:
        """The daily cap at ``level``: 0 before the first, :meth:`beyond` after the last."""
        levels = self.levels(provider)
        if level < 1:
            return 0
        return levels[level - 1] if level <= len(levels) else self.beyond(provider)

    def level_within(self, provider: str, volume: float) -> int:
        """The highest level whose cap is at most ``volume``; 1 where none is."""
        return max(1, sum(cap <= volume for cap in self.levels(provider)))

    def hour_cap(self, day_cap: int) -> int:
        """The cap of one hour, never below 1 where the day has one."""
        return min(day_cap, ceil(day_cap * self.hourly_share))

    def marketing_cap(self, day_cap: int, day: date) -> int:
        """How much of ``day_cap`` marketing mail can use on ``day``: without the reserve, in open hours."""
        whole = floor((day_cap - self.reserved(day_cap)) * self.rhythm.share_of(day))
        hour_cap = self.hour_cap(day_cap)
        return min(whole, (hour_cap - self.reserved(hour_cap)) * self.rhythm.open_hours(day))

    def reserved(self, limit: int) -> int:
        """How many of ``limit`` only transactional mail may use; rounded down: a small cap is never taken whole."""
        return floor(limit * self.reserve)


def preset(name: str, **options: object) -> WarmUpPlan:
    """A published schedule with the hourly share it was published with (a tenth where none was).

    ``options`` are fields of ``WarmUpPlan``; ``KeyError`` for a name that is not in ``PRESETS``.
    """
    share = SENDGRID_HOURLY if name == "sendgrid" else BILLIONMAIL_HOURLY
    return WarmUpPlan(**{"ramp": PRESETS[name], "hourly_share": share, **options})  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def _levels(caps: tuple[int, ...], terms: ProviderTerms) -> tuple[int, ...]:
    """The table entered at the starting point (reached by doubling where it lies below), and cut at the ceiling."""
    levels = list(caps)
    if terms.first is not None:
        lead = []
        step = terms.first
        while step < caps[0]:
            lead.append(step)
            step *= 2
        levels = lead + [cap for cap in caps if cap >= terms.first]
        if not levels or levels[0] > terms.first:
            levels.insert(0, terms.first)
    if terms.ceiling is not None:
        levels = [cap for cap in levels if cap < terms.ceiling] + [terms.ceiling]
    return tuple(levels)
