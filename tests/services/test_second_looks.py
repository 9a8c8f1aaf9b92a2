"""Campaigns that stay blocked are looked at beside the scheduler, once a minute, and hold nobody up."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from mailtypes.clock import ManualClock
from postwright.services.second_looks import SecondLooks

CAMPAIGN: Any = SimpleNamespace(id=1, blocked_by="No link. No list.")
OTHER: Any = SimpleNamespace(id=2, blocked_by="No link. No list.")


class Start:
    """Looks when it is let, and finds these sentences blocking."""

    def __init__(self, *sentences: str) -> None:
        self.blocking = tuple(SimpleNamespace(sentence=one) for one in sentences)
        self.asked, self.at_once = list[int](), 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.breaks = False

    async def check(self, campaign: Any) -> Any:
        self.asked.append(campaign.id)
        self.at_once += 1
        assert self.at_once == 1
        await self.may_end.wait()
        self.at_once -= 1
        if self.breaks:
            raise OSError("the disk is gone")
        return SimpleNamespace(blocking=self.blocking)


async def rested() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_is_looked_at_once_a_minute_and_what_stays_is_not_tried() -> None:
    start, clock = Start("No link.", "No list."), ManualClock()
    looks = SecondLooks(start, clock)
    for _ in range(60):  # five minutes
        assert not looks.is_due(CAMPAIGN)
        await rested()
        clock.advance(timedelta(seconds=5))
    assert len(start.asked) == 4


@pytest.mark.parametrize("left", [(), ("No list.",)])
async def test_what_has_changed_is_tried_once(left: tuple[str, ...]) -> None:
    start, clock = Start(*left), ManualClock()
    looks = SecondLooks(start, clock)
    assert not looks.is_due(CAMPAIGN)
    clock.advance(timedelta(minutes=1))
    assert not looks.is_due(CAMPAIGN)
    await rested()
    assert looks.is_due(CAMPAIGN)
    assert not looks.is_due(CAMPAIGN)
    assert start.asked == [CAMPAIGN.id]


async def test_a_look_that_hangs_is_not_waited_for_and_others_wait_behind_it() -> None:
    start, clock = Start(), ManualClock()
    start.may_end.clear()
    looks = SecondLooks(start, clock)
    for _ in range(10):
        assert not looks.is_due(CAMPAIGN)
        assert not looks.is_due(OTHER)
        await rested()
        clock.advance(timedelta(minutes=1))
    assert start.asked == [CAMPAIGN.id]
    start.may_end.set()
    await rested()
    assert looks.is_due(CAMPAIGN)
    assert looks.is_due(OTHER)


async def test_a_look_that_breaks_leaves_it_to_the_step() -> None:
    start, clock = Start(), ManualClock()
    start.breaks = True
    looks = SecondLooks(start, clock)
    looks.is_due(CAMPAIGN)
    clock.advance(timedelta(minutes=1))
    looks.is_due(CAMPAIGN)
    await rested()
    assert looks.is_due(CAMPAIGN)
