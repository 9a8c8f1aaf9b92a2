"""Webhooks: endpoints and their secrets, what became of telling them, and telling them again."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, Field

from mailtypes.clock import Microseconds, from_datetime
from postwright.api.callers import Admin
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    EVENT,
    Answer,
    Kind,
    Moment,
    Page,
    PageWanted,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.services.errors import RefusedError
from postwright.services.webhook_endpoints import EndpointChanges, EndpointStatus
from postwright.store.webhooks import Delivery, Feed

ENDPOINT = Kind("whk", "webhook endpoint")
TELLING = Kind("whd", "webhook delivery")
_KINDS = "Kinds of events (docs/events.md) that it is told of; none: all."
_URL = "https, a host name, port 443."


class NewWebhook(Wanted):
    """An endpoint to make."""

    url: Text = Field(max_length=2_000, description=_URL)
    description: Text = Field("", max_length=500)
    kinds: list[Text] = Field([], max_length=100, description=_KINDS)


class WebhookChange(Wanted):
    """What to change of an endpoint; what is left out stays."""

    url: Text | None = Field(None, max_length=2_000, description=_URL)
    description: Text | None = Field(None, max_length=500)
    kinds: list[Text] | None = Field(None, max_length=100, description=_KINDS)


class SecretRotation(Wanted):
    """How long webhooks are signed with the old secret as well."""

    overlap_hours: float = Field(24, ge=0, le=30 * 24)


class Enabling(Wanted):
    """Where to go on."""

    skip_missed: bool = Field(False, description="With what happens from now on, instead of where it stood.")


class ReplayWanted(Wanted):
    """What to tell again: a range of times at which events were recorded, or the event of one delivery."""

    since: AwareDatetime | None = Field(None, strict=False, description="RFC 3339.")
    until: AwareDatetime | None = Field(None, strict=False, description="RFC 3339; now if left out.")
    delivery: Text | None = Field(None, max_length=100, description="The id of a delivery in the endpoint's log.")


class DeliveriesWanted(PageWanted):
    """Which deliveries of webhooks."""

    state: Literal["delivered", "failing", "given_up", "skipped"] | None = Field(None, description="Only those.")


class ReplayShown(Answer):
    """A replay: it tells of events recorded from `since` to `until`, and has come to `reached`."""

    until: Moment
    reached: Moment
    failures: int
    next_attempt_at: Moment | None


class WebhookShown(Answer):
    """An endpoint. `reached`: what was recorded before has been told. `failures` in a row; then it is tried again."""

    id: str
    url: str
    description: str
    kinds: list[str]
    state: str = Field(description="enabled or disabled")
    reason: str | None = Field(description="Why it is disabled.")
    reached: Moment
    failures: int
    failing_since: Moment | None = Field(description="Nothing has been taken since then.")
    next_attempt_at: Moment | None
    disabled_at: Moment | None
    created_at: Moment
    updated_at: Moment
    replays: list[ReplayShown] = Field(description="Those that are under way.")


class WebhookMade(WebhookShown):
    """A new endpoint. `secret` is shown this one time."""

    secret: str


class SecretMade(Answer):
    """A new secret, shown this one time; the old ones sign as well until the overlap is over."""

    secret: str


class TrialShown(Answer):
    """What the endpoint said to a test. `taken`: it would count as told (2xx)."""

    webhook_id: str = Field(description="The header field webhook-id of the test.")
    taken: bool
    status: int | None = Field(description="The HTTP status; null: it did not answer.")
    cause: str | None = Field(description="Why there was no answer.")
    answer: str = Field(description="How the answer began.")
    duration_ms: float


class Skipped(Answer):
    """Whether an event was given up; there is nothing to skip where the last one was taken."""

    skipped: bool


class WebhookDeliveryShown(Answer):
    """What became of telling an endpoint of one event."""

    id: str
    webhook_id: str = Field(description="The event's id: the header field webhook-id.")
    kind: str
    state: str = Field(description="delivered, failing (it is tried again), given_up or skipped")
    attempts: int
    status: int | None = Field(description="The HTTP status of the last answer.")
    cause: str | None = Field(description="Why there was no answer.")
    answer: str = Field(description="How the last answer began.")
    duration_ms: float = Field(description="How long the last attempt took.")
    first_attempt_at: Moment
    last_attempt_at: Moment


async def create_webhook(wanted: NewWebhook, caller: Admin, response: Response) -> WebhookMade:
    """Make an endpoint. It is told of what happens from now on; the answer has its secret, never shown again."""
    changes = EndpointChanges(wanted.url, wanted.description, wanted.kinds)
    made, secret = await caller.services.webhooks.create(caller.workspace_id, changes)
    shown = _shown(made)
    response.headers["Location"] = f"/v1/webhooks/{shown.id}"
    return WebhookMade(**dict(shown), secret=secret)


async def list_webhooks(caller: Admin, query: PageQuery) -> Page[WebhookShown]:
    """All endpoints in the order in which they were made."""
    (after,) = read_cursor("webhooks", query.cursor)
    found = await caller.services.webhooks.list(caller.workspace_id)
    rows = page_of(list(found), lambda one: one.endpoint.id, after, query.limit)
    return make_page("webhooks", rows, query.limit, _shown, lambda one: (one.endpoint.id,), query.cursor)


async def get_webhook(webhook_id: str, caller: Admin) -> WebhookShown:
    """One endpoint: whether it is told, and how far."""
    return _shown(await caller.services.webhooks.get(caller.workspace_id, inward(ENDPOINT, webhook_id)))


async def change_webhook(webhook_id: str, wanted: WebhookChange, caller: Admin) -> WebhookShown:
    """Change URL, description or kinds. Other kinds count from where it has been told up to."""
    changes = EndpointChanges(wanted.url, wanted.description, wanted.kinds)
    row_id = inward(ENDPOINT, webhook_id)
    return _shown(await caller.services.webhooks.change(caller.workspace_id, row_id, changes))


async def remove_webhook(webhook_id: str, caller: Admin) -> Response:
    """Tell it nothing more, and forget its log."""
    await caller.services.webhooks.remove(caller.workspace_id, inward(ENDPOINT, webhook_id))
    return Response(status_code=204)


async def rotate_webhook_secret(webhook_id: str, wanted: SecretRotation, caller: Admin) -> SecretMade:
    """Make a new secret. Until the overlap is over webhooks carry a signature by each, so verifying goes on."""
    overlap = timedelta(hours=wanted.overlap_hours)
    row_id = inward(ENDPOINT, webhook_id)
    return SecretMade(secret=await caller.services.webhooks.rotate_secret(caller.workspace_id, row_id, overlap))


async def enable_webhook(webhook_id: str, wanted: Enabling, caller: Admin) -> WebhookShown:
    """Go on at once, from where it stood; also ends the wait between two attempts."""
    row_id = inward(ENDPOINT, webhook_id)
    service = caller.services.webhooks
    return _shown(await service.enable(caller.workspace_id, row_id, skip_missed=wanted.skip_missed))


async def disable_webhook(webhook_id: str, caller: Admin) -> WebhookShown:
    """Tell it nothing until it is enabled again. What happens meanwhile waits."""
    row_id = inward(ENDPOINT, webhook_id)
    return _shown(await caller.services.webhooks.disable(caller.workspace_id, row_id, "Disabled over the API."))


async def skip_webhook(webhook_id: str, caller: Admin) -> Skipped:
    """Give up the event that the endpoint refuses, and go on behind it."""
    row_id = inward(ENDPOINT, webhook_id)
    return Skipped(skipped=await caller.services.webhooks.skip(caller.workspace_id, row_id))


async def try_webhook(webhook_id: str, caller: Admin) -> TrialShown:
    """Post an event of the kind `webhook_test` at once, signed like every other, and tell what came back.

    It stands in no log, and changes nothing: a disabled endpoint can be tried before it is enabled.
    """
    found = await caller.services.webhooks.try_out(caller.workspace_id, inward(ENDPOINT, webhook_id))
    return TrialShown(
        webhook_id=found.webhook_id,
        taken=found.is_taken,
        status=found.status,
        cause=found.cause or None,
        answer=found.answer,
        duration_ms=found.duration / 1000,
    )


_BEGINNING = Microseconds(0)
"""Nothing was recorded before 1970; what lies far before it cannot even be shown."""


async def replay_webhook(webhook_id: str, wanted: ReplayWanted, caller: Admin) -> ReplayShown:
    """Tell it again, in order and under the same ids, beside what is new."""
    row_id, service = inward(ENDPOINT, webhook_id), caller.services.webhooks
    if (wanted.delivery is None) == (wanted.since is None):
        raise RefusedError("bad_replay", "Give either since or delivery.", field="since")
    if wanted.delivery is not None:
        delivery = inward_field(TELLING, wanted.delivery, "delivery")
        return _replay(await service.replay_one(caller.workspace_id, row_id, delivery))
    assert wanted.since is not None  # one of the two
    until = caller.services.clock.now() if wanted.until is None else from_datetime(wanted.until)
    return _replay(
        await service.replay(caller.workspace_id, row_id, max(_BEGINNING, from_datetime(wanted.since)), until)
    )


async def list_webhook_deliveries(
    webhook_id: str, caller: Admin, query: Annotated[DeliveriesWanted, Query()]
) -> Page[WebhookDeliveryShown]:
    """What became of telling it, the newest first. Kept for as long as `webhooks.keep_log` says."""
    (before,) = read_cursor("webhook_deliveries", query.cursor)
    rows = await caller.services.webhooks.deliveries(
        caller.workspace_id, inward(ENDPOINT, webhook_id), query.state, before=before, limit=query.limit + 1
    )
    return make_page("webhook_deliveries", rows, query.limit, _delivery, lambda one: (one.id,), query.cursor)


def add_webhook_routes(router: APIRouter) -> None:
    """The routes of webhooks."""
    one = "/webhooks/{webhook_id}"
    router.add_api_route("/webhooks", create_webhook, methods=["POST"], status_code=201)
    router.add_api_route("/webhooks", list_webhooks, methods=["GET"])
    router.add_api_route(one, get_webhook, methods=["GET"])
    router.add_api_route(one, change_webhook, methods=["PATCH"])
    router.add_api_route(f"{one}/secret", rotate_webhook_secret, methods=["POST"], status_code=201)
    router.add_api_route(f"{one}/disable", disable_webhook, methods=["POST"])
    router.add_api_route(f"{one}/enable", enable_webhook, methods=["POST"])
    router.add_api_route(f"{one}/skip", skip_webhook, methods=["POST"])
    router.add_api_route(f"{one}/test", try_webhook, methods=["POST"])
    router.add_api_route(f"{one}/replay", replay_webhook, methods=["POST"], status_code=202)
    router.add_api_route(f"{one}/deliveries", list_webhook_deliveries, methods=["GET"])
    router.add_api_route(one, remove_webhook, methods=["DELETE"], status_code=204)


def _shown(status: EndpointStatus) -> WebhookShown:
    endpoint, live = status.endpoint, status.live
    return WebhookShown(
        id=outward(ENDPOINT, endpoint.created_at, endpoint.id),
        url=endpoint.url,
        description=endpoint.description,
        kinds=list(endpoint.wanted),
        state=endpoint.state,
        reason=endpoint.reason or None,
        reached=moment(live.recorded_at),
        failures=live.failures,
        failing_since=optional_moment(endpoint.failing_since),
        next_attempt_at=optional_moment(live.next_attempt_at or None),
        disabled_at=optional_moment(endpoint.disabled_at),
        created_at=moment(endpoint.created_at),
        updated_at=moment(endpoint.updated_at),
        replays=[_replay(feed) for feed in status.feeds if feed is not live],
    )


def _replay(feed: Feed) -> ReplayShown:
    return ReplayShown(
        until=moment(feed.until_recorded_at or 0),
        reached=moment(feed.recorded_at),
        failures=feed.failures,
        next_attempt_at=optional_moment(feed.next_attempt_at or None),
    )


def _delivery(row: Delivery) -> WebhookDeliveryShown:
    return WebhookDeliveryShown(
        id=outward(TELLING, row.first_attempt_at, row.id),
        webhook_id=outward(EVENT, row.event_recorded_at, row.event_id),
        kind=row.kind,
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        cause=row.cause or None,
        answer=row.answer,
        duration_ms=row.duration / 1000,
        first_attempt_at=moment(row.first_attempt_at),
        last_attempt_at=moment(row.last_attempt_at),
    )
