"""Leases of endpoints, and reading the log on for each of them: one contract over both databases."""

import asyncio
import random
from typing import Any

from mailtypes.clock import HOUR, MINUTE, SECOND, Microseconds
from postwright.store import events, webhook_feeds, webhooks
from postwright.store.events import NewEvent
from postwright.store.webhook_feeds import Claimed, EndpointState, FeedState, Progress, Telling
from tests.store.conftest import NOW, World

AT = Microseconds(NOW)
LATER = Microseconds(NOW + 100 * HOUR)


async def _endpoint(world: World, *kinds: str, url: str = "https://x.test/") -> int:
    return int(await world.write(webhooks.add_endpoint, world.workspace, (url, ""), kinds, AT))


async def _log(world: World, kinds: list[str], chance: random.Random) -> list[tuple[int, int, str]]:
    """Events of these kinds at moments of which several share one; returns their places and kinds."""
    at = NOW
    for kind in kinds:
        at += chance.choice((0, 0, 1, SECOND))
        await world.write(events.append, [NewEvent(world.workspace, kind, at)], Microseconds(at))
    await world.write(events.roll_up, world.workspace, LATER)
    return [(row.recorded_at, row.id, row.kind) for row in await world.events()]


def _telling(place: tuple[int, int, str], state: str = "delivered", attempts: int = 1) -> Telling:
    return Telling(place[1], place[0], place[2], state, attempts, 200, 5, "ok", "", NOW, NOW)


async def _claim(world: World, limit: int = 10, lease: int = MINUTE, now: int = NOW) -> list[Claimed]:
    found: list[Claimed] = await world.write(webhook_feeds.claim, limit, lease, Microseconds(now))
    return found


async def test_a_feed_reads_every_wanted_event_once_in_order_in_any_batches(world: World, monkeypatch: Any) -> None:
    chance = random.Random(7)
    await _endpoint(world, "a", "c")
    await _endpoint(world)
    places = await _log(world, [chance.choice("aabbbbbbc") for _ in range(120)], chance)
    for window in (1, 3, 50, 5000):
        monkeypatch.setattr(webhook_feeds, "WINDOW", window)
        for endpoint in await world.read(webhooks.list_endpoints, world.workspace):
            (feed,) = await world.read(webhooks.feeds_of, endpoint.id)
            wanted = [one[:2] for one in places if not endpoint.wanted or one[2] in endpoint.wanted]
            found, reached = [], feed.place
            for _ in range(1000):
                moved = webhooks.Feed(*[getattr(feed, name) for name in webhooks.Feed.__slots__])
                object.__setattr__(moved, "recorded_at", reached[0])
                object.__setattr__(moved, "event_id", reached[1])
                reading = await world.read(webhook_feeds.read_on, moved, endpoint.wanted, chance.choice((1, 2, 9)))
                found += [(one.recorded_at, one.id) for one in reading.events]
                if reading.reached == reached:
                    break
                assert reading.reached > reached
                reached = reading.reached
            assert found == wanted
            assert reached[0] >= LATER - events.ROLLUP_LAG


async def test_a_replay_reads_its_range_and_is_over(world: World) -> None:
    endpoint = await _endpoint(world)
    places = await _log(world, ["a"] * 20, random.Random(3))
    first, last = places[4][:2], places[11][:2]
    span = ((first[0], first[1] - 1), last)
    feed_id = await world.write(webhooks.add_feed, (world.workspace, endpoint), webhooks.REPLAY, span, AT)
    feed = await world.read(webhooks.get_feed, feed_id)
    reading = await world.read(webhook_feeds.read_on, feed, (), 100)
    found = [(one.recorded_at, one.id) for one in reading.events]
    assert found == [one[:2] for one in places if first <= one[:2] <= last]
    assert feed.is_over(reading.reached)
    assert not feed.is_over(span[0])


