"""What templates become and what is wrong with them, before anybody gets them; tests to oneself."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.representations import (
    LIST,
    MESSAGE,
    TEMPLATE,
    Answer,
    ProblemItem,
    Text,
    Wanted,
    inward,
    inward_field,
    outward,
)
from postwright.preview import PreviewWish, render_png
from postwright.second_opinions import CouldNotAsk, Opinion
from postwright.services.errors import RefusedError
from postwright.services.mail_checks import CheckedMail, unmarked
from postwright.services.preview_contacts import PreviewContact
from postwright.services.proofs import ProofWanted
from postwright.services.template_checks import CheckWish, TemplateCheck
from postwright.services.templates import MAX_BODY
from postwright.store.templates import TemplateText
from rendering.lint import Finding
from rendering.spam_risk import Reason

_PNG = "image/png"


class LookWanted(Wanted):
    """For whom and as whose mail a template is looked at. Without contact and data: an invented reader."""

    contact: Text | None = Field(None, max_length=512, description="The address of a contact.")
    data: dict[str, Any] | None = Field(
        None, description="Merge data in place of a contact's; contact.* below contact."
    )
    from_address: Text = Field(
        "", max_length=512, description="Whose domain's audit counts; empty: the first verified."
    )
    stream: Text = Field("marketing", max_length=100)


class PreviewWanted(LookWanted):
    """A text that is not stored. The last three are for a picture (`Accept: image/png`)."""

    body: Text = Field(max_length=MAX_BODY)
    body_format: Literal["mjml", "html"] = "mjml"
    subject: Text = Field("", max_length=1000)
    preheader: Text = Field("", max_length=1000)
    plain_text: Text | None = Field(None, max_length=MAX_BODY, description="None: written from the HTML.")
    width: int = Field(640, ge=200, le=2000, description="Pixels; 375 is a phone.")
    dark: bool = False
    images: bool = True


class TestWanted(Wanted):
    """A test mail. `to` is somebody of the workspace, or an address at one of its verified sender domains."""

    __test__ = False  # no test of ours, whatever the name says
    to: Text = Field(max_length=512)
    from_address: Text = Field("", max_length=512, description="Empty: test@ the first verified sender domain.")
    from_name: Text = Field("", max_length=200)
    contact: Text | None = Field(None, max_length=512, description="The address of the contact that it is made for.")


class FindingShown(Answer):
    """One finding. `line` and `column` are those of `part` as it was written; `times` counts the like ones."""

    code: str
    severity: str = Field(description="error, warning or advice")
    message: str
    why: str
    next_step: str
    part: str
    line: int | None
    column: int | None
    measured: float | None
    limit: float | None
    unit: str
    times: int


class PlaceShown(Answer):
    """A place in what is sent."""

    part: str
    line: int
    column: int
    excerpt: str


class ReasonShown(Answer):
    """One thing that moved the score by `weight` points; below zero where it speaks for the mail."""

    code: str
    block: str = Field(description="content, authentication or infrastructure")
    weight: float
    sentence: str
    mend: str
    place: PlaceShown | None
    is_calibrated: bool


class ChangesShown(Answer):
    """Against one's last campaigns: `usual` is their median score."""

    compared: int
    usual: float
    difference: float
    new: list[str]
    gone: list[str]


class OpinionShown(Answer):
    """What a filter of the operator's says on its own scale, or (`cause`) why it could not be asked."""

    source: str
    score: float | None
    spam_from: float | None
    is_spam: bool | None
    rules: list[str]
    cause: str | None


class ScoreShown(Answer):
    """The spam risk from 0 to 10: a signal, and no forecast of the inbox. `unknown` counts for nothing."""

    score: float
    band: str = Field(description="low, medium or high")
    blocks: dict[str, float]
    reasons: list[ReasonShown]
    unknown: list[str]
    changes: ChangesShown | None
    second_opinions: list[OpinionShown]


class SizesShown(Answer):
    """Octets as sent; `image_share` is a part of the area (0 to 1), none where an image's size is not known."""

    html: int | None
    message: int | None
    html_limit: int
    image_share: float | None
    words: int
    images: int
    links: int


