"""Campaigns: created, pre-flighted, sent, paused, resumed, cancelled, watched."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.campaign_bodies import NewCampaign, draft_of
from postwright.api.comparisons import ExpectedEndShown, add_comparison_routes
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.references import CampaignParts
from postwright.api.representations import (
    CAMPAIGN,
    RUN,
    Answer,
    Moment,
    Page,
    Reference,
    Text,
    Wanted,
    inward,
    moment,
    optional_moment,
    outward,
)
from postwright.api.sender_checks import check_live_sender
from postwright.services.campaign_senders import all_senders, from_json
from postwright.services.campaigns import Campaigns, CampaignStatus
from postwright.store.campaigns import Campaign, Run
from postwright.store.recipients import RunCounts


class SenderShown(Answer):
    """Who sends a part of it, beside `from_address` with a share of 1."""

    address: str
    name: str
    reply_to: str | None
    share: float


class CampaignSummary(Answer):
    """A campaign."""

    id: str
    name: str
    state: str = Field(description="draft, scheduled, sending, paused, finished or cancelled")
    list: Reference | None
    audience: dict[str, Any] | None = Field(description="A segment tree, where it is not the whole list.")
    template: Reference
    domain: str
    stream: str
    from_address: str
    from_name: str
    reply_to: str | None
    other_senders: Sequence[SenderShown]
    subject: str
    starts_at: Moment | None
    blocked_by: str = Field(
        description="Why a scheduled campaign did not begin at its time, or one under way paused itself."
    )
    is_archived: bool
    has_experiment: bool
    created_at: Moment


class RunShown(Answer):
    """One execution of a campaign."""

    id: str
    number: int
    state: str = Field(description="preparing, sending, paused, finished or cancelled")
    created_at: Moment
    expires_at: Moment
    finished_at: Moment | None


class Counts(Answer):
    """Where the recipients stand; `deferred_ever` and `ambiguous_ever` count those who were so at any time."""

    total: int
    settled: int
    by_state: dict[str, int]
    deferred_ever: int
    ambiguous_ever: int


class Rates(Answer):
    """Parts from 0 to 1, none where there is nothing to divide by.

    `settled`, `delivered` and `failed` (with the expired ones) are parts of all recipients so far; `bounced` and
    `unsubscribed` are events for each delivered message.
    """

    settled: float | None
    delivered: float | None
    failed: float | None
    bounced: float | None
    unsubscribed: float | None


class CampaignShown(CampaignSummary):
    """A campaign with its newest run, where its recipients stand, and its events by kind (some seconds behind)."""

    run: RunShown | None
    counts: Counts | None
    rates: Rates | None
    events: dict[str, int]
    expected_end: ExpectedEndShown | None = Field(description="While it is being sent: when the last one is tried.")


class AudienceCount(Answer):
    """How many a campaign is for."""

    contacts: int


class CopyWanted(Wanted):
    """The name of the copy."""

    name: Text = Field(max_length=200)


class ArchiveWanted(Wanted):
    """Whether it is out of sight."""

    is_archived: bool = True


async def create_campaign(wanted: NewCampaign, caller: Sender, response: Response) -> CampaignShown:
    """Store a draft. Every field that is wrong is named."""
    _check_senders(caller, wanted)
    campaign = await caller.services.campaigns.create(caller.workspace_id, draft_of(wanted))
    shown = await _shown(caller, CampaignStatus(campaign, None, None, {}))
    response.headers["Location"] = f"/v1/campaigns/{shown.id}"
    return shown


async def list_campaigns(caller: Reader, query: PageQuery) -> Page[CampaignSummary]:
    """Campaigns in the order in which they were created."""
    (after,) = read_cursor("campaigns", query.cursor)
    rows = await caller.services.campaigns.list(caller.workspace_id, after=after, limit=query.limit + 1)
    parts = await caller.services.references.parts_of(rows)
    return make_page(
        "campaigns",
        rows,
        query.limit,
        lambda campaign: _summary(campaign, parts[campaign.id]),
        lambda campaign: (campaign.id,),
        query.cursor,
    )


async def get_campaign(campaign_id: str, caller: Reader) -> CampaignShown:
    """Where a campaign stands."""
    return await _do(Campaigns.status, caller, campaign_id)


async def change_campaign(campaign_id: str, wanted: NewCampaign, caller: Sender) -> CampaignShown:
    """Change a draft. What is not given is as in a new one."""
    _check_senders(caller, wanted)
    found = inward(CAMPAIGN, campaign_id)
    await check_sender_of(caller, found)
    await caller.services.campaigns.change(caller.workspace_id, found, draft_of(wanted))
    return await _do(Campaigns.status, caller, campaign_id)


async def count_campaign(campaign_id: str, caller: Reader) -> AudienceCount:
    """How many contacts would get it, were it sent now; suppressions are looked at when it is."""
    number = await caller.services.campaigns.count(caller.workspace_id, inward(CAMPAIGN, campaign_id))
    return AudienceCount(contacts=number)


async def copy_campaign(campaign_id: str, wanted: CopyWanted, caller: Sender, response: Response) -> CampaignShown:
    """A draft like it under another name."""
    found = inward(CAMPAIGN, campaign_id)
    await check_sender_of(caller, found)
    made = await caller.services.campaigns.copy(caller.workspace_id, found, wanted.name)
    shown = await _shown(caller, CampaignStatus(made, None, None, {}))
    response.headers["Location"] = f"/v1/campaigns/{shown.id}"
    return shown


async def unschedule_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Make a draft of a scheduled campaign again."""
    found = inward(CAMPAIGN, campaign_id)
    await check_sender_of(caller, found)
    await caller.services.campaigns.unschedule(caller.workspace_id, found)
    return await _do(Campaigns.status, caller, campaign_id)


