"""Templates: checked before they are stored, kept in immutable versions."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailtypes.clock import Clock
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import templates
from postwright.store.database import Database
from postwright.store.templates import Template, TemplateText, TemplateVersion
from rendering.source import BodyFormat, TemplateSource, TemplateSyntaxError
from rendering.template import parse_template

MAX_BODY = 1024 * 1024
_FORMATS: dict[str, BodyFormat] = {"mjml": "mjml", "html": "html"}


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template with its newest version."""

    template: Template
    version: TemplateVersion


class Templates:
    """The template library."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save(self, workspace_id: int, name: str, text: TemplateText) -> StoredTemplate:
        """Add a version to the template of that name; raises ``RefusedError`` with places where it does not compile."""
        if not name.strip() or len(name) > 200:
            raise RefusedError("template_name", "A template has a name of 1 to 200 characters.", field="name")
        if len(text.body) > MAX_BODY:
            raise RefusedError("template_size", f"A template has at most {MAX_BODY:,} characters.", field="body")
        check_text(text)
        now = self._clock.now()
        version = await self._database.write(
            lambda connection: templates.save_template(connection, workspace_id, name.strip(), text, now)
        )
        return await self.get(workspace_id, version.template_id)

    async def get(self, workspace_id: int, template_id: int) -> StoredTemplate:
        """A template with its newest version; raises ``NotFoundError``."""
        template = await self._database.read(
            lambda connection: templates.get_template(connection, workspace_id, template_id)
        )
        if template is None:
            raise NotFoundError("template")
        version = await self._database.read(lambda connection: templates.latest_version(connection, template_id))
        assert version is not None  # a template is made together with its first version
        return StoredTemplate(template, version)

    async def list(self, workspace_id: int) -> Sequence[StoredTemplate]:
        """All templates by name, each with its newest version."""
        found = await self._database.read(lambda connection: templates.list_templates(connection, workspace_id))
        return [await self.get(workspace_id, template.id) for template in found]


def source_of(text: TemplateText, subject: str | None = None) -> TemplateSource:
    """A stored text as the renderer wants it, under its own subject or another."""
    body_format = _FORMATS.get(text.body_format)
    if body_format is None:
        raise RefusedError(
            "template_format", f"'{text.body_format}' is not a format; write mjml or html.", field="body_format"
        )
    return TemplateSource(text.body, body_format, subject or text.subject, text.preheader, text.plain_text)


def check_text(text: TemplateText) -> None:
    """Compile a text; raises ``RefusedError`` with the place and the next step."""
    try:
        parse_template(source_of(text))
    except TemplateSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "template_syntax", error.part)]) from error
