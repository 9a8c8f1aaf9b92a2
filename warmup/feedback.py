"""What a provider's answers say about a ramp: rules as data (``feedback.toml``) over days of counts.

A rule looks at one measure over some days, and fires when the count leaves no doubt that the true rate has reached its
threshold. It lets go below a second, lower threshold; between the two nothing moves. What is not known (no Postmaster
figures, tracking off) is silent: it neither fires nor clears.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from mailtypes.bounce import BounceReason
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from warmup.bounds import lower_bound, surely_at_least

_LONGEST_RULES = 200_000  # characters of a rules file
_MOST_RULES = 200


class FeedbackRulesSyntaxError(InputSyntaxError):
    """A rules file that cannot be read; the message names the rule and the key."""


class Reputation(StrEnum):
    """What a provider's postmaster page says of a domain or address, in Google's words."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    BAD = "bad"


_REPUTATION_LOSS = {Reputation.HIGH: 0.0, Reputation.MEDIUM: 0.5, Reputation.LOW: 0.8, Reputation.BAD: 1.0}

BLOCK_REASONS = frozenset(
    {
        *(BounceReason.BLOCKED, BounceReason.REVERSE_DNS, BounceReason.AUTHENTICATION, BounceReason.POLICY),
        *(BounceReason.SPAM, BounceReason.SECURITY, BounceReason.SENDER_REJECTED),
    }
)
"""Refusals that are about the sender, for good; a rate limit is a deferral."""


@dataclass(frozen=True, slots=True)
class ProviderDay:
    """One day of one provider, in messages: what was sent, and what came back by the day on which it came.

    ``attempts`` counts answers, ``sent`` the messages taken, ``deferrals`` answers that put us off for our rate or
    reputation (not greylisting or a full mailbox), ``blocks`` refusals by reason. ``None`` is "not known".
    ``reported_spam_rate`` belongs to the day that it speaks of, however late it came. ``held_back``: messages that were
    never tried, since such deferrals had stopped us (:func:`held_back`); none of them is among the others.
    """

    day: date
    attempts: int = 0
    sent: int = 0
    deferrals: int = 0
    blocks: Mapping[BounceReason, int] = field(default_factory=dict)
    hard_bounces: int = 0
    complaints: int = 0
    reported_spam_rate: float | None = None
    reputation: Reputation | None = None
    dmarc_passed: int | None = None
    dmarc_failed: int | None = None
    engaged: int | None = None
    held_back: int = 0

    def __post_init__(self) -> None:
        counts = (self.attempts, self.sent, self.deferrals, self.hard_bounces, self.complaints, self.held_back)
        if min(*counts, *self.blocks.values()) < 0:
            raise ValueError(f"a negative count on {self.day}")

    @property
    def blocked(self) -> int:
        """Refusals that are about the sender."""
        return sum(count for reason, count in self.blocks.items() if reason in BLOCK_REASONS)


_STRAY = 3


def held_back(granted: int, answers: tuple[int, int], taken_back: int) -> int:
    """How many messages of a day were not tried since the provider had stopped us.

    ``granted`` is what the day's budget gave, ``answers`` the day's attempts and the deferrals among them,
    ``taken_back`` those that were granted, never tried, and are known to have waited for the provider: no more can be
    held back than the attempts have left over. A sender that stops at the first "not now" hears it a few times a day,
    however much it had to send; by answers alone it would look welcome. Fewer than three deferrals are stray, unless
    there was no answer at all since nothing could leave.
    """
    attempts, deferrals = answers
    if attempts and deferrals < _STRAY:
        return 0
    return max(0, min(taken_back, granted - attempts))


class Measure(StrEnum):
    """What a rule looks at; each is a share of the messages in brackets, or a figure that is taken as it is."""

    COMPLAINTS = "complaints"  # of those sent
    HARD_BOUNCES = "hard_bounces"  # of the attempts
    DEFERRALS = "deferrals"  # of the attempts, and of what was held back after deferrals
    BLOCKS = "blocks"  # of the attempts
    DMARC_FAILURES = "dmarc_failures"  # of those that the providers' reports speak of
    UNREAD = "unread"  # of those sent: neither opened nor clicked by a person
    REPORTED_SPAM_RATE = "reported_spam_rate"  # the provider's own figure, of those sent on the days it tells it for
    REPUTATION_LOSS = "reputation_loss"  # figure: 0 high, 0.5 medium, 0.8 low, 1 bad


