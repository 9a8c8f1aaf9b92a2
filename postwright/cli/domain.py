"""``postwright domain``: sender domains, what to publish for them, whether they are verified."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import typer
from rich.markup import escape

from dns_checks.audit import AuditReport, Verdict
from dns_checks.publish import DmarcStep, RecordToPublish, as_zone_text
from mailtypes.auth import Finding
from mailtypes.clock import as_datetime
from postwright.cli import domain_reports
from postwright.cli.exit_codes import Exit
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.publication import DomainChanges, tls_policy_of
from postwright.services.sender_domains import audit_document
from postwright.store.domains import DkimKey, SenderDomain
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Domains that mail is sent from.", no_args_is_help=True, add_completion=False)
app.add_typer(domain_reports.app, name="report")
app.command("sources")(domain_reports.sources)
_EXITS = {Verdict.VERIFIED: Exit.OK, Verdict.NOT_VERIFIED: Exit.REFUSED, Verdict.UNKNOWN: Exit.UNKNOWN}
_MARKS = {Finding.PRESENT: "[green]✓[/]", Finding.ABSENT: "[red]✗[/]", Finding.UNKNOWN: "[dim]?[/]"}


@app.command("add")
def add(
    name: str = typer.Argument(help="The domain of the From address."),
    as_json: bool = JsonOption,
) -> None:
    """Add a sender domain, make its key, and print what to publish."""

    async def work(application: Application, workspace: Workspace) -> tuple[SenderDomain, Sequence[RecordToPublish]]:
        domain = await application.sender_domains.add(workspace.id, name)
        return domain, await application.sender_domains.records(domain)

    domain, records = run(work)
    _print_records(domain, records, as_json=as_json, as_zone=False)


@app.command("records")
def records(
    name: str = typer.Argument(help="A sender domain."),
    as_zone: bool = typer.Option(False, "--zone", help="Print a zone file (RFC 1035) instead."),
    as_policy: bool = typer.Option(False, "--mta-sts", help="Print the MTA-STS policy file instead."),
    as_json: bool = JsonOption,
) -> None:
    """Print what to publish for a domain."""

    async def work(application: Application, workspace: Workspace) -> tuple[SenderDomain, Sequence[RecordToPublish]]:
        domain = await application.sender_domains.get(workspace.id, name)
        return domain, await application.sender_domains.records(domain)

    domain, found = run(work)
    policy = tls_policy_of(domain)
    if as_policy:
        if policy is None:
            console.print(f"No policy is wanted: postwright domain set {domain.name} --mta-sts testing --mx HOST")
            raise typer.Exit(int(Exit.NOT_FOUND))
        typer.echo(policy.text.replace("\r\n", "\n"), nl=False)
        return
    _print_records(domain, found, as_json=as_json, as_zone=as_zone)
    if policy is not None and not as_zone and not as_json:
        console.print(f"\nServe this at https://mta-sts.{domain.name}/.well-known/mta-sts.txt:\n")
        typer.echo(policy.text.replace("\r\n", "\n"), nl=False)


@app.command("set")
def set_publication(
    name: str = typer.Argument(help="A sender domain."),
    report_address: str | None = typer.Option(None, help="Who gets DMARC and TLS reports; '' for ours."),
    dmarc: str | None = typer.Option(None, help="The DMARC step to propose: none, quarantine, reject; '' for no step."),
    logo: str | None = typer.Option(None, help="Address of the BIMI logo (https); '' for none."),
    certificate: str | None = typer.Option(None, help="Address of its mark certificate (https); '' for none."),
    mta_sts: str | None = typer.Option(None, help="Mode of the MTA-STS policy: testing, enforce, none; '' for none."),
    mx: list[str] = typer.Option([], "--mx", help="A mail host of the domain for that policy; may be repeated."),
    under_platform: bool | None = typer.Option(
        None,
        "--under-platform/--no-under-platform",
        help="Whether its mail may go out in the platform domain's name while it is not verified.",
    ),
    as_json: bool = JsonOption,
) -> None:
    """Say what is to be published for a domain beside what sending needs; what is not named stays."""
    given = {
        "report_address": report_address,
        "dmarc_policy": dmarc,
        "logo_url": logo,
        "certificate_url": certificate,
        "mta_sts_mode": mta_sts,
        "mta_sts_hosts": mx or None,
        "under_platform": under_platform,
    }
    changes = cast(DomainChanges, {field: value for field, value in given.items() if value is not None})
    if not changes:
        raise typer.BadParameter("There is nothing to change; see: postwright domain set --help")

    async def work(application: Application, workspace: Workspace) -> tuple[SenderDomain, Sequence[RecordToPublish]]:
        domain = await application.sender_domains.change(workspace.id, name, changes)
        return domain, await application.sender_domains.records(domain)

    domain, records = run(work)
    _print_records(domain, records, as_json=as_json, as_zone=False)


@app.command("plan")
def plan(name: str = typer.Argument(help="A sender domain."), as_json: bool = JsonOption) -> None:
    """Show the way of a domain's DMARC policy from watching to rejecting, and where it stands."""

    async def work(application: Application, workspace: Workspace) -> Sequence[DmarcStep]:
        domain = await application.sender_domains.get(workspace.id, name)
        return await application.sender_domains.dmarc_steps(domain)

    for step in run(work):
        if as_json:
            print_json(asdict(step))
            continue
        console.print(f"[bold]{step.policy}[/] ({step.progress}): {escape(step.effect)}", soft_wrap=True)
        console.print(f"  {escape(step.record)}", soft_wrap=True)
        for condition in step.go_on_when:
            console.print(f"  Go on when: {escape(condition)}", style="dim", soft_wrap=True)


