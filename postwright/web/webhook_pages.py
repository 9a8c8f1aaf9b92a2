"""Webhooks: who is told of events, whether that goes well, what came back, and telling again."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.clock import Microseconds, from_datetime
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.event_vocabulary import KINDS
from postwright.services.webhook_endpoints import EndpointChanges, EndpointStatus, Trial
from postwright.store.public_ids import PublicIdSyntaxError, read_public_id
from postwright.store.webhooks import ENDPOINT_PREFIX, Delivery
from postwright.web.event_pages import event_tabs
from postwright.web.event_words import EVENTS, WEBHOOK_DELIVERY
from postwright.web.form_numbers import read_number
from postwright.web.gate import ForbiddenError
from postwright.web.language import N_, gettext, speech
from postwright.web.site import Site, Visitor, go_to, visitor_of
from postwright.web.tables import ChosenFilter, Column, page_of
from postwright.web.words import word

_PER_PAGE: Final = 50
_OVERLAP: Final = timedelta(days=1)
_KINDS_GIVEN: Final = 2_000
_COLUMNS: tuple[Column[Delivery], ...] = (
    Column("last_attempt_at", N_("Last attempt"), lambda row: row.last_attempt_at, "moment"),
    Column("kind", N_("Event"), lambda row: row.kind),
    Column("state", N_("State"), lambda row: row.state),
    Column("attempts", N_("Attempts"), lambda row: row.attempts, "count"),
    Column("answer", N_("Answer"), lambda row: row.answer),
    Column("do", ""),
)


class WebhookPages:
    """Pages of webhooks; admins alone see them, since a secret and an address inside may stand there."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._webhooks = site.services.webhooks

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        one = "/webhooks/{webhook_id}"
        router.add_api_route("/webhooks", self.list, methods=["GET"])
        router.add_api_route("/webhooks", self.create, methods=["POST"])
        router.add_api_route(one, self.show, methods=["GET"])
        for name, act in (
            ("change", self._change),
            ("enable", self._enable),
            ("disable", self._disable),
            ("skip", self._skip),
            ("replay", self._replay),
            ("again", self._again),
            ("remove", self._remove),
        ):
            router.add_api_route(f"{one}/{name}", self._acting(act), methods=["POST"])
        router.add_api_route(f"{one}/test", self.try_out, methods=["POST"])
        router.add_api_route(f"{one}/secret", self.rotate, methods=["POST"])

    async def list(self, request: Request, problems: Sequence[Problem] = ()) -> Response:
        """All endpoints, and a form for one more."""
        visitor, form = _admin(request), request.state.form if problems else {}
        context = {
            "endpoints": await self._webhooks.list(visitor.workspace_id),
            "tabs": event_tabs("/webhooks", is_admin=True),
            "kinds": _kinds(),
            "given": {name: str(form.get(name, "")) for name in ("url", "description", "kinds")},
            "problems": problems,
        }
        return self._site.page(request, "webhooks", context, status=409 if problems else 200)

    async def create(self, request: Request) -> Response:
        """Make one; its secret is shown on the page that follows, and nowhere else."""
        visitor = _admin(request)
        try:
            made, secret = await self._webhooks.create(visitor.workspace_id, _changes(request))
        except RefusedError as error:
            return await self.list(request, error.problems)
        return await self._page(request, made, secret=secret)

    async def show(self, request: Request, webhook_id: str) -> Response:
        """One endpoint: where it stands, and what became of the last webhooks."""
        status = await self._webhooks.get(_admin(request).workspace_id, _read(webhook_id))
        return await self._page(request, status)

    async def try_out(self, request: Request, webhook_id: str) -> Response:
        """Post a test and show what came back."""
        workspace_id, endpoint_id = _admin(request).workspace_id, _read(webhook_id)
        trial = await self._webhooks.try_out(workspace_id, endpoint_id)
        return await self._page(request, await self._webhooks.get(workspace_id, endpoint_id), trial=trial)

    async def rotate(self, request: Request, webhook_id: str) -> Response:
        """A new secret, shown once; the old one signs as well for a day."""
        workspace_id, endpoint_id = _admin(request).workspace_id, _read(webhook_id)
        secret, problems = "", tuple[Problem, ...]()
        try:
            secret = await self._webhooks.rotate_secret(workspace_id, endpoint_id, _OVERLAP)
        except RefusedError as error:
            problems = tuple(error.problems)
        status = await self._webhooks.get(workspace_id, endpoint_id)
        return await self._page(request, status, secret=secret, problems=problems)

    def _acting(self, act: Callable[[Request, int, int], Awaitable[str]]) -> Callable[[Request, str], Any]:
        """A POST that changes something and goes back to the page, or shows there why it does not."""

        async def answer(request: Request, webhook_id: str) -> Response:
            workspace_id, endpoint_id = _admin(request).workspace_id, _read(webhook_id)
            try:
                done = await act(request, workspace_id, endpoint_id)
            except RefusedError as error:
                status = await self._webhooks.get(workspace_id, endpoint_id)
                return await self._page(request, status, problems=error.problems)
            return go_to(f"/webhooks?done={done}" if done == "webhook_gone" else f"/webhooks/{webhook_id}?done={done}")

        return answer

    async def _change(self, request: Request, workspace_id: int, endpoint_id: int) -> str:
        await self._webhooks.change(workspace_id, endpoint_id, _changes(request))
        return "webhook_changed"

    async def _enable(self, request: Request, workspace_id: int, endpoint_id: int) -> str:
        skip = request.state.form.get("skip_missed") == "yes"
        await self._webhooks.enable(workspace_id, endpoint_id, skip_missed=skip)
        return "webhook_enabled"

    async def _disable(self, request: Request, workspace_id: int, endpoint_id: int) -> str:
        who = visitor_of(request).signed_in.address
        await self._webhooks.disable(workspace_id, endpoint_id, say("Disabled by %(who)s.", who=who))
        return "webhook_disabled"

    async def _skip(self, _: Request, workspace_id: int, endpoint_id: int) -> str:
        return "webhook_skipped" if await self._webhooks.skip(workspace_id, endpoint_id) else "webhook_nothing"

    async def _replay(self, request: Request, workspace_id: int, endpoint_id: int) -> str:
        form = request.state.form
        since, until = _moment(str(form.get("since", "")), "since"), self._site.now()
        if form.get("until"):
            until = _moment(str(form.get("until", "")), "until")
        await self._webhooks.replay(workspace_id, endpoint_id, since, until)
        return "webhook_replay"

    async def _again(self, request: Request, workspace_id: int, endpoint_id: int) -> str:
        number = read_number(request.state.form.get("delivery"))
        if number is None:
            raise NotFoundError("webhook delivery")
        await self._webhooks.replay_one(workspace_id, endpoint_id, number)
        return "webhook_replay"

    async def _remove(self, _: Request, workspace_id: int, endpoint_id: int) -> str:
        await self._webhooks.remove(workspace_id, endpoint_id)
        return "webhook_gone"

    async def _page(
        self,
        request: Request,
        status: EndpointStatus,
        *,
        secret: str = "",
        trial: Trial | None = None,
        problems: Sequence[Problem] = (),
    ) -> Response:
        endpoint = status.endpoint
        context = {
            "endpoint": endpoint,
            "live": status.live,
            "replays": [feed for feed in status.feeds if feed is not status.live],
            "view": await self._log(request, endpoint.id, endpoint.public_id),
            "secret": secret,
            "trial": trial,
            "problems": problems,
            "kinds": _kinds(),
            "zone": speech().zone,
        }
        return self._site.page(request, "webhook", context, status=409 if problems else 200)

    async def _log(self, request: Request, endpoint_id: int, public_id: str) -> Any:
        state, before = request.query_params.get("state", ""), request.query_params.get("before", "")
        chosen = state if state in WEBHOOK_DELIVERY else ""
        start = read_number(before) or 0
        workspace_id = visitor_of(request).workspace_id
        found = list(
            await self._webhooks.deliveries(
                workspace_id, endpoint_id, chosen or None, before=start, limit=_PER_PAGE + 1
            )
        )
        later = {"before": str(found[_PER_PAGE - 1].id)} if len(found) > _PER_PAGE else None
        choices = [(key, one.label) for key, one in WEBHOOK_DELIVERY.items()]
        filters = [ChosenFilter("state", gettext("State"), choices, chosen)]
        view = page_of(request, _COLUMNS, found[:_PER_PAGE], filters=filters, later=later)
        # Where a POST made the page, its addresses are those of the page all the same.
        path = f"/webhooks/{public_id}"
        return replace(view, path=path, later_href=view.later_href.replace(request.url.path, path, 1))


