"""Plans to prune: shown first (who, why, the numbers before and after), then applied, and undone if wanted.

All three are done chunk by chunk and go on where they were left, whoever goes on: this process, or the scheduler.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from hygiene.dormancy import DormancyRule, Rhythm, rhythm_of, scaled
from hygiene.pruning import ListNumbers, Move, doubt_about
from mailtypes.clock import DAY, Clock, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.hygiene_judging import judge_people, stage_of
from postwright.services.hygiene_terms import PlanTerms, plan_sentence
from postwright.services.state_words import state_word
from postwright.store import contacts, events, hygiene, hygiene_people, segments, workspaces
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.hygiene import NewPlan, Part, Plan, Step
from postwright.store.hygiene_people import WINDOW_DAYS, PlanScope

_CHUNK = 2000  # contacts that are judged at once
_STEPS = 250  # contacts that are changed in one transaction: some twenty milliseconds
_STREAM = "marketing"
LONGEST_LIFE = 30 * DAY
"""A plan that is older is not applied any more: its contacts may have come to life in other ways."""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan with its list's name, how many contacts each move is for and how far it is, and who is being won back."""

    plan: Plan
    terms: PlanTerms
    list_name: str | None
    win_back_list: str | None
    moves: Mapping[str, int]
    states: Mapping[str, int]

    @property
    def before(self) -> ListNumbers:
        """Who gets ordinary mail."""
        return self.plan.before

    @property
    def after(self) -> ListNumbers:
        """And who would."""
        return self.plan.after


