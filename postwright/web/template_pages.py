"""Templates: the library, and the page of one, with its editor beside the mail that it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.preview_contacts import PreviewContact
from postwright.services.proofs import ProofWanted, client_of
from postwright.services.template_checks import TemplateCheck
from postwright.services.templates import StoredTemplate
from postwright.store.templates import TemplateText
from postwright.web.headers import MAIL_FRAME_POLICY
from postwright.web.hrefs import read_template, template_href
from postwright.web.language import N_, Texts
from postwright.web.mail_frames import framed
from postwright.web.sayings import told
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.template_forms import TemplateForm, read_form, read_query, read_version
from postwright.web.template_reports import report_of
from rendering.sample_contacts import SampleKind
from rendering.starters import starters

_BLANK = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text font-size="16px">Hello {{ contact.first_name | default: "there" }},</mj-text>
        <mj-text font-size="14px"><a href="{{ unsubscribe_url }}">Unsubscribe</a> &nbsp;·&nbsp;
          <a href="{{ preferences_url }}">Choose what you get</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
KINDS = Texts(
    {
        SampleKind.TYPICAL: N_("a typical one"),
        SampleKind.LONGEST_NAME: N_("the longest name"),
        SampleKind.EMPTIEST: N_("the emptiest record"),
        SampleKind.RIGHT_TO_LEFT: N_("written from right to left"),
        SampleKind.ADDRESS: N_("by address"),
    }
)


class TemplatePages:
    """Pages of templates."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = site.services.templates

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        one = "/templates/{public_id}"
        router.add_api_route("/templates", self.list, methods=["GET"])
        router.add_api_route("/templates/begin", self.begin, methods=["POST"])
        router.add_api_route(one, self.show, methods=["GET"])
        router.add_api_route(f"{one}/source", self.source, methods=["GET"])
        router.add_api_route(f"{one}/frame", self.frame, methods=["GET", "POST"])
        router.add_api_route(f"{one}/check", self.check, methods=["POST"])
        router.add_api_route(f"{one}/check.json", self.check_json, methods=["POST"])
        router.add_api_route(f"{one}/save", self.save, methods=["POST"])
        router.add_api_route(f"{one}/restore", self.restore, methods=["POST"])
        router.add_api_route(f"{one}/test", self.send_test, methods=["POST"])

    async def list(self, request: Request) -> Response:
        """All templates, and what a new one may begin with."""
        return await self._list(request)

    async def _list(self, request: Request, problems: Sequence[Problem] = (), name: str = "") -> Response:
        found = await self._templates.list(visitor_of(request).workspace_id)
        context = {"rows": found, "starters": starters(), "problems": problems, "wanted_name": name}
        return self._site.page(request, "templates", context, status=409 if problems else 200)

    async def begin(self, request: Request) -> Response:
        """A new template from a starter, or an empty one."""
        form, workspace_id = request.state.form, visitor_of(request).workspace_id
        name, key = str(form.get("name", "")).strip(), str(form.get("starter", ""))
        try:
            if key:
                made = await self._templates.begin_with(workspace_id, key, name)
            else:
                made = await self._blank(workspace_id, name)
        except RefusedError as error:
            return await self._list(request, error.problems, name)
        return go_to(template_href(made.template))

    async def _blank(self, workspace_id: int, name: str) -> StoredTemplate:
        if any(stored.template.name == name for stored in await self._templates.list(workspace_id)):
            raise RefusedError("name_taken", say("There is a template '%(name)s' already.", name=name), field="name")
        return await self._templates.save(workspace_id, name, TemplateText(_BLANK, "mjml", name or "New"))

    async def show(self, request: Request, public_id: str, version: str = "") -> Response:
        """One template: its newest version, or the one of that number."""
        stored = await self._stored(request, public_id, version)
        return await self._page(request, stored, read_query(request.query_params, stored.version))

    async def check(self, request: Request, public_id: str) -> Response:
        """What stands in the form, looked at and not stored: for browsers without scripts."""
        stored = await self._stored(request, public_id)
        return await self._page(request, stored, read_form(request.state.form, stored.version))

    async def check_json(self, request: Request, public_id: str) -> Response:
        """The same for the script: the parts of the page that follow the typing."""
        stored = await self._stored(request, public_id)
        form = read_form(request.state.form, stored.version)
        report = report_of(await self._checked(request, form))
        parts = {
            name: bytes(self._site.page(request, f"_template_{name}", {"report": report}).body).decode()
            for name in ("meters", "report")
        }
        lines = [[remark.line, remark.tone] for remark in report["remarks"] if remark.line and remark.part == "body"]
        return JSONResponse({**parts, "lines": lines, "is_rtl": report["is_rtl"]})

    async def frame(self, request: Request, public_id: str) -> Response:
        """The mail alone, for the frame: an origin of its own, without scripts."""
        is_get = request.method == "GET"
        asked = request.query_params if is_get else request.state.form
        stored = await self._stored(request, public_id, str(asked.get("version", "")))
        form = (read_query if is_get else read_form)(asked, stored.version)
        checked = await self._checked(request, form)
        if checked.mail is None:
            problems = "\n\n".join(
                f"{told(one.sentence)} {told(one.place)}\n{told(one.next_step)}" for one in checked.problems
            )
            document = framed("", problems, replace(form.frame, view="text"))
        else:
            document = framed(checked.mail.html, checked.mail.text, form.frame)
        return HTMLResponse(document, headers={"Content-Security-Policy": form.frame.policy})

    async def save(self, request: Request, public_id: str) -> Response:
        """Store what stands in the form as a new version."""
        stored = await self._stored(request, public_id)
        form = read_form(request.state.form, stored.version)
        try:
            saved = await self._templates.save(visitor_of(request).workspace_id, stored.template.name, form.text)
        except RefusedError as error:
            return await self._page(request, stored, form, error.problems)
        query = {"done": "template_saved", **_view_query(form)}
        return go_to(f"{template_href(saved.template)}?{urlencode(query)}")

    async def restore(self, request: Request, public_id: str) -> Response:
        """Make an old version the newest again."""
        stored = await self._stored(request, public_id)
        wanted = read_version(str(request.state.form.get("version", "")))
        await self._templates.restore(visitor_of(request).workspace_id, stored.template.id, wanted)
        return go_to(f"{template_href(stored.template)}?done=template_restored")

    async def send_test(self, request: Request, public_id: str) -> Response:
        """Send what stands in the form to an own address."""
        stored = await self._stored(request, public_id)
        form, signed_in = read_form(request.state.form, stored.version), visitor_of(request).signed_in
        to = str(request.state.form.get("to", "")).strip() or signed_in.address
        try:
            contact = await self._contact(request, form)
            wanted = ProofWanted(to, str(request.state.form.get("from_address", "")))
            await self._templates.proofs.send(client_of(signed_in), form.text, contact, wanted)
        except RefusedError as error:
            return await self._page(request, stored, form, error.problems, to)
        return await self._page(request, stored, form, to=to, sent=True)

    async def source(self, request: Request, public_id: str) -> Response:
        """The whole source as a file."""
        found = await self._stored(request, public_id)
        name = f"template-v{found.version.number}.{'mjml' if found.version.body_format == 'mjml' else 'html'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found.version.body, media_type="text/plain; charset=utf-8", headers=headers)

    async def _stored(self, request: Request, public_id: str, version: str = "") -> StoredTemplate:
        workspace_id, template_id = visitor_of(request).workspace_id, read_template(public_id)
        if version:
            return await self._templates.version(workspace_id, template_id, read_version(version))
        return await self._templates.get(workspace_id, template_id)

    async def _contact(self, request: Request, form: TemplateForm) -> PreviewContact:
        contacts, workspace_id = self._templates.checks.contacts, visitor_of(request).workspace_id
        if form.address:
            return await contacts.by_address(workspace_id, form.address)
        return await contacts.by_id(workspace_id, form.wish.contact_id)

    async def _checked(self, request: Request, form: TemplateForm) -> TemplateCheck:
        workspace_id = visitor_of(request).workspace_id
        checks = self._templates.checks
        try:
            return await checks.check(workspace_id, form.text, form.wish)
        except NotFoundError:  # the contact is gone: the invented one stands in
            return await checks.check(workspace_id, form.text)
        except RefusedError as error:
            contact = await checks.contacts.by_id(workspace_id, 0)
            return TemplateCheck(contact, None, error.problems)

    async def _page(
        self,
        request: Request,
        stored: StoredTemplate,
        form: TemplateForm,
        problems: Sequence[Problem] = (),
        to: str = "",
        *,
        sent: bool = False,
    ) -> Response:
        workspace_id = visitor_of(request).workspace_id
        newest = await self._templates.get(workspace_id, stored.template.id)
        query = {**_view_query(form), "version": str(stored.version.number)}
        context: Mapping[str, Any] = {
            "template": stored.template,
            "version": stored.version,
            "is_newest": stored.version.number == newest.version.number,
            "versions": await self._templates.versions(workspace_id, stored.template.id),
            "form": form,
            "is_changed": form.text != stored.version.text,
            "contacts": await self._templates.checks.contacts.choose(workspace_id),
            "kinds": KINDS,
            "report": report_of(await self._checked(request, form)),
            "frame_query": urlencode(query),
            "problems": problems,
            "to": to or visitor_of(request).signed_in.address,
            "is_sent": sent,
        }
        status = 409 if problems else 200
        return self._site.page(request, "template", context, status=status, policy=MAIL_FRAME_POLICY)


def _view_query(form: TemplateForm) -> dict[str, str]:
    """How the mail is looked at, as part of an address."""
    frame = form.frame
    query = {"view": frame.view, "width": frame.width, "contact": form.contact, "address": form.address}
    query |= {"dark": "1"} if frame.dark else {}
    query |= {"images": "1"} if frame.images else {}
    defaults = {"view": "html", "width": "desktop", "contact": "0", "address": ""}
    return {name: value for name, value in query.items() if defaults.get(name) != value}
