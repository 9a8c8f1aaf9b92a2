"""The queue by destination, and what an admin does about it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.clock import HOUR, MINUTE, Microseconds, microseconds
from mailtypes.domain import DomainName
from mailtypes.smtp import SmtpReply
from mta.shaping.pace import Limits
from mta.shaping.ports import Observation, Permit, PermitUse
from mta.shaping.rules import Stage
from postwright.services.destinations import (
    Destinations,
    DestinationState,
    DestinationStatus,
    Note,
    QueueTarget,
)
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.shaping import ShapingIdentity, ShapingPolicy, StoredShaping
from tests.services.conftest import RECIPIENTS

NOTE = Note("test", "they asked for it")
GOOGLE = "gmail.test. 300 IN MX 5 gmail-smtp-in.l.google.com.\nshop.test. 300 IN MX 1 aspmx.l.google.com.\n"


@pytest.fixture
def service(world: Any) -> Destinations:
    return Destinations(world.database, world.clock, world.campaigns)


def people(number: int, domain: str = "example.test") -> str:
    return "".join(f"p{n}@{domain},P{n},en\n" for n in range(number))


def events(world: Any, kind: str) -> list[dict[str, Any]]:
    return [
        json.loads(row[0]) for row in world.rows("SELECT data FROM event WHERE kind = :kind ORDER BY id", kind=kind)
    ]


async def at(world: Any, service: Destinations, site: str) -> DestinationStatus:
    found = await service.find(world.workspace, site)
    return (await service.get(world.workspace, found.id)).status


async def destination(world: Any, service: Destinations, site: str = "mx.example.test") -> QueueTarget:
    return QueueTarget(destination_id=(await service.find(world.workspace, site)).id)


async def test_domains_of_one_site_share_a_destination(world: Any, service: Destinations) -> None:
    await world.verified()
    await world.publish(extra=GOOGLE)
    await world.sending(people(3, "gmail.test") + people(2, "shop.test") + people(1))
    found = await service.list(world.workspace)
    assert {(one.destination.site, one.destination.provider, one.waiting.ready) for one in found} == {
        ("google", "google", 5),
        ("mx.example.test", "example.test", 1),
    }
    details = await service.get(world.workspace, found[0].destination.id)
    assert {one.state for one in found} == {DestinationState.OPEN}
    assert dict(details.domains) in ({"gmail.test": 3, "shop.test": 2}, {"example.test": 1})


async def test_a_suspended_destination_keeps_its_mail_until_it_is_resumed(world: Any, service: Destinations) -> None:
    await world.sending(people(3) + people(2, "other.test"))
    target = await destination(world, service)
    assert await service.suspend(world.workspace, target, NOTE) == 0
    status = await at(world, service, "mx.example.test")
    assert (status.state, status.reason, status.until) == (DestinationState.SUSPENDED, "they asked for it", None)
    assert {one.rcpt_to.partition("@")[2] for one in await world.leased()} == {"other.test"}
    with pytest.raises(RefusedError, match="suspended"):
        await service.flush(world.workspace, target, NOTE)
    await service.resume(world.workspace, target, Note("test"))
    assert len(await world.leased()) == 3
    assert [one["by"] for one in events(world, "destination_suspended")] == ["test"]
    assert events(world, "destination_suspended")[0]["note"] == "they asked for it"
    assert len(events(world, "destination_resumed")) == 1
    with pytest.raises(RefusedError, match="is not suspended"):
        await service.resume(world.workspace, target, NOTE)


async def test_a_suspension_with_an_end_ends_by_itself_and_says_so_once(world: Any, service: Destinations) -> None:
    await world.sending(people(1))
    until = Microseconds(world.clock.now() + HOUR)
    await service.suspend(world.workspace, await destination(world, service), NOTE, until)
    assert (await at(world, service, "mx.example.test")).until == until
    await world.scheduler.step()
    assert await world.leased() == []
    world.clock.advance(timedelta(hours=1))
    for _ in range(3):
        await world.scheduler.step()
    assert len(await world.leased()) == 1
    assert [one["by"] for one in events(world, "destination_resumed")] == ["time"]


async def test_mail_to_a_suspended_domain_is_held_and_released_again(world: Any, service: Destinations) -> None:
    campaign = await world.sending(people(3) + people(2, "other.test"))
    target = QueueTarget(domain=DomainName.parse("Example.Test"))
    assert await service.suspend(world.workspace, target, NOTE) == 3
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"held": 3, "ready": 2}
    assert {row[0] for row in world.rows("SELECT DISTINCT waits_for FROM delivery WHERE state = 'held'")} == {
        "Suspended: they asked for it"
    }
    await service.resume(world.workspace, target, NOTE)
    await world.scheduler.step()
    assert await world.states(campaign) == {"ready": 5}
    assert len(events(world, "queue_suspended")) == len(events(world, "queue_resumed")) == 1


async def test_a_campaign_is_paused_and_resumed(world: Any, service: Destinations) -> None:
    campaign = await world.sending(people(3))
    target = QueueTarget(campaign_id=campaign.id)
    with pytest.raises(RefusedError, match="until it is resumed"):
        await service.suspend(world.workspace, target, NOTE, Microseconds(world.clock.now() + HOUR))
    await service.suspend(world.workspace, target, NOTE)
    assert await world.states(campaign) == {"held": 3}
    await service.resume(world.workspace, target, NOTE)
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"ready": 3}


@pytest.mark.parametrize("kind", ["destination", "domain", "campaign"])
async def test_flushing_tries_what_is_deferred_at_once(world: Any, service: Destinations, kind: str) -> None:
    campaign = await world.sending(people(3))
    held = await world.leased()
    await world.transmit(held)
    await world.answer(held, "450 4.2.0 later")
    targets = {
        "destination": await destination(world, service),
        "domain": QueueTarget(domain=DomainName("example.test")),
        "campaign": QueueTarget(campaign_id=campaign.id),
    }
    status = await at(world, service, "mx.example.test")
    assert (status.waiting.deferred, status.waiting.next_at) == (3, world.clock.now() + HOUR)
    assert await world.leased() == []
    assert await service.flush(world.workspace, targets[kind], NOTE) == 3
    assert len(await world.leased()) == 3
    assert events(world, "queue_flushed")[0]["deliveries"] == 3


@pytest.mark.parametrize("kind", ["destination", "domain", "campaign"])
async def test_failing_settles_what_waits_with_the_reason(world: Any, service: Destinations, kind: str) -> None:
    campaign = await world.sending(people(4))
    under_way = await world.leased(1)
    await world.transmit(under_way)
    targets = {
        "destination": await destination(world, service),
        "domain": QueueTarget(domain=DomainName("example.test")),
        "campaign": QueueTarget(campaign_id=campaign.id),
    }
    with pytest.raises(RefusedError, match="needs a note"):
        await service.fail(world.workspace, targets[kind], Note("test", " \n\t "))
    assert await service.fail(world.workspace, targets[kind], NOTE) == 3
    assert await world.states(campaign) == {"failed": 3, "transmitting": 1}
    reasons = world.rows("SELECT DISTINCT reply_text FROM delivery WHERE state = 'failed'")
    assert [row[0] for row in reasons] == ["they asked for it"]
    assert {one["by"] for one in events(world, "failed")} == {"test"}
    assert world.rows("SELECT count(*) FROM suppression")[0][0] == 0
    await world.answer(under_way, "250 2.0.0 taken")
    await world.scheduler.step()
    assert (await world.campaigns.get(world.workspace, campaign.id)).state == "finished"


async def test_targets_that_do_not_exist_are_not_found(world: Any, service: Destinations) -> None:
    campaign = await world.draft(people(1))
    for target in (QueueTarget(destination_id=99), QueueTarget(campaign_id=99)):
        with pytest.raises(NotFoundError):
            await service.fail(world.workspace, target, NOTE)
    with pytest.raises(RefusedError, match="nothing of it is queued"):
        await service.flush(world.workspace, QueueTarget(campaign_id=campaign.id), NOTE)
    with pytest.raises(NotFoundError):
        await service.get(world.workspace, 99)
    with pytest.raises(RefusedError, match="exactly one"):
        QueueTarget(destination_id=1, campaign_id=1)
    with pytest.raises(RefusedError, match="exactly one"):
        QueueTarget()


async def test_another_workspaces_destination_is_not_found(world: Any, service: Destinations) -> None:
    await world.sending(people(1))
    target = await destination(world, service)
    with pytest.raises(NotFoundError):
        await service.suspend(world.workspace + 1, target, NOTE)
    assert await service.list(world.workspace + 1, everything=True) == []


async def test_an_end_in_the_past_is_refused(world: Any, service: Destinations) -> None:
    await world.sending(people(1))
    with pytest.raises(RefusedError, match="in the future"):
        await service.suspend(world.workspace, await destination(world, service), NOTE, world.clock.now())


# ---- the worker's side


def shaping(world: Any, name: str = "one", *, egress: str = "192.0.2.7", limits: Limits | None = None) -> StoredShaping:
    policy = ShapingPolicy(limits or Limits(4, 50))
    return StoredShaping(world.database, world.clock, FixedChance(), ShapingIdentity(name, egress), policy)


class FixedChance:
    """The middle of every range."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


