"""Rates with bounds: what people certainly did, and what they did at most."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """How many opens (or clicks, or recipients who did so) have each verdict."""

    human: int = 0
    probable: int = 0
    machine: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The true number lies from ``at_least`` to ``at_most``: known people, and those of whom nobody can know."""

    at_least: int
    at_most: int

    def rates(self, of: int) -> tuple[float, float]:
        """Both as shares of ``of`` (what was delivered, as a rule), 0.0 to 1.0; zero where there is nothing."""
        if of < 0 or self.at_most > of > 0:
            raise ValueError(f"{self.at_most} of {of} is no share")
        return (self.at_least / of, self.at_most / of) if of else (0.0, 0.0)


def bounds(counts: VerdictCounts) -> Bounds:
    """From the known people to the known people and all unknown; machines are in neither."""
    return Bounds(counts.human, counts.human + counts.probable)
