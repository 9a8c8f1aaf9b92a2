"""One sign-in, several workspaces: who gets into which, and what ends it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Role, SignedIn, WorkspaceChoiceError
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import workspaces

PASSWORD, OTHER = "correct horse battery", "another horse battery"


@dataclass
class Both:
    """Somebody in two workspaces with one password, and in a third with another; ``users`` by workspace."""

    world: Any
    changes: AccountChanges
    first: int
    second: int
    third: int
    users: dict[int, int]

    async def sign_in(self, workspace: int, password: str = PASSWORD) -> tuple[str, SignedIn]:
        token = await self.world.accounts.sign_in("ada@acme.test", password, "192.0.2.1", workspace_id=workspace)
        return token, await self.who(token)

    async def who(self, token: str) -> SignedIn:
        found = await self.world.accounts.session(token)
        assert found is not None
        return found  # type: ignore[no-any-return]

    async def is_over(self, token: str) -> bool:
        return await self.world.accounts.session(token) is None


@pytest.fixture
async def both(world: Any) -> Both:
    ids = [world.workspace]
    for name in ("second", "third"):
        now = world.clock.now()
        ids.append(await world.database.write(lambda c, name=name, now=now: workspaces.create_workspace(c, name, now)))
    users = {}
    for number, (password, role) in zip(
        ids, ((PASSWORD, Role.VIEWER), (PASSWORD, Role.ADMIN), (OTHER, Role.ADMIN)), strict=True
    ):
        users[number] = await world.accounts.save_user(number, "Ada@acme.test", password, role)
    return Both(world, AccountChanges(world.database, world.clock, world.accounts), ids[0], ids[1], ids[2], users)


async def test_a_password_opens_what_it_fits_and_names_nothing_else(both: Both) -> None:
    with pytest.raises(WorkspaceChoiceError):
        await both.sign_in(0)
    _, there = await both.sign_in(both.first)
    assert sorted(number for number, _ in there.workspaces) == [both.first, both.second]
    _, alone = await both.sign_in(0, OTHER)
    assert (alone.workspace_id, alone.workspaces) == (both.third, ())


async def test_the_new_cookie_opens_the_new_one_alone_and_the_old_cookie_nothing(both: Both) -> None:
    old, before = await both.sign_in(both.first)
    new = await both.changes.change_workspace(before, both.second)
    after = await both.who(new)
    assert (after.workspace_id, after.user_id, after.role) == (both.second, both.users[both.second], Role.ADMIN)
    assert await both.is_over(old)
    assert after.csrf_token not in ("", before.csrf_token)
    assert after.session_id != before.session_id
    back = await both.who(await both.changes.change_workspace(after, both.first))
    assert (back.workspace_id, back.role) == (both.first, Role.VIEWER)
    assert await both.is_over(new)
    assert back.csrf_token not in ("", before.csrf_token, after.csrf_token)


async def test_changing_does_not_make_a_session_longer(both: Both) -> None:
    _, before = await both.sign_in(both.first)
    ends = {one.expires_at for one in await both.changes.sessions(both.first)}
    both.world.clock.advance(timedelta(minutes=10))
    token = await both.changes.change_workspace(before, both.second)
    assert {one.expires_at for one in await both.changes.sessions(both.second)} == ends
    both.world.clock.advance(timedelta(days=400))
    assert await both.is_over(token)
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(before, both.second)


@pytest.mark.parametrize("where", ["third", "nowhere", "own", "stranger"])
async def test_nobody_gets_into_a_workspace_that_was_not_opened(both: Both, where: str) -> None:
    """For the address alone an admin of one workspace could invent a person and walk into another."""
    world = both.world
    now = world.clock.now()
    stranger = await world.database.write(lambda c: workspaces.create_workspace(c, "not hers", now))
    await world.accounts.save_user(stranger, "eve@acme.test", PASSWORD, Role.ADMIN)
    token, before = await both.sign_in(both.first)
    wanted = {"third": both.third, "nowhere": 10**9, "own": both.first, "stranger": stranger}[where]
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(before, wanted)
    assert await both.who(token) == before


async def test_who_came_by_another_password_changes_to_nothing(both: Both) -> None:
    token, alone = await both.sign_in(0, OTHER)
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(alone, both.first)
    assert await both.who(token) == alone


@pytest.mark.parametrize("what", ["disable", "invite", "password", "end"])
async def test_what_ends_a_persons_sessions_ends_those_that_wait(both: Both, what: str) -> None:
    world, user = both.world, both.users[both.second]
    await world.accounts.save_user(both.second, "boss@acme.test", PASSWORD, Role.ADMIN)
    token, before = await both.sign_in(both.first)
    (waiting,) = [one for one in await both.changes.sessions(both.second) if one.user_id == user]
    if what == "disable":
        await both.changes.disable(both.second, user)
    elif what == "invite":
        await both.changes.invite(both.second, "ada@acme.test", Role.MARKETER)
    elif what == "password":
        _, there = await both.sign_in(both.second)
        await both.changes.change_password(there, PASSWORD, OTHER, "192.0.2.1")
    else:
        boss = await both.who(await world.accounts.sign_in("boss@acme.test", PASSWORD, "192.0.2.1"))
        await both.changes.end_session(boss, waiting.id)
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(before, both.second)
    still = await both.who(token)
    assert (still.workspace_id, still.workspaces) == (both.first, ()), "what was opened elsewhere stays"


@pytest.mark.parametrize("what", ["sign out", "end", "disable"])
async def test_with_the_session_in_use_all_are_over(both: Both, what: str) -> None:
    await both.world.accounts.save_user(both.first, "boss@acme.test", PASSWORD, Role.ADMIN)
    token, before = await both.sign_in(both.first)
    if what == "sign out":
        await both.world.accounts.sign_out(before)
    elif what == "end":
        await both.changes.end_session(before, before.session_id)
    else:
        await both.changes.disable(both.first, before.user_id)
    assert await both.is_over(token)
    assert await both.changes.sessions(both.second) == [], "nobody could take it over any more"
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(before, both.second)


async def test_of_changes_at_the_same_moment_one_holds(both: Both) -> None:
    _, before = await both.sign_in(both.first)
    tries = [both.changes.change_workspace(before, both.second) for _ in range(6)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    tokens = [end for end in ends if isinstance(end, str)]
    assert len(tokens) == 1
    assert all(isinstance(end, str | NotFoundError) for end in ends)
    assert (await both.who(tokens[0])).workspace_id == both.second


async def test_a_waiting_session_has_no_cookie_at_all(both: Both) -> None:
    await both.sign_in(both.first)
    (waiting,) = both.world.rows("SELECT token_sha256 FROM web_session WHERE csrf_token = ''")
    for guess in (waiting[0], "", "waiting:"):
        assert await both.world.accounts.session(guess) is None


async def test_a_wrong_choice_is_a_wrong_password(both: Both) -> None:
    with pytest.raises(RefusedError) as caught:
        await both.sign_in(both.third)
    assert caught.value.problems[0].code == "sign_in"
    _, before = await both.sign_in(both.second)
    with pytest.raises(NotFoundError):
        await both.changes.change_workspace(replace(before, session_id=10**9), both.first)