async def admitted(world: Any, worker: StoredShaping, destination_id: int, wanted: int = 100) -> Permit:
    found = await worker.admit(destination_id, wanted, world.clock.now())
    assert isinstance(found, Permit), found
    return found


def heard(text: str, stage: Stage = Stage.MESSAGE) -> Observation:
    return Observation(stage, SmtpReply.of(int(text[:3]), text[4:]))


LIMITED = "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address."


@pytest.fixture
async def google(world: Any, service: Destinations) -> int:
    await world.verified()
    await world.publish(extra=GOOGLE)
    await world.sending(people(30, "gmail.test"))
    return (await service.find(world.workspace, "google")).id


async def test_connections_are_shared_by_all_workers(world: Any, google: int) -> None:
    first, second = shaping(world), shaping(world, "two")
    held = [await admitted(world, first, google) for _ in range(3)]
    await admitted(world, second, google)
    for worker in (first, second):
        refused = await worker.admit(google, 100, world.clock.now())
        assert not isinstance(refused, Permit)
        assert refused.is_full
        assert refused.until > world.clock.now()
    assert all(permit.slots is None and permit.messages == 100 for permit in held)
    assert all(permit.messages_per_connection == 50 for permit in held)
    await first.settle(held[0], PermitUse(100, 100))
    await first.renew()
    world.clock.advance(timedelta(seconds=2))
    await admitted(world, second, google)
    await first.close()
    world.clock.advance(timedelta(seconds=2))
    for _ in range(2):
        await admitted(world, second, google)


