"""Contacts: looked for, read one by one with what they went through, changed, archived, exported."""

import json
from typing import Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.tree import AllOf, InSegment, Node, OnList
from postwright.services.contact_timeline import EntryKind, TimelineEntry
from postwright.services.contacts import TRACKING, BulkChange, ContactWanted, FullContact
from postwright.services.errors import Problem, RefusedError
from postwright.services.tracking_consents import SaidBy
from postwright.store.contact_book import ContactChange, ContactQuery
from postwright.web.event_words import EVENTS
from postwright.web.hrefs import contact_href, read_contact
from postwright.web.language import N_, Texts, gettext
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.tables import ChosenFilter, Column, page_of
from postwright.web.words import Tone, Word, word

_PER_PAGE = 50
_LONGEST = 4096
_COLUMNS: list[Column[FullContact]] = [
    Column("address", N_("Address")),
    Column("fields", N_("Fields")),
    Column("lists", N_("Lists")),
    Column("tags", N_("Tags")),
]
_ENTRIES = {
    EntryKind.ADDED: Word("added", Tone.GOOD, N_("Added")),
    EntryKind.JOINED: Word("joined", Tone.GOOD, N_("Came on a list")),
    EntryKind.TAGGED: Word("tagged", Tone.QUIET, N_("Got a tag")),
    EntryKind.SUPPRESSED: Word("suppressed", Tone.BAD, N_("Suppressed")),
    EntryKind.ARCHIVED: Word("archived", Tone.QUIET, N_("Archived")),
}
_CONSENT = {
    "given": Word("given", Tone.GOOD, N_("Gave consent")),
    "withdrawn": Word("withdrawn", Tone.BAD, N_("Took consent back")),
    "pending": Word("pending", Tone.UNKNOWN, N_("Was asked for consent")),
}
_TRACKING = Texts(
    {
        "": N_("As the list says"),
        "off": N_("Not at all"),
        "aggregate": N_("Only counted"),
        "last_open": N_("Only the day of the last open"),
        "full": N_("In full"),
    }
)


