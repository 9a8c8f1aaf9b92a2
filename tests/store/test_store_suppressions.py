"""A suppressed address gets nothing more within its scope, and what is out of scope goes on."""

import asyncio
import json
from typing import Any

import pytest

from mailtypes.clock import DAY
from mta.delivery import DeliveryState, Happening, next_state
from postwright.store import campaigns, contact_book, leases, preparation, suppressions
from postwright.store.database import open_engine, read_url
from postwright.store.suppressions import NewSuppression, Scope

ADDRESS = "p1@example.test"  # the first of those that ``world.put`` makes


def _new(scope: Scope = Scope.ALL, scope_id: int = 0, *, expires_at: int | None = None, reason: str = "unsubscribed",
         address: str = ADDRESS) -> NewSuppression:  # fmt: skip
    return NewSuppression(address, address, scope, scope_id, reason, None, expires_at)


async def _suppress(world: Any, *wanted: NewSuppression, now: int | None = None) -> int:
    added: int = await world.write(suppressions.suppress, world.workspace, wanted, now or world.now)
    return added


async def _reason(world: Any, run: campaigns.Run, *, now: int | None = None) -> str | None:
    found = await world.read(
        suppressions.reasons, world.workspace, [ADDRESS], (run.stream_id, run.list_id), now or world.now
    )
    return found.get(ADDRESS)


async def test_two_reasons_at_once_stop_a_delivery_once(world: Any) -> None:
    run = await world.start([])
    mine, _ = await world.put(run, ["ready", "ready"])
    assert await _suppress(world, _new(), _new(Scope.STREAM, run.stream_id), _new(Scope.STREAM, run.stream_id + 1)) == 3
    assert [event.delivery_id for event in await world.events("suppressed")] == [mine.id]
    assert await world.states(run) == {"suppressed": 1, "ready": 1}


@pytest.mark.parametrize("state", list(DeliveryState))
async def test_it_takes_effect_at_once_in_every_state(world: Any, state: DeliveryState) -> None:
    run = await world.start([])
    mine, _ = await world.put(run, [str(state), "ready"])
    await _suppress(world, _new())
    expected = next_state(state, Happening.SUPPRESS)
    rows = await world.rows(run)
    assert rows[mine.id].state == (expected or state)
    logged = await world.events("suppressed")
    if expected is None:
        assert logged == []
    else:
        assert (rows[mine.id].settled_at, rows[mine.id].reply_text) == (world.now, "unsubscribed")
        assert [(event.delivery_id, json.loads(event.data)) for event in logged] == [
            (mine.id, {"reason": "unsubscribed"})
        ]
    assert sum(row.state == "ready" for row in rows.values()) == (2 if state == "ready" and not expected else 1)


async def test_a_worker_that_holds_it_may_not_send_it(world: Any) -> None:
    run = await world.released(2)
    held = await world.lease()
    await _suppress(world, _new())
    assert await world.mark(held) == {one.id for one in held if one.address != ADDRESS}
    assert await world.record([one for one in held if one.address == ADDRESS], Happening.TRANSIENT) == set()
    assert (await world.states(run))["suppressed"] == 1


@pytest.mark.parametrize("scope", list(Scope))
async def test_scopes(world: Any, scope: Scope) -> None:
    same = await world.start([], list_name="one")
    other_list = await world.start([], list_name="two")
    other_stream = await world.start([], stream="transactional", list_name="one")
    for run in (same, other_list, other_stream):
        await world.put(run, ["ready"])
    scope_id = {Scope.ALL: 0, Scope.STREAM: same.stream_id, Scope.LIST: same.list_id}[scope]
    await _suppress(world, _new(scope, scope_id))
    reached = {
        Scope.ALL: {same.id, other_list.id, other_stream.id},
        Scope.STREAM: {same.id, other_list.id},
        Scope.LIST: {same.id, other_stream.id},
    }[scope]
    for run in (same, other_list, other_stream):
        assert await world.states(run) == ({"suppressed": 1} if run.id in reached else {"ready": 1})
        assert (await _reason(world, run) is not None) == (run.id in reached)


async def test_a_marketing_unsubscribe_never_stops_a_receipt(world: Any) -> None:
    marketing = await world.start([])
    receipt = await world.start([], stream="transactional")
    await _suppress(world, _new(Scope.STREAM, marketing.stream_id))
    await world.put(receipt, ["held", "ready"])
    await _suppress(world, _new(Scope.STREAM, marketing.stream_id))
    assert await world.states(receipt) == {"held": 1, "ready": 1}
    held = await world.lease()
    assert await world.write(suppressions.stop_leased, held, world.now) == set()


async def test_other_addresses_and_workspaces_are_left_alone(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["ready"])
    await world.write(suppressions.suppress, world.workspace + 1, [], world.now)
    await _suppress(world, _new(address="somebody@example.test"))
    assert await world.states(run) == {"ready": 1}
    assert await _reason(world, run) is None


async def test_one_that_has_expired_does_not_bar(world: Any) -> None:
    run = await world.start([])
    await _suppress(world, _new(expires_at=world.now + DAY))
    assert await _reason(world, run) == "unsubscribed"
    assert await _reason(world, run, now=world.now + DAY) is None


