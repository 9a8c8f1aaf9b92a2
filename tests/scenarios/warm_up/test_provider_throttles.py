"""A provider takes less than the ramp offers: the pace stops within minutes, the ramp holds, and says why."""

from typing import Any

from warmup.ramp import Phase


async def test_the_ramp_holds_and_goes_on_when_the_provider_does(stage: Any) -> None:
    google = stage.receivers.tempers["google"]
    google.tolerated = 34
    await stage.warm_up((40, 80, 160))
    campaign = await stage.campaign(await stage.people("Gardeners", 100))
    await stage.settle()
    assert (await stage.states(campaign))["held"] == 60
    assert await stage.waits() == {"google budget of news.acme.test of today used: 40 of 40; next at 00:00 UTC"}
    await stage.next_day()
    # What was put off came again and again, each time later; the day was never offered more than its cap.
    assert len(stage.received(0)) == 34
    ramp = await stage.ramp()
    assert (ramp.state.phase, ramp.state.level, ramp.cap) == (Phase.HELD, 1, 40)
    (held,) = await stage.events("warmup_held")
    assert held["evidence"][0]["rule"].startswith("deferrals")
    assert held["evidence"][0]["events"] >= 5
    assert (held["from_cap"], held["to_cap"], held["day"]) == (40, 40, "2026-03-02")
    assert "stays at 40 a day: deferrals" in held["sentence"]
    history = await stage.application.warm_ups.history(stage.workspace, "news.acme.test")
    assert [one.action for one in history.decisions] == ["advance", "hold"]  # it began, and it stayed

    google.tolerated = None
    for _ in range(3):
        await stage.next_day()
    assert await stage.states(campaign) == {"delivered": 100}
    assert max(len(stage.received(day)) for day in range(4)) <= 60  # a day's budget, and what was put off before
    assert [one["to_cap"] for one in await stage.events("warmup_advanced")] == [80]
