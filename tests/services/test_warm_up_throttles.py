"""What did not leave counts against a ramp where the provider kept it back, and nowhere else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.clock import DAY, HOUR, MINUTE, SECOND, Microseconds
from mta.shaping.pace import ChangeKind, Limits, Pace, PaceChange
from postwright.services.warm_up_throttles import holds_down
from postwright.services.warm_ups import Order
from postwright.store import shaping, suspensions
from postwright.store.shaping import PaceKey
from postwright.store.suspensions import By, Suspended
from postwright.store.warm_up_held_back import StandingPace
from tests.services.conftest import EGRESS, SENDER
from tests.services.test_warm_ups import PROVIDER, deliver, events, midnight, people, ramp
from warmup.ramp import Phase

THROTTLED = "421 4.7.28 unusual rate of mail from your ip"
BUSY = "421 4.3.2 Service busy, try later"
ENDS = Microseconds(11 * HOUR)
CAP = 100


def troubled(at: int, evidence: str = THROTTLED, **more: Any) -> Pace:
    return Pace(troubled_at=Microseconds(at), changed_at=Microseconds(at), troubles=1, evidence=evidence, **more)


SUSPENDED = troubled(ENDS - 10 * MINUTE, suspended_until=ENDS)
SLOW = troubled(ENDS - 2 * HOUR, limits=Limits(rate=0.5))


@pytest.mark.parametrize(
    ("pace", "next_free_at", "expected"),
    [
        (Pace(), ENDS, False),
        (SUSPENDED, 0, True),
        (replace(SUSPENDED, evidence=BUSY), 0, False),  # that is not about us
        (replace(SUSPENDED, evidence="by hand"), 0, False),
        (replace(SUSPENDED, evidence="² ³"), 0, False),
        (replace(SUSPENDED, suspended_until=Microseconds(ENDS - 1)), 0, False),  # over: somebody could have sent
        (replace(SUSPENDED, troubled_at=ENDS), 0, False),  # that came later
        (SLOW, ENDS, True),
        (SLOW, ENDS - MINUTE, True),
        (SLOW, ENDS - 2 * MINUTE, False),  # whoever sent has stopped before
        (replace(SLOW, limits=Limits(rate=0.002)), ENDS - 8 * MINUTE, True),  # a message every 500 seconds
        (replace(SLOW, limits=Limits(connections=1)), ENDS, False),  # nobody knows what that kept back
    ],
)
def test_what_is_evidence(pace: Pace, next_free_at: int, expected: bool) -> None:
    assert holds_down(StandingPace(1, EGRESS, pace, next_free_at), ENDS) is expected


@given(st.text(max_size=40))
@settings(max_examples=50)
def test_whatever_a_host_has_said_can_be_read(evidence: str) -> None:
    pace = replace(SUSPENDED, evidence=evidence)
    assert holds_down(StandingPace(1, EGRESS, pace, 0), ENDS) in (True, False)


async def throttle(world: Any, until: int, evidence: str = THROTTLED, scope: str = f"provider:{PROVIDER}") -> None:
    """As shaping does it: the provider has objected before the hour, and rests."""
    now = world.clock.now()
    after = troubled(now // HOUR * HOUR - 1, evidence, suspended_until=Microseconds(until))

    def decide(pace: Pace) -> PaceChange:
        return PaceChange(ChangeKind.SUSPENDED, pace, after, now, "rule", evidence, Microseconds(until))

    await world.database.write(
        lambda c: shaping.change_pace(c, PaceKey(scope, world.workspace, EGRESS), decide, {}, now)
    )


async def hour_passes(world: Any) -> None:
    now = world.clock.now()
    world.clock.advance(timedelta(microseconds=(now // HOUR + 1) * HOUR - now + 5 * SECOND))
    for _ in range(3):
        await world.scheduler.step()


async def answered(world: Any, number: int, put_off: int = 0) -> None:
    """So many are tried, the first of them put off for our rate."""
    deliveries = await world.leased(number)
    await world.transmit(deliveries)
    await world.answer(deliveries[:put_off], THROTTLED)
    await world.answer(deliveries[put_off:], "250 2.0.0 ok")


async def started(world: Any, number: int = CAP, cap: int = CAP, **plan: Any) -> Any:
    world.clock.advance(timedelta(microseconds=DAY - world.clock.now() % DAY + MINUTE))  # the day is young
    await world.verified()
    await world.warmed_up(table={"daily_caps": [cap, 2 * cap]}, preset=None, **plan)
    return await world.sending(people(number), steps=5)


def decided(world: Any) -> list[str]:
    kinds = ("warmup_advanced", "warmup_held", "warmup_stepped_back", "warmup_alarm")
    return [kind for kind in kinds for _ in events(world, kind)]


async def test_a_campaign_that_is_cancelled_accuses_nobody(world: Any) -> None:
    campaign = await started(world)
    await answered(world, 30, put_off=3)
    await world.campaigns.cancel(world.workspace, campaign.id)
    await midnight(world)
    assert (await ramp(world)).state.level == 1
    assert decided(world) == []


@pytest.mark.parametrize("what", ["idle", "paused run", "paused warm-up", "cancelled after", "busy host", "by hand"])
async def test_what_waited_for_another_reason_does_not_count(world: Any, what: str) -> None:
    campaign = await started(world)
    await answered(world, 60, put_off=3)
    if what not in ("idle", "by hand"):  # even while the provider is resting
        await throttle(world, world.clock.now() + 3 * DAY, BUSY if what == "busy host" else THROTTLED)
    if what == "by hand":
        await throttle(world, world.clock.now() + 3 * DAY)
        queue = Suspended(world.workspace, f"provider:{PROVIDER}")
        now = world.clock.now()
        await world.database.write(lambda c: suspensions.suspend(c, queue, By.PERSON, "a note", None, now))
    if what == "paused run":
        await world.campaigns.pause(world.workspace, campaign.id)
    if what == "paused warm-up":
        order = Order(SENDER, None, "admin@acme.test", "wait for the lawyer")
        await world.warm_ups.pause(world.workspace, order)
        for _ in range(2):
            await world.scheduler.step()
    await hour_passes(world)
    if what == "cancelled after":
        await world.campaigns.cancel(world.workspace, campaign.id)
    if what == "paused warm-up":
        await world.warm_ups.resume(world.workspace, Order(SENDER, None, "admin@acme.test", "she agreed"))
    await midnight(world)
    assert "warmup_stepped_back" not in decided(world)
    assert "warmup_alarm" not in decided(world)


async def test_what_a_resting_provider_kept_back_counts_once_however_often_it_was_granted(world: Any) -> None:
    """A tenth of the day's budget each hour, and nothing can leave: the same twenty are granted by turns."""
    campaign = await started(world, hourly_share="1/10")
    await throttle(world, (world.clock.now() // DAY + 1) * DAY + HOUR)
    for _ in range(4):
        await hour_passes(world)
    assert await world.states(campaign) == {"ready": 10, "held": 90}
    (used,) = world.rows("SELECT reserved FROM budget_use WHERE budget LIKE '%:day:all'")
    assert used[0] == 50
    await midnight(world)
    (told,) = events(world, "warmup_held")
    (evidence,) = [one for one in told["evidence"] if one["rule"] == "deferrals-25"]
    assert (evidence["events"], evidence["trials"]) == (20, 20)


async def test_a_day_that_a_provider_stopped_does_not_look_like_success(world: Any) -> None:
    campaign = await started(world)
    await answered(world, 60, put_off=3)
    await throttle(world, (world.clock.now() // DAY + 1) * DAY + HOUR)
    await hour_passes(world)
    assert (await world.states(campaign))["held"] == 40
    await midnight(world)
    (told,) = events(world, "warmup_held")  # there is no lower level
    (evidence,) = [one for one in told["evidence"] if one["rule"] == "deferrals-25"]
    assert (evidence["events"], evidence["trials"]) == (43, 100)
    assert (await ramp(world)).state.phase == Phase.HELD


async def test_what_was_tried_after_all_on_the_same_day_is_not_held_back(world: Any) -> None:
    campaign = await started(world, number=CAP // 2, hourly_share="1/2")
    await throttle(world, (world.clock.now() // HOUR + 1) * HOUR + SECOND)
    await hour_passes(world)  # they come back, and are let out again
    assert [tuple(row) for row in world.rows("SELECT DISTINCT state, granted_until > 0 FROM delivery")] == [
        ("ready", 1)
    ]
    await deliver(world)
    assert await world.states(campaign) == {"delivered": CAP // 2}
    await midnight(world)
    assert decided(world) == ["warmup_advanced"]


async def test_of_an_address_only_what_was_bound_to_it_counts(world: Any) -> None:
    await world.verified()
    await world.warmed_up(subject=EGRESS, table={"daily_caps": [50, 60]}, preset=None, overflow="waits")
    await world.sending(people(50), steps=5)
    await throttle(world, world.clock.now() + 2 * DAY)
    await hour_passes(world)
    marked = world.rows("SELECT egress, count(*) FROM delivery WHERE granted_until < 0 GROUP BY egress")
    assert [tuple(row) for row in marked] == [(EGRESS, 50)]
    await midnight(world)
    assert (await ramp(world, EGRESS)).state.phase == Phase.HELD
    (told,) = events(world, "warmup_held")
    assert told["evidence"][0]["events"] == 50
