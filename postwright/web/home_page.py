"""Home: what runs now, the latest campaigns, the state of the domains."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.web.campaign_pages import campaign_rows, newest_campaigns
from postwright.web.site import Site, visitor_of

_LATEST = 6
_MOST_RUNNING = 10


class HomePage:
    """The front page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/", self.show, methods=["GET"])

    async def show(self, request: Request) -> Response:
        """The front page."""
        workspace_id = visitor_of(request).workspace_id
        found = await newest_campaigns(self._site, workspace_id)
        running = [campaign for campaign in found if campaign.state in ("sending", "paused")]
        context = {
            "running": await campaign_rows(self._site, running[:_MOST_RUNNING]),
            "latest": await campaign_rows(self._site, [one for one in found if one not in running][:_LATEST]),
            "domains": await self._site.services.sender_domains.list(workspace_id),
            "templates": len(await self._site.services.templates.list(workspace_id)) if not found else 1,
        }
        return self._site.page(request, "home", context)
