"""Pruning as a plan: who, why, and what it does to the numbers; shown first, then applied, and undone if wanted.

A plan only moves contacts: to the re-engagement campaign first, and, where that brought no sign of life, to
suppression or the archive. Each step records what was before. ``apply`` changes a contact only while it is as the plan
found it, and ``undo`` only while it is as ``apply`` left it: what people did in between stands.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hygiene.dormancy import DormancyVerdict, Engagement, Standing, low_engagement
from hygiene.reengagement import Reengagement, ReengagementPolicy, ReengagementStage, next_step
from mailtypes.clock import Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

LOW_ENGAGEMENT_TAG = "low_engagement"


class PruningError(InputSyntaxError):
    """Numbers or a policy that cannot be."""


class Place(StrEnum):
    """Where a contact is."""

    ON_LIST = "on_list"
    REENGAGING = "reengaging"  # gets the re-engagement campaign and nothing else
    SUPPRESSED = "suppressed"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class ContactState:
    """All of a contact that pruning may change; ``reengagement`` is there while the place is ``reengaging``."""

    place: Place = Place.ON_LIST
    tags: frozenset[str] = frozenset()
    reengagement: Reengagement | None = None


State = Mapping[int, ContactState]
"""Contacts by id."""


@dataclass(frozen=True, slots=True)
class ListNumbers:
    """Contacts who are written to, and mails ``sent`` to them, of which ``bounced``, and ``opened`` by people."""

    contacts: int
    sent: int
    bounced: int
    opened: int

    def __post_init__(self) -> None:
        if min(self.contacts, self.sent, self.bounced, self.opened) < 0 or self.bounced + self.opened > self.sent:
            raise PruningError(
                say(
                    "%(bounced)s bounces and %(opened)s opened of %(sent)s mails",
                    bounced=self.bounced,
                    opened=self.opened,
                    sent=self.sent,
                ),
                next_step=say("Count each mail once; an opened one did not bounce."),
            )

    def __sub__(self, other: "ListNumbers") -> "ListNumbers":
        return ListNumbers(
            self.contacts - other.contacts,
            self.sent - other.sent,
            self.bounced - other.bounced,
            self.opened - other.opened,
        )

    @property
    def open_rate(self) -> float | None:
        """Opened by people, of the mails that arrived; ``None`` where none did."""
        arrived = self.sent - self.bounced
        return self.opened / arrived if arrived else None

    @property
    def bounce_rate(self) -> float | None:
        """Bounced of the mails sent; ``None`` where none was."""
        return self.bounced / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact as the plan finds it; ``numbers`` is this contact's part of the list's numbers."""

    contact_id: int
    state: ContactState
    verdict: DormancyVerdict
    engagement: Engagement
    numbers: ListNumbers


class Move(StrEnum):
    """What a plan does with a contact."""

    TAG = "tag"
    UNTAG = "untag"
    REENGAGE = "reengage"
    WIN_BACK = "win_back"
    SUPPRESS = "suppress"
    ARCHIVE = "archive"


_REMOVES = {Move.SUPPRESS: Place.SUPPRESSED, Move.ARCHIVE: Place.ARCHIVED}


@dataclass(frozen=True, slots=True)
class PruningPolicy:
    """``removal``: ``suppress`` (never written to again) or ``archive`` (kept apart, may return).

    ``doubtful_share``: where more of the list than that is dormant, the plan says so: mostly it means that opens and
    clicks were not recorded for a while.
    """

    removal: Move = Move.ARCHIVE
    reengagement: ReengagementPolicy = field(default_factory=ReengagementPolicy)
    least_received: int = 5
    doubtful_share: float = 0.5

    def __post_init__(self) -> None:
        if self.removal not in _REMOVES:
            raise PruningError(
                say("removal by '%(removal)s'", removal=self.removal), next_step=say("Choose suppress or archive.")
            )
        if not 0 < self.doubtful_share <= 1:
            raise PruningError(
                say("a share of %(doubtful_share)s", doubtful_share=self.doubtful_share),
                next_step=say("Give more than 0 and at most 1."),
            )


@dataclass(frozen=True, slots=True)
class PruningStep:
    """One contact's move, with what was ``before`` and is ``after``; ``why`` is a sentence."""

    contact_id: int
    move: Move
    why: str
    before: ContactState
    after: ContactState


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """Steps in the order of the contacts. ``after`` are the numbers as if the removed had never been on the list.

    ``doubt`` is empty, or says why the plan should not be believed without a look.
    """

    made_at: Microseconds
    steps: tuple[PruningStep, ...]
    before: ListNumbers
    after: ListNumbers
    doubt: str = ""

    @property
    def moves(self) -> Mapping[Move, int]:
        """How many contacts each move is for."""
        return Counter(step.move for step in self.steps)


