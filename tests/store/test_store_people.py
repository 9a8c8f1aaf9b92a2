"""Who may come in: open sessions and keys only, each in its own workspace."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from mailtypes.clock import DAY, HOUR
from postwright.store import account_changes, people, workspaces
from postwright.store.database import Database


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
    assert [one.id for one in await world.read(people.find_users, "ann@x.test", 8)] == [first.id, theirs.id]
    assert [one.id for one in await world.read(people.find_users, "ann@x.test", 1)] == [first.id]
    await world.write(account_changes.set_disabled, first.id, world.now)
    assert [one.id for one in await world.read(people.find_users, "ann@x.test", 8)] == [theirs.id]
    assert await world.read(people.find_users, "bob@x.test", 8) == []


async def test_a_password_is_replaced_once_and_never_for_who_was_shut_out(world: Any) -> None:
    user = await _user(world, secret=("link:a:1", "admin"))
    await world.write(account_changes.set_role, user.id, "viewer")
    assert await world.write(people.replace_password, user.id, "link:a:1", "first")
    assert not await world.write(people.replace_password, user.id, "link:a:1", "second")
    await world.write(account_changes.set_disabled, user.id, world.now)
    assert not await world.write(people.replace_password, user.id, "first", "third")
    kept = await world.read(people.get_user, user.id)
    assert (kept.password_hash, kept.role, kept.disabled_at) == ("first", "viewer", world.now)


async def test_two_admins_cannot_take_the_role_from_each_other(
    world: Any, open_database: Callable[[], Database]
) -> None:
    ann = await _user(world)
    bob_id = await world.write(
        people.save_user, world.workspace, "Bob@x.test", "bob@x.test", ("hash", "admin"), world.now
    )
    invited = ("link:a:1", "admin")
    await world.write(people.save_user, world.workspace, "Eve@x.test", "eve@x.test", invited, world.now)

    def lower(key: str, user_id: int) -> Callable[[Connection], bool]:
        def work(connection: Connection) -> bool:
            stays = account_changes.has_other_admin(connection, world.workspace, key)
            time.sleep(0.05)  # the other's transaction is in the middle of it, too
            if stays:
                account_changes.set_role(connection, user_id, "viewer")
            return stays

        return work

    one, other = world.database, open_database()
    done = await asyncio.gather(one.write(lower("ann@x.test", ann.id)), other.write(lower("bob@x.test", bob_id)))
    assert sorted(done) == [False, True]
    admins = [one for one in await world.read(people.list_users, world.workspace) if one.role == "admin"]
    assert len(admins) == 2, "one of them, and who was invited but has not come yet"
    assert not await world.write(account_changes.has_other_admin, world.workspace, admins[0].address_key)
    assert await world.write(account_changes.has_other_admin, world.workspace, "nobody@x.test")


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