class HygienePlans:
    """Plans of all workspaces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def make(self, workspace_id: int, terms: PlanTerms, list_name: str | None, *, by: str = "") -> int:
        """Begin a plan over a list, or over all contacts; ``finish`` or the scheduler makes the rest of it.

        A plan for the same contacts that was not applied is discarded. Raises ``RefusedError`` and what a tree raises.
        """
        now = self._clock.now()

        def begin(connection: Connection) -> int:
            list_id = self._list_id(connection, workspace_id, list_name, needs_tracking=terms.tree is None)
            if terms.tree is not None:
                audience = segments.open_audience(connection, workspace_id, terms.tree)
                segments.count_contacts(connection, audience, now, ids=(0, 0))  # so that what is wrong is told now
            win_back = hygiene.last_win_back_list(connection, workspace_id, list_id)
            wanted = NewPlan(list_id, win_back, terms.written(), plan_sentence(list_name, terms), by)
            return hygiene.add_plan(connection, workspace_id, wanted, now)

        return await self._database.write(begin)

    @staticmethod
    def _list_id(connection: Connection, workspace_id: int, name: str | None, *, needs_tracking: bool) -> int | None:
        if name is None:
            return None
        found = contacts.find_list(connection, workspace_id, name)
        if found is None:
            raise RefusedError("no_such_list", say("There is no list '%(name)s'.", name=name[:100]), field="list")
        if needs_tracking and hygiene_people.list_tracking(connection, found.id) in ("off", "aggregate"):
            raise RefusedError(
                "list_untracked",
                say("Opens and clicks of '%(name)s' are not kept, so nobody can be said to be quiet.", name=name[:100]),
                field="list",
                next_step=say("Plan by a segment over fields or lists, or over all contacts."),
            )
        return found.id

    async def rhythm_of_list(self, workspace_id: int, list_name: str) -> Rhythm:
        """How often a list was written to in the last ninety days; raises ``NotFoundError``."""
        now = self._clock.now()

        def read(connection: Connection) -> Rhythm:
            found = contacts.find_list(connection, workspace_id, list_name)
            if found is None:
                raise NotFoundError("list")
            return _rhythm_of(connection, found.id, now)

        return await self._database.read(read)

    async def get(self, workspace_id: int, plan_id: int) -> Plan:
        """A plan; raises ``NotFoundError``."""
        found = await self._database.read(partial(hygiene.get_plan, workspace_id=workspace_id, plan_id=plan_id))
        if found is None or found.state == "discarded":
            raise NotFoundError("hygiene plan")
        return found

    async def page(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Plan]:
        """Plans in the order in which they were made."""
        return await self._database.read(
            partial(hygiene.list_plans, workspace_id=workspace_id, after=after, limit=limit)
        )

    async def summary(self, workspace_id: int, plan_id: int) -> PlanSummary:
        """A plan as people look at it."""
        plan = await self.get(workspace_id, plan_id)

        def read(connection: Connection) -> PlanSummary:
            counts = hygiene.step_counts(connection, plan.id)
            moves, states = Counter[str](), Counter[str]()
            for (move, state), number in counts.items():
                moves[move] += number
                states[state] += number
            named = (plan.list_id, plan.win_back_list_id)
            names = [None if one is None else contacts.get_list(connection, workspace_id, one) for one in named]
            first, second = (None if one is None else one.name for one in names)
            return PlanSummary(plan, PlanTerms.read(json.loads(plan.terms)), first, second, moves, states)

        return await self._database.read(read)

    async def steps(
        self, workspace_id: int, plan_id: int, *, move: str | None = None, after: int = 0, limit: int = 100
    ) -> list[Step]:
        """The steps of a plan: who, what, why, and what came of it."""
        plan = await self.get(workspace_id, plan_id)
        return await self._database.read(partial(hygiene.list_steps, plan=plan, move=move, after=after, limit=limit))

    async def apply(self, workspace_id: int, plan_id: int, *, by: str = "") -> Plan:
        """Begin to apply a plan that is ready; ``finish`` or the scheduler does it; again is no harm."""
        plan = await self.get(workspace_id, plan_id)
        if plan.state in ("applying", "applied"):
            return plan
        if plan.state != "ready":
            raise RefusedError(
                "wrong_state",
                say("The plan is %(state)s; only one that is ready can be applied.", state=state_word(plan.state)),
            )
        now = self._clock.now()
        if plan.made_at + LONGEST_LIFE < now:
            sentence = say("The plan was made more than %(longest_life)s days ago.", longest_life=LONGEST_LIFE // DAY)
            raise RefusedError("wrong_state", sentence, next_step=say("Make a new one and look at it."))

        def begin(connection: Connection) -> None:
            if not hygiene.move_plan(connection, plan.id, "ready", "applying", applied_at=now):
                return
            needs_list = any(move == Move.REENGAGE for move, _ in hygiene.step_counts(connection, plan.id))
            if needs_list and plan.win_back_list_id is None:
                _make_win_back_list(connection, plan, now)
            _tell(connection, plan, "hygiene_plan_applied", {"by": by}, now)

        await self._database.write(begin)
        return await self.get(workspace_id, plan_id)

    async def undo(self, workspace_id: int, plan_id: int, *, by: str = "") -> Plan:
        """Begin to take an applied plan back; who was changed since then by anybody stays so."""
        plan = await self.get(workspace_id, plan_id)
        if plan.state in ("undoing", "undone"):
            return plan
        if plan.state != "applied":
            raise RefusedError(
                "wrong_state",
                say("The plan is %(state)s; only an applied one can be undone.", state=state_word(plan.state)),
            )
        now = self._clock.now()

        def begin(connection: Connection) -> None:
            if hygiene.move_plan(connection, plan.id, "applied", "undoing"):
                _tell(connection, plan, "hygiene_plan_undone", {"by": by}, now)

        await self._database.write(begin)
        return await self.get(workspace_id, plan_id)

    async def discard(self, workspace_id: int, plan_id: int) -> None:
        """Throw a plan away that is not in effect; raises ``NotFoundError`` and ``RefusedError``."""
        await self.get(workspace_id, plan_id)
        work = partial(hygiene.discard, workspace_id=workspace_id, plan_id=plan_id)
        if not await self._database.write(work):
            raise RefusedError("wrong_state", say("The plan was applied; undo it instead."))

    async def finish(self, workspace_id: int, plan_id: int, *, chunks: int | None = None) -> Plan:
        """Go on with what was begun, to its end or for so many chunks."""
        done = 0
        while True:
            plan = await self.get(workspace_id, plan_id)
            if plan.state not in hygiene.UNFINISHED or (chunks is not None and done >= chunks):
                return plan
            await self.go_on(plan)
            done += 1

    async def step(self) -> int:
        """For the scheduler: one chunk of every plan that is being made, applied or undone; returns how many."""
        plans = await self._database.read(hygiene.unfinished_plans)
        for plan in plans:
            await self.go_on(plan)
        return len(plans)

    async def go_on(self, plan: Plan) -> None:
        """Do the next chunk of a plan, or end it where none is left."""
        if plan.state == "making":
            await self._make_chunk(plan)
        elif plan.state == "applying":
            await self._database.write(partial(self._apply_chunk, plan=plan))
        elif plan.state == "undoing":
            await self._database.write(partial(self._undo_chunk, plan=plan))

    def _apply_chunk(self, connection: Connection, plan: Plan) -> None:
        stream_id = _stream_id(connection, plan.workspace_id)
        if hygiene.apply_chunk(connection, plan.id, stream_id, self._clock.now(), limit=_STEPS) == 0:
            hygiene.move_plan(connection, plan.id, "applying", "applied")

    def _undo_chunk(self, connection: Connection, plan: Plan) -> None:
        if hygiene.undo_chunk(connection, plan.id, limit=_STEPS) == 0:
            hygiene.move_plan(connection, plan.id, "undoing", "undone", undone_at=self._clock.now())

    async def _make_chunk(self, plan: Plan) -> None:
        terms, now = PlanTerms.read(json.loads(plan.terms)), Microseconds(plan.made_at)

        def judge(connection: Connection) -> Part | None:
            scope = _scope(connection, plan, terms)
            people = hygiene_people.read_people(connection, scope, now, after=plan.cursor, limit=_CHUNK)
            if not people:
                return None
            judged = judge_people(people, terms, _rule(terms), scope, now)
            last = people[-1].contact_id
            return Part(last, judged.steps, judged.numbers, judged.removed, judged.dormant, judged.unknown)

        try:
            part = await self._database.read(judge)
        except InputSyntaxError:  # a list or tag of the tree was deleted meanwhile
            await self._database.write(partial(hygiene.discard, workspace_id=plan.workspace_id, plan_id=plan.id))
            return
        if part is not None:
            await self._database.write(partial(hygiene.add_part, plan=plan, part=part))
            return
        await self._database.write(partial(self._make_ready, plan=plan, terms=terms))

    def _make_ready(self, connection: Connection, plan: Plan, terms: PlanTerms) -> None:
        doubt = doubt_about(plan.dormant, plan.before, terms.policy)
        if hygiene.move_plan(connection, plan.id, "making", "ready", doubt=doubt):
            counted = Counter[str]()
            for (move, _), number in hygiene.step_counts(connection, plan.id).items():
                counted[move] += number
            data = {"moves": dict(counted), "doubt": doubt, "unknown": plan.unknown}
            _tell(connection, plan, "hygiene_plan_ready", data, self._clock.now())

    async def winning_back(self, workspace_id: int, plan_id: int) -> Mapping[str, int]:
        """How many of those who are being won back by a plan's list stand where: ``mail_1``, ``wait``, ``won_back``."""
        plan = await self.get(workspace_id, plan_id)
        if plan.win_back_list_id is None:
            return {}
        terms, now = PlanTerms.read(json.loads(plan.terms)), self._clock.now()
        found, after = Counter[str](), 0
        while True:

            def read(connection: Connection, after: int = after) -> list[hygiene_people.Person]:
                scope = replace(_scope(connection, plan, terms), list_id=plan.win_back_list_id, tree=None)
                return hygiene_people.read_people(connection, scope, now, after=after, limit=_CHUNK)

            people = await self._database.read(read)
            if not people:
                return found
            found.update(stage_of(one, terms, now) for one in people if one.began_at is not None)
            after = people[-1].contact_id


