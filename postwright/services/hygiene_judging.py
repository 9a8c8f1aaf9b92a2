"""Judges a chunk of contacts by the terms of a plan: pure, over what ``postwright.store.hygiene_people`` has read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hygiene.dormancy import DormancyRule, DormancyVerdict, Engagement, Standing, judge_contact
from hygiene.pruning import Candidate, ContactState, ListNumbers, Place, plan_pruning
from hygiene.reengagement import Reengagement, ReengagementStage, next_step
from hygiene.segments.describe import meaning
from mailtypes.clock import DAY, Microseconds
from mailtypes.saying import say
from postwright.services.hygiene_terms import PlanTerms
from postwright.store.hygiene import NewStep
from postwright.store.hygiene_people import Person, PlanScope

_NOBODY = ListNumbers(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """``numbers`` of those who get ordinary mail, ``removed`` of those of them who would not any more.

    ``unknown``: of how many it cannot be said whether they are dormant, since their opens and clicks are not recorded.
    """

    steps: tuple[NewStep, ...]
    numbers: ListNumbers
    removed: ListNumbers
    dormant: int
    unknown: int = 0


def judge_people(
    people: Sequence[Person], terms: PlanTerms, rule: DormancyRule, scope: PlanScope, now: Microseconds
) -> Judged:
    """What the plan does with these contacts. Who is suppressed already is left out, as they get no mail anyway."""
    written_to = [one for one in people if one.barred is None]
    candidates = [_candidate(one, terms, rule, scope, now) for one in written_to]
    numbers = _sum([one.numbers for one in candidates if one.state.place is Place.ON_LIST])
    standings = Counter(one.verdict.standing for one in candidates)
    steps, removed = [], []
    for candidate in candidates:
        step = _step(candidate, terms, now)
        if step is not None:
            steps.append(step)
            if candidate.state.place is Place.ON_LIST:
                removed.append(candidate.numbers)
    parts = (tuple(steps), numbers, _sum(removed))
    return Judged(*parts, standings[Standing.DORMANT], standings[Standing.UNKNOWN])


def _step(candidate: Candidate, terms: PlanTerms, now: Microseconds) -> NewStep | None:
    is_dormant = candidate.verdict.standing is Standing.DORMANT
    if candidate.state.place is Place.ON_LIST and not is_dormant:
        return None  # tags are kept up by the roll-up, not by plans
    if is_dormant and not terms.ask_first:
        return NewStep(candidate.contact_id, str(terms.removal), candidate.verdict.cause)
    for step in plan_pruning([candidate], candidate.numbers, terms.policy, now).steps:
        return NewStep(step.contact_id, str(step.move), step.why)
    return None


def _candidate(person: Person, terms: PlanTerms, rule: DormancyRule, scope: PlanScope, now: Microseconds) -> Candidate:
    engagement = engagement_of(person)
    state = ContactState()
    if person.began_at is not None and person.win_back_list_id == scope.win_back_list_id:
        state = ContactState(Place.REENGAGING, reengagement=progress_of(person))
    verdict = _verdict(person, engagement, terms, rule, now)
    if person.began_at is not None and state.place is Place.ON_LIST:
        # Another plan is winning this contact back; two at a time would lose count of each other.
        verdict = DormancyVerdict(Standing.ACTIVE, rule.name, (), (), say("being won back by another plan"))
    return Candidate(
        person.contact_id, state, verdict, engagement, ListNumbers(1, person.sent, person.bounced, person.opened)
    )


def _verdict(
    person: Person, engagement: Engagement, terms: PlanTerms, rule: DormancyRule, now: Microseconds
) -> DormancyVerdict:
    if terms.tree is None:
        return judge_contact(engagement, rule, now, person.tags)
    if person.is_chosen is None:
        return DormancyVerdict(
            Standing.UNKNOWN, "segment", (), (), say("opens and clicks of this contact are not kept")
        )
    if not person.is_chosen:
        return DormancyVerdict(Standing.ACTIVE, "segment", (), (), say("not in the segment"))
    protection = rule.protection
    if engagement.joined_at is not None and engagement.joined_at >= now - protection.new_days * DAY:
        cause = say("new: on the list for less than %(new_days)s days", new_days=protection.new_days)
    elif engagement.last_action_at is not None and engagement.last_action_at >= now - protection.acted_days * DAY:
        cause = say("bought or came within %(acted_days)s days", acted_days=protection.acted_days)
    elif person.tags:
        cause = say("carries the tag %(tag)s", tag=min(person.tags))
    else:
        return DormancyVerdict(Standing.DORMANT, "segment", (), (), meaning(terms.tree))
    return DormancyVerdict(Standing.PROTECTED, "segment", (), (), cause)


def engagement_of(person: Person) -> Engagement:
    """What is known of a contact; where only the day of the last open is kept, it stands for one open."""
    known = person.activity
    opened, last_opened = int(known.get("opened") or 0), known.get("last_opened_at")
    if person.last_open_day is not None:
        opened, last_opened = max(1, opened), max(person.last_open_day * DAY, last_opened or 0)
    return Engagement(
        joined_at=Microseconds(person.created_at),
        received=int(known.get("received") or 0),
        last_received_at=known.get("last_received_at"),
        opened=opened,
        last_opened_at=last_opened,
        clicked=int(known.get("clicked") or 0),
        last_clicked_at=known.get("last_clicked_at"),
        received_since_opened=int(known.get("received_since_opened") or 0),
        received_since_clicked=int(known.get("received_since_clicked") or 0),
        last_action_at=known.get("last_acted_at"),
        known=person.known,
        known_since=None if person.tracked_since is None else Microseconds(person.tracked_since),
    )


def progress_of(person: Person) -> Reengagement:
    """How far the winning back is."""
    last = None if person.last_asked_at is None else Microseconds(person.last_asked_at)
    return Reengagement(Microseconds(person.began_at or 0), person.asked, last)


def stage_of(person: Person, terms: PlanTerms, now: Microseconds) -> str:
    """What comes next for somebody who is being won back: ``won_back``, ``given_up``, ``wait``, ``mail_1`` and on."""
    step = next_step(progress_of(person), engagement_of(person), terms.reengagement, now)
    return f"mail_{step.mail}" if step.stage is ReengagementStage.SEND else str(step.stage)


def _sum(parts: Sequence[ListNumbers]) -> ListNumbers:
    if not parts:
        return _NOBODY
    return ListNumbers(
        sum(one.contacts for one in parts),
        sum(one.sent for one in parts),
        sum(one.bounced for one in parts),
        sum(one.opened for one in parts),
    )
