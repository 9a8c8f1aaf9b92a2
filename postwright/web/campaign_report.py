"""What a campaign's report shows, from the counts: rows for tables and specifications of its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

from babel.dates import format_datetime

from postwright.chart_spec import Band, Bars, ChartSpec, Line, Series, Theme, Tone
from postwright.services.statistics import StatisticRow, StatisticTable
from postwright.web.language import gettext, speech
from postwright.web.words import REASONS

_MOST_ROWS = 12
_MOST_HOURS, _FEWEST_HOURS = 240, 2  # one hour is a number, not a course
_WIDTH = 960
_MOST_CHANGES = 2


@dataclass(frozen=True, slots=True)
class Reported:
    """The counts of a run: as a whole, by hour, provider, link and variant; by sender where there are several."""

    total: StatisticTable
    hours: StatisticTable
    providers: StatisticTable
    links: StatisticTable
    variants: StatisticTable
    senders: StatisticTable | None = None

    @property
    def reasons(self) -> Sequence[tuple[str, int]]:
        """Why mail was refused for good, the commonest first."""
        found: Mapping[str, int] = self.total.rows[0].measures.reasons if self.total.rows else {}
        ordered = sorted(found.items(), key=lambda item: -item[1])
        return [(REASONS.get(reason, reason), number) for reason, number in ordered]


def chart_of(name: str, reported: Reported, theme: Theme) -> ChartSpec | None:
    """The chart of that name; ``None`` where there is nothing to show, or no such chart."""
    makers = {"hours": _hours, "answers": _answers, "providers": _providers, "links": _links, "reasons": _reasons}
    return makers[name](reported, theme) if name in makers else None


def _hours(reported: Reported, theme: Theme) -> ChartSpec | None:
    rows = reported.hours.rows[-_MOST_HOURS:]
    if len(rows) < _FEWEST_HOURS:
        return None
    moments = [_moment(row.key) for row in rows]
    counts = [row.measures.counts for row in rows]
    series: list[Series] = [
        Bars(gettext("delivered"), moments, [float(one["delivered"]) for one in counts], Tone.ACTUAL),
        Line(gettext("deferred"), moments, [float(one["deferred"]) for one in counts], Tone.ATTENTION),
    ]
    title, note = gettext("Deliveries by hour"), _clock_changes(moments)
    return ChartSpec(title, series, speech().zone, gettext("recipients"), note=note, theme=theme, size=(_WIDTH, 320))


def _answers(reported: Reported, theme: Theme) -> ChartSpec | None:
    """Opens are known in bounds alone: surely people, up to surely or perhaps people."""
    rows = reported.hours.rows[-_MOST_HOURS:]
    if len(rows) < _FEWEST_HOURS:
        return None
    moments = [_moment(row.key) for row in rows]
    surely = list(accumulate(float(row.measures.openers.human) for row in rows))
    perhaps = list(accumulate(float(row.measures.openers.human + row.measures.openers.probable) for row in rows))
    clicked = list(accumulate(float(row.measures.clickers.human) for row in rows))
    series: list[Series] = [
        Band(gettext("opened: at least, at most"), moments, surely, perhaps, Tone.SECOND),
        Line(gettext("clicked, at least"), moments, clicked, Tone.GOOD),
    ]
    title, note = gettext("Opens and clicks by people, added up"), _clock_changes(moments)
    return ChartSpec(title, series, speech().zone, gettext("recipients"), note=note, theme=theme, size=(_WIDTH, 320))


def _providers(reported: Reported, theme: Theme) -> ChartSpec | None:
    rows = sorted(reported.providers.rows, key=lambda row: -row.measures.settled)[:_MOST_ROWS]
    if not rows:
        return None
    names = [row.label or row.key for row in rows]
    delivered = [float(row.measures.counts["delivered"]) for row in rows]
    failed = [float(row.measures.counts["failed"] + row.measures.counts["expired"]) for row in rows]
    bars = [
        Bars(gettext("delivered"), names, delivered, Tone.GOOD, horizontal=True),
        Bars(gettext("failed"), names, failed, Tone.BAD, on=gettext("delivered"), horizontal=True),
    ]
    size = (_WIDTH, 160 + 32 * len(rows))
    return ChartSpec(gettext("Delivery by provider"), bars, y_unit=gettext("recipients"), theme=theme, size=size)


def _links(reported: Reported, theme: Theme) -> ChartSpec | None:
    rows = sorted(reported.links.rows, key=_clicks, reverse=True)[:_MOST_ROWS]
    if not rows:
        return None
    names = [_short(row.label or row.key) for row in rows]
    bars = [Bars(gettext("people, surely or perhaps"), names, [_clicks(row) for row in rows], horizontal=True)]
    size = (_WIDTH, 140 + 32 * len(rows))
    return ChartSpec(gettext("Clicks by link"), bars, y_unit=gettext("recipients"), theme=theme, size=size)


def _reasons(reported: Reported, theme: Theme) -> ChartSpec | None:
    rows = reported.reasons[:_MOST_ROWS]
    if not rows:
        return None
    bars = [
        Bars(
            gettext("refused"),
            [_short(name) for name, _ in rows],
            [float(number) for _, number in rows],
            Tone.BAD,
            horizontal=True,
        )
    ]
    size = (_WIDTH, 140 + 32 * len(rows))
    return ChartSpec(gettext("Refusals by reason"), bars, y_unit=gettext("recipients"), theme=theme, size=size)


def _clicks(row: StatisticRow) -> float:
    return float(row.measures.clickers.human + row.measures.clickers.probable)


def _short(text: str) -> str:
    return text if len(text) <= 48 else text[:30] + "…" + text[-17:]


def _moment(key: str) -> datetime:
    """An hour as statistics name it, in the zone of the page."""
    return datetime.fromisoformat(key).replace(tzinfo=UTC).astimezone(speech().tzinfo)


def hour_in_zone(key: str) -> str:
    """An hour as statistics name it, as the reader's clock shows it; with its offset where that shows it twice."""
    moment = _moment(key)
    shown: str = format_datetime(moment, "d MMM y, HH:mm", locale=speech().locale)
    if moment.replace(fold=0).utcoffset() == moment.replace(fold=1).utcoffset():
        return shown
    return f"{shown} ({moment.isoformat()[-6:]})"


