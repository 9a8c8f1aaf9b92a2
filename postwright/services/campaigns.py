"""Campaigns: created, changed, scheduled, sent, sent again, paused, resumed, cancelled, watched."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection

from mailtypes.clock import Clock
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.audiences import AudienceChoices, audience_choices, count_audience
from postwright.services.campaign_drafts import LONGEST_NAME, NAME_RULE, CampaignDraft, resolve_draft
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.campaign_start import CampaignStart
from postwright.services.delivery_queue import PAUSED
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.preflight import Preflight
from postwright.services.preflight_overrides import OverrideWish, new_overrides
from postwright.services.second_looks import SecondLooks, cause_of
from postwright.services.state_words import state_word
from postwright.services.template_texts import check_text
from postwright.store import campaigns, events, overrides, recipients
from postwright.store.campaigns import Campaign, NewCampaign, Run
from postwright.store.database import Database
from postwright.store.overrides import PreflightOverride
from postwright.store.recipients import RunCounts
from postwright.store.templates import TemplateText

_ACTIVE = ("preparing", "sending", "paused")
_FINISHED_BY_ASKING_AGAIN = ("paused", "cancelled")
"""Both take several transactions; where a process died between them, asking again does the rest."""


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """A campaign with its newest run, where its recipients stand, and how often each kind of event has happened."""

    campaign: Campaign
    run: Run | None
    counts: RunCounts | None
    events: dict[str, int]


class Campaigns:
    """Campaigns of all workspaces."""

    def __init__(self, database: Database, clock: Clock, start: CampaignStart) -> None:
        self._database = database
        self._clock = clock
        self._start = start
        self._second_looks = SecondLooks(start, clock)

    async def create(self, workspace_id: int, draft: CampaignDraft) -> Campaign:
        """Store a draft; raises ``RefusedError`` naming every field that is wrong."""
        text, new = await self._resolved(workspace_id, draft)
        wanted = TemplateText(text.body, text.body_format, new.subject, text.preheader, text.plain_text)
        await asyncio.to_thread(check_text, wanted)
        now = self._clock.now()
        campaign_id = await self._database.write(
            lambda connection: campaigns.add_campaign(connection, workspace_id, new, now)
        )
        return await self.get(workspace_id, campaign_id)

    async def change(self, workspace_id: int, campaign_id: int, draft: CampaignDraft) -> Campaign:
        """Change a draft; raises ``RefusedError`` naming every field that is wrong, or where it is none any more."""
        campaign = await self.get(workspace_id, campaign_id)
        text, new = await self._resolved(workspace_id, draft, campaign)
        wanted = TemplateText(text.body, text.body_format, new.subject, text.preheader, text.plain_text)
        await asyncio.to_thread(check_text, wanted)
        if not await self._database.write(lambda connection: campaigns.change_campaign(connection, campaign_id, new)):
            raise _not_a_draft(await self.get(workspace_id, campaign_id))
        return await self.get(workspace_id, campaign_id)

    async def copy(self, workspace_id: int, campaign_id: int, name: str) -> Campaign:
        """A draft like it under another name, to be sent at once unless it is scheduled anew."""
        campaign = await self.get(workspace_id, campaign_id)
        if not name.strip() or len(name) > LONGEST_NAME:
            raise RefusedError("campaign_name", NAME_RULE, field="name")
        if await self.find(workspace_id, name.strip()) is not None:
            raise RefusedError("name_taken", say("There is a campaign '%(name)s' already.", name=name), field="name")
        plan = replace(CampaignPlan.from_json(campaign.plan), starts_at=None).as_json()
        new = NewCampaign(**{**_values(campaign), "name": name.strip(), "plan": plan})
        now = self._clock.now()
        made = await self._database.write(lambda connection: campaigns.add_campaign(connection, workspace_id, new, now))
        return await self.get(workspace_id, made)

    async def _resolved(
        self, workspace_id: int, draft: CampaignDraft, known: Campaign | None = None
    ) -> tuple[TemplateText, NewCampaign]:
        now = self._clock.now()
        return await self._database.read(lambda connection: resolve_draft(connection, workspace_id, draft, known, now))

    async def get(self, workspace_id: int, campaign_id: int) -> Campaign:
        """The campaign with that id; raises ``NotFoundError``."""
        found = await self._database.read(
            lambda connection: campaigns.get_campaign(connection, workspace_id, campaign_id)
        )
        if found is None:
            raise NotFoundError("campaign")
        return found

    async def list(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> Sequence[Campaign]:
        """Campaigns in the order of their ids."""
        return await self._database.read(
            lambda connection: campaigns.list_campaigns(connection, workspace_id, after=after, limit=limit)
        )

    async def find(self, workspace_id: int, name: str) -> Campaign | None:
        """The campaign of that name."""
        return await self._database.read(lambda connection: campaigns.find_campaign(connection, workspace_id, name))

    async def preflight(self, workspace_id: int, campaign_id: int) -> Preflight:
        """What would keep the campaign from being sent, and what is worth a look."""
        return await self._start.check(await self.get(workspace_id, campaign_id))

    async def overrule(self, workspace_id: int, campaign_id: int, wish: OverrideWish) -> Preflight:
        """Let it be sent against findings that block it now, as long as what they were found in stays as it is.

        Raises ``RefusedError`` without a reason, and for what does not block it or what nobody may overrule.
        """
        campaign = await self.get(workspace_id, campaign_id)
        checked = await self._start.check(campaign)
        made, now = new_overrides(checked.blocking, wish, checked.ground), self._clock.now()
        await self._database.write(
            lambda connection: overrides.add_overrides(connection, workspace_id, campaign.id, made, now)
        )
        return await self._start.check(campaign)

    async def withdraw_override(self, workspace_id: int, campaign_id: int, code: str, who: str) -> Preflight:
        """Take back what was overruled; it blocks again. Raises ``NotFoundError`` where nobody has overruled it."""
        campaign = await self.get(workspace_id, campaign_id)
        now = self._clock.now()
        if not await self._database.write(
            lambda connection: overrides.withdraw_overrides(connection, workspace_id, campaign.id, code, who, now)
        ):
            raise NotFoundError("override")
        return await self._start.check(campaign)

    async def overrides(self, workspace_id: int, campaign_id: int) -> Sequence[PreflightOverride]:
        """Everything that was ever overruled for it, the newest first, with what was withdrawn."""
        campaign = await self.get(workspace_id, campaign_id)
        return await self._database.read(
            lambda connection: overrides.overrides_of(connection, workspace_id, campaign.id)
        )

    async def count(self, workspace_id: int, campaign_id: int) -> int:
        """How many contacts would get it, were it sent now."""
        campaign = await self.get(workspace_id, campaign_id)
        now = self._clock.now()
        return await self._database.read(lambda connection: count_audience(connection, campaign, now))

    async def choices(self, workspace_id: int) -> AudienceChoices:
        """The lists and segments that an audience can be made of."""
        return await self._database.read(lambda connection: audience_choices(connection, workspace_id))

    async def send(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Begin, at the plan's time or at once; raises ``RefusedError`` where pre-flight blocks.

        Looked through now and once more when it begins; what blocks it then leaves it scheduled and says so.
        """
        campaign = await self.get(workspace_id, campaign_id)
        if campaign.state != "draft":
            raise _not_a_draft(campaign)
        starts_at = CampaignPlan.from_json(campaign.plan).starts_at
        if starts_at is None or starts_at <= self._clock.now():
            await self._start.begin(campaign, ("draft",))
            return await self.status(workspace_id, campaign_id)
        checked = await self._start.check(campaign)
        if checked.blocking:
            raise RefusedError.of(checked.blocking)
        await self._schedule(campaign, starts_at)
        return await self.status(workspace_id, campaign_id)

    async def _schedule(self, campaign: Campaign, starts_at: int) -> None:
        now = self._clock.now()

        def store(connection: Connection) -> None:
            if not campaigns.move_campaign(connection, campaign.id, ("draft",), "scheduled"):
                raise _not_a_draft(campaign)
            campaigns.set_campaign_fields(connection, campaign.id, starts_at=starts_at, blocked_by="")
            data = {"campaign": campaign.name, "starts_at": starts_at}
            events.append(
                connection, [events.NewEvent(campaign.workspace_id, "campaign_scheduled", now, data=data)], now
            )

        await self._database.write(store)

    async def unschedule(self, workspace_id: int, campaign_id: int) -> Campaign:
        """Make a draft of it again; raises ``RefusedError`` once it has begun."""
        campaign = await self.get(workspace_id, campaign_id)

        def store(connection: Connection) -> None:
            if not campaigns.move_campaign(connection, campaign.id, ("scheduled",), "draft"):
                raise RefusedError(
                    "wrong_state", say("The campaign is %(state)s, not scheduled.", state=state_word(campaign.state))
                )
            campaigns.set_campaign_fields(connection, campaign.id, starts_at=None, blocked_by="")

        await self._database.write(store)
        return await self.get(workspace_id, campaign_id)

    async def repeat(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Send a finished campaign once more, to whoever is in its audience now."""
        campaign = await self.get(workspace_id, campaign_id)
        if campaign.state != "finished":
            raise RefusedError(
                "wrong_state",
                say(
                    "The campaign is %(state)s; only a finished one can be repeated.", state=state_word(campaign.state)
                ),
            )
        await self._start.begin(campaign, ("finished",))
        return await self.status(workspace_id, campaign_id)

    async def archive(self, workspace_id: int, campaign_id: int, *, is_archived: bool) -> Campaign:
        """Put it out of sight, or back; nothing is lost. Raises ``RefusedError`` while it is being sent."""
        campaign = await self.get(workspace_id, campaign_id)
        if is_archived and campaign.state in {"scheduled", "sending", "paused"}:
            raise RefusedError(
                "wrong_state", say("The campaign is %(state)s; end it first.", state=state_word(campaign.state))
            )
        at = self._clock.now() if is_archived else None
        await self._database.write(
            lambda connection: campaigns.set_campaign_fields(connection, campaign_id, archived_at=at)
        )
        return await self.get(workspace_id, campaign_id)

    async def step(self) -> int:
        """Begin the campaigns whose time has come; returns how many. What blocks one is kept with it and alarmed."""
        now, begun = self._clock.now(), 0
        for campaign in await self._database.read(lambda connection: campaigns.campaigns_due(connection, now)):
            if campaign.blocked_by and not self._second_looks.is_due(campaign):
                continue
            try:
                await self._start.begin(campaign, ("scheduled",))
                begun += 1
            except RefusedError as error:
                await self._block(campaign, " ".join(problem.sentence for problem in error.problems))
            except InputSyntaxError as error:
                await self._block(campaign, cause_of(error))
        return begun

    async def _block(self, campaign: Campaign, cause: str) -> None:
        """Keep why it did not begin; told once, looked at again every minute."""
        if campaign.blocked_by == cause:
            return
        now = self._clock.now()
        data = {"campaign": campaign.name, "cause": cause}
        event = events.NewEvent(campaign.workspace_id, "campaign_blocked", now, data=data)

        def store(connection: Connection) -> None:
            campaigns.set_campaign_fields(connection, campaign.id, blocked_by=cause)
            events.append(connection, [event], now)

        await self._database.write(store)

    async def status(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Where a campaign stands."""
        campaign = await self.get(workspace_id, campaign_id)
        run = await self._database.read(lambda connection: campaigns.latest_run(connection, campaign.id))
        if run is None:
            return CampaignStatus(campaign, None, None, {})
        counts = await self._database.read(lambda connection: recipients.count_run(connection, run.id))
        seen = await self._database.read(lambda connection: events.event_counts(connection, workspace_id, run.id))
        return CampaignStatus(campaign, run, counts, seen)

    async def pause(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Stop sending after what is being transmitted; returns when everybody else is held."""
        run = await self._moved_run(workspace_id, campaign_id, ("preparing", "sending"), "paused")
        # Whoever is leased or transmitted at this moment comes back later; the queue holds them then.
        while await self._database.write(lambda connection: recipients.hold(connection, run.id, PAUSED)):
            continue
        return await self.status(workspace_id, campaign_id)

    async def resume(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Go on where the pause began. Preparation resumes too; it ends at once where it had ended."""
        await self._moved_run(workspace_id, campaign_id, ("paused",), "preparing")
        return await self.status(workspace_id, campaign_id)

    async def cancel(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Send no more of it, for good; what is being transmitted still ends by itself."""
        run = await self._moved_run(workspace_id, campaign_id, _ACTIVE, "cancelled")
        now = self._clock.now()
        while await self._database.write(lambda connection: recipients.cancel(connection, run, now)):
            continue
        return await self.status(workspace_id, campaign_id)

    async def _moved_run(self, workspace_id: int, campaign_id: int, before: Sequence[str], after: str) -> Run:
        campaign = await self.get(workspace_id, campaign_id)
        now = self._clock.now()
        campaign_state = "sending" if after == "preparing" else after

        def move(connection: Connection) -> Run:
            run = campaigns.latest_run(connection, campaign.id)
            if run is not None and run.state == after in _FINISHED_BY_ASKING_AGAIN:
                return run
            if run is None or not campaigns.move_run(connection, run.id, before, after, now):
                raise _not_movable(run.state if run else campaign.state, after)
            campaigns.move_campaign(connection, campaign.id, ("sending", "paused"), campaign_state)
            if campaign.blocked_by:
                campaigns.set_campaign_fields(connection, campaign.id, blocked_by="")
            event = events.NewEvent(workspace_id, f"run_{after}", now, run.id, data={"campaign": campaign.name})
            events.append(connection, [event], now)
            return run

        return await self._database.write(move)


def _not_movable(state: str, after: str) -> RefusedError:
    word = state_word(state)
    if after == "paused":
        sentence = say("The campaign is %(state)s, so it cannot be paused now.", state=word)
    elif after == "cancelled":
        sentence = say("The campaign is %(state)s, so it cannot be cancelled now.", state=word)
    else:
        sentence = say("The campaign is %(state)s, so it cannot be resumed now.", state=word)
    return RefusedError("wrong_state", sentence)


def _values(campaign: Campaign) -> dict[str, Any]:
    return {field.name: getattr(campaign, field.name) for field in fields(NewCampaign)}


def _not_a_draft(campaign: Campaign) -> RefusedError:
    return RefusedError(
        "not_a_draft",
        say("The campaign is %(state)s; only a draft can be sent or changed.", state=state_word(campaign.state)),
    )
