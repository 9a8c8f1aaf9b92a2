"""Home: today's sending, what is left of the day's budgets, alarms, what waits and why, what runs now."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.clock import DAY, Microseconds, as_datetime
from mailtypes.saying import joined
from postwright.services.destinations import DestinationState, DestinationStatus
from postwright.services.overview import DayBudget
from postwright.store.domains import SenderDomain
from postwright.web.campaign_pages import campaign_rows, newest_campaigns
from postwright.web.domain_audit import Audit, alarms_of
from postwright.web.event_pages import event_line
from postwright.web.event_words import TODAY
from postwright.web.formats import number
from postwright.web.hrefs import domain_href
from postwright.web.language import gettext, ngettext, speech
from postwright.web.site import Site, visitor_of
from postwright.web.words import Tone, Word

_LATEST = 6
_MOST_RUNNING = 10
_ALARMS_FOR = 3 * DAY
_TOLD_BY_STATE = frozenset({"destination_suspended", "dkim_key_missing"})
"""Alarms that are shown for as long as they are true, and not for as long as their event is new."""


@dataclass(frozen=True, slots=True)
class HomeAlarm:
    """Something to see to: what, since when, and the page where it is seen to."""

    tone: Tone
    sentence: str
    since: int | None
    href: str
    link: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits, and why; ``amount`` is in words, since it may be a bound."""

    amount: str
    reason: str
    href: str


class HomePage:
    """The front page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/", self.show, methods=["GET"])

    async def show(self, request: Request) -> Response:
        """The front page."""
        workspace_id, services = visitor_of(request).workspace_id, self._site.services
        midnight = start_of_day(self._site.now())
        found, domains, destinations, today, budgets = await asyncio.gather(
            newest_campaigns(self._site, workspace_id),
            services.sender_domains.list(workspace_id),
            services.destinations.list(workspace_id),
            services.overview.sent_since(workspace_id, midnight),
            services.overview.day_budgets(workspace_id),
        )
        running = [campaign for campaign in found if campaign.state in ("sending", "paused")]
        context = {
            "running": await campaign_rows(self._site, running[:_MOST_RUNNING]),
            "latest": await campaign_rows(self._site, [one for one in found if one not in running][:_LATEST]),
            "domains": domains,
            "templates": len(await services.templates.list(workspace_id)) if not found else 1,
            "today": todays_numbers(today),
            "midnight": midnight,
            "budgets": budgets[:6],
            "budget_tone": budget_tone,
            "alarms": await self._alarms(workspace_id, domains, destinations),
            "waits": await self._waits(workspace_id, destinations),
        }
        return self._site.page(request, "home", context)

    async def _alarms(
        self, workspace_id: int, domains: Sequence[SenderDomain], destinations: Sequence[DestinationStatus]
    ) -> Sequence[HomeAlarm]:
        services = self._site.services
        alarms = [_suspended(one) for one in destinations if one.state is DestinationState.SUSPENDED]
        for domain in domains:
            keys = await services.sender_domains.keys(domain)
            told = alarms_of(domain, keys, Audit.of(domain))
            href = domain_href(domain.name)
            alarms += [HomeAlarm(one.tone, one.sentence, one.since, href, domain.name, one.next_step) for one in told]
        for event in await services.event_search.alarms(workspace_id, self._site.now() - _ALARMS_FOR):
            if event.kind not in _TOLD_BY_STATE:
                line = event_line(event)
                tone, label = line.happening.word.tone, line.happening.word.label
                alarms.append(HomeAlarm(tone, label, event.occurred_at, line.href, line.about, joined(line.lines, " ")))
        return sorted(alarms, key=lambda one: (one.tone is not Tone.BAD, -(one.since or 0)))[:8]

    async def _waits(self, workspace_id: int, destinations: Sequence[DestinationStatus]) -> Sequence[Waits]:
        held = await self._site.services.overview.held_back(workspace_id)
        sums: dict[str, tuple[int, bool]] = {}
        for one in held:
            count, is_more = sums.get(one.reason, (0, False))
            sums[one.reason] = (count + one.count, is_more or one.is_more)
        waits = [
            Waits(_amount(count, is_more), reason or gettext("It waits to be given its way."), "/campaigns")
            for reason, (count, is_more) in sums.items()
        ]
        for status in sorted(destinations, key=lambda one: -one.waiting.deferred)[:5]:
            if status.waiting.deferred:
                reason = status.reason or gettext("Put off by %(site)s.", site=status.destination.site)
                waits.append(Waits(_amount(status.waiting.deferred), reason, f"/queue/{status.destination.id}"))
        return waits[:8]


def start_of_day(now: int) -> Microseconds:
    """Midnight in the zone of the page."""
    there = as_datetime(now).astimezone(speech().tzinfo)
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0)
    return Microseconds(int(midnight.timestamp()) * 1_000_000)


def todays_numbers(counts: Mapping[str, int]) -> list[tuple[Word, int]]:
    """The day's counts as they are shown: sent, put off, refused, sent back, complained, unsubscribed."""
    sums = {"refused": counts.get("failed", 0) + counts.get("expired", 0), **counts}
    return [(word, sums.get(word.key, 0)) for word in TODAY.values()]


def budget_tone(budget: DayBudget) -> Tone:
    """How near the end of a budget is."""
    if not budget.left:
        return Tone.ATTENTION
    return Tone.ACTIVE


def _suspended(status: DestinationStatus) -> HomeAlarm:
    since = min(one.created_at for one in status.suspensions)
    sentence = gettext("Nothing is sent to %(site)s.", site=status.destination.site)
    return HomeAlarm(
        Tone.BAD, sentence, since, f"/queue/{status.destination.id}", gettext("See why and resume"), status.reason
    )


def _amount(count: int, is_more: bool = False) -> str:
    if is_more:
        return gettext("more than %(count)s messages", count=number(count))
    return ngettext("one message", "%(count)s messages", count, count=number(count))