def _scope(connection: Connection, plan: Plan, terms: PlanTerms) -> PlanScope:
    stream_id = _stream_id(connection, plan.workspace_id)
    return PlanScope(plan.workspace_id, stream_id, plan.list_id, plan.win_back_list_id, terms.protect_tags, terms.tree)


def _stream_id(connection: Connection, workspace_id: int) -> int:
    stream = workspaces.find_stream(connection, workspace_id, _STREAM)
    assert stream is not None  # every workspace begins with it
    return stream.id


def _rule(terms: PlanTerms) -> DormancyRule:
    return terms.rule if terms.rhythm is None else scaled(terms.rule, terms.rhythm)


def _rhythm_of(connection: Connection, list_id: int, now: Microseconds) -> Rhythm:
    """How often a list was written to in the last ninety days."""
    mails = hygiene_people.list_mails(connection, list_id, now - WINDOW_DAYS * DAY)
    return rhythm_of(mails, timedelta(days=WINDOW_DAYS))


def _make_win_back_list(connection: Connection, plan: Plan, now: Microseconds) -> None:
    source = None if plan.list_id is None else contacts.get_list(connection, plan.workspace_id, plan.list_id)
    name = "Win back" if source is None else f"Win back: {source.name}"
    made = contacts.ensure_list(connection, plan.workspace_id, name[:300], now)
    hygiene.move_plan(connection, plan.id, "applying", "applying", win_back_list_id=made.id)


def _tell(connection: Connection, plan: Plan, kind: str, data: Mapping[str, object], now: Microseconds) -> None:
    # With the terms the log can say the sentence in the language of whoever reads it.
    said = {"plan": plan.id, "sentence": plan.sentence, "terms": json.loads(plan.terms)}
    said |= {name: one for name, one in data.items() if one}
    events.append(connection, [NewEvent(plan.workspace_id, kind, now, data=said)], now)
