"""Templates looked at before anybody gets them: what they become for a contact, what is wrong, how risky they are."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import Clock, Microseconds, as_datetime
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.second_opinions import CouldNotAsk, Opinion, SecondOpinionPolicy, second_opinions
from postwright.services.audit_facts import AuditFacts, audit_facts
from postwright.services.earlier_mails import EarlierMails
from postwright.services.errors import Problem, RefusedError
from postwright.services.frozen_runs import tracking_base
from postwright.services.mail_checks import CheckedMail, MailFacts, check_mail, sample_urls
from postwright.services.mail_looks import MailLooks
from postwright.services.preview_contacts import PreviewContact, PreviewContacts
from postwright.services.template_parts import WholeText, whole_text
from postwright.services.template_texts import MAX_BODY, source_of
from postwright.store import contact_fields, contacts, domains, workspaces
from postwright.store.database import Database
from postwright.store.domains import SenderDomain
from postwright.store.templates import TemplateText
from rendering.compose import MessageHeaders, compose_headers
from rendering.lint import SenderFacts
from rendering.segments import MessageUrls
from rendering.source import UnknownFieldError
from rendering.template import Template, parse_template

_NAMES_FROM = 2000
_SAMPLE_HOST, _SAMPLE_DOMAIN = "links.example.com", "example.com"


@dataclass(frozen=True, slots=True)
class CheckWish:
    """For whom and as whose mail a template is looked at.

    ``data`` is merge data in place of a contact's. Without ``from_address`` the first verified sender domain's audit
    counts. ``stream`` is the name of a stream.
    """

    contact_id: int = 0
    contact_address: str = ""
    data: Mapping[str, object] | None = None
    from_address: str = ""
    stream: str = "marketing"


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """What a template becomes and what is said of it; ``mail`` is ``None`` where it cannot be composed (``problems``).

    ``unknown_fields`` are merge fields that no contact has. ``message`` is the mail as a filter would get it.
    """

    contact: PreviewContact
    mail: CheckedMail | None
    problems: tuple[Problem, ...] = ()
    unknown_fields: tuple[Problem, ...] = ()
    message: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the database says for one check."""

    whole: WholeText
    sender: SenderFacts
    audit: AuditFacts
    urls: MessageUrls
    domain_name: str
    now: Microseconds
    known: frozenset[str] = field(default_factory=frozenset)


