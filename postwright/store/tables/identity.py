"""Who may do what: workspaces, users, web sessions, API keys."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, moment, optional_moment, reference, row_id


class Workspace(SQLModel, table=True):
    """A separate world inside one install: its own domains, contacts, campaigns, keys."""

    __tablename__ = "workspace"
    id: int | None = row_id()
    name: str = Field(unique=True)
    created_at: int = moment()


class User(SQLModel, table=True):
    """A person who signs in; ``role`` is admin, marketer or viewer."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("workspace_id", "address_key"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    address: str
    address_key: str = Field(index=True)
    password_hash: str
    role: str
    created_at: int = moment()
    disabled_at: int | None = optional_moment()


class WebSession(SQLModel, table=True):
    """A signed-in browser; only a SHA-256 of the cookie is kept.

    ``family_id`` is the first of the sessions that one sign-in opened in several workspaces.
    """

    __tablename__ = "web_session"
    __table_args__ = (UniqueConstraint("workspace_id", "token_sha256"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    user_id: int = reference("user_account.id", index=True)
    token_sha256: str = Field(index=True)
    csrf_token: str
    created_at: int = moment()
    expires_at: int = moment()
    ended_at: int | None = optional_moment()
    family_id: int | None = Field(default=None, sa_type=BIG, index=True)


class ApiKey(SQLModel, table=True):
    """A bearer key of an API client; only a SHA-256 of the secret is kept.

    ``scopes``, ``domains`` and ``addresses`` are separated by spaces; the last two limit what it may send from, empty
    is any. ``is_test`` keys go through everything but delivery. ``rate_limit`` is in requests a second,
    ``daily_quota`` in recipients a day (UTC). ``replaces_id`` is the first of the keys that this one goes on for.
    """

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("workspace_id", "secret_sha256"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    name: str
    prefix: str
    secret_sha256: str = Field(index=True)
    scopes: str
    created_at: int = moment()
    expires_at: int | None = optional_moment()
    revoked_at: int | None = optional_moment()
    domains: str = ""
    addresses: str = ""
    is_test: bool = False
    rate_limit: int | None = None
    daily_quota: int | None = Field(default=None, sa_type=BIG)
    replaces_id: int | None = Field(default=None, foreign_key="api_key.id", sa_type=BIG)
    last_used_at: int | None = optional_moment()


class SignInFailure(SQLModel, table=True):
    """A try to sign in that failed, under a SHA-256 of each name that it counts for.

    Of no workspace, since nobody has come in yet.
    """

    __tablename__ = "sign_in_failure"
    __table_args__ = (
        Index("ix_sign_in_failure_name", "name_hash", "at"),
        Index("ix_sign_in_failure_at", "at"),
    )
    id: int | None = row_id()
    name_hash: str = Field()
    at: int = moment()
