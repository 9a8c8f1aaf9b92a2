"""Failed sign-ins are counted by name within their time, and the table stays small."""

from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from mailtypes.clock import MINUTE, Microseconds
from postwright.store import sign_in_failures
from postwright.store.records import table

_FAILURE = table("sign_in_failure")


def _size(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(_FAILURE)).scalar_one())


async def _count(world: Any, *names: str, since: int = 0, most: int = 30) -> dict[str, int]:
    found: dict[str, int] = await world.read(sign_in_failures.failures_since, names, Microseconds(since), most=most)
    return found


async def test_each_name_counts_its_own_within_the_time_and_no_further_than_asked(world: Any) -> None:
    for minute in range(5):
        at = world.now + minute * MINUTE
        await world.write(sign_in_failures.add_failure, ["network", f"person {minute}"], at, world.now - 1)
    assert await _count(world, "network", "person 3", "nobody") == {"network": 5, "person 3": 1, "nobody": 0}
    assert await _count(world, "network", since=world.now + 2 * MINUTE) == {"network": 2}
    assert await _count(world, "network", most=3) == {"network": 3}
    # The next one takes along what nobody counts any more.
    await world.write(sign_in_failures.add_failure, ["network"], world.now + 9 * MINUTE, world.now + 3 * MINUTE)
    assert await world.read(_size) == 3


async def test_a_flood_pushes_the_oldest_out(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_failures, "_MOST_ROWS", 20)
    for number in range(15):
        await world.write(sign_in_failures.add_failure, [f"a{number}", f"b{number}"], world.now, world.now - 1)
    assert await world.read(_size) == 20
    assert await _count(world, "a0", "a14", "b14") == {"a0": 0, "a14": 1, "b14": 1}