async def archive_campaign(campaign_id: str, wanted: ArchiveWanted, caller: Sender) -> CampaignShown:
    """Put it out of sight, or back."""
    found = inward(CAMPAIGN, campaign_id)
    await check_sender_of(caller, found)
    await caller.services.campaigns.archive(caller.workspace_id, found, is_archived=wanted.is_archived)
    return await _do(Campaigns.status, caller, campaign_id)


async def repeat_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Send a finished campaign once more, to whoever is in its audience now."""
    return await _change(Campaigns.repeat, caller, campaign_id)


async def send_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Pre-flight a draft, freeze it, and begin to send, now or at its time. Durable when this is answered."""
    return await _change(Campaigns.send, caller, campaign_id)


async def pause_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Stop after what is being transmitted just now."""
    return await _change(Campaigns.pause, caller, campaign_id)


async def resume_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Go on where the pause began."""
    return await _change(Campaigns.resume, caller, campaign_id)


async def cancel_campaign(campaign_id: str, caller: Sender) -> CampaignShown:
    """Send no more of it, for good."""
    return await _change(Campaigns.cancel, caller, campaign_id)


def add_campaign_routes(router: APIRouter) -> None:
    """The routes of campaigns."""
    one = "/campaigns/{campaign_id}"
    router.add_api_route("/campaigns", create_campaign, methods=["POST"], status_code=201)
    router.add_api_route("/campaigns", list_campaigns, methods=["GET"])
    router.add_api_route(one, get_campaign, methods=["GET"])
    router.add_api_route(one, change_campaign, methods=["PUT"])
    add_comparison_routes(router)
    router.add_api_route(f"{one}/audience", count_campaign, methods=["GET"])
    router.add_api_route(f"{one}/copy", copy_campaign, methods=["POST"], status_code=201)
    router.add_api_route(f"{one}/unschedule", unschedule_campaign, methods=["POST"])
    router.add_api_route(f"{one}/archive", archive_campaign, methods=["POST"])
    router.add_api_route(f"{one}/repeat", repeat_campaign, methods=["POST"], status_code=202)
    router.add_api_route(f"{one}/send", send_campaign, methods=["POST"], status_code=202)
    router.add_api_route(f"{one}/pause", pause_campaign, methods=["POST"])
    router.add_api_route(f"{one}/resume", resume_campaign, methods=["POST"])
    router.add_api_route(f"{one}/cancel", cancel_campaign, methods=["POST"])