class ContactPages:
    """Pages of contacts."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._contacts = site.services.contacts

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/contacts", self.table, methods=["GET"])
        router.add_api_route("/contacts", self.create, methods=["POST"])
        router.add_api_route("/contacts/export", self.export, methods=["GET"])
        router.add_api_route("/contacts/{public_id}", self.show, methods=["GET"])
        router.add_api_route("/contacts/{public_id}", self.change, methods=["POST"])
        router.add_api_route("/contacts/{public_id}/tags", self.tag, methods=["POST"])
        router.add_api_route("/contacts/{public_id}/archive", self.archive, methods=["POST"])

    async def table(self, request: Request, after: int = Query(0, ge=0, lt=1 << 62)) -> Response:
        """Contacts, as the address asks for them."""
        return await self._table(request, after)

    async def _table(self, request: Request, after: int = 0, problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id, asked = visitor_of(request).workspace_id, request.query_params
        lists = [item.name for item, _ in await self._site.services.contact_lists.lists(workspace_id)]
        segments = [one.name for one in await self._site.services.segments.page(workspace_id, limit=1000)]
        query, search = _query(asked), asked.get("find", "")[:100].strip()
        try:
            rows = await self._contacts.page(workspace_id, query, after=after, limit=_PER_PAGE + 1)
        except SegmentSyntaxError as error:  # a list or a segment that has gone since
            rows, problems = [], (Problem.of(error, "segment"),)
        chosen = {name: asked.get(name, "") for name in ("list", "segment", "archived")}
        filters = [
            ChosenFilter("list", gettext("List"), [(name, name) for name in lists], chosen["list"]),
            ChosenFilter("segment", gettext("Segment"), [(name, name) for name in segments], chosen["segment"]),
            ChosenFilter("archived", gettext("Archived"), [("yes", gettext("Archived contacts"))], chosen["archived"]),
        ]
        kept = {name: value for name, value in {**chosen, "find": search}.items() if value}
        shown = rows[:_PER_PAGE]
        later = {**kept, "after": str(shown[-1].card.id)} if len(rows) > _PER_PAGE else None
        view = page_of(request, _COLUMNS, shown, filters=filters, later=later, csv_path="/contacts/export")
        context = {"view": view, "search": search, "kept": kept, "is_first": not after, "problems": problems}
        return self._site.page(request, "contacts", context, status=409 if problems else 200)

    async def create(self, request: Request) -> Response:
        """Add a contact by hand."""
        form = request.state.form
        lists = [name for name in (str(form.get("list", "")).strip(),) if name]
        wanted = ContactWanted(str(form.get("address", ""))[:512], lists=lists)
        try:
            made, is_new = await self._contacts.create(visitor_of(request).workspace_id, wanted)
        except RefusedError as error:
            return await self._table(request, problems=error.problems)
        return go_to(f"{contact_href(made.card)}?done={'contact_new' if is_new else 'contact'}")

    async def export(self, request: Request) -> Response:
        """The contacts that the address asks for as a file: CSV, or NDJSON."""
        workspace_id, query = visitor_of(request).workspace_id, _query(request.query_params)
        await self._contacts.page(workspace_id, query, limit=1)  # what is wrong is told before the file begins
        is_ndjson = request.query_params.get("format") == "ndjson"
        parts = (self._contacts.export_ndjson if is_ndjson else self._contacts.export_csv)(workspace_id, query)
        name = "contacts.ndjson" if is_ndjson else "contacts.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        media_type = "application/x-ndjson" if is_ndjson else "text/csv; charset=utf-8"
        return StreamingResponse(parts, media_type=media_type, headers=headers)

    async def show(self, request: Request, public_id: str) -> Response:
        """One contact."""
        return await self._show(request, public_id)

    async def _show(self, request: Request, public_id: str, problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id, contact_id = visitor_of(request).workspace_id, read_contact(public_id)
        one = await self._contacts.get(workspace_id, contact_id)
        entries = await self._site.services.contact_timeline.entries(workspace_id, contact_id)
        kinds = {item.name: item for item in await self._site.services.contact_fields.definitions(workspace_id)}
        context = {
            "contact": one,
            "card": one.card,
            "fields": [(name, _written(value), kinds.get(name)) for name, value in one.fields.items()],
            "timeline": [_item(entry) for entry in entries],
            "tracking": [(value, _TRACKING[value]) for value in ("", *TRACKING)],
            "all_tags": [tag.name for tag, _ in await self._site.services.contact_lists.tags(workspace_id)],
            "problems": problems,
        }
        return self._site.page(request, "contact", context, status=409 if problems else 200)

    async def change(self, request: Request, public_id: str) -> Response:
        """Change fields, language, zone and tracking."""
        form, fields = request.state.form, {}
        for key, value in form.items():
            if key.startswith("field:") and isinstance(value, str):
                fields[key.removeprefix("field:")] = value[: _LONGEST + 1].strip() or None
        name, value = str(form.get("new_name", "")).strip(), str(form.get("new_value", "")).strip()
        if name and value:
            fields[name] = value
        change = ContactChange(
            fields,
            str(form.get("locale", "")),
            str(form.get("time_zone", "")),
            str(form.get("tracking", "")),
        )
        visitor = visitor_of(request)
        said = SaidBy(f"page:{visitor.signed_in.address}")
        try:
            await self._contacts.change(visitor.workspace_id, read_contact(public_id), change, said)
        except RefusedError as error:
            return await self._show(request, public_id, error.problems)
        return go_to(f"/contacts/{public_id}?done=contact")

    async def tag(self, request: Request, public_id: str) -> Response:
        """Give or take a tag."""
        form = request.state.form
        add, remove = str(form.get("add", "")).strip(), str(form.get("remove", "")).strip()
        change = BulkChange(add_tags=[add] if add else [], remove_tags=[remove] if remove else [])
        return await self._many(request, public_id, change, "contact")

    async def archive(self, request: Request, public_id: str) -> Response:
        """Archive, or bring back."""
        back = request.state.form.get("restore") == "yes"
        done = "restored_contact" if back else "archived_contact"
        return await self._many(request, public_id, BulkChange(archive=not back), done)

    async def _many(self, request: Request, public_id: str, change: BulkChange, done: str) -> Response:
        try:
            await self._contacts.change_many(visitor_of(request).workspace_id, [read_contact(public_id)], change)
        except RefusedError as error:
            return await self._show(request, public_id, error.problems)
        return go_to(f"/contacts/{public_id}?done={done}")


def _query(asked: Any) -> ContactQuery:
    parts: list[Node] = []
    if asked.get("list"):
        parts.append(OnList(asked["list"][:200]))
    if asked.get("segment"):
        parts.append(InSegment(asked["segment"][:200]))
    search = asked.get("find", "")[:100].strip()
    if not parts:
        return ContactQuery(search=search, archived=asked.get("archived") == "yes")
    return ContactQuery(parts[0] if len(parts) == 1 else AllOf(tuple(parts)), search)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _item(entry: TimelineEntry) -> dict[str, Any]:
    """An entry as the macro ``timeline`` shows it."""
    if entry.kind is EntryKind.MAIL:
        shown = word(EVENTS, entry.event)
    elif entry.kind is EntryKind.CONSENT:
        shown = word(_CONSENT, entry.event)
    else:
        shown = _ENTRIES[entry.kind]
    wording = entry.data.get("wording") or "" if entry.kind is EntryKind.CONSENT else ""
    lines = [line for line in (entry.what, entry.why.replace("_", " "), wording) if line]
    return {"word": shown, "occurred_at": entry.at, "lines": lines, "who": "", "reply": ""}
