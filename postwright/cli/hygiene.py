"""``postwright hygiene``: plans to prune, shown, applied and undone; settings; how lists do."""

import json
from dataclasses import replace
from typing import Any

import typer

from hygiene.dormancy import PRESETS, QUIET_FOR_A_YEAR, Rhythm
from hygiene.pruning import ListNumbers
from hygiene.segments.document import as_document
from mailtypes.clock import as_datetime
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.hygiene_plans import PlanSummary
from postwright.services.hygiene_terms import HygieneSettings, PlanTerms
from postwright.services.list_health import ListVerdict
from postwright.services.segments import read_tree
from postwright.store.hygiene import Step
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Lists that stay clean.", no_args_is_help=True, add_completion=False)
_PLAN = typer.Argument(help="The number of the plan.")
_RHYTHMS = ("auto", *(str(one) for one in Rhythm))
_BY = "command line"


@app.command("plan")
def plan(
    target: str | None = typer.Option(None, "--list", help="Only contacts of this list; without it all."),
    preset: str = typer.Option(QUIET_FOR_A_YEAR.name, help=f"Who is dormant: {', '.join(PRESETS)}."),
    segment: str | None = typer.Option(None, help="The stored segment of the dormant, instead of a preset."),
    tree: str | None = typer.Option(None, help="The same as a tree in JSON."),
    rhythm: str | None = typer.Option(None, help="Fit the preset to how often the list is written to: auto, daily, …"),
    removal: str = typer.Option("archive", help="What becomes of them in the end: archive or suppress."),
    at_once: bool = typer.Option(False, "--at-once", help="Remove them without asking; for those asked elsewhere."),
    mails: int = typer.Option(3, min=2, max=3, help="How many mails ask them to stay."),
    protect: list[str] = typer.Option([], "--protect-tag", help="Leave alone who carries this tag; may be repeated."),
    as_json: bool = JsonOption,
) -> None:
    """Make a plan and show it: who, why, and the numbers before and after. Nothing is changed by it."""
    if rhythm is not None and rhythm not in _RHYTHMS:
        raise typer.BadParameter(f"Give one of {', '.join(_RHYTHMS)}.", param_hint="--rhythm")
    if tree is not None and segment is not None:
        raise typer.BadParameter("Give --segment or --tree.")
    with explained():
        given = None if tree is None else as_document(read_tree(tree))
    document = {
        "preset": preset,
        "tree": given,
        "rhythm": None if rhythm == "auto" else rhythm,
        "removal": removal,
        "ask_first": not at_once,
        "mails": mails,
        "protect_tags": protect,
    }

    async def work(application: Application, workspace: Workspace) -> tuple[PlanSummary, list[Step]]:
        plans = application.hygiene_plans
        if segment is not None:
            found = await application.segments.find(workspace.id, segment)
            document["tree"] = json.loads(found.tree)
        terms = PlanTerms.read(document)
        if rhythm == "auto":
            written_to = Rhythm.MONTHLY if target is None else await plans.rhythm_of_list(workspace.id, target)
            terms = replace(terms, rhythm=written_to)
        plan_id = await plans.make(workspace.id, terms, target, by=_BY)
        await plans.finish(workspace.id, plan_id)
        return await plans.summary(workspace.id, plan_id), await plans.steps(workspace.id, plan_id, limit=5)

    summary, steps = run(work)
    _print_plan(summary, steps, as_json=as_json)


@app.command("show")
def show(
    plan_id: int | None = typer.Argument(None, help="The number of the plan; without it all plans."),
    limit: int = typer.Option(20, min=0, max=1_000_000, help="How many contacts at most."),
    as_json: bool = JsonOption,
) -> None:
    """A plan with its contacts, or all plans."""
    if plan_id is None:
        found = run(lambda application, workspace: application.hygiene_plans.page(workspace.id, limit=1000))
        rows = [(one.id, one.state, _moment(one.made_at), one.made_by, one.sentence) for one in found]
        if as_json:
            for row in rows:
                print_json(dict(zip(("plan", "state", "made_at", "made_by", "sentence"), row, strict=True)))
            return
        print_table(("plan", "state", "made", "by", "sentence"), rows, empty="No plan yet.")
        return

    async def work(application: Application, workspace: Workspace) -> tuple[PlanSummary, list[Step], Any]:
        plans = application.hygiene_plans
        summary = await plans.summary(workspace.id, plan_id)
        steps = await plans.steps(workspace.id, plan_id, limit=limit)
        return summary, steps, await plans.winning_back(workspace.id, plan_id)

    summary, steps, stages = run(work)
    _print_plan(summary, steps, as_json=as_json)
    if stages and not as_json:
        told = ", ".join(f"{number:,} {stage}" for stage, number in sorted(stages.items()))
        console.print(f"Winning back by the list '{summary.win_back_list}': {told}.", markup=False)


@app.command("apply")
def apply(plan_id: int = _PLAN, as_json: bool = JsonOption) -> None:
    """Apply a plan; contacts who changed or came to life since it was made are skipped. Again is no harm."""

    async def work(application: Application, workspace: Workspace) -> PlanSummary:
        plans = application.hygiene_plans
        await plans.apply(workspace.id, plan_id, by=_BY)
        await plans.finish(workspace.id, plan_id)
        return await plans.summary(workspace.id, plan_id)

    _print_ending(run(work), as_json=as_json)


@app.command("undo")
def undo(plan_id: int = _PLAN, as_json: bool = JsonOption) -> None:
    """Bring back exactly what was before; who was changed since then by anybody stays so."""

    async def work(application: Application, workspace: Workspace) -> PlanSummary:
        plans = application.hygiene_plans
        await plans.undo(workspace.id, plan_id, by=_BY)
        await plans.finish(workspace.id, plan_id)
        return await plans.summary(workspace.id, plan_id)

    _print_ending(run(work), as_json=as_json)


