"""Templates and their immutable versions."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table

_template, _version = table("template"), table("template_version")
_run, _variant = table("run"), table("variant")


@dataclass(frozen=True, slots=True)
class Template:
    """A named template."""

    id: int
    workspace_id: int
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class TemplateText:
    """What a version says; ``body_format`` is mjml or html."""

    body: str
    body_format: str
    subject: str
    preheader: str = ""
    plain_text: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One immutable version of a template."""

    id: int
    template_id: int
    number: int
    body: str
    body_format: str
    subject: str
    preheader: str
    plain_text: str | None
    created_at: int

    @property
    def text(self) -> TemplateText:
        """What it says, without where it stands."""
        return TemplateText(self.body, self.body_format, self.subject, self.preheader, self.plain_text)


def save_template(
    connection: Connection, workspace_id: int, name: str, text: TemplateText, now: Microseconds
) -> TemplateVersion:
    """Add a version to the template of that name, which is made where there is none."""
    found = find_template(connection, workspace_id, name)
    template_id = (
        found.id if found else insert_row(connection, _template, workspace_id=workspace_id, name=name, created_at=now)
    )
    latest = latest_version(connection, template_id)
    if latest is not None and latest.text == text:
        return latest
    number = latest.number + 1 if latest else 1
    values = {field: getattr(text, field) for field in TemplateText.__slots__}
    row = {"template_id": template_id, "number": number, "created_at": now, **values}
    return TemplateVersion(id=insert_row(connection, _version, workspace_id=workspace_id, **row), **row)


def find_template(connection: Connection, workspace_id: int, name: str) -> Template | None:
    """The template of that name."""
    return fetch_one(
        connection, Template, _template, _template.c.workspace_id == workspace_id, _template.c.name == name
    )


def get_template(connection: Connection, workspace_id: int, template_id: int) -> Template | None:
    """The template with that id."""
    return fetch_one(
        connection, Template, _template, _template.c.workspace_id == workspace_id, _template.c.id == template_id
    )


def list_templates(connection: Connection, workspace_id: int) -> list[Template]:
    """All templates by name."""
    statement = select_as(Template, _template).where(_template.c.workspace_id == workspace_id)
    return fetch_all(connection, Template, statement.order_by(_template.c.name))


def latest_version(connection: Connection, template_id: int) -> TemplateVersion | None:
    """The newest version of a template."""
    newest = select(func.max(_version.c.number)).where(_version.c.template_id == template_id).scalar_subquery()
    return fetch_one(
        connection, TemplateVersion, _version, _version.c.template_id == template_id, _version.c.number == newest
    )


def get_version(connection: Connection, version_id: int) -> TemplateVersion | None:
    """The version with that id."""
    return fetch_one(connection, TemplateVersion, _version, _version.c.id == version_id)


def list_versions(connection: Connection, template_id: int) -> list[TemplateVersion]:
    """All versions of a template, the newest first."""
    statement = select_as(TemplateVersion, _version).where(_version.c.template_id == template_id)
    return fetch_all(connection, TemplateVersion, statement.order_by(_version.c.number.desc()))


def find_version(connection: Connection, template_id: int, number: int) -> TemplateVersion | None:
    """The version of that number."""
    return fetch_one(
        connection, TemplateVersion, _version, _version.c.template_id == template_id, _version.c.number == number
    )


def sent_versions(connection: Connection, workspace_id: int, limit: int) -> list[tuple[TemplateVersion, str]]:
    """What the last campaigns were made from, with their subjects: the first variant of each run, newest run first."""
    newest = (
        select(_run.c.id)
        .where(_run.c.workspace_id == workspace_id, _run.c.kind == "campaign", _run.c.is_test.is_(False))
        .order_by(_run.c.id.desc())
        .limit(limit)
    ).subquery()
    statement = (
        select_as(TemplateVersion, _version)
        .add_columns(_variant.c.subject.label("sent_subject"))
        .join(_variant, _variant.c.template_version_id == _version.c.id)
        .join(newest, newest.c.id == _variant.c.run_id)
        .where(_variant.c.number == 0)
        .order_by(newest.c.id.desc())
    )
    return [(TemplateVersion(*row[:-1]), str(row[-1])) for row in connection.execute(statement)]
