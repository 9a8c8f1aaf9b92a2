"""Somebody deletes or renames what a campaign's audience stands on, while the campaign waits or is being written."""

from datetime import timedelta
from typing import Any

import pytest

from mailtypes.clock import SECOND
from mailtypes.errors import StorageError
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.contact_lists import ContactLists
from postwright.services.routing import Router
from postwright.services.scheduling import Scheduler, SideWork
from postwright.services.segments import Segments

PEOPLE = "email,first_name,language\n" + "".join(f"q{number}@example.test,A,en\n" for number in range(5))


class Behind:
    """A service whose turn comes behind the others."""

    def __init__(self) -> None:
        self.steps = 0

    async def step(self) -> int:
        self.steps += 1
        return 0


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def step(self) -> int:
        raise self.error


def scheduler_with(world: Any, *steps: Any) -> Scheduler:
    router = Router(world.database, world.resolver, world.clock, timedelta(hours=1))
    return Scheduler(world.database, world.clock, router, world.imports, 60 * SECOND, SideWork(steps=steps))


async def tagged_campaign(world: Any) -> Any:
    audience = AudienceDraft(await world.list_id(), None, ({"tag": "vip"},))
    campaign = await world.draft(name="All but the best", audience=audience)
    await world.campaigns.send(world.workspace, campaign.id)
    await world.scheduler.step()
    await world.campaigns.pause(world.workspace, campaign.id)
    return campaign


@pytest.mark.parametrize("gone", ["tag", "list"])
async def test_the_run_pauses_itself_and_nobody_else_waits(world: Any, gone: str) -> None:
    await world.verified()
    await world.imported(PEOPLE)
    lists = ContactLists(world.database, world.clock)
    await lists.make_tag(world.workspace, "vip")
    campaign = await tagged_campaign(world)
    if gone == "tag":
        await lists.delete_tag(world.workspace, "vip")
    else:
        await lists.change_list(world.workspace, await world.list_id(), name="Growers")
    await world.campaigns.resume(world.workspace, campaign.id)
    other = await world.draft(name="Another's", list_name="Others")
    await world.campaigns.send(world.workspace, other.id)
    for _ in range(5):
        await world.scheduler.step()
    assert await world.states(other) == {"ready": 3}
    stands = await world.campaigns.get(world.workspace, campaign.id)
    assert stands.state == "paused"
    assert gone in stands.blocked_by
    kinds = [kind for (kind,) in world.rows("SELECT kind FROM event WHERE kind = 'campaign_blocked'")]
    assert len(kinds) == 1

    if gone == "tag":
        await lists.make_tag(world.workspace, "vip")
    else:
        await lists.change_list(world.workspace, await world.list_id("Growers"), name="Gardeners")
    await world.campaigns.resume(world.workspace, campaign.id)
    for _ in range(3):
        await world.scheduler.step()
    stands = await world.campaigns.get(world.workspace, campaign.id)
    assert (stands.state, stands.blocked_by) == ("sending", "")


async def test_a_scheduled_campaign_is_blocked_and_the_steps_behind_it_run(world: Any) -> None:
    await world.verified()
    await world.imported(PEOPLE)
    segments = Segments(world.database, world.clock)
    segment = await segments.create(world.workspace, "Dutch", {"list": "Gardeners"})
    plan = CampaignPlan(starts_at=world.clock.now() + 3600 * SECOND)
    campaign = await world.draft(audience=AudienceDraft(None, {"segment": "Dutch"}), plan=plan)
    await world.campaigns.send(world.workspace, campaign.id)
    await segments.delete(world.workspace, segment.id)
    world.clock.advance(timedelta(hours=2))
    behind = Behind()
    for _ in range(3):
        await scheduler_with(world, world.campaigns, behind).step()
    assert behind.steps == 3
    stands = await world.campaigns.get(world.workspace, campaign.id)
    assert stands.state == "scheduled"
    assert "Dutch" in stands.blocked_by
    assert len(world.rows("SELECT id FROM event WHERE kind = 'campaign_blocked'")) == 1


async def test_a_part_that_fails_keeps_no_other_from_its_turn(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    behind = Behind()
    await scheduler_with(world, Broken(RuntimeError("a slip")), behind).step()
    assert behind.steps == 1
    assert "Broken failed" in caplog.text
    with pytest.raises(StorageError):
        await scheduler_with(world, Broken(StorageError("the disk is full")), behind).step()
    assert behind.steps == 1
