"""A campaign larger than its budget goes out over days: never more than a day allows, those who read first."""

from typing import Any

from mailtypes.clock import DAY
from postwright.store.records import table

CAPS = (20, 40, 80)
PEOPLE = 90


async def test_it_spreads_over_days_and_ends_when_it_was_forecast(stage: Any) -> None:
    await stage.warm_up(CAPS)
    list_id = await stage.people("Gardeners", PEOPLE)
    readers = await engaged(stage, 15)
    campaign = await stage.campaign(list_id)
    await stage.settle()
    assert await stage.states(campaign) == {"delivered": 20, "held": 70}
    assert readers <= set(stage.received(0))
    run = (await stage.application.campaigns.status(stage.workspace, campaign.id)).run
    forecast = await stage.application.warm_up_forecasts.forecast_of(run)
    assert forecast.waiting == {"google": 70}
    assert str(forecast.ends) == "2026-03-04"
    assert await stage.waits() == {"google budget of news.acme.test of today used: 20 of 20; next at 00:00 UTC"}
    for _ in range(2):
        await stage.next_day()
    assert [len(stage.received(day)) for day in range(4)] == [20, 40, 30, 0]
    assert len(set(stage.received())) == PEOPLE
    assert await stage.states(campaign) == {"delivered": PEOPLE}
    assert (await stage.ramp()).state.level == 3


async def engaged(stage: Any, number: int) -> set[str]:
    """Let the last people of the list be those who clicked a week ago."""
    found = await stage.rows("SELECT id, address FROM contact ORDER BY id DESC LIMIT :number", number=number)
    moment = stage.clock.now() - 7 * DAY
    rows = [
        {"contact_id": one.id, "workspace_id": stage.workspace, "received": 1, "clicked": 1, "last_clicked_at": moment}
        for one in found
    ]
    await stage.application.database.write(lambda c: c.execute(table("contact_activity").insert(), rows) and None)
    return {one.address for one in found}