def _clock_changes(moments: Sequence[datetime]) -> str:
    """Which hours come twice or not at all, where the clock is set back or forward between the first and the last."""
    told = []
    for before, after in pairwise(moments):
        if before.utcoffset() != after.utcoffset():
            told.append(_clock_change(before, after))
    return " ".join(told[:_MOST_CHANGES])


def _clock_change(before: datetime, after: datetime) -> str:
    """The one change between two moments of different offsets, found by halving."""
    low, high, zone = before.astimezone(UTC), after.astimezone(UTC), before.tzinfo
    while high - low > timedelta(minutes=30):
        middle = low + (high - low) / 2
        middle -= timedelta(seconds=middle.timestamp() % 1800)  # no clock changes but on the half hour
        if middle.astimezone(zone).utcoffset() == before.utcoffset():
            low = middle
        else:
            high = middle
    clock = (high + (before.utcoffset() or timedelta())).strftime("%H:%M")
    changed = high.astimezone(zone)
    words = {"day": format_datetime(changed, "d MMM", locale=speech().locale), "before": clock}
    words["after"] = changed.strftime("%H:%M")
    if (changed.utcoffset() or timedelta()) < (before.utcoffset() or timedelta()):
        return gettext(
            "On %(day)s the clock goes back from %(before)s to %(after)s: the time between comes twice.", **words
        )
    return gettext("On %(day)s the clock goes on from %(before)s to %(after)s: there is no time between.", **words)
