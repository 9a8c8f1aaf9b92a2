"""Who has gone quiet: all conditions of a rule together, counted in mails received as well as in days.

Opens are those by people; what machines fetched is not among them, and a rule never rests on opens alone, since a
reader whose images are off opens nothing. A contact who never clicked or bought has been silent all the time, but is
not judged before the rule's shortest wait has passed since they joined. What privacy modes keep from being recorded may
have happened: nobody is called dormant for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hygiene.segments.facts import Known
from hygiene.segments.tree import (
    ActivityAge,
    ActivityKind,
    AgeOperator,
    AllOf,
    AmountOperator,
    HasTag,
    Joined,
    Node,
    NotThis,
    ReceivedSince,
)
from mailtypes.clock import DAY, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import joined, say

_MOST_DAYS = 3650
_MOST_MAILS = 1000
_LONG_AGO: Final = Microseconds(-(1 << 62))


class DormancyRuleError(InputSyntaxError):
    """A rule that would call people dormant who may be reading."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """What is known of one contact; counts are mails, ``None`` stands for never (``joined_at``: for unknown).

    ``opened`` and ``last_opened_at`` are of people alone. ``received_since_opened`` and ``received_since_clicked``
    count from the first mail where there was no open or click. ``last_action_at``: a purchase or a visit. ``known`` is
    what is recorded of opens and clicks, ``known_since`` from when on, where they were not before.
    """

    joined_at: Microseconds | None
    received: int = 0
    last_received_at: Microseconds | None = None
    opened: int = 0
    last_opened_at: Microseconds | None = None
    clicked: int = 0
    last_clicked_at: Microseconds | None = None
    received_since_opened: int = 0
    received_since_clicked: int = 0
    last_action_at: Microseconds | None = None
    known: Known = Known.ALL
    known_since: Microseconds | None = None

    @property
    def is_known(self) -> bool:
        """Whether silence means anything. The day of the last open does, where there is one; that there is none does
        not, since a reader whose images are off clicks, and of clicks nothing is recorded then."""
        return self.known is Known.ALL or (self.known is Known.LAST_OPEN and self.last_opened_at is not None)


@dataclass(frozen=True, slots=True)
class Protection:
    """Who is never dormant: contacts new for ``new_days``, those who bought or came within ``acted_days`` (0: nobody),
    and those who carry one of ``tags``."""

    new_days: int = 30
    acted_days: int = 90
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DormancyRule:
    """Dormant is who meets all of these; a condition that is ``None`` is not asked for. Waits are in whole days.

    ``least_received``: mails since the last open (where opens count) and since the last click. ``mails_unclicked``: so
    many mails in a row without a click, and that number instead of ``least_received``. Raises ``DormancyRuleError``.
    """

    name: str
    no_open_days: int | None = None
    no_click_days: int | None = None
    mails_unclicked: int | None = None
    no_action_days: int | None = None
    least_received: int = 5
    protection: Protection = Protection()

    def __post_init__(self) -> None:
        waits = (self.no_open_days, self.no_click_days, self.no_action_days)
        if any(wait is not None and not 1 <= wait <= _MOST_DAYS for wait in waits):
            raise DormancyRuleError(
                say("a wait out of bounds"), next_step=say("Give 1 to %(most_days)s days.", most_days=f"{_MOST_DAYS:,}")
            )
        if not min(self.protection.new_days, self.protection.acted_days) >= 0 or (
            max(self.protection.new_days, self.protection.acted_days) > _MOST_DAYS
        ):
            raise DormancyRuleError(
                say("a protection out of bounds"),
                next_step=say("Give 0 to %(most_days)s days.", most_days=f"{_MOST_DAYS:,}"),
            )
        if self.no_click_days is None and self.mails_unclicked is None and self.no_action_days is None:
            raise DormancyRuleError(
                say("a rule on opens alone"),
                next_step=say("Ask for silence in clicks or purchases too: many readers load no images."),
            )
        mails = (self.least_received, 1 if self.mails_unclicked is None else self.mails_unclicked)
        if not 1 <= min(mails) <= max(mails) <= _MOST_MAILS:
            raise DormancyRuleError(
                say("a number of mails out of bounds"),
                next_step=say(
                    "Give 1 to %(most_mails)s mails; who was sent none cannot have gone quiet.",
                    most_mails=f"{_MOST_MAILS:,}",
                ),
            )

    @property
    def shortest_wait(self) -> int:
        """Days for which a contact has to be known before anything is said of them."""
        waits = [one for one in (self.no_open_days, self.no_click_days, self.no_action_days) if one is not None]
        return max(min(waits, default=1), self.protection.new_days, 1)


QUIET_FOR_A_YEAR: Final = DormancyRule("quiet_for_a_year", no_open_days=60, no_click_days=180, no_action_days=365)
QUIET_FOR_A_QUARTER: Final = DormancyRule("quiet_for_a_quarter", no_open_days=60, mails_unclicked=3, no_action_days=90)


class Rhythm(StrEnum):
    """How often a list is written to."""

    DAILY = "daily"
    MID = "mid"  # two or three times a week
    WEEKLY = "weekly"
    MONTHLY = "monthly"


WAITS: Final[Mapping[Rhythm, tuple[int, int]]] = MappingProxyType(
    {Rhythm.DAILY: (45, 60), Rhythm.MID: (90, 120), Rhythm.WEEKLY: (150, 180), Rhythm.MONTHLY: (240, 270)}
)
"""By rhythm: days of silence after which a contact is dormant, for the impatient and for the patient."""


def rhythm_of(mails: int, over: timedelta) -> Rhythm:
    """The rhythm of a list that sent ``mails`` in a stretch of time (not shorter than a day)."""
    weekly = mails / max(over / timedelta(days=7), 1 / 7)
    if weekly >= 5:
        return Rhythm.DAILY
    if weekly >= 1.5:
        return Rhythm.MID
    return Rhythm.WEEKLY if weekly >= 0.5 else Rhythm.MONTHLY


def scaled(rule: DormancyRule, rhythm: Rhythm, *, is_patient: bool = True) -> DormancyRule:
    """``rule`` for a list of that rhythm: opens are waited for as long as ``WAITS`` says, the rest at least so long."""
    wait = WAITS[rhythm][1 if is_patient else 0]

    def at_least(days: int | None) -> int | None:
        return None if days is None else max(days, wait)

    return replace(
        rule,
        name=f"{rule.name}_{rhythm}",
        no_open_days=None if rule.no_open_days is None else wait,
        no_click_days=at_least(rule.no_click_days),
        no_action_days=at_least(rule.no_action_days),
    )


# By rhythm: nothing of any kind for as long as the rhythm's wait.
PRESETS: Final[Mapping[str, DormancyRule]] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            QUIET_FOR_A_YEAR,
            QUIET_FOR_A_QUARTER,
            *(
                DormancyRule(str(rhythm), no_open_days=wait, no_click_days=wait, no_action_days=wait)
                for rhythm, (_, wait) in WAITS.items()
            ),
        )
    }
)


class Standing(StrEnum):
    """How a contact stands; ``unknown``: since when they were silent is not known, or whether they were at all."""

    ACTIVE = "active"
    DORMANT = "dormant"
    PROTECTED = "protected"
    UNKNOWN = "unknown"


class Condition(StrEnum):
    """The conditions of a rule."""

    ENOUGH_MAILS = "enough_mails"
    NO_OPEN = "no_open"
    NO_CLICK = "no_click"
    MAILS_UNCLICKED = "mails_unclicked"
    NO_ACTION = "no_action"


_NAMES = {
    Condition.ENOUGH_MAILS: say("enough_mails"),
    Condition.NO_OPEN: say("no_open"),
    Condition.NO_CLICK: say("no_click"),
    Condition.MAILS_UNCLICKED: say("mails_unclicked"),
    Condition.NO_ACTION: say("no_action"),
}


@dataclass(frozen=True, slots=True)
class DormancyVerdict:
    """``held`` and ``failed`` are the rule's conditions, ``cause`` the sentence for people.

    A condition that is in neither is unknown, since opens and clicks are not recorded.
    """

    standing: Standing
    rule: str
    held: tuple[Condition, ...]
    failed: tuple[Condition, ...]
    cause: str


def judge_contact(
    engagement: Engagement, rule: DormancyRule, now: Microseconds, tags: frozenset[str] = frozenset()
) -> DormancyVerdict:
    """How a contact with these ``tags`` stands by ``rule``."""
    found = _conditions(engagement, rule, now)
    held = tuple(condition for condition, holds in found if holds)
    failed = tuple(condition for condition, holds in found if holds is False)
    standing, cause = Standing.DORMANT, _told(engagement, rule)
    if failed:
        standing, cause = (
            Standing.ACTIVE,
            say("does not meet: %(failed)s", failed=joined(_NAMES[one] for one in failed)),
        )
    elif (protected := _protected_because(engagement, rule, now, tags)) is not None:
        standing, cause = Standing.PROTECTED, protected
    elif engagement.joined_at is None:
        standing, cause = Standing.UNKNOWN, say("it is not known since when the contact has been on the list")
    elif len(held) < len(found):
        standing, cause = Standing.UNKNOWN, say("opens and clicks of this contact are not kept")
    return DormancyVerdict(standing, rule.name, held, failed, cause)


def _conditions(engagement: Engagement, rule: DormancyRule, now: Microseconds) -> list[tuple[Condition, bool | None]]:
    """Each with whether it holds, ``None`` where nobody can know."""
    unopened = rule.no_open_days is None or engagement.received_since_opened >= rule.least_received
    # Where mails without a click are counted by a condition of their own, that number is the one asked for.
    unclicked = rule.mails_unclicked is not None or engagement.received_since_clicked >= rule.least_received
    surely = True if engagement.is_known else None
    found: list[tuple[Condition, bool | None]] = [(Condition.ENOUGH_MAILS, unopened and unclicked and surely)]
    if rule.no_open_days is not None:
        found.append((Condition.NO_OPEN, _is_silent(engagement, engagement.last_opened_at, rule.no_open_days, now)))
    if rule.no_click_days is not None:
        last = engagement.last_clicked_at
        if engagement.known is Known.LAST_OPEN:  # of clicks nothing is recorded: the day stands for them as well
            last = max(last or _LONG_AGO, engagement.last_opened_at or _LONG_AGO)
        found.append((Condition.NO_CLICK, _is_silent(engagement, last, rule.no_click_days, now)))
    if rule.mails_unclicked is not None:
        is_unclicked = engagement.received_since_clicked >= rule.mails_unclicked
        found.append((Condition.MAILS_UNCLICKED, is_unclicked and surely))
    if rule.no_action_days is not None:
        found.append((Condition.NO_ACTION, not _is_within(engagement.last_action_at, rule.no_action_days, now)))
    return found


def _is_silent(engagement: Engagement, last: Microseconds | None, days: int, now: Microseconds) -> bool | None:
    """Whether nothing happened in the last ``days`` days; ``None`` where what happened was not recorded."""
    if _is_within(last, days, now):
        return False
    since = engagement.known_since
    return True if engagement.is_known and (since is None or since <= now - days * DAY) else None


def _is_within(moment: Microseconds | None, days: int, now: Microseconds) -> bool:
    """Whether it happened in the last ``days`` days, the first moment of which counts."""
    return moment is not None and moment >= now - days * DAY


def _protected_because(
    engagement: Engagement, rule: DormancyRule, now: Microseconds, tags: frozenset[str]
) -> str | None:
    protection = rule.protection
    if _is_within(engagement.joined_at, rule.shortest_wait, now):
        return say("new: on the list for less than %(shortest_wait)s days", shortest_wait=rule.shortest_wait)
    if protection.acted_days and _is_within(engagement.last_action_at, protection.acted_days, now):
        return say("bought or came within %(acted_days)s days", acted_days=protection.acted_days)
    guarding = sorted(protection.tags & tags)
    return say("carries the tag %(guarding)s", guarding=guarding[0]) if guarding else None


def _told(engagement: Engagement, rule: DormancyRule) -> str:
    parts = []
    if rule.no_open_days is not None:
        parts.append(
            say(
                "%(received_since_opened)s mails and %(no_open_days)s days without an open",
                received_since_opened=engagement.received_since_opened,
                no_open_days=rule.no_open_days,
            )
        )
    if rule.no_click_days is not None:
        parts.append(say("no click in %(no_click_days)s days", no_click_days=rule.no_click_days))
    if rule.mails_unclicked is not None:
        parts.append(
            say(
                "no click in %(received_since_clicked)s mails", received_since_clicked=engagement.received_since_clicked
            )
        )
    if rule.no_action_days is not None:
        parts.append(say("no purchase or visit in %(no_action_days)s days", no_action_days=rule.no_action_days))
    return joined(parts)


def as_tree(rule: DormancyRule) -> Node:
    """The rule as a segment: exactly those whom ``judge_contact`` calls dormant, but for contacts of whom no more than
    the day of the last open is kept, who are in none that asks for clicks.

    ``hygiene.segments.parse.as_document`` writes it as JSON.
    """
    least = AmountOperator.AT_LEAST
    parts: list[Node] = []
    if rule.no_open_days is not None:
        parts += [
            ReceivedSince(ActivityKind.OPENED, least, rule.least_received),
            _silent(ActivityKind.OPENED, rule.no_open_days),
        ]
    unclicked = rule.least_received if rule.mails_unclicked is None else rule.mails_unclicked
    parts.append(ReceivedSince(ActivityKind.CLICKED, least, unclicked))
    if rule.no_click_days is not None:
        parts.append(_silent(ActivityKind.CLICKED, rule.no_click_days))
    acted = max(rule.no_action_days or 0, rule.protection.acted_days)
    if acted:
        parts.append(_silent(ActivityKind.ACTED, acted))
    parts.append(Joined(AgeOperator.BEFORE_DAYS, rule.shortest_wait))
    parts += [NotThis(HasTag(tag)) for tag in sorted(rule.protection.tags)]
    return AllOf(tuple(parts))


def _silent(kind: ActivityKind, days: int) -> Node:
    # Who never did it is neither within nor before: not within is what silence means.
    return NotThis(ActivityAge(kind, AgeOperator.WITHIN_DAYS, days))


def low_engagement(engagement: Engagement, *, least_received: int = 5) -> bool:
    """Whether the newest mails, at least so many, were neither opened by a person nor clicked: a tag, no verdict."""
    return min(engagement.received_since_opened, engagement.received_since_clicked) >= least_received


def opened_in_a_row(opened: Sequence[bool], mails: int = 3) -> bool | None:
    """Whether a person opened each of the newest ``mails`` (``opened`` has the oldest first); ``None`` for too few."""
    if len(opened) < mails:
        return None
    return all(opened[-mails:])
