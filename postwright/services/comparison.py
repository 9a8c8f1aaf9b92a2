"""A campaign against one's own last ten: its rates within what is usual, above or below; in all, by provider, segment.

Answers come in for days, so the earlier campaigns are counted as they stood at the age that this one has now. Counts
by provider or segment do not know the hour: there, what people did is compared only once it has mostly come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from sqlalchemy import Connection

from experiments.comparison import LAST, MIN_RECIPIENTS, Comparison, Place, compare_by_group, compare_with_own
from experiments.confidence_sequence import Counted
from mailtypes.clock import DAY, HOUR, Clock, Microseconds
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.statistic_groups import MOST_LOOKED_AT, segment_counts
from postwright.services.statistic_terms import Measures, measures_of
from postwright.store import campaigns, own_history, segments, statistic_parts, statistics
from postwright.store.campaigns import Campaign, Run
from postwright.store.database import Database
from postwright.store.own_history import EndedRun, Span
from postwright.store.segments import Segment
from postwright.store.statistics import CountRow

MATURE: Final = 72 * HOUR
_WHOLE: Final = 14 * DAY
_LOOKED_AT: Final = 60
_YEARS_BACK: Final = 3 * 366 * DAY
_MOST_PROVIDERS: Final = 8


class Measure(StrEnum):
    """What is compared. ``OPEN`` has two ends, ``CLICK`` is those who are known to be people."""

    DELIVERY = "delivery"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    OPEN = "open"
    CLICK = "click"

    @property
    def is_better_high(self) -> bool:
        """Whether more is better."""
        return self in (Measure.DELIVERY, Measure.OPEN, Measure.CLICK)

    @property
    def is_answer(self) -> bool:
        """Whether people do it after the mail has arrived."""
        return self not in (Measure.DELIVERY, Measure.BOUNCE)


_PLACE_WORDS: Final[Mapping[Place, str]] = {
    Place.BELOW: say("below"),
    Place.WITHIN: say("within"),
    Place.ABOVE: say("above"),
    Place.UNKNOWN: say("unknown"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure. ``at_most`` is the other end of what has two; ``earlier`` are the rates it stands among, in time.

    ``place`` is unknown where the two ends lie in different places.
    """

    measure: Measure
    found: Comparison
    earlier: tuple[float, ...]
    at_most: Comparison | None = None

    @property
    def place(self) -> Place:
        """Where it lies, whatever those are of whom nobody can know."""
        if self.at_most is None or self.at_most.place is self.found.place:
            return self.found.place
        return Place.UNKNOWN

    @property
    def cause(self) -> str:
        """The verdict's reason."""
        if self.at_most is not None and self.place is Place.UNKNOWN is not self.found.place:
            return say(
                "It depends on those of whom nobody can know: with the surely known ones %(at_least)s,"
                " with all of them %(at_most)s.",
                at_least=_PLACE_WORDS[self.found.place],
                at_most=_PLACE_WORDS[self.at_most.place],
            )
        return self.found.cause


@dataclass(frozen=True, slots=True)
class CampaignComparison:
    """``hours``: at which age all are compared, ``None`` where as they stand. ``earlier``: the campaigns, in time.

    ``by_provider`` has this campaign's largest providers. ``segment`` is what all of it is about, where one was asked.
    """

    campaign: Campaign
    run: Run
    earlier: tuple[EndedRun, ...]
    hours: int | None
    measures: tuple[Compared, ...]
    by_provider: Mapping[str, tuple[Compared, ...]]
    segment: Segment | None = None


