"""One provider as a model with a memory: how much it takes, what it puts off, whom it blocks."""

from dataclasses import dataclass
from random import Random

from warmup.simulation.chance import drawn
from warmup.simulation.tempers import Temper

_UNKNOWN = 0.5  # reputation of somebody never heard of
_LEAST, _MOST = 0.2, 1.4  # factor on the tolerated volume at no and at full reputation
_FORGETS = 1 / 14  # share of the accustomed volume that is forgotten on a day with less
_SPAM_BELOW, _INBOX_FROM = 0.2, 0.5  # reputation at which all goes to spam, and nothing does
_WORST = 3.0  # a loss for a rate counts at most so many times
_WORST_EXCESS = 1.5  # and that for growth so many
_REMEMBERS = 0.7  # what rates are made of: counts, each day worth so much of the next
_FEW = 2_000  # a rate over fewer remembered messages is diluted, as nobody would judge by it


@dataclass(frozen=True, slots=True)
class Offered:
    """A day's mail: messages, the share of addresses that do not exist, the chance of a complaint in the inbox."""

    messages: int
    bad_addresses: float
    complaint_chance: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a day's mail; the first four add up to the messages. ``blocked_day``: a block stood."""

    delivered: int
    hard_bounces: int
    deferred: int
    blocked: int
    inboxed: int
    complaints: int
    blocked_day: bool


class ProviderModel:
    """Takes mail day by day; the same chance gives the same answers."""

    def __init__(self, temper: Temper, chance: Random) -> None:
        self._temper = temper
        self._chance = chance
        self.reputation = _UNKNOWN
        self.accustomed = 0.0
        self._blocked_days = 0
        self._messages = self._bounces = self._complaints = 0.0

    @property
    def blocked(self) -> bool:
        """Whether it refuses everything today."""
        return self._blocked_days > 0

    @property
    def tolerated(self) -> int:
        """How many messages it takes today."""
        known = max(float(self._temper.free), self._temper.growth * self.accustomed)
        return int(known * (_LEAST + (_MOST - _LEAST) * self.reputation))

    def receive(self, offered: Offered) -> Answered:
        """A day passes with ``offered``."""
        if self._blocked_days:
            return self._refuse(offered.messages)
        tolerated = self.tolerated
        taken = min(offered.messages, tolerated)
        bounces = drawn(self._chance, taken, offered.bad_addresses)
        delivered = taken - bounces
        share = (self.reputation - _SPAM_BELOW) / (_INBOX_FROM - _SPAM_BELOW)
        inboxed = round(delivered * min(1.0, max(0.0, share)))
        complaints = drawn(self._chance, inboxed, offered.complaint_chance)
        deferred = offered.messages - taken
        self._learn(taken, deferred / max(1, tolerated), (bounces, complaints))
        return Answered(delivered, bounces, deferred, 0, inboxed, complaints, blocked_day=False)

    def _refuse(self, messages: int) -> Answered:
        self._blocked_days -= 1
        self._remember(0, (0, 0))
        if messages and self._chance.random() < self._temper.prolongs:
            self._blocked_days += 1
        if not self._blocked_days:  # a second chance, with little trust
            self.reputation = min(1.0, self._temper.block_below + 0.15)
            self.accustomed /= 2
        return Answered(0, 0, 0, messages, 0, 0, blocked_day=True)

    def _learn(self, taken: int, excess: float, harm: tuple[int, int]) -> None:
        temper = self._temper
        self._remember(taken, harm)
        counted = max(self._messages, _FEW)
        loss = temper.growth_loss * min(_WORST_EXCESS, excess)
        for count, limit, weight in (
            (self._complaints, temper.complaint_limit, temper.complaint_loss),
            (self._bounces, temper.bounce_limit, temper.bounce_loss),
        ):
            over = count / counted / limit
            loss += weight * min(_WORST, over) if taken and over >= 1.0 else 0.0
        if loss:
            self.reputation = max(0.0, self.reputation - loss)
        elif taken:
            self.reputation += temper.heals * (1.0 - self.reputation)
        if taken > self.accustomed:
            self.accustomed += temper.adapts * (taken - self.accustomed)
        else:
            self.accustomed -= _FORGETS * (self.accustomed - taken)
        if self.reputation < temper.block_below:
            self._blocked_days = temper.block_days

    def _remember(self, taken: int, harm: tuple[int, int]) -> None:
        self._messages = _REMEMBERS * self._messages + taken
        self._bounces = _REMEMBERS * self._bounces + harm[0]
        self._complaints = _REMEMBERS * self._complaints + harm[1]
