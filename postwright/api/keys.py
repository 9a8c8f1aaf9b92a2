"""API keys: made, listed, replaced, revoked."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from mailtypes.clock import Microseconds, from_datetime
from postwright.api.callers import Admin, Caller
from postwright.api.cursors import make_page, read_cursor
from postwright.api.message_bodies import When
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
from postwright.services.accounts import KeyScope, KeyTerms, key_terms
from postwright.services.errors import RefusedError
from postwright.store.people import ApiKey


class NewKey(Wanted):
    """An API key to make. `admin` includes `send`, `send` includes `read`."""

    name: Text = Field(max_length=100)
    scopes: list[Literal["read", "send", "admin"]] = Field(min_length=1, max_length=3)
    domains: list[Text] = Field([], max_length=50, description="Sender domains that it is for; none: any.")
    addresses: list[Text] = Field([], max_length=50, description="Sender addresses that it is for; none: any.")
    test: bool = Field(False, description="What it sends goes through everything but delivery, and can be read back.")
    rate_limit: int | None = Field(None, ge=1, le=100_000, description="Requests a second, in each server process.")
    daily_quota: int | None = Field(None, ge=0, le=1_000_000_000, description="Recipients a day (UTC).")
    expires_at: When | None = Field(None, description="RFC 3339; it never expires if left out.")


class RotationWanted(Wanted):
    """How long the old key goes on."""

    overlap_hours: float = Field(24, ge=0, le=30 * 24)


class KeyShown(Answer):
    """An API key without its secret."""

    id: str
    name: str
    prefix: str = Field(description="How the key begins, to tell keys apart.")
    scopes: list[str]
    domains: list[str]
    addresses: list[str]
    test: bool
    rate_limit: int | None
    daily_quota: int | None
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None = Field(description="To five minutes.")


class KeyMade(KeyShown):
    """A new API key. `key` is shown this one time; only its SHA-256 is kept."""

    key: str


async def create_key(wanted: NewKey, caller: Admin) -> KeyMade:
    """Make an API key. The answer has the key itself, which is never shown again."""
    scopes = frozenset(KeyScope(scope) for scope in wanted.scopes)
    terms = replace(
        key_terms(wanted.domains, wanted.addresses),
        is_test=wanted.test,
        rate_limit=wanted.rate_limit,
        daily_quota=wanted.daily_quota,
        expires_at=_later(wanted.expires_at, caller.services.clock.now()),
    )
    _check_within(caller, terms)
    _check_not_counted(caller, None)
    made = await caller.services.accounts.create_key(caller.workspace_id, wanted.name, scopes, terms)
    return await _made(caller, *made)


async def rotate_key(key_id: str, caller: Admin, wanted: RotationWanted = RotationWanted()) -> KeyMade:  # noqa: B008
    """Make a key that takes over from one, with its name, scopes, limits and end. The old one ends after the overlap.

    A key that is rotated twice was given an end by the first time, which the second key has, too.
    """
    overlap, row_id = timedelta(hours=wanted.overlap_hours), inward(KEY, key_id)
    for old in await caller.services.accounts.keys(caller.workspace_id):
        if old.id == row_id:  # the answer has the new key, which may do what this one may
            _check_within(caller, _terms_of(old))
            _check_not_counted(caller, old)
    made = await caller.services.accounts.rotate_key(caller.workspace_id, row_id, overlap)
    return await _made(caller, *made)


async def _made(caller: Caller, key_id: int, key: str) -> KeyMade:
    stored = next(item for item in await caller.services.accounts.keys(caller.workspace_id) if item.id == key_id)
    return KeyMade(**_shown(stored).model_dump(), key=key)


def _check_within(caller: Caller, terms: KeyTerms) -> None:
    """Raises ``RefusedError`` where a key would be for senders that its maker's own key is not for."""
    own = caller.client.terms
    senders = {address.key for address in terms.addresses}
    at_own_domains = bool(terms.domains) and terms.domains <= own.domains
    at_own_domains |= bool(senders) and {address.domain for address in terms.addresses} <= own.domains
    if own.domains and not at_own_domains:
        field = "domains"
    elif own.addresses and not (senders and senders <= {address.key for address in own.addresses}):
        field = "addresses"
    elif own.is_test and not terms.is_test:
        field = "test"
    elif own.expires_at is not None and (terms.expires_at is None or terms.expires_at > own.expires_at):
        field = "expires_at"
    else:
        return
    raise RefusedError(
        "key_too_wide",
        "A key cannot be for more than the key that asks for it.",
        field=field,
        next_step="Name senders that this key is for and an end no later than its own, or take a key without limits.",
    )


def _check_not_counted(caller: Caller, replaced: ApiKey | None) -> None:
    """Raises ``RefusedError`` where a key whose use is counted would make one with a count of its own.

    Any number of such keys would be as good as no limit. What takes over from the key itself counts with it.
    """
    own = caller.client.terms
    if own.daily_quota is None and own.rate_limit is None:
        return
    if replaced is not None and caller.client.family_id == (replaced.replaces_id or replaced.id):
        return
    raise RefusedError(
        "key_too_wide",
        "A key with a rate limit or a daily quota makes no other keys: each would have a limit of its own.",
        field="rate_limit" if own.daily_quota is None else "daily_quota",
        next_step="Take a key without these limits. To replace this key, rotate it.",
    )


def _terms_of(key: ApiKey) -> KeyTerms:
    ends = None if key.expires_at is None else Microseconds(key.expires_at)
    return replace(key_terms(key.domains.split(), key.addresses.split()), is_test=key.is_test, expires_at=ends)


def _later(given: datetime | None, now: int) -> Microseconds | None:
    if given is None:
        return None
    at = from_datetime(given)
    if at <= now:
        raise RefusedError("in_the_past", "The key would have expired already.", field="expires_at")
    return at


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
    router.add_api_route("/api-keys/{key_id}/rotate", rotate_key, methods=["POST"], status_code=201)
    router.add_api_route("/api-keys/{key_id}", revoke_key, methods=["DELETE"], status_code=204)


def _shown(key: ApiKey) -> KeyShown:
    return KeyShown(
        id=outward(KEY, key.created_at, key.id),
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes.split(),
        domains=key.domains.split(),
        addresses=key.addresses.split(),
        test=key.is_test,
        rate_limit=key.rate_limit,
        daily_quota=key.daily_quota,
        created_at=moment(key.created_at),
        expires_at=optional_moment(key.expires_at),
        revoked_at=optional_moment(key.revoked_at),
        last_used_at=optional_moment(key.last_used_at),
    )
