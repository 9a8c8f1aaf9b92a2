"""Who changed what."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import moment, reference, row_id


class AuditEntry(SQLModel, table=True):
    """A request that changed something, or tried to; no content, so no secrets.

    ``way`` is ``web``, ``api`` or ``cli``.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_workspace", "workspace_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    at: int = moment()
    who: str = Field()
    way: str = Field()
    action: str = Field()
    target: str = Field()
    status: int = Field()
    origin: str = Field()
