"""How providers are: the parameters of the models, in houses of different temper.

No provider publishes its limits. What is published is their kind (docs/warm-up.md names the sources): unknown senders
get little, growth beyond what they are used to is put off (421 4.7.28), complaints from 0.10 % and 0.30 % and many bad
addresses cost reputation, little reputation means less volume, spam folder and blocks, blocks last days. The numbers
are assumptions; hence several tempers, jitter around each, and a table of how far conclusions hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from random import Random
from types import MappingProxyType


class Tells(StrEnum):
    """How a provider lets senders know of complaints."""

    FEEDBACK_LOOP = "feedback_loop"  # ARF reports (RFC 5965), a day later
    POSTMASTER = "postmaster"  # a daily rate, two days later, above a volume
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Temper:
    """``free``: messages a day from anybody. ``growth``: tolerated factor over the accustomed volume, a day.

    ``adapts``: share of the way that the accustomed volume goes each day towards what was taken. Losses are in
    reputation (0 to 1) a day: ``growth_loss`` at an excess of once the tolerated volume, ``complaint_loss`` at
    ``complaint_limit``, ``bounce_loss`` at ``bounce_limit``. ``heals``: share of the way back to 1, each clean day with
    mail. Below ``block_below`` everything is refused for ``block_days``; mail that keeps coming in a block prolongs it
    by a day with the chance ``prolongs``.
    """

    free: int
    growth: float
    adapts: float
    growth_loss: float
    complaint_limit: float
    complaint_loss: float
    bounce_limit: float
    bounce_loss: float
    heals: float
    block_below: float
    block_days: int
    prolongs: float
    tells: Tells

    def jittered(self, chance: Random, width: float) -> "Temper":
        """Each number times a factor between ``1 / (1 + width)`` and ``1 + width``; shares stay below 1."""
        changed = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Tells):
                continue
            factor = (1.0 + width) ** chance.uniform(-1.0, 1.0)
            if one.name == "growth":  # what grows is the part above 1
                changed[one.name] = 1.0 + (value - 1.0) * factor
            elif isinstance(value, int):
                changed[one.name] = max(1, round(value * factor))
            else:
                changed[one.name] = min(0.95, value * factor)
        return replace(self, **changed)


_LENIENT = Temper(
    free=2_000,
    growth=4.0,
    adapts=0.9,
    growth_loss=0.03,
    complaint_limit=0.003,
    complaint_loss=0.05,
    bounce_limit=0.10,
    bounce_loss=0.05,
    heals=0.12,
    block_below=0.15,
    block_days=1,
    prolongs=0.1,
    tells=Tells.FEEDBACK_LOOP,
)
_USUAL = Temper(
    free=500,
    growth=3.0,
    adapts=0.8,
    growth_loss=0.07,
    complaint_limit=0.002,
    complaint_loss=0.06,
    bounce_limit=0.05,
    bounce_loss=0.06,
    heals=0.1,
    block_below=0.2,
    block_days=3,
    prolongs=0.3,
    tells=Tells.POSTMASTER,
)
_STRICT = Temper(
    free=400,
    growth=2.5,
    adapts=0.6,
    growth_loss=0.08,
    complaint_limit=0.001,
    complaint_loss=0.08,
    bounce_limit=0.05,
    bounce_loss=0.08,
    heals=0.07,
    block_below=0.25,
    block_days=5,
    prolongs=0.4,
    tells=Tells.FEEDBACK_LOOP,
)

TUNING: Mapping[str, Temper] = MappingProxyType({"lenient": _LENIENT, "usual": _USUAL, "strict": _STRICT})
"""The tempers that the defaults were tuned on."""

HELD_OUT: Mapping[str, Temper] = MappingProxyType(
    {
        # Slow to get used to anybody, but hardly resentful.
        "slow": replace(_USUAL, free=300, growth=2.0, adapts=0.35, growth_loss=0.04, block_days=2),
        # Lets volume pass, and punishes content and lists hard; tells nothing of complaints.
        "touchy": replace(
            _LENIENT,
            complaint_limit=0.001,
            complaint_loss=0.12,
            bounce_limit=0.03,
            bounce_loss=0.12,
            block_below=0.3,
            block_days=7,
            prolongs=0.5,
            tells=Tells.NOTHING,
        ),
        # Blocks early and for long, forgets fast.
        "abrupt": replace(_STRICT, growth=2.4, block_below=0.35, block_days=4, heals=0.2, tells=Tells.POSTMASTER),
    }
)
"""Tempers that nothing was tuned on; conclusions are drawn on these."""

TEMPERS: Mapping[str, Temper] = MappingProxyType({**TUNING, **HELD_OUT})
