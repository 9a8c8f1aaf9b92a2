"""From what an API client wants sent to a message that can be stored: checked, composed, with its ids drawn."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from mta.message_id import make_message_id
from postwright.services.accounts import Client
from postwright.services.composition import FeedbackKeys
from postwright.services.errors import Problem, RefusedError
from postwright.services.sending_places import SenderPlace, SendingPlaces
from postwright.services.submissions import PreparedMessage
from postwright.services.template_parts import whole_text
from postwright.services.template_texts import source_of
from postwright.store import templates
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.messages import NewMessage, NewRecipient
from rendering.template import Layouts, parse_template
from rendering.whole import AttachmentRef, Mailbox, TrackingWish, WholeDraft, compose_whole, merged

MOST_RECIPIENTS = 100
"""How many recipients one message may have; more is what bulks are for."""
_KEPT_TEMPLATES = 64


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A stored template with the data of one message."""

    template_id: int
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class MessageWanted:
    """A message as a client hands it over. Without ``subject`` the template's own is taken.

    Content is ``html`` and/or ``text``, or a template. Recipients are told by position: To, then Cc, then Bcc.
    ``opens`` and ``clicks`` are ``None`` where the stream decides. ``headers`` are further fields.
    """

    author: EmailAddress
    author_name: str
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    template: TemplateUse | None = None
    attachments: tuple[AttachmentRef, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] | None = None
    stream: str = "transactional"
    send_at: Microseconds | None = None
    opens: bool | None = None
    clicks: bool | None = None

    @property
    def recipients(self) -> tuple[EmailAddress, ...]:
        """Everybody who gets it, each address once."""
        boxes = (*self.to, *self.cc, *self.bcc)
        return tuple({box.address.key: box.address for box in boxes}.values())


class MessageIntake:
    """Prepares messages of API clients."""

    def __init__(self, database: Database, clock: Clock, places: SendingPlaces, feedback_keys: FeedbackKeys) -> None:
        self._database = database
        self._clock = clock
        self._places = places
        self._feedback_keys = feedback_keys
        self._templates: dict[int, Layouts] = {}

    async def prepare(self, client: Client, wanted: MessageWanted) -> PreparedMessage:
        """Check and compose a message; raises ``RefusedError`` or ``InputSyntaxError`` where it cannot be sent."""
        recipients = wanted.recipients
        _check_recipients(recipients)
        place = await self._places.sender(client, wanted.author, wanted.stream)
        starts_at = self._places.moment(wanted.send_at)
        run = await self._places.standing_run(place, starts_at, is_test=client.terms.is_test)
        ids = await self._places.delivery_ids(run, len(recipients))
        draft = await self._draft(client, wanted, run, ids[0])
        tracking = TrackingWish(
            opens=place.stream.tracks_opens if wanted.opens is None else wanted.opens,
            clicks=place.stream.tracks_clicks if wanted.clicks is None else wanted.clicks,
        )
        # In a thread, since hostile HTML may take seconds.
        content = await asyncio.to_thread(compose_whole, draft, tracking)
        new = NewMessage(
            id=ids[0],
            workspace_id=client.workspace_id,
            run_id=run.id,
            source="api",
            key_id=client.key_id,
            content=content.octets,
            header_message_id=draft.message_id,
            from_address=wanted.author.text,
            subject=draft.subject,
            tags=json.dumps(wanted.tags, ensure_ascii=False),
            client_metadata=json.dumps(wanted.metadata or {}, ensure_ascii=False),
            mail_from="",
            notify=None,
            recipients=new_recipients(ids, recipients),
            links=content.links,
            attachments=tuple(dict.fromkeys(item.blob_id for item in wanted.attachments)),
        )
        return PreparedMessage(new, place.stream.id, await self._places.placement(run, place.stream))

    async def _draft(self, client: Client, wanted: MessageWanted, run: Run, first_id: int) -> WholeDraft:
        subject, html, text = wanted.subject, wanted.html, wanted.text
        if wanted.template is not None:
            layouts = await self.layouts(client.workspace_id, wanted.template.template_id)
            data = _template_data(wanted.template.data, wanted.recipients[0])
            content = await asyncio.to_thread(merged, layouts, data)
            subject = wanted.subject if wanted.subject is not None else content.subject
            html, text = content.html, content.text
        place = await self._places.sender(client, wanted.author, wanted.stream)
        return WholeDraft(
            from_address=wanted.author,
            from_name=wanted.author_name,
            to=wanted.to,
            cc=wanted.cc,
            reply_to=wanted.reply_to,
            subject=subject or "",
            date=self._clock.now(),
            message_id=self.message_id(first_id, place, run),
            html=html,
            text=text,
            attachments=wanted.attachments,
            extra=wanted.headers,
        )

    def message_id(self, delivery_id: int, place: SenderPlace, run: Run) -> str:
        """The Message-ID that a message gets which brings none: it tells its first delivery."""
        key = self._feedback_keys[run.feedback_key_id]
        return make_message_id(delivery_id, DomainName(place.domain.name), key)

    async def layouts(self, workspace_id: int, template_id: int) -> Layouts:
        """The newest version of a template, compiled; raises ``RefusedError`` where there is no such template."""
        found = await self._database.read(
            partial(templates.get_template, workspace_id=workspace_id, template_id=template_id)
        )
        version = await self._database.read(partial(templates.latest_version, template_id=template_id))
        if found is None or version is None:
            raise RefusedError("unknown_template", say("There is no such template."), field="template")
        whole = await self._database.read(partial(whole_text, workspace_id=workspace_id, text=version.text))
        kept = self._templates.get(version.id)
        if kept is None or kept.template.source.body != whole.text.body:  # a part has a newer version
            kept = Layouts(await asyncio.to_thread(parse_template, source_of(whole.text)))
            if len(self._templates) >= _KEPT_TEMPLATES:
                self._templates.clear()
            self._templates[version.id] = kept
        return kept


def new_recipients(ids: Sequence[int], recipients: Sequence[EmailAddress]) -> tuple[NewRecipient, ...]:
    """Recipients with the ids of their deliveries."""
    return tuple(
        NewRecipient(delivery_id, address.text, address.key, address.domain.ascii)
        for delivery_id, address in zip(ids, recipients, strict=True)
    )


def problem_of(error: RefusedError | InputSyntaxError, field: str = "") -> Problem:
    """The first thing that an error names, for answers that go on with the other messages."""
    if isinstance(error, RefusedError):
        return error.problems[0]
    return Problem.of(error, "bad_content", str(getattr(error, "field", "") or getattr(error, "header", "") or field))


def _check_recipients(recipients: Sequence[EmailAddress]) -> None:
    if not recipients:
        raise RefusedError("no_recipient", say("There is nobody to send to."), field="to")
    if len(recipients) > MOST_RECIPIENTS:
        raise RefusedError(
            "too_many_recipients",
            say("A message may have %(most_recipients)s recipients at most.", most_recipients=MOST_RECIPIENTS),
            field="to",
            next_step=say("Send a bulk, where each recipient gets a message of its own."),
        )
    for address in recipients:
        if address.needs_smtputf8:
            raise RefusedError(
                "smtputf8_needed",
                say(
                    "The part before the @ of %(address)s needs SMTPUTF8 (RFC 6531), which is not offered.",
                    address=address,
                ),
                field="to",
                next_step=say("Use an address in ASCII."),
            )


def _template_data(data: Mapping[str, object], recipient: EmailAddress) -> dict[str, object]:
    """The data of a template: under ``contact``, as in campaigns, and by its own names."""
    return {**data, "contact": {**data, "email": recipient.text}}
