"""The template library: checked before it is stored, kept in immutable versions."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from postwright.api.callers import Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    TEMPLATE,
    Answer,
    Moment,
    Page,
    Text,
    Wanted,
    inward,
    moment,
    outward,
    page_of,
)
from postwright.services.templates import MAX_BODY, StoredTemplate
from postwright.store.templates import TemplateText
from rendering.starters import starters


class NewTemplate(Wanted):
    """A template, or a new version of the one of that name. Every text may hold Liquid."""

    name: Text = Field(max_length=200)
    body: Text = Field(max_length=MAX_BODY)
    body_format: Literal["mjml", "html"] = "mjml"
    subject: Text = Field(max_length=1000)
    preheader: Text = Field("", max_length=1000, description="The line that inboxes show beside the subject.")
    plain_text: Text | None = Field(None, max_length=MAX_BODY, description="None: written from the HTML.")


class TemplateSummary(Answer):
    """A template and its newest version, without the body."""

    id: str
    name: str
    version: int
    body_format: str
    subject: str
    preheader: str
    created_at: Moment
    version_created_at: Moment


class TemplateShown(TemplateSummary):
    """A template with all of its newest version."""

    body: str
    plain_text: str | None


class TemplateVersionShown(Answer):
    """A version of a template."""

    version: int
    subject: str
    body_format: str
    created_at: Moment


class TemplateVersionList(Answer):
    """Versions, the newest first."""

    data: list[TemplateVersionShown]


class StarterShown(Answer):
    """A template to begin with."""

    key: str
    title: str
    language: str


class StarterList(Answer):
    """All of them."""

    data: list[StarterShown]


class BeginTemplate(Wanted):
    """The name of the new template; empty: the starter's, numbered where that is taken."""

    name: Text = Field("", max_length=200)


async def create_template(wanted: NewTemplate, caller: Sender, response: Response) -> TemplateShown:
    """Store a template, or a version of the one of that name; the same text again makes no new version."""
    text = TemplateText(wanted.body, wanted.body_format, wanted.subject, wanted.preheader, wanted.plain_text)
    stored = await caller.services.templates.save(caller.workspace_id, wanted.name, text)
    shown = _whole(stored)
    response.headers["Location"] = f"/v1/templates/{shown.id}"
    return shown


async def list_templates(caller: Reader, query: PageQuery) -> Page[TemplateSummary]:
    """All templates, in the order in which they were made."""
    (after,) = read_cursor("templates", query.cursor)
    found = list(await caller.services.templates.list(caller.workspace_id))
    rows = page_of(found, lambda item: item.template.id, after, query.limit)
    return make_page("templates", rows, query.limit, _summary, lambda item: (item.template.id,), query.cursor)


async def get_template(template_id: str, caller: Reader) -> TemplateShown:
    """A template with all of its newest version."""
    return _whole(await caller.services.templates.get(caller.workspace_id, inward(TEMPLATE, template_id)))


async def list_template_versions(template_id: str, caller: Reader) -> TemplateVersionList:
    """All versions of a template, the newest first; none of them ever changes."""
    found = await caller.services.templates.versions(caller.workspace_id, inward(TEMPLATE, template_id))
    return TemplateVersionList(
        data=[
            TemplateVersionShown(
                version=one.number, subject=one.subject, body_format=one.body_format, created_at=moment(one.created_at)
            )
            for one in found
        ]
    )


async def list_starters(caller: Reader) -> StarterList:
    """The templates of ours to begin with, each in English and in Hebrew."""
    del caller  # anybody with a key may look
    return StarterList(data=[StarterShown(key=one.key, title=one.title, language=one.language) for one in starters()])


async def begin_template(starter: str, wanted: BeginTemplate, caller: Sender, response: Response) -> TemplateShown:
    """A new template from a starter."""
    shown = _whole(await caller.services.templates.begin_with(caller.workspace_id, starter, wanted.name))
    response.headers["Location"] = f"/v1/templates/{shown.id}"
    return shown


def add_template_routes(router: APIRouter) -> None:
    """The routes of templates."""
    router.add_api_route("/templates", create_template, methods=["POST"], status_code=201)
    router.add_api_route("/templates", list_templates, methods=["GET"])
    router.add_api_route("/templates/{template_id}", get_template, methods=["GET"])
    router.add_api_route("/templates/{template_id}/versions", list_template_versions, methods=["GET"])
    router.add_api_route("/starters", list_starters, methods=["GET"])
    router.add_api_route("/starters/{starter}", begin_template, methods=["POST"], status_code=201)


def _summary(stored: StoredTemplate) -> TemplateSummary:
    template, version = stored.template, stored.version
    return TemplateSummary(
        id=outward(TEMPLATE, template.created_at, template.id),
        name=template.name,
        version=version.number,
        body_format=version.body_format,
        subject=version.subject,
        preheader=version.preheader,
        created_at=moment(template.created_at),
        version_created_at=moment(version.created_at),
    )


def _whole(stored: StoredTemplate) -> TemplateShown:
    version = stored.version
    return TemplateShown(**_summary(stored).model_dump(), body=version.body, plain_text=version.plain_text)
