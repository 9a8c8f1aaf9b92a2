"""Templates: the list, and the source of the newest version."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.web.hrefs import read_template
from postwright.web.site import Site, visitor_of

_SHOWN_CHARACTERS = 150_000


class TemplatePages:
    """Pages of templates."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/templates", self.list, methods=["GET"])
        router.add_api_route("/templates/{public_id}", self.show, methods=["GET"])
        router.add_api_route("/templates/{public_id}/source", self.source, methods=["GET"])

    async def list(self, request: Request) -> Response:
        """All templates."""
        found = await self._site.services.templates.list(visitor_of(request).workspace_id)
        return self._site.page(request, "templates", {"rows": found})

    async def show(self, request: Request, public_id: str) -> Response:
        """One template with its source."""
        found = await self._site.services.templates.get(visitor_of(request).workspace_id, read_template(public_id))
        body = found.version.body
        context = {
            "template": found.template,
            "version": found.version,
            "lines": body[:_SHOWN_CHARACTERS].splitlines(),
            "is_cut": len(body) > _SHOWN_CHARACTERS,
        }
        return self._site.page(request, "template", context)

    async def source(self, request: Request, public_id: str) -> Response:
        """The whole source as a file."""
        found = await self._site.services.templates.get(visitor_of(request).workspace_id, read_template(public_id))
        name = f"template-v{found.version.number}.{'mjml' if found.version.body_format == 'mjml' else 'html'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found.version.body, media_type="text/plain; charset=utf-8", headers=headers)
