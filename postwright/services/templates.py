"""Templates: checked before they are stored, kept in immutable versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import Clock
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.proofs import Proofs
from postwright.services.template_checks import TemplateChecks
from postwright.services.template_parts import FROZEN_MARK, whole_text
from postwright.services.template_texts import MAX_BODY, check_text, source_of
from postwright.store import templates
from postwright.store.database import Database
from postwright.store.templates import Template, TemplateText, TemplateVersion
from rendering.source import TemplateSyntaxError
from rendering.starters import Starter, starters
from rendering.template import parse_template

__all__ = ["MAX_BODY", "StoredTemplate", "Templates", "check_text", "source_of"]


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template with one of its versions, the newest where nothing else is said."""

    template: Template
    version: TemplateVersion


class Templates:
    """The template library. ``checks`` looks at templates, ``proofs``, where there is one, sends them for a look."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        checks: TemplateChecks | None = None,
        proofs: Proofs | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self.checks = checks or TemplateChecks(database, clock)
        self._proofs = proofs

    @property
    def proofs(self) -> Proofs:
        """Sends tests; raises ``RefusedError`` in a process that sends nothing."""
        if self._proofs is None:
            raise RefusedError("no_test_sends", say("Tests cannot be sent from here."))
        return self._proofs

    async def save(self, workspace_id: int, name: str, text: TemplateText) -> StoredTemplate:
        """Add a version to the template of that name; raises ``RefusedError`` with places where it does not compile."""
        name = name.strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise RefusedError("template_name", say("A template has a name of 1 to 200 characters."), field="name")
        if len(text.body) > MAX_BODY:
            raise RefusedError(
                "template_size",
                say("A template has at most %(max_body)s characters.", max_body=f"{MAX_BODY:,}"),
                field="body",
            )
        await self._database.read(partial(_compile, workspace_id=workspace_id, text=text))
        now = self._clock.now()
        version = await self._database.write(
            lambda connection: templates.save_template(connection, workspace_id, name, text, now)
        )
        return await self.get(workspace_id, version.template_id)

    async def get(self, workspace_id: int, template_id: int) -> StoredTemplate:
        """A template with its newest version; raises ``NotFoundError``."""
        template = await self._template(workspace_id, template_id)
        version = await self._database.read(lambda connection: templates.latest_version(connection, template_id))
        assert version is not None  # a template is made together with its first version
        return StoredTemplate(template, version)

    async def version(self, workspace_id: int, template_id: int, number: int) -> StoredTemplate:
        """A template with the version of that number; raises ``NotFoundError``."""
        template = await self._template(workspace_id, template_id)
        version = await self._database.read(partial(templates.find_version, template_id=template_id, number=number))
        if version is None:
            raise NotFoundError("version of the template")
        return StoredTemplate(template, version)

    async def versions(self, workspace_id: int, template_id: int) -> Sequence[TemplateVersion]:
        """All versions, the newest first; raises ``NotFoundError``."""
        await self._template(workspace_id, template_id)
        return await self._database.read(partial(templates.list_versions, template_id=template_id))

    async def restore(self, workspace_id: int, template_id: int, number: int) -> StoredTemplate:
        """Make an old version the newest by storing its text again: nothing that was stored is changed."""
        old = await self.version(workspace_id, template_id, number)
        return await self.save(workspace_id, old.template.name, old.version.text)

    async def list(self, workspace_id: int) -> Sequence[StoredTemplate]:
        """All templates by name, each with its newest version."""
        found = await self._database.read(lambda connection: templates.list_templates(connection, workspace_id))
        named = [template for template in found if not template.name.startswith(FROZEN_MARK)]
        return [await self.get(workspace_id, template.id) for template in named]

    async def begin_with(self, workspace_id: int, key: str, name: str = "") -> StoredTemplate:
        """A new template from the starter ``key``; without a name it gets the starter's, numbered where that is taken.

        Raises ``RefusedError`` where there is no such starter or the name is taken.
        """
        starter = find_starter(key)
        taken = {stored.template.name for stored in await self.list(workspace_id)}
        if name.strip() in taken:
            raise RefusedError(
                "name_taken", say("There is a template '%(strip)s' already.", strip=name.strip()), field="name"
            )
        wanted = name.strip() or _free_name(starter.title, taken)
        source = starter.source
        text = TemplateText(source.body, source.body_format, source.subject, source.preheader, source.plain_text)
        return await self.save(workspace_id, wanted, text)

    async def _template(self, workspace_id: int, template_id: int) -> Template:
        template = await self._database.read(
            lambda connection: templates.get_template(connection, workspace_id, template_id)
        )
        if template is None or template.name.startswith(FROZEN_MARK):
            raise NotFoundError("template")
        return template


def find_starter(key: str) -> Starter:
    """The starter of that key; raises ``RefusedError`` naming those that there are."""
    found = {starter.key: starter for starter in starters()}
    if key not in found:
        known = ", ".join(found)
        raise RefusedError(
            "unknown_starter",
            say("There is no starter '%(key)s'.", key=key[:100]),
            field="starter",
            next_step=say("Take one of: %(known)s.", known=known),
        )
    return found[key]


def _compile(connection: Connection, workspace_id: int, text: TemplateText) -> None:
    """With what it includes: a part that is missing is told here, and not when a campaign is sent."""
    try:
        whole = whole_text(connection, workspace_id, text)
        parse_template(source_of(whole.text))
    except TemplateSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "template_syntax", error.part)]) from error


def _free_name(title: str, taken: set[str]) -> str:
    numbered = (f"{title} {number}" for number in range(2, len(taken) + 3))
    return title if title not in taken else next(name for name in numbered if name not in taken)
