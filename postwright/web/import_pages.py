"""Imports of contacts: a file is handed in, its columns are said, and what becomes of each row is shown."""

from typing import Any

from fastapi import APIRouter, Query
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from postwright.services.errors import Problem, RefusedError
from postwright.services.import_encodings import ENCODINGS
from postwright.services.import_files import Preview
from postwright.services.import_options import (
    JUDGEABLE,
    Column,
    ColumnUse,
    ExistingRule,
    ImportConsent,
    ImportOptions,
    Judgement,
)
from postwright.services.import_rows import read_moment
from postwright.web import formats
from postwright.web.hrefs import import_href, read_import
from postwright.web.language import N_, Texts, gettext
from postwright.web.site import Site, go_to, visitor_of

_PER_PAGE = 100
_JOBS = 30
USES = Texts(
    {
        "address": N_("The address"),
        "field": N_("A field"),
        "list": N_("Lists"),
        "tag": N_("Tags"),
        "locale": N_("The language"),
        "time_zone": N_("The time zone"),
        "consent_at": N_("When consent was given"),
        "ignore": N_("Nothing: leave it out"),
    }
)
RULES = Texts(
    {
        "overwrite": N_("The file's values replace theirs"),
        "fill": N_("Only what they lack is filled in"),
        "keep": N_("Their values stay as they are"),
    }
)
DOUBTS = Texts(
    {
        "likely_typo": N_("The domain is probably mistyped"),
        "hebrew_layout": N_("Typed with the keyboard set to Hebrew"),
        "disposable_domain": N_("A throw-away address"),
        "role_address": N_("A role address, such as info@"),
        "needs_smtputf8": N_("Letters that many hosts cannot take"),
        "bad_value": N_("A value does not fit its field"),
    }
)
JUDGEMENTS = Texts(
    {
        "flag": N_("Take the row and report it"),
        "refuse": N_("Refuse the row"),
        "accept": N_("Take the row"),
    }
)
OUTCOMES = Texts({"refused": N_("Refused"), "changed": N_("Changed"), "flagged": N_("Doubtful")})


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
        router.add_api_route("/imports/{public_id}/mapping", self.begin, methods=["POST"])
        router.add_api_route("/imports/{public_id}/progress.json", self.progress, methods=["GET"])
        router.add_api_route("/imports/{public_id}/report.csv", self.report, methods=["GET"])

    async def form(self, request: Request) -> Response:
        """The form for a file, and the imports that there were."""
        return await self._form(request)

    async def _form(self, request: Request, list_name: str = "", problems: tuple[Problem, ...] = ()) -> Response:
        workspace_id = visitor_of(request).workspace_id
        context = {
            "list_name": list_name,
            "problems": problems,
            "max_upload": self._site.services.max_upload,
            "jobs": await self._imports.jobs(workspace_id, limit=_JOBS),
            "lists": [item.name for item, _ in await self._site.services.contact_lists.lists(workspace_id)],
        }
        return self._site.page(request, "imports", context, status=409 if problems else 200)

    async def start(self, request: Request) -> Response:
        """Store the file; with ``step=columns`` its columns are said on the next page, else its rows are read."""
        form = request.state.form
        list_name, file = str(form.get("list", ""))[:300], form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            problem = Problem("no_file", gettext("There is no file."), "file", "", gettext("Choose a file."))
            return await self._form(request, list_name, (problem,))
        workspace_id, name = visitor_of(request).workspace_id, file.filename
        try:
            if form.get("step") == "columns":
                job_id = await self._imports.store_draft(workspace_id, list_name, name, file.file)
                return go_to(import_href(await self._imports.job(workspace_id, job_id)))
            job_id = await self._imports.start(workspace_id, list_name, name, file.file)
        except RefusedError as error:
            return await self._form(request, list_name, error.problems)
        return go_to(f"{import_href(await self._imports.job(workspace_id, job_id))}?done=import")

    async def begin(self, request: Request, public_id: str) -> Response:
        """Read the rows as the form says; with ``step=look`` only show what that would make of them."""
        workspace_id, job_id = visitor_of(request).workspace_id, read_import(public_id)
        form = request.state.form
        try:
            options = options_of(form)
            if form.get("step") == "look":
                return await self._mapping(request, job_id, options)
            begun = await self._imports.begin_draft(workspace_id, job_id, options)
        except RefusedError as error:
            return await self._mapping(request, job_id, _only_reading(form), error.problems)
        return go_to(f"{import_href(await self._imports.job(workspace_id, begun))}?done=import")

    async def _mapping(
        self, request: Request, job_id: int, options: ImportOptions, problems: tuple[Problem, ...] = ()
    ) -> Response:
        workspace_id = visitor_of(request).workspace_id
        try:
            preview = await self._imports.preview_draft(workspace_id, job_id, options)
        except RefusedError as error:  # the encoding does not fit at all: shown as it was found
            preview = await self._imports.preview_draft(workspace_id, job_id)
            problems = problems or error.problems
        context = {
            "job": await self._imports.job(workspace_id, job_id),
            "preview": preview,
            "encodings": _encodings(preview),
            "uses": [(use.value, USES[use.value]) for use in ColumnUse],
            "rules": [(rule.value, RULES[rule.value]) for rule in ExistingRule],
            "doubts": [(code, DOUBTS[code]) for code in JUDGEABLE],
            "judgements": [(one.value, JUDGEMENTS[one.value]) for one in (Judgement.FLAG, *_OTHERS)],
            "options": options,
            "problems": problems,
        }
        return self._site.page(request, "import_mapping", context, status=409 if problems else 200)

    async def show(self, request: Request, public_id: str, after: int = Query(0, ge=0, lt=1 << 31)) -> Response:
        """One import with the rows that did not come in as they stood; a draft with its columns."""
        workspace_id, job_id = visitor_of(request).workspace_id, read_import(public_id)
        job = await self._imports.job(workspace_id, job_id)
        if job.state == "draft" and visitor_of(request).may_change:
            return await self._mapping(request, job_id, ImportOptions())
        rows = await self._imports.report(workspace_id, job_id, after=after, limit=_PER_PAGE + 1)
        context = {
            "job": job,
            "rows": rows[:_PER_PAGE],
            "outcomes": OUTCOMES,
            "has_more": len(rows) > _PER_PAGE,
            "by_code": await self._imports.refusals_by_code(workspace_id, job_id),
            "is_first": not after,
        }
        return self._site.page(request, "import", context)

    async def report(self, request: Request, public_id: str) -> Response:
        """All of those rows as a file."""
        job = await self._imports.job(visitor_of(request).workspace_id, read_import(public_id))
        lines = self._imports.report_csv(job.workspace_id, job.id)
        headers = {"Content-Disposition": 'attachment; filename="import-report.csv"'}
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

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