async def test_an_endpoint_is_claimed_by_one_until_its_lease_is_over(world: World, open_database: Any) -> None:
    for number in range(6):
        await _endpoint(world, url=f"https://h{number}.test/")
    assert not await world.read(webhook_feeds.has_due, AT)
    assert await _claim(world) == []
    await _log(world, ["a"] * 3, random.Random(1))
    others = [open_database() for _ in range(3)]
    claims = await asyncio.gather(
        *(one.write(lambda c: webhook_feeds.claim(c, 2, MINUTE, AT)) for one in others for _ in range(2))
    )
    ids = [claimed.endpoint.id for some in claims for claimed in some]
    assert len(ids) == len(set(ids))
    claims += [await _claim(world)]
    assert sorted(one.endpoint.id for some in claims for one in some) == sorted(
        one.id for one in await world.read(webhooks.list_endpoints, world.workspace)
    )
    assert not await world.read(webhook_feeds.has_due, AT)
    one = next(claimed for some in claims for claimed in some)
    await world.write(webhook_feeds.release, one)
    (again,) = await _claim(world)
    assert (again.endpoint.id, again.epoch) == (one.endpoint.id, 2)


async def test_whoever_has_an_old_epoch_stores_nothing(world: World) -> None:
    await _endpoint(world)
    places = await _log(world, ["a"] * 3, random.Random(1))
    (old,) = await _claim(world, lease=0)
    (new,) = await _claim(world)
    feed = await world.read(webhook_feeds.next_feed, new, AT)
    done = Progress(feed, [_telling(places[0])], FeedState(places[0][:2]), EndpointState(None))
    assert not await world.write(webhook_feeds.store_progress, old, done, MINUTE, AT)
    assert await world.read(webhooks.list_deliveries, new.endpoint.id, None) == []
    assert await world.write(webhook_feeds.store_progress, new, done, MINUTE, AT)
    (row,) = await world.read(webhooks.list_deliveries, new.endpoint.id, None)
    assert (row.event_id, row.state) == (places[0][1], "delivered")
    await world.write(webhook_feeds.release, old)  # of no effect
    assert await _claim(world) == []


async def test_a_second_attempt_is_the_same_row_and_waits_for_its_time(world: World) -> None:
    await _endpoint(world)
    places = await _log(world, ["a"] * 2, random.Random(1))
    (held,) = await _claim(world)
    feed = await world.read(webhook_feeds.next_feed, held, AT)
    place = (places[0][0], places[0][1] - 1)
    state = FeedState(place, 1, NOW + HOUR, places[0][1], NOW, 1)
    progress = Progress(feed, [_telling(places[0], "failing")], state, EndpointState(NOW))
    assert await world.write(webhook_feeds.store_progress, held, progress, MINUTE, AT)
    await world.write(webhook_feeds.release, held)
    assert await _claim(world) == []
    (held,) = await _claim(world, now=NOW + HOUR)
    assert held.endpoint.failing_since == NOW
    feed = await world.read(webhook_feeds.next_feed, held, Microseconds(NOW + HOUR))
    assert (feed.head_event_id, feed.head_attempts, feed.failures) == (places[0][1], 1, 1)
    progress = Progress(feed, [_telling(places[0], "delivered", 2)], FeedState(places[0][:2]), EndpointState(None))
    assert await world.write(webhook_feeds.store_progress, held, progress, MINUTE, AT)
    (row,) = await world.read(webhooks.list_deliveries, held.endpoint.id, None)
    assert (row.attempts, row.state) == (2, "delivered")


async def test_disabling_ends_the_turn_and_is_an_event_once(world: World) -> None:
    await _endpoint(world)
    await _log(world, ["a"], random.Random(1))
    (held,) = await _claim(world)
    feed = await world.read(webhook_feeds.next_feed, held, AT)
    progress = Progress(feed, [], FeedState(feed.place), EndpointState(NOW, "It is gone."))
    for _ in range(2):
        assert not await world.write(webhook_feeds.store_progress, held, progress, MINUTE, LATER)
    (told,) = await world.events("webhook_disabled")
    assert "It is gone." in told.data
    endpoint = await world.read(webhooks.get_endpoint, world.workspace, held.endpoint.id)
    assert (endpoint.state, endpoint.reason, endpoint.disabled_at) == ("disabled", "It is gone.", LATER)
    await world.write(webhook_feeds.release, held)
    assert await _claim(world, now=LATER) == []
    await world.write(webhooks.enable, endpoint.id, None, LATER)
    assert len(await _claim(world, now=LATER)) == 1
