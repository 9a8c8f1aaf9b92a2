"""A new address joins a warm one: it sends its cap and no more, the warm one sends the rest on the same day."""

from collections.abc import Callable
from typing import Any

NEW, WARM = "127.0.0.3", "127.0.0.2"


async def test_the_new_address_takes_its_cap_and_the_warm_one_the_rest(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage(WARM, NEW)
    started = await stage.warm_up((20, 40), NEW)
    assert str(started.plan.overflow) == "warm_pool"
    campaign = await stage.campaign(await stage.people("Gardeners", 75))
    await stage.settle()
    assert await stage.states(campaign) == {"delivered": 75}
    assert (len(stage.received(0, NEW)), len(stage.received(0, WARM))) == (20, 55)
    await stage.next_day()
    assert (await stage.ramp(NEW)).state.level == 2
    await stage.campaign(await stage.people("Others", 50, prefix="q"), "Summer")
    await stage.settle()
    assert (len(stage.received(1, NEW)), len(stage.received(1, WARM))) == (40, 10)
