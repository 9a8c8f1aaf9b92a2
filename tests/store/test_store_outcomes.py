"""Recording outcomes does what the table of states says, in every state, and counts rightly."""

import json
from typing import Any

import pytest

from mta.delivery import DeliveryState, Happening, next_state
from postwright.store import leases

KNOWN = [
    Happening.ACCEPTED,
    Happening.TRANSIENT,
    Happening.PERMANENT,
    Happening.UNKNOWN,
    Happening.NOT_SENT,
    Happening.LEASE_LOST,
]
COUNTED = {
    # attempts, deferrals, ambiguities, after one attempt
    Happening.ACCEPTED: (1, 0, 0),
    Happening.TRANSIENT: (1, 1, 0),
    Happening.PERMANENT: (1, 0, 0),
    Happening.UNKNOWN: (1, 0, 1),
    Happening.NOT_SENT: (0, 0, 0),
    Happening.LEASE_LOST: (0, 0, 0),
}


@pytest.mark.parametrize("happening", KNOWN)
async def test_every_state_takes_an_outcome_as_the_table_says(world: Any, happening: Happening) -> None:
    run = await world.start([])
    states = list(DeliveryState)
    held = await world.put(run, [str(state) for state in states])
    before = await world.rows(run)
    applied = await world.write(
        leases.record, [world.outcome(one, happening, retry_at=world.now + 77) for one in held], world.now + 9
    )
    after = await world.rows(run)
    for state, one in zip(states, held, strict=True):
        expected = next_state(state, happening)
        row = after[one.id]
        if expected is None:
            assert one.id not in applied
            assert row == before[one.id], f"{state} took {happening}"
            continue
        assert one.id in applied
        assert row.state == expected, f"{state}, {happening}"
        assert (row.attempts, row.deferrals, row.ambiguities) == COUNTED[happening]
        assert (row.worker, row.lease_until, row.epoch) == (None, None, one.epoch)
        settled = happening in {Happening.ACCEPTED, Happening.PERMANENT}
        assert row.settled_at == (world.now + 9 if settled else None)
        waits = happening in {Happening.TRANSIENT, Happening.UNKNOWN}
        assert row.next_attempt_at == (world.now + 77 if waits else world.now)
    logged = {event.delivery_id for event in await world.events(leases.EVENT_KIND.get(happening, "none"))}
    assert logged == (applied if happening in leases.EVENT_KIND else set())
    assert len(await world.events()) == len(logged)


@pytest.mark.parametrize("happening", [one for one in Happening if one not in KNOWN])
async def test_what_is_no_outcome_is_refused(world: Any, happening: Happening) -> None:
    run = await world.start([])
    held = await world.put(run, ["leased"])
    with pytest.raises(KeyError):
        await world.record(held, happening)
    assert await world.states(run) == {"leased": 1}


async def test_an_event_tells_what_the_other_side_said(world: Any) -> None:
    run = await world.released(1)
    held = await world.lease()
    await world.mark(held)
    await world.record(held, Happening.ACCEPTED, now=world.now + 3)
    (event,) = await world.events("delivered")
    assert (event.workspace_id, event.run_id, event.delivery_id) == (world.workspace, run.id, held[0].id)
    assert (event.contact_id, event.recorded_at) == (held[0].contact_id, world.now + 3)
    assert event.occurred_at == world.now + 1_000_000
    assert json.loads(event.data) == {
        "attempt": 1, "reply_code": 250, "reply": "as you like", "remote": "mx.example.test"
    }  # fmt: skip
    (row,) = (await world.rows(run)).values()
    assert (row.reply_code, row.reply_text, row.settled_at) == (250, "as you like", world.now + 3)


@pytest.mark.parametrize("reply", ["nothing\x00more", "half \ud800 pair", 'a "quoted" \\ line\nand שלום'])
async def test_whatever_the_other_side_says_can_be_stored(world: Any, reply: str) -> None:
    """A reply that one database refuses would undo the outcomes of the whole batch, again and again."""
    run = await world.released(2)
    held = await world.lease()
    await world.mark(held)
    outcomes = [world.outcome(held[0], Happening.PERMANENT, reply=reply), world.outcome(held[1], Happening.ACCEPTED)]
    assert await world.write(leases.record, outcomes, world.now) == {one.id for one in held}
    stored = (await world.rows(run))[held[0].id].reply_text
    assert stored == reply.replace("\x00", "\ufffd").replace("\ud800", "?")
    (event,) = await world.events("failed")
    assert json.loads(event.data)["reply"] == stored


async def test_counts_add_up_over_several_attempts(world: Any) -> None:
    run = await world.released(1)
    for happening in (Happening.TRANSIENT, Happening.UNKNOWN, Happening.NOT_SENT, Happening.TRANSIENT):
        await world.write(leases.retry_ambiguous, world.now)
        held = await world.lease()
        assert await world.mark(held) == {held[0].id}
        assert await world.record(held, happening) == {held[0].id}
    (row,) = (await world.rows(run)).values()
    assert (row.attempts, row.deferrals, row.ambiguities, row.epoch) == (3, 2, 1, 4)


async def test_nothing_to_record(world: Any) -> None:
    assert await world.write(leases.record, [], world.now) == set()
    assert await world.mark([]) == set()