async def test_a_throttle_suspends_for_every_worker_and_says_why(
    world: Any, service: Destinations, google: int
) -> None:
    first, second = shaping(world), shaping(world, "two")
    permit = await admitted(world, first, google)
    other = await admitted(world, second, google)
    assert first.halts(google, heard(LIMITED))
    assert not first.halts(google, heard("550 5.1.1 No such user"))
    assert not first.halts(google, heard("450 4.7.1 Greylisted"))
    await first.settle(permit, PermitUse(10, 9, [heard(LIMITED)]))
    await second.settle(other, PermitUse(10, 9, [heard(LIMITED)] * 5))
    status = await at(world, service, "google")
    assert status.state is DestinationState.SUSPENDED
    assert status.reason.startswith("google-rate-limit: 421 4.7.28 Gmail has detected")
    assert status.until == world.clock.now() + 5 * MINUTE
    (event,) = events(world, "destination_suspended")
    assert (event["rule"], event["site"], event["provider"]) == ("google-rate-limit", "google", "google")
    for worker in (first, second):
        refused = await worker.admit(google, 100, world.clock.now())
        assert not isinstance(refused, Permit)
        assert "google-rate-limit" in refused.reason
    queue = world.make_queue("three")
    queue._egress = "192.0.2.7"
    assert await queue.due_destinations(world.clock.now()) == []
    assert await queue.lease(google, 10, world.clock.now()) == []
    elsewhere = shaping(world, "four", egress="192.0.2.8")
    await admitted(world, elsewhere, google)


