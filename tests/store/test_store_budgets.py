"""However many processes reserve, and in whatever order, a limit of the cluster is never exceeded."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postwright.store import budgets
from postwright.store.database import Database

_names = count(1)


async def test_the_remainder_is_granted_and_then_nothing(world: Any) -> None:
    reserve = (budgets.reserve, world.workspace, "warm-up", (world.now, 100))
    assert [await world.write(*reserve, wanted) for wanted in (60, 60, 1, 0)] == [60, 40, 0, 0]
    assert await world.read(budgets.reserved, world.workspace, "warm-up", world.now) == 100


async def test_windows_and_budgets_and_workspaces_are_apart(world: Any) -> None:
    assert await world.write(budgets.reserve, world.workspace, "warm-up", (world.now, 5), 9) == 5
    assert await world.write(budgets.reserve, world.workspace, "warm-up", (world.now + 1, 5), 9) == 5
    assert await world.write(budgets.reserve, world.workspace, "rate", (world.now, 5), 9) == 5
    assert await world.read(budgets.reserved, world.workspace, "other", world.now) == 0


async def test_a_limit_that_was_lowered_grants_nothing(world: Any) -> None:
    await world.write(budgets.reserve, world.workspace, "warm-up", (world.now, 100), 80)
    assert await world.write(budgets.reserve, world.workspace, "warm-up", (world.now, 50), 10) == 0
    assert await world.read(budgets.reserved, world.workspace, "warm-up", world.now) == 80


async def test_what_is_given_back_can_be_reserved_again(world: Any) -> None:
    await world.write(budgets.reserve, world.workspace, "warm-up", (world.now, 10), 10)
    await world.write(budgets.give_back, world.workspace, "warm-up", world.now, 4)
    assert await world.write(budgets.reserve, world.workspace, "warm-up", (world.now, 10), 10) == 4


_STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.booleans()), min_size=1, max_size=20)


async def test_no_interleaving_grants_more_than_the_limit(world: Any, open_database: Callable[[], Database]) -> None:
    databases = [open_database() for _ in range(3)]

    async def law(limit: int, steps: list[tuple[int, int, bool]]) -> None:
        budget = f"budget {next(_names)}"
        out = 0

        async def step(process: int, wanted: int, returns: bool) -> None:
            nonlocal out
            granted = await databases[process].write(
                lambda connection: budgets.reserve(connection, world.workspace, budget, (0, limit), wanted)
            )
            assert 0 <= granted <= wanted
            out += granted
            assert out <= limit
            if returns and granted:
                out -= granted  # before it is given back, since another may get it at once
                await databases[process].write(
                    lambda connection: budgets.give_back(connection, world.workspace, budget, 0, granted)
                )

        await asyncio.gather(*(step(*one) for one in steps))
        assert await world.read(budgets.reserved, world.workspace, budget, 0) == out
        if not any(returns for _, _, returns in steps):
            assert out == min(limit, sum(wanted for _, wanted, _ in steps))

    loop = asyncio.get_running_loop()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(limit=st.integers(0, 120), steps=_STEPS)
    def examples(limit: int, steps: list[tuple[int, int, bool]]) -> None:
        asyncio.run_coroutine_threadsafe(law(limit, steps), loop).result(30)

    await asyncio.to_thread(examples)
