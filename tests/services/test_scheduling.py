from datetime import timedelta
from typing import Any

import pytest

from dns_checks.testing import Zone
from tests.services.conftest import RECIPIENTS
from warmup.plans import PRESETS


def people(number: int, domain: str = "example.test") -> str:
    return "".join(f"p{n}@{domain},P{n},en\n" for n in range(number))


def waits(world: Any) -> set[str]:
    return {row[0] for row in world.rows("SELECT DISTINCT waits_for FROM delivery WHERE state = 'held'")}


async def test_a_warm_up_plan_is_never_exceeded_and_says_why_the_others_wait(world: Any) -> None:
    cap = PRESETS["postmark"].cap_on(1)
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(cap + 30), steps=6)
    assert await world.states(campaign) == {"ready": cap, "held": 30}
    (reason,) = waits(world)
    assert "budget of news.acme.test of today used" in reason
    assert f"{cap:,} of {cap:,}" in reason
    assert "00:00 UTC" in reason
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"ready": cap, "held": 30}


async def test_the_budget_is_one_for_all_runs_of_a_domain_and_one_for_each_provider(world: Any) -> None:
    cap = PRESETS["postmark"].cap_on(1)
    await world.verified()
    await world.warmed_up()
    first = await world.sending(people(cap - 10), steps=5)
    second = await world.sending(people(40) + people(5, "other.test"), name="Second", list_name="Others", steps=5)
    assert await world.states(first) == {"ready": cap - 10}
    assert await world.states(second) == {"ready": 10 + 5, "held": 30}
    reserved = world.rows("SELECT budget, reserved FROM budget_use WHERE budget LIKE '%:day:all'")
    assert sorted(row[1] for row in reserved) == [5, cap]


@pytest.mark.parametrize(
    ("domain", "part"),
    [("null.test", "null"), ("nowhere.test", ""), ("nohost.test", "")],
    ids=["null MX", "none", "no host"],
)
async def test_a_domain_that_takes_no_mail_fails_with_its_cause(world: Any, domain: str, part: str) -> None:
    await world.verified()
    campaign = await world.sending(people(2, domain) + people(1))
    assert await world.states(campaign) == {"failed": 2, "ready": 1}
    causes = {row[0] for row in world.rows("SELECT reply_text FROM delivery WHERE state = 'failed'")}
    assert len(causes) == 1
    assert len(causes.copy().pop()) > 10
    assert part in causes.pop().lower()
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'failed'")[0][0] == 2


async def test_a_silent_dns_keeps_everybody_held_with_the_reason_and_then_they_go_on(world: Any) -> None:
    await world.verified()
    campaign = await world.sending(people(2, "silent.test"))
    assert await world.states(campaign) == {"held": 2}
    (reason,) = waits(world)
    assert reason.startswith("Could not find out where the mail goes: ")
    assert "servfail" in reason.lower()
    world.resolver.zone = Zone.parse(
        RECIPIENTS.replace(";; SERVFAIL silent.test", "silent.test. 300 IN MX 10 mx.example.test.")
    )
    await world.scheduler.step()
    assert await world.states(campaign) == {"held": 2}  # asked again after a minute, not at every step
    world.clock.advance(timedelta(minutes=1, seconds=1))
    await world.scheduler.step()
    assert await world.states(campaign) == {"ready": 2}


async def test_a_silent_dns_does_not_outlive_the_run(world: Any) -> None:
    await world.verified()
    campaign = await world.sending(people(2, "silent.test"))
    world.clock.advance(timedelta(hours=48))
    for _ in range(2):
        await world.scheduler.step()
    assert await world.states(campaign) == {"expired": 2}
    assert (await world.campaigns.status(world.workspace, campaign.id)).campaign.state == "finished"


async def test_a_run_ends_when_nobody_is_on_the_way(world: Any) -> None:
    campaign = await world.sending(people(2))
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries[:1], "250 2.0.0 ok")
    await world.scheduler.step()
    assert (await world.campaigns.status(world.workspace, campaign.id)).campaign.state == "sending"
    await world.answer(deliveries[1:], "550 5.7.1 spam")
    await world.scheduler.step()
    status = await world.campaigns.status(world.workspace, campaign.id)
    assert (status.campaign.state, status.run.state, status.counts.settled) == ("finished", "finished", 2)