_OTHERS = (Judgement.REFUSE, Judgement.ACCEPT)


def options_of(form: Any) -> ImportOptions:
    """What the form of the columns says; raises ``RefusedError``."""
    columns: dict[str, Column] = {}
    for place in range(100):
        name, use = form.get(f"column_{place}"), form.get(f"use_{place}")
        if not isinstance(name, str) or use not in set(ColumnUse):
            continue
        field = str(form.get(f"field_{place}", "")).strip() or name
        columns[name] = Column(ColumnUse(use), field if use == ColumnUse.FIELD else "")
    judgements = {
        code: Judgement(value) for code in JUDGEABLE if (value := form.get(f"judge_{code}")) in set(Judgement)
    }
    rule = form.get("existing")
    return ImportOptions(
        encoding=str(form.get("encoding", ""))[:40],
        columns=columns,
        existing=ExistingRule(rule) if rule in set(ExistingRule) else ExistingRule.OVERWRITE,
        judgements=judgements,
        tags=tuple(str(form.get("tags", ""))[:2000].split(",")),
        consent=_consent(form),
        again=form.get("again") == "yes",
    )


def _consent(form: Any) -> ImportConsent | None:
    source = str(form.get("consent_source", "")).strip()
    if not source:
        return None
    day = str(form.get("consent_day", "")).strip()
    try:
        given_at = read_moment(day) if day else None
    except ValueError as error:
        raise RefusedError("bad_moment", str(error), field="consent_day") from error
    return ImportConsent("list", source, str(form.get("consent_wording", "")).strip(), given_at)


def _only_reading(form: Any) -> ImportOptions:
    """What was said of the file, without what may be wrong with the rest."""
    try:
        found = options_of(form)
    except RefusedError:
        return ImportOptions()
    return ImportOptions(
        encoding=found.encoding, columns=found.columns, existing=found.existing, judgements=found.judgements
    )


def _encodings(preview: Preview) -> list[str]:
    """The likely ones first, each once."""
    return list(dict.fromkeys((preview.reading.encoding, *preview.detected.candidates, *ENCODINGS)))
