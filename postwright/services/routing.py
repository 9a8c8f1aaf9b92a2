"""Finds where mail for recipient domains goes, and remembers it for a while.

Hosts are rolled up into destinations and providers before anything is reserved (``mta.destinations``). Where a
domain's MTA-STS policy is to be enforced, only the hosts that it names are left, and they make a destination of their
own, which is spoken to by verified TLS alone (RFC 8461 section 5).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from dns_checks.driver import Resolver
from dns_checks.evaluation import Fetcher, evaluate
from dns_checks.mta_sts import Mode, look_up_policy, matches_any
from dns_checks.mx import MailRoute, RouteResult, find_mail_hosts
from mailtypes.clock import MINUTE, SECOND, Clock, microseconds
from mailtypes.domain import DomainName
from mailtypes.saying import say
from mta.destinations import site_of
from postwright.store import routes, tls_policies
from postwright.store.database import Database
from postwright.store.routes import Route
from postwright.store.tls_policies import HeldPolicy

_AT_ONCE = 50
_UNKNOWN_LIFETIME = MINUTE  # could not find out: ask again soon
_SHORTEST_LIFETIME = 5 * MINUTE
WITHHELD = "withheld"
"""The result of a route whose hosts the domain's own policy forbids for now; the mail waits (RFC 8461 section 5.1)."""
_NO_HOST_FITS = say("none of the mail hosts is named in the domain's MTA-STS policy")


@dataclass(frozen=True, slots=True)
class _FoundRoute:
    """What was found out about a domain: where its mail goes, and the policy that it asks senders to hold."""

    route: MailRoute
    policy: HeldPolicy | None

    @property
    def is_enforced(self) -> bool:
        return self.policy is not None and self.policy.mode == Mode.ENFORCE

    @property
    def host_groups(self) -> tuple[tuple[str, ...], ...]:
        """The hosts that may be sent to, by preference."""
        groups = self.route.host_groups
        if self.policy is None or not self.is_enforced:
            return groups
        patterns = self.policy.patterns
        kept = (tuple(host for host in group if matches_any(host, patterns)) for group in groups)
        return tuple(group for group in kept if group)


class Router:
    """Routes of recipient domains, from the table or from the DNS. Without ``web`` no MTA-STS policy is looked for."""

    def __init__(
        self, database: Database, resolver: Resolver, clock: Clock, lifetime: timedelta, web: Fetcher | None = None
    ) -> None:
        self._web = web
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
            held = await self._database.read(
                lambda connection: tls_policies.held_policies(connection, workspace_id, missing, now)
            )
            found = await asyncio.gather(*(self._ask(domain, held.get(domain), limit) for domain in missing))
            known |= await self._database.write(lambda connection: self._save(connection, workspace_id, found, now))
        return known

    async def _ask(self, domain: str, held: HeldPolicy | None, limit: asyncio.Semaphore) -> _FoundRoute:
        async with limit:
            route = await self._resolver.evaluate(find_mail_hosts(DomainName(domain)))
            if self._web is None or not route.host_groups:
                return _FoundRoute(route, held)
            looking = look_up_policy(DomainName(domain), held.policy_id if held else None)
            news = await evaluate(looking, self._resolver, self._web)
        if news.policy is None:  # unchanged, or nothing live: what is held goes on to hold
            return _FoundRoute(route, held)
        expires_at = self._clock.now() + microseconds(news.policy.max_age)
        fresh = HeldPolicy(domain, news.policy_id, str(news.policy.mode), news.policy.patterns, expires_at)
        return _FoundRoute(route, fresh)

    def _save(
        self, connection: Connection, workspace_id: int, found: Sequence[_FoundRoute], now: int
    ) -> dict[str, Route]:
        saved: dict[str, Route] = {}
        for item in found:
            answer = item.route
            route = Route(answer.domain.ascii, str(answer.result), answer.cause, None, now + self._lasts(answer))
            if item.host_groups:
                site = site_of(item.host_groups)
                place = (site.site, site.provider, site.hosts)
                identity = routes.save_destination(connection, workspace_id, *place, verified_tls=item.is_enforced)
                route = replace(route, destination_id=identity)
            elif answer.host_groups:
                route = replace(route, result=WITHHELD, cause=_NO_HOST_FITS, expires_at=now + _SHORTEST_LIFETIME)
            routes.save_route(connection, workspace_id, route)
            if item.policy is not None:
                tls_policies.hold_policy(connection, workspace_id, item.policy)
            saved[route.domain] = route
        return saved

    def _lasts(self, answer: MailRoute) -> int:
        """How long the answer is believed: as its TTL says, but neither asked for every mail nor kept for days."""
        if answer.result is RouteResult.UNKNOWN:
            return _UNKNOWN_LIFETIME
        return min(self._lifetime, max(answer.ttl * SECOND, _SHORTEST_LIFETIME))