async def _do(
    action: Callable[[Campaigns, int, int], Awaitable[CampaignStatus]], caller: Caller, campaign_id: str
) -> CampaignShown:
    status = await action(caller.services.campaigns, caller.workspace_id, inward(CAMPAIGN, campaign_id))
    return await _shown(caller, status)


async def _change(
    action: Callable[[Campaigns, int, int], Awaitable[CampaignStatus]], caller: Caller, campaign_id: str
) -> CampaignShown:
    """The same for what only a key may do that is for the campaign's sender."""
    await check_sender_of(caller, inward(CAMPAIGN, campaign_id))
    return await _do(action, caller, campaign_id)


async def check_sender_of(caller: Caller, campaign_id: int) -> None:
    """Raises ``RefusedError`` where the key may not send in the names that the campaign is sent in."""
    campaign = await caller.services.campaigns.get(caller.workspace_id, campaign_id)
    for sender in all_senders(campaign):
        check_live_sender(caller, sender.address, "from_address")


def _check_senders(caller: Caller, wanted: NewCampaign) -> None:
    check_live_sender(caller, wanted.from_address, "from_address")
    for sender in wanted.other_senders:
        check_live_sender(caller, sender.address, "other_senders")


async def _shown(caller: Caller, status: CampaignStatus) -> CampaignShown:
    campaign = status.campaign
    parts = await caller.services.references.parts_of([campaign])
    end = await caller.services.campaign_ends.of_run(status.run) if status.run else None
    return CampaignShown(
        **dict(_summary(campaign, parts[campaign.id])),
        run=_run(status.run) if status.run else None,
        counts=_counts(status.counts) if status.counts else None,
        rates=_rates(status.counts, status.events) if status.counts else None,
        events=status.events,
        expected_end=None if end is None else ExpectedEndShown.of(end),
    )


def _summary(campaign: Campaign, parts: CampaignParts) -> CampaignSummary:
    return CampaignSummary(
        id=outward(CAMPAIGN, campaign.created_at, campaign.id),
        name=campaign.name,
        state=campaign.state,
        list=parts.contact_list,
        template=parts.template,
        domain=parts.domain,
        stream=parts.stream,
        from_address=campaign.from_address,
        from_name=campaign.from_name,
        reply_to=campaign.reply_to,
        other_senders=[SenderShown(**asdict(one)) for one in from_json(campaign.other_senders)],
        subject=campaign.subject,
        audience=None if campaign.audience is None else json.loads(campaign.audience),
        starts_at=optional_moment(campaign.starts_at),
        blocked_by=campaign.blocked_by,
        is_archived=campaign.archived_at is not None,
        has_experiment=campaign.experiment is not None,
        created_at=moment(campaign.created_at),
    )


def _run(run: Run) -> RunShown:
    return RunShown(
        id=outward(RUN, run.created_at, run.id),
        number=run.number,
        state=run.state,
        created_at=moment(run.created_at),
        expires_at=moment(run.expires_at),
        finished_at=optional_moment(run.finished_at),
    )


def _counts(counts: RunCounts) -> Counts:
    return Counts(
        total=counts.total,
        settled=counts.settled,
        by_state=counts.by_state,
        deferred_ever=counts.deferred_ever,
        ambiguous_ever=counts.ambiguous_ever,
    )


def _rates(counts: RunCounts, events: dict[str, int]) -> Rates:
    delivered = counts.by_state.get("delivered", 0)
    failed = counts.by_state.get("failed", 0) + counts.by_state.get("expired", 0)
    return Rates(
        settled=_part(counts.settled, counts.total),
        delivered=_part(delivered, counts.total),
        failed=_part(failed, counts.total),
        bounced=_part(events.get("bounced", 0), delivered),
        unsubscribed=_part(events.get("unsubscribed", 0), delivered),
    )


def _part(number: int, whole: int) -> float | None:
    return round(number / whole, 6) if whole else None
