"""``postwright experiment``: plan and judge A/B tests from counts alone; works without an install."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.table import Table

from experiments.click_curve import Wait, assumed_curve, wait_for
from experiments.errors import ExperimentSyntaxError
from experiments.power import DEFAULT_LOOKS, DEFAULT_POWER, Plan, Terms, detectable_lift, plan_sample
from experiments.report import export, report
from experiments.request import parse_experiment
from experiments.simulation import Arrival, Scenario, Tally, simulate
from mailtypes.clock import as_datetime
from postwright.cli.check_ground import read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json

if TYPE_CHECKING:
    from postwright.store.experiments import ListedExperiment

app = typer.Typer(
    help="A/B tests: plan the sample, judge the counts; needs no install.", no_args_is_help=True, add_completion=False
)
BaselineOption = typer.Option(..., help="The rate that is usual now, as a fraction: 2 % is 0.02.")
PowerOption = typer.Option(DEFAULT_POWER, help="How surely such a lift is to be found.")
AlphaOption = typer.Option(0.05, help="How often a winner may be false, at most, over all looks.")
VariantsOption = typer.Option(2, help="How many variants, two to five.")
LooksOption = typer.Option(DEFAULT_LOOKS, help="How often one means to look; any number is allowed later.")


@app.command("power")
def power(
    baseline: float = BaselineOption,
    lift: float | None = typer.Option(None, help="The relative lift worth finding: 0.2 from 2 % is 2.4 %."),
    audience: int | None = typer.Option(None, help="People on the list: shows what it can find at all, and how soon."),
    power: float = PowerOption,
    alpha: float = AlphaOption,
    variants: int = VariantsOption,
    looks: int = LooksOption,
    as_json: bool = JsonOption,
) -> None:
    """Say how many people a test needs, what looking early costs, and what a list cannot detect."""
    if lift is None and audience is None:
        raise typer.BadParameter("Give --lift, or --audience to see what a list can find.")
    with explained():
        terms = Terms(alpha, power, variants, looks)
        plan = plan_sample(baseline, lift, terms) if lift is not None else None
        each = audience // variants if audience is not None else None
        if each is not None and each < 1:
            raise ExperimentSyntaxError("audience", "Too few people.", next_step="Give the people on the list.")
        least = detectable_lift(baseline, each, terms) if each is not None else None
        wait = wait_for(plan.any_look, each, assumed_curve(), baseline) if plan and each else None
    document = _power_document(baseline, terms, plan, (audience, least, wait))
    if as_json:
        print_json(document)
    else:
        _print_power(document)


def _power_document(
    baseline: float, terms: Terms, plan: Plan | None, of_list: tuple[int | None, float | None, Wait | None]
) -> dict[str, Any]:
    audience, least, wait = of_list
    document: dict[str, Any] = {"baseline": baseline, **asdict(terms)}
    if plan is not None:
        document |= {
            "lift": plan.lift,
            "better_rate": baseline * (1 + plan.lift),
            "one_look": {"per_variant": plan.one_look, "total": plan.one_look * terms.variants},
            "any_look": {"per_variant": plan.any_look, "total": plan.people},
            "price_of_looking": plan.price,
            "rules": {"alpha": terms.alpha, "margin": abs(plan.lift), "information": plan.rules().information},
        }
    if audience is not None:
        document |= {"audience": audience, "detectable_lift": least}
    if wait is not None:
        document["wait"] = {"hours": wait.hours, "share_of_clicks": wait.share, "curve": wait.source}
    return document


def _line(text: str) -> None:
    console.print(text, soft_wrap=True)


def _print_power(found: dict[str, Any]) -> None:
    base = f"{100 * found['baseline']:.4g} %"
    if "one_look" in found:
        one, any_ = found["one_look"], found["any_look"]
        _line(
            f"From {base} to {100 * found['better_rate']:.4g} %, found with {100 * found['power']:g} %, at most"
            f" {100 * found['alpha']:g} % false winners, {found['variants']} variants:"
        )
        _line(f"  one look at the end    {one['per_variant']:>12,} a variant  {one['total']:>12,} in all")
        _line(
            f"  looking at any time    {any_['per_variant']:>12,} a variant  {any_['total']:>12,} in all"
            f"  ({found['price_of_looking']:.2f} times as many)"
        )
    if "audience" in found:
        least = found["detectable_lift"]
        _line(
            f"A list of {found['audience']:,} cannot detect any lift from {base}."
            if least is None
            else f"A list of {found['audience']:,} cannot detect a lift of less than {100 * least:.3g} % from {base}"
            f" (to {100 * found['baseline'] * (1 + least):.4g} %)."
        )
    if "wait" in found:
        hours, source = found["wait"]["hours"], found["wait"]["curve"]
        _line(
            "The whole list is too small for that lift, however long one waits."
            if hours is None
            else f"With the whole list in the test, wait {hours:.1f} hours (clicks: {source})."
        )


@app.command("decide")
def decide(
    file: Path = typer.Argument(help="Counts of the variants, or looks over time, as JSON.", metavar="FILE"),
    for_export: bool = typer.Option(False, "--export", help="Print all that is needed to compute it again, as JSON."),
    as_json: bool = JsonOption,
) -> None:
    """Say which variant won: exits with 0 for a winner or no difference worth having, with 2 where it is not known."""
    with explained():
        experiment = parse_experiment(read_file(file).decode("utf-8-sig"))
        document = export(experiment) if for_export else report(experiment)
    result = document["result"] if for_export else document
    if as_json or for_export:
        print_json(document)
    else:
        _print_verdict(result)
    if result["verdict"] == "not_yet_known":
        raise typer.Exit(int(Exit.UNKNOWN))


_ANSWERS = {
    "winner": "Winner",
    "no_difference": "No difference worth having",
    "not_yet_known": "Not yet known",
}


def _print_verdict(found: dict[str, Any]) -> None:
    winner = f": {escape(found['winner'])}" if found["winner"] else ""
    console.print(f"[bold]{_ANSWERS[found['verdict']]}{winner}.[/] {escape(found['sentence'])}", soft_wrap=True)
    ratio = found["sample_ratio"]
    console.print(f"Sample ratio: {ratio['state']}. {escape(ratio['cause'])}", soft_wrap=True)
    rates = Table("variant", "recipients", "successes", "rate", "best with", "expected loss", box=None)
    for one in found["variants"]:
        rates.add_row(
            escape(one["name"]),
            f"{one['recipients']:,}",
            f"{one['successes']:,}",
            f"{100 * one['rate']:.3g} %",
            f"{100 * one['p_best']:.1f} %",
            f"{100 * one['expected_loss']:.2g} points",
        )
    console.print(rates)
    pairs = Table("pair", "difference (points)", "always-valid interval", "p (Holm)", "z, p if seen once", box=None)
    for pair in found["pairs"]:
        low, high = pair["interval"]
        once = "-" if pair["z"] is None else f"{pair['z']:.2f}, {pair['p']:.2g}"
        pairs.add_row(
            escape(f"{pair['second']} - {pair['first']}"),
            f"{100 * pair['difference']:+.3g}",
            f"{100 * low:+.3g} to {100 * high:+.3g}",
            f"{pair['holm_p']:.2g}",
            once,
        )
    console.print(pairs)


@app.command("list")
def list_tests(
    state: str | None = typer.Option(
        None, help="Only those that stand so, for instance asking: a person has to choose."
    ),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JsonOption,
) -> None:
    """List the tests of campaigns, the newest first; needs an install, unlike the others."""
    # The application is a lot to import, and the other commands work without one.
    from postwright.cli.session import print_table, run  # noqa: PLC0415
    from postwright.services.experiment_runs import ExperimentState  # noqa: PLC0415

    if state not in {None, *ExperimentState}:
        raise typer.BadParameter(f"It is one of {', '.join(ExperimentState)}.", param_hint="--state")
    rows = run(lambda application, workspace: application.experiment_runs.list(workspace.id, state, limit=limit))
    documents = [_test_document(one) for one in rows]
    if as_json:
        for document in documents:
            print_json(document)
        return
    shown = [
        (one["campaign"], one["state"], " / ".join(one["variants"]), one["deadline"] or "", one["winner"] or "")
        for one in documents
    ]
    print_table(("campaign", "state", "variants", "deadline", "winner"), shown, empty="No campaign tests anything.")


def _test_document(listed: "ListedExperiment") -> dict[str, Any]:
    test = listed.test
    names = [one["name"] for one in json.loads(test.terms)["draft"]["variants"]]
    moments = {name: getattr(test, name) for name in ("started_at", "deadline", "decided_at")}
    return {
        "campaign": listed.campaign_name,
        "state": test.state,
        "variants": names,
        **{name: None if at is None else f"{as_datetime(at):%Y-%m-%dT%H:%M:%SZ}" for name, at in moments.items()},
        "winner": None if test.winner is None else names[test.winner],
        "decided_by": test.decided_by,
    }


@app.command("simulate")
def simulate_command(
    baseline: float = BaselineOption,
    lift: float = typer.Option(0.2, help="The true lift of the better variant; 0 makes an A/A test of the same size."),
    plan_lift: float = typer.Option(0.2, help="The lift that the sample is planned for."),
    power: float = PowerOption,
    looks: int = LooksOption,
    trials: int = typer.Option(200, min=1, max=20_000, help="How many tests to run."),
    seed: int = typer.Option(1, min=0, max=2**32 - 1, help="The same seed gives the same numbers."),
    arrival: Arrival = typer.Option(Arrival.CLICKS, help="What grows from look to look."),
    as_json: bool = JsonOption,
) -> None:
    """Try the decision on made-up readers: how often it is right, wrong, or silent; needs no install."""
    from numpy.random import RandomState  # noqa: PLC0415  # takes a while to load

    with explained():
        plan = plan_sample(baseline, plan_lift, Terms(power=power, looks=looks))
        better = baseline * (1 + lift)
        if not 0 < better < 1:
            raise ExperimentSyntaxError("lift", f"{lift} leads to no rate.", next_step="Give a relative lift, as 0.2.")
        scenario = Scenario((baseline, better), plan.any_look, plan.rules(), looks, arrival)
        tally = simulate(scenario, trials, RandomState(seed))
    if as_json:
        print_json({"recipients": plan.any_look, "looks": looks, "seed": seed, **asdict(tally)})
    else:
        _print_tally(plan, tally)


def _print_tally(plan: Plan, tally: Tally) -> None:
    rows = Table("of the tests", "by this decision", "by p < .05 at any look", box=None)
    for name, ours, peeking in (
        ("right winner", tally.right, tally.peeking_right),
        ("wrong winner", tally.wrong, tally.peeking_wrong),
        ("no difference worth having", tally.no_difference, None),
        ("not yet known", tally.not_yet_known, None),
    ):
        shown = "" if peeking is None else f"{100 * peeking / tally.trials:.1f} %"
        rows.add_row(name, f"{100 * ours / tally.trials:.1f} %", shown)
    console.print(f"{tally.trials:,} tests, up to {plan.any_look:,} people a variant.")
    console.print(rows)
    console.print(f"Half of them were decided with {100 * tally.median_share:.0f} % of the sample.")
