"""Pre-flight: what would keep a campaign from being sent, found on real contacts before anybody gets anything."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, as_datetime
from mailtypes.errors import InputSyntaxError
from postwright.services.composition import contact_data
from postwright.services.errors import Problem
from postwright.services.frozen_runs import tracking_base
from postwright.services.platform_sender import Sender, sender_of
from postwright.services.templates import source_of
from postwright.store import contacts, templates, workspaces
from postwright.store.campaigns import Campaign
from postwright.store.contacts import Contact
from postwright.store.database import Database
from postwright.store.templates import TemplateVersion
from rendering import lint
from rendering.layout import Layout
from rendering.lint import LintFinding, Severity
from rendering.segments import MessageUrls, SlotValues
from rendering.source import TemplateSyntaxError
from rendering.template import Layouts, Template, parse_template
from tracking.urls import click_url, pixel_url, unsubscribe_url

SAMPLE = 2000
"""How many contacts are merged for the check; the first of the list."""
_LIKE_A_TOKEN = "A" * 40


@dataclass(frozen=True, slots=True)
class Preflight:
    """``blocking`` findings refuse the send, ``advisory`` ones are for the marketer to weigh."""

    blocking: tuple[Problem, ...]
    advisory: tuple[Problem, ...]
    recipients: int
    sampled: int
    layouts: int
    largest_html: int
    template_version_id: int
    template: Template | None


@dataclass(slots=True)
class _Sampled:
    """What merging the sample showed: the largest mail, and what could not be merged."""

    largest_html: int = 0
    largest: tuple[Layout, SlotValues, MessageUrls] | None = None
    faults: Counter[str] = field(default_factory=Counter)

    def lint(self, *, marketing: bool) -> tuple[LintFinding, ...]:
        """The findings on the largest mail."""
        if self.largest is None:
            return ()
        layout, values, urls = self.largest
        return lint.lint_layout(layout, values, urls, marketing=marketing)


class PreflightCheck:
    """Checks campaigns. ``public_port`` is the port in links to tracking hosts.

    ``platform_name`` is the domain that unverified ones may be sent under; empty where there is none.
    """

    def __init__(self, database: Database, clock: Clock, public_port: int, platform_name: str = "") -> None:
        self._database = database
        self._clock = clock
        self._public_port = public_port
        self._platform_name = platform_name

    def sender_of(self, connection: Connection, campaign: Campaign) -> Sender:
        """In whose name a campaign would go out now, or why it may not."""
        return sender_of(connection, campaign, self._platform_name)

    async def check(self, campaign: Campaign) -> Preflight:
        """Look at the domain, the template against the list's fields, and real contacts' messages."""
        blocking: list[Problem] = []
        advisory: list[Problem] = []
        sender = await self._database.read(lambda connection: self.sender_of(connection, campaign))
        stream = await self._database.read(lambda connection: workspaces.get_stream(connection, campaign.stream_id))
        version = await self._database.read(
            lambda connection: templates.latest_version(connection, campaign.template_id)
        )
        assert stream is not None  # foreign keys
        assert version is not None
        blocking += [sender.blocking] if sender.blocking else []
        advisory += [sender.advisory] if sender.advisory else []
        recipients = await self._database.read(lambda connection: contacts.count_list(connection, campaign.list_id))
        if not recipients:
            blocking.append(Problem("empty_list", "There is nobody on the list.", "list", "", "Import contacts first."))
        sample = await self._database.read(
            lambda connection: contacts.contacts_of_list(connection, campaign.list_id, after=0, limit=SAMPLE)
        )
        template = _parsed(version, campaign.subject, blocking)
        layouts = Layouts(template) if template else None
        sampled = _Sampled()
        if layouts is not None:
            if recipients:  # an empty list has no field at all, and says so itself
                blocking += await self._unknown_fields(layouts.template, campaign)
            if not blocking:
                base = tracking_base(sender.domain.tracking_host, self._public_port)
                self._merge(layouts, sample, _sample_urls(base), sampled, blocking)
                findings = [*lint.lint_template(layouts.template), *sampled.lint(marketing=stream.kind == "marketing")]
                advisory += [_of_finding(finding) for finding in findings if finding.severity is not Severity.ERROR]
                blocking += [_of_finding(finding) for finding in findings if finding.severity is Severity.ERROR]
        advisory += [
            Problem("cannot_merge", f"{number} of the first {len(sample):,} contacts: {sentence}", "list")
            for sentence, number in sampled.faults.most_common(10)
        ]
        return Preflight(
            blocking=tuple(blocking),
            advisory=tuple(advisory),
            recipients=recipients,
            sampled=len(sample),
            layouts=len(layouts) if layouts else 0,
            largest_html=sampled.largest_html,
            template_version_id=version.id,
            template=template,
        )

    async def _unknown_fields(self, template: Template, campaign: Campaign) -> list[Problem]:
        names = await self._database.read(lambda connection: contacts.field_names(connection, campaign.list_id))
        known = {"contact.email", *(f"contact.{name}" for name in names)}
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
            try:
                key, values = layouts.template.fill({**contact_data(contact.address, contact.fields), "now": now})
                layout = layouts[key]
                size = layout.html_size(values, urls)
            except TemplateSyntaxError as error:
                blocking.append(Problem.of(error, "template_syntax", error.part))
                return
            except InputSyntaxError as error:
                sampled.faults[error.message] += 1
                continue
            if size > sampled.largest_html:
                sampled.largest_html, sampled.largest = size, (layout, values, urls)


def _sample_urls(base: str) -> MessageUrls:
    """Links as long as those that will be sent."""
    return MessageUrls(
        link_url=lambda _: click_url(base, _LIKE_A_TOKEN),
        unsubscribe_url=unsubscribe_url(base, _LIKE_A_TOKEN),
        pixel_url=pixel_url(base, _LIKE_A_TOKEN),
    )


def _parsed(version: TemplateVersion, subject: str, blocking: list[Problem]) -> Template | None:
    try:
        return parse_template(source_of(version.text, subject))
    except TemplateSyntaxError as error:
        blocking.append(Problem.of(error, "template_syntax", error.part))
        return None


def _of_finding(finding: LintFinding) -> Problem:
    return Problem(finding.code, f"{finding.message}. {finding.why}", "template", "", finding.next_step)
