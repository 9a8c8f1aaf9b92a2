"""A warm-up's days as rows and as a chart: what was allowed, sent, put off and refused, with the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from mailtypes.saying import say
from postwright.chart_spec import ChartSpec, Theme
from postwright.services.errors import RefusedError
from postwright.services.warm_up_days import as_day
from postwright.services.warm_ups import WarmUpHistory, WarmUpStatus
from postwright.warm_up_chart import ChartDay, ChartLook, warm_up_chart
from warmup.documents import read_decision
from warmup.feedback import Action
from warmup.ramp import Cause, Phase

_TURNS = frozenset({Action.STEP_BACK, Action.PAUSE})


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day, in messages; ``allowed`` is ``None`` without a limit. ``decisions`` were made about it, in words."""

    day: date
    allowed: int | None
    sent: int
    deferred: int
    blocked: int
    hard_bounces: int
    complaints: int
    decisions: tuple[str, ...]


def day_rows(history: WarmUpHistory, provider: str | None, today: date) -> list[DayRow]:
    """Every day from the first with anything to ``today``, of one provider or of all."""
    documents = list(history.documents(provider))
    counted = {
        name: {one.day: as_day(one.day, one) for one in days}
        for name, days in history.days.items()
        if provider in (None, name)
    }
    known = [day for days in counted.values() for day in days] + [_day(one) for one in documents]
    if not known:
        return []
    first = min(known)
    rows = []
    for day in (first + timedelta(ahead) for ahead in range((today - first).days + 1)):
        on_day = [days[day] for days in counted.values() if day in days]
        rows.append(
            DayRow(
                day,
                _allowed(documents, day),
                sum(one.sent for one in on_day),
                sum(one.deferrals for one in on_day),
                sum(one.blocked for one in on_day),
                sum(one.hard_bounces for one in on_day),
                sum(one.complaints for one in on_day),
                tuple(read_decision(one).sentence() for one in documents if _day(one) == day),
            )
        )
    return rows


def _day(document: dict[str, Any]) -> date:
    return date.fromisoformat(str(document["day"]))


def _allowed(documents: Sequence[dict[str, Any]], day: date) -> int | None:
    """The cap that held on ``day``: a person's word counts at once, a day's judgement from the next day on."""
    caps: dict[str, int | None] = {}
    for one in documents:
        decided, by_hand = _day(one), one["cause"] == Cause.OVERRIDE.value
        if decided < day or (decided == day and by_hand):
            caps[one["provider"]] = 0 if one["phase"] == Phase.PAUSED.value else one["to_cap"]
    known = [cap for cap in caps.values() if cap is not None]
    return None if len(known) < len(caps) else sum(known)


def history_chart(
    found: WarmUpStatus, history: WarmUpHistory, provider: str | None, theme: Theme, today: date
) -> ChartSpec:
    """The chart of one provider, or of all; over all of them only falls and pauses are marked.

    ``RefusedError`` before the first mail.
    """
    days = [
        ChartDay(row.day, None, row.allowed, row.sent, row.deferred, row.blocked)
        for row in day_rows(history, provider, today)
    ]
    if not days:
        sentence = say("%(name)s: there is nothing to draw yet.", name=found.warm_up.name)
        raise RefusedError("no_days", sentence, next_step=say("A ramp begins with the first mail to a provider."))
    decisions = [read_decision(one) for one in history.documents(provider)]
    marked = [one for one in decisions if provider is not None or one.action in _TURNS]
    who = provider or say("all providers")
    note = say("%(who)s; put off: for our rate or reputation. Refused: for who we are.", who=who)
    look = ChartLook(say("Warm-up of %(name)s", name=found.warm_up.name), found.plan.rhythm.zone, theme, note)
    return warm_up_chart(days, marked, look)