_NAMES: Mapping[Measure, str] = {
    Measure.COMPLAINTS: say("complaints"),
    Measure.HARD_BOUNCES: say("hard bounces"),
    Measure.DEFERRALS: say("deferrals"),
    Measure.BLOCKS: say("blocks"),
    Measure.DMARC_FAILURES: say("dmarc failures"),
    Measure.UNREAD: say("unread"),
    Measure.REPORTED_SPAM_RATE: say("reported spam rate"),
    Measure.REPUTATION_LOSS: say("reputation loss"),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """A measure over some days: ``events`` of ``trials``, or a ``figure`` somebody else reckoned."""

    events: int = 0
    trials: int = 0
    figure: float | None = None

    @property
    def rate(self) -> float:
        """The plain rate; 0 where nothing was tried."""
        if self.figure is not None:
            return self.figure
        return min(1.0, self.events / self.trials) if self.trials else 0.0


class Action(StrEnum):
    """What becomes of a ramp, from good to grave."""

    ADVANCE = "advance"
    HOLD = "hold"
    STEP_BACK = "step_back"
    PAUSE = "pause"


_GRAVITY = {action: grade for grade, action in enumerate(Action)}


@dataclass(frozen=True, slots=True)
class Rule:
    """When to do what; the keys of ``feedback.toml`` are described there."""

    name: str
    measure: Measure
    at: float
    clear: float
    then: Action
    days: int = 1
    events: int = 1
    confidence: float = 0.0
    alarm: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.clear <= self.at <= 1.0 or self.at == 0.0:
            raise ValueError("'clear' and 'at' are shares of 1 above 0, and 'clear' is not above 'at'")
        if not 1 <= self.days <= 90 or self.events < 1 or not 0.0 <= self.confidence < 1.0:
            raise ValueError("'days' are 1 to 90, 'events' at least 1, 'confidence' is below 1")
        if self.then == Action.ADVANCE:
            raise ValueError("'then' is hold, step_back or pause")

    def fires(self, tally: Tally) -> bool:
        """Whether the tally leaves no doubt that the threshold is reached."""
        if tally.figure is not None or self.confidence == 0.0:
            return tally.rate >= self.at and (tally.figure is not None or tally.events >= self.events)
        events = min(tally.events, tally.trials)
        if events < self.events or tally.rate < self.at:
            return False
        return surely_at_least(events, tally.trials, self.at, self.confidence)

    def clears(self, tally: Tally) -> bool:
        """Whether there is nothing left to object to: below ``clear``, or too few events to say anything."""
        few = tally.figure is None and tally.events < self.events
        return few or tally.rate < self.clear


@dataclass(frozen=True, slots=True)
class Settle:
    """How calmly a ramp moves; the keys of ``feedback.toml`` are described there."""

    clean_days: int = 2
    most_clean_days: int = 14
    careful_days: int = 2
    used_share: float = 0.5
    step_back_factor: float = 0.5
    resume_factor: float = 0.25
    idle_days: int = 14
    forget_days: int = 30

    def __post_init__(self) -> None:
        if min(self.clean_days, self.careful_days, self.idle_days, self.forget_days) < 1:
            raise ValueError("days are at least 1")
        if self.most_clean_days < self.clean_days:
            raise ValueError("'most_clean_days' is below 'clean_days'")
        if not (0.0 < self.step_back_factor < 1.0 and 0.0 < self.resume_factor < 1.0 and 0.0 <= self.used_share <= 1.0):
            raise ValueError("factors lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class FeedbackRules:
    """All the rules and how calmly they are followed."""

    rules: tuple[Rule, ...]
    settle: Settle = Settle()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why: the rule that fired (or keeps from advancing), what was counted, and how sure the rule asks us to be."""

    rule: str
    measure: Measure
    tally: Tally
    threshold: float
    confidence: float
    first_day: date
    last_day: date
    fired: bool = True

    @property
    def surely(self) -> float:
        """The lower bound of the rate at ``confidence``; the figure itself where one was imported."""
        if self.tally.figure is not None:
            return self.tally.figure
        trials = self.tally.trials
        return lower_bound(min(self.tally.events, trials), trials, self.confidence) if self.confidence else 0.0

    def sentence(self) -> str:
        """The evidence in words."""
        verb = say("reached") if self.fired else say("not yet below")
        days = (
            say("on %(last_day)s", last_day=self.last_day)
            if self.first_day == self.last_day
            else say("from %(first_day)s to %(last_day)s", first_day=self.first_day, last_day=self.last_day)
        )
        name = _NAMES[self.measure]
        if self.tally.figure is not None:
            return say(
                "%(measure)s %(figure)s %(days)s: %(verb)s %(threshold)s (%(rule)s)",
                measure=name,
                figure=f"{self.tally.figure:.4g}",
                days=days,
                verb=verb,
                threshold=f"{self.threshold:.4g}",
                rule=self.rule,
            )
        counted = say(
            "%(events)s of %(trials)s, %(rate)s %%",
            events=f"{self.tally.events:,}",
            trials=f"{self.tally.trials:,}",
            rate=f"{100 * self.tally.rate:.2f}",
        )
        sure = (
            say(", surely at least %(surely)s %%", surely=f"{100 * self.surely:.2f}")
            if self.fired and self.confidence
            else ""
        )
        return say(
            "%(measure)s %(counted)s%(sure)s %(days)s: %(verb)s %(threshold)s %% (%(rule)s)",
            measure=name,
            counted=counted,
            sure=sure,
            days=days,
            verb=verb,
            threshold=f"{100 * self.threshold:.3g}",
            rule=self.rule,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the days say. ``objections`` fired, the gravest first; ``lingering`` have not let go.

    ``unknown`` could not be looked at.
    """

    action: Action
    alarm: bool
    objections: tuple[Evidence, ...]
    lingering: tuple[Evidence, ...]
    unknown: tuple[Measure, ...]

    @property
    def clean(self) -> bool:
        """Whether nobody objects, and every former objection has let go."""
        return not self.objections and not self.lingering


def judge(rules: FeedbackRules, days: Sequence[ProviderDay], held_by: frozenset[str] = frozenset()) -> Judgement:
    """Hold ``days`` (in order, the last is judged) against the rules; ``held_by`` names rules that fired before.

    ``days`` begins after the last step down: what has led to one is spent and does not count twice.
    """
    objections: list[tuple[int, Evidence]] = []
    lingering, alarm, action = [], False, Action.ADVANCE
    unknown: dict[Measure, None] = {}
    for rule in rules.rules:
        span = days[-rule.days :]
        tally = tallied(rule.measure, span)
        if tally is None:
            unknown[rule.measure] = None
        elif rule.fires(tally):
            objections.append((_GRAVITY[rule.then], _evidence(rule, tally, span, fired=True)))
            alarm = alarm or rule.alarm or rule.then == Action.PAUSE
            action = max(action, rule.then, key=_GRAVITY.__getitem__)
        elif rule.name in held_by and not rule.clears(tally):
            lingering.append(_evidence(rule, tally, span, fired=False))
            action = max(action, Action.HOLD, key=_GRAVITY.__getitem__)
    # Whoever reads but the first of them, as a paused ramp's note has it, reads what it was paused for.
    objections.sort(key=lambda one: -one[0])
    return Judgement(action, alarm, tuple(one for _, one in objections), tuple(lingering), tuple(unknown))


def _evidence(rule: Rule, tally: Tally, span: Sequence[ProviderDay], *, fired: bool) -> Evidence:
    threshold = rule.at if fired else rule.clear
    return Evidence(rule.name, rule.measure, tally, threshold, rule.confidence, span[0].day, span[-1].day, fired)


def tallied(measure: Measure, days: Sequence[ProviderDay]) -> Tally | None:
    """The measure over ``days``; ``None`` where it is not known."""
    return _TALLIES[measure](days) if days else None


def _counted(
    events: Callable[[ProviderDay], int], trials: Callable[[ProviderDay], int]
) -> Callable[[Sequence[ProviderDay]], Tally | None]:
    return lambda days: Tally(sum(map(events, days)), sum(map(trials, days)))


def _dmarc(days: Sequence[ProviderDay]) -> Tally | None:
    known = [(one.dmarc_failed, one.dmarc_passed or 0) for one in days if one.dmarc_failed is not None]
    failed = sum(failures for failures, _ in known)
    return Tally(failed, failed + sum(passed for _, passed in known)) if known else None


def _unread(days: Sequence[ProviderDay]) -> Tally | None:
    if any(one.engaged is None for one in days):
        return None
    sent = sum(one.sent for one in days)
    return Tally(max(0, sent - sum(one.engaged or 0 for one in days)), sent)


def _reported(days: Sequence[ProviderDay]) -> Tally | None:
    told = [(one.reported_spam_rate, one.sent) for one in days if one.reported_spam_rate is not None]
    return Tally(sum(round(rate * sent) for rate, sent in told), sum(sent for _, sent in told)) if told else None


def _last_figure(figure: Callable[[ProviderDay], float | None]) -> Callable[[Sequence[ProviderDay]], Tally | None]:
    def last(days: Sequence[ProviderDay]) -> Tally | None:
        told = [value for one in days if (value := figure(one)) is not None]
        return Tally(figure=told[-1]) if told else None

    return last


def _loss(one: ProviderDay) -> float | None:
    return None if one.reputation is None else _REPUTATION_LOSS[one.reputation]


_TALLIES: dict[Measure, Callable[[Sequence[ProviderDay]], Tally | None]] = {
    Measure.COMPLAINTS: _counted(lambda one: one.complaints, lambda one: one.sent),
    Measure.HARD_BOUNCES: _counted(lambda one: one.hard_bounces, lambda one: one.attempts),
    Measure.DEFERRALS: _counted(lambda one: one.deferrals + one.held_back, lambda one: one.attempts + one.held_back),
    Measure.BLOCKS: _counted(lambda one: one.blocked, lambda one: one.attempts),
    Measure.DMARC_FAILURES: _dmarc,
    Measure.UNREAD: _unread,
    Measure.REPORTED_SPAM_RATE: _reported,
    Measure.REPUTATION_LOSS: _last_figure(_loss),
}


@cache
def default_rules() -> FeedbackRules:
    """The built-in rules."""
    return read_rules(files("warmup").joinpath("feedback.toml").read_text("utf-8"))


def read_rules(text: str) -> FeedbackRules:
    """Rules from TOML as in ``feedback.toml``; raises ``FeedbackRulesSyntaxError``."""
    if len(text) > _LONGEST_RULES:
        raise FeedbackRulesSyntaxError("the rules are too long", next_step=f"Keep to {_LONGEST_RULES:,} characters.")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FeedbackRulesSyntaxError(f"not TOML: {error}", source=text, next_step="Mend the place named.") from None
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not tables or len(tables) > _MOST_RULES or set(document) - {"rule", "settle"}:
        raise FeedbackRulesSyntaxError(
            f"a file has 1 to {_MOST_RULES} [[rule]] and at most one [settle]", next_step="See warmup/feedback.toml."
        )
    rules = tuple(_read_table(Rule, table, f"rule {number}") for number, table in enumerate(tables, start=1))
    if len({rule.name for rule in rules}) != len(rules):
        raise FeedbackRulesSyntaxError("two rules have the same name", next_step="Give each rule a name of its own.")
    return FeedbackRules(rules, _read_table(Settle, document.get("settle", {}), "settle"))


def _read_table(kind: Callable[..., Any], table: object, place: str) -> Any:
    known = {one.name: one.type for one in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(table, dict) or (strange := sorted(set(table) - set(known))):
        what = f"unknown key '{strange[0]}'" if isinstance(table, dict) else "no table"
        raise FeedbackRulesSyntaxError(f"{place}: {what}", next_step=f"Known are {', '.join(known)}.")
    place = f"{place} ({table['name']})" if "name" in table else place
    try:
        return kind(**{key: _value(known[key], value) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise FeedbackRulesSyntaxError(f"{place}: {error}", next_step="See warmup/feedback.toml.") from None


def _value(kind: object, value: object) -> object:
    """``value`` as the field wants it; a whole number may stand where a share is meant."""
    for words in (Measure, Action):
        if kind is words:
            return words(str(value))
    wanted: tuple[type, ...] = (int, float) if kind is float else (kind,)  # type: ignore[assignment]
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{value!r} is of the wrong kind")
    return value