def plan_pruning(
    candidates: Iterable[Candidate], numbers: ListNumbers, policy: PruningPolicy, now: Microseconds
) -> PruningPlan:
    """The plan for a list; ``numbers`` are those of the whole list, of which the candidates are contacts."""
    steps: list[PruningStep] = []
    after, dormant = numbers, 0
    for candidate in candidates:
        step = _step(candidate, policy, now)
        dormant += candidate.verdict.standing is Standing.DORMANT
        if step is None:
            continue
        steps.append(step)
        if step.move in _REMOVES:
            after = after - candidate.numbers
    return PruningPlan(now, tuple(steps), numbers, after, doubt_about(dormant, numbers, policy))


def doubt_about(dormant: int, numbers: ListNumbers, policy: PruningPolicy) -> str:
    """Why a plan should not be believed without a look, where so many are dormant; empty where nothing speaks so."""
    if dormant <= policy.doubtful_share * numbers.contacts:
        return ""
    return say(
        "%(dormant)s of %(contacts)s contacts are dormant: make sure that opens and clicks were recorded.",
        dormant=f"{dormant:,}",
        contacts=f"{numbers.contacts:,}",
    )


def _step(candidate: Candidate, policy: PruningPolicy, now: Microseconds) -> PruningStep | None:
    match candidate.state.place:
        case Place.ON_LIST:
            return _step_on_list(candidate, policy, now)
        case Place.REENGAGING:
            return _step_reengaging(candidate, policy, now)
        case _:
            return None


def _step_on_list(candidate: Candidate, policy: PruningPolicy, now: Microseconds) -> PruningStep | None:
    state = candidate.state
    if candidate.verdict.standing is Standing.DORMANT:
        after = replace(state, place=Place.REENGAGING, reengagement=Reengagement(now))
        return PruningStep(candidate.contact_id, Move.REENGAGE, candidate.verdict.cause, state, after)
    is_low = low_engagement(candidate.engagement, least_received=policy.least_received)
    if is_low == (LOW_ENGAGEMENT_TAG in state.tags):
        return None
    if is_low:
        why = say(
            "%(received_since_opened)s mails in a row neither opened nor clicked",
            received_since_opened=candidate.engagement.received_since_opened,
        )
        after = replace(state, tags=state.tags | {LOW_ENGAGEMENT_TAG})
        return PruningStep(candidate.contact_id, Move.TAG, why, state, after)
    after = replace(state, tags=state.tags - {LOW_ENGAGEMENT_TAG})
    return PruningStep(candidate.contact_id, Move.UNTAG, say("opened or clicked lately"), state, after)


def _step_reengaging(candidate: Candidate, policy: PruningPolicy, now: Microseconds) -> PruningStep | None:
    state, verdict = candidate.state, candidate.verdict
    progress = state.reengagement or Reengagement(now)
    step = next_step(progress, candidate.engagement, policy.reengagement, now)
    back = replace(state, place=Place.ON_LIST, reengagement=None)
    if step.stage is ReengagementStage.WON_BACK:
        why = say("opened, clicked or bought since the re-engagement began")
        return PruningStep(candidate.contact_id, Move.WIN_BACK, why, state, back)
    if verdict.standing is not Standing.DORMANT:  # protected by now, or the rule was changed
        return PruningStep(candidate.contact_id, Move.WIN_BACK, verdict.cause, state, back)
    if step.stage is not ReengagementStage.GIVEN_UP:
        return None
    why = say("%(cause)s; no sign of life after %(sent)s re-engagement mails", cause=verdict.cause, sent=progress.sent)
    after = replace(state, place=_REMOVES[policy.removal], reengagement=None)
    return PruningStep(candidate.contact_id, policy.removal, why, state, after)


@dataclass(frozen=True, slots=True)
class Applied:
    """What was really done, which is what ``undo`` takes; ``skipped`` were no longer as the steps expected."""

    done: tuple[PruningStep, ...]
    skipped: tuple[PruningStep, ...]


def apply(plan: PruningPlan, state: State) -> tuple[dict[int, ContactState], Applied]:
    """``state`` with the plan's steps done; a contact that changed since the plan was made, or left, is skipped."""
    changed = dict(state)
    done, skipped = [], []
    for step in plan.steps:
        if changed.get(step.contact_id) == step.before:
            changed[step.contact_id] = step.after
            done.append(step)
        else:
            skipped.append(step)
    return changed, Applied(tuple(done), tuple(skipped))


def undo(applied: Applied, state: State) -> tuple[dict[int, ContactState], Applied]:
    """``state`` with the steps taken back, the last first; who changed since then (unsubscribed, say) is skipped."""
    changed = dict(state)
    undone, skipped = [], []
    for step in reversed(applied.done):
        if changed.get(step.contact_id) == step.after:
            changed[step.contact_id] = step.before
            undone.append(step)
        else:
            skipped.append(step)
    return changed, Applied(tuple(undone), tuple(skipped))
