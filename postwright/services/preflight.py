"""Pre-flight: what would keep a campaign from being sent, found on real contacts before anybody gets anything."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, as_datetime
from mailtypes.errors import InputSyntaxError
from postwright.services.audiences import count_audience, field_names, sample_audience
from postwright.services.audit_facts import AuditFacts, audit_facts, audit_problems
from postwright.services.composition import contact_data
from postwright.services.earlier_mails import EarlierMails
from postwright.services.errors import Problem
from postwright.services.frozen_runs import tracking_base
from postwright.services.list_checks import consent_problems, health_problems, missing_field_problems
from postwright.services.mail_checks import MailFacts, check_mail, sample_urls
from postwright.services.platform_sender import Sender, sender_of
from postwright.services.preflight_findings import NEVER_BLOCKS, RiskLimit, mail_problems, overridable
from postwright.services.template_parts import WholeText, whole_text
from postwright.services.template_texts import source_of
from postwright.store import contact_fields, templates, workspaces
from postwright.store.campaigns import Campaign
from postwright.store.contacts import Contact
from postwright.store.database import Database
from postwright.store.templates import TemplateVersion
from postwright.store.workspaces import Stream
from rendering.lint import SenderFacts
from rendering.segments import MessageUrls
from rendering.source import TemplateSyntaxError
from rendering.spam_risk import SpamRisk
from rendering.template import Layouts, Template, parse_template

SAMPLE = 2000
"""How many contacts are merged for the check; the first of the audience."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """``blocking`` findings refuse the send, ``advisory`` ones are for the marketer to weigh.

    Of the blocking ones those with a code in ``overridable`` may be sent against, by somebody who says why. ``risk``
    is that of the largest mail, ``None`` where none could be composed.
    """

    blocking: tuple[Problem, ...]
    advisory: tuple[Problem, ...]
    recipients: int
    sampled: int
    layouts: int
    largest_html: int
    template_version_id: int
    template: Template | None
    risk: SpamRisk | None = None
    overridable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PreflightPolicy:
    """``public_port`` is the port in links to tracking hosts. ``platform_name`` is the domain that unverified ones may
    be sent under, empty where there is none. ``risk_limit``: the band of the spam risk that blocks."""

    public_port: int = 443
    platform_name: str = ""
    risk_limit: RiskLimit = NEVER_BLOCKS


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the database says of a campaign, read together."""

    sender: Sender
    stream: Stream
    version: TemplateVersion
    recipients: int
    sample: Sequence[Contact]
    names: frozenset[str]
    audience: tuple[Problem, ...]


