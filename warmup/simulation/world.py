"""One run: a sender, a policy and providers of a temper, day by day in virtual time."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from mailtypes.bounce import BounceReason
from warmup.feedback import ProviderDay
from warmup.ramp import Decision
from warmup.simulation.policies import Policy, PolicyChoice
from warmup.simulation.providers import Answered, Offered, ProviderModel
from warmup.simulation.senders import MIX, Sender
from warmup.simulation.tempers import Tells, Temper

BEGINS = date(2026, 1, 1)
_LOOKS_BACK = 12  # days; more than any built-in rule asks for
_POSTMASTER_LAG = 2
_POSTMASTER_FROM = 300  # messages a day; below it the page shows nothing
_IMPORT_DAYS = (6, 25)
_LIST_DAYS = 5  # the list is so many days' volume: everybody gets a mail in five days
_OVERSHOOT, _PROBES = 1.2, 50  # of a mail system that backs off
_FULL_SHARE, _FULL_DAYS = 0.9, 3


@dataclass(frozen=True, slots=True)
class Scenario:
    """``volume`` messages are wanted every day for ``days`` days; ``jitter`` is how far tempers vary by seed.

    ``backs_off``: the mail system stops for the day when a fifth more than what is taken was put off, and in a block
    after a few tries, as a shaping one does; else all that the policy allows is offered.
    """

    temper_name: str
    temper: Temper
    sender: Sender
    volume: int = 50_000
    days: int = 60
    jitter: float = 0.3
    backs_off: bool = False
    mix: Mapping[str, float] = field(default_factory=lambda: MIX)

    def __post_init__(self) -> None:
        if not 1 <= self.days <= 730 or not 1 <= self.volume <= 100_000_000:
            raise ValueError("a simulation has 1 to 730 days, and 1 to 100,000,000 messages a day")


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One day of one provider, in messages. ``planned`` is the table by the calendar, at most what is wanted.

    ``allowed`` is at most what was there to be sent, ``None`` without a limit.
    """

    day: date
    provider: str
    wanted: int
    planned: int
    allowed: int | None
    offered: int
    answered: Answered


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run. ``days_to_full``: the first of three days in a row with nine tenths of the volume; ``None`` for never.

    ``delivered_share`` is of all that was wanted, ``refused_share`` (put off or blocked) and ``inbox_share`` of what
    was offered; ``block_days`` are counted for each provider.
    """

    policy: str
    temper: str
    sender: str
    seed: int
    delivered_share: float
    refused_share: float
    inbox_share: float
    days_to_full: int | None
    block_days: int
    records: tuple[DayRecord, ...] = ()
    decisions: tuple[Decision, ...] = ()


def simulate(scenario: Scenario, choice: PolicyChoice, seed: int) -> Outcome:
    """The run of ``seed``; every policy meets the same providers with the same seed."""
    records: list[DayRecord] = []
    decisions: list[Decision] = []
    for provider, share in scenario.mix.items():
        house = _House(scenario, provider, max(1, round(scenario.volume * share)), seed)
        policy = choice.make(BEGINS, provider)
        records += house.live(policy, choice)
        decisions += policy.decisions
    return _summed(scenario, choice.name, seed, records, decisions)


class _House:
    """One provider's part of a run; chance depends on the seed and the provider alone."""

    def __init__(self, scenario: Scenario, provider: str, wanted: int, seed: int) -> None:
        self._scenario = scenario
        self._provider = provider
        self._wanted = wanted
        # A string as seed is hashed by Random itself (SHA-512), the same in every process.
        terms = Random(f"{seed}/{provider}/terms")  # noqa: S311 - a simulation
        self._import_day = Random(f"{seed}/import").randint(*_IMPORT_DAYS)  # noqa: S311
        self._temper = scenario.temper.jittered(terms, scenario.jitter)
        self._model = ProviderModel(self._temper, Random(f"{seed}/{provider}/days"))  # noqa: S311
        self._history: deque[tuple[ProviderDay, Answered]] = deque(maxlen=_LOOKS_BACK)

    def live(self, policy: Policy, choice: PolicyChoice) -> Iterator[DayRecord]:
        carried = bounced = 0
        for number in range(self._scenario.days):
            day = BEGINS + timedelta(days=number)
            cap = policy.allowed(day)
            offered = self._wanted + carried if cap is None else min(cap, self._wanted + carried)
            if self._scenario.backs_off:
                offered = min(offered, _PROBES if self._model.blocked else round(_OVERSHOOT * self._model.tolerated))
            depth = min(1.0, offered / self._wanted)
            bad, complaints = self._scenario.sender.on(number + 1 - self._import_day, depth, self._left(bounced))
            answered = self._model.receive(Offered(offered, bad, complaints))
            planned = choice.ramp.cap_on(number + 1)
            yield DayRecord(
                day,
                self._provider,
                self._wanted,
                self._wanted if planned is None else min(planned, self._wanted),
                None if cap is None else min(cap, self._wanted + carried),
                offered,
                answered,
            )
            policy.learn(self._as_told(day, offered, answered))
            bounced += answered.hard_bounces
            # What was put off is tried once more on the next day, then its 48 hours are over.
            carried = min(answered.deferred, max(0, offered - carried))

    def _left(self, bounced: int) -> float:
        bad = self._scenario.sender.bad_addresses * self._wanted * _LIST_DAYS
        return max(0.0, 1.0 - bounced / bad) if bad else 0.0

    def _as_told(self, day: date, offered: int, answered: Answered) -> list[ProviderDay]:
        """What the sender knows by the end of ``day``: complaints a day later, the postmaster's rate after two."""
        tells, complaints = self._temper.tells, 0
        if tells == Tells.FEEDBACK_LOOP and self._history:
            complaints = self._history[-1][1].complaints
        told = ProviderDay(
            day,
            attempts=offered,
            sent=answered.delivered,
            deferrals=answered.deferred,
            blocks={BounceReason.BLOCKED: answered.blocked} if answered.blocked else {},
            hard_bounces=answered.hard_bounces,
            complaints=complaints,
        )
        self._history.append((told, answered))
        if tells == Tells.POSTMASTER and len(self._history) > _POSTMASTER_LAG:
            told, then = self._history[-1 - _POSTMASTER_LAG]
            if then.inboxed >= _POSTMASTER_FROM:
                figure = replace(told, reported_spam_rate=then.complaints / then.inboxed)
                self._history[-1 - _POSTMASTER_LAG] = (figure, then)
        return [told for told, _ in self._history]


