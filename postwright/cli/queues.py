"""``postwright queue``: what waits where and why, and what to do about it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import typer

from mailtypes.clock import Microseconds, as_datetime, microseconds
from mailtypes.domain import DomainName
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.destinations import (
    DestinationDetails,
    Destinations,
    DestinationStatus,
    Note,
    QueueTarget,
)
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

T = TypeVar("T")
app = typer.Typer(
    help="The queue by destination: how fast it goes and why; suspend, resume, flush, fail.",
    no_args_is_help=True,
    add_completion=False,
)
_DESTINATION = typer.Option(None, "--destination", help="A destination, by its site as listed.")
_DOMAIN = typer.Option(None, "--domain", help="A recipient domain.")
_CAMPAIGN = typer.Option(None, "--campaign", help="A campaign, by its name.")
_NOTE = typer.Option("", "--note", help="Why; it is kept in the event log.")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=365)


@app.command("list")
def list_destinations(
    everything: bool = typer.Option(False, "--all", help="Those with nothing in them, too."), as_json: bool = JsonOption
) -> None:
    """List destinations where something waits or that are not open, with the pace, why, and until when."""
    found = _run(lambda service, workspace: service.list(workspace.id, everything=everything))
    if as_json:
        for one in found:
            print_json(_document(one))
        return
    columns = ("destination", "provider", "ready", "deferred", "under way", "oldest", "state", "until", "why")
    rows = [
        (
            one.destination.site,
            one.destination.provider,
            f"{one.waiting.ready:,}",
            f"{one.waiting.deferred:,}",
            f"{one.waiting.under_way:,}",
            _moment(one.waiting.oldest_at) or "",
            one.state,
            _until(one),
            one.reason,
        )
        for one in found
    ]
    print_table(columns, rows, empty="Nothing waits, and every destination is open.")


@app.command("show")
def show(
    destination: str = typer.Argument(help="The destination, by its site as listed."), as_json: bool = JsonOption
) -> None:
    """Show one destination: hosts, limits that replies have set, suspensions, the domains that wait most."""

    async def work(service: Destinations, workspace: Workspace) -> DestinationDetails:
        found = await service.find(workspace.id, destination)
        return await service.get(workspace.id, found.id)

    details = _run(work)
    document = _document(details.status) | {
        "domains": [{"domain": name, "waiting": number} for name, number in details.domains],
        "last_word": details.last_word or None,
    }
    if as_json:
        print_json(document)
        return
    rows = [(name.replace("_", " "), _cell(value)) for name, value in document.items() if value not in (None, [], "")]
    print_table(("", ""), rows, empty="")


@app.command("suspend")
def suspend(
    destination: str | None = _DESTINATION,
    domain: str | None = _DOMAIN,
    campaign: str | None = _CAMPAIGN,
    lasting: str | None = typer.Option(
        None, "--for", help="How long: 90s, 30m, 2h, 1d; until it is resumed if left out."
    ),
    note: str = _NOTE,
) -> None:
    """Send nothing there for a while. A campaign is paused."""
    with explained():
        length = None if lasting is None else _length(lasting)

    async def work(service: Destinations, workspace: Workspace, application: Application) -> int:
        until = None if length is None else Microseconds(application.clock.now() + microseconds(length))
        target = await _target(application, workspace, (destination, domain, campaign))
        return await service.suspend(workspace.id, target, _note(note), until)

    held = _act(work)
    console.print("Suspended." if not held else f"Suspended; {held:,} deliveries are held.")


@app.command("resume")
def resume(
    destination: str | None = _DESTINATION,
    domain: str | None = _DOMAIN,
    campaign: str | None = _CAMPAIGN,
    note: str = _NOTE,
) -> None:
    """End a suspension, whoever began it. The pace recovers by itself."""

    async def work(service: Destinations, workspace: Workspace, application: Application) -> None:
        target = await _target(application, workspace, (destination, domain, campaign))
        await service.resume(workspace.id, target, _note(note))

    _act(work)
    console.print("Resumed.")


@app.command("flush")
def flush(
    destination: str | None = _DESTINATION,
    domain: str | None = _DOMAIN,
    campaign: str | None = _CAMPAIGN,
    note: str = _NOTE,
) -> None:
    """Try what is deferred at once."""

    async def work(service: Destinations, workspace: Workspace, application: Application) -> int:
        target = await _target(application, workspace, (destination, domain, campaign))
        return await service.flush(workspace.id, target, _note(note))

    console.print(f"{_act(work):,} deferred deliveries are due now.")


@app.command("fail")
def fail(
    destination: str | None = _DESTINATION,
    domain: str | None = _DOMAIN,
    campaign: str | None = _CAMPAIGN,
    note: str = typer.Option(..., "--note", help="Why; it becomes the reason that stands with each delivery."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Give up what waits: each delivery fails with the note as its reason. It cannot be taken back."""
    if not yes:
        typer.confirm("What waits there will fail for good. Go on?", abort=True)

    async def work(service: Destinations, workspace: Workspace, application: Application) -> int:
        target = await _target(application, workspace, (destination, domain, campaign))
        return await service.fail(workspace.id, target, _note(note))

    console.print(f"{_act(work):,} deliveries failed.")