class RenderShown(Answer):
    """What a contact would get, with links as they were written."""

    subject: str
    preheader: str
    html: str
    text: str
    sizes: SizesShown


class LintShown(Answer):
    """`is_clean` where no error was found. `unknown_fields` are merge fields that no contact has."""

    is_clean: bool
    findings: list[FindingShown]
    unknown_fields: list[ProblemItem]


class PreviewShown(RenderShown):
    """A text looked at from all sides."""

    findings: list[FindingShown]
    unknown_fields: list[ProblemItem]
    risk: ScoreShown


class PreviewContactShown(Answer):
    """A contact that shows what a template does; `kind`: typical, longest-name, emptiest or right-to-left."""

    address: str
    kind: str
    detail: str


class PreviewContactList(Answer):
    """The contacts to look at, none where nobody has been imported."""

    data: list[PreviewContactShown]


class TestShown(Answer):
    """A test that is queued: the id of its message."""

    __test__ = False
    id: str
    to: str


async def render_template(template_id: str, wanted: LookWanted, caller: Reader) -> RenderShown:
    """The newest version as a contact would get it."""
    return _rendered(_mail(await _stored(caller, template_id, wanted)))


async def lint_template(template_id: str, wanted: LookWanted, caller: Reader) -> LintShown:
    """What is wrong with the newest version, with places, reasons and how to mend it."""
    found = await _stored(caller, template_id, wanted)
    findings = _mail(found).findings
    return LintShown(
        is_clean=not found.unknown_fields and all(finding.severity != "error" for finding in findings),
        findings=[_finding(finding) for finding in findings],
        unknown_fields=[ProblemItem.of(problem) for problem in found.unknown_fields],
    )


async def score_template(template_id: str, wanted: LookWanted, caller: Reader) -> ScoreShown:
    """How risky the newest version is, with reasons, and what changed against the last campaigns."""
    return await _score(caller, await _stored(caller, template_id, wanted))


async def preview(wanted: PreviewWanted, caller: Reader, request: Request) -> Any:
    """A text that is not stored: what it becomes, what is wrong, how risky it is; or its picture (`image/png`)."""
    text = TemplateText(wanted.body, wanted.body_format, wanted.subject, wanted.preheader, wanted.plain_text)
    found = await caller.services.templates.checks.check(caller.workspace_id, text, _wish(wanted))
    mail = _mail(found)
    if _PNG in request.headers.get("accept", ""):
        wish = PreviewWish(width=wanted.width, dark=wanted.dark, images=wanted.images)
        return Response(await asyncio.to_thread(render_png, unmarked(mail.html), wish), media_type=_PNG)
    return PreviewShown(
        **dict(_rendered(mail)),
        findings=[_finding(finding) for finding in mail.findings],
        unknown_fields=[ProblemItem.of(problem) for problem in found.unknown_fields],
        risk=await _score(caller, found),
    )


async def list_preview_contacts(
    caller: Reader, list_id: Annotated[str | None, Query(alias="list", max_length=60)] = None
) -> PreviewContactList:
    """Contacts that break templates: the longest name, the emptiest record, one written from right to left."""
    wanted = None if list_id is None else inward_field(LIST, list_id, "list")
    found = await caller.services.templates.checks.contacts.choose(caller.workspace_id, wanted)
    return PreviewContactList(data=[_contact(one) for one in found])


async def send_test(template_id: str, wanted: TestWanted, caller: Sender) -> TestShown:
    """Send the newest version to an own address, by the way that all mail goes; the subject begins with [test]."""
    templates = caller.services.templates
    stored = await templates.get(caller.workspace_id, inward(TEMPLATE, template_id))
    contacts = templates.checks.contacts
    contact = await (
        contacts.by_address(caller.workspace_id, wanted.contact)
        if wanted.contact
        else contacts.by_id(caller.workspace_id, 0)
    )
    proof = ProofWanted(wanted.to, wanted.from_address, wanted.from_name)
    sent = await templates.proofs.send(caller.client, stored.version.text, contact, proof)
    return TestShown(id=outward(MESSAGE, sent.stored_at, sent.accepted[0].delivery_id), to=sent.accepted[0].address)


