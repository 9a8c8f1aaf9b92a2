"""Templates and their immutable versions, whole messages, and the reference-counted blobs."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, reference, row_id

_WANTS_NOTICE = "notify IS NOT NULL"
_IS_KEPT = "blob_id IS NOT NULL"


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
    """Bytes that came whole (imports, messages), stored once however often they are referred to.

    Large ones lie in pieces; ``content`` is empty then.
    """

    __tablename__ = "blob"
    __table_args__ = (UniqueConstraint("workspace_id", "sha256"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    sha256: str
    size: int = big()
    reference_count: int = big()
    content: bytes
    created_at: int = moment()


class BlobPiece(SQLModel, table=True):
    """A part of a large blob, in the order of ``number`` from 0."""

    __tablename__ = "blob_piece"
    blob_id: int = Field(primary_key=True, foreign_key="blob.id", sa_type=BIG, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    workspace_id: int = reference("workspace.id")
    content: bytes


class Message(SQLModel, table=True):
    """A message that came whole, by API or SMTP. Its ``id`` is that of its first delivery.

    ``source`` is api, smtp or dsn. ``blob_id`` holds the content with its slots (see ``rendering.whole``) and ends
    with the retention. ``tags`` (a list) and ``metadata`` are the client's JSON. ``notify`` is JSON: whom to tell of
    when delivery fails (RFC 3461), until all is settled. ``mail_from`` is where to, as the client said it by SMTP.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("workspace_id", "id"),
        Index("ix_message_header", "workspace_id", "header_message_id"),
        Index("ix_message_notify", "id", sqlite_where=text(_WANTS_NOTICE), postgresql_where=text(_WANTS_NOTICE)),
        # What is past its time is found without a look at what has lost its content already; and a blob that goes is
        # looked for in everything that may refer to it.
        Index("ix_message_content", "created_at", sqlite_where=text(_IS_KEPT), postgresql_where=text(_IS_KEPT)),
        Index("ix_message_blob", "blob_id", sqlite_where=text(_IS_KEPT), postgresql_where=text(_IS_KEPT)),
    )
    id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = reference("workspace.id")
    run_id: int = reference("run.id")
    source: str
    key_id: int | None = Field(default=None, foreign_key="api_key.id", sa_type=BIG)
    blob_id: int | None = Field(default=None, foreign_key="blob.id", sa_type=BIG)
    header_message_id: str
    from_address: str
    subject: str
    size: int = big()
    tags: str = "[]"
    client_metadata: str = "{}"
    mail_from: str = ""
    notify: str | None = None
    created_at: int = moment()


class MessageLink(SQLModel, table=True):
    """A link target of a whole message; tokens name the number and never the target."""

    __tablename__ = "message_link"
    __table_args__ = (UniqueConstraint("workspace_id", "message_id", "number"),)
    workspace_id: int = reference("workspace.id")
    message_id: int = Field(primary_key=True, foreign_key="message.id", sa_type=BIG)
    number: int = Field(primary_key=True)
    url: str


class MessageAttachment(SQLModel, table=True):
    """A blob that a whole message refers to beside its content."""

    __tablename__ = "message_attachment"
    __table_args__ = (
        UniqueConstraint("workspace_id", "message_id", "blob_id"),
        Index("ix_message_attachment_blob", "blob_id"),
    )
    workspace_id: int = reference("workspace.id")
    message_id: int = Field(primary_key=True, foreign_key="message.id", sa_type=BIG)
    blob_id: int = Field(primary_key=True, foreign_key="blob.id", sa_type=BIG)


class IdempotentAnswer(SQLModel, table=True):
    """The answer to a request that sends, stored in one transaction with what it did; kept 24 hours.

    ``request_sha256`` is the request's; ``status`` and ``body`` are the answer's.
    """

    __tablename__ = "idempotent_answer"
    __table_args__ = (
        UniqueConstraint("workspace_id", "key_id", "idempotency_key"),
        Index("ix_idempotent_answer_created_at", "created_at"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    key_id: int = reference("api_key.id")
    idempotency_key: str
    request_sha256: str
    status: int
    body: str
    created_at: int = moment()


class CapturedMessage(SQLModel, table=True):
    """What a test key sent: the signed message that would have gone out."""

    __tablename__ = "captured_message"
    __table_args__ = (UniqueConstraint("workspace_id", "id"), Index("ix_captured_message_blob", "blob_id"))
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    delivery_id: int = Field(sa_type=BIG, index=True)
    mail_from: str
    rcpt_to: str
    blob_id: int = reference("blob.id")
    captured_at: int = moment()
