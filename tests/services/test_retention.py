"""Contents are kept while they are needed and for a while after, then let go; the story of a message stays."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from mailtypes.clock import DAY
from postwright.services.message_intake import MessageWanted
from postwright.services.retention import Retention, RetentionTerms
from postwright.services.webhook_endpoints import EndpointChanges, Webhooks
from postwright.store import events
from postwright.store.event_retention import MARKS
from postwright.store.events import NewEvent
from postwright.store.tables import metadata
from rendering.whole import Mailbox

TERMS = RetentionTerms(messages=timedelta(days=30), test_mailbox=timedelta(days=7))


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    client = await world.client()
    author, to = EmailAddress.parse("shop@news.acme.test"), Mailbox(EmailAddress.parse("a@example.test"))
    prepared = await world.intake.prepare(client, MessageWanted(author, "", (to,), subject="x", text="y"))
    await world.submissions.store(client, [prepared])
    return world


async def test_what_is_on_its_way_is_kept_however_old(ready: Any) -> None:
    ready.clock.advance(timedelta(days=40))
    assert await Retention(ready.database, ready.clock, TERMS).step() == 0
    assert ready.rows("SELECT count(*) FROM blob") == [(1,)]


async def test_what_is_settled_goes_after_a_month_and_its_story_stays(ready: Any) -> None:
    await ready.change("UPDATE delivery SET state = 'delivered'")
    retention = Retention(ready.database, ready.clock, TERMS)
    ready.clock.advance(timedelta(days=29))
    assert await retention.step() == 0
    ready.clock.advance(timedelta(days=2))
    assert await retention.step() == 1
    assert ready.rows("SELECT count(*) FROM blob") == [(0,)]
    assert ready.rows("SELECT blob_id, subject FROM message") == [(None, "x")]
    assert ready.rows("SELECT kind FROM event WHERE delivery_id IS NOT NULL") == [("accepted",)]


async def _happen(world: Any, count: int) -> None:
    now = world.clock.now()
    made = [NewEvent(world.workspace, "domain_drift", now, data={"n": number}) for number in range(count)]
    await world.database.write(partial(events.append, events=made, now=now))


async def _rolled_up(world: Any) -> None:
    world.clock.advance(timedelta(seconds=3))
    await world.database.write(partial(events.roll_up, workspace_id=world.workspace, now=world.clock.now()))


async def _forgotten(world: Any, **terms: timedelta) -> int:
    return await Retention(world.database, world.clock, replace(TERMS, **terms)).step()


async def test_old_events_go_a_few_at_a_time_and_counts_stay(ready: Any) -> None:
    await _happen(ready, 700)
    await _rolled_up(ready)
    before = ready.rows("SELECT kind, count FROM event_count ORDER BY kind")
    ready.clock.advance(timedelta(days=40))
    await _happen(ready, 3)
    await _rolled_up(ready)
    kept = {"events": timedelta(days=35), "messages": timedelta(days=90)}
    (all_of_it,) = ready.rows("SELECT count(*) FROM event")[0]
    assert await _forgotten(ready, **kept) == 500
    assert ready.rows("SELECT count(*) FROM event") == [(all_of_it - 500,)]
    while await _forgotten(ready, **kept):
        pass
    assert ready.rows("SELECT count(*) FROM event") == [(3,)]
    after = dict(ready.rows("SELECT kind, count FROM event_count ORDER BY kind"))
    assert after == dict(before) | {"domain_drift": 703}


async def test_the_newest_event_stays_and_no_id_is_given_twice(ready: Any) -> None:
    await _happen(ready, 4)
    await _rolled_up(ready)
    newest = ready.rows("SELECT max(id) FROM event")[0][0]
    ready.clock.advance(timedelta(days=400))
    while await _forgotten(ready, events=timedelta(days=35)):
        pass
    assert ready.rows("SELECT id FROM event") == [(newest,)]
    await _happen(ready, 1)
    assert ready.rows("SELECT max(id) FROM event") == [(newest + 1,)]


async def test_what_somebody_has_yet_to_read_stays(ready: Any) -> None:
    await _happen(ready, 5)
    ready.clock.advance(timedelta(days=400))
    kept = {"events": timedelta(days=35), "messages": timedelta(days=9_000)}
    assert await _forgotten(ready, **kept) == 0  # nothing is counted yet
    endpoints = Webhooks(ready.database, ready.clock, ready.master, lambda _: None)
    made, _ = await endpoints.create(ready.workspace, EndpointChanges("https://hooks.acme.test/"))
    await ready.change("UPDATE webhook_feed SET recorded_at = 0")
    await _happen(ready, 1)
    await _rolled_up(ready)
    assert await _forgotten(ready, **kept) == 0  # an endpoint has yet to be told
    await endpoints.disable(ready.workspace, made.endpoint.id, "it is gone")
    assert await _forgotten(ready, **kept) > 5
    for name in MARKS:
        await _happen(ready, 1)
        await _rolled_up(ready)
        ready.clock.advance(timedelta(days=400))
        await _rolled_up(ready)
        mark = metadata.tables[name]
        behind = dict.fromkeys((column.name for column in mark.c), 0) | {"workspace_id": ready.workspace}
        await ready.database.write(lambda c, mark=mark, behind=behind: c.execute(mark.insert().values(**behind)))
        assert await _forgotten(ready, **kept) == 0, name
        await ready.change(f"DELETE FROM {name}")
        await _happen(ready, 1)
        assert await _forgotten(ready, **kept) > 0, name


def test_every_reader_of_the_log_is_waited_for() -> None:
    shape = {"workspace_id", "recorded_at", "event_id"}
    marks = {name for name, table in metadata.tables.items() if shape <= set(table.c.keys()) and "kind" not in table.c}
    assert marks == set(MARKS)


async def test_the_detail_of_opens_goes_and_the_log_stays(ready: Any) -> None:
    now = ready.clock.now()
    columns = "workspace_id, run_id, delivery_id, kind, link, agent, network, features, verdict, rule"
    for at, settled in ((now, now), (now, None), (now + 30 * DAY, now)):
        await ready.change(
            f"INSERT INTO engagement ({columns}, occurred_at, settled_at) VALUES"
            " (1, 1, 1, 'open', 0, 'browser', 'other', '{}', 'human', 'x', :at, :settled)",
            at=at,
            settled=settled,
        )
    ready.clock.advance(timedelta(days=41))
    assert await _forgotten(ready, engagement=timedelta(days=30), messages=timedelta(days=90)) == 1
    left = ready.rows("SELECT occurred_at, settled_at IS NULL FROM engagement ORDER BY id")
    assert [(row[0], bool(row[1])) for row in left] == [(now, True), (now + 30 * DAY, False)]
    assert ready.rows("SELECT count(*) FROM event WHERE kind = 'accepted'") == [(1,)]