def _print_records(domain: SenderDomain, found: Sequence[RecordToPublish], *, as_json: bool, as_zone: bool) -> None:
    if as_zone:
        typer.echo(as_zone_text(tuple(found)), nl=False)
    elif as_json:
        for one in found:
            print_json({"name": str(one.name), "type": one.record_type, "value": one.value, "purpose": one.purpose})
    else:
        rows = [(str(one.name), str(one.record_type), one.value) for one in found]
        console.print(f"Publish these records, then run: postwright domain verify {domain.name}\n")
        print_table(("name", "type", "value"), rows, empty="Nothing to publish.")


@app.command("verify")
def verify(name: str = typer.Argument(help="A sender domain."), as_json: bool = JsonOption) -> None:
    """Check a domain's records now. Exit 0 verified, 1 not verified, 2 could not find out."""

    async def work(application: Application, workspace: Workspace) -> tuple[SenderDomain, AuditReport]:
        return await application.sender_domains.verify(workspace.id, name)

    domain, report = run(work)
    if as_json:
        print_json({"domain": domain.name, "state": domain.state, **audit_document(report)})
    else:
        for finding in report.findings:
            console.print(f"{_MARKS[finding.state]} {escape(finding.sentence)}", soft_wrap=True)
            if finding.state is not Finding.PRESENT and finding.next_step:
                console.print(f"  {escape(finding.next_step)}", style="dim", soft_wrap=True)
        console.print(f"\n[bold]{domain.name}[/] is {domain.state}.")
    raise typer.Exit(int(_EXITS[report.verdict]))


@app.command("list")
def list_domains(as_json: bool = JsonOption) -> None:
    """List the sender domains."""
    found = run(lambda application, workspace: application.sender_domains.list(workspace.id))
    if as_json:
        for one in found:
            print_json({"name": one.name, "state": one.state})
        return
    rows = [(one.name, one.state) for one in found]
    print_table(("domain", "state"), rows, empty="No sender domain yet: postwright domain add NAME")


@app.command("rotate")
def rotate(
    name: str = typer.Argument(help="A sender domain."),
    ed25519: bool | None = typer.Option(
        None, "--ed25519/--no-ed25519", help="With an Ed25519 key beside the RSA key; by default as it is now."
    ),
    as_zone: bool = typer.Option(False, "--zone", help="Print a zone file (RFC 1035) instead."),
    as_json: bool = JsonOption,
) -> None:
    """Make the next DKIM key and print what to publish; it takes over by itself once all name servers show it."""

    async def work(application: Application, workspace: Workspace) -> tuple[SenderDomain, Sequence[RecordToPublish]]:
        domain = await application.sender_domains.get(workspace.id, name)
        made = await application.key_rotation.rotate(domain, with_ed25519=ed25519)
        names = {f"{key.selector}._domainkey.{domain.name}" for key in made}
        told = await application.sender_domains.records(domain)
        return domain, [record for record in told if str(record.name) in names]

    domain, found = run(work)
    if as_zone or as_json:
        _print_records(domain, found, as_json=as_json, as_zone=as_zone)
        return
    console.print("Publish these records, and leave the ones of the keys in use:\n")
    rows = [(str(one.name), str(one.record_type), one.value) for one in found]
    print_table(("name", "type", "value"), rows, empty="Nothing to publish.")
    console.print(f"\nHow far it has come: postwright domain keys {domain.name}")


@app.command("keys")
def keys(name: str = typer.Argument(help="A sender domain."), as_json: bool = JsonOption) -> None:
    """List the DKIM keys of a domain: which one signs, which are visible, since when."""

    async def work(application: Application, workspace: Workspace) -> Sequence[DkimKey]:
        domain = await application.sender_domains.get(workspace.id, name)
        return await application.sender_domains.keys(domain)

    found = run(work)
    if as_json:
        for one in found:
            print_json(_key_document(one))
        return
    rows = [(one.selector, one.algorithm, one.state, _since(one), one.sighting or "not looked at yet") for one in found]
    print_table(("selector", "algorithm", "state", "since", "last look"), rows, empty="No key yet.")


def _key_document(key: DkimKey) -> dict[str, object]:
    moments = ("created_at", "published_at", "activated_at", "retiring_at", "retired_at", "missing_since")
    document: dict[str, object] = {"selector": key.selector, "algorithm": key.algorithm, "state": key.state}
    for moment in moments:
        value = getattr(key, moment)
        document[moment] = None if value is None else as_datetime(value).isoformat()
    return {**document, "record": key.public_record, "last_look": key.sighting}


def _since(key: DkimKey) -> str:
    entered = {
        "made": key.created_at,
        "published": key.published_at,
        "active": key.activated_at,
        "retiring": key.retiring_at,
        "retired": key.retired_at,
    }[key.state]
    return "" if entered is None else f"{as_datetime(entered):%Y-%m-%d %H:%M} UTC"
