"""From fetches to verdicts: provisional at once, settled when everything around is known."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from mailtypes.clock import MINUTE
from tracking.verdicts.features import CHAIN, Features, Fetch, FetchKind, derive
from tracking.verdicts.rules import Decision, Rule, Verdict, decide, read_rules

SETTLE_AFTER: Final = 5 * MINUTE
"""How long a verdict stays provisional, in microseconds."""
WINDOW: Final = SETTLE_AFTER + CHAIN
"""How far around a fetch the others of its delivery are looked at."""
_CLICKS: Final = frozenset({FetchKind.CLICK, FetchKind.HONEYPOT})


@dataclass(frozen=True, slots=True)
class Settled:
    """The features of an open or a click, and what the rules make of them."""

    features: Features
    decision: Decision


@dataclass(frozen=True, slots=True)
class Judge:
    """Applies rules."""

    rules: tuple[Rule, ...]

    def judge(self, features: Features) -> Decision:
        """What the rules make of features; the same for stored ones, whenever they are replayed."""
        return decide(self.rules, features)

    def provisional(self, fetches: Sequence[Fetch], sent_at: int | None) -> Settled | None:
        """The verdict on the last of these fetches by what came before it; ``None`` for a look."""
        return self.settle(fetches, sent_at)[-1]

    def settle(self, fetches: Sequence[Fetch], sent_at: int | None) -> list[Settled | None]:
        """The verdict on each fetch of a delivery, in the order of time; ``None`` for looks.

        What came beside a machine's clicks and looks like them was the same machine, and an open by somebody who
        clicked was an open by a person; so all is judged by itself first, then by the company it keeps.
        """
        settled = [None if features is None else self._settled(features) for features in derive(fetches, sent_at)]
        settled = self._again(settled, _among_machines(fetches, settled), lambda one: replace(one, among_machines=True))
        if not any(_is_click(one, Verdict.HUMAN) for one in settled):
            return settled
        opens = [one is not None and one.features.kind is FetchKind.OPEN for one in settled]
        return self._again(settled, opens, lambda one: replace(one, clicked_by_human=True))

    def _again(
        self, settled: Sequence[Settled | None], known: Sequence[bool], learn: Callable[[Features], Features]
    ) -> list[Settled | None]:
        """The same, with those judged anew of which something more is known."""
        return [
            self._settled(learn(one.features)) if one is not None and also else one
            for one, also in zip(settled, known, strict=True)
        ]

    def _settled(self, features: Features) -> Settled:
        return Settled(features, self.judge(features))


def _is_click(one: Settled | None, verdict: Verdict) -> bool:
    return one is not None and one.features.kind in _CLICKS and one.decision.verdict is verdict


def _among_machines(fetches: Sequence[Fetch], settled: Sequence[Settled | None]) -> list[bool]:
    """Of each fetch, whether a machine of its family and network clicked within a minute of it."""
    clicks: dict[tuple[str, str], list[int]] = {}
    for fetch, one in zip(fetches, settled, strict=True):
        if _is_click(one, Verdict.MACHINE):
            clicks.setdefault((fetch.agent, fetch.network), []).append(fetch.at)
    found = []
    for fetch in fetches:
        times = clicks.get((fetch.agent, fetch.network), [])
        place = bisect_left(times, fetch.at - CHAIN)
        found.append(place < len(times) and times[place] <= fetch.at + CHAIN)
    return found


@cache
def shipped_judge() -> Judge:
    """With the rules that come with the package."""
    return Judge(read_rules(files("tracking.verdicts").joinpath("rules.toml").read_text("utf-8")))
