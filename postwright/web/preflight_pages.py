"""Pre-flight of a campaign on a page of its own, and sending against what it found: with a reason and a name."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import Problem, RefusedError
from postwright.services.preflight_overrides import LONGEST_NOTE, OverrideWish
from postwright.store.campaigns import Campaign
from postwright.web.hrefs import campaign_href, read_campaign
from postwright.web.site import Site, go_to, visitor_of


class PreflightPages:
    """Pages of pre-flight; that of a draft stands on the campaign's own page, too."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._campaigns = site.services.campaigns

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/campaigns/{public_id}/preflight", self.show, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/overrides", self.overrule, methods=["POST"])
        router.add_api_route("/campaigns/{public_id}/overrides/withdraw", self.withdraw, methods=["POST"])

    async def show(self, request: Request, public_id: str) -> Response:
        """What was found, what was overruled, and by whom."""
        return await self._page(request, await self._campaign(request, public_id))

    async def overrule(self, request: Request, public_id: str) -> Response:
        """Overrule one finding; the reason stands in the form."""
        campaign, form = await self._campaign(request, public_id), request.state.form
        who, code = visitor_of(request).signed_in.address, str(form.get("code", ""))
        wish = OverrideWish(frozenset({code} - {""}), who, str(form.get("note", "")))
        try:
            await self._campaigns.overrule(campaign.workspace_id, campaign.id, wish)
        except RefusedError as error:
            return await self._page(request, campaign, error.problems)
        return go_to(f"{_place(campaign)}?done=overruled")

    async def withdraw(self, request: Request, public_id: str) -> Response:
        """Take back what was overruled."""
        campaign, code = await self._campaign(request, public_id), str(request.state.form.get("code", ""))
        who = visitor_of(request).signed_in.address
        await self._campaigns.withdraw_override(campaign.workspace_id, campaign.id, code, who)
        return go_to(f"{_place(campaign)}?done=override_withdrawn")

    async def _page(self, request: Request, campaign: Campaign, problems: tuple[Problem, ...] = ()) -> Response:
        place = (campaign.workspace_id, campaign.id)
        context = {
            "campaign": campaign,
            "preflight": await self._campaigns.preflight(*place),
            "overrides": await self._campaigns.overrides(*place),
            "longest_note": LONGEST_NOTE,
            "problems": problems,
        }
        return self._site.page(request, "preflight", context, status=409 if problems else 200)

    async def _campaign(self, request: Request, public_id: str) -> Campaign:
        return await self._campaigns.get(visitor_of(request).workspace_id, read_campaign(public_id))


def _place(campaign: Campaign) -> str:
    """Where pre-flight stands: on the page of what was not sent yet, else on its own."""
    href = campaign_href(campaign)
    return href if campaign.state in {"draft", "scheduled"} else f"{href}/preflight"
