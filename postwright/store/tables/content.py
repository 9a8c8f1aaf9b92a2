"""Templates and their immutable versions, whole messages, and the reference-counted blobs."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, reference, row_id


class Template(SQLModel, table=True):
    """A named template; its text lives in the versions."""

    __tablename__ = "template"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    created_at: int = moment()


class TemplateVersion(SQLModel, table=True):
    """One immutable text of a template; ``body_format`` is mjml or html."""

    __tablename__ = "template_version"
    __table_args__ = (UniqueConstraint("workspace_id", "template_id", "number"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    template_id: int = reference("template.id", index=True)
    number: int
    body: str
    body_format: str
    subject: str
    preheader: str = ""
    plain_text: str | None = None
    created_at: int = moment()


class Blob(SQLModel, table=True):
    """Bytes that came whole (imports, messages), stored once however often they are referred to."""

    __tablename__ = "blob"
    __table_args__ = (UniqueConstraint("workspace_id", "sha256"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    sha256: str
    size: int = big()
    reference_count: int = big()
    content: bytes
    created_at: int = moment()


class Message(SQLModel, table=True):
    """A message that came whole, by API or SMTP: accepted once for each idempotency key."""

    __tablename__ = "message"
    __table_args__ = (UniqueConstraint("workspace_id", "idempotency_key"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    stream_id: int = reference("stream.id")
    idempotency_key: str | None = None
    blob_id: int | None = Field(default=None, foreign_key="blob.id", sa_type=BIG)
    created_at: int = moment()
