"""The suppression list: searched, added to, filled from files, written out; what is removed can be put back."""

from fastapi import APIRouter, Query
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailtypes.clock import DAY
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.suppression_files import FileForm
from postwright.services.suppression_list import ImportedSuppressions, Reach, SuppressionList, needs_admin
from postwright.store.suppressions import Scope, Suppression, SuppressionFilter
from postwright.web.audience_words import SUPPRESSION_REASONS, SUPPRESSION_SCOPES
from postwright.web.form_numbers import read_number
from postwright.web.gate import ForbiddenError
from postwright.web.language import gettext
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.undo import Offer

_PER_PAGE = 100
_MOST_DAY_DIGITS = 5


class SuppressionPages:
    """Pages of the suppression list."""

    def __init__(self, site: Site, suppressions: SuppressionList) -> None:
        self._site = site
        self._suppressions = suppressions

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/suppressions", self.show, methods=["GET"])
        router.add_api_route("/suppressions", self.add, methods=["POST"])
        router.add_api_route("/suppressions/import", self.take_file, methods=["POST"])
        router.add_api_route("/suppressions/export", self.export, methods=["GET"])
        router.add_api_route("/suppressions/{suppression_id}/remove", self.remove, methods=["POST"])

    async def show(self, request: Request, after: int = Query(0, ge=0, lt=1 << 62)) -> Response:
        """A page of the list."""
        return await self._page(request, after=after)

    async def _page(
        self,
        request: Request,
        *,
        after: int = 0,
        problems: tuple[Problem, ...] = (),
        offer: Offer | None = None,
        taken: ImportedSuppressions | None = None,
    ) -> Response:
        search, reason = (request.query_params.get(name, "")[:100] for name in ("find", "reason"))
        wanted = SuppressionFilter(search=search.strip() or None, reason=reason or None)
        workspace_id = visitor_of(request).workspace_id
        rows = await self._suppressions.find(workspace_id, wanted, after=after, limit=_PER_PAGE + 1)
        context = {
            "rows": rows[:_PER_PAGE],
            "next_after": rows[_PER_PAGE - 1].id if len(rows) > _PER_PAGE else None,
            "is_first": not after,
            "search": search,
            "reason": reason,
            "reasons": SUPPRESSION_REASONS,
            "scopes": SUPPRESSION_SCOPES,
            "forms": list(FileForm),
            "problems": problems,
            "given": request.state.form if problems else {},
            "needs_admin": needs_admin,
            "offer": offer,
            "taken": taken,
            "max_upload": self._site.services.max_upload,
        }
        return self._site.page(request, "suppressions", context, status=409 if problems else 200)

    async def add(self, request: Request) -> Response:
        """Suppress one address, or put back what was just removed."""
        form, visitor = request.state.form, visitor_of(request)
        try:
            reach = _reach(form, self._site.now())
            reason, note = str(form.get("reason", "")) or "manual", str(form.get("note", ""))
            await self._suppressions.add(visitor.workspace_id, str(form.get("address", "")), reason, reach, note=note)
        except InputSyntaxError as error:
            return await self._page(request, problems=(Problem.of(error, "bad_address", "address"),))
        except RefusedError as error:
            return await self._page(request, problems=error.problems)
        return go_to("/suppressions?done=suppression_added")

    async def remove(self, request: Request, suppression_id: str) -> Response:
        """Let an address be written to again; for a moment it can be taken back."""
        visitor, row_id = visitor_of(request), _read(suppression_id)
        gone = await self._suppressions.get(visitor.workspace_id, row_id)
        note = str(request.state.form.get("note", ""))
        by, is_admin = visitor.signed_in.address, visitor.is_admin
        try:
            await self._suppressions.lift(visitor.workspace_id, row_id, by=by, note=note, is_admin=is_admin)
        except RefusedError as error:
            if error.problems[0].code == "admin_needed":
                raise ForbiddenError(error.problems[0].sentence) from error
            return await self._page(request, problems=error.problems)
        sentence = gettext("%(address)s may be written to again.", address=gone.address)
        return await self._page(request, offer=Offer("/suppressions", sentence, _fields(gone)))

    async def take_file(self, request: Request) -> Response:
        """Suppress the addresses of a file."""
        file = request.state.form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            problem = Problem("no_file", say("There is no file."), "file", "", say("Choose a CSV or JSON file."))
            return await self._page(request, problems=(problem,))
        try:
            workspace_id = visitor_of(request).workspace_id
            taken = await self._suppressions.import_file(workspace_id, await file.read())
        except RefusedError as error:
            return await self._page(request, problems=error.problems)
        return await self._page(request, taken=taken)

    async def export(self, request: Request) -> Response:
        """Everything that bars now, as a file."""
        asked = request.query_params.get("form", "")
        form = FileForm(asked) if asked in list(FileForm) else FileForm.POSTWRIGHT
        pieces = self._suppressions.export(visitor_of(request).workspace_id, form)
        disposition = f'attachment; filename="suppressions-{form}.csv"'
        return StreamingResponse(pieces, media_type="text/csv", headers={"Content-Disposition": disposition})


def _fields(gone: Suppression) -> dict[str, str]:
    return {
        "address": gone.address,
        "scope": gone.scope,
        "scope_id": str(gone.scope_id),
        "reason": gone.reason,
        "note": gone.note,
        "expires_at": "" if gone.expires_at is None else str(gone.expires_at),
    }


def _reach(form: dict[str, object], now: int) -> Reach:
    scope, words = str(form.get("scope", "")), {name: str(form.get(name, "")) for name in ("list", "days", "scope_id")}
    if scope not in list(Scope):
        return Reach()
    until = read_number(form.get("expires_at"))
    days = read_number(words["days"])
    if days is not None and len(words["days"]) <= _MOST_DAY_DIGITS:
        until = now + days * DAY
    known = read_number(words["scope_id"])
    return Reach(Scope(scope), list_name=words["list"] or None, list_id=known or None, expires_at=until)


def _read(suppression_id: str) -> int:
    found = read_number(suppression_id)
    if found is None:
        raise NotFoundError("suppression")
    return found
