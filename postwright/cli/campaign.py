"""``postwright campaign``: create, pre-flight, send, pause, resume, cancel, repeat, watch, and what it tests."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import typer
from rich.markup import escape

from postwright.cli import campaign_options, campaign_overrides
from postwright.cli.campaign_history import print_comparison
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import problem_text
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import CampaignDraft
from postwright.services.campaigns import Campaigns, CampaignStatus
from postwright.services.comparison import CampaignComparison
from postwright.services.errors import NotFoundError
from postwright.services.experiment_terms import ExperimentDraft
from postwright.services.preflight import Preflight
from postwright.store.campaigns import Campaign
from postwright.store.contacts import list_lists
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Campaigns: one mail to many, at its time, tested.", no_args_is_help=True, add_completion=False)
campaign_overrides.add_to(app)
_NAME = typer.Argument(help="The campaign's name.")


@app.command("create")
def create(
    name: str = _NAME,
    target: str | None = typer.Option(None, "--list", help="The list it goes to, and is unsubscribed from."),
    template: str = typer.Option(..., help="The template."),
    from_address: str = typer.Option(..., "--from", help="The From address, in a sender domain."),
    from_name: str = typer.Option("", help="The name beside it."),
    reply_to: str | None = typer.Option(None, help="Where answers go."),
    subject: str = typer.Option("", help="The subject; the template's own by default."),
    stream: str = typer.Option("marketing", help="marketing or transactional."),
    audience: str | None = campaign_options.AUDIENCE,
    without: list[str] = campaign_options.WITHOUT,
    at: str | None = campaign_options.AT,
    zone: str = campaign_options.ZONE,
    hours: str | None = campaign_options.HOURS,
    local_time: bool = campaign_options.LOCAL_TIME,
    limit: str | None = campaign_options.LIMIT,
    experiment: Path | None = campaign_options.EXPERIMENT,
    also_from: list[str] = campaign_options.ALSO_FROM,
) -> None:
    """Create a draft: to a list, to an audience, or to those in both."""
    tree = campaign_options.read_tree(audience)
    left_out = tuple({"segment": name} for name in without)
    plan = campaign_options.read_plan(at, zone, hours, local_time)
    frequency_limit = campaign_options.read_limit(limit)
    tested = campaign_options.read_experiment_file(experiment)
    others = campaign_options.read_senders(also_from)

    async def work(application: Application, workspace: Workspace) -> Campaign:
        lists = await application.database.read(lambda connection: list_lists(connection, workspace.id))
        templates = await application.templates.list(workspace.id)
        list_id = None if target is None else next((one.id for one, _ in lists if one.name == target), 0)
        template_id = next((one.template.id for one in templates if one.template.name == template), 0)
        draft = CampaignDraft(
            name=name,
            audience=AudienceDraft(list_id, tree, left_out),
            template_id=template_id,
            from_address=from_address,
            from_name=from_name,
            reply_to=reply_to,
            subject=subject,
            stream=stream,
            plan=plan,
            frequency_limit=frequency_limit,
            experiment=tested,
            other_senders=others,
        )
        return await application.campaigns.create(workspace.id, draft)

    campaign = run(work)
    console.print(f"Draft '{campaign.name}'. Next: postwright campaign preflight '{campaign.name}'", markup=False)


@app.command("preflight")
def preflight(name: str = _NAME, as_json: bool = JsonOption) -> None:
    """Show what would keep a campaign from being sent. Exit 1 where something does."""

    async def work(application: Application, workspace: Workspace) -> Preflight:
        campaign = await _find(application.campaigns, workspace, name)
        return await application.campaigns.preflight(workspace.id, campaign.id)

    found = run(work)
    if as_json:
        print_json(
            {
                "blocking": [_document(one) for one in found.blocking],
                "advisory": [_document(one) for one in found.advisory],
                "overridable": sorted(found.overridable),
                "overruled": [
                    {"problem": _document(one.problem), **campaign_overrides.override_document(one.override)}
                    for one in found.overruled
                ],
                "lapsed": [campaign_overrides.override_document(one) for one in found.lapsed],
                "recipients": found.recipients,
                "sampled": found.sampled,
                "largest_html": found.largest_html,
            }
        )
    else:
        for mark, problems in (("[red]✗[/]", found.blocking), ("[yellow]![/]", found.advisory)):
            for problem in problems:
                console.print(mark, end=" ")
                console.print(problem_text(problem), markup=False, soft_wrap=True)
                if problem.code in found.overridable:
                    step = f"  Or say why not: postwright campaign overrule '{name}' {problem.code} --note …"
                    console.print(step, markup=False, soft_wrap=True)
        campaign_overrides.print_overrides(found)
        console.print(
            f"{found.recipients:,} contacts on the list; {found.sampled:,} merged; largest HTML {found.largest_html:,}"
            f" octets; {found.layouts} layouts."
        )
    if found.blocking:
        raise typer.Exit(int(Exit.REFUSED))


def _document(problem: object) -> dict[str, object]:
    return {name: getattr(problem, name) for name in type(problem).__slots__}  # type: ignore[attr-defined]


def _acting(action: Callable[[Campaigns], Callable[[int, int], Awaitable[CampaignStatus]]], name: str) -> None:
    async def work(application: Application, workspace: Workspace) -> CampaignStatus:
        campaign = await _find(application.campaigns, workspace, name)
        return await action(application.campaigns)(workspace.id, campaign.id)

    _print_status(run(work), as_json=False)


@app.command("send")
def send(name: str = _NAME) -> None:
    """Pre-flight a draft and send it, now or at its time; `postwright serve` does the sending."""
    _acting(lambda campaigns: campaigns.send, name)


@app.command("pause")
def pause(name: str = _NAME) -> None:
    """Stop sending for now."""
    _acting(lambda campaigns: campaigns.pause, name)


@app.command("resume")
def resume(name: str = _NAME) -> None:
    """Go on with a paused campaign."""
    _acting(lambda campaigns: campaigns.resume, name)


@app.command("cancel")
def cancel(name: str = _NAME) -> None:
    """Send no more of it, for good."""
    _acting(lambda campaigns: campaigns.cancel, name)


@app.command("repeat")
def repeat(name: str = _NAME) -> None:
    """Send a finished campaign once more, to whoever is in its audience now."""
    _acting(lambda campaigns: campaigns.repeat, name)


@app.command("unschedule")
def unschedule(name: str = _NAME) -> None:
    """Make a draft of a scheduled campaign again."""

    async def work(application: Application, workspace: Workspace) -> Campaign:
        campaign = await _find(application.campaigns, workspace, name)
        return await application.campaigns.unschedule(workspace.id, campaign.id)

    console.print(f"'{run(work).name}' is a draft again.", markup=False)


@app.command("copy")
def copy(name: str = _NAME, new_name: str = typer.Argument(help="The name of the copy.")) -> None:
    """Make a draft like it."""

    async def work(application: Application, workspace: Workspace) -> Campaign:
        campaign = await _find(application.campaigns, workspace, name)
        return await application.campaigns.copy(workspace.id, campaign.id, new_name)

    console.print(f"Draft '{run(work).name}'.", markup=False)


@app.command("archive")
def archive(name: str = _NAME, back: bool = typer.Option(False, "--back", help="Bring it back.")) -> None:
    """Put a campaign out of sight; nothing is lost."""

    async def work(application: Application, workspace: Workspace) -> Campaign:
        campaign = await _find(application.campaigns, workspace, name)
        return await application.campaigns.archive(workspace.id, campaign.id, is_archived=not back)

    console.print(f"'{run(work).name}' is {'back' if back else 'archived'}.", markup=False)


@app.command("choose")
def choose(name: str = _NAME, variant: str = typer.Argument(help="The variant that the rest gets.")) -> None:
    """Say which variant of a test everybody else gets."""

    async def work(application: Application, workspace: Workspace) -> str:
        campaign = await _find(application.campaigns, workspace, name)
        status = await application.campaigns.status(workspace.id, campaign.id)
        if status.run is None:
            raise NotFoundError("experiment")
        names = [one.name for one in ExperimentDraft.from_json(campaign.experiment or '{"variants": []}').variants]
        number = names.index(variant) if variant in names else -1
        await application.experiment_runs.choose(workspace.id, status.run.id, number)
        return variant

    console.print(f"The rest gets {run(work)}.", markup=False)


@app.command("status")
def status(name: str = _NAME, as_json: bool = JsonOption) -> None:
    """Show where a campaign's recipients stand."""

    async def work(application: Application, workspace: Workspace) -> CampaignStatus:
        campaign = await _find(application.campaigns, workspace, name)
        return await application.campaigns.status(workspace.id, campaign.id)

    _print_status(run(work), as_json=as_json)


