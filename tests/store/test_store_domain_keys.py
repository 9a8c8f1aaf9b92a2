import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from mailtypes.clock import DAY, MINUTE
from postwright.store import domains
from postwright.store.database import Database

HOSTS = ("bounce.sender.test", "links.sender.test")


async def domain_with_key(world: Any, name: str = "sender.test") -> tuple[int, int]:
    made = await world.write(domains.add_domain, world.workspace, name, HOSTS, world.now)
    key = domains.DkimKey(0, world.workspace, made, "pw1", "rsa", "made", "v=DKIM1", b"sealed", "k1", world.now)
    return made, await world.write(domains.add_key, key)


async def only_key(world: Any, domain_id: int) -> domains.DkimKey:
    (found,) = await world.read(domains.list_keys, domain_id)
    return found  # type: ignore[no-any-return]


async def test_a_key_moves_only_from_where_it_is_said_to_stand(world: Any) -> None:
    domain, key = await domain_with_key(world)
    way = ("made", "published", "active", "retiring", "retired")
    for number, (before, after) in enumerate(pairwise(way)):
        assert await world.write(domains.move_key, key, before, after, world.now + number)
        assert not await world.write(domains.move_key, key, before, after, world.now + 100)
    found = await only_key(world, domain)
    moments = (found.published_at, found.activated_at, found.retiring_at, found.retired_at)
    assert moments == tuple(world.now + number for number in range(4))


async def test_a_second_key_becomes_active_by_rotation_alone(world: Any) -> None:
    domain, first = await domain_with_key(world)
    found = await only_key(world, domain)
    await world.write(domains.set_key_state, first, "active", world.now)
    second = await world.write(domains.add_key, replace(found, selector="pw2"))
    await world.write(domains.set_key_state, second, "active", world.now + 1)
    assert [one.state for one in await world.read(domains.list_keys, domain)] == ["active", "made"]


async def test_missing_is_news_once_and_so_is_its_end(world: Any) -> None:
    domain, key = await domain_with_key(world)
    assert not await world.write(domains.note_missing, key, None)
    assert await world.write(domains.note_missing, key, world.now)
    assert not await world.write(domains.note_missing, key, world.now + 1)
    assert (await only_key(world, domain)).missing_since == world.now
    assert await world.write(domains.note_missing, key, None)


async def test_a_claim_is_one_schedulers_alone_until_it_runs_out(world: Any) -> None:
    domain, _ = await domain_with_key(world)
    claimed = await world.write(domains.claim_due, world.now, world.now + MINUTE)
    assert (claimed.id, claimed.name, claimed.next_check_at) == (domain, "sender.test", world.now + MINUTE)
    assert await world.write(domains.claim_due, world.now + MINUTE - 1, world.now + DAY) is None
    again = await world.write(domains.claim_due, world.now + MINUTE, world.now + 2 * MINUTE)
    # The first one wakes up late: it may not write over what the second one is about to find.
    assert not await world.write(domains.finish_check, claimed, world.now + DAY, "{}")
    assert await world.write(domains.finish_check, again, world.now + DAY, "{}")
    assert await world.write(domains.claim_due, world.now + DAY - 1, world.now + 2 * DAY) is None
    assert (await world.write(domains.claim_due, world.now + DAY, world.now + 2 * DAY)).known_findings == "{}"


async def test_a_rotation_meanwhile_is_looked_at_soon(world: Any) -> None:
    domain, _ = await domain_with_key(world)
    claimed = await world.write(domains.claim_due, world.now, world.now + MINUTE)
    await world.write(domains.check_soon, domain, world.now + 1)
    assert not await world.write(domains.finish_check, claimed, world.now + DAY, "{}")
    assert await world.write(domains.claim_due, world.now + 1, world.now + MINUTE) is not None


async def test_processes_that_claim_at_once_get_different_domains(
    world: Any, open_database: Callable[[], Database]
) -> None:
    made = {(await domain_with_key(world, f"d{number}.test"))[0] for number in range(4)}
    others = [open_database() for _ in range(3)]
    taken: list[int] = []
    for _ in range(8):
        claim = partial(domains.claim_due, now=world.now, until=world.now + MINUTE)
        found = await asyncio.gather(*(one.write(claim) for one in others))
        taken += [one.id for one in found if one is not None]
    assert sorted(taken) == sorted(made)