@app.command("discard")
def discard(plan_id: int = _PLAN) -> None:
    """Throw a plan away that was not applied, or that was undone."""
    run(lambda application, workspace: application.hygiene_plans.discard(workspace.id, plan_id))
    console.print("Discarded.")


@app.command("health")
def health(as_json: bool = JsonOption) -> None:
    """How lists do: bounces and complaints of the last 30 days, and what they prove."""
    found: list[ListVerdict] = run(lambda application, workspace: application.lists_health.all(workspace.id))
    rows = [
        (one.contact_list.name, one.contacts, one.counts.sent, one.counts.bounced, one.counts.complained,
         str(one.verdict.health), one.verdict.cause)
        for one in found
    ]  # fmt: skip
    names = ("list", "contacts", "sent", "bounced", "complained", "health", "cause")
    if as_json:
        for row in rows:
            print_json(dict(zip(names, row, strict=True)))
        return
    print_table(names, rows, empty="No list yet.")


@app.command("settings")
def settings(
    soft_bounces: str | None = typer.Option(None, help="seven_in_a_row, three_over_14_days or fifteen_in_a_row."),
    schedule: bool | None = typer.Option(
        None, "--schedule/--no-schedule", help="Make plans over all contacts by itself."
    ),
    apply_plans: bool | None = typer.Option(None, "--apply/--no-apply", help="Apply those for pruning, too."),
    look_every: int | None = typer.Option(None, min=1, max=24, help="Months between looks."),
    prune_every: int | None = typer.Option(None, min=1, max=24, help="Months between prunings."),
    tags: bool | None = typer.Option(None, "--tags/--no-tags", help="Keep up low_engagement and opened_last_three."),
    as_json: bool = JsonOption,
) -> None:
    """Show or change how this workspace keeps its lists clean."""
    named = {
        "soft_bounces": soft_bounces,
        "is_scheduled": schedule,
        "applies_plans": apply_plans,
        "look_every": look_every,
        "prune_every": prune_every,
        "sets_tags": tags,
    }
    wanted: dict[str, Any] = {name: value for name, value in named.items() if value is not None}

    async def work(application: Application, workspace: Workspace) -> HygieneSettings:
        kept = application.hygiene_schedule
        if wanted:
            await kept.change(workspace.id, replace(await kept.settings(workspace.id), **wanted))
        return await kept.settings(workspace.id)

    document = json.loads(run(work).written())
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        console.print(f"{name}: {value}", markup=False)


def _print_plan(summary: PlanSummary, steps: list[Step], *, as_json: bool) -> None:
    if as_json:
        print_json(_document(summary) | {"contacts": [_step(one) for one in steps]})
        return
    plan_ = summary.plan
    console.print(f"Plan {plan_.id} ({plan_.state}): {plan_.sentence}", markup=False)
    for move, number in sorted(summary.moves.items()):
        console.print(f"  {move}: {number:,}")
    rows = [(name, *_shown(numbers)) for name, numbers in (("before", summary.before), ("after", summary.after))]
    print_table(("", "contacts", "mails in 90 days", "opened", "bounced"), rows, empty="")
    if plan_.unknown:
        console.print(f"Cannot be judged, since tracking is off for them: {plan_.unknown:,}")
    if plan_.doubt:
        console.print(f"Doubtful: {plan_.doubt}", markup=False)
    if steps:
        print_table(("address", "move", "state", "why"), [tuple(_step(one).values()) for one in steps], empty="")
    if plan_.state == "ready" and summary.moves:
        console.print(f"Nothing was changed. Apply it with: postwright hygiene apply {plan_.id}")


def _shown(numbers: ListNumbers) -> tuple[str, str, str, str]:
    rates = (_percent(numbers.open_rate), _percent(numbers.bounce_rate))
    return f"{numbers.contacts:,}", f"{numbers.sent:,}", *rates


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _step(one: Step) -> dict[str, str]:
    return {"address": one.address, "move": one.move, "state": one.state, "why": one.why}


def _print_ending(summary: PlanSummary, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(summary))
        return
    told = ", ".join(f"{number:,} {state}" for state, number in sorted(summary.states.items()))
    console.print(f"Plan {summary.plan.id} is {summary.plan.state}: {told or 'nothing to do'}.")
    if summary.win_back_list and summary.plan.state == "applied" and summary.moves.get("reengage"):
        mails = summary.terms.reengagement.mails
        console.print(f"Send {mails} campaigns to the list '{summary.win_back_list}', a week apart.", markup=False)


def _document(summary: PlanSummary) -> dict[str, Any]:
    return {
        "plan": summary.plan.id,
        "state": summary.plan.state,
        "sentence": summary.plan.sentence,
        "list": summary.list_name,
        "win_back_list": summary.win_back_list,
        "before": _numbers(summary.before),
        "after": _numbers(summary.after),
        "dormant": summary.plan.dormant,
        "unknown": summary.plan.unknown,
        "doubt": summary.plan.doubt,
        "moves": dict(summary.moves),
        "steps": dict(summary.states),
    }


def _numbers(numbers: ListNumbers) -> dict[str, Any]:
    return {
        "contacts": numbers.contacts,
        "sent": numbers.sent,
        "bounced": numbers.bounced,
        "opened": numbers.opened,
        "open_rate": numbers.open_rate,
        "bounce_rate": numbers.bounce_rate,
    }


def _moment(at: int) -> str:
    return as_datetime(at).isoformat("T", "minutes")
