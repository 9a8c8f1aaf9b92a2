"""Pre-flight: what would keep a campaign from being sent, found on real contacts before anybody gets anything."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import Clock, as_datetime
from mailtypes.saying import say
from postwright.services.audiences import count_audience, field_names, sample_audience
from postwright.services.audit_facts import AuditFacts, audit_facts, audit_problems
from postwright.services.earlier_mails import EarlierMails
from postwright.services.errors import Problem
from postwright.services.frozen_runs import tracking_base
from postwright.services.image_facts import ImageLooks
from postwright.services.link_facts import LinkLooks
from postwright.services.list_checks import consent_problems, health_problems, missing_field_problems
from postwright.services.mail_checks import MailFacts, compose_mail, judge_mail, sample_urls
from postwright.services.platform_sender import Sender, sender_of
from postwright.services.preflight_findings import (
    NEVER_BLOCKS,
    RiskLimit,
    images_problem,
    links_problem,
    mail_problems,
    overridable,
)
from postwright.services.preflight_mails import (
    CampaignMail,
    LookedAt,
    Sampled,
    campaign_mails,
    mail_digest,
    merge_sample,
    told_once,
)
from postwright.services.preflight_overrides import OverrideGround, Overruled, judge
from postwright.services.template_texts import source_of
from postwright.store import campaigns, contact_fields, overrides, workspaces
from postwright.store.campaigns import Campaign
from postwright.store.contacts import Contact
from postwright.store.database import Database
from postwright.store.overrides import PreflightOverride
from postwright.store.workspaces import Stream
from rendering.lint import LintSubject, Liveness, SenderFacts, image_addresses, link_addresses
from rendering.source import TemplateSyntaxError
from rendering.spam_risk import SpamRisk
from rendering.template import Layouts, Template, parse_template

SAMPLE = 2000
"""How many contacts are merged for the check; the first of the audience."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """``blocking`` findings refuse the send, ``advisory`` ones are for the marketer to weigh.

    Of the blocking ones those with a code in ``overridable`` may be sent against, by somebody who says why;
    ``overruled`` are those that somebody has, ``lapsed`` the overrides that were given for another content. ``risk`` is
    the highest of all variants, each by its largest mail; ``None`` where none could be composed.
    """

    blocking: tuple[Problem, ...]
    advisory: tuple[Problem, ...]
    recipients: int
    sampled: int
    layouts: int
    largest_html: int
    ground: OverrideGround
    risk: SpamRisk | None = None
    overridable: frozenset[str] = frozenset()
    overruled: tuple[Overruled, ...] = ()
    lapsed: tuple[PreflightOverride, ...] = ()


@dataclass(frozen=True, slots=True)
class PreflightPolicy:
    """``public_port`` is the port in links to tracking hosts. ``platform_name`` is the domain that unverified ones may
    be sent under, empty where there is none. ``risk_limit``: the band of the spam risk that blocks. ``images`` looks at
    the images of the mails, ``None``: nothing is fetched. ``honeypots``: mails will have a link that no reader sees.
    ``links`` looks where their links lead, ``None``: none is asked for."""

    public_port: int = 443
    platform_name: str = ""
    risk_limit: RiskLimit = NEVER_BLOCKS
    images: ImageLooks | None = None
    honeypots: bool = False
    links: LinkLooks | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the database says of a campaign, read together."""

    sender: Sender
    stream: Stream
    mails: tuple[CampaignMail, ...]
    recipients: int
    sample: Sequence[Contact]
    names: frozenset[str]
    audience: tuple[Problem, ...]
    given: Sequence[PreflightOverride]
    run: int


