"""How well rules tell people from machines, over fetches whose truth is known."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tracking.testing import SimulatedDelivery
from tracking.verdicts import Bounds, FetchKind, Judge, Verdict, VerdictCounts, bounds


@dataclass(frozen=True, slots=True)
class RuleScore:
    """How a rule did: ``fired`` times, ``right`` of them. ``sought`` is how many fetches its verdict was true for.

    For ``probable`` nothing is right or wrong; ``right`` counts the people among them.
    """

    rule: str
    verdict: Verdict
    fired: int
    right: int
    sought: int

    @property
    def precision(self) -> float | None:
        """The share of its decisions that were true; ``None`` where it made none."""
        return self.right / self.fired if self.fired else None

    @property
    def recall(self) -> float | None:
        """The share of what it could have found that it found; rules before it take some of that."""
        return self.right / self.sought if self.sought else None


@dataclass(frozen=True, slots=True)
class KindScore:
    """Opens or clicks as a whole: what was true, what was said, and the bounds."""

    kind: FetchKind
    by_people: int
    by_machines: int
    said: VerdictCounts
    people_called_machine: int
    machines_called_human: int

    @property
    def bounds(self) -> Bounds:
        """What would be told."""
        return bounds(self.said)


def score(deliveries: Iterable[SimulatedDelivery], judge: Judge) -> tuple[list[RuleScore], list[KindScore]]:
    """Settle everything, and compare with the truth: by rule in the order of the rules, and by kind."""
    seen: Counter[tuple[FetchKind, str, Verdict, bool]] = Counter()
    for delivery in deliveries:
        fetches = [one.fetch for one in delivery.fetches]
        for one, settled in zip(delivery.fetches, judge.settle(fetches, delivery.sent_at), strict=True):
            if settled is not None:
                decision = settled.decision
                seen[one.fetch.kind, decision.rule, decision.verdict, one.by_person] += 1
    order = [(rule.name, rule.verdict) for rule in judge.rules] + [("unknown", Verdict.PROBABLE)]
    rules = [_rule_score(name, verdict, seen) for name, verdict in order]
    return rules, [_kind_score(kind, seen) for kind in (FetchKind.OPEN, FetchKind.CLICK)]


def _rule_score(name: str, verdict: Verdict, seen: "Counter[tuple[FetchKind, str, Verdict, bool]]") -> RuleScore:
    wants_person = verdict is not Verdict.MACHINE
    mine = {key: number for key, number in seen.items() if key[1] == name}
    kinds = {key[0] for key in mine}
    return RuleScore(
        name,
        verdict,
        sum(mine.values()),
        sum(number for key, number in mine.items() if key[3] is wants_person),
        sum(number for key, number in seen.items() if key[0] in kinds and key[3] is wants_person),
    )


def _kind_score(kind: FetchKind, seen: "Counter[tuple[FetchKind, str, Verdict, bool]]") -> KindScore:
    def count(verdict: Verdict | None, by_person: bool | None) -> int:
        return sum(
            number
            for (of, _, said, person), number in seen.items()
            if of is kind and verdict in (None, said) and by_person in (None, person)
        )

    said = VerdictCounts(*(count(verdict, None) for verdict in (Verdict.HUMAN, Verdict.PROBABLE, Verdict.MACHINE)))
    return KindScore(
        kind,
        count(None, True),
        count(None, False),
        said,
        count(Verdict.MACHINE, True),
        count(Verdict.HUMAN, False),
    )