def add_preview_routes(router: APIRouter) -> None:
    """The routes of previews."""
    one = "/templates/{template_id}"
    router.add_api_route(f"{one}/render", render_template, methods=["POST"])
    router.add_api_route(f"{one}/lint", lint_template, methods=["POST"])
    router.add_api_route(f"{one}/score", score_template, methods=["POST"])
    router.add_api_route(f"{one}/test", send_test, methods=["POST"], status_code=202)
    router.add_api_route(
        "/preview", preview, methods=["POST"], response_model=PreviewShown, responses={200: {"content": {_PNG: {}}}}
    )
    router.add_api_route("/preview-contacts", list_preview_contacts, methods=["GET"])


async def _stored(caller: Caller, template_id: str, wanted: LookWanted) -> TemplateCheck:
    templates = caller.services.templates
    stored = await templates.get(caller.workspace_id, inward(TEMPLATE, template_id))
    return await templates.checks.check(caller.workspace_id, stored.version.text, _wish(wanted))


def _wish(wanted: LookWanted) -> CheckWish:
    return CheckWish(
        contact_address=wanted.contact or "",
        data=wanted.data,
        from_address=wanted.from_address,
        stream=wanted.stream,
    )


def _mail(found: TemplateCheck) -> CheckedMail:
    if found.mail is None:
        raise RefusedError.of(found.problems)
    return found.mail


def _rendered(mail: CheckedMail) -> RenderShown:
    measures = mail.measures
    sizes = SizesShown(
        html=measures.html_octets,
        message=measures.message_octets,
        html_limit=measures.html_limit,
        image_share=None if measures.image_share is None else round(measures.image_share, 4),
        words=measures.words,
        images=measures.images,
        links=measures.links,
    )
    return RenderShown(
        subject=mail.subject, preheader=mail.preheader, html=unmarked(mail.html), text=mail.text, sizes=sizes
    )


async def _score(caller: Caller, found: TemplateCheck) -> ScoreShown:
    mail = _mail(found)
    risk, changes = mail.risk, mail.changes
    opinions = await caller.services.templates.checks.opinions(found)
    return ScoreShown(
        score=risk.score,
        band=risk.band,
        blocks={
            "content": risk.content,
            "authentication": risk.authentication,
            "infrastructure": risk.infrastructure,
        },
        reasons=[_reason(reason) for reason in risk.reasons],
        unknown=list(risk.unknown),
        changes=ChangesShown(
            compared=changes.compared,
            usual=changes.usual,
            difference=changes.difference,
            new=[reason.code for reason in changes.new],
            gone=list(changes.gone),
        )
        if changes is not None
        else None,
        second_opinions=[_opinion(one) for one in opinions],
    )


def _finding(finding: Finding) -> FindingShown:
    return FindingShown(
        code=finding.code,
        severity=finding.severity,
        message=finding.message,
        why=finding.why,
        next_step=finding.next_step,
        part=finding.part,
        line=finding.line,
        column=finding.column,
        measured=finding.measured,
        limit=finding.limit,
        unit=finding.unit,
        times=finding.times,
    )


def _reason(reason: Reason) -> ReasonShown:
    place = reason.place
    return ReasonShown(
        code=reason.code,
        block=reason.block,
        weight=reason.weight,
        sentence=reason.sentence,
        mend=reason.mend,
        place=None if place is None else PlaceShown(**asdict(place)),
        is_calibrated=reason.is_calibrated,
    )


def _opinion(told: Opinion | CouldNotAsk) -> OpinionShown:
    if isinstance(told, CouldNotAsk):
        return OpinionShown(source=told.source, score=None, spam_from=None, is_spam=None, rules=[], cause=told.cause)
    return OpinionShown(
        source=told.source,
        score=told.score,
        spam_from=told.spam_from,
        is_spam=told.is_spam,
        rules=[rule.name for rule in told.rules],
        cause=None,
    )


def _contact(one: PreviewContact) -> PreviewContactShown:
    return PreviewContactShown(address=one.address, kind=str(one.kind or ""), detail=one.detail)
