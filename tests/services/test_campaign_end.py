"""When a campaign will be out, and what that hangs on."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.clock import DAY, HOUR, SECOND, as_datetime
from postwright.services import campaign_end
from postwright.services.campaign_end import CampaignEnds, ExpectedEnd, HangsOn
from postwright.services.campaign_plan import CampaignPlan, SendWindow
from postwright.services.warm_up_forecast import WarmUpForecasts
from tests.services.conftest import PLACES

PEOPLE = "".join(f"r{number}@example.test,R,en\n" for number in range(60))


async def expected(world: Any, campaign: Any) -> ExpectedEnd | None:
    ends = CampaignEnds(world.database, world.clock, WarmUpForecasts(world.database, world.clock, PLACES))
    status = await world.campaigns.status(world.workspace, campaign.id)
    found = await ends.of_run(status.run)
    assert found == await ends.of_run(status.run)
    return found


async def tried(world: Any, count: int) -> None:
    """So many were delivered in the present hour, a part of an hour old."""
    now = world.clock.now()
    await world.change(
        "INSERT INTO statistic (run_id, cut, value, variant, kind, detail, workspace_id, events, recipients)"
        " VALUES (1, 'hour', :hour, 0, 'delivered', '', :workspace, :count, :count)",
        hour=str(now // HOUR),
        workspace=world.workspace,
        count=count,
    )


async def test_nothing_is_known_before_anything_was_tried_and_then_the_pace_tells(world: Any) -> None:
    campaign = await world.sending(PEOPLE)
    before = await expected(world, campaign)
    assert before is not None
    assert (before.at, before.hangs_on, before.waiting) == (None, HangsOn.NOT_KNOWN, 60)
    world.clock.advance(timedelta(seconds=(HOUR - world.clock.now() % HOUR) // SECOND + 600))
    await tried(world, 600)  # one a second for ten minutes
    found = await expected(world, campaign)
    assert found is not None
    assert (found.hangs_on, found.is_too_late) == (HangsOn.PACE, False)
    assert found.at == pytest.approx(world.clock.now() + 60 * SECOND, abs=SECOND)
    assert "60 are left" in found.sentence


async def test_a_paused_one_says_so_and_a_finished_one_nothing(world: Any) -> None:
    campaign = await world.sending(PEOPLE)
    await world.campaigns.pause(world.workspace, campaign.id)
    found = await expected(world, campaign)
    assert found is not None
    assert (found.at, found.hangs_on) == (None, HangsOn.PAUSED)
    await world.campaigns.cancel(world.workspace, campaign.id)
    assert await expected(world, campaign) is None


async def test_a_warm_up_spreads_it_over_days(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    people = "".join(f"r{number}@example.test,R,en\n" for number in range(900))
    campaign = await world.sending(people)
    await tried(world, 3_600)
    found = await expected(world, campaign)
    assert found is not None
    assert found.hangs_on is HangsOn.WARM_UP
    assert found.at is not None
    assert found.at > world.clock.now() + HOUR
    assert "warm-up" in found.sentence


async def test_closed_hours_do_not_count(world: Any) -> None:
    """The window closes in 47 minutes, and an hour of sending is left."""
    now = as_datetime(world.clock.now())
    window = SendWindow(now.hour, now.hour + 1)
    campaign = await world.sending(PEOPLE, plan=CampaignPlan(window=window))
    await tried(world, 1)
    found = await expected(world, campaign)
    assert found is not None
    assert found.hangs_on is HangsOn.HOURS
    assert found.at is not None
    assert found.at > world.clock.now() + DAY - HOUR


async def test_what_is_suspended_for_good_has_no_end_and_what_is_deferred_is_tried_then(world: Any) -> None:
    campaign = await world.sending(PEOPLE)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries, "451 4.7.1 later", timedelta(hours=5))
    found = await expected(world, campaign)
    assert found is not None
    assert (found.at, found.hangs_on) == (world.clock.now() + 5 * HOUR, HangsOn.RETRY)
    assert not found.is_too_late
    await world.change("UPDATE run SET expires_at = :at", at=world.clock.now() + HOUR)
    late = await expected(world, campaign)
    assert late is not None
    assert late.is_too_late
    await world.change(
        "INSERT INTO suspension (workspace_id, scope, egress, kind, until, reason, created_at)"
        " SELECT workspace_id, 'destination:' || id, '', 'person', NULL, 'x', 1 FROM destination"
    )
    found = await expected(world, campaign)
    assert found is not None
    assert (found.at, found.hangs_on) == (None, HangsOn.SUSPENDED)


async def test_many_pages_that_ask_at_once_make_one_look(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await world.sending(PEOPLE)
    status = await world.campaigns.status(world.workspace, campaign.id)
    ends = CampaignEnds(world.database, world.clock, WarmUpForecasts(world.database, world.clock, PLACES))
    looks: list[int] = []
    look = campaign_end._look

    def counted(connection: Any, run: Any, now: Any) -> Any:
        looks.append(run.id)
        world.clock.advance(timedelta(seconds=4))  # so long it took
        return look(connection, run=run, now=now)

    monkeypatch.setattr(campaign_end, "_look", counted)
    found = await asyncio.gather(*(ends.of_run(status.run) for _ in range(8)))
    assert (len(looks), len(set(found))) == (1, 1)
    world.clock.advance(timedelta(seconds=39))
    await ends.of_run(status.run)
    assert len(looks) == 1
    world.clock.advance(timedelta(seconds=1))
    await ends.of_run(status.run)
    assert len(looks) == 2
