"""Messages: found by the recipient's address, the Message-ID or the id, and the whole story of one."""

import json

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import Problem, RefusedError
from postwright.services.event_search import LONGEST_QUERY
from postwright.store.campaigns import Campaign
from postwright.store.events import EventFilter
from postwright.store.recipients import DeliveryRecord
from postwright.web.event_pages import event_tabs
from postwright.web.happenings import happening_of, reply_of
from postwright.web.hrefs import message_id, read_message
from postwright.web.site import Site, visitor_of

_PER_PAGE = 50


class MessagePages:
    """Pages of messages."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._log = site.services.log

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/messages", self.search, methods=["GET"])
        router.add_api_route("/messages/{public_id}", self.show, methods=["GET"])

    async def search(
        self, request: Request, query: str = "", address: str = "", after: int = Query(0, ge=0, lt=1 << 63)
    ) -> Response:
        """The messages that an address, a Message-ID or an id leads to; ``address`` is the older name of ``query``."""
        query = (query or address)[:LONGEST_QUERY].strip()
        workspace_id = visitor_of(request).workspace_id
        problems: tuple[Problem, ...] = ()
        found: list[DeliveryRecord] = []
        if query:
            try:
                search = self._site.services.event_search
                found = list(await search.messages(workspace_id, query, after=after, limit=_PER_PAGE + 1))
            except RefusedError as error:
                problems = error.problems
        context = {
            "query": query,
            "tabs": event_tabs("/messages", is_admin=visitor_of(request).is_admin),
            "problems": problems,
            "deliveries": found[:_PER_PAGE],
            "has_more": len(found) > _PER_PAGE,
            "reply_of": reply_of,
        }
        return self._site.page(request, "messages", context)

    async def show(self, request: Request, public_id: str) -> Response:
        """One message with everything that happened to it."""
        delivery, events = await self._log.delivery(visitor_of(request).workspace_id, read_message(public_id))
        context = {
            "delivery": delivery,
            "public_id": message_id(delivery),
            "campaign": await self._campaign(delivery),
            "happenings": [happening_of(event) for event in events],
            "reply": reply_of(delivery),
        }
        return self._site.page(request, "message", context)

    async def _campaign(self, delivery: DeliveryRecord) -> Campaign | None:
        """The campaign that the message belongs to, by what the first event of its run says."""
        wanted = EventFilter(kind="run_started", run_id=delivery.run_id)
        found = await self._log.events(delivery.workspace_id, wanted, limit=1)
        name = json.loads(found[0].data).get("campaign") if found else None
        return await self._site.services.campaigns.find(delivery.workspace_id, name) if isinstance(name, str) else None
