"""Making a campaign: whom, what, when, and what is tested, on one page; and what is done with one that exists."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import Problem, RefusedError
from postwright.store.campaigns import Campaign
from postwright.web.campaign_form import EMPTY, FIELDS, draft_from, values_of
from postwright.web.form_numbers import read_number
from postwright.web.gate import check_may_change
from postwright.web.hrefs import campaign_href, read_campaign
from postwright.web.language import gettext
from postwright.web.site import Site, go_to, visitor_of


class CampaignEditPages:
    """Pages that make and change campaigns."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._campaigns = site.services.campaigns

    def add_to(self, router: APIRouter) -> None:
        """Add the routes; they stand before those of one campaign, whose id would take ``new``."""
        router.add_api_route("/campaigns/new", self.new, methods=["GET"])
        router.add_api_route("/campaigns", self.create, methods=["POST"])
        router.add_api_route("/campaigns/{public_id}/edit", self.edit, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/edit", self.change, methods=["POST"])
        router.add_api_route("/campaigns/{public_id}/copy", self.copy, methods=["POST"])
        router.add_api_route("/campaigns/{public_id}/choose", self.choose, methods=["POST"])
        for name in ("unschedule", "repeat", "archive", "unarchive"):
            router.add_api_route(f"/campaigns/{{public_id}}/{name}", self._acting(name), methods=["POST"])

    async def new(self, request: Request) -> Response:
        """The empty form; not for viewers."""
        check_may_change(visitor_of(request))
        return await self._form(request, None, dict(EMPTY))

    async def create(self, request: Request) -> Response:
        """Store a draft."""
        form = request.state.form
        try:
            made = await self._campaigns.create(visitor_of(request).workspace_id, draft_from(form))
        except RefusedError as error:
            return await self._form(request, None, _kept(form), error.problems)
        return go_to(campaign_href(made))

    async def edit(self, request: Request, public_id: str) -> Response:
        """The form of a draft; not for viewers."""
        check_may_change(visitor_of(request))
        campaign = await self._campaign(request, public_id)
        return await self._form(request, campaign, values_of(campaign))

    async def change(self, request: Request, public_id: str) -> Response:
        """Change a draft."""
        campaign, form = await self._campaign(request, public_id), request.state.form
        try:
            changed = await self._campaigns.change(campaign.workspace_id, campaign.id, draft_from(form))
        except RefusedError as error:
            return await self._form(request, campaign, _kept(form), error.problems)
        return go_to(f"{campaign_href(changed)}?done=changed")

    async def copy(self, request: Request, public_id: str) -> Response:
        """Make a draft like it, with a name of its own."""
        campaign = await self._campaign(request, public_id)
        for number in range(2, 100):
            name = gettext("%(name)s (copy %(number)s)", name=campaign.name[:180], number=number)
            if await self._campaigns.find(campaign.workspace_id, name) is None:
                made = await self._campaigns.copy(campaign.workspace_id, campaign.id, name)
                return go_to(f"{campaign_href(made)}/edit")
        return go_to(campaign_href(campaign))

    async def choose(self, request: Request, public_id: str) -> Response:
        """Say which variant the rest gets."""
        campaign = await self._campaign(request, public_id)
        status = await self._campaigns.status(campaign.workspace_id, campaign.id)
        number = read_number(request.state.form.get("variant"))
        if status.run is not None and number is not None:
            await self._site.services.experiment_runs.choose(campaign.workspace_id, status.run.id, number)
        return go_to(f"{campaign_href(campaign)}?done=chosen")

    def _acting(self, name: str) -> Callable[[Request, str], Awaitable[Response]]:
        async def act(request: Request, public_id: str) -> Response:
            campaign = await self._campaign(request, public_id)
            place = (campaign.workspace_id, campaign.id)
            try:
                if name == "unschedule":
                    await self._campaigns.unschedule(*place)
                elif name == "repeat":
                    await self._campaigns.repeat(*place)
                else:
                    await self._campaigns.archive(*place, is_archived=name == "archive")
            except RefusedError:
                # The page says what state it is in; that of pre-flight, what blocks another run.
                is_blocked = name == "repeat" and campaign.state == "finished"
                return go_to(campaign_href(campaign) + ("/preflight" if is_blocked else ""))
            return go_to(f"{campaign_href(campaign)}?done={name}")

        return act

    async def _campaign(self, request: Request, public_id: str) -> Campaign:
        return await self._campaigns.get(visitor_of(request).workspace_id, read_campaign(public_id))

    async def _form(
        self,
        request: Request,
        campaign: Campaign | None,
        values: Mapping[str, str],
        problems: tuple[Problem, ...] = (),
    ) -> Response:
        workspace_id = visitor_of(request).workspace_id
        services = self._site.services
        context: dict[str, Any] = {
            "campaign": campaign,
            "values": values,
            "problems": problems,
            "wrong": {problem.field for problem in problems},
            "choices": await services.campaigns.choices(workspace_id),
            "templates": await services.templates.list(workspace_id),
            "domains": await services.sender_domains.list(workspace_id),
            "zones": sorted(available_timezones()),
        }
        return self._site.page(request, "campaign_form", context, status=409 if problems else 200)


def _kept(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(form.get(name, "")) for name in FIELDS}
