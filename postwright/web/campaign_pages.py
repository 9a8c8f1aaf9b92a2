"""Campaigns: the list, one campaign with its progress and result, and what may be done with it."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mta.delivery import DeliveryState
from postwright.services.campaign_senders import from_json
from postwright.services.campaigns import CampaignStatus
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store.campaigns import Campaign
from postwright.store.recipients import DeliveryFilter
from postwright.web.campaign_end import offset, when, why
from postwright.web.campaign_tests import shown_test
from postwright.web.happenings import recent_happenings, reply_of
from postwright.web.hrefs import campaign_href, read_campaign
from postwright.web.progress import progress_of
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.words import DELIVERY

_PER_PAGE = 20
_RECIPIENTS_PER_PAGE = 50
_MOST_CAMPAIGNS = 1000
_SHOWN_STATES = ("failed", "deferred", "ambiguous", "expired", "suppressed", "delivered", "held")


class CampaignPages:
    """Pages of campaigns."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._campaigns = site.services.campaigns

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/campaigns", self.list, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}", self.show, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/progress.json", self.progress, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/recent.part", self.recent, methods=["GET"])
        for name in ("send", "pause", "resume", "cancel"):
            router.add_api_route(f"/campaigns/{{public_id}}/{name}", self._change(name), methods=["POST"])

    async def list(self, request: Request, page: int = Query(1, ge=1, le=_MOST_CAMPAIGNS)) -> Response:
        """All campaigns, the newest first."""
        found = await newest_campaigns(self._site, visitor_of(request).workspace_id)
        shown = found[(page - 1) * _PER_PAGE : page * _PER_PAGE]
        context = {
            "rows": await campaign_rows(self._site, shown),
            "page": page,
            "count": len(found),
            "has_more": len(found) > page * _PER_PAGE,
        }
        return self._site.page(request, "campaigns", context)

    async def show(
        self, request: Request, public_id: str, state: str = "", after: int = Query(0, ge=0, lt=1 << 63)
    ) -> Response:
        """One campaign; ``state`` filters its recipients, which go on behind ``after``."""
        status = await self._status(request, public_id)
        return await self._page(request, status, {"filter": state, "after": after})

    async def _page(
        self, request: Request, status: CampaignStatus, wanted: dict[str, Any], problems: tuple[Any, ...] = ()
    ) -> Response:
        campaign = status.campaign
        workspace_id = campaign.workspace_id
        progress = progress_of(status, self._site.now())
        template = await self._site.services.templates.get(workspace_id, campaign.template_id)
        chosen = wanted["filter"] if wanted["filter"] in _SHOWN_STATES else _first_filter(status)
        people = await self._recipients(status, chosen, wanted["after"]) if chosen else []
        context = {
            "campaign": campaign,
            "status": status,
            "progress": progress,
            "expected": await self._expected(status),
            "template": template,
            "others": from_json(campaign.other_senders),
            "problems": problems,
            "test": await self._test(request, status),
            "preflight": await self._campaigns.preflight(workspace_id, campaign.id) if status.run is None else None,
            "filter": chosen,
            "filters": [(DELIVERY[name], _count(status, name)) for name in _SHOWN_STATES if _count(status, name)],
            "recipients": people[:_RECIPIENTS_PER_PAGE],
            "has_more": len(people) > _RECIPIENTS_PER_PAGE,
            "is_first": not wanted["after"],
            "reply_of": reply_of,
            "happenings": await self._happenings(status),
        }
        return self._site.page(request, "campaign", context, status=409 if problems else 200)

    async def _test(self, request: Request, status: CampaignStatus) -> dict[str, Any] | None:
        if status.run is None or status.campaign.experiment is None:
            return None
        try:
            found = await self._site.services.experiment_runs.get(status.run.workspace_id, status.run.id)
        except NotFoundError:
            return None
        return shown_test(found, may_choose=visitor_of(request).may_change)

    async def progress(self, request: Request, public_id: str) -> Response:
        """The numbers of a campaign, for the script of its page."""
        status = await self._status(request, public_id)
        return JSONResponse(progress_of(status, self._site.now()).document() | await self._expected(status))

    async def _expected(self, status: CampaignStatus) -> dict[str, str]:
        found = None if status.run is None else await self._site.services.campaign_ends.of_run(status.run)
        return {"expected": when(found), "expected_offset": offset(found), "expected_why": why(found)}

    async def recent(self, request: Request, public_id: str) -> Response:
        """The newest events of a campaign, as the part of its page that shows them."""
        status = await self._status(request, public_id)
        return self._site.page(request, "_recent", {"happenings": await self._happenings(status)})

    async def _happenings(self, status: CampaignStatus) -> Any:
        run = status.run
        if run is None:
            return []
        until = self._site.now() if run.finished_at is None else run.finished_at
        return await recent_happenings(self._site.services.log, run.workspace_id, run.id, until)

    async def _status(self, request: Request, public_id: str) -> CampaignStatus:
        return await self._campaigns.status(visitor_of(request).workspace_id, read_campaign(public_id))

    async def _recipients(self, status: CampaignStatus, state: str, after: int) -> Any:
        if status.run is None:
            return []
        wanted = DeliveryFilter(run_id=status.run.id, state=DeliveryState(state))
        return await self._site.services.log.deliveries(
            status.campaign.workspace_id, wanted, after=after, limit=_RECIPIENTS_PER_PAGE + 1
        )

    def _change(self, name: str) -> Callable[[Request, str], Awaitable[Response]]:
        done = "sent" if name == "send" else name

        async def change(request: Request, public_id: str) -> Response:
            workspace_id, campaign_id = visitor_of(request).workspace_id, read_campaign(public_id)
            changes = {
                "send": self._campaigns.send,
                "pause": self._campaigns.pause,
                "resume": self._campaigns.resume,
                "cancel": self._campaigns.cancel,
            }
            try:
                status = await changes[name](workspace_id, campaign_id)
            except RefusedError as error:
                status = await self._campaigns.status(workspace_id, campaign_id)
                return await self._page(request, status, {"filter": "", "after": 0}, error.problems)
            return go_to(f"{campaign_href(status.campaign)}?done={done}")

        return change


async def newest_campaigns(site: Site, workspace_id: int) -> list[Campaign]:
    """The campaigns of a workspace, the newest first."""
    found = await site.services.campaigns.list(workspace_id, limit=_MOST_CAMPAIGNS)
    return sorted(found, key=lambda campaign: campaign.id, reverse=True)


async def campaign_rows(site: Site, found: list[Campaign]) -> list[dict[str, Any]]:
    """Campaigns with where they stand."""
    rows = []
    for campaign in found:
        status = await site.services.campaigns.status(campaign.workspace_id, campaign.id)
        rows.append({"campaign": campaign, "run": status.run, "progress": progress_of(status, site.now())})
    return rows


def _count(status: CampaignStatus, state: str) -> int:
    return status.counts.by_state.get(state, 0) if status.counts else 0


def _first_filter(status: CampaignStatus) -> str:
    return next((name for name in _SHOWN_STATES if _count(status, name)), "")
