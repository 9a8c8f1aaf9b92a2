"""Recipients gone over one by one come to what the counts come to, on both databases."""

from typing import Any

from sqlalchemy import Connection, insert, update

from mailtypes.clock import HOUR, SECOND, Microseconds
from postwright.services.statistic_terms import measures_of
from postwright.store import events, own_history, run_waiting, statistic_parts, statistics
from postwright.store.events import NewEvent
from postwright.store.records import table
from tests.store.conftest import NOW, World

_delivery, _engagement = table("delivery"), table("engagement")
FETCHED = [(0, "open", "machine"), (0, "open", "human"), (1, "open", "probable"), (2, "click", "human")]
TOLD = {"failed": {"kind": "hard_bounce", "reason": "user_unknown"}, "bounced": {"reason": "full"}, "complained": {}}


async def happened(world: World) -> Any:
    """A run to eight: five delivered, of whom some opened, clicked, bounced and complained; senders in turn."""
    run = await world.start(["x"])
    states = ["delivered"] * 5 + ["failed", "suppressed", "deferred"]
    ids = [one.id for one in await world.put(run, states)]

    def work(connection: Connection) -> None:
        for number, one in enumerate(ids):
            change = update(_delivery).where(_delivery.c.run_id == run.id, _delivery.c.id == one)
            connection.execute(change.values(sender=number % 2, deferrals=int(number == 7)))
        made = [NewEvent(world.workspace, "delivered", NOW, run.id, one) for one in ids[:5]]
        made.append(NewEvent(world.workspace, "suppressed", NOW, run.id, ids[6]))
        made.append(NewEvent(world.workspace, "deferred", NOW, run.id, ids[7], None, {"kind": "", "reason": "busy"}))
        for who, kind in ((5, "failed"), (3, "bounced"), (4, "complained"), (4, "complained")):
            made.append(NewEvent(world.workspace, kind, NOW, run.id, ids[who], None, TOLD[kind]))
        for who, kind, verdict in FETCHED:
            word = {"open": "opened", "click": "clicked"}[kind]
            made.append(NewEvent(world.workspace, word, NOW, run.id, ids[who], None, {"verdict": verdict, "link": 0}))
            row = {"workspace_id": world.workspace, "run_id": run.id, "delivery_id": ids[who], "kind": kind, "link": 0}
            row |= {"occurred_at": NOW, "agent": "", "network": "", "features": "{}", "verdict": verdict, "rule": ""}
            connection.execute(insert(_engagement).values(**row))
        events.append(connection, made, NOW)
        events.roll_up(connection, world.workspace, Microseconds(NOW + 10 * SECOND))
        while statistics.roll_up(connection, world.workspace):
            continue

    await world.write(work)
    return run


async def test_the_senders_together_are_the_whole(world: World) -> None:
    run = await happened(world)
    rows = await world.read(statistic_parts.counts_by_sender, run.id)
    whole = measures_of(await world.read(statistics.counts, world.workspace, [run.id], "provider"))
    assert measures_of(row for _, row in rows) == whole
    second = measures_of(row for number, row in rows if number == 1)
    assert (second.counts["delivered"], second.counts["bounced"], second.openers.probable) == (2, 1, 1)
    hours = measures_of(await world.read(own_history.counts_up_to, run.id, NOW // HOUR))
    assert hours == whole
    assert measures_of(await world.read(own_history.counts_up_to, run.id, NOW // HOUR - 1)).settled == 0
    assert await world.read(own_history.delivered_by_hour, [run.id]) == {run.id: {NOW // HOUR: 5}}


async def test_what_waits_is_counted_by_state_and_destination(world: World) -> None:
    run = await world.prepared(4)
    parts = await world.read(run_waiting.waiting_parts, run.id)
    assert [(one.destination_id, one.state, one.is_kept, one.count) for one in parts] == [(None, "held", False, 4)]
    held = await world.read(run_waiting.held_destinations, run.id, world.workspace)
    assert sum(held.values()) == 4
    assert await world.read(run_waiting.fastest_hour, run.id, NOW, NOW) == 0
