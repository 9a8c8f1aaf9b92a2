"""Sessions of one sign-in in several workspaces, on both databases."""

import asyncio
from typing import Any

from mailtypes.clock import HOUR
from postwright.store import account_changes, people, session_families, workspaces


async def _family(world: Any) -> tuple[people.User, people.User, int]:
    """Somebody in two workspaces, with a session in use in the first and one that waits in the second."""
    second = await world.write(workspaces.create_workspace, "a second one", world.now)
    users = []
    for workspace in (world.workspace, second):
        made = await world.write(people.save_user, workspace, "Ann@x.test", "ann@x.test", ("hash", "admin"), world.now)
        users.append(await world.read(people.get_user, made))
    opened = await world.write(people.open_session, users[0], "a" * 64, "csrf", world.now, world.now + HOUR)
    others = [(users[1].workspace_id, users[1].id)]
    await world.write(session_families.begin_family, opened, others, world.now, world.now + HOUR)
    return users[0], users[1], opened


async def test_a_session_is_handed_over_and_back(world: Any) -> None:
    first, second, opened = await _family(world)
    there = await world.read(session_families.workspaces_of, opened, world.now)
    assert [number for number, _ in there] == [second.workspace_id, first.workspace_id], "by name"
    secrets = ("b" * 64, "csrf b")
    assert await world.write(session_families.hand_over, opened, second.workspace_id, secrets, world.now)
    assert await world.read(people.find_session, "a" * 64, world.now) is None
    found = await world.read(people.find_session, "b" * 64, world.now)
    assert (found.workspace_id, found.user_id, found.csrf_token) == (second.workspace_id, second.id, "csrf b")
    back = ("c" * 64, "csrf c")
    for session, workspace in ((opened, first.workspace_id), (found.id, 10**9), (10**9, first.workspace_id)):
        assert not await world.write(session_families.hand_over, session, workspace, back, world.now)
    too_late = (found.id, first.workspace_id, back, world.now + HOUR)
    assert not await world.write(session_families.hand_over, *too_late)
    assert await world.write(session_families.hand_over, found.id, first.workspace_id, back, world.now)
    assert (await world.read(people.find_session, "c" * 64, world.now)).id == opened


async def test_of_two_that_hand_over_at_once_one_does(world: Any) -> None:
    _, second, opened = await _family(world)
    tries = [
        world.write(session_families.hand_over, opened, second.workspace_id, (letter * 64, letter), world.now)
        for letter in "de"
    ]
    done = await asyncio.gather(*tries)
    found = [await world.read(people.find_session, letter * 64, world.now) for letter in "de"]
    assert sorted(done) == [False, True]
    assert [one is not None for one in found] == done


async def test_the_one_in_use_ends_all_and_one_that_waits_itself(world: Any) -> None:
    first, second, _ = await _family(world)
    assert await world.write(account_changes.end_sessions_of, second.id, world.now) == 1
    assert await world.read(people.find_session, "a" * 64, world.now) is not None
    assert len(await world.read(account_changes.open_sessions, first.workspace_id, world.now)) == 1
    waiting = [(second.workspace_id, second.id)]
    again = await world.write(people.open_session, first, "f" * 64, "csrf", world.now, world.now + HOUR)
    await world.write(session_families.begin_family, again, waiting, world.now, world.now + HOUR)
    assert await world.write(account_changes.end_sessions_of, first.id, world.now) == 2
    assert await world.read(account_changes.open_sessions, second.workspace_id, world.now) == []
