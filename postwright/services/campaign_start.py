"""The start of a run: pre-flight once more, then everything frozen in one transaction."""

import json
import secrets
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from mailtypes.saying import say
from postwright.services.audiences import frozen_audience
from postwright.services.campaign_senders import sent_in_the_name_of
from postwright.services.errors import RefusedError
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.services.preflight import Preflight, PreflightCheck
from postwright.services.preflight_mails import campaign_mails, mail_digest
from postwright.services.preflight_overrides import override_documents
from postwright.services.template_parts import freeze
from postwright.services.template_texts import template_of
from postwright.services.warm_up_patience import patience
from postwright.store import campaigns, domains, events, experiments, templates, workspaces
from postwright.store.campaigns import Campaign, FrozenSender, FrozenVariant, RunTerms
from postwright.store.database import Database
from postwright.store.templates import TemplateVersion
from postwright.store.workspaces import Stream
from rendering.links import Tracking


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that has begun."""

    run_id: int


class CampaignStart:
    """Begins runs. ``feedback_key_id`` names the key that new runs make their return paths and Message-IDs with."""

    def __init__(self, database: Database, clock: Clock, preflight: PreflightCheck, feedback_key_id: int) -> None:
        self._database = database
        self._clock = clock
        self._preflight = preflight
        self._feedback_key_id = feedback_key_id

    async def check(self, campaign: Campaign) -> Preflight:
        """What would keep it from being sent now."""
        return await self._preflight.check(campaign)

    async def begin(self, campaign: Campaign, before: tuple[str, ...]) -> StartedRun:
        """Freeze a campaign that is in a state of ``before``; ``RefusedError`` where pre-flight blocks it.

        What was overruled for this very content does not block; the event log keeps by whom and why.
        """
        checked = await self.check(campaign)
        if checked.blocking:
            raise RefusedError.of(checked.blocking)
        now = self._clock.now()

        def start(connection: Connection) -> StartedRun:
            if not campaigns.move_campaign(connection, campaign.id, before, "sending"):
                raise RefusedError("not_a_draft", say("The campaign has been sent meanwhile."))
            campaigns.set_campaign_fields(connection, campaign.id, blocked_by="")
            run_id = self._freeze(connection, campaign, checked, now)
            data = {"campaign": campaign.name}
            event = events.NewEvent(campaign.workspace_id, "run_started", now, run_id, data=data)
            told = [event]
            for kept in override_documents(checked.overruled):
                kind = "preflight_overridden"
                told.append(events.NewEvent(campaign.workspace_id, kind, now, run_id, data={**data, **kept}))
            events.append(connection, told, now)
            return StartedRun(run_id)

        return await self._database.write(start)

    def _freeze(self, connection: Connection, campaign: Campaign, checked: Preflight, now: Microseconds) -> int:
        sender = self._preflight.sender_of(connection, campaign)
        if sender.blocking is not None:  # it was verified a moment ago
            raise RefusedError.of([sender.blocking])
        stream = workspaces.get_stream(connection, campaign.stream_id)
        version = templates.latest_version(connection, campaign.template_id)
        assert stream is not None  # foreign keys
        assert version is not None
        if mail_digest(campaign_mails(connection, campaign)) != checked.ground.mail:  # any variant, any part of it
            raise RefusedError("template_changed", say("The template was changed meanwhile; please try again."))
        domain = sender.domain
        frozen = FrozenSender(domain.name, domain.return_path_host, domain.tracking_host, self._feedback_key_id)
        draft = None if campaign.experiment is None else ExperimentDraft.from_json(campaign.experiment)
        version = freeze(connection, campaign.workspace_id, version, now)
        variants = _variants(connection, campaign, version, draft)
        platform = None if sender.campaign.from_address == campaign.from_address else domain.name
        terms = _terms(connection, campaign, stream, draft, now)
        terms = replace(terms, other_senders=_others(connection, campaign, platform))
        run_id = campaigns.start_run(connection, sender.campaign, frozen, variants, terms, now)
        if draft is not None:
            written = json.dumps({"seed": draft.seed or secrets.token_hex(16), "draft": json.loads(draft.as_json())})
            experiments.add_experiment(connection, run_id, campaign.workspace_id, written)
        return run_id


def _terms(
    connection: Connection, campaign: Campaign, stream: Stream, draft: ExperimentDraft | None, now: Microseconds
) -> RunTerms:
    """How long the run may take: what was asked for, never less than the stream's expiry behind the test's end.

    Where nobody asked, marketing mail has the time that the warm-up of its sender may take.
    """
    waits = 0 if draft is None else round(draft.wait * 3_600_000_000)
    asked = patience(connection, stream.kind, campaign.domain_id) if campaign.longest is None else campaign.longest
    longest = max(asked, stream.expiry + waits)
    own = stream.expiry if longest > stream.expiry else None
    return RunTerms(now + longest, frozen_audience(connection, campaign), campaign.plan, campaign.frequency_cap, own)


def _others(connection: Connection, campaign: Campaign, platform: str | None) -> str:
    """Who sends it beside the campaign's own sender, in whose name it goes out."""
    domain = domains.get_domain(connection, campaign.domain_id)
    assert domain is not None  # foreign keys
    return sent_in_the_name_of(campaign, domain, platform)


def _variants(
    connection: Connection, campaign: Campaign, version: TemplateVersion, draft: ExperimentDraft | None
) -> list[FrozenVariant]:
    if draft is None:
        return [_frozen(version, campaign.subject, VariantDraft(""))]
    found: list[FrozenVariant] = []
    for one in draft.variants:
        own = version
        if one.template_id is not None:
            latest = templates.latest_version(connection, one.template_id)
            if latest is None:
                raise RefusedError(
                    "unknown_template",
                    say("The template of variant %(name)s is gone.", name=one.name),
                    field="template",
                )
            own = freeze(connection, campaign.workspace_id, latest, Microseconds(latest.created_at))
        found.append(_frozen(own, one.subject or campaign.subject, one))
    return found


def _frozen(version: TemplateVersion, subject: str, draft: VariantDraft) -> FrozenVariant:
    links = tuple(
        (link.number, link.url)
        for link in template_of(version, subject, draft.preheader).links
        if link.tracking is Tracking.TRACKED
    )
    return FrozenVariant(version.id, subject, 1.0, links, draft.name, draft.from_name, draft.preheader)
