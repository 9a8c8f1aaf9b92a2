"""The report of a campaign: rates with their definitions, charts with the numbers behind them, CSV."""

import asyncio
import csv
import io

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.chart_spec import Theme
from postwright.services.campaigns import CampaignStatus
from postwright.services.statistics import By, flat
from postwright.store.statistics import RunFilter
from postwright.web.campaign_report import Reported, chart_of
from postwright.web.headers import UNTRUSTED_LOGO_POLICY
from postwright.web.hrefs import read_campaign
from postwright.web.progress import progress_of
from postwright.web.site import Site, visitor_of

_THEMES = {"light": Theme.LIGHT, "dark": Theme.DARK}


class CampaignReportPages:
    """Pages of what became of a campaign."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/campaigns/{public_id}/report", self.show, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/report.csv", self.export, methods=["GET"])
        router.add_api_route("/campaigns/{public_id}/charts/{name}.svg", self.chart, methods=["GET"])

    async def show(self, request: Request, public_id: str) -> Response:
        """The report of the newest run."""
        status = await self._status(request, public_id)
        context = {
            "campaign": status.campaign,
            "status": status,
            "progress": progress_of(status, self._site.now()),
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
        rows = [flat(row) for row in table.rows]
        written = io.StringIO()
        writer = csv.DictWriter(written, list(rows[0]) if rows else ["key"])
        writer.writeheader()
        writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
        headers = {"Content-Disposition": f'attachment; filename="campaign-by-{by}.csv"'}
        return Response(written.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    async def chart(self, request: Request, public_id: str, name: str, theme: str = "light") -> Response:
        """One of the charts."""
        from postwright.charts import draw  # noqa: PLC0415 - half a second, only for those who look at charts

        status = await self._status(request, public_id)
        spec = None
        if status.run is not None:
            spec = chart_of(name, await self._reported(status), _THEMES.get(theme, Theme.LIGHT))
        if spec is None:
            return Response(status_code=404)
        picture = await asyncio.to_thread(draw, spec)
        headers = {"Content-Security-Policy": UNTRUSTED_LOGO_POLICY, "Cache-Control": "private, max-age=30"}
        return Response(picture, media_type="image/svg+xml", headers=headers)

    async def _status(self, request: Request, public_id: str) -> CampaignStatus:
        workspace_id = visitor_of(request).workspace_id
        return await self._site.services.campaigns.status(workspace_id, read_campaign(public_id))

    async def _reported(self, status: CampaignStatus) -> Reported:
        assert status.run is not None  # asked before
        statistics, workspace_id = self._site.services.statistics, status.campaign.workspace_id
        wanted = RunFilter(run_id=status.run.id)
        parts = (By.TOTAL, By.HOUR, By.PROVIDER, By.LINK, By.VARIANT)
        return Reported(*[await statistics.table(workspace_id, wanted, by) for by in parts])


def _harmless(value: object) -> object:
    """What a spreadsheet would take for a formula is text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
