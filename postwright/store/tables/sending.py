"""Campaigns, their runs, and the deliveries."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, ROW_ID, big, moment, optional_moment, reference, row_id


def _partial_index(name: str, condition: str, *columns: str) -> Index:
    """An index over the few rows that are on their way, however many have arrived."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


class Campaign(SQLModel, table=True):
    """A mail to many; ``state``: draft, scheduled, sending, paused, finished, cancelled.

    ``audience`` is a segment tree (JSON); ``None``: everybody on the list. Without a list, what unsubscribes from it is
    the whole stream. ``plan`` (JSON) says when it goes out, ``frequency_cap`` (JSON) how much anybody may get,
    ``experiment`` (JSON) what is tested; ``longest`` how long sending may take, in microseconds. ``other_senders``
    (JSON) are those who send it beside ``from_address``.
    """

    __tablename__ = "campaign"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    stream_id: int = reference("stream.id")
    list_id: int | None = Field(default=None, foreign_key="contact_list.id", sa_type=BIG)
    template_id: int = reference("template.id")
    domain_id: int = reference("sender_domain.id")
    from_address: str
    from_name: str
    reply_to: str | None = None
    subject: str
    state: str
    created_at: int = moment()
    audience: str | None = None
    plan: str = "{}"
    frequency_cap: str | None = None
    experiment: str | None = None
    longest: int | None = Field(default=None, sa_type=BIG)
    starts_at: int | None = optional_moment()
    archived_at: int | None = optional_moment()
    blocked_by: str = ""
    other_senders: str = Field(default="[]", sa_column_kwargs={"server_default": "[]"})


