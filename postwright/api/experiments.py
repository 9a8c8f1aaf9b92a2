"""The tests that campaigns make: where they stand, what was decided and why, and everything to recompute it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from experiments.power import Plan, Terms, detectable_lift, plan_sample
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.campaigns import check_sender_of
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    CAMPAIGN,
    RUN,
    Answer,
    Moment,
    Page,
    PageWanted,
    Reference,
    Text,
    Wanted,
    inward,
    optional_moment,
    outward,
)
from postwright.services.errors import RefusedError
from postwright.services.experiment_runs import ExperimentRuns, ExperimentState, export_document
from postwright.services.experiment_terms import ExperimentDraft
from postwright.store.experiments import ListedExperiment, StoredExperiment


class ExperimentShown(Answer):
    """A test. `verdict` is what the last look, or the decision, said."""

    run: str
    state: str = Field(description="drawing, assigning, testing, asking (for a person's word), releasing or finished")
    metric: str
    mode: str
    variants: list[str]
    varied: list[str] = Field(description="What differs; more than one thing, and nobody knows which of them it was.")
    started_at: Moment | None
    deadline: Moment | None
    decided_at: Moment | None
    winner: str | None
    decided_by: str = Field(description="rule, deadline, person or too_few_recipients")
    verdict: Mapping[str, Any]


class ExperimentSummary(Answer):
    """A test in a list. `verdict` is left out; `GET /v1/experiments/{run}` has it."""

    run: str
    campaign: Reference
    state: ExperimentState
    metric: str
    mode: str
    variants: list[str]
    started_at: Moment | None
    deadline: Moment | None
    decided_at: Moment | None
    winner: str | None
    decided_by: str = Field(description="rule, deadline, person or too_few_recipients; empty before.")


class ExperimentsWanted(PageWanted):
    """Which tests."""

    state: ExperimentState | None = Field(None, description="Those that stand so.")


class ChoiceWanted(Wanted):
    """The variant that everybody else gets."""

    variant: Text = Field(max_length=50)


class PowerWanted(Wanted):
    """A rate as it is, and the relative lift that would be worth having."""

    baseline: float = Field(gt=0, lt=1)
    lift: float = Field(description="0.2 is 20 % more; below 0 is less.")
    variants: int = Field(2, ge=2, le=5)
    power: float = Field(0.8, gt=0.5, lt=1)
    alpha: float = Field(0.05, gt=0, le=0.2)
    recipients: int | None = Field(None, ge=1, description="How many each variant can have: what could be detected.")


class PowerShown(Answer):
    """How many recipients each variant needs: looked at once, and looked at whenever one likes."""

    one_look: int
    any_look: int
    price: float = Field(description="How many times more it costs to look whenever one likes.")
    detectable_lift: float | None = Field(description="The smallest lift that `recipients` can show, if they can.")


async def list_experiments(caller: Reader, query: Annotated[ExperimentsWanted, Query()]) -> Page[ExperimentSummary]:
    """Tests of campaigns, the newest first; with `state=asking` those that wait for a person's word."""
    (before,) = read_cursor("experiments", query.cursor)
    rows = await _tests(caller).list(caller.workspace_id, query.state, before=before or None, limit=query.limit + 1)
    return make_page("experiments", rows, query.limit, _summary, lambda one: (one.test.run_id,), query.cursor)


async def get_experiment(run_id: str, caller: Reader) -> ExperimentShown:
    """Where a run's test stands."""
    return _shown(run_id, await _tests(caller).get(caller.workspace_id, inward(RUN, run_id)))


async def choose_variant(run_id: str, wanted: ChoiceWanted, caller: Sender) -> ExperimentShown:
    """Say which variant everybody else gets, whatever the test would say."""
    found = await _tests(caller).get(caller.workspace_id, inward(RUN, run_id))
    run = await caller.services.references.run(caller.workspace_id, found.run_id)
    if run.campaign_id is not None:
        await check_sender_of(caller, run.campaign_id)
    names = [one.name for one in _draft(found).variants]
    if wanted.variant not in names:
        sentence = f"The test has no variant '{wanted.variant}'; it has {', '.join(names)}."
        raise RefusedError("unknown_variant", sentence, field="variant")
    chosen = await _tests(caller).choose(caller.workspace_id, found.run_id, names.index(wanted.variant))
    return _shown(run_id, chosen)


async def export_experiment(run_id: str, caller: Reader) -> dict[str, Any]:
    """Seed, sizes, rules and counts: what `postwright experiment decide` takes, so that anybody can recompute it."""
    tests = _tests(caller)
    return export_document(await tests.get(caller.workspace_id, inward(RUN, run_id)))


async def plan_experiment(wanted: PowerWanted, _caller: Reader) -> PowerShown:
    """How large a sample has to be before sending, and what a list cannot detect."""
    terms = Terms(alpha=wanted.alpha, power=wanted.power, variants=wanted.variants)
    plan: Plan = plan_sample(wanted.baseline, wanted.lift, terms)
    recipients = wanted.recipients
    detectable = None if recipients is None else detectable_lift(wanted.baseline, recipients, terms)
    return PowerShown(
        one_look=plan.one_look, any_look=plan.any_look, price=plan.any_look / plan.one_look, detectable_lift=detectable
    )


def add_experiment_routes(router: APIRouter) -> None:
    """The routes of tests."""
    router.add_api_route("/experiments/power", plan_experiment, methods=["POST"])
    router.add_api_route("/experiments", list_experiments, methods=["GET"])
    router.add_api_route("/experiments/{run_id}", get_experiment, methods=["GET"])
    router.add_api_route("/experiments/{run_id}/choose", choose_variant, methods=["POST"])
    router.add_api_route("/experiments/{run_id}/export", export_experiment, methods=["GET"])


def _tests(caller: Caller) -> ExperimentRuns:
    return ExperimentRuns(caller.services.database, caller.services.clock)


def _draft(found: StoredExperiment) -> ExperimentDraft:
    return ExperimentDraft.from_json(json.dumps(json.loads(found.terms)["draft"]))


def _summary(listed: ListedExperiment) -> ExperimentSummary:
    found, draft = listed.test, _draft(listed.test)
    return ExperimentSummary(
        run=outward(RUN, listed.begun_at, found.run_id),
        campaign=Reference(
            id=outward(CAMPAIGN, listed.campaign_created_at, listed.campaign_id), name=listed.campaign_name
        ),
        state=ExperimentState(found.state),
        metric=draft.metric,
        mode=draft.mode,
        variants=[one.name for one in draft.variants],
        started_at=optional_moment(found.started_at),
        deadline=optional_moment(found.deadline),
        decided_at=optional_moment(found.decided_at),
        winner=None if found.winner is None else draft.variants[found.winner].name,
        decided_by=found.decided_by,
    )


def _shown(run_id: str, found: StoredExperiment) -> ExperimentShown:
    draft = _draft(found)
    return ExperimentShown(
        run=run_id,
        state=found.state,
        metric=draft.metric,
        mode=draft.mode,
        variants=[one.name for one in draft.variants],
        varied=list(draft.varied),
        started_at=optional_moment(found.started_at),
        deadline=optional_moment(found.deadline),
        decided_at=optional_moment(found.decided_at),
        winner=None if found.winner is None else draft.variants[found.winner].name,
        decided_by=found.decided_by,
        verdict=json.loads(found.verdict),
    )
