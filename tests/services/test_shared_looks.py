"""Long looks that many ask for: one at a time, shared by whoever waits, and worth their cost."""

import asyncio
from datetime import timedelta

import pytest

from mailtypes.clock import SECOND, ManualClock
from postwright.services.shared_looks import SharedLooks


class Slow:
    """A look that ends when it is let, and takes a while by the clock."""

    def __init__(self, clock: ManualClock, lasting: timedelta = timedelta(0)) -> None:
        self._clock, self._lasting = clock, lasting
        self.begun = self.at_once = self.most_at_once = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        number = self.begun
        try:
            await self.may_end.wait()
        finally:
            self.at_once -= 1
        self._clock.advance(self._lasting)
        return number


async def begun(slow: Slow) -> None:
    for _ in range(1000):
        if slow.begun:
            return
        await asyncio.sleep(0)
    raise AssertionError("no look began")


async def test_eight_who_ask_at_once_share_one_look() -> None:
    clock = ManualClock()
    looks: SharedLooks[str, int] = SharedLooks(clock, 15 * SECOND, 200)
    slow = Slow(clock)
    asking = [asyncio.create_task(looks.find("a", slow)) for _ in range(8)]
    await begun(slow)
    slow.may_end.set()
    assert await asyncio.gather(*asking) == [1] * 8
    assert slow.begun == 1


async def test_of_several_things_one_is_looked_at_at_a_time() -> None:
    clock = ManualClock()
    looks: SharedLooks[int, int] = SharedLooks(clock, 15 * SECOND, 200)
    slow = Slow(clock)
    asking = [asyncio.create_task(looks.find(key, slow)) for key in range(5)]
    await begun(slow)
    slow.may_end.set()
    assert sorted(await asyncio.gather(*asking)) == [1, 2, 3, 4, 5]
    assert slow.most_at_once == 1


async def test_it_is_kept_from_its_end_on_and_ten_times_as_long_as_it_took() -> None:
    clock = ManualClock()
    looks: SharedLooks[str, int] = SharedLooks(clock, 15 * SECOND, 200)
    slow = Slow(clock, timedelta(seconds=30))
    slow.may_end.set()
    assert await looks.find("a", slow) == 1
    clock.advance(timedelta(seconds=299))
    assert await looks.find("a", slow) == 1
    clock.advance(timedelta(seconds=1))
    assert await looks.find("a", slow) == 2
    quick = Slow(clock)
    quick.may_end.set()
    assert await looks.find("b", quick) == 1
    clock.advance(timedelta(seconds=14))
    assert await looks.find("b", quick) == 1
    clock.advance(timedelta(seconds=1))
    assert await looks.find("b", quick) == 2


async def test_who_goes_away_does_not_take_the_look_from_others() -> None:
    clock = ManualClock()
    looks: SharedLooks[str, int] = SharedLooks(clock, 15 * SECOND, 200)
    slow = Slow(clock)
    first, second = (asyncio.create_task(looks.find("a", slow)) for _ in range(2))
    await begun(slow)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    slow.may_end.set()
    assert await second == 1
    assert slow.begun == 1
    alone = Slow(clock)
    gone = asyncio.create_task(looks.find("b", alone))
    await begun(alone)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    alone.may_end.set()
    assert await looks.find("b", alone) == 1  # what was begun is not begun again


async def test_a_look_that_fails_is_told_to_all_and_not_kept() -> None:
    looks: SharedLooks[str, int] = SharedLooks(ManualClock(), 15 * SECOND, 200)

    async def fails() -> int:
        raise OSError("the disk is gone")

    told = await asyncio.gather(looks.find("a", fails), looks.find("a", fails), return_exceptions=True)
    assert [type(one) for one in told] == [OSError, OSError]

    async def works() -> int:
        return 7

    assert await looks.find("a", works) == 7


async def test_no_more_are_kept_than_there_is_room_for() -> None:
    looks: SharedLooks[int, int] = SharedLooks(ManualClock(), 15 * SECOND, 2)
    slow = Slow(ManualClock())
    slow.may_end.set()
    assert [await looks.find(key, slow) for key in (1, 2, 3, 2, 3, 1)] == [1, 2, 3, 2, 3, 4]
