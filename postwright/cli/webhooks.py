"""``postwright webhook``."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TypeVar

import typer

from mailtypes.clock import as_datetime, from_datetime
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.errors import NotFoundError
from postwright.services.webhook_endpoints import EndpointChanges, EndpointStatus, Trial
from postwright.store.public_ids import PublicIdSyntaxError, read_public_id
from postwright.store.webhooks import ENDPOINT_PREFIX, Delivery
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

T = TypeVar("T")
app = typer.Typer(help="Webhooks: endpoints that are told of events.", no_args_is_help=True, add_completion=False)
_ID = typer.Argument(..., help="The id of an endpoint (whk_...).")
_KIND = typer.Option([], "--kind", help="A kind of event that it is told of; several may be given; none: all.")


@app.command("add")
def add(
    url: str = typer.Argument(..., help="https, a host name, port 443."),
    description: str = typer.Option("", help="What it is for."),
    kinds: list[str] = _KIND,
    as_json: bool = JsonOption,
) -> None:
    """Make an endpoint and print its secret, which is never shown again."""

    async def make(application: Application, workspace: Workspace) -> tuple[EndpointStatus, str]:
        return await application.webhooks.create(workspace.id, EndpointChanges(url, description, kinds))

    made, secret = run(make)
    if as_json:
        print_json({"id": made.endpoint.public_id, "url": url, "secret": secret})
        return
    console.print(f"{made.endpoint.public_id} is told of what happens from now on. Its secret, shown this one time:")
    console.print(secret, markup=False, soft_wrap=True)


@app.command("list")
def list_endpoints(as_json: bool = JsonOption) -> None:
    """All endpoints: whether they are told, and since when one takes nothing."""

    async def look(application: Application, workspace: Workspace) -> list[EndpointStatus]:
        return list(await application.webhooks.list(workspace.id))

    found = run(look)
    if as_json:
        for one in found:
            print_json(_document(one))
        return
    rows = [[str(cell) for cell in _document(one).values()] for one in found]
    print_table(
        ("id", "url", "kinds", "state", "reason", "failures", "failing since", "told up to"), rows, empty="None."
    )


@app.command("remove")
def remove(endpoint: str = _ID) -> None:
    """Tell it nothing more, and forget its log."""

    async def work(application: Application, workspace: Workspace) -> None:
        await application.webhooks.remove(workspace.id, _read(endpoint))

    run(work)
    console.print("Removed.")


@app.command("rotate")
def rotate(
    endpoint: str = _ID,
    overlap_hours: float = typer.Option(24.0, min=0, max=720, help="How long the old secret signs as well."),
    as_json: bool = JsonOption,
) -> None:
    """Make a new secret and print it; the old one signs as well until the overlap is over."""

    async def work(application: Application, workspace: Workspace) -> str:
        overlap = timedelta(hours=overlap_hours)
        return await application.webhooks.rotate_secret(workspace.id, _read(endpoint), overlap)

    secret = run(work)
    if as_json:
        print_json({"secret": secret})
        return
    console.print(secret, markup=False, soft_wrap=True)


@app.command("enable")
def enable(
    endpoint: str = _ID,
    skip_missed: bool = typer.Option(False, help="With what happens from now on, instead of where it stood."),
) -> None:
    """Go on at once, from where it stood; also ends the wait between two attempts."""

    async def work(application: Application, workspace: Workspace) -> EndpointStatus:
        return await application.webhooks.enable(workspace.id, _read(endpoint), skip_missed=skip_missed)

    console.print(f"{run(work).endpoint.public_id} is enabled.")


@app.command("disable")
def disable(endpoint: str = _ID) -> None:
    """Tell it nothing until it is enabled again."""

    async def work(application: Application, workspace: Workspace) -> EndpointStatus:
        return await application.webhooks.disable(workspace.id, _read(endpoint), "Disabled on the command line.")

    console.print(f"{run(work).endpoint.public_id} is disabled.")


@app.command("skip")
def skip(endpoint: str = _ID) -> None:
    """Give up the event that the endpoint refuses, and go on behind it."""

    async def work(application: Application, workspace: Workspace) -> bool:
        return await application.webhooks.skip(workspace.id, _read(endpoint))

    console.print("Skipped." if run(work) else "It refuses nothing.")


@app.command("test")
def try_out(endpoint: str = _ID, as_json: bool = JsonOption) -> None:
    """Post a test event at once and say what came back; ends with 1 where it would not count as told."""

    async def work(application: Application, workspace: Workspace) -> Trial:
        return await application.webhooks.try_out(workspace.id, _read(endpoint))

    found = run(work)
    if as_json:
        print_json({"taken": found.is_taken, **asdict(found)})
    else:
        said = f"HTTP {found.status}" if found.status is not None else found.cause
        told = "Taken" if found.is_taken else "Not taken"
        console.print(f"{told}: {said}, after {found.duration // 1000} ms.", markup=False)
        if found.answer:
            console.print(found.answer, markup=False)
    if not found.is_taken:
        raise typer.Exit(1)


@app.command("replay")
def replay(
    endpoint: str = _ID,
    since: datetime = typer.Argument(..., help="UTC, such as 2026-03-01T08:00:00."),
    until: datetime | None = typer.Argument(None, help="UTC; now if left out."),
) -> None:
    """Tell it again of what was recorded in that time."""

    async def work(application: Application, workspace: Workspace) -> None:
        end = application.clock.now() if until is None else from_datetime(_utc(until))
        await application.webhooks.replay(workspace.id, _read(endpoint), from_datetime(_utc(since)), end)

    run(work)
    console.print("It is told again, beside what is new.")


@app.command("log")
def log(
    endpoint: str = _ID,
    state: str | None = typer.Option(None, help="Only delivered, failing, given_up or skipped."),
    limit: int = typer.Option(20, min=1, max=1_000, help="How many at most."),
    as_json: bool = JsonOption,
) -> None:
    """What became of telling it, the newest first."""

    async def look(application: Application, workspace: Workspace) -> list[Delivery]:
        return list(await application.webhooks.deliveries(workspace.id, _read(endpoint), state, limit=limit))

    found = run(look)
    columns = ("at", "kind", "state", "attempts", "status", "milliseconds", "answer")
    rows = [
        (
            _moment(one.last_attempt_at),
            one.kind,
            one.state,
            one.attempts,
            one.status,
            one.duration / 1000,
            one.answer or one.cause,
        )
        for one in found
    ]
    if as_json:
        for row in rows:
            print_json(dict(zip(columns, row, strict=True)))
        return
    print_table(columns, rows, empty="Nothing yet.")


def _read(text: str) -> int:
    try:
        return read_public_id(text, ENDPOINT_PREFIX)
    except PublicIdSyntaxError as error:
        raise NotFoundError("webhook endpoint") from error


def _document(status: EndpointStatus) -> dict[str, object]:
    endpoint = status.endpoint
    return {
        "id": endpoint.public_id,
        "url": endpoint.url,
        "kinds": ", ".join(endpoint.wanted) or "all",
        "state": endpoint.state,
        "reason": endpoint.reason,
        "failures": status.live.failures,
        "failing_since": "" if endpoint.failing_since is None else _moment(endpoint.failing_since),
        "told_up_to": _moment(status.live.recorded_at),
    }


def _moment(at: int) -> str:
    return as_datetime(at).isoformat(timespec="seconds").replace("+00:00", "Z")


def _utc(given: datetime) -> datetime:
    return given if given.tzinfo is not None else given.replace(tzinfo=as_datetime(0).tzinfo)
