"""API keys: made, listed, revoked."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from postwright.api.callers import Admin
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    KEY,
    Answer,
    Moment,
    Page,
    Text,
    Wanted,
    inward,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.services.accounts import KeyScope
from postwright.store.people import ApiKey


class NewKey(Wanted):
    """An API key to make. `admin` includes `send`, `send` includes `read`."""

    name: Text = Field(max_length=100)
    scopes: list[Literal["read", "send", "admin"]] = Field(min_length=1, max_length=3)


class KeyShown(Answer):
    """An API key without its secret."""

    id: str
    name: str
    prefix: str = Field(description="How the key begins, to tell keys apart.")
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class KeyMade(KeyShown):
    """A new API key. `key` is shown this one time; only its SHA-256 is kept."""

    key: str


async def create_key(wanted: NewKey, caller: Admin) -> KeyMade:
    """Make an API key. The answer has the key itself, which is never shown again."""
    scopes = frozenset(KeyScope(scope) for scope in wanted.scopes)
    key_id, key = await caller.services.accounts.create_key(caller.workspace_id, wanted.name, scopes)
    stored = next(item for item in await caller.services.accounts.keys(caller.workspace_id) if item.id == key_id)
    return KeyMade(**_shown(stored).model_dump(), key=key)


async def list_keys(caller: Admin, query: PageQuery) -> Page[KeyShown]:
    """All keys, the revoked ones too, in the order in which they were made."""
    (after,) = read_cursor("keys", query.cursor)
    rows = page_of(await caller.services.accounts.keys(caller.workspace_id), lambda item: item.id, after, query.limit)
    return make_page("keys", rows, query.limit, _shown, lambda item: (item.id,), query.cursor)


async def revoke_key(key_id: str, caller: Admin) -> Response:
    """End a key at once."""
    await caller.services.accounts.revoke_key(caller.workspace_id, inward(KEY, key_id))
    return Response(status_code=204)


def add_key_routes(router: APIRouter) -> None:
    """The routes of API keys."""
    router.add_api_route("/api-keys", create_key, methods=["POST"], status_code=201)
    router.add_api_route("/api-keys", list_keys, methods=["GET"])
    router.add_api_route("/api-keys/{key_id}", revoke_key, methods=["DELETE"], status_code=204)


def _shown(key: ApiKey) -> KeyShown:
    return KeyShown(
        id=outward(KEY, key.created_at, key.id),
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes.split(),
        created_at=moment(key.created_at),
        expires_at=optional_moment(key.expires_at),
        revoked_at=optional_moment(key.revoked_at),
    )
