"""The report of a campaign: rates with their definitions, charts with the numbers behind them, CSV."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.chart_spec import ChartSpec, Theme
from postwright.services.campaigns import CampaignStatus
from postwright.services.comparison import CampaignComparison
from postwright.services.errors import NotFoundError
from postwright.services.statistics import By, StatisticTable, statistics_csv
from postwright.store.public_ids import PublicIdSyntaxError, read_public_id
from postwright.store.public_ids import public_id as written_id
from postwright.store.statistics import RunFilter
from postwright.web.campaign_comparison import own_chart, shown_comparison
from postwright.web.campaign_report import Reported, chart_of, hour_in_zone
from postwright.web.chart_pictures import chart_picture, theme_of
from postwright.web.hrefs import read_campaign
from postwright.web.progress import progress_of
from postwright.web.site import Site, visitor_of


class CampaignReportPages:
    """Pages of what became of a campaign."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/campaigns/{public_id}/report", self.show, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/report.csv", self.export, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/charts/{name}.svg", self.chart, methods=["GET"])

    async def show(self, request: Request, public_id: str, segment: str = "") -> Response:
        """The report of the newest run; against the last ones in all, or of whoever is in a segment now."""
        status = await self._status(request, public_id)
        compared = None if status.run is None else await self._compared(status, segment)
        context = {
            "compared": None if compared is None else shown_comparison(compared),
            "compared_segment": segment,
            "segments": await self._site.services.segments.page(status.campaign.workspace_id),
            "segment_id": lambda one: written_id("seg", one.created_at, one.id),
            "campaign": status.campaign,
            "status": status,
            "progress": progress_of(status, self._site.now()),
            "hour_in_zone": hour_in_zone,
            "reported": None if status.run is None else await self._reported(status),
        }
        return self._site.page(request, "campaign_report", context)

    async def export(self, request: Request, public_id: str, by: By = By.PROVIDER) -> Response:
        """The counts by one part, as CSV."""
        status = await self._status(request, public_id)
        if status.run is None:
            return Response(status_code=404)
        wanted = RunFilter(run_id=status.run.id)
        table = await self._site.services.statistics.table(status.campaign.workspace_id, wanted, by)
        headers = {"Content-Disposition": f'attachment; filename="campaign-by-{by}.csv"'}
        return Response(statistics_csv(table.rows), media_type="text/csv; charset=utf-8", headers=headers)

    async def chart(
        self, request: Request, public_id: str, name: str, theme: str = "light", width: str = ""
    ) -> Response:
        """One of the charts."""
        status = await self._status(request, public_id)
        spec = None
        if status.run is not None:
            spec = await self._spec(status, name, theme_of(theme))
        return await chart_picture(spec, width)

    async def _spec(self, status: CampaignStatus, name: str, theme: Theme) -> ChartSpec | None:
        if name == "own":
            return own_chart(await self._compared(status, ""), theme)
        return chart_of(name, await self._reported(status), theme)

    async def _compared(self, status: CampaignStatus, segment: str) -> CampaignComparison:
        try:
            segment_id = read_public_id(segment, "seg") if segment else None
        except PublicIdSyntaxError as error:
            raise NotFoundError("segment") from error
        comparisons = self._site.services.campaign_comparisons
        return await comparisons.compare(status.campaign.workspace_id, status.campaign.id, segment_id)

    async def _status(self, request: Request, public_id: str) -> CampaignStatus:
        workspace_id = visitor_of(request).workspace_id
        return await self._site.services.campaigns.status(workspace_id, read_campaign(public_id))

    async def _reported(self, status: CampaignStatus) -> Reported:
        assert status.run is not None  # asked before
        statistics, workspace_id = self._site.services.statistics, status.campaign.workspace_id
        wanted = RunFilter(run_id=status.run.id)

        async def by(part: By) -> StatisticTable:
            return await statistics.table(workspace_id, wanted, part)

        return Reported(
            total=await by(By.TOTAL),
            hours=await by(By.HOUR),
            providers=await by(By.PROVIDER),
            links=await by(By.LINK),
            variants=await by(By.VARIANT),
            senders=await by(By.SENDER) if status.run.other_senders != "[]" else None,
        )