def _admin(request: Request) -> Visitor:
    visitor = visitor_of(request)
    if not visitor.is_admin:
        raise ForbiddenError(gettext("Webhooks are for admins."))
    return visitor


def _read(text: str) -> int:
    try:
        return read_public_id(text, ENDPOINT_PREFIX)
    except PublicIdSyntaxError as error:
        raise NotFoundError("webhook endpoint") from error


def _changes(request: Request) -> EndpointChanges:
    form = request.state.form
    kinds = str(form.get("kinds", ""))[:_KINDS_GIVEN].replace(",", " ").split()
    return EndpointChanges(str(form.get("url", "")).strip(), str(form.get("description", ""))[:500].strip(), kinds)


def _kinds() -> list[tuple[str, str]]:
    return [(name, word(EVENTS, name).label) for name, kind in KINDS.items() if kind.is_recorded]


def _moment(text: str, field: str) -> Microseconds:
    """A moment as browsers send it, in the time zone of whoever asks."""
    try:
        given = datetime.fromisoformat(text.strip()[:40])
        found = given if given.tzinfo is not None else given.replace(tzinfo=ZoneInfo(speech().zone))
        return from_datetime(found.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        sentence, step = say("'%(text)s' is no moment.", text=text[:40]), say("Pick a date and time.")
        raise RefusedError("bad_moment", sentence, field=field, next_step=step) from error
