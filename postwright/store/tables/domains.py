"""Sender domains, their keys and audits; streams, egress, routes, and the shared budget."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, optional_moment, reference, row_id


class SenderDomain(SQLModel, table=True):
    """A domain that mail is sent from. ``name`` in A-labels; ``state`` is pending, verified or failing.

    It is looked at again from ``next_check_at`` on (none: at once). ``known_findings`` (JSON) is what audits have found
    out so far, to tell a change from silence. The columns behind it are what the domain's owner wants published beside
    what sending needs; ``mta_sts_hosts`` has blanks between the names.
    ``under_platform``: an admin allows its mail to go out in the platform domain's name while it is not verified.
    """

    __tablename__ = "sender_domain"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        Index("ix_sender_domain_next_check_at", "next_check_at"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    state: str
    return_path_host: str
    tracking_host: str
    created_at: int = moment()
    verified_at: int | None = optional_moment()
    checked_at: int | None = optional_moment()
    audit: str | None = None
    next_check_at: int | None = optional_moment()
    known_findings: str | None = None
    report_address: str | None = None
    dmarc_policy: str | None = None
    logo_url: str | None = None
    certificate_url: str | None = None
    mta_sts_mode: str | None = None
    mta_sts_hosts: str | None = None
    under_platform: bool = False


class DkimKey(SQLModel, table=True):
    """A signing key. ``state``: made, published, active, retiring, retired.

    ``sighting`` says what the name servers said at the last look; ``missing_since`` is set while an active key is gone.
    The private key is encrypted under the master key ``sealed_with``, so that the master key can change.
    """

    __tablename__ = "dkim_key"
    __table_args__ = (UniqueConstraint("workspace_id", "domain_id", "selector"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    domain_id: int = reference("sender_domain.id", index=True)
    selector: str
    algorithm: str
    state: str
    public_record: str
    private_key_sealed: bytes
    sealed_with: str
    created_at: int = moment()
    activated_at: int | None = optional_moment()
    retired_at: int | None = optional_moment()
    published_at: int | None = optional_moment()
    retiring_at: int | None = optional_moment()
    missing_since: int | None = optional_moment()
    sighting: str | None = None


class EgressPool(SQLModel, table=True):
    """A named set of addresses that mail leaves from."""

    __tablename__ = "egress_pool"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str


class EgressSource(SQLModel, table=True):
    """One address that mail leaves from, with the name it says in EHLO and its PTR name."""

    __tablename__ = "egress_source"
    __table_args__ = (UniqueConstraint("workspace_id", "pool_id", "ip"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    pool_id: int = reference("egress_pool.id", index=True)
    ip: str
    ehlo: str
    ptr: str | None = None


class Stream(SQLModel, table=True):
    """What kind of mail: it owns the pool, the expiry, the suppression scope, tracking and one-click.

    ``kind`` is transactional or marketing; ``ambiguous_rule`` is retry or hold; ``expiry`` in microseconds.
    """

    __tablename__ = "stream"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    kind: str
    pool_id: int = reference("egress_pool.id")
    expiry: int = big()
    ambiguous_rule: str
    tracks_opens: bool
    tracks_clicks: bool
    one_click: bool


class Destination(SQLModel, table=True):
    """A site that takes mail: a set of MX hosts that belong together. ``hosts`` is JSON, groups by preference.

    Domains whose policy demands ``verified_tls`` have destinations of their own at the same site.
    """

    __tablename__ = "destination"
    __table_args__ = (UniqueConstraint("workspace_id", "site"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    site: str
    provider: str
    hosts: str
    verified_tls: bool = False


class TlsPolicy(SQLModel, table=True):
    """The MTA-STS policy of a recipient domain, held until it expires (RFC 8461 section 3.3); ``patterns`` is JSON."""

    __tablename__ = "tls_policy"
    __table_args__ = (UniqueConstraint("workspace_id", "domain"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    domain: str
    policy_id: str
    mode: str
    patterns: str
    expires_at: int = moment()


class Route(SQLModel, table=True):
    """Where mail for a recipient domain goes, until ``expires_at``. ``result`` says why there is no destination."""

    __tablename__ = "route"
    __table_args__ = (UniqueConstraint("workspace_id", "domain"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    domain: str
    result: str
    cause: str
    destination_id: int | None = Field(default=None, foreign_key="destination.id", sa_type=BIG)
    expires_at: int = moment()


class BudgetUse(SQLModel, table=True):
    """How much of a limit of the whole cluster is reserved in one window, for instance a day of warm-up."""

    __tablename__ = "budget_use"
    __table_args__ = (
        UniqueConstraint("workspace_id", "budget", "window_start"),
        Index("ix_budget_use_window", "window_start"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    budget: str
    window_start: int = moment()
    reserved: int = big()