@dataclass(slots=True)
class _Sampled:
    """What merging the sample showed: whose mail is the largest, and what could not be merged."""

    largest_html: int = 0
    largest: Mapping[str, object] | None = None
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Found:
    """What has been found so far."""

    blocking: list[Problem] = field(default_factory=list)
    advisory: list[Problem] = field(default_factory=list)
    risk: SpamRisk | None = None
    layouts: int = 0


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
        """Look at the domain, the audience, the template against the fields, and real contacts' messages."""
        ground = await self._database.read(partial(self._ground, campaign=campaign))
        sender, found, sampled = ground.sender, _Found(), _Sampled()
        found.blocking += [sender.blocking] if sender.blocking else []
        found.advisory += [sender.advisory] if sender.advisory else []
        found.advisory += audit_problems(sender.domain, self._clock.now())
        if not ground.recipients:
            found.blocking.append(
                Problem("empty_list", "There is nobody on the list.", "list", "", "Import contacts first.")
            )
        template = await self._look_at(campaign, ground, found, sampled)
        for problem in ground.audience:
            (found.blocking if problem.code == "list_health_pause" else found.advisory).append(problem)
        found.advisory += [
            Problem("cannot_merge", f"{number} of the first {len(ground.sample):,} contacts: {sentence}", "list")
            for sentence, number in sampled.faults.most_common(10)
        ]
        return Preflight(
            blocking=tuple(found.blocking),
            advisory=tuple(found.advisory),
            recipients=ground.recipients,
            sampled=len(ground.sample),
            layouts=found.layouts,
            largest_html=sampled.largest_html,
            template_version_id=ground.version.id,
            template=template,
            risk=found.risk,
            overridable=overridable(found.blocking),
        )

    def _ground(self, connection: Connection, campaign: Campaign) -> _Ground:
        now = self._clock.now()
        stream = workspaces.get_stream(connection, campaign.stream_id)
        version = templates.latest_version(connection, campaign.template_id)
        assert stream is not None  # foreign keys
        assert version is not None
        recipients = count_audience(connection, campaign, now)
        defined = {one.name for one in contact_fields.list_fields(connection, campaign.workspace_id)}
        audience: list[Problem] = []
        if recipients:
            audience += consent_problems(connection, campaign, stream, recipients, now)
            audience += health_problems(connection, campaign, now)
        return _Ground(
            sender_of(connection, campaign, self._policy.platform_name),
            stream,
            version,
            recipients,
            sample_audience(connection, campaign, now, SAMPLE),
            frozenset(field_names(connection, campaign, now) | defined),
            tuple(audience),
        )

    async def _look_at(self, campaign: Campaign, ground: _Ground, found: _Found, sampled: _Sampled) -> Template | None:
        try:
            read = partial(whole_text, workspace_id=campaign.workspace_id, text=ground.version.text)
            whole = await self._database.read(read)
            template = await asyncio.to_thread(parse_template, source_of(whole.text, campaign.subject))
        except TemplateSyntaxError as error:
            found.blocking.append(Problem.of(error, "template_syntax", error.part))
            return None
        if ground.recipients:  # an empty list has no field at all, and says so itself
            found.blocking += self._unknown_fields(template, ground)
            found.advisory += await self._database.read(
                partial(missing_field_problems, template=template, campaign=campaign, now=self._clock.now())
            )
        if not found.blocking:
            await self._look_at_mails(campaign, ground, Layouts(template), whole, (found, sampled))
        return template

    async def _look_at_mails(
        self,
        campaign: Campaign,
        ground: _Ground,
        layouts: Layouts,
        whole: WholeText,
        results: tuple[_Found, _Sampled],
    ) -> None:
        found, sampled = results
        audit = audit_facts(ground.sender.domain, one_click=ground.stream.one_click)
        earlier = await self._earlier.risks(campaign.workspace_id, audit)
        urls = sample_urls(tracking_base(ground.sender.domain.tracking_host, self._policy.public_port))
        await asyncio.to_thread(self._merge, layouts, ground.sample, urls, sampled, found.blocking)
        found.layouts = len(layouts)
        if sampled.largest is None or found.blocking:
            return
        facts = self._facts(ground, audit, whole, earlier)
        mail = await asyncio.to_thread(check_mail, layouts.template, sampled.largest, urls, facts)
        found.risk = mail.risk
        blocking, advisory = mail_problems(mail, self._policy.risk_limit)
        found.blocking += blocking
        found.advisory += advisory

    def _facts(self, ground: _Ground, audit: AuditFacts, whole: WholeText, earlier: tuple[SpamRisk, ...]) -> MailFacts:
        stream = SenderFacts(stream="marketing" if ground.stream.kind == "marketing" else "transactional")
        today = as_datetime(self._clock.now()).date()
        return MailFacts(stream, audit, whole.expanded, ground.version.body, earlier, today=today)

    def _unknown_fields(self, template: Template, ground: _Ground) -> list[Problem]:
        known = {"contact.email", *(f"contact.{name}" for name in ground.names)}
        return [Problem.of(error, "unknown_merge_field", error.part) for error in template.unknown_fields(known)]

    def _merge(
        self,
        layouts: Layouts,
        sample: Sequence[Contact],
        urls: MessageUrls,
        sampled: _Sampled,
        blocking: list[Problem],
    ) -> None:
        now = as_datetime(self._clock.now()).replace(microsecond=0)
        for contact in sample:
            if EmailAddress.parse(contact.address).needs_smtputf8:
                sampled.faults["the part before the @ needs SMTPUTF8 (RFC 6531), which is not offered"] += 1
                continue
            data = {**contact_data(contact.address, contact.fields), "now": now}
            try:
                key, values = layouts.template.fill(data)
                size = layouts[key].html_size(values, urls)
            except TemplateSyntaxError as error:
                blocking.append(Problem.of(error, "template_syntax", error.part))
                return
            except InputSyntaxError as error:
                sampled.faults[error.message] += 1
                continue
            if size > sampled.largest_html:
                sampled.largest_html, sampled.largest = size, data
