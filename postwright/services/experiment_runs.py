"""The tests of runs, a step at a time: draw the sample, give out variants, look, decide once, release the rest.

Each state is left by one conditional update, together with what follows from it: a process that dies in the middle of a
decision has either made it or not, and another one makes it then.
"""

import heapq
import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection

from experiments.allocation import Cut, Place, bucket, end_ranks, sample_sizes
from experiments.decision import Verdict, decide
from experiments.errors import ExperimentSyntaxError
from experiments.observations import Look, VariantCount
from experiments.resolution import AskPerson, KeepWaiting, SendVariant, resolve
from mailtypes.clock import HOUR, MINUTE, Clock, Microseconds
from mailtypes.saying import say
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.experiment_terms import ExperimentDraft
from postwright.services.state_words import state_word
from postwright.store import campaigns, events, experiments
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.experiments import ListedExperiment, StoredExperiment, VariantTally

_UNDER_WAY = ("drawing", "assigning", "testing", "asking", "releasing")
_OVER = ("cancelled", "finished")
"""States of a run in which no mail of it goes out any more."""
_LOOK_EVERY = MINUTE
_CHUNK = 20_000
_METRICS = {
    "click": ("clicked", "clicked_perhaps"),
    "open": ("opened", "opened_perhaps"),
    "goal": ("reached_goal", "reached_goal"),
}
"""The fields of a tally that are a metric's lower and upper bound."""


class ExperimentState(StrEnum):
    """Where a test stands, in this order; ``asking``: a person has to choose."""

    DRAWING = "drawing"
    ASSIGNING = "assigning"
    TESTING = "testing"
    ASKING = "asking"
    RELEASING = "releasing"
    FINISHED = "finished"


