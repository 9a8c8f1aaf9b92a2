"""Finds where mail for recipient domains goes, and remembers it for a while.

Hosts are rolled up into destinations and providers before anything is reserved (``mta.destinations``).
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from dns_checks.driver import Resolver
from dns_checks.mx import MailRoute, RouteResult, find_mail_hosts
from mailtypes.clock import MINUTE, SECOND, Clock, microseconds
from mailtypes.domain import DomainName
from mta.destinations import site_of
from postwright.store import routes
from postwright.store.database import Database
from postwright.store.routes import Route

_AT_ONCE = 50
_UNKNOWN_LIFETIME = MINUTE  # could not find out: ask again soon
_SHORTEST_LIFETIME = 5 * MINUTE


class Router:
    """Routes of recipient domains, from the table or from the DNS."""

    def __init__(self, database: Database, resolver: Resolver, clock: Clock, lifetime: timedelta) -> None:
        self._database = database
        self._resolver = resolver
        self._clock = clock
        self._lifetime = microseconds(lifetime)

    async def find(self, workspace_id: int, domains: Sequence[str]) -> dict[str, Route]:
        """A fresh route for each of these domains (A-labels)."""
        now = self._clock.now()
        known = await self._database.read(
            lambda connection: routes.fresh_routes(connection, workspace_id, list(domains), now)
        )
        missing = [domain for domain in domains if domain not in known]
        if missing:
            limit = asyncio.Semaphore(_AT_ONCE)
            found = await asyncio.gather(*(self._ask(domain, limit) for domain in missing))
            known |= await self._database.write(lambda connection: self._save(connection, workspace_id, found, now))
        return known

    async def _ask(self, domain: str, limit: asyncio.Semaphore) -> MailRoute:
        async with limit:
            return await self._resolver.evaluate(find_mail_hosts(DomainName(domain)))

    def _save(
        self, connection: Connection, workspace_id: int, found: Sequence[MailRoute], now: int
    ) -> dict[str, Route]:
        saved: dict[str, Route] = {}
        for answer in found:
            destination_id = None
            if answer.host_groups:
                site = site_of(answer.host_groups)
                destination_id = routes.save_destination(connection, workspace_id, site.site, site.provider, site.hosts)
            route = Route(
                answer.domain.ascii, str(answer.result), answer.cause, destination_id, now + self._lasts(answer)
            )
            routes.save_route(connection, workspace_id, route)
            saved[route.domain] = route
        return saved

    def _lasts(self, answer: MailRoute) -> int:
        """How long the answer is believed: as its TTL says, but neither asked for every mail nor kept for days."""
        if answer.result is RouteResult.UNKNOWN:
            return _UNKNOWN_LIFETIME
        return min(self._lifetime, max(answer.ttl * SECOND, _SHORTEST_LIFETIME))
