"""Segments: listed, built from conditions, counted while one builds, saved."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hygiene.segments.describe import describe
from hygiene.segments.parse import parse
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import joined, say
from postwright.services.errors import Problem, RefusedError
from postwright.services.segments import read_tree
from postwright.store.segments import Segment
from postwright.web import formats
from postwright.web.hrefs import read_segment, segment_href
from postwright.web.language import N_, Texts, ngettext
from postwright.web.sayings import told
from postwright.web.segment_form import MOST_ROWS, BuilderForm, ConditionRow, as_form, read_form
from postwright.web.site import Site, go_to, visitor_of

_SHOWN = 20
_MOST = 1000
_LONGEST_TREE = 20_000
KINDS = Texts(
    {
        "field": N_("a field"),
        "contact": N_("address, language or zone"),
        "list": N_("on the list"),
        "tag": N_("carries the tag"),
        "consent": N_("consent is"),
        "received": N_("received mails"),
        "opened": N_("opened mails"),
        "clicked": N_("clicked in mails"),
        "last_opened": N_("last opened"),
        "last_clicked": N_("last clicked"),
        "last_received": N_("last received"),
        "opened_in_a_row": N_("opened the last mails, so many"),
        "joined": N_("was added"),
        "domain": N_("address at the domain"),
        "segment": N_("in the segment"),
    }
)
OPERATORS = Texts(
    {
        "is": N_("is"),
        "is_not": N_("is not"),
        "one_of": N_("is one of (with commas)"),
        "contains": N_("contains"),
        "starts_with": N_("begins with"),
        "ends_with": N_("ends with"),
        "at_least": N_("at least"),
        "at_most": N_("at most"),
        "none": N_("none"),
        "before": N_("is before"),
        "after": N_("is after"),
        "within_days": N_("within the last days"),
        "before_days": N_("longer ago than days"),
        "in_next_days": N_("in the next days"),
        "is_set": N_("has a value (yes or no)"),
    }
)


class SegmentPages:
    """Pages of segments."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._segments = site.services.segments

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/segments", self.table, methods=["GET"])
        router.add_api_route("/segments", self.create, methods=["POST"])
        router.add_api_route("/segments/new", self.new, methods=["GET"])
        router.add_api_route("/segments/count.json", self.count, methods=["POST"])
        router.add_api_route("/segments/{public_id}", self.show, methods=["GET"])
        router.add_api_route("/segments/{public_id}", self.change, methods=["POST"])
        router.add_api_route("/segments/{public_id}/delete", self.delete, methods=["POST"])

    async def table(self, request: Request) -> Response:
        """All segments, each as a sentence."""
        return await self._table(request)

    async def _table(self, request: Request, problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id = visitor_of(request).workspace_id
        found = await self._segments.page(workspace_id, limit=_MOST)
        context = {"segments": [(one, describe(one.node)) for one in found], "problems": problems}
        return self._site.page(request, "segments", context, status=409 if problems else 200)

    async def new(self, request: Request) -> Response:
        """The builder, empty."""
        return await self._builder(request, None, {"all": []}, "")

    async def show(self, request: Request, public_id: str) -> Response:
        """A segment in the builder, with its count and its first contacts."""
        found = await self._segments.get(visitor_of(request).workspace_id, read_segment(public_id))
        return await self._builder(request, found, json.loads(found.tree), found.name)

    async def create(self, request: Request) -> Response:
        """Save a new segment; other steps of the form only show."""
        return await self._take(request, None)

    async def change(self, request: Request, public_id: str) -> Response:
        """Save a segment under its name or another one."""
        found = await self._segments.get(visitor_of(request).workspace_id, read_segment(public_id))
        return await self._take(request, found)

    async def _take(self, request: Request, segment: Segment | None) -> Response:
        form, workspace_id = request.state.form, visitor_of(request).workspace_id
        name, step = str(form.get("name", ""))[:300], form.get("step")
        tree = _tree_of(form)
        if step != "save":
            return await self._builder(request, segment, tree, name, more=step == "more")
        try:
            if segment is None:
                saved = await self._segments.create(workspace_id, name, tree)
            else:
                saved = await self._segments.change(workspace_id, segment.id, name=name, document=tree)
        except RefusedError as error:
            return await self._builder(request, segment, tree, name, error.problems)
        except InputSyntaxError as error:
            return await self._builder(request, segment, tree, name, (Problem.of(error, "segment"),))
        return go_to(f"{segment_href(saved)}?done=segment")

    async def delete(self, request: Request, public_id: str) -> Response:
        """Delete a segment; its contacts stay."""
        try:
            await self._segments.delete(visitor_of(request).workspace_id, read_segment(public_id))
        except RefusedError as error:
            return await self._table(request, error.problems)
        return go_to("/segments?done=segment_gone")

    async def count(self, request: Request) -> Response:
        """How many contacts the form's tree has now, for the script of the builder."""
        counted, sentence, problem = await self._counted(request, _tree_of(request.state.form))
        count = "" if counted is None else _contacts(counted)
        return JSONResponse({"count": count, "sentence": told(sentence), "problem": told(problem)})

    async def _counted(self, request: Request, tree: Mapping[str, Any]) -> tuple[int | None, str, str]:
        try:
            node = parse(tree)
            return await self._segments.count(visitor_of(request).workspace_id, node), describe(node), ""
        except InputSyntaxError as error:
            return None, "", joined([error.message, error.next_step], ". ")

    async def _builder(
        self,
        request: Request,
        segment: Segment | None,
        tree: Mapping[str, Any],
        name: str,
        problems: tuple[Problem, ...] = (),
        *,
        more: bool = False,
    ) -> Response:
        workspace_id = visitor_of(request).workspace_id
        form = as_form(tree)
        counted, sentence, problem = await self._counted(request, tree)
        shown = [] if counted is None else await self._segments.contacts(workspace_id, parse(tree), limit=_SHOWN)
        lists, fields = self._site.services.contact_lists, self._site.services.contact_fields
        context = {
            "segment": segment,
            "name": name,
            "form": form,
            "rows": _padded(form, more=more) if form else (),
            "tree": json.dumps(tree, ensure_ascii=False, indent=2),
            "kinds": [(kind, KINDS[kind]) for kind in KINDS],
            "operators": [(one, OPERATORS[one]) for one in OPERATORS],
            "counted": None if counted is None else _contacts(counted),
            "sentence": sentence,
            "problem": problem,
            "shown": shown,
            "names": sorted(
                {item.name for item, _ in await lists.lists(workspace_id)}
                | {tag.name for tag, _ in await lists.tags(workspace_id)}
                | {one.name for one in await fields.definitions(workspace_id)}
            ),
            "problems": problems,
        }
        return self._site.page(request, "segment", context, status=409 if problems else 200)


def _tree_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of the rows; where a tree was written as JSON, that one."""
    written = form.get("tree")
    if isinstance(written, str) and form.get("by") == "json":
        if len(written) > _LONGEST_TREE:
            raise InputSyntaxError(
                say("the tree has more than %(longest_tree)s characters", longest_tree=f"{_LONGEST_TREE:,}"),
                next_step=say("Shorten it."),
            )
        read_tree(written)
        found: dict[str, Any] = json.loads(written)
        return found
    return read_form(form).tree


def _padded(form: BuilderForm, *, more: bool) -> tuple[ConditionRow, ...]:
    """The rows with an empty one behind them, or three where more are wanted."""
    empty = 3 if more else 1
    return (*form.rows, *(ConditionRow(),) * empty)[:MOST_ROWS]


def _contacts(number: int) -> str:
    return ngettext("%(number)s contact", "%(number)s contacts", number, number=formats.number(number))