async def test_idle_steps_write_nothing(world: Any) -> None:
    await world.sending(people(2))
    world.clock.advance(timedelta(seconds=10))
    await world.scheduler.step()
    step = await world.scheduler.step()
    assert not step.did_something
    before = world.rows("SELECT count(*), max(recorded_at) FROM event")
    await world.scheduler.step()
    assert world.rows("SELECT count(*), max(recorded_at) FROM event") == before


HARD = ["550 5.1.1 user unknown", "550 No such user here", "553 5.1.3 bad address"]
SOFT = ["451 4.2.2 mailbox full", "550 5.7.1 message refused as spam", "554 5.7.26 not authenticated"]


@pytest.mark.parametrize("reply", HARD[:1])
async def test_a_hard_bounce_suppresses_at_once_and_everywhere(world: Any, reply: str) -> None:
    await world.sending(people(2))
    other = await world.sending(people(2), name="Second", list_name="Others", stream="transactional")
    deliveries = [one for one in await world.leased() if one.run_id == 1]
    await world.transmit(deliveries)
    await world.answer(deliveries[:1], reply)
    suppressed = await world.suppression_list.list(world.workspace)
    assert [(one.address, one.scope, one.reason) for one in suppressed] == [
        (deliveries[0].rcpt_to, "all", "hard_bounce")
    ]
    assert (await world.states(other)).get("suppressed") == 1


@pytest.mark.parametrize("reply", SOFT)
async def test_other_refusals_suppress_nobody(world: Any, reply: str) -> None:
    await world.sending(people(1))
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries, reply)
    assert await world.suppression_list.list(world.workspace) == []


async def test_a_suppression_between_lease_and_send_stops_the_send(world: Any) -> None:
    campaign = await world.sending(people(3))
    deliveries = await world.leased()
    assert await world.suppression_list.add(world.workspace, "P1@EXAMPLE.test", "asked by phone")
    ours = await world.transmit(deliveries)
    assert sorted(one.rcpt_to for one in deliveries if one.id in ours) == ["p0@example.test", "p2@example.test"]
    assert await world.states(campaign) == {"transmitting": 2, "suppressed": 1}


async def test_a_suppression_before_the_send_is_told_with_its_reason(world: Any) -> None:
    await world.suppression_list.add(world.workspace, "p1@example.test", "asked by phone")
    campaign = await world.sending(people(3))
    assert await world.states(campaign) == {"ready": 2, "suppressed": 1}
    assert world.rows("SELECT reply_text FROM delivery WHERE state = 'suppressed'")[0][0] == "asked by phone"
    assert not await world.suppression_list.add(world.workspace, "p1@example.test", "again")


async def test_suppressions_from_a_file(world: Any) -> None:
    content = b"email,reason\np0@example.test,left\nnobody,x\nP0@example.test,again\np1@example.test,\n"
    added, problems = await world.suppression_list.import_csv(world.workspace, content)
    assert added == 2
    assert [(one.code, one.place) for one in problems] == [("no_at_sign", "line 3")]
    found = {one.address: one.reason for one in await world.suppression_list.list(world.workspace)}
    assert found == {"p0@example.test": "left", "p1@example.test": "imported"}


async def test_two_workers_never_hold_the_same_mail(world: Any) -> None:
    await world.sending(people(6))
    other = world.make_queue("two")
    first, second = await world.leased(4), await world.leased(4, other)
    assert len({one.id for one in first} | {one.id for one in second}) == 6
    assert await world.leased() == []


async def test_an_outcome_of_a_lost_lease_counts_for_nothing(world: Any) -> None:
    campaign = await world.sending(people(1))
    (stale,) = await world.leased()
    await world.change("UPDATE delivery SET lease_until = 1")
    await world.scheduler.step()
    (fresh,) = await world.leased()
    assert (fresh.epoch > stale.epoch, fresh.id) == (True, stale.id)
    assert await world.transmit([stale]) == frozenset()
    await world.answer([stale], "550 5.1.1 user unknown")
    assert await world.states(campaign) == {"leased": 1}
    assert await world.suppression_list.list(world.workspace) == []
