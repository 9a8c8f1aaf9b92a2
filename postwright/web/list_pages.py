"""Lists, fields and tags: what contacts are sorted by."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hygiene.segments.fields import FieldDefinition, FieldKind
from mailtypes.errors import InputSyntaxError
from postwright.services.contacts import TRACKING
from postwright.services.errors import Problem, RefusedError
from postwright.web.hrefs import read_list
from postwright.web.language import N_, Texts
from postwright.web.site import Site, go_to, visitor_of

KINDS = Texts(
    {
        "text": N_("Text"),
        "number": N_("Number"),
        "date": N_("Date"),
        "choice": N_("One of several"),
        "yes_no": N_("Yes or no"),
        "rating": N_("Rating from 1 to 5"),
    }
)
_TRACKING = Texts(
    {
        "": N_("As the workspace says"),
        "off": N_("Not at all"),
        "aggregate": N_("Only counted"),
        "last_open": N_("Only the day of the last open"),
        "full": N_("In full"),
    }
)


class ListPages:
    """Pages of lists, fields and tags."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._contact_lists = site.services.contact_lists
        self._fields = site.services.contact_fields

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/contacts/lists", self.lists, methods=["GET"])
        router.add_api_route("/contacts/lists", self.make_list, methods=["POST"])
        router.add_api_route("/contacts/lists/{public_id}", self.change_list, methods=["POST"])
        router.add_api_route("/contacts/lists/{public_id}/delete", self.delete_list, methods=["POST"])
        router.add_api_route("/contacts/fields", self.fields, methods=["GET"])
        router.add_api_route("/contacts/fields", self.define, methods=["POST"])
        router.add_api_route("/contacts/fields/delete", self.forget, methods=["POST"])
        router.add_api_route("/contacts/tags", self.make_tag, methods=["POST"])
        router.add_api_route("/contacts/tags/delete", self.delete_tag, methods=["POST"])

    async def lists(self, request: Request) -> Response:
        """All lists."""
        return await self._lists(request)

    async def _lists(self, request: Request, problems: tuple[Problem, ...] = (), name: str = "") -> Response:
        workspace_id = visitor_of(request).workspace_id
        context = {
            "lists": await self._contact_lists.lists(workspace_id),
            "chosen": await self._contact_lists.list_tracking(workspace_id),
            "tracking": [(value, _TRACKING[value]) for value in ("", *TRACKING)],
            "name": name,
            "problems": problems,
        }
        return self._site.page(request, "lists", context, status=409 if problems else 200)

    async def make_list(self, request: Request) -> Response:
        """Make a list."""
        name = str(request.state.form.get("name", ""))[:300]
        try:
            await self._site.services.imports.make_list(visitor_of(request).workspace_id, name)
        except RefusedError as error:
            return await self._lists(request, error.problems, name)
        return go_to("/contacts/lists?done=list")

    async def change_list(self, request: Request, public_id: str) -> Response:
        """Another name, another tracking."""
        form = request.state.form
        name, tracking = str(form.get("name", ""))[:300], str(form.get("tracking", ""))
        try:
            await self._contact_lists.change_list(
                visitor_of(request).workspace_id, read_list(public_id), name=name, tracking=tracking
            )
        except RefusedError as error:
            return await self._lists(request, error.problems)
        return go_to("/contacts/lists?done=list_changed")

    async def delete_list(self, request: Request, public_id: str) -> Response:
        """Delete a list that nothing uses."""
        try:
            await self._contact_lists.delete_list(visitor_of(request).workspace_id, read_list(public_id))
        except RefusedError as error:
            return await self._lists(request, error.problems)
        return go_to("/contacts/lists?done=list_gone")

    async def fields(self, request: Request) -> Response:
        """Fields that have a kind, and tags."""
        return await self._show_fields(request)

    async def _show_fields(self, request: Request, problems: tuple[Problem, ...] = (), form: Any = None) -> Response:
        workspace_id = visitor_of(request).workspace_id
        context = {
            "fields": await self._fields.definitions(workspace_id),
            "tags": await self._contact_lists.tags(workspace_id),
            "kinds": [(kind.value, KINDS[kind.value]) for kind in FieldKind],
            "kind_names": KINDS,
            "typed": {name: str((form or {}).get(name, "")) for name in ("name", "kind", "choices", "tag")},
            "problems": problems,
        }
        return self._site.page(request, "contact_fields", context, status=409 if problems else 200)

    async def define(self, request: Request) -> Response:
        """Give a field a kind."""
        form = request.state.form
        kind = str(form.get("kind", ""))
        choices = tuple(one.strip() for one in str(form.get("choices", "")).splitlines() if one.strip())
        definition = FieldDefinition(
            str(form.get("name", "")).strip(),
            FieldKind(kind) if kind in set(FieldKind) else FieldKind.TEXT,
            choices if kind == FieldKind.CHOICE else (),
        )
        try:
            await self._fields.define(visitor_of(request).workspace_id, definition)
        except RefusedError as error:
            return await self._show_fields(request, error.problems, form)
        except InputSyntaxError as error:
            return await self._show_fields(request, (Problem.of(error, "field"),), form)
        return go_to("/contacts/fields?done=field")

    async def forget(self, request: Request) -> Response:
        """A field is text again."""
        await self._fields.delete(visitor_of(request).workspace_id, str(request.state.form.get("name", "")))
        return go_to("/contacts/fields?done=field_gone")

    async def make_tag(self, request: Request) -> Response:
        """Make a tag."""
        form = request.state.form
        try:
            await self._contact_lists.make_tag(visitor_of(request).workspace_id, str(form.get("tag", "")))
        except RefusedError as error:
            return await self._show_fields(request, error.problems, form)
        return go_to("/contacts/fields?done=tag")

    async def delete_tag(self, request: Request) -> Response:
        """Delete a tag."""
        await self._contact_lists.delete_tag(visitor_of(request).workspace_id, str(request.state.form.get("tag", "")))
        return go_to("/contacts/fields?done=tag_gone")