class PreflightCheck:
    """Checks campaigns. ``public_port`` and ``platform_name`` as in ``PreflightPolicy``, which may be given whole."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        public_port: int = 443,
        platform_name: str = "",
        policy: PreflightPolicy | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy or PreflightPolicy(public_port, platform_name)
        self._earlier = EarlierMails(database)

    def sender_of(self, connection: Connection, campaign: Campaign) -> Sender:
        """In whose name a campaign would go out now, or why it may not."""
        return sender_of(connection, campaign, self._policy.platform_name)

    async def check(self, campaign: Campaign) -> Preflight:
        """Look at the domain, the audience, every variant's template against the fields, and real contacts' mails."""
        ground = await self._database.read(partial(self._ground, campaign=campaign))
        sender = ground.sender
        blocking = [sender.blocking] if sender.blocking else []
        advisory = [sender.advisory] if sender.advisory else []
        advisory += audit_problems(sender.domain, self._clock.now())
        if not ground.recipients:
            blocking.append(
                Problem("empty_list", say("There is nobody on the list."), "list", "", say("Import contacts first."))
            )
        looked = [await self._look_at(campaign, ground, mail, is_sendable=not blocking) for mail in ground.mails]
        blocking += told_once([(one.mail, one.blocking) for one in looked])
        pauses = [problem for problem in ground.audience if problem.code == "list_health_pause"]
        blocking += pauses
        advisory += [problem for problem in ground.audience if problem not in pauses]
        advisory += told_once([(one.mail, one.advisory) for one in looked])
        return self._judged(campaign, ground, looked, (blocking, advisory))

    def _judged(
        self,
        campaign: Campaign,
        ground: _Ground,
        looked: Sequence[LookedAt],
        found: tuple[Sequence[Problem], Sequence[Problem]],
    ) -> Preflight:
        blocking, advisory = found
        risks = [one.risk for one in looked if one.risk is not None]
        risk = max(risks, key=lambda one: one.score, default=None)
        audience = json.dumps([campaign.list_id, campaign.audience])
        given_for = OverrideGround(mail_digest(ground.mails), risk.band if risk else "", audience, ground.run)
        judged = judge(blocking, ground.given, given_for)
        return Preflight(
            blocking=judged.blocking,
            advisory=tuple(advisory),
            recipients=ground.recipients,
            sampled=len(ground.sample),
            layouts=sum(one.layouts for one in looked),
            largest_html=max((one.largest_html for one in looked), default=0),
            ground=given_for,
            risk=risk,
            overridable=overridable(judged.blocking),
            overruled=judged.overruled,
            lapsed=judged.lapsed,
        )

    def _ground(self, connection: Connection, campaign: Campaign) -> _Ground:
        now = self._clock.now()
        stream = workspaces.get_stream(connection, campaign.stream_id)
        assert stream is not None  # foreign keys
        recipients = count_audience(connection, campaign, now)
        defined = {one.name for one in contact_fields.list_fields(connection, campaign.workspace_id)}
        audience: list[Problem] = []
        if recipients:
            audience += consent_problems(connection, campaign, stream, recipients, now)
            audience += health_problems(connection, campaign, now)
        latest = campaigns.latest_run(connection, campaign.id)
        return _Ground(
            sender_of(connection, campaign, self._policy.platform_name),
            stream,
            campaign_mails(connection, campaign),
            recipients,
            sample_audience(connection, campaign, now, SAMPLE),
            frozenset(field_names(connection, campaign, now) | defined),
            tuple(audience),
            overrides.overrides_of(connection, campaign.workspace_id, campaign.id),
            latest.number + 1 if latest is not None else 1,
        )

    async def _look_at(self, campaign: Campaign, ground: _Ground, mail: CampaignMail, *, is_sendable: bool) -> LookedAt:
        """One mail; without a sender or an audience (not ``is_sendable``) only whether its template compiles."""
        found = LookedAt(mail)
        try:
            if mail.fault is not None:
                raise mail.fault
            template = await asyncio.to_thread(parse_template, source_of(mail.text, mail.subject))
        except TemplateSyntaxError as error:
            found.blocking.append(Problem.of(error, "template_syntax", error.part))
            return found
        if ground.recipients:  # an empty list has no field at all, and says so itself
            found.blocking += _unknown_fields(template, ground.names)
            found.advisory += await self._database.read(
                partial(missing_field_problems, template=template, campaign=campaign, now=self._clock.now())
            )
        if is_sendable and not found.blocking:
            await self._look_at_mails(campaign, ground, Layouts(template), found)
        return found

    async def _look_at_mails(self, campaign: Campaign, ground: _Ground, layouts: Layouts, found: LookedAt) -> None:
        audit = audit_facts(ground.sender.domain, one_click=ground.stream.one_click)
        earlier = await self._earlier.risks(campaign.workspace_id, audit)
        base = tracking_base(ground.sender.domain.tracking_host, self._policy.public_port)
        urls = sample_urls(base, honeypots=self._policy.honeypots and ground.stream.tracks_clicks)
        sampled = await asyncio.to_thread(merge_sample, layouts, ground.sample, urls, self._clock.now())
        found.layouts, found.largest_html = len(layouts), sampled.largest_html
        if sampled.broken is not None:
            found.blocking.append(Problem.of(sampled.broken, "template_syntax", sampled.broken.part))
        elif sampled.largest is not None:
            facts = self._facts(ground, audit, found.mail, earlier)
            subject = await asyncio.to_thread(compose_mail, layouts, sampled.largest, urls, facts)
            await self._judge(subject, facts, found)
        found.advisory += _merge_problems(sampled, len(ground.sample))

    async def _judge(self, subject: LintSubject, facts: MailFacts, found: LookedAt) -> None:
        subject = await self._with_links(await self._with_images(subject, found), found)
        mail = await asyncio.to_thread(judge_mail, subject, facts)
        found.risk = mail.risk
        blocking, advisory = mail_problems(mail, self._policy.risk_limit)
        found.blocking += blocking
        found.advisory += advisory

    async def _with_images(self, subject: LintSubject, found: LookedAt) -> LintSubject:
        if self._policy.images is None:
            return subject
        seen = await self._policy.images.look(await asyncio.to_thread(image_addresses, subject))
        found.advisory += images_problem(seen.unknown)
        return replace(subject, images=seen.facts)

    async def _with_links(self, subject: LintSubject, found: LookedAt) -> LintSubject:
        if self._policy.links is None:
            return subject
        seen = await self._policy.links.look(await asyncio.to_thread(link_addresses, subject))
        found.advisory += links_problem(seen)  # once for all of them; the lint would tell of each
        known = {address: fact for address, fact in seen.items() if fact.liveness is not Liveness.UNKNOWN}
        return replace(subject, links=known)

    def _facts(
        self, ground: _Ground, audit: AuditFacts, mail: CampaignMail, earlier: tuple[SpamRisk, ...]
    ) -> MailFacts:
        stream = SenderFacts(stream="marketing" if ground.stream.kind == "marketing" else "transactional")
        today = as_datetime(self._clock.now()).date()
        expanded = mail.whole.expanded if mail.whole is not None else None
        return MailFacts(stream, audit, expanded, mail.version.body, earlier, today=today)


def _unknown_fields(template: Template, names: frozenset[str]) -> list[Problem]:
    known = {"contact.email", *(f"contact.{name}" for name in names)}
    return [Problem.of(error, "unknown_merge_field", error.part) for error in template.unknown_fields(known)]


def _merge_problems(sampled: Sampled, contacts: int) -> list[Problem]:
    return [
        Problem(
            "cannot_merge",
            say(
                "%(number)s of the first %(contacts)s contacts: %(sentence)s",
                number=number,
                contacts=f"{contacts:,}",
                sentence=sentence,
            ),
            "list",
        )
        for sentence, number in sampled.faults.most_common(10)
    ]
