"""Imports of contacts: a file is handed in, its progress is shown, and every row that was refused."""

from fastapi import APIRouter, Query
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from postwright.services.errors import Problem, RefusedError
from postwright.web import formats
from postwright.web.hrefs import import_href, read_import
from postwright.web.site import Site, go_to, visitor_of

_PER_PAGE = 100


class ImportPages:
    """Pages of imports."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._imports = site.services.imports

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/imports", self.form, methods=["GET"])
        router.add_api_route("/imports", self.start, methods=["POST"])
        router.add_api_route("/imports/{public_id}", self.show, methods=["GET"])
        router.add_api_route("/imports/{public_id}/progress.json", self.progress, methods=["GET"])

    async def form(self, request: Request) -> Response:
        """The form for a file."""
        return self._form(request)

    def _form(self, request: Request, list_name: str = "", problems: tuple[Problem, ...] = ()) -> Response:
        context = {"list_name": list_name, "problems": problems, "max_upload": self._site.services.max_upload}
        return self._site.page(request, "imports", context, status=409 if problems else 200)

    async def start(self, request: Request) -> Response:
        """Store the file; its rows are read in the background."""
        form = request.state.form
        list_name, file = str(form.get("list", ""))[:300], form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            problem = Problem("no_file", "There is no file.", "file", "", "Choose a CSV file.")
            return self._form(request, list_name, (problem,))
        workspace_id = visitor_of(request).workspace_id
        try:
            job_id = await self._imports.start(workspace_id, list_name, file.filename, await file.read())
        except RefusedError as error:
            return self._form(request, list_name, error.problems)
        return go_to(f"{import_href(await self._imports.job(workspace_id, job_id))}?done=import")

    async def show(self, request: Request, public_id: str, after: int = Query(0, ge=0, lt=1 << 31)) -> Response:
        """One import with its refused rows."""
        workspace_id, job_id = visitor_of(request).workspace_id, read_import(public_id)
        job = await self._imports.job(workspace_id, job_id)
        refusals = await self._imports.refusals(workspace_id, job_id, after=after, limit=_PER_PAGE + 1)
        context = {
            "job": job,
            "refusals": refusals[:_PER_PAGE],
            "has_more": len(refusals) > _PER_PAGE,
            "by_code": await self._imports.refusals_by_code(workspace_id, job_id),
            "is_first": not after,
        }
        return self._site.page(request, "import", context)

    async def progress(self, request: Request, public_id: str) -> Response:
        """The numbers of an import, for the script of its page."""
        job = await self._imports.job(visitor_of(request).workspace_id, read_import(public_id))
        document = {
            "state": job.state,
            "active": job.state in ("waiting", "running"),
            "total": job.rows_total,
            "settled": job.rows_read,
            "tried": job.rows_read,
            "percent": formats.percent(job.rows_read, job.rows_total),
            "rows": {name: {"count": getattr(job, name)} for name in ("created", "updated", "refused")},
        }
        return JSONResponse(document)
