"""Contacts, lists, imports and suppression."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, optional_moment, reference, row_id


class Contact(SQLModel, table=True):
    """A person who may get mail. ``fields`` is a JSON object of merge fields; ``domain`` in A-labels."""

    __tablename__ = "contact"
    __table_args__ = (UniqueConstraint("workspace_id", "address_key"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    address: str
    address_key: str
    domain: str
    fields: str
    created_at: int = moment()
    updated_at: int = moment()


class ContactList(SQLModel, table=True):
    """A list that contacts are on; unsubscribing can be by list."""

    __tablename__ = "contact_list"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    created_at: int = moment()


class ListMembership(SQLModel, table=True):
    """A contact on a list, with where the membership came from."""

    __tablename__ = "list_membership"
    __table_args__ = (UniqueConstraint("workspace_id", "list_id", "contact_id"),)
    workspace_id: int = reference("workspace.id")
    list_id: int = Field(primary_key=True, foreign_key="contact_list.id", sa_type=BIG)
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=BIG, index=True)
    joined_at: int = moment()
    source: str


class ImportJob(SQLModel, table=True):
    """One import of a file: ``state`` is waiting, running, finished or failed; ``blob_id`` ends with the job."""

    __tablename__ = "import_job"
    __table_args__ = (UniqueConstraint("workspace_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    list_id: int = reference("contact_list.id")
    blob_id: int | None = Field(default=None, foreign_key="blob.id", sa_type=BIG)
    file_name: str
    state: str
    rows_read: int = big(0)
    rows_total: int = big(0)
    created: int = big(0)
    updated: int = big(0)
    refused: int = big(0)
    cause: str = ""
    created_at: int = moment()
    finished_at: int | None = optional_moment()


class ImportRefusal(SQLModel, table=True):
    """A row that was not imported: its line number in the file, what stood there, and why not."""

    __tablename__ = "import_refusal"
    __table_args__ = (UniqueConstraint("workspace_id", "job_id", "row_number"),)
    workspace_id: int = reference("workspace.id")
    job_id: int = Field(primary_key=True, foreign_key="import_job.id", sa_type=BIG)
    row_number: int = Field(primary_key=True, sa_type=BIG)
    value: str
    code: str
    reason: str


class Suppression(SQLModel, table=True):
    """An address that may not be written to within ``scope``: all, stream or list (``scope_id`` 0 for all)."""

    __tablename__ = "suppression"
    __table_args__ = (UniqueConstraint("workspace_id", "address_key", "scope", "scope_id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    address: str
    address_key: str
    scope: str
    scope_id: int = big()
    reason: str
    source_event_id: int | None = Field(default=None, sa_type=BIG)
    created_at: int = moment()
    expires_at: int | None = optional_moment()


class ErasedAddress(SQLModel, table=True):
    """Somebody who asked to be forgotten and stays suppressed: a keyed hash, whose key is kept elsewhere."""

    __tablename__ = "erased_address"
    __table_args__ = (UniqueConstraint("workspace_id", "hash_key_id", "address_hash"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    hash_key_id: str
    address_hash: bytes
    created_at: int = moment()