class TemplateChecks:
    """Checks templates of all workspaces. ``public_port`` is the port in links to tracking hosts.

    What ``looks`` have seen already is known of images and links, too. ``honeypots``: mail will have a link that no
    reader sees.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        public_port: int = 443,
        opinions: SecondOpinionPolicy | None = None,
        looks: MailLooks | None = None,
        *,
        honeypots: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._public_port = public_port
        self._opinions = opinions or SecondOpinionPolicy()
        self._looks = looks or MailLooks()
        self._honeypots = honeypots
        self.contacts = PreviewContacts(database)
        self.earlier = EarlierMails(database)

    async def check(self, workspace_id: int, text: TemplateText, wish: CheckWish | None = None) -> TemplateCheck:
        """Look at a text, stored or not. What is wrong with it is part of the answer.

        Raises ``RefusedError`` and ``NotFoundError`` where the wish names nothing that there is.
        """
        wish = wish or CheckWish()
        if len(text.body) > MAX_BODY:
            raise RefusedError(
                "template_size",
                say("A template has at most %(max_body)s characters.", max_body=f"{MAX_BODY:,}"),
                field="body",
            )
        contact = await self._contact(workspace_id, wish)
        try:
            ground = await self._database.read(partial(self._ground, workspace_id=workspace_id, text=text, wish=wish))
            earlier = await self.earlier.risks(workspace_id, ground.audit)
            now = as_datetime(self._clock.now()).replace(microsecond=0)
            facts = MailFacts(
                ground.sender,
                ground.audit,
                ground.whole.expanded,
                text.body,
                earlier,
                contact.locale,
                now.date(),
                self._looks.known_images(),  # fetched at pre-flight, not while typing
                self._looks.known_links(),
            )
            data = {**contact.data, "now": now}
            return await asyncio.to_thread(_checked, ground, data, facts, contact)
        except InputSyntaxError as error:
            part = str(getattr(error, "part", "") or getattr(error, "field", ""))
            code = "cannot_merge" if hasattr(error, "field") and not hasattr(error, "part") else "template_syntax"
            return TemplateCheck(contact, None, (Problem.of(error, code, part),))

    async def opinions(self, checked: TemplateCheck) -> tuple[Opinion | CouldNotAsk, ...]:
        """What SpamAssassin and rspamd say of the mail, those that the operator has named."""
        if checked.message is None or (self._opinions.spamd is None and self._opinions.rspamd is None):
            return ()
        return await second_opinions(await asyncio.to_thread(checked.message), self._opinions)

    async def _contact(self, workspace_id: int, wish: CheckWish) -> PreviewContact:
        if wish.data is not None:
            return PreviewContact(0, None, "", "", wish.data)
        if wish.contact_address.strip():
            return await self.contacts.by_address(workspace_id, wish.contact_address)
        return await self.contacts.by_id(workspace_id, wish.contact_id)

    def _ground(self, connection: Connection, workspace_id: int, text: TemplateText, wish: CheckWish) -> _Ground:
        stream = workspaces.find_stream(connection, workspace_id, wish.stream)
        if stream is None:
            raise RefusedError(
                "unknown_stream", say("There is no stream '%(stream)s'.", stream=wish.stream), field="stream"
            )
        domain = _domain(connection, workspace_id, wish.from_address)
        return _Ground(
            whole_text(connection, workspace_id, text),
            SenderFacts(stream="transactional" if stream.kind == "transactional" else "marketing"),
            audit_facts(domain, one_click=stream.one_click),
            sample_urls(
                tracking_base(domain.tracking_host if domain is not None else _SAMPLE_HOST, self._public_port),
                honeypots=self._honeypots and stream.tracks_clicks,
            ),
            domain.name if domain is not None else _SAMPLE_DOMAIN,
            self._clock.now(),
            frozenset(_known_fields(connection, workspace_id)),
        )


def _checked(ground: _Ground, data: Mapping[str, object], facts: MailFacts, contact: PreviewContact) -> TemplateCheck:
    template = parse_template(source_of(ground.whole.text))
    mail = check_mail(template, data, ground.urls, facts)
    message = partial(_message, template, data, ground)
    return TemplateCheck(contact, mail, (), tuple(_unknown(template, ground.known)), message)


def _unknown(template: Template, known: frozenset[str]) -> Iterable[Problem]:
    if not known:
        return  # nobody has been imported yet: every field would be one that no contact has
    errors: dict[str, UnknownFieldError] = {}
    for error in template.unknown_fields({"contact.email", *(f"contact.{name}" for name in known)}):
        errors.setdefault(error.field, error)
    for error in errors.values():
        yield Problem.of(error, "unknown_merge_field", error.part)


def _known_fields(connection: Connection, workspace_id: int) -> set[str]:
    names = {one.name for one in contact_fields.list_fields(connection, workspace_id)}
    return names | contacts.field_names_of_workspace(connection, workspace_id, sample=_NAMES_FROM)


def _domain(connection: Connection, workspace_id: int, from_address: str) -> SenderDomain | None:
    """The domain of the author's address; without one the first that is verified, else the first."""
    if from_address.strip():
        try:
            name = EmailAddress.parse(from_address.strip()).domain.ascii
        except AddressSyntaxError as error:
            raise RefusedError("bad_address", error.message, field="from_address") from error
        return domains.find_domain(connection, workspace_id, name)
    found = domains.list_domains(connection, workspace_id)
    return next((one for one in found if one.state == "verified"), found[0] if found else None)


def _message(template: Template, data: Mapping[str, object], ground: _Ground) -> bytes:
    """The mail as on the wire, but for its signature."""
    urls = ground.urls
    key, values = template.fill(data)
    layout = template.compile(key)
    one_click = ground.sender.stream == "marketing"
    headers = MessageHeaders(
        from_address=EmailAddress.parse(f"preview@{ground.domain_name}"),
        to_address=EmailAddress.parse("reader@example.com"),
        subject=values.subject,
        date=ground.now,
        message_id=f"<preview@{ground.domain_name}>",
        list_unsubscribe=(urls.unsubscribe_url,) if one_click else (),
        one_click=one_click,
    )
    return compose_headers(headers) + layout.content_headers + b"\r\n" + layout.render(values, urls)
