"""The body of a message as API clients write it, and what of it can be sent."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import from_datetime
from mailtypes.errors import InputSyntaxError
from postwright.api.addresses import Address, AddressWanted, as_given, read_mailbox, required_mailbox
from postwright.api.representations import TEMPLATE, RefusedRecipient, Text, Wanted, inward_field
from postwright.services.errors import Problem, RefusedError
from postwright.services.message_intake import MOST_RECIPIENTS, MessageWanted, TemplateUse
from rendering.mjml_engine import MjmlError, mjml_to_html
from rendering.whole import Mailbox

_MAX_CONTENT = 1_000_000
_MAX_ATTACHMENTS = 200
MOST_MESSAGES = 500
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z")


def _moment(given: object) -> object:
    """RFC 3339 alone: numbers could be seconds or milliseconds, and times without a zone are somebody's guess."""
    if not isinstance(given, str):
        return given
    if not _RFC_3339.match(given):
        raise ValueError("a time is written as in RFC 3339, with its zone: 2026-03-02T09:00:00Z")
    return datetime.fromisoformat(given.upper())


When = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time", "title": "RFC 3339"})
]
Tag = Annotated[Text, Field(min_length=1, max_length=100)]
Scalar = Text | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None


class AttachmentWanted(Wanted):
    """A file of a message; its octets are in `content`, or in the part of the form that `part` names."""

    name: Text = Field(max_length=255)
    type: Text = Field("application/octet-stream", max_length=200, description="The media type.")
    content: str | None = Field(None, description="The octets in base64.", json_schema_extra={"format": "byte"})
    part: Text | None = Field(None, max_length=200, description="The part of the multipart/form-data that has it.")
    content_id: Text | None = Field(
        None, max_length=200, description="For images of the HTML: what it calls them behind `cid:`."
    )

    @model_validator(mode="after")
    def _comes_once(self) -> "AttachmentWanted":
        if (self.content is None) == (self.part is None):
            raise ValueError("an attachment has either content or part")
        return self


class TrackingWanted(Wanted):
    """What is tracked; what is left out is as the stream has it."""

    opens: bool | None = None
    clicks: bool | None = None


class MessageBody(Wanted):
    """One message to up to 100 recipients. Its content is `html` and/or `text`, `mjml`, or a `template`."""

    sender: Address = Field(alias="from")
    to: list[Address] = Field([], max_length=MOST_RECIPIENTS)
    cc: list[Address] = Field([], max_length=MOST_RECIPIENTS)
    bcc: list[Address] = Field([], max_length=MOST_RECIPIENTS)
    reply_to: list[Address] = Field([], max_length=10)
    subject: Text | None = Field(None, max_length=1000, description="Left out: the template's own.")
    html: Text | None = Field(None, max_length=_MAX_CONTENT)
    text: Text | None = Field(None, max_length=_MAX_CONTENT)
    mjml: Text | None = Field(None, max_length=_MAX_CONTENT, description="Rendered to HTML when it is accepted.")
    template: Text | None = Field(None, max_length=60, description="The id of a stored template.")
    data: dict[str, JsonValue] = Field({}, description="Merge fields of the template.")
    attachments: list[AttachmentWanted] = Field([], max_length=_MAX_ATTACHMENTS)
    headers: dict[str, Text] = Field({}, max_length=50, description="Further header fields.")
    tags: list[Tag] = Field([], max_length=20)
    metadata: dict[str, Scalar] = Field({}, max_length=50, description="Comes back with the message and its events.")
    stream: Text = Field("transactional", max_length=100)
    send_at: When | None = Field(None, description="RFC 3339, up to 30 days ahead; now if left out.")
    tracking: TrackingWanted = TrackingWanted()

    @model_validator(mode="after")
    def _has_content(self) -> "MessageBody":
        given = {name for name in ("html", "text", "mjml", "template") if getattr(self, name) is not None}
        if not given:
            raise ValueError("a message needs html, text, mjml or a template")
        if "template" in given and len(given) > 1:
            raise ValueError("a message with a template brings no html, text or mjml of its own")
        if {"html", "mjml"} <= given:
            raise ValueError("give html or mjml, not both")
        if self.data and "template" not in given:
            raise ValueError("data are for a template; there is none")
        if self.template is None and self.subject is None:
            raise ValueError("a message without a template needs a subject")
        return self


