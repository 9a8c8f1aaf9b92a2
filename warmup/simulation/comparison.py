"""Policies against each other, over seeds, senders and tempers; and how far what is found holds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from warmup.simulation.policies import PolicyChoice
from warmup.simulation.senders import Sender
from warmup.simulation.tempers import Temper
from warmup.simulation.world import Outcome, Scenario, simulate

FIRST_HELD_OUT_SEED = 1_000
"""Seeds from here on were never looked at while the defaults were tuned."""

_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy with one temper and sender. Shares are means over the runs; ``days_to_full`` is the median.

    ``days_to_full`` is ``None`` where more than half of the runs never came to it; ``never`` counts those runs.
    """

    policy: str
    temper: str
    sender: str
    runs: int
    delivered_share: float
    refused_share: float
    inbox_share: float
    days_to_full: float | None
    never: int
    block_days: float


@dataclass(frozen=True, slots=True)
class Duel:
    """Two policies on the same seeds: the mean of the differences of delivered shares, with a 95 % interval.

    ``better``: runs in which the first delivered more by at least a hundredth of what was wanted; ``worse`` likewise.
    """

    first: str
    second: str
    temper: str
    sender: str
    runs: int
    difference: float
    low: float
    high: float
    better: int
    worse: int
    block_days: float

    @property
    def winner(self) -> str | None:
        """Who delivered more beyond doubt; ``None`` where the interval holds 0."""
        return self.first if self.low > 0 else self.second if self.high < 0 else None


def compare(scenarios: Iterable[Scenario], choices: Sequence[PolicyChoice], seeds: Sequence[int]) -> list[Outcome]:
    """Every policy in every scenario with every seed; records are left out, for there are many."""
    return [
        replace(simulate(scenario, choice, seed), records=(), decisions=())
        for scenario in scenarios
        for choice in choices
        for seed in seeds
    ]


def scenarios_of(tempers: Mapping[str, Temper], senders: Mapping[str, Sender], terms: Scenario) -> list[Scenario]:
    """Each sender with each temper; the rest as in ``terms``."""
    return [
        replace(terms, temper_name=name, temper=temper, sender=sender)
        for name, temper in tempers.items()
        for sender in senders.values()
    ]


def summaries(outcomes: Iterable[Outcome]) -> list[Summary]:
    """One row for each temper, sender and policy, in the order of the outcomes."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.temper, one.sender, one.policy), []).append(one)
    return [_summary(*key, runs) for key, runs in groups.items()]


def _summary(temper: str, sender: str, policy: str, runs: Sequence[Outcome]) -> Summary:
    full = sorted(math.inf if one.days_to_full is None else one.days_to_full for one in runs)
    median = statistics.median_high(full)
    return Summary(
        policy,
        temper,
        sender,
        len(runs),
        statistics.fmean(one.delivered_share for one in runs),
        statistics.fmean(one.refused_share for one in runs),
        statistics.fmean(one.inbox_share for one in runs),
        None if math.isinf(median) else median,
        sum(one.days_to_full is None for one in runs),
        statistics.fmean(one.block_days for one in runs),
    )


def duels(outcomes: Iterable[Outcome], first: str, second: str) -> list[Duel]:
    """``first`` against ``second`` for each temper and sender, paired by seed."""
    pairs: dict[tuple[str, str], dict[int, dict[str, Outcome]]] = {}
    for one in outcomes:
        pairs.setdefault((one.temper, one.sender), {}).setdefault(one.seed, {})[one.policy] = one
    return [
        _duel((first, second), key, [(both[first], both[second]) for both in seeds.values()])
        for key, seeds in pairs.items()
    ]


def _duel(policies: tuple[str, str], where: tuple[str, str], pairs: Sequence[tuple[Outcome, Outcome]]) -> Duel:
    differences = [ours.delivered_share - theirs.delivered_share for ours, theirs in pairs]
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    return Duel(
        *policies,
        *where,
        len(pairs),
        mean,
        mean - _TWO_SIDED_95 * spread,
        mean + _TWO_SIDED_95 * spread,
        sum(one >= 0.01 for one in differences),
        sum(one <= -0.01 for one in differences),
        statistics.fmean(ours.block_days - theirs.block_days for ours, theirs in pairs),
    )


def _growth(temper: Temper, factor: float) -> Temper:
    return replace(temper, growth=1.0 + (temper.growth - 1.0) * factor)


VARIED: Mapping[str, str] = MappingProxyType(
    {
        "tolerated growth": "growth",
        "free volume": "free",
        "loss by growth": "growth_loss",
        "loss by complaints": "complaint_loss",
        "loss by bad addresses": "bounce_loss",
        "healing": "heals",
        "length of blocks": "block_days",
        "blocks prolonged by mail": "prolongs",
    }
)
"""What the sensitivity table varies, one at a time: the parameters' names in words, and in ``Temper``."""


def varied(temper: Temper, name: str, factor: float) -> Temper:
    """``temper`` with one parameter times ``factor``; of growth it is the part above 1; chances stay below 1."""
    if name == "growth":
        return _growth(temper, factor)
    value = getattr(temper, name) * factor
    changed: float = max(1, round(value)) if name in ("free", "block_days") else min(0.95, value)
    return replace(temper, **{name: changed})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One parameter times ``factor``: in how many scenarios the listening ramp is ahead, level, or behind.

    ``difference`` is the mean of delivered shares (ours less theirs), ``block_days`` that of days in blocks.
    """

    parameter: str
    factor: float
    ahead: int
    level: int
    behind: int
    difference: float
    block_days: float


def sensitivity(
    scenarios: Sequence[Scenario],
    choices: tuple[PolicyChoice, PolicyChoice],
    seeds: Sequence[int],
    factors: Sequence[float] = (0.5, 2.0),
) -> list[SensitivityRow]:
    """The first of ``choices`` against the second, with the models as they are and with one parameter changed."""
    backing_off = [replace(one, backs_off=not one.backs_off) for one in scenarios]
    rows = [
        _row("as they are", 1.0, scenarios, choices, seeds),
        _row("mail system backs off: the other way", 1.0, backing_off, choices, seeds),
    ]
    for words, name in VARIED.items():
        for factor in factors:
            changed = [replace(one, temper=varied(one.temper, name, factor)) for one in scenarios]
            rows.append(_row(words, factor, changed, choices, seeds))
    return rows


def _row(
    words: str,
    factor: float,
    scenarios: Sequence[Scenario],
    choices: tuple[PolicyChoice, PolicyChoice],
    seeds: Sequence[int],
) -> SensitivityRow:
    found = duels(compare(scenarios, choices, seeds), choices[0].name, choices[1].name)
    winners = [one.winner for one in found]
    return SensitivityRow(
        words,
        factor,
        winners.count(choices[0].name),
        winners.count(None),
        winners.count(choices[1].name),
        statistics.fmean(one.difference for one in found),
        statistics.fmean(one.block_days for one in found),
    )
