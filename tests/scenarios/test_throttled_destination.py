"""The engine asks before it leases, keeps to its slots, stops at a throttle, and says what it heard."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from mailtypes.clock import SECOND, Microseconds, SystemClock
from mta.engine import Deliver, DeliveryEngine, EnginePorts, SleepUntil
from mta.shaping.ports import NotNow, Permit
from mta.shaping.rules import Stage, built_in_rules
from mta.shaping.slots import Slots
from mta.testing import Reaction, ScriptedPeer

THROTTLED = "421 4.7.28 unusual rate of unsolicited mail"


@dataclass
class OpenDesk:
    """Gives the answers that it was told to give; the rules are the real ones."""

    answers: list = field(default_factory=list)
    settled: list = field(default_factory=list)
    asked: int = 0

    async def admit(self, destination_id, wanted, now):
        self.asked += 1
        return self.answers.pop(0) if self.answers else Permit(destination_id, wanted, 1000)

    def halts(self, destination_id, observation):
        rule = built_in_rules().match("google", observation.stage, observation.reply)
        return rule is not None and rule.suspend is not None

    async def settle(self, permit, use):
        self.settled.append((permit, use))


def under(world, desk, clock=None):
    """The rig's engine anew, under a desk."""
    world.clock = clock or world.clock
    ports = EnginePorts(world.queue, world.composer, world.keys, world.connector, world.clock, random.Random(1), desk)
    world.engine = DeliveryEngine(ports, world.policy, world.executor)
    return world


@pytest.mark.parametrize("goes_away", [True, False])
async def test_a_throttle_ends_the_batch_and_the_rest_is_given_back(rig, goes_away):
    reaction = Reaction(THROTTLED, disconnect=goes_away)
    async with ScriptedPeer({"MAIL": ["250 ok", "250 ok", reaction]}) as peer:
        desk = OpenDesk()
        world = under(rig(peer), desk)
        world.add(8)
        await world.deliver()
        assert world.states() == ["delivered", "delivered", "deferred", *["ready"] * 5]
        ((_, use),) = desk.settled
        assert (use.begun, use.accepted) == (3, 2)
        assert [(one.stage, one.reply.code) for one in use.observations] == [(Stage.MESSAGE, 421)]


async def test_a_refusal_of_one_message_ends_nothing(rig):
    async with ScriptedPeer({"RCPT": ["550 5.1.1 no such user", "450 4.7.1 Greylisted", "250 ok"]}) as peer:
        desk = OpenDesk()
        world = under(rig(peer), desk)
        world.add(3)
        await world.deliver()
        assert world.states() == ["failed", "deferred", "delivered"]
        ((_, use),) = desk.settled
        assert (use.begun, use.accepted, len(use.observations)) == (3, 1, 2)


async def test_a_greeting_that_refuses_is_told(rig):
    async with ScriptedPeer({"CONNECT": ["554 5.7.1 no mail from you"]}) as peer:
        desk = OpenDesk()
        world = under(rig(peer), desk)
        world.add(2)
        await world.deliver()
        ((_, use),) = desk.settled
        assert [(one.stage, one.reply.code) for one in use.observations] == [(Stage.CONNECTION, 554)]
        assert (use.begun, use.accepted) == (0, 0)


async def test_nothing_is_leased_without_leave(rig):
    async with ScriptedPeer() as peer:
        until = Microseconds(rig(peer).clock.now() + 60 * SECOND)
        desk = OpenDesk([NotNow(until, "suspended")])
        world = under(rig(peer), desk)
        world.add(2)
        report = await world.deliver()
        assert (report.leased, world.states(), desk.settled) == (0, ["ready", "ready"], [])
        assert await world.engine.step() == SleepUntil(until)


async def test_a_batch_is_no_longer_than_its_permit(rig):
    async with ScriptedPeer() as peer:
        desk = OpenDesk([Permit(7, 3, 2)])
        world = under(rig(peer), desk)
        world.add(5)
        report = await world.deliver()
        assert (report.leased, world.states().count("delivered")) == (3, 3)
        assert peer.connections == 2  # two messages a connection


async def test_messages_keep_to_their_slots(rig):
    async with ScriptedPeer() as peer:
        clock = SystemClock()
        world = rig(peer)
        begun = clock.now()
        slots = Slots(Microseconds(begun + 100_000), 150_000, 3)
        desk = OpenDesk([Permit(7, 3, 100, slots)])
        under(world, desk, clock)
        world.add(3)
        await world.deliver()
        assert clock.now() - begun >= 400_000  # when the third may begin
        assert world.states() == ["delivered"] * 3


async def test_a_permit_is_given_back_when_there_was_nothing_to_lease(rig):
    async with ScriptedPeer() as peer:
        desk = OpenDesk()
        world = under(rig(peer), desk)
        await world.deliver()
        ((_, use),) = desk.settled
        assert (use.begun, use.accepted, list(use.observations)) == (0, 0, [])


async def test_while_all_connections_are_in_use_what_is_under_way_goes_on_and_nobody_is_asked_again(rig):
    async with ScriptedPeer({"CONTENT": [Reaction("250 ok", delay=timedelta(seconds=0.3))] * 4}) as peer:
        world = rig(peer)
        full = NotNow(Microseconds(world.clock.now() + 60 * SECOND), "full", is_full=True)
        desk = OpenDesk([Permit(7, 2, 100), full])
        under(world, desk)
        world.add(4)
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.engine.run(stop))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if world.states() == ["delivered"] * 4:
                break
        assert world.states() == ["delivered"] * 4
        assert desk.asked <= 4  # not once a turn of the loop
        stop.set()
        await running


async def test_the_engine_alone_keeps_to_its_policy(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(2)
        assert isinstance(await world.engine.step(), Deliver)
        await world.deliver()
        assert world.states() == ["delivered"] * 2
