"""``postwright import`` and ``postwright contacts``."""

import asyncio
import json
from pathlib import Path
from typing import Any

import typer

from hygiene.segments.tree import InSegment, OnList
from mailtypes.clock import as_datetime
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.contact_timeline import TimelineEntry
from postwright.services.contacts import BulkChange, FullContact, as_record
from postwright.services.import_files import Preview
from postwright.services.import_options import ExistingRule, ImportConsent, ImportOptions, Judgement, read_column
from postwright.services.import_rows import read_moment
from postwright.services.imports import ContactImports
from postwright.services.segments import read_tree
from postwright.store.contact_book import ContactQuery
from postwright.store.imports import ImportJob, Refusal
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

_SHOWN = 20
_MOST_ROWS = 1_000_000
_ENDED = frozenset({"finished", "failed"})
_MAP = typer.Option([], "--map", help="What a column is: NAME=address, NAME=field:city, =list, =tag, =locale, ...")
_REFUSE = typer.Option([], "--refuse", help="A doubt that refuses a row: likely_typo, disposable_domain, ...")
_ACCEPT = typer.Option([], "--accept", help="A doubt that is not worth a word.")
_TAG = typer.Option([], "--tag", help="A tag for all rows.")
_LIST_HELP = "The list that the contacts are put on; made where there is none. Not needed for --preview."


def import_contacts(
    file: Path = typer.Argument(help="A CSV, TSV or NDJSON file; a column 'email' has the addresses."),
    target: str = typer.Option("", "--list", help=_LIST_HELP),
    column_map: list[str] = _MAP,
    encoding: str = typer.Option("", help="Such as windows-1255; found where it can be known."),
    existing: ExistingRule = typer.Option(ExistingRule.OVERWRITE, help="What becomes of fields of known contacts."),
    refuse: list[str] = _REFUSE,
    accept: list[str] = _ACCEPT,
    tag: list[str] = _TAG,
    consent: str = typer.Option("", help="Where and how everybody in the file agreed to the list's mail."),
    consent_at: str = typer.Option("", help="When, such as 2026-03-09; rows may have their own."),
    again: bool = typer.Option(False, "--again", help="Do it once more, though the same was imported before."),
    preview: bool = typer.Option(False, "--preview", help="Show how the file is read, and import nothing."),
    report: Path | None = typer.Option(None, help="Write every refused or changed row, with its reason, to this file."),
    as_json: bool = JsonOption,
) -> None:
    """Import contacts; refused rows are told with line and reason, good rows are kept."""
    if not target and not preview:
        raise typer.BadParameter("Say --list, the list that the contacts are put on.")
    with explained():
        options = _options(column_map, (refuse, accept), (consent, consent_at))
        options = ImportOptions(
            encoding,
            columns=options.columns,
            existing=existing,
            judgements=options.judgements,
            tags=tuple(tag),
            consent=options.consent,
            again=again,
        )
    if preview:
        _show_preview(file, options, as_json=as_json)
        return

    async def work(application: Application, workspace: Workspace) -> tuple[ImportJob, list[Refusal], bool]:
        imports = application.imports
        with file.open("rb") as content:
            job_id = await imports.start(workspace.id, target, file.name, content, options)
        is_old = (await imports.job(workspace.id, job_id)).state in _ENDED
        job = await _wait(imports, workspace.id, job_id)
        if report is not None:
            with report.open("w", encoding="utf-8", newline="") as lines:
                async for line in imports.report_csv(workspace.id, job_id):
                    lines.write(line)
        limit = _MOST_ROWS if as_json else _SHOWN + 1
        return job, await imports.report(workspace.id, job_id, limit=limit), is_old

    job, findings, is_old = run(work)
    if is_old and not as_json:
        console.print("The file was imported before, with the same options; --again does it once more. It had:")
    _show_job(job, findings, as_json=as_json)
    if job.cause:
        raise typer.Exit(int(Exit.REFUSED))


