"""Campaigns: created, pre-flighted, sent, paused, resumed, cancelled, watched."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import Clock
from postwright.services.delivery_queue import PAUSED
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.preflight import Preflight, PreflightCheck
from postwright.services.templates import check_text
from postwright.store import campaigns, contacts, domains, events, recipients, templates, workspaces
from postwright.store.campaigns import Campaign, FrozenSender, FrozenVariant, NewCampaign, Run
from postwright.store.database import Database
from postwright.store.recipients import RunCounts
from postwright.store.templates import TemplateText
from rendering.links import Tracking

_ACTIVE = ("preparing", "sending", "paused")
_FINISHED_BY_ASKING_AGAIN = ("paused", "cancelled")
"""Both take several transactions; where a process died between them, asking again does the rest."""
_WORDS = {"paused": "paused", "preparing": "resumed", "cancelled": "cancelled"}
_FORBIDDEN = tuple(chr(code) for code in (*range(32), 127))


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """What a campaign is created from. ``subject`` empty: the template's own."""

    name: str
    list_id: int
    template_id: int
    from_address: str
    from_name: str = ""
    reply_to: str | None = None
    subject: str = ""
    stream: str = "marketing"


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """A campaign with its newest run, where its recipients stand, and how often each kind of event has happened."""

    campaign: Campaign
    run: Run | None
    counts: RunCounts | None
    events: dict[str, int]


class Campaigns:
    """Campaigns of all workspaces."""

    def __init__(self, database: Database, clock: Clock, preflight: PreflightCheck, feedback_key_id: int) -> None:
        """``feedback_key_id`` names the key that new runs make their return paths and Message-IDs with."""
        self._database = database
        self._clock = clock
        self._preflight = preflight
        self._feedback_key_id = feedback_key_id

    async def create(self, workspace_id: int, draft: CampaignDraft) -> Campaign:
        """Store a draft; raises ``RefusedError`` naming every field that is wrong."""
        problems = _header_problems(draft)
        found = await self._database.read(lambda connection: self._resolve(connection, workspace_id, draft, problems))
        if problems or found is None:
            raise RefusedError.of(problems)
        text, new = found
        check_text(TemplateText(text.body, text.body_format, new.subject, text.preheader, text.plain_text))
        now = self._clock.now()
        campaign_id = await self._database.write(
            lambda connection: campaigns.add_campaign(connection, workspace_id, new, now)
        )
        return await self.get(workspace_id, campaign_id)

    def _resolve(
        self, connection: Connection, workspace_id: int, draft: CampaignDraft, problems: list[Problem]
    ) -> tuple[TemplateText, NewCampaign] | None:
        stream = workspaces.find_stream(connection, workspace_id, draft.stream)
        if stream is None:
            problems.append(Problem("unknown_stream", f"There is no stream '{draft.stream}'.", "stream"))
        if contacts.get_list(connection, workspace_id, draft.list_id) is None:
            problems.append(Problem("unknown_list", "There is no such list.", "list"))
        template = templates.get_template(connection, workspace_id, draft.template_id)
        version = templates.latest_version(connection, draft.template_id) if template else None
        if version is None:
            problems.append(Problem("unknown_template", "There is no such template.", "template"))
        if campaigns.find_campaign(connection, workspace_id, draft.name.strip()) is not None:
            problems.append(Problem("name_taken", f"There is a campaign '{draft.name}' already.", "name"))
        domain_id = _sender_domain_id(connection, workspace_id, draft.from_address, problems)
        if problems or stream is None or version is None or domain_id is None:
            return None
        return version.text, NewCampaign(
            name=draft.name.strip(),
            stream_id=stream.id,
            list_id=draft.list_id,
            template_id=draft.template_id,
            domain_id=domain_id,
            from_address=draft.from_address.strip(),
            from_name=draft.from_name.strip(),
            reply_to=draft.reply_to.strip() if draft.reply_to else None,
            subject=draft.subject or version.subject,
        )

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
        return await self._preflight.check(await self.get(workspace_id, campaign_id))

    async def send(self, workspace_id: int, campaign_id: int) -> CampaignStatus:
        """Freeze the campaign into a run that begins at once; raises ``RefusedError`` where pre-flight blocks."""
        campaign = await self.get(workspace_id, campaign_id)
        if campaign.state != "draft":
            raise RefusedError("not_a_draft", f"The campaign is {campaign.state}; only a draft can be sent.")
        checked = await self._preflight.check(campaign)
        if checked.blocking:
            raise RefusedError.of(checked.blocking)
        now = self._clock.now()
        tracked = (
            tuple((link.number, link.url) for link in checked.template.links if link.tracking is Tracking.TRACKED)
            if checked.template
            else ()
        )

        def start(connection: Connection) -> int:
            if not campaigns.move_campaign(connection, campaign.id, ("draft",), "sending"):
                raise RefusedError("not_a_draft", "The campaign has been sent meanwhile.")
            sender = self._preflight.sender_of(connection, campaign)
            if sender.blocking is not None:  # it was verified a moment ago
                raise RefusedError.of([sender.blocking])
            stream = workspaces.get_stream(connection, campaign.stream_id)
            version = templates.latest_version(connection, campaign.template_id)
            assert stream is not None  # foreign keys
            assert version is not None
            if version.id != checked.template_version_id:
                raise RefusedError("template_changed", "The template was changed meanwhile; please try again.")
            domain = sender.domain
            frozen = FrozenSender(domain.name, domain.return_path_host, domain.tracking_host, self._feedback_key_id)
            variant = FrozenVariant(version.id, campaign.subject, 1.0, tracked)
            run_id = campaigns.start_run(connection, sender.campaign, frozen, [variant], now + stream.expiry, now)
            event = events.NewEvent(workspace_id, "run_started", now, run_id, data={"campaign": campaign.name})
            events.append(connection, [event], now)
            return run_id

        await self._database.write(start)
        return await self.status(workspace_id, campaign_id)

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
                state = run.state if run else campaign.state
                raise RefusedError("wrong_state", f"The campaign is {state}, so it cannot be {_WORDS[after]} now.")
            campaigns.move_campaign(connection, campaign.id, ("sending", "paused"), campaign_state)
            event = events.NewEvent(workspace_id, f"run_{after}", now, run.id, data={"campaign": campaign.name})
            events.append(connection, [event], now)
            return run

        return await self._database.write(move)


