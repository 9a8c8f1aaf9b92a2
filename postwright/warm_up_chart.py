"""The warm-up chart: planned, allowed, sent, put off and refused by day, with the decisions marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mailtypes.saying import joined, say
from postwright.charts import Bars, ChartSpec, Line, Mark, Series, Theme, Tone
from warmup.feedback import Action
from warmup.plans import RampPlan
from warmup.ramp import Cause, Decision


@dataclass(frozen=True, slots=True)
class ChartDay:
    """One day, in messages; ``allowed`` is ``None`` without a limit."""

    day: date
    planned: int | None
    allowed: int | None
    sent: int
    deferred: int
    blocked: int


@dataclass(frozen=True, slots=True)
class ChartLook:
    """How it is to look; ``zone`` names the calendar of the days."""

    title: str
    zone: str
    theme: Theme = Theme.LIGHT
    note: str = ""


_MARKED: dict[Action, tuple[str, Tone]] = {
    Action.HOLD: (say("hold"), Tone.ATTENTION),
    Action.STEP_BACK: (say("back"), Tone.SECOND),
    Action.PAUSE: (say("pause"), Tone.BAD),
    Action.ADVANCE: (say("set"), Tone.MUTED),
}


def warm_up_chart(days: Sequence[ChartDay], decisions: Sequence[Decision], look: ChartLook) -> ChartSpec:
    """The chart of ``days``; of several decisions on one day the gravest is marked."""
    when = [one.day for one in days]
    series: list[Series] = [
        Line(say("planned"), when, [one.planned for one in days], Tone.PLANNED, dashed=True),
        Line(say("allowed"), when, [one.allowed for one in days], Tone.GOOD, steps=True),
        Bars(say("sent"), when, [one.sent for one in days], Tone.ACTUAL),
        Bars(say("put off"), when, [one.deferred for one in days], Tone.ATTENTION, on=say("sent")),
        Bars(say("refused"), when, [one.blocked for one in days], Tone.BAD, on=say("put off")),
    ]
    shown = [one for one in series if not isinstance(one, Line) or any(value is not None for value in one.y)]
    return ChartSpec(
        look.title,
        shown,
        x_unit=say("day (%(zone)s)", zone=look.zone),
        y_unit=say("messages a day"),
        marks=_marks(decisions),
        note=look.note,
        theme=look.theme,
        description=_described(days, decisions),
    )


def _marks(decisions: Sequence[Decision]) -> list[Mark]:
    grades = list(Action)
    gravest: dict[date, Decision] = {}
    for one in decisions:
        if one.day not in gravest or grades.index(one.action) > grades.index(gravest[one.day].action):
            gravest[one.day] = one
    return [Mark(day, *_marked(one)) for day, one in sorted(gravest.items())]


def _marked(decision: Decision) -> tuple[str, Tone]:
    if decision.cause == Cause.OVERRIDE and decision.action == Action.HOLD:
        return say("resume"), Tone.MUTED
    if decision.cause == Cause.OVERRIDE and decision.action == Action.ADVANCE and decision.from_level == 0:
        return say("start"), Tone.MUTED
    return _MARKED[decision.action]


def _described(days: Sequence[ChartDay], decisions: Sequence[Decision]) -> str:
    sums = say(
        "%(days)s days, %(sent)s messages sent, %(refused)s put off or refused.",
        days=len(days),
        sent=f"{sum(one.sent for one in days):,}",
        refused=f"{sum(one.deferred + one.blocked for one in days):,}",
    )
    return joined([sums, *(one.sentence() for one in decisions[:20])], " ")


def plans_chart(plans: Sequence[RampPlan], days: int, volume: int | None, theme: Theme = Theme.LIGHT) -> ChartSpec:
    """The caps of up to six ``plans`` side by side, on a logarithmic scale, up to ``volume`` a day."""
    tones = (Tone.ACTUAL, Tone.SECOND, Tone.GOOD, Tone.THIRD, Tone.BAD, Tone.MUTED)
    lines = []
    for plan, tone in zip(plans, tones, strict=False):
        caps = [cap for day in range(1, days + 1) if (cap := plan.cap_on(day)) is not None]
        shown = caps if volume is None else [cap for cap in caps if cap < volume] + [volume] * (caps[-1] >= volume)
        lines.append(Line(plan.name, list(range(1, len(shown) + 1)), shown, tone))
    title = "Published warm-up schedules" if volume is None else f"Warm-up schedules up to {volume:,} a day"
    return ChartSpec(
        title, lines, x_unit="day of the warm-up", y_unit="messages a day (logarithmic)", theme=theme, logarithmic=True
    )
