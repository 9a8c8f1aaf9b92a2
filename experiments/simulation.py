"""Trials of the decision on made-up readers, to show what it promises; chance is handed in, so that each repeats.

A trial has looks spread evenly over the sample, and each goes through the very ``decide`` that campaigns use. Either
people come by and by (``Arrival.PEOPLE``) or everybody is mailed at once and the successes come in
(``Arrival.CLICKS``), as in a bulk mailing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from experiments.confidence_sequence import Counted
from experiments.decision import Answer, decide
from experiments.observations import Look, Rules, VariantCount

_NORMAL_BOUND = 1.959963984540054  # two-sided 5 %: what a reader of ordinary p values looks for
DEFAULT_LOOKS = 20


class Chance(Protocol):
    """What draws the readers: ``numpy.random.RandomState``, whose numbers never change, or a ``Generator``."""

    def binomial(self, n: int, p: float) -> int:
        """How many of ``n`` succeed, each with probability ``p``."""
        ...


class Arrival(StrEnum):
    """What grows from look to look."""

    PEOPLE = "people"
    CLICKS = "clicks"


@dataclass(frozen=True, slots=True)
class Scenario:
    """``rates``: the true one of each variant (the first of the highest is the right winner); people by variant."""

    rates: tuple[float, ...]
    recipients: int
    rules: Rules
    looks: int = DEFAULT_LOOKS
    arrival: Arrival = Arrival.PEOPLE


@dataclass(frozen=True, slots=True)
class Trial:
    """How one trial ended: ``winner`` (index), at which share of the sample; ``peeked``: by p < .05 at any look."""

    answer: Answer
    winner: int | None
    share: float
    peeked: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Trials counted. ``right`` and ``wrong`` winners; where all rates are equal, every winner is wrong."""

    trials: int
    right: int
    wrong: int
    no_difference: int
    not_yet_known: int
    peeking_right: int
    peeking_wrong: int
    median_share: float


def simulate(scenario: Scenario, trials: int, chance: Chance) -> Tally:
    """Run the scenario that many times."""
    done = [run_trial(scenario, chance) for _ in range(trials)]
    best = max(scenario.rates)
    right_one = scenario.rates.index(best) if scenario.rates.count(best) == 1 else None
    won = [one.winner for one in done if one.winner is not None]
    peeked = [one.peeked for one in done if one.peeked is not None]
    shares = sorted(one.share for one in done)
    return Tally(
        trials,
        sum(one == right_one for one in won),
        sum(one != right_one for one in won),
        sum(one.answer is Answer.NO_DIFFERENCE for one in done),
        sum(one.answer is Answer.NOT_YET_KNOWN for one in done),
        sum(one == right_one for one in peeked),
        sum(one != right_one for one in peeked),
        shares[len(shares) // 2],
    )


def run_trial(scenario: Scenario, chance: Chance) -> Trial:
    """One experiment from the first look to the last, or to the look that decides."""
    answer, winner, share = Answer.NOT_YET_KNOWN, None, 1.0
    peeked = None
    for number, look in enumerate(looks_of(scenario, chance), start=1):
        if peeked is None:
            peeked = _peek([one.at(upper=False) for one in look.variants])
        if answer is Answer.NOT_YET_KNOWN:
            verdict = decide(look, scenario.rules)
            answer, share = verdict.answer, number / scenario.looks
            winner = int(verdict.winner) if verdict.winner is not None else None
    return Trial(answer, winner, share, peeked)


def looks_of(scenario: Scenario, chance: Chance) -> list[Look]:
    """The counts of one trial at each look; variants are named by their index."""
    counts = [[(0, 0)] * scenario.looks for _ in scenario.rates]
    for variant, rate in enumerate(scenario.rates):
        people = done = 0
        for number in range(scenario.looks):
            part = (number + 1) / scenario.looks
            if scenario.arrival is Arrival.PEOPLE:
                new = round(scenario.recipients * part) - people
                people, done = people + new, done + int(chance.binomial(new, rate))
            else:  # of those who did nothing yet, who does it now: the hazard of an even stream of clicks
                reached, before = rate * part, rate * number / scenario.looks
                people = scenario.recipients
                done += int(chance.binomial(people - done, (reached - before) / (1 - before)))
            counts[variant][number] = (people, done)
    return [
        Look(tuple(VariantCount(str(variant), *row[number]) for variant, row in enumerate(counts)))
        for number in range(scenario.looks)
    ]


def _peek(counts: Sequence[Counted]) -> int | None:
    """Who an impatient reader of ordinary p values takes: the best, if it beats the second best with p < .05."""
    ordered = sorted(range(len(counts)), key=lambda one: counts[one].rate, reverse=True)
    first, second = counts[ordered[0]], counts[ordered[1]]
    people = first.recipients + second.recipients
    pooled = (first.successes + second.successes) / people if people else 0.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / first.recipients + 1 / second.recipients)) if people else 0.0
    return ordered[0] if error and (first.rate - second.rate) / error > _NORMAL_BOUND else None