def _header_problems(draft: CampaignDraft) -> list[Problem]:
    problems: list[Problem] = []
    if not draft.name.strip() or len(draft.name) > 200:
        problems.append(Problem("campaign_name", "A campaign has a name of 1 to 200 characters.", "name"))
    for field, value in (("subject", draft.subject), ("from_name", draft.from_name)):
        place = next((index for index, character in enumerate(value) if character in _FORBIDDEN), None)
        if place is not None:
            problems.append(
                Problem(
                    "header_line_break",
                    "A line break or control character cannot stand in a header.",
                    field,
                    f"column {place + 1}",
                    "Remove it.",
                )
            )
    if draft.reply_to is not None:
        _header_address(draft.reply_to, "reply_to", problems)
    return problems


def _header_address(text: str, field: str, problems: list[Problem]) -> EmailAddress | None:
    """The address, unless it cannot stand in a header: every single message would fail because of it."""
    try:
        address = EmailAddress.parse(text)
    except AddressSyntaxError as error:
        problems.append(Problem.of(error, "bad_address", field))
        return None
    if address.needs_smtputf8:
        sentence = f"The part before the @ of {address} needs SMTPUTF8 (RFC 6531), which is not offered."
        problems.append(Problem("bad_address", sentence, field, "", "Use an address in ASCII."))
        return None
    return address


def _sender_domain_id(
    connection: Connection, workspace_id: int, from_address: str, problems: list[Problem]
) -> int | None:
    address = _header_address(from_address, "from_address", problems)
    if address is None:
        return None
    found = domains.find_domain(connection, workspace_id, address.domain.ascii)
    if found is None:
        problems.append(
            Problem(
                "unknown_domain",
                f"{address.domain} is not a sender domain of this workspace.",
                "from_address",
                "",
                f"Add it first: postwright domain add {address.domain}.",
            )
        )
        return None
    return found.id