def _summed(scenario: Scenario, policy: str, seed: int, records: list[DayRecord], decisions: list[Decision]) -> Outcome:
    delivered = sum(one.answered.delivered for one in records)
    offered = max(1, sum(one.offered for one in records))
    refused = sum(one.answered.deferred + one.answered.blocked for one in records)
    return Outcome(
        policy,
        scenario.temper_name,
        scenario.sender.name,
        seed,
        delivered / sum(one.wanted for one in records),
        refused / offered,
        sum(one.answered.inboxed for one in records) / offered,
        _days_to_full(scenario, records),
        sum(one.answered.blocked_day for one in records),
        tuple(records),
        tuple(decisions),
    )


def _days_to_full(scenario: Scenario, records: list[DayRecord]) -> int | None:
    full = 0
    reachable = _FULL_SHARE * (1.0 - scenario.sender.bad_addresses)
    by_day: dict[date, tuple[int, int]] = {}
    for one in records:
        delivered, wanted = by_day.get(one.day, (0, 0))
        by_day[one.day] = (delivered + one.answered.delivered, wanted + one.wanted)
    for number, (delivered, wanted) in enumerate(by_day.values(), start=1):
        full = full + 1 if delivered >= reachable * wanted else 0
        if full == _FULL_DAYS:
            return number - _FULL_DAYS + 1
    return None