@app.command("compare")
def compare(
    name: str = _NAME,
    segment: str | None = typer.Option(None, help="Only recipients who are in this segment now."),
    as_json: bool = JsonOption,
) -> None:
    """Show where a campaign lies among one's own last ten that were finished."""

    async def work(application: Application, workspace: Workspace) -> CampaignComparison:
        campaign = await _find(application.campaigns, workspace, name)
        chosen = None if segment is None else await application.segments.find(workspace.id, segment)
        return await application.campaign_comparisons.compare(
            workspace.id, campaign.id, None if chosen is None else chosen.id
        )

    print_comparison(run(work), as_json=as_json)


@app.command("list")
def list_campaigns(as_json: bool = JsonOption) -> None:
    """List the campaigns."""
    found = run(lambda application, workspace: application.campaigns.list(workspace.id, limit=10_000))
    if as_json:
        for one in found:
            print_json({"name": one.name, "state": one.state, "subject": one.subject})
        return
    rows = [(one.name, one.state, one.subject) for one in found]
    print_table(("campaign", "state", "subject"), rows, empty="No campaign yet: postwright campaign create NAME …")


async def _find(campaigns: Campaigns, workspace: Workspace, name: str) -> Campaign:
    found = await campaigns.find(workspace.id, name)
    if found is None:
        raise NotFoundError(f"campaign as '{name}'")
    return found


def _print_status(found: CampaignStatus, *, as_json: bool) -> None:
    counts = found.counts
    if as_json:
        print_json(
            {
                "name": found.campaign.name,
                "state": found.campaign.state,
                "run": found.run.state if found.run else None,
                "counts": counts.by_state if counts else {},
                "deferred_ever": counts.deferred_ever if counts else 0,
                "ambiguous_ever": counts.ambiguous_ever if counts else 0,
                "events": found.events,
            }
        )
        return
    console.print(f"[bold]{escape(found.campaign.name)}[/] is {found.campaign.state}.")
    if counts:
        rows = [(state, f"{number:,}") for state, number in sorted(counts.by_state.items())]
        print_table(("state", "recipients"), rows, empty="No recipient yet.")