class BatchWanted(Wanted):
    """Messages as for `POST /v1/messages`; attachments only as base64."""

    messages: list[JsonValue] = Field(min_length=1, max_length=MOST_MESSAGES)  # each is checked for itself


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient with its place in the request."""

    index: int
    field: str
    address: EmailAddress


@dataclass(slots=True)
class ReadMessage:
    """A message as it can be sent, who gets it by address key, and who does not. Attachments come later."""

    wanted: MessageWanted
    people: dict[str, Person]
    refused: list[RefusedRecipient] = field(default_factory=list)


@dataclass(slots=True)
class _Sorted:
    """Recipients on their way to ``ReadMessage``."""

    boxes: dict[str, list[Mailbox]] = field(default_factory=lambda: {"to": [], "cc": [], "bcc": []})
    people: dict[str, Person] = field(default_factory=dict)
    refused: list[RefusedRecipient] = field(default_factory=list)


def read_message(body: MessageBody) -> ReadMessage:
    """Check the fields of a message; raises ``RefusedError`` for what makes all of it impossible.

    MJML is rendered here, which takes a while for long texts: not on an event loop.
    """
    author = required_mailbox(body.sender, "from")
    reply_to = tuple(required_mailbox(given, f"reply_to[{n}]") for n, given in enumerate(body.reply_to))
    sorted_out = _sort_recipients(body)
    template = None
    if body.template is not None:
        template = TemplateUse(inward_field(TEMPLATE, body.template, "template"), body.data)
    wanted = MessageWanted(
        author=author.address,
        author_name=author.name,
        to=tuple(sorted_out.boxes["to"]),
        cc=tuple(sorted_out.boxes["cc"]),
        bcc=tuple(sorted_out.boxes["bcc"]),
        reply_to=reply_to,
        subject=body.subject,
        html=body.html if body.mjml is None else _rendered(body.mjml),
        text=body.text,
        template=template,
        headers=tuple(body.headers.items()),
        tags=tuple(body.tags),
        metadata=body.metadata,
        stream=body.stream,
        send_at=None if body.send_at is None else from_datetime(body.send_at),
        opens=body.tracking.opens,
        clicks=body.tracking.clicks,
    )
    return ReadMessage(wanted, sorted_out.people, sorted_out.refused)


def with_attachments(read: ReadMessage, attachments: Any) -> MessageWanted:
    """The message with the attachments that are stored by now."""
    return replace(read.wanted, attachments=tuple(attachments))


def _places(body: MessageBody) -> Iterator[tuple[str, str, str | AddressWanted]]:
    for name in ("to", "cc", "bcc"):
        for number, given in enumerate(getattr(body, name)):
            yield name, f"{name}[{number}]", given


def _sort_recipients(body: MessageBody) -> _Sorted:
    found = _Sorted()
    for index, (name, place, given) in enumerate(_places(body)):
        try:
            box = read_mailbox(given)
        except AddressSyntaxError as error:
            found.refused.append(refused_recipient(index, as_given(given), Problem.of(error, "invalid", place)))
            continue
        problem = _problem_of(box.address, found.people, place)
        if problem is not None:
            found.refused.append(refused_recipient(index, box.address.text, problem))
            continue
        found.boxes[name].append(box)
        found.people[box.address.key] = Person(index, place, box.address)
    return found


def _problem_of(address: EmailAddress, people: Mapping[str, Person], place: str) -> Problem | None:
    before = people.get(address.key)
    if before is not None:
        return Problem("duplicate", f"The same mailbox is {before.field} already.", place)
    if address.needs_smtputf8:
        sentence = "The part before the @ needs SMTPUTF8 (RFC 6531), which is not offered."
        return Problem("smtputf8_needed", sentence, place, next_step="Use an address in ASCII.")
    return None


def refused_recipient(index: int, address: str, problem: Problem, key: str | None = None) -> RefusedRecipient:
    """A refused recipient as it is shown."""
    return RefusedRecipient(
        index=index,
        address=address,
        code=problem.code,
        reason=problem.sentence,
        field=problem.field or None,
        key=key,
        next_step=problem.next_step or None,
    )


def _rendered(mjml: str) -> str:
    try:
        return mjml_to_html(mjml)
    except MjmlError as error:
        told = InputSyntaxError(error.message, source=mjml, span=error.span, next_step=error.next_step)
        raise RefusedError.of([Problem.of(told, "bad_mjml", "mjml")]) from error
