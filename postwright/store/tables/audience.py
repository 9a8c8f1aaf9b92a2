"""Contacts and what is known of them, lists, segments, imports and suppression."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, ROW_ID, big, moment, optional_moment, reference, row_id

_HAS_TRACKING = text("tracking IS NOT NULL")


class Contact(SQLModel, table=True):
    """A person who may get mail. ``fields`` is a JSON object of merge fields; ``domain`` in A-labels.

    ``tracking`` overrides what the list says: off, aggregate, last_open or full. ``last_open_day`` counts days since
    1970-01-01 UTC; it is all that is kept of opens where ``tracking`` is last_open. Who is archived gets no campaigns.
    """

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("workspace_id", "address_key"),
        # Segments go through all contacts in the order of their ids, most of them without a look at the wide rows.
        Index("ix_contact_segment", "workspace_id", "archived_at", "id", "created_at", "domain", "last_open_day"),
        # Who wants less tracking than others: few, and asked for by each segment about opens and clicks.
        Index(
            "ix_contact_tracking",
            "workspace_id",
            "tracking",
            "id",
            sqlite_where=_HAS_TRACKING,
            postgresql_where=_HAS_TRACKING,
        ),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    address: str
    address_key: str
    domain: str
    fields: str
    created_at: int = moment()
    updated_at: int = moment()
    locale: str | None = None
    time_zone: str | None = None
    archived_at: int | None = optional_moment()
    tracking: str | None = None
    last_open_day: int | None = None
    import_id: int | None = Field(default=None, sa_type=BIG)
    import_line: int | None = Field(default=None, sa_type=BIG)


class ContactList(SQLModel, table=True):
    """A list that contacts are on; unsubscribing can be by list. ``tracking``: how its mail is tracked, if it says."""

    __tablename__ = "contact_list"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    created_at: int = moment()
    tracking: str | None = None


class ListMembership(SQLModel, table=True):
    """A contact on a list, with where the membership came from."""

    __tablename__ = "list_membership"
    __table_args__ = (UniqueConstraint("workspace_id", "list_id", "contact_id"),)
    workspace_id: int = reference("workspace.id")
    list_id: int = Field(primary_key=True, foreign_key="contact_list.id", sa_type=BIG)
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=BIG, index=True)
    joined_at: int = moment()
    source: str


class ContactField(SQLModel, table=True):
    """What a merge field holds: ``kind`` is text, number, date, choice, yes_no or rating; ``choices`` a JSON list."""

    __tablename__ = "contact_field"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    kind: str
    choices: str = "[]"
    created_at: int = moment()


class Tag(SQLModel, table=True):
    """A word that contacts are marked with."""

    __tablename__ = "tag"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    created_at: int = moment()


class ContactTag(SQLModel, table=True):
    """A contact that carries a tag."""

    __tablename__ = "contact_tag"
    __table_args__ = (Index("ix_contact_tag_contact_id", "contact_id"), {"sqlite_with_rowid": False})
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    tag_id: int = Field(primary_key=True, foreign_key="tag.id", sa_type=BIG)
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=BIG)
    tagged_at: int = moment()


class Consent(SQLModel, table=True):
    """What somebody agreed to or took back; never changed. ``scope_id``: the list's or the stream's id, 0 for all."""

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_contact_id", "contact_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    contact_id: int = reference("contact.id")
    scope: str
    scope_id: int = big()
    state: str
    source: str
    wording: str
    client_ip: str | None = None
    occurred_at: int = moment()


class ConsentState(SQLModel, table=True):
    """The newest entry of ``consent`` for each contact and scope, so that a segment need not look through all."""

    __tablename__ = "consent_state"
    __table_args__ = (Index("ix_consent_state_contact_id", "contact_id"), {"sqlite_with_rowid": False})
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    scope: str = Field(primary_key=True)
    scope_id: int = Field(primary_key=True, sa_type=BIG)
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=BIG)
    state: str
    occurred_at: int = moment()


class Segment(SQLModel, table=True):
    """A filter over contacts under a name; ``tree`` is JSON (``hygiene/segments``)."""

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    tree: str
    created_at: int = moment()
    updated_at: int = moment()


class ContactActivity(SQLModel, table=True):
    """What a contact got and did, rolled up from events; machines' opens and clicks are not in it.

    A small row: segments look at all of them.
    """

    __tablename__ = "contact_activity"
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=ROW_ID)
    workspace_id: int = reference("workspace.id")
    received: int = 0
    last_received_at: int | None = optional_moment()
    opened: int = 0
    last_opened_at: int | None = optional_moment()
    clicked: int = 0
    last_clicked_at: int | None = optional_moment()
    acted: int = 0
    last_acted_at: int | None = optional_moment()
    received_since_opened: int = 0
    received_since_clicked: int = 0
    opened_in_a_row: int = 0
    soft_bounces: int = 0
    first_soft_bounce_at: int | None = optional_moment()
    last_soft_bounce_at: int | None = optional_moment()


class ContactRecentMail(SQLModel, table=True):
    """The last mails of a contact and what was done with them, as JSON (``hygiene/segments/activity.py``).

    So that a mail counts once, and a verdict that changes can be taken back.
    """

    __tablename__ = "contact_recent_mail"
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=ROW_ID)
    workspace_id: int = reference("workspace.id")
    mails: str


class ContactDay(SQLModel, table=True):
    """What a contact got and did on a day (``day`` counts from 1970-01-01 UTC); forgotten after a while."""

    __tablename__ = "contact_day"
    __table_args__ = ({"sqlite_with_rowid": False},)
    contact_id: int = Field(primary_key=True, foreign_key="contact.id", sa_type=BIG)
    day: int = Field(primary_key=True)
    workspace_id: int = reference("workspace.id")
    received: int = 0
    opened: int = 0
    clicked: int = 0
    acted: int = 0


class ActivityMark(SQLModel, table=True):
    """Up to which event (in the order of ``recorded_at`` and id) a workspace's activity is rolled up."""

    __tablename__ = "activity_mark"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    recorded_at: int = moment()
    event_id: int = big()


class ImportJob(SQLModel, table=True):
    """One import of a file; ``blob_id`` ends with the job.

    ``state`` is storing (the file comes in), draft (nobody has said yet how to read it), waiting, running, finished or
    failed. ``options`` is JSON (``services/import_options.py``); ``fingerprint`` is made of the file and the options,
    so that the same import is not done twice.
    """

    __tablename__ = "import_job"
    __table_args__ = (
        UniqueConstraint("workspace_id", "id"),
        Index("ix_import_job_fingerprint", "workspace_id", "fingerprint"),
    )
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
    flagged: int = big(0)
    options: str = "{}"
    fingerprint: str = ""
    cause: str = ""
    created_at: int = moment()
    finished_at: int | None = optional_moment()


class ImportRefusal(SQLModel, table=True):
    """A row that was not imported as it stood: its line number in the file, what stood there, and why.

    ``outcome`` is refused, changed (a value was left out) or flagged (taken, with a doubt); ``suggestion`` the address
    that was most likely meant.
    """

    __tablename__ = "import_refusal"
    __table_args__ = (UniqueConstraint("workspace_id", "job_id", "row_number"),)
    workspace_id: int = reference("workspace.id")
    job_id: int = Field(primary_key=True, foreign_key="import_job.id", sa_type=BIG)
    row_number: int = Field(primary_key=True, sa_type=BIG)
    value: str
    code: str
    reason: str
    outcome: str = "refused"
    suggestion: str = ""


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
    note: str = Field(default="", sa_column_kwargs={"server_default": ""})
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
