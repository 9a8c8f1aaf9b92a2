"""Who may come in: open sessions and keys only, each in its own workspace."""

from typing import Any

from mailtypes.clock import DAY, HOUR
from postwright.store import people, workspaces


async def _user(world: Any, workspace: int = 0, secret: tuple[str, str] = ("hash", "admin")) -> people.User:
    user_id = await world.write(
        people.save_user, workspace or world.workspace, "Ann@x.test", "ann@x.test", secret, world.now
    )
    found: people.User = await world.read(people.get_user, user_id)
    return found


async def test_saving_a_user_again_sets_password_and_role(world: Any) -> None:
    first = await _user(world)
    again = await _user(world, secret=("new hash", "viewer"))
    assert (again.id, again.password_hash, again.role) == (first.id, "new hash", "viewer")
    assert await world.read(people.list_users, world.workspace) == [again]


async def test_the_same_address_in_two_workspaces(world: Any) -> None:
    first = await _user(world)
    second = await world.write(workspaces.create_workspace, "second", world.now)
    theirs = await _user(world, second)
    assert (await _user(world, second, ("new hash", "viewer"))).id == theirs.id
    assert (await world.read(people.get_user, first.id)).password_hash == "hash"
    assert (await world.read(people.find_user, "ann@x.test")).id == first.id
    assert await world.read(people.find_user, "bob@x.test") is None


async def test_a_session_ends_by_time_or_by_hand(world: Any) -> None:
    user = await _user(world)
    opened = await world.write(people.open_session, user, "sha", "csrf", world.now, world.now + HOUR)
    found = await world.read(people.find_session, "sha", world.now + HOUR - 1)
    assert (found.id, found.user_id, found.csrf_token) == (opened, user.id, "csrf")
    assert await world.read(people.find_session, "sha", world.now + HOUR) is None
    assert await world.read(people.find_session, "other", world.now) is None
    await world.write(people.end_session, opened, world.now)
    assert await world.read(people.find_session, "sha", world.now) is None


async def test_a_revoked_key_is_not_found_any_more(world: Any) -> None:
    key = await world.write(people.add_api_key, world.workspace, "ci", ("pw_abc", "sha", "send read"), world.now)
    found = await world.read(people.find_api_key, "sha", world.now + 100 * DAY)
    assert (found.id, found.prefix, found.scopes) == (key, "pw_abc", "send read")
    assert await world.write(people.revoke_api_key, world.workspace + 1, key, world.now) is False
    assert await world.write(people.revoke_api_key, world.workspace, key, world.now) is True
    assert await world.write(people.revoke_api_key, world.workspace, key, world.now + 1) is False
    assert await world.read(people.find_api_key, "sha", world.now) is None
    (listed,) = await world.read(people.list_api_keys, world.workspace)
    assert listed.revoked_at == world.now
