"""What is counted and every rate, with the sentences that define them; docs/statistics.md and the API say the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from postwright.store.statistic_counts import REFUSALS
from postwright.store.statistics import CountRow
from tracking.verdicts import Bounds, VerdictCounts, bounds

DEFINITIONS: Final[Mapping[str, str]] = {
    "accepted": "Messages of API clients and SMTP submitters that were stored.",
    "delivered": "Recipients whose receiving host took the message.",
    "failed": "Recipients whose receiving host refused it for good, whose domain takes no mail, or who were given up.",
    "expired": "Recipients whose message was not taken within the time that the stream allows.",
    "suppressed": "Recipients who were not written to, since they are on the suppression list.",
    "cancelled": "Recipients who were not written to, since campaign or message was cancelled.",
    "deferred": "Recipients whose receiving host said not now at least once.",
    "bounced": "Recipients of whom a bounce came back after the message had been taken.",
    "hard_bounced": "Recipients who failed or bounced because mailbox or domain are gone.",
    "soft_bounced": "Recipients who failed, expired or bounced because they cannot be reached at present.",
    "complained": "Recipients who called it spam, as far as their providers tell.",
    "unsubscribed": "Recipients who unsubscribed by this mail.",
    "replied": "Recipients who answered.",
    "opens": "All opens by verdict, each fetch of the pixel.",
    "clicks": "All clicks by verdict.",
    "openers": "Recipients who opened, each under the best verdict of their opens; a range from those who are known to"
    " be people to those and the ones of whom nobody can know. Machines are in neither.",
    "clickers": "Recipients who clicked, told in the same way.",
    "by segment": "The recipients who are in the segment now, whoever was in it when the mail was sent; somebody may be"
    " in several. Only contacts, and only the first 20 segments unless one is named.",
    "by sender": "The address that the mail was from. Of a run with several senders, and by segment, recipients are"
    " counted one by one: whoever is tracked in sum alone is in no opens and clicks there.",
    "settled": "delivered + failed + expired: the recipients who were tried and of whom the end is known.",
    "delivery_rate": "(delivered - bounced) / settled.",
    "bounce_rate": "(failed + expired + bounced) / settled; whatever the reason, ours too.",
    "hard_bounce_rate": "hard_bounced / settled.",
    "complaint_rate": "complained / delivered.",
    "unsubscribe_rate": "unsubscribed / delivered.",
    "open_rate": "openers / delivered, as a range.",
    "click_rate": "clickers / delivered, as a range.",
    "click_to_open_rate": "clickers / openers, as a range: the fewest clickers by the most openers, and the other way"
    " round, at most 1. Who clicks without loading images is a clicker and no opener.",
}
"""Every word of an answer. A rate whose divisor is 0 is null. Privacy modes leave openers and clickers out."""


@dataclass(frozen=True, slots=True)
class Range:
    """A rate that lies from ``at_least`` to ``at_most``; ``None`` where there is nothing to divide by."""

    at_least: float | None
    at_most: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts of some recipients, and the rates made from them."""

    counts: Mapping[str, int]
    opens: VerdictCounts
    clicks: VerdictCounts
    openers: VerdictCounts
    clickers: VerdictCounts
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Recipients who were tried and of whom the end is known."""
        return self.counts["delivered"] + self.counts["failed"] + self.counts["expired"]

    @property
    def rates(self) -> Mapping[str, float | None]:
        """The rates that have one value."""
        counts, settled = self.counts, self.settled
        return {
            "delivery_rate": _share(max(0, counts["delivered"] - counts["bounced"]), settled),
            "bounce_rate": _share(counts["failed"] + counts["expired"] + counts["bounced"], settled),
            "hard_bounce_rate": _share(counts["hard_bounced"], settled),
            "complaint_rate": _share(counts["complained"], counts["delivered"]),
            "unsubscribe_rate": _share(counts["unsubscribed"], counts["delivered"]),
        }

    @property
    def ranges(self) -> Mapping[str, Range]:
        """The rates that have bounds."""
        opened, clicked, delivered = bounds(self.openers), bounds(self.clickers), self.counts["delivered"]
        return {
            "open_rate": _range(opened, delivered),
            "click_rate": _range(clicked, delivered),
            "click_to_open_rate": Range(
                _share(clicked.at_least, opened.at_most), _share(clicked.at_most, opened.at_least)
            ),
        }


_COUNTS: Final = (
    *("accepted", "delivered", "failed", "expired", "suppressed", "cancelled", "deferred", "bounced"),
    *("complained", "unsubscribed", "replied"),
)
_FINAL_REFUSALS: Final = REFUSALS - {"deferred", "ambiguous", "delayed"}


def measures_of(rows: Iterable[CountRow]) -> Measures:
    """What some rows of counts come to."""
    counts = dict.fromkeys((*_COUNTS, "hard_bounced", "soft_bounced"), 0)
    verdicts = {name: dict.fromkeys(("human", "probable", "machine"), 0) for name in _VERDICT_COUNTS}
    reasons: dict[str, int] = {}
    for row in rows:
        if row.kind in _FETCHES:
            everything, people = _FETCHES[row.kind]
            verdicts[everything][row.detail] += row.events
            verdicts[people][row.detail] += row.recipients
        elif row.kind in counts:
            counts[row.kind] += row.recipients
        if row.kind in _FINAL_REFUSALS:
            weight, _, reason = row.detail.partition(":")
            reasons[reason] = reasons.get(reason, 0) + row.recipients
            name = {"hard_bounce": "hard_bounced", "soft_bounce": "soft_bounced"}.get(weight)
            if name is not None:
                counts[name] += row.recipients
    told = {name: VerdictCounts(**numbers) for name, numbers in verdicts.items()}
    return Measures(counts, **told, reasons=dict(sorted(reasons.items())))


_VERDICT_COUNTS: Final = ("opens", "clicks", "openers", "clickers")
_FETCHES: Final = {"opened": ("opens", "openers"), "clicked": ("clicks", "clickers")}


def _range(found: Bounds, of: int) -> Range:
    return Range(_share(found.at_least, of), _share(found.at_most, of))


def _share(number: int, of: int) -> float | None:
    # Within a slice of time, or of what came late, there may be more of the one than of the other.
    return min(1.0, number / of) if of > 0 else None