async def test_storing_it_twice_keeps_one(world: Any) -> None:
    assert await _suppress(world, _new(reason="first"), _new(reason="second")) == 1
    assert await _suppress(world, _new(reason="third", expires_at=world.now + DAY)) == 0
    (stored,) = await world.read(suppressions.list_suppressions, world.workspace, address_key=ADDRESS)
    assert (stored.reason, stored.expires_at) == ("first", None)


async def test_a_person_s_word_makes_it_longer_and_keeps_the_reason(world: Any) -> None:
    await _suppress(world, _new(reason="complained", expires_at=world.now + DAY))
    assert await _suppress(world, _new(reason="manual")) == 1
    (stored,) = await world.read(suppressions.list_suppressions, world.workspace)
    assert (stored.reason, stored.expires_at) == ("complained", None)


async def test_a_longer_one_replaces_a_shorter_one(world: Any) -> None:
    """Whoever complains after a soft bounce's suppression has run out has to be suppressed again."""
    run = await world.start([])
    await _suppress(world, _new(reason="bounced", expires_at=world.now + DAY))
    later = world.now + 2 * DAY
    assert await _reason(world, run, now=later) is None
    assert await _suppress(world, _new(reason="complaint"), now=later) == 1
    assert await _reason(world, run, now=later) == "complaint"
    assert len(await world.read(suppressions.list_suppressions, world.workspace)) == 1


async def test_listing_goes_by_pages(world: Any) -> None:
    await _suppress(world, *(_new(address=f"a{number}@example.test") for number in range(5)))
    first = await world.read(suppressions.list_suppressions, world.workspace, limit=3)
    rest = await world.read(suppressions.list_suppressions, world.workspace, after=first[-1].id, limit=3)
    assert [one.address for one in first + rest] == [f"a{number}@example.test" for number in range(5)]


async def test_what_was_queued_at_the_same_moment_is_stopped_before_it_is_sent(world: Any) -> None:
    run = await world.start([])
    await _suppress(world, _new())
    await world.put(run, ["ready", "ready"])  # as if it had been written without seeing the suppression
    held = await world.lease()
    stopped = {one.id for one in held if one.address == ADDRESS}
    assert await world.write(suppressions.stop_leased, held, world.now) == stopped
    assert await world.mark(held) == {one.id for one in held} - stopped
    assert {event.delivery_id for event in await world.events("suppressed")} == stopped


# SQLite has one writer at a time.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_chunk_that_is_being_written_is_waited_for(world: Any, database_url: str) -> None:
    """Neither process sees the other's rows, so one of them has to wait: PostgreSQL's READ COMMITTED."""
    run = await world.start(["p1", "p2"])
    engine = open_engine(read_url(database_url))
    with engine.connect() as connection, connection.begin():
        assert preparation.prepare_chunk(connection, run.id, preparation.Placing(lambda key: 0), world.now) == 2
        suppressing = asyncio.create_task(_suppress(world, _new()))
        done, _ = await asyncio.wait({suppressing}, timeout=0.3)
        assert not done
    assert await suppressing == 1
    engine.dispose()
    assert await world.states(run) == {"held": 1, "suppressed": 1}


async def test_who_is_archived_gets_nothing_that_is_queued_and_what_is_not_the_contacts_goes_on(world: Any) -> None:
    run = await world.released(4)
    by_address = {one.address: one for one in (await world.rows(run)).values()}
    people = [by_address[f"p{number}@example.test"].contact_id for number in range(4)]
    (held,) = [one for one in await world.lease() if one.contact_id == people[0]]
    other = await world.start([], stream="transactional")
    await world.put(other, ["ready"])  # by its address alone, as a client hands it over: to p1
    assert await world.mark([held]) == {held.id}  # on the wire when it happens
    assert await world.write(contact_book.archive, world.workspace, people[:2], world.now) == 2
    assert await world.write(contact_book.archive, world.workspace, people[:2], world.now + 1) == 0
    stopped = by_address["p1@example.test"]
    row = (await world.rows(run))[stopped.id]
    assert (row.state, row.settled_at, row.reply_text) == ("suppressed", world.now, "archived")
    assert (await world.states(run), await world.states(other)) == (
        {"transmitting": 1, "leased": 2, "suppressed": 1},
        {"ready": 1},
    )
    # The host says "later": it is not tried again.
    await world.write(leases.record, [world.outcome(held, Happening.TRANSIENT, retry_at=world.now)], world.now)
    again = [one for one in await world.lease(now=world.now + DAY) if one.id == held.id]
    assert await world.write(suppressions.stop_leased, again, world.now) == {held.id}
    assert (await world.rows(run))[held.id].reply_text == "archived"
    logged = [(event.delivery_id, json.loads(event.data)) for event in await world.events("suppressed")]
    assert logged == [(stopped.id, {"reason": "archived"}), (held.id, {"reason": "archived"})]


async def test_what_is_stopped_by_archiving_stays_so_and_who_is_back_gets_the_next_mail(world: Any) -> None:
    run = await world.prepared(1)
    (row,) = (await world.rows(run)).values()
    await world.write(contact_book.archive, world.workspace, [row.contact_id], world.now)
    await world.write(contact_book.restore, world.workspace, [row.contact_id])
    assert await world.states(run) == {"suppressed": 1}
    await world.released(1)
    (held,) = await world.lease()
    assert held.contact_id == row.contact_id
    assert await world.write(suppressions.stop_leased, [held], world.now) == set()
