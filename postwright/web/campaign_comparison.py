"""A campaign among one's own last ones, and hours of sending compared, in the words and charts of their pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.comparison import MIN_EARLIER, Place
from postwright.chart_spec import Bars, ChartSpec, Intervals, Line, Theme, Tone
from postwright.services.comparison import CampaignComparison, Compared, Measure
from postwright.services.sending_hours import HourMetric, SendingHours
from postwright.web import formats
from postwright.web import words as words_of
from postwright.web.language import N_, Texts, gettext

_NAMES = Texts(
    {
        Measure.DELIVERY: N_("Delivered"),
        Measure.BOUNCE: N_("Bounced"),
        Measure.COMPLAINT: N_("Complaints"),
        Measure.UNSUBSCRIBE: N_("Unsubscribed"),
        Measure.OPEN: N_("Opened"),
        Measure.CLICK: N_("Clicked, surely people"),
    }
)
_PLACES = Texts(
    {
        Place.BELOW: N_("lower than usual"),
        Place.WITHIN: N_("as usual"),
        Place.ABOVE: N_("higher than usual"),
        Place.UNKNOWN: N_("cannot be told"),
    }
)
_WIDTH = 960


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """A line of the table: texts, and the tone of the verdict."""

    name: str
    rate: str
    usual: str
    among: str
    place: str
    tone: words_of.Tone
    cause: str


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider with a line for each measure."""

    name: str
    measures: Sequence[MeasureRow]


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """A campaign that is compared with, and its clicks."""

    name: str
    began_at: int
    clicked: str


@dataclass(frozen=True, slots=True)
class ShownComparison:
    """What the section shows."""

    verdict: str
    tone: words_of.Tone
    age: str
    rows: Sequence[MeasureRow]
    providers: Sequence[ProviderRow]
    has_chart: bool
    earlier: Sequence[EarlierRow] = ()


def shown_comparison(found: CampaignComparison) -> ShownComparison:
    """The section of the report."""
    rows = [_row(one) for one in found.measures]
    verdict, tone = _verdict(found, rows)
    age = ""
    if found.hours is not None:
        age = gettext("All are counted as they stood %(hours)s hours after their beginning.", hours=found.hours)
    providers = [
        ProviderRow(name or gettext("not known"), [_row(one) for one in several])
        for name, several in found.by_provider.items()
    ]
    (click,) = [one for one in found.measures if one.measure is Measure.CLICK]
    earlier = [
        EarlierRow(run.campaign, run.created_at, percent(rate))
        for run, rate in zip(found.earlier, click.earlier, strict=False)
    ]
    return ShownComparison(verdict, tone, age, rows, providers, len(found.earlier) >= MIN_EARLIER, earlier)


def _verdict(found: CampaignComparison, rows: Sequence[MeasureRow]) -> tuple[str, words_of.Tone]:
    if len(found.earlier) < MIN_EARLIER:
        sentence = gettext(
            "Too few earlier campaigns to say: five with 50 recipients or more are needed, there are %(number)s.",
            number=len(found.earlier),
        )
        return sentence, words_of.Tone.UNKNOWN
    outside = [row for row in rows if row.tone in (words_of.Tone.GOOD, words_of.Tone.ATTENTION)]
    if outside:
        told = "; ".join(f"{row.name}: {row.place}" for row in outside)
        is_worse = any(row.tone is words_of.Tone.ATTENTION for row in outside)
        return told, words_of.Tone.ATTENTION if is_worse else words_of.Tone.GOOD
    if all(one.place is Place.UNKNOWN for one in found.measures):
        return gettext("Too little is known to compare it yet."), words_of.Tone.UNKNOWN
    return gettext("Nothing lies outside of what is usual for you."), words_of.Tone.QUIET


def _row(one: Compared) -> MeasureRow:
    found = one.found
    usual = "–" if found.low is None or found.high is None else _span(found.low, found.high)
    among = "–"
    if found.among:
        among = gettext("higher than %(number)s of %(among)s", number=found.higher_than, among=found.among)
    rate = percent(found.rate) if one.at_most is None else _span(found.rate, one.at_most.rate)
    return MeasureRow(_NAMES[one.measure], rate, usual, among, _PLACES[one.place], _tone(one), _cause(one))


def _tone(one: Compared) -> words_of.Tone:
    if one.place is Place.UNKNOWN:
        return words_of.Tone.UNKNOWN
    if one.place is Place.WITHIN:
        return words_of.Tone.QUIET
    is_better = (one.place is Place.ABOVE) == one.measure.is_better_high
    return words_of.Tone.GOOD if is_better else words_of.Tone.ATTENTION


def _cause(one: Compared) -> str:
    if one.place is not Place.UNKNOWN:
        return ""
    if one.at_most is not None and Place.UNKNOWN not in (one.found.place, one.at_most.place):
        return gettext("It depends on those of whom nobody can know whether they are people.")
    return gettext("Too little is known: too few recipients, too few campaigns, or too early.")


def percent(rate: float) -> str:
    """A rate, as the report writes it."""
    return f"{100 * rate:.2f} %"


def _span(low: float, high: float) -> str:
    return percent(low) if low == high else f"{100 * low:.2f} – {100 * high:.2f} %"


def own_chart(found: CampaignComparison, theme: Theme) -> ChartSpec | None:
    """Clicks of the last ones and of this one, with what is usual; ``None`` where there are too few."""
    (click,) = [one for one in found.measures if one.measure is Measure.CLICK]
    if len(click.earlier) < MIN_EARLIER:
        return None
    days = _days([one.created_at for one in found.earlier])
    this = gettext("this one")
    series: list[Bars | Line | Intervals] = [
        Bars(gettext("earlier"), days, list(click.earlier), Tone.MUTED),
        Bars(this, [this], [click.found.rate], Tone.ACTUAL),
    ]
    if click.found.usual is not None and click.found.low is not None and click.found.high is not None:
        usual = gettext("usual")
        series.append(
            Intervals(usual, [usual], [click.found.usual], [click.found.low], [click.found.high], Tone.SECOND)
        )
    title, unit = gettext("Clicks by people, against your last campaigns"), gettext("of all delivered")
    return ChartSpec(title, series, "", unit, theme=theme, size=(_WIDTH, 320), percent=True)


def _days(moments: Sequence[int]) -> list[str]:
    """A label for each, no two the same."""
    found: list[str] = []
    for moment in moments:
        day = name = formats.short_day(moment)
        for number in range(2, len(moments) + 2):
            if name not in found:
                break
            name = f"{day} ({number})"
        found.append(name)
    return found


def hours_chart(found: SendingHours, theme: Theme) -> ChartSpec | None:
    """The rate of each hour with its interval."""
    hours = found.found.hours
    if not hours:
        return None
    is_click = found.wanted.metric is HourMetric.CLICK
    title = gettext("Clicks by hour of sending") if is_click else gettext("Opens by hour of sending")
    one = Intervals(
        gettext("95 of 100"),
        [f"{hour.hour}:00" for hour in hours],
        [hour.rate for hour in hours],
        [hour.low for hour in hours],
        [hour.high for hour in hours],
    )
    unit = gettext("of all delivered, surely people")
    return ChartSpec(title, [one], found.wanted.zone, unit, theme=theme, size=(_WIDTH, 320), percent=True)