class ExperimentRuns:
    """What the scheduler does for tests, and what people ask and say of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def step(self) -> int:
        """Do the next thing for every test; returns how many recipients were given something, or decisions made."""
        done = 0
        for test in await self._database.read(partial(experiments.in_states, states=_UNDER_WAY)):
            run = await self._database.read(partial(campaigns.get_run, run_id=test.run_id))
            assert run is not None  # foreign keys
            if run.state in _OVER:
                await self._move(test, "finished")
            elif run.state == "sending" and test.state != ExperimentState.ASKING:
                done += await self._further(test, run)
        return done

    async def _further(self, test: StoredExperiment, run: Run) -> int:
        draft = _draft(test)
        if test.state == "drawing":
            return await self._draw(test, draft)
        if test.state == "assigning":
            return await self._assign(test, run, draft)
        if test.state == "testing":
            return await self._look(test, draft)
        return await self._release(test)

    async def _draw(self, test: StoredExperiment, draft: ExperimentDraft) -> int:
        """Look at everybody once, keep the lowest places: the same whoever draws, and however often."""
        seed = str(json.loads(test.terms)["seed"])
        places: list[Place] = []
        everybody = last = 0
        while chunk := await self._undecided(test.run_id, last):
            last = chunk[-1][0]
            everybody += len(chunk)
            # Nobody beyond the share can be in the sample, whatever comes after.
            most = int(everybody * draft.share) + len(draft.variants)
            places = heapq.nsmallest(max(most, len(places)), [*places, *((bucket(seed, key), key) for _, key in chunk)])
        try:
            sizes = sample_sizes(everybody, draft.share, len(draft.variants))
        except ExperimentSyntaxError as error:
            return await self._decide(test, draft.default, "too_few_recipients", {"sentence": str(error)})
        ends = [places[rank] for rank in end_ranks(sizes)]
        return int(await self._move(test, "assigning", cut=json.dumps({"ends": ends, "sizes": sizes})))

    async def _undecided(self, run_id: int, after: int) -> list[tuple[int, str]]:
        return await self._database.read(partial(experiments.undecided, run_id=run_id, after=after, limit=_CHUNK))

    async def _assign(self, test: StoredExperiment, run: Run, draft: ExperimentDraft) -> int:
        chunk = await self._undecided(test.run_id, test.reached)
        now = self._clock.now()
        if not chunk:
            await self._begin(test, draft, now)
            return 1
        terms, plan = json.loads(test.terms), CampaignPlan.from_json(run.plan)
        cut = Cut(tuple(_place(end) for end in json.loads(test.cut)["ends"]))
        begun = Microseconds(run.created_at)
        due = [begun if one.hour is None else plan.due_at_hour(one.hour, begun) for one in draft.variants]
        rows = []
        for delivery_id, key in chunk:
            variant = cut.variant_of((bucket(terms["seed"], key), key))
            if variant is not None:
                rows.append((delivery_id, variant, due[variant]))
        await self._database.write(partial(experiments.assign, run_id=test.run_id, rows=rows, reached=chunk[-1][0]))
        return len(chunk)

    async def _begin(self, test: StoredExperiment, draft: ExperimentDraft, now: Microseconds) -> None:
        deadline = now + round(draft.wait * HOUR)
        await self._move(test, "testing", started_at=now, deadline=deadline)

    async def _look(self, test: StoredExperiment, draft: ExperimentDraft) -> int:
        now = self._clock.now()
        assert test.started_at is not None  # set on the way into this state
        assert test.deadline is not None
        if test.looked_at is not None and now < min(test.looked_at + _LOOK_EVERY, test.deadline):
            return 0
        look, verdict = await self.judge(test, draft)
        document = {"look": _look_document(look), **verdict_document(verdict)}
        await self._database.write(
            partial(experiments.note_look, run_id=test.run_id, verdict=json.dumps(document), now=now)
        )
        match resolve(draft.policy(test.started_at), verdict, now, Microseconds(test.deadline)):
            case SendVariant(name, cause):
                by = "deadline" if now >= test.deadline and not verdict.is_final else "rule"
                return await self._decide(test, draft.number_of(name), by, {**document, "sentence": cause})
            case AskPerson(proposed, cause):
                asked = {**document, "proposed": proposed, "sentence": cause}
                return await self._ask(test, asked, now)
            case KeepWaiting():
                return 0

    async def judge(self, test: StoredExperiment, draft: ExperimentDraft) -> tuple[Look, Verdict]:
        """The counts of this moment, and what they say; changes nothing."""
        tallies = await self._database.read(partial(experiments.tally, run_id=test.run_id))
        look = _look(tallies, draft)
        return look, decide(look, draft.rules())

    async def _decide(self, test: StoredExperiment, winner: int, by: str, document: dict[str, Any]) -> int:
        """Decide, once: the state, the winner and the event are stored together."""
        now = self._clock.now()

        def store(connection: Connection) -> bool:
            values = {
                "winner": winner,
                "decided_by": by,
                "decided_at": now,
                "verdict": json.dumps(document),
                "reached": 0,  # from here on it tells how far the rest is released
            }
            if not experiments.move(connection, test.run_id, test.state, "releasing", **values):
                return False
            data = {"winner": winner, "by": by, "sentence": document.get("sentence", "")}
            event = events.NewEvent(test.workspace_id, "experiment_decided", now, test.run_id, data=data)
            events.append(connection, [event], now)
            return True

        return int(await self._database.write(store))

    async def _ask(self, test: StoredExperiment, document: dict[str, Any], now: Microseconds) -> int:
        def store(connection: Connection) -> bool:
            if not experiments.move(connection, test.run_id, "testing", "asking", verdict=json.dumps(document)):
                return False
            data = {"proposed": document["proposed"], "sentence": document["sentence"]}
            event = events.NewEvent(test.workspace_id, "experiment_asks", now, test.run_id, data=data)
            events.append(connection, [event], now)
            return True

        return int(await self._database.write(store))

    async def _release(self, test: StoredExperiment) -> int:
        assert test.winner is not None  # set on the way into this state
        place = partial(experiments.release_rest, run_id=test.run_id, winner=test.winner)
        release = partial(place, after=test.reached, limit=_CHUNK)
        released = await self._database.write(release)
        if not released:
            await self._move(test, "finished")
        return released

    async def _move(self, test: StoredExperiment, after: str, **values: object) -> bool:
        return await self._database.write(
            lambda connection: experiments.move(connection, test.run_id, test.state, after, **values)
        )

    async def list(
        self, workspace_id: int, state: str | None = None, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ListedExperiment]:
        """Tests in a state (``None``: in any) with their campaigns, the newest first, behind the run ``before``."""
        asked = partial(experiments.list_experiments, workspace_id=workspace_id, state=state)
        return await self._database.read(partial(asked, before=before, limit=limit))

    async def get(self, workspace_id: int, run_id: int) -> StoredExperiment:
        """The test of a run; raises ``NotFoundError``."""
        found = await self._database.read(partial(experiments.get_experiment, run_id=run_id))
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("experiment")
        return found

    async def choose(self, workspace_id: int, run_id: int, variant: int) -> StoredExperiment:
        """A person's word: everybody else gets this variant. Raises ``RefusedError`` once it is decided."""
        test = await self.get(workspace_id, run_id)
        run = await self._database.read(partial(campaigns.get_run, run_id=run_id))
        if run is None or run.state in _OVER:
            raise RefusedError("wrong_state", say("Nothing is sent any more, so nothing is left to choose."))
        draft = _draft(test)
        if not 0 <= variant < len(draft.variants):
            raise RefusedError("unknown_variant", say("The test has no such variant."), field="variant")
        sentence = {"sentence": say("A person chose %(name)s.", name=draft.variants[variant].name)}
        document = {**json.loads(test.verdict), **sentence}
        if test.state not in {"testing", "asking"} or not await self._decide(test, variant, "person", document):
            raise RefusedError(
                "wrong_state", say("The test is %(state)s; nothing is left to choose.", state=state_word(test.state))
            )
        return await self.get(workspace_id, run_id)