async def test_after_a_suspension_it_goes_on_slowly_and_recovers(
    world: Any, service: Destinations, google: int
) -> None:
    worker = shaping(world)
    await worker.settle(await admitted(world, worker, google), PermitUse(10, 9, [heard(LIMITED)]))
    world.clock.advance(timedelta(minutes=5))
    permit = await admitted(world, worker, google)
    assert permit.slots is not None
    assert permit.messages_per_connection == 20
    assert len(events(world, "destination_resumed")) == 1
    status = await at(world, service, "google")
    assert status.state is DestinationState.SLOWED
    assert status.slowed[0].limits == Limits(2, 20, 4.5)  # nine were taken in that second
    assert status.until == world.clock.now() + 10 * MINUTE
    await worker.settle(permit, PermitUse(permit.messages, permit.messages))
    for _ in range(60):
        if (await at(world, service, "google")).state is DestinationState.OPEN:
            break
        world.clock.advance(timedelta(minutes=11))
        permit = await admitted(world, worker, google)
        await worker.settle(permit, PermitUse(permit.messages, permit.messages))
    assert (await at(world, service, "google")).state is DestinationState.OPEN
    assert (await admitted(world, worker, google)).slots is None
    assert events(world, "destination_raised")


async def test_a_rate_is_shared_by_all_workers_and_what_is_not_used_comes_back(world: Any, google: int) -> None:
    limits = Limits(4, 50, rate=2.0)
    first, second = shaping(world, limits=limits), shaping(world, "two", limits=limits)
    permit = await admitted(world, first, google)
    assert permit.slots is not None
    assert (permit.messages, permit.slots.interval) == (11, 500_000)
    refused = await second.admit(google, 100, world.clock.now())
    assert not isinstance(refused, Permit)
    assert refused.until == permit.slots.end - microseconds(timedelta(seconds=5))
    await first.settle(permit, PermitUse(3, 3))
    again = await admitted(world, second, google)
    assert again.slots is not None
    assert again.slots.first_at == permit.slots.moment(3)


async def test_a_person_may_end_what_a_reply_has_begun(world: Any, service: Destinations, google: int) -> None:
    worker = shaping(world)
    await worker.settle(await admitted(world, worker, google), PermitUse(10, 9, [heard(LIMITED)]))
    await service.resume(world.workspace, QueueTarget(destination_id=google), NOTE)
    assert (await at(world, service, "google")).state is DestinationState.SLOWED
    world.clock.advance(timedelta(seconds=2))
    await admitted(world, worker, google)


async def test_a_word_about_one_message_changes_nothing(world: Any, service: Destinations, google: int) -> None:
    worker = shaping(world)
    greylisted = heard("451 4.7.1 Greylisted, come again in 60 s")
    await worker.settle(await admitted(world, worker, google), PermitUse(10, 0, [greylisted] * 10))
    assert (await at(world, service, "google")).state is DestinationState.OPEN
    assert world.rows("SELECT count(*) FROM event WHERE kind LIKE 'destination%'")[0][0] == 0


async def test_routes_follow_the_lifetime_of_the_answer_within_bounds(world: Any) -> None:
    await world.verified()
    world.resolver.zone = world.resolver.zone.parse(RECIPIENTS.replace("other.test. 300 IN MX", "other.test. 9 IN MX"))
    await world.sending(people(1) + people(1, "other.test"))
    found = dict(world.rows("SELECT domain, expires_at FROM route"))
    now = world.clock.now()
    assert {name: (at_ - now) // MINUTE for name, at_ in found.items()} == {"example.test": 5, "other.test": 5}
