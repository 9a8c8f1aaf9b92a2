"""Best hours of sending from one's own campaigns, with intervals."""

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import NotFoundError
from postwright.services.sending_hours import HourMetric, HoursWanted, SendingHours
from postwright.store.public_ids import PublicIdSyntaxError, public_id, read_public_id
from postwright.web.campaign_comparison import hours_chart, percent
from postwright.web.chart_pictures import chart_picture, theme_of
from postwright.web.language import speech
from postwright.web.site import Site, visitor_of


class SendingHoursPages:
    """The page and its chart."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the routes; they stand before those of one campaign."""
        router.add_api_route("/campaigns/hours", self.show, methods=["GET"])
        router.add_api_route("/campaigns/hours.svg", self.chart, methods=["GET"])

    async def show(
        self, request: Request, metric: HourMetric = HourMetric.CLICK, of_list: str = Query("", alias="list")
    ) -> Response:
        """What the campaigns of the last year say, by the reader's clock."""
        found = await self._found(request, metric, of_list)
        context = {
            "told": found,
            "percent_of": percent,
            "list": of_list,
            "best_words": ", ".join(f"{hour}:00" for hour in sorted(found.found.best)),
            "list_public_id": lambda one: public_id("lst", one.created_at, one.id),
            "choices": await self._site.services.campaigns.choices(visitor_of(request).workspace_id),
        }
        return self._site.page(request, "sending_hours", context)

    async def chart(
        self,
        request: Request,
        metric: HourMetric = HourMetric.CLICK,
        of_list: str = Query("", alias="list"),
        theme: str = "light",
        width: str = "",
    ) -> Response:
        """The hours with their intervals."""
        found = await self._found(request, metric, of_list)
        return await chart_picture(hours_chart(found, theme_of(theme)), width)

    async def _found(self, request: Request, metric: HourMetric, list_id: str) -> SendingHours:
        wanted = HoursWanted(metric, speech().zone, _list(list_id))
        return await self._site.services.best_sending_hours.find(visitor_of(request).workspace_id, wanted)


def _list(text: str) -> int | None:
    if not text:
        return None
    try:
        return read_public_id(text, "lst")
    except PublicIdSyntaxError as error:
        raise NotFoundError("list") from error