def _options(column_map: list[str], doubts: tuple[list[str], list[str]], consent: tuple[str, str]) -> ImportOptions:
    columns = {}
    for one in column_map:
        name, _, use = one.rpartition("=")
        columns[name.strip()] = read_column(use)
    refuse, accept = doubts
    judgements = dict.fromkeys(accept, Judgement.ACCEPT) | dict.fromkeys(refuse, Judgement.REFUSE)
    given = None
    if consent[0]:
        try:
            at = read_moment(consent[1]) if consent[1] else None
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        given = ImportConsent("list", consent[0], "", at)
    return ImportOptions(columns=columns, judgements=judgements, consent=given)


def _show_preview(file: Path, options: ImportOptions, *, as_json: bool) -> None:
    async def look(application: Application, _workspace: Workspace) -> Preview:
        with file.open("rb") as content:
            return await application.imports.preview(content, file.name, options)

    found = run(look)
    uses = [f"{one.use}:{one.name}" if one.name else str(one.use) for one in found.columns]
    if as_json:
        print_json(
            {
                "encoding": found.reading.encoding,
                "certain": found.is_sure,
                "candidates": list(found.detected.candidates),
                "format": str(found.reading.format),
                "columns": dict(zip(found.header, uses, strict=True)),
                "rows": [list(row) for row in found.rows],
            }
        )
        return
    if found.is_sure or options.encoding:
        console.print(f"{found.reading.encoding}, {found.reading.format}.", markup=False)
    else:
        others = ", ".join(found.detected.candidates)
        console.print(
            f"Not UTF-8. Perhaps {found.reading.encoding}: say --encoding. Likely are: {others}.", markup=False
        )
    headings = [f"{name} ({use})" for name, use in zip(found.header, uses, strict=True)]
    print_table(headings, found.rows, empty="There are no rows.")


def _show_job(job: ImportJob, findings: list[Refusal], *, as_json: bool) -> None:
    if as_json:
        rows = [{name: getattr(one, name) for name in Refusal.__slots__} for one in findings]
        counts = {name: getattr(job, name) for name in ("state", "created", "updated", "refused", "flagged", "cause")}
        refusals = [row for row in rows if row["outcome"] == "refused"]
        print_json({**counts, "refusals": refusals, "findings": [row for row in rows if row["outcome"] != "refused"]})
        return
    console.print(
        f"{job.created:,} new, {job.updated:,} known, {job.refused:,} refused"
        f"{f', {job.flagged:,} with a doubt' if job.flagged else ''}."
    )
    if job.cause:
        console.print(job.cause, markup=False)
    lines = [(one.row_number, one.outcome, one.value, one.reason) for one in findings[:_SHOWN]]
    if lines:
        print_table(("line", "outcome", "value", "why"), lines, empty="")
    left = job.refused + job.flagged - len(lines)
    if left > 0:
        console.print(f"… and {left:,} more; --report FILE writes all of them.")


async def _wait(imports: ContactImports, workspace_id: int, job_id: int) -> ImportJob:
    """Do the job here; where the scheduler is at it too, each chunk is done by whoever is first."""
    while True:
        await imports.run_job(await imports.job(workspace_id, job_id))
        job = await imports.job(workspace_id, job_id)
        if job.state in _ENDED:
            return job
        await asyncio.sleep(0.2)


app = typer.Typer(
    help="Contacts: listed, shown, exported, tagged, archived.", no_args_is_help=True, add_completion=False
)
_ADDRESSES = typer.Argument(help="Addresses.")
_LIST = typer.Option("", "--list", help="Only who is on this list.")
_SEGMENT = typer.Option("", "--segment", help="Only who is in this segment.")
_TREE = typer.Option("", "--tree", help='Only who is in this tree, such as {"tag": "vip"}.')
_ARCHIVED = typer.Option(False, "--archived", help="Archived contacts instead.")


def _query(of_list: str, segment: str, tree: str, *, archived: bool, search: str = "") -> ContactQuery:
    if sum(map(bool, (of_list, segment, tree, archived))) > 1:
        raise typer.BadParameter("Give one of --list, --segment, --tree and --archived.")
    with explained():
        if tree:
            return ContactQuery(read_tree(tree), search)
    if of_list or segment:
        return ContactQuery(OnList(of_list) if of_list else InSegment(segment), search)
    return ContactQuery(search=search, archived=archived)