def _run(work: Callable[[Destinations, Workspace], Awaitable[T]]) -> T:
    return run(lambda application, workspace: work(application.destinations, workspace))


def _act(work: Callable[[Destinations, Workspace, Application], Awaitable[T]]) -> T:
    return run(lambda application, workspace: work(application.destinations, workspace, application))


async def _target(
    application: Application, workspace: Workspace, named: tuple[str | None, str | None, str | None]
) -> QueueTarget:
    destination, domain, campaign = named
    if sum(name is not None for name in named) != 1:
        raise RefusedError("one_target", "Name exactly one of --destination, --domain and --campaign.")
    if domain is not None:
        return QueueTarget(domain=DomainName.parse(domain))
    if campaign is not None:
        found = await application.campaigns.find(workspace.id, campaign)
        if found is None:
            raise NotFoundError(f"campaign: '{campaign}'")
        return QueueTarget(campaign_id=found.id)
    site = await application.destinations.find(workspace.id, destination or "")
    return QueueTarget(destination_id=site.id)


def _note(text: str) -> Note:
    return Note("postwright queue", text)


def _length(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in _UNITS or len(number) > 9:
        raise RefusedError("bad_length", f"'{text}' is no length of time.", next_step="Write 90s, 30m, 2h or 1d.")
    length = timedelta(seconds=int(number) * _UNITS[unit])
    if not timedelta(0) < length <= _LONGEST:
        raise RefusedError("bad_length", "A suspension lasts up to a year.", next_step="Leave --for out instead.")
    return length


def _document(one: DestinationStatus) -> dict[str, Any]:
    """A destination as JSON; ``show`` adds to it."""
    waiting = one.waiting
    return {
        "destination": one.destination.site,
        "provider": one.destination.provider,
        "hosts": [host for group in one.destination.host_groups for host in group],
        "state": str(one.state),
        "reason": one.reason or None,
        "until": _moment(one.until),
        "ready": waiting.ready,
        "deferred": waiting.deferred,
        "under_way": waiting.under_way,
        "oldest": _moment(waiting.oldest_at),
        "next": _moment(waiting.next_at),
        "connections": one.connections,
        "slowed": [
            {
                "scope": slow.scope,
                "egress": slow.egress,
                "connections": slow.limits.connections,
                "messages_per_connection": slow.limits.messages_per_connection,
                "rate": slow.limits.rate,
                "rule": slow.rule,
                "evidence": slow.evidence,
                "since": _moment(slow.since),
                "raised_at": _moment(slow.raised_at),
            }
            for slow in one.slowed
        ],
        "suspensions": [
            {
                "scope": stop.scope,
                "egress": stop.egress,
                "by": stop.kind,
                "reason": stop.reason,
                "since": _moment(stop.created_at),
                "until": _moment(stop.until),
            }
            for stop in one.suspensions
        ],
    }


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(_cell(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')}: {part}" for name, part in value.items() if part not in (None, ""))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _until(one: DestinationStatus) -> str:
    return _moment(one.until) or ("resumed" if one.suspensions else "")


def _moment(at: int | None) -> str | None:
    return None if at is None else as_datetime(at).isoformat("T", "seconds")
