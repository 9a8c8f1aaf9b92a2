"""How far a campaign is: counts, shares, pace, what remains. Values only."""

from dataclasses import dataclass

from mailtypes.clock import SECOND
from postwright.services.campaigns import CampaignStatus
from postwright.web import formats
from postwright.web.language import gettext
from postwright.web.words import CAMPAIGN, OUTCOMES, UNDER_WAY, Word, word

_ACTIVE = ("preparing", "sending")


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A line of the table; ``ever`` counts those that were in this state at any time, where that is known."""

    word: Word
    count: int
    share: float
    start: float
    ever: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one moment. ``rate`` is messages tried to the end per second, on average since the start."""

    state: Word
    is_active: bool
    total: int
    settled: int
    tried: int
    seconds: float
    rows: tuple[OutcomeRow, ...]

    @property
    def rate(self) -> float:
        """Messages a second on average."""
        return self.tried / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds until everybody has been tried, at that rate; ``None`` where nobody can say.

        Those who wait to be tried again are not part of it: their time depends on the receiving hosts.
        """
        left = self.row_of["under_way"].count
        return left / self.rate if self.is_active and self.rate and left else None

    @property
    def remaining_words(self) -> str:
        """The same as a sentence's end, for every case."""
        if self.remaining is not None:
            return formats.duration(self.remaining)
        waiting = self.row_of["deferred"].count + self.row_of["ambiguous"].count
        if self.total and not self.row_of["under_way"].count and waiting:
            return gettext("%(count)s to be tried again", count=formats.number(waiting))
        return gettext("not known yet")

    @property
    def row_of(self) -> dict[str, OutcomeRow]:
        """The lines by their names."""
        return {row.word.key: row for row in self.rows}

    def document(self) -> dict[str, object]:
        """What the page's script asks for every second; numbers, and texts where words depend on them."""
        return {
            "state": self.state.key,
            "active": self.is_active,
            "total": self.total,
            "settled": self.settled,
            "tried": self.tried,
            "percent": formats.percent(self.settled, self.total),
            "rate": round(self.rate, 3),
            "remaining": self.remaining_words,
            "seconds": round(self.seconds, 1),
            "rows": {
                row.word.key: {
                    "count": row.count,
                    "share": formats.percent(row.count, self.total),
                    "start": round(row.start, 3),
                    "width": round(row.share, 3),
                    "ever": row.ever,
                }
                for row in self.rows
            },
        }


def progress_of(status: CampaignStatus, now: int) -> Progress:
    """The progress of a campaign's newest run; all zero where there is none."""
    run, counts = status.run, status.counts
    state = word(CAMPAIGN, run.state if run else status.campaign.state)
    by_state = counts.by_state if counts else {}
    total = counts.total if counts else 0
    numbers = {key: by_state.get(key, 0) for key in OUTCOMES}
    numbers["under_way"] = sum(by_state.get(key, 0) for key in UNDER_WAY)
    ever = {"deferred": counts.deferred_ever, "ambiguous": counts.ambiguous_ever} if counts else {}
    return Progress(
        state=state,
        is_active=state.key in _ACTIVE,
        total=total,
        settled=counts.settled if counts else 0,
        tried=sum(numbers[key] for key in ("delivered", "failed", "expired")),
        seconds=max(0, (run.finished_at or now) - run.created_at) / SECOND if run else 0.0,
        rows=tuple(_rows(numbers, total, ever)),
    )


def _rows(numbers: dict[str, int], total: int, ever: dict[str, int]) -> list[OutcomeRow]:
    rows: list[OutcomeRow] = []
    start = 0.0
    for key, name in OUTCOMES.items():
        share = 100 * numbers[key] / total if total else 0.0
        rows.append(OutcomeRow(name, numbers[key], share, start, ever.get(key)))
        start += share
    return rows