class CampaignComparisons:
    """Comparisons of campaigns with the last ones of their stream."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def compare(self, workspace_id: int, campaign_id: int, segment_id: int | None = None) -> CampaignComparison:
        """The newest run against the last ten before it; ``RefusedError`` (``not_sent``) where there is none.

        With ``segment_id`` only the recipients who are in the segment now. ``NotFoundError`` for what is not there.
        """
        now = self._clock.now()
        compare = partial(_compare, place=(workspace_id, campaign_id), segment_id=segment_id, now=now)
        return await self._database.read(compare)


def _compare(
    connection: Connection, place: tuple[int, int], segment_id: int | None, now: Microseconds
) -> CampaignComparison:
    workspace_id, campaign_id = place
    campaign = campaigns.get_campaign(connection, workspace_id, campaign_id)
    if campaign is None:
        raise NotFoundError("campaign")
    run = campaigns.latest_run(connection, campaign_id)
    if run is None:
        raise RefusedError("not_sent", say("The campaign was not sent yet."), next_step=say("Send it; then ask again."))
    earlier = _usable(connection, run)
    if segment_id is not None:
        return _in_segment(connection, (campaign, run), earlier, segment_id, now)
    age = now - run.created_at
    own, others = _counted_at(connection, [run.id, *(one.id for one in earlier)], (run, earlier, age))
    return CampaignComparison(
        campaign,
        run,
        tuple(earlier),
        age // HOUR if age < _WHOLE else None,
        _compared(own, others),
        _by_provider(connection, run, earlier, is_mature=age >= MATURE),
    )


def _usable(connection: Connection, run: Run) -> list[EndedRun]:
    """The last ten before the run that were large enough to say something, in the order of time."""
    since = max(0, run.created_at - _YEARS_BACK)
    span = Span(since, run.created_at, stream_id=run.stream_id)
    found = own_history.ended_runs(connection, run.workspace_id, span, _LOOKED_AT)
    totals = _by_run(
        statistics.counts(connection, run.workspace_id, [one.id for one in found], "provider", ("run_id",))
    )
    large = [one for one in found if measures_of(totals.get(one.id, ())).settled >= MIN_RECIPIENTS]
    return large[:LAST][::-1]


def _counted_at(
    connection: Connection, run_ids: Sequence[int], about: tuple[Run, Sequence[EndedRun], int]
) -> tuple[Measures, list[Measures]]:
    """This run's counts and the earlier ones', all at the age of this one."""
    run, earlier, age = about
    if age >= _WHOLE:
        totals = _by_run(statistics.counts(connection, run.workspace_id, run_ids, "provider", ("run_id",)))
        every = [measures_of(totals.get(one, ())) for one in run_ids]
    else:
        begun = [run.created_at, *(one.created_at for one in earlier)]
        every = [
            measures_of(own_history.counts_up_to(connection, one, (at + age) // HOUR))
            for one, at in zip(run_ids, begun, strict=True)
        ]
    return every[0], every[1:]


def _by_run(rows: Sequence[CountRow]) -> dict[int, list[CountRow]]:
    found: dict[int, list[CountRow]] = {}
    for row in rows:
        found.setdefault(row.run_id, []).append(row)
    return found


def _by_provider(
    connection: Connection, run: Run, earlier: Sequence[EndedRun], *, is_mature: bool
) -> dict[str, tuple[Compared, ...]]:
    ids = [run.id, *(one.id for one in earlier)]
    rows = statistics.counts(connection, run.workspace_id, ids, "provider", ("run_id", "value"))
    parts: dict[int, dict[str, list[CountRow]]] = {one: {} for one in ids}
    for row in rows:
        parts[row.run_id].setdefault(row.value, []).append(row)
    counted = [{name: measures_of(part) for name, part in parts[one].items()} for one in ids]
    largest = sorted(counted[0], key=lambda name: (-counted[0][name].settled, name))[:_MOST_PROVIDERS]
    now = {name: counted[0][name] for name in largest}
    found: dict[str, list[Compared]] = {name: [] for name in largest}
    for measure in Measure:
        for name, one in _compared_groups(measure, now, counted[1:], is_mature=is_mature).items():
            found[name].append(one)
    return {name: tuple(several) for name, several in found.items()}


def _compared_groups(
    measure: Measure, now: Mapping[str, Measures], earlier: Sequence[Mapping[str, Measures]], *, is_mature: bool
) -> dict[str, Compared]:
    def of(end: int) -> dict[str, Comparison]:
        return compare_by_group(
            {name: counted_of(measure, one)[end] for name, one in now.items()},
            [{name: counted_of(measure, one)[end] for name, one in several.items()} for several in earlier],
        )

    if measure.is_answer and not is_mature:
        return {name: _too_young(measure, one) for name, one in now.items()}
    low, high = of(0), of(1) if measure is Measure.OPEN else {}
    return {
        name: Compared(
            measure,
            low[name],
            tuple(counted_of(measure, one[name])[0].rate for one in earlier if name in one),
            high.get(name),
        )
        for name in now
    }


def _compared(now: Measures, earlier: Sequence[Measures]) -> tuple[Compared, ...]:
    found: list[Compared] = []
    for measure in Measure:
        low, high = counted_of(measure, now)
        others = [counted_of(measure, one) for one in earlier]
        at_most = compare_with_own(high, [one[1] for one in others]) if measure is Measure.OPEN else None
        rates = tuple(one[0].rate for one in others)
        found.append(Compared(measure, compare_with_own(low, [one[0] for one in others]), rates, at_most))
    return tuple(found)


def _in_segment(
    connection: Connection,
    about: tuple[Campaign, Run],
    earlier: Sequence[EndedRun],
    segment_id: int,
    now: Microseconds,
) -> CampaignComparison:
    """The same for those of the recipients who are in the segment now; as many earlier ones as may be gone over."""
    campaign, run = about
    segment = segments.get_segment(connection, run.workspace_id, segment_id)
    if segment is None:
        raise NotFoundError("segment")
    sizes = statistic_parts.count_recipients(connection, [run.id, *(one.id for one in earlier)])
    left, kept = MOST_LOOKED_AT - sizes.get(run.id, 0), list[EndedRun]()
    for one in reversed(earlier):
        left -= sizes.get(one.id, 0)
        if left >= 0:
            kept.insert(0, one)
    audience = segments.open_audience(connection, run.workspace_id, segment.node, name=segment.name)
    own, *others = [
        measures_of(segment_counts(connection, one, audience, now)) for one in (run.id, *(one.id for one in kept))
    ]
    compared = _compared(own, others)
    if now - run.created_at < MATURE:
        compared = tuple(_too_young(one.measure, own) if one.measure.is_answer else one for one in compared)
    return CampaignComparison(campaign, run, tuple(kept), None, compared, {}, segment)


def _too_young(measure: Measure, now: Measures) -> Compared:
    low, _ = counted_of(measure, now)
    cause = say(
        "Too early: what people do is compared here %(mature)s hours after the beginning.", mature=MATURE // HOUR
    )
    return Compared(measure, Comparison(Place.UNKNOWN, low.rate, None, None, None, 0, 0, cause), ())


def counted_of(measure: Measure, of: Measures) -> tuple[Counted, Counted]:
    """The counts of a measure, from at least to at most."""
    counts, delivered = of.counts, of.counts["delivered"]
    people = {Measure.OPEN: of.openers, Measure.CLICK: of.clickers}.get(measure)
    if people is not None:
        return _counted(people.human, delivered), _counted(people.human + people.probable, delivered)
    number, whole = {
        Measure.DELIVERY: (max(0, delivered - counts["bounced"]), of.settled),
        Measure.BOUNCE: (counts["failed"] + counts["expired"] + counts["bounced"], of.settled),
        Measure.COMPLAINT: (counts["complained"], delivered),
        Measure.UNSUBSCRIBE: (counts["unsubscribed"], delivered),
    }[measure]
    return _counted(number, whole), _counted(number, whole)


def _counted(number: int, whole: int) -> Counted:
    # What comes late may be counted where the delivery is not.
    return Counted(max(0, min(number, whole)), max(0, whole))