@app.command("list")
def list_contacts(
    of_list: str = _LIST,
    segment: str = _SEGMENT,
    tree: str = _TREE,
    archived: bool = _ARCHIVED,
    search: str = typer.Option("", help="A part of the address or of a field's value."),
    limit: int = typer.Option(50, min=1, max=10_000, help="How many at most."),
    as_json: bool = JsonOption,
) -> None:
    """Contacts in the order in which they came."""
    query = _query(of_list, segment, tree, archived=archived, search=search)
    found: list[FullContact] = run(
        lambda application, workspace: application.contacts.page(workspace.id, query, limit=limit)
    )
    if as_json:
        for one in found:
            print_json(as_record(one))
        return
    rows = [
        (one.card.address, ", ".join(member.name for member in one.lists), ", ".join(one.tags), one.card.fields)
        for one in found
    ]
    print_table(("address", "lists", "tags", "fields"), rows, empty="Nobody.")


@app.command("show")
def show_contact(address: str = typer.Argument(help="The address."), as_json: bool = JsonOption) -> None:
    """A contact with all that is known, and what happened, the newest first."""

    async def look(application: Application, workspace: Workspace) -> tuple[FullContact, list[TimelineEntry]]:
        found = await application.contacts.find(workspace.id, address)
        return found, await application.contact_timeline.entries(workspace.id, found.card.id)

    found, entries = run(look)
    if as_json:
        happened = [
            {"at": _moment(one.at), "kind": one.kind, "event": one.event, "what": one.what, "why": one.why}
            for one in entries
        ]
        print_json({**as_record(found), "timeline": happened})
        return
    facts = {name: value for name, value in as_record(found).items() if value not in (None, [], {})}
    print_table(("", ""), [(name, _shown(value)) for name, value in facts.items()], empty="")
    lines = [(_moment(one.at), one.event or one.kind, one.what, one.why) for one in entries]
    print_table(("when", "what", "where", "why"), lines, empty="Nothing has happened yet.")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(at: int) -> str:
    return as_datetime(at).isoformat("T", "seconds")


@app.command("export")
def export_contacts(
    file: Path = typer.Argument(help="Where to; a name that ends with .ndjson is written so, all others as CSV."),
    of_list: str = _LIST,
    segment: str = _SEGMENT,
    tree: str = _TREE,
    archived: bool = _ARCHIVED,
) -> None:
    """Write all that is known of contacts to a file, which an import reads back."""
    query = _query(of_list, segment, tree, archived=archived)
    is_ndjson = file.suffix.lower() in {".ndjson", ".jsonl"}

    async def write(application: Application, workspace: Workspace) -> int:
        contacts, lines = application.contacts, 0
        parts = (contacts.export_ndjson if is_ndjson else contacts.export_csv)(workspace.id, query)
        with file.open("w", encoding="utf-8", newline="") as out:
            async for part in parts:
                out.write(part)
                lines += 1
        return lines

    run(write)
    console.print(f"Written to {file}.", markup=False)


@app.command("tag")
def tag_contacts(
    addresses: list[str] = _ADDRESSES,
    add: list[str] = typer.Option([], "--add", help="A tag to give."),
    remove: list[str] = typer.Option([], "--remove", help="A tag to take."),
) -> None:
    """Give contacts tags, and take tags away."""
    _change(addresses, BulkChange(add_tags=add, remove_tags=remove))


@app.command("archive")
def archive_contacts(
    addresses: list[str] = _ADDRESSES,
    restore: bool = typer.Option(False, "--restore", help="Bring them back instead."),
) -> None:
    """Archive contacts: no campaigns any more, and nothing is forgotten."""
    _change(addresses, BulkChange(archive=not restore))


def _change(addresses: list[str], change: BulkChange) -> None:
    async def work(application: Application, workspace: Workspace) -> int:
        contacts = application.contacts
        ids = [(await contacts.find(workspace.id, one)).card.id for one in addresses]
        return await contacts.change_many(workspace.id, ids, change)

    number: Any = run(work)
    console.print(f"{number:,} contact{'' if number == 1 else 's'} changed.")