def _draft(test: StoredExperiment) -> ExperimentDraft:
    return ExperimentDraft.from_json(json.dumps(json.loads(test.terms)["draft"]))


def export_document(test: StoredExperiment) -> dict[str, Any]:
    """Seed, sizes, rules and the counts of the last look, as ``experiments.request`` reads them."""
    terms, verdict, cut = json.loads(test.terms), json.loads(test.verdict), json.loads(test.cut)
    draft = _draft(test)
    if not verdict.get("look"):
        raise RefusedError("no_look", say("Nothing was counted yet."), next_step=say("Ask again in a few minutes."))
    variants = [{key: value for key, value in one.items() if value is not None} for one in verdict["look"]]
    return {
        "metric": draft.metric,
        "mode": draft.mode,
        "seed": terms["seed"],
        "sizes": cut["sizes"] if cut else [],
        "rules": {"alpha": draft.alpha, "margin": draft.margin},
        "looks": [{"variants": variants}],
    }


def _place(written: Sequence[Any]) -> Place:
    return int(written[0]), str(written[1])


def _look(tallies: Sequence[VariantTally], draft: ExperimentDraft) -> Look:
    by_number = {one.variant: one for one in tallies}
    lower, upper = _METRICS[draft.metric]
    counts = []
    for number, variant in enumerate(draft.variants):
        one = by_number.get(number, VariantTally(number))
        # Who opened before the reply was stored is counted all the same.
        recipients = max(one.delivered, getattr(one, upper), one.unsubscribed, one.complained)
        counts.append(
            VariantCount(
                variant.name, recipients, getattr(one, lower), getattr(one, upper), one.unsubscribed, one.complained
            )
        )
    return Look(tuple(counts))


def _look_document(look: Look) -> list[dict[str, Any]]:
    return [asdict(one) for one in look.variants]


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is stored and told."""
    return {
        "answer": str(verdict.answer),
        "winner": verdict.winner,
        "cause": str(verdict.cause),
        "sentence": verdict.sentence,
        "margin": verdict.margin,
        "contenders": list(verdict.contenders),
        "pairs": [
            {"first": pair.first, "second": pair.second, "adjusted_p": pair.adjusted_p, **asdict(pair.difference)}
            for pair in verdict.pairs
        ],
    }