class Run(SQLModel, table=True):
    """One execution of a campaign, a bulk of an API client, or a day's single messages, with everything frozen.

    ``kind``: campaign, bulk or messages. ``state``: preparing (recipients are being written), collecting (a bulk that
    is not committed yet), scheduled (until ``starts_at``), sending, paused, finished, cancelled. ``last_contact_id``
    is how far the preparation has come; ``recipients`` is the highest number given to a delivery.
    ``standing_key`` names the run that single messages of one sender, stream and day join until ``open_until``.
    What ``is_test`` goes to the test mailbox. ``tags`` is a JSON list. ``audience``, ``plan`` and ``frequency_cap`` are
    the campaign's, frozen; ``expiry`` (microseconds) counts for each recipient from the release, where it is set.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("workspace_id", "campaign_id", "number"),
        UniqueConstraint("workspace_id", "standing_key", name="uq_run_standing_key"),
        Index("ix_run_state", "state"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    kind: str = "campaign"
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", sa_type=BIG)
    number: int
    state: str
    stream_id: int = reference("stream.id")
    list_id: int | None = Field(default=None, foreign_key="contact_list.id", sa_type=BIG)
    domain_id: int = reference("sender_domain.id")
    signing_domain: str
    return_path_host: str
    tracking_host: str
    feedback_key_id: int = 0
    from_address: str
    from_name: str
    reply_to: str | None = None
    last_contact_id: int = big(0)
    recipients: int = big(0)
    duplicates: int = big(0)
    expires_at: int = moment()
    created_at: int = moment()
    finished_at: int | None = optional_moment()
    standing_key: str | None = None
    starts_at: int | None = optional_moment()
    open_until: int | None = optional_moment()
    is_test: bool = False
    tags: str = "[]"
    audience: str | None = None
    plan: str = "{}"
    frequency_cap: str | None = None
    expiry: int | None = Field(default=None, sa_type=BIG)
    other_senders: str = Field(default="[]", sa_column_kwargs={"server_default": "[]"})


class Experiment(SQLModel, table=True):
    """The test that a run makes; ``state``: drawing, assigning, testing, asking, releasing, finished.

    ``terms`` (JSON) are frozen with the run: seed, metric, shares, what happens then. ``cut`` (JSON) is where the draw
    ends; ``reached`` the last delivery that was assigned or released. ``winner`` is the variant's number, ``verdict``
    (JSON) what it was decided by, ``decided_by`` the rule, the deadline or a person.
    """

    __tablename__ = "experiment"
    __table_args__ = (UniqueConstraint("workspace_id", "run_id"), Index("ix_experiment_state", "state"))
    run_id: int = Field(primary_key=True, foreign_key="run.id", sa_type=ROW_ID)
    workspace_id: int = reference("workspace.id")
    state: str
    terms: str
    cut: str = "[]"
    reached: int = big(0)
    started_at: int | None = optional_moment()
    deadline: int | None = optional_moment()
    looked_at: int | None = optional_moment()
    winner: int | None = None
    verdict: str = "{}"
    decided_by: str = ""
    decided_at: int | None = optional_moment()


class Variant(SQLModel, table=True):
    """What one part of a run's recipients gets: a frozen template version, subject and sender name, and its share."""

    __tablename__ = "variant"
    __table_args__ = (UniqueConstraint("workspace_id", "run_id", "number"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    run_id: int = reference("run.id", index=True)
    number: int
    template_version_id: int = reference("template_version.id")
    subject: str
    share: float = 1.0
    name: str = ""
    from_name: str | None = None
    preheader: str | None = None


class RunLink(SQLModel, table=True):
    """A link target of a run, frozen at its start; tokens name the number and never the target."""

    __tablename__ = "run_link"
    __table_args__ = (UniqueConstraint("workspace_id", "run_id", "variant", "number"),)
    workspace_id: int = reference("workspace.id")
    run_id: int = Field(primary_key=True, foreign_key="run.id", sa_type=BIG)
    variant: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    url: str


class Delivery(SQLModel, table=True):
    """One recipient of a run; ``state`` as in ``mta.delivery``. Partitioned by run on PostgreSQL.

    ``id`` is the run's id and the recipient's number in one (see ``postwright.store.public_ids.delivery_id``),
    so that whoever holds an id knows the partition. ``message_id`` is 0 where the run's template makes the message.
    ``record_key`` is the API client's own name for a recipient of a bulk.
    ``variant`` below 0: not decided yet. ``priority``: the highest is released first; below 0 is not released.
    ``merge_data`` is frozen JSON. ``lease_until`` is database time. What is due first goes first: transactional mail
    is due from the beginning of time. ``egress`` is the place that it leaves from, or last left from. Where a warm-up
    counts it, it may leave from there alone and only until ``granted_until``; of who is held, below zero, it tells of a
    grant that a provider kept them from using (``store.warm_up_held_back``). ``sender`` is the number of whoever it is
    from: 0 for the run's own, then ``Run.other_senders`` in their order.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("workspace_id", "run_id", "message_id", "address_key"),
        _partial_index("ix_delivery_due", "state IN ('ready', 'deferred')", "destination_id", "next_attempt_at"),
        _partial_index("ix_delivery_leased", "state IN ('leased', 'transmitting')", "lease_until"),
        _partial_index("ix_delivery_ambiguous", "state = 'ambiguous'", "next_attempt_at"),
        _partial_index(
            "ix_delivery_granted",
            "granted_until IS NOT NULL AND state IN ('ready', 'deferred')",
            "next_attempt_at",
        ),
        _partial_index("ix_delivery_held", "state = 'held'", "run_id", "domain", "priority"),
        Index("ix_delivery_run_state", "run_id", "state"),
        Index("ix_delivery_address", "workspace_id", "address_key"),
        {"sqlite_with_rowid": False, "postgresql_partition_by": "LIST (run_id)"},
    )
    run_id: int = Field(primary_key=True, sa_type=BIG)
    id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = big()
    message_id: int = big(0)
    contact_id: int | None = Field(default=None, sa_type=BIG)
    record_key: str | None = None
    address: str
    address_key: str
    domain: str
    variant: int
    merge_data: str
    state: str
    waits_for: str = ""
    destination_id: int | None = Field(default=None, sa_type=BIG)
    epoch: int = 0
    worker: str | None = None
    lease_until: int | None = optional_moment()
    attempts: int = 0
    deferrals: int = 0
    ambiguities: int = 0
    queued_at: int = moment()
    expires_at: int = moment()
    next_attempt_at: int = moment()
    first_attempt_at: int | None = optional_moment()
    settled_at: int | None = optional_moment()
    reply_code: int | None = None
    reply_text: str = ""
    priority: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    egress: str | None = None
    granted_until: int | None = optional_moment()
    sender: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class PreflightOverride(SQLModel, table=True):
    """Somebody lets a campaign be sent against a finding of pre-flight; never changed but for its withdrawal.

    ``code`` is the finding's, ``sentence`` what it said, ``content`` the digest of what it was given for: another one
    voids it. ``who`` is a person's address or an API key's name, ``note`` the reason.
    """

    __tablename__ = "preflight_override"
    __table_args__ = (Index("ix_preflight_override_campaign", "campaign_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    campaign_id: int = reference("campaign.id")
    code: str
    content: str
    sentence: str
    who: str
    note: str
    made_at: int = moment()
    withdrawn_at: int | None = optional_moment()
    withdrawn_by: str = ""
