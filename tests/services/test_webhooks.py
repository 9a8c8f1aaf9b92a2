"""Webhooks: signed, in order, at least once, retried for three days, disabled with an alarm, told again."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mailtypes.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from mailtypes.questions import Unanswered
from postwright.keyrings import read_key_ring, write_new_key
from postwright.outbound_http import HttpPosted
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.webhook_deliveries import DeliveryTerms, WebhookDeliveries
from postwright.services.webhook_endpoints import EndpointChanges, Webhooks
from postwright.services.webhook_retries import RetryTerms
from postwright.store import events, webhook_feeds
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.public_ids import delivery_id, public_id
from postwright.store.tables import metadata
from postwright.store.workspaces import create_workspace

OK = HttpPosted(200, b"thanks")


@dataclass
class Receiver:
    """Stands for the hosts of all endpoints: keeps what it was sent by URL, and answers as it is told."""

    answers: dict[str, Any] = field(default_factory=dict)
    got: dict[str, list[tuple[bytes, dict[str, str]]]] = field(default_factory=dict)
    open: int = 0

    def target(self, url: str, max_answer: int = 0) -> "_Target":
        return _Target(self, url)

    def kinds(self, url: str) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.got.get(url, [])]

    def numbers(self, url: str) -> list[int]:
        return [json.loads(body)["data"]["details"]["n"] for body, _ in self.got.get(url, [])]


@dataclass
class _Target:
    receiver: Receiver
    url: str

    async def __aenter__(self) -> "_Target":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def post(self, body: bytes, headers: dict[str, str]) -> Any:
        self.receiver.got.setdefault(self.url, []).append((body, headers))
        told = self.receiver.answers.get(self.url)
        answer = OK if told is None else told(json.loads(body))
        return await answer if asyncio.iscoroutine(answer) else answer


URL = "https://hooks.acme.test/in"


class World:
    """A database with one workspace, a master key, and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'postwright.db'}"
        self.clock = ManualClock(time.time_ns() // 1000)
        self._engine = create_engine(url)  # without foreign keys: rows stand alone here
        metadata.create_all(self._engine)
        write_new_key(folder / "master.key")
        self.master = read_key_ring(folder / "master.key")
        self.database = Database(url, self.clock)
        with self._engine.begin() as connection:
            self.workspace = create_workspace(connection, "main", self.clock.now())

    def rows(self, statement: str) -> Any:
        """What a plain SQL question finds in the file."""
        with self._engine.begin() as connection:
            return connection.execute(text(statement)).all()

    def add(self, name: str, **values: Any) -> None:
        """A row as it is."""
        with self._engine.begin() as connection:
            connection.execute(metadata.tables[name].insert().values(workspace_id=self.workspace, **values))

    async def close(self) -> None:
        await self.database.close()
        self._engine.dispose()


class Stage:
    """A world with webhooks; ``happen`` puts numbered events into the log."""

    def __init__(self, world: World) -> None:
        self.world, self.receiver, self.clock = world, Receiver(), world.clock
        self.endpoints = Webhooks(world.database, world.clock, world.master, lambda _: None)
        self.deliveries = self.process()
        self.number = 0

    def process(self, **terms: Any) -> WebhookDeliveries:
        wanted = replace(DeliveryTerms(), **terms)
        parts = (self.world.database, self.clock, self.receiver, self.world.master, random.Random(1))
        return WebhookDeliveries(*parts, wanted)  # type: ignore[arg-type]

    async def endpoint(self, url: str = URL, *kinds: str) -> tuple[int, str]:
        made, secret = await self.endpoints.create(self.world.workspace, EndpointChanges(url, "ours", kinds))
        return made.endpoint.id, secret

    async def happen(self, count: int = 1, kind: str = "domain_drift", more: Any = (), **about: Any) -> None:
        made = []
        for _ in range(count):
            self.number += 1
            made.append(
                NewEvent(self.world.workspace, kind, self.clock.now(), data={"n": self.number, **dict(more)}, **about)
            )
        await self.world.database.write(lambda c: events.append(c, made, self.clock.now()))
        await self.pass_time(timedelta(seconds=3))

    async def pass_time(self, time: timedelta) -> None:
        self.clock.advance(time)
        now = self.clock.now()
        await self.world.database.write(lambda c: events.roll_up(c, self.world.workspace, now))

    async def log(self, endpoint: int) -> list[tuple[str, int, int | None]]:
        found = await self.endpoints.deliveries(self.world.workspace, endpoint)
        return [(one.state, one.attempts, one.status) for one in reversed(found)]


@pytest.fixture
async def stage(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield Stage(world)
    await world.close()


async def test_a_webhook_is_verified_by_the_specifications_own_verifier(stage: Stage) -> None:
    _, secret = await stage.endpoint()
    await stage.happen(2)
    assert await stage.deliveries.deliver_due() == 2
    ids = set()
    for body, headers in stage.receiver.got[URL]:
        payload = Webhook(secret).verify(body, headers)
        assert set(payload) == {"type", "timestamp", "data"}
        assert payload["type"] == "domain_drift"
        assert payload["data"]["id"] == headers["webhook-id"]
        assert payload["data"]["schema_version"] == 1
        ids.add(headers["webhook-id"])
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body + b" ", headers)
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 43 + "=").verify(body, headers)
    assert len(ids) == 2
    assert len(secret) == len("whsec_") + 44


async def test_what_is_about_a_message_says_so_and_shows_nothing_internal(stage: Stage) -> None:
    await stage.endpoint(URL, "bounced")
    now = stage.clock.now()
    sender = dict.fromkeys(
        ("signing_domain", "return_path_host", "tracking_host", "from_address", "from_name"), "x.test"
    )
    ids = dict.fromkeys(("stream_id", "domain_id"), 1)
    stage.world.add("run", id=7, kind="api", number=1, state="sending", expires_at=now, created_at=now, **sender, **ids)
    one = delivery_id(7, 1)
    mail = {"header_message_id": "x", "from_address": "a@x.test", "subject": "Hi", "size": 1}
    mail |= {"tags": '["order"]', "client_metadata": '{"order":1042}'}
    stage.world.add("message", id=one, run_id=7, source="api", created_at=now, **mail)
    who = {"address": "ada@example.test", "address_key": "ada@example.test", "domain": "example.test"}
    moments = dict.fromkeys(("queued_at", "expires_at", "next_attempt_at"), now)
    rest = {"message_id": one, "variant": 0, "merge_data": "{}", "state": "delivered", **who, **moments}
    stage.world.add("delivery", id=one, run_id=7, **rest)
    await stage.happen(1, "bounced", run_id=7, delivery_id=one, more={"blob": 5, "reason": "user_unknown"})
    await stage.deliveries.deliver_due()
    ((body, _),) = stage.receiver.got[URL]
    data = json.loads(body)["data"]
    assert data["address"] == "ada@example.test"
    assert data["message"] == public_id("msg", now, one)
    assert data["run"] == public_id("run", now, 7)
    assert (data["campaign"], data["tags"], data["metadata"]) == (None, ["order"], {"order": 1042})
    assert data["details"] == {"n": 1, "reason": "user_unknown"}


async def test_only_the_kinds_that_were_asked_for_in_the_order_of_the_log(stage: Stage) -> None:
    await stage.endpoint(URL, "domain_drift")
    everything = "https://all.acme.test/"
    await stage.endpoint(everything)
    for number in range(130):
        await stage.happen(1, "domain_drift" if number % 3 == 0 else "domain_expiring")
    await stage.deliveries.deliver_due()
    assert stage.receiver.numbers(URL) == list(range(1, 131, 3))
    assert stage.receiver.numbers(everything) == list(range(1, 131))
    assert not await stage.world.database.read(lambda c: webhook_feeds.has_due(c, stage.clock.now()))


async def test_a_failing_endpoint_is_tried_again_later_and_nothing_overtakes(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    stage.receiver.answers[URL] = lambda _: HttpPosted(500, b"broken" * 200)
    await stage.happen(3)
    assert await stage.deliveries.deliver_due() == 0
    assert await stage.deliveries.deliver_due() == 0  # not before its time
    assert stage.receiver.numbers(URL) == [1]
    await stage.pass_time(timedelta(seconds=6))
    stage.receiver.answers[URL] = lambda _: Unanswered("timeout")
    assert await stage.deliveries.deliver_due() == 0
    assert await stage.log(endpoint) == [("failing", 2, None)]
    stage.receiver.answers.clear()
    await stage.pass_time(timedelta(seconds=40))
    assert await stage.deliveries.deliver_due() == 3
    assert stage.receiver.numbers(URL) == [1, 1, 1, 2, 3]
    assert await stage.log(endpoint) == [("delivered", 3, 200), ("delivered", 1, 200), ("delivered", 1, 200)]
    assert len({headers["webhook-id"] for _, headers in stage.receiver.got[URL][:3]}) == 1
    status = await stage.endpoints.get(stage.world.workspace, endpoint)
    assert status.endpoint.failing_since is None


@pytest.mark.parametrize("status", [301, 307, 302, 400, 429, 204, 299, 199, 300])
async def test_only_2xx_is_taken_and_redirects_are_not_followed(stage: Stage, status: int) -> None:
    endpoint, _ = await stage.endpoint()
    stage.receiver.answers[URL] = lambda _: HttpPosted(status, b"")
    await stage.happen()
    taken = 200 <= status < 300
    assert await stage.deliveries.deliver_due() == int(taken)
    assert await stage.log(endpoint) == [("delivered" if taken else "failing", 1, status)]


async def test_retry_after_is_kept_to(stage: Stage) -> None:
    await stage.endpoint()
    stage.receiver.answers[URL] = lambda _: HttpPosted(429, b"", "7200")
    await stage.happen()
    await stage.deliveries.deliver_due()
    await stage.pass_time(timedelta(seconds=7100))
    await stage.deliveries.deliver_due()
    assert len(stage.receiver.got[URL]) == 1
    await stage.pass_time(timedelta(seconds=200))
    await stage.deliveries.deliver_due()
    assert len(stage.receiver.got[URL]) == 2


async def test_one_event_is_given_up_after_three_days_and_the_endpoint_disabled_after_five(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    watcher = "https://watch.acme.test/"
    await stage.endpoint(watcher, "webhook_disabled")
    stage.receiver.answers[URL] = lambda _: HttpPosted(503, b"")
    await stage.happen(2)
    began = stage.clock.now()
    states = []
    while True:
        await stage.deliveries.deliver_due()
        states = await stage.log(endpoint)
        status = await stage.endpoints.get(stage.world.workspace, endpoint)
        if status.endpoint.state == "disabled":
            break
        assert stage.clock.now() - began < 6 * DAY
        await stage.pass_time(timedelta(minutes=70))
    assert 5 * DAY <= stage.clock.now() - began < 5 * DAY + 2 * HOUR
    assert [one[0] for one in states] == ["given_up", "failing"]
    assert states[0][1] > 60  # 72 hours, once an hour at the end
    assert "5 days" in status.endpoint.reason
    assert "503" in status.endpoint.reason
    await stage.pass_time(timedelta(seconds=5))
    await stage.deliveries.deliver_due()
    ((body, _),) = stage.receiver.got[watcher]
    details = json.loads(body)["data"]["details"]
    assert details == {
        "endpoint": status.endpoint.public_id,
        "url": "https://hooks.acme.test",
        "reason": status.endpoint.reason,
    }
    count = len(stage.receiver.got[URL])
    await stage.happen()
    await stage.pass_time(timedelta(days=1))
    await stage.deliveries.deliver_due()
    assert len(stage.receiver.got[URL]) == count
    stage.receiver.answers.clear()
    await stage.endpoints.enable(stage.world.workspace, endpoint)
    await stage.pass_time(timedelta(seconds=5))
    assert await stage.deliveries.deliver_due() >= 2
    assert stage.receiver.kinds(URL)[count:] == ["domain_drift", "webhook_disabled", "domain_drift", "webhook_enabled"]


async def test_gone_disables_at_once_and_what_was_missed_can_be_skipped(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    stage.receiver.answers[URL] = lambda _: HttpPosted(410, b"")
    await stage.happen(3)
    await stage.deliveries.deliver_due()
    status = await stage.endpoints.get(stage.world.workspace, endpoint)
    assert status.endpoint.state == "disabled"
    assert "410" in status.endpoint.reason
    stage.receiver.answers.clear()
    stage.clock.advance(timedelta(seconds=1))
    await stage.endpoints.enable(stage.world.workspace, endpoint, skip_missed=True)
    await stage.happen()
    await stage.deliveries.deliver_due()
    # Neither the two that waited behind the first one nor the alarm; the news that it is enabled is new.
    assert stage.receiver.kinds(URL) == ["domain_drift", "webhook_enabled", "domain_drift"]


async def test_the_head_can_be_skipped(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    bad = HttpPosted(400, b"what is this?")
    stage.receiver.answers[URL] = lambda payload: bad if payload["data"]["details"]["n"] == 2 else OK
    await stage.happen(4)
    assert await stage.deliveries.deliver_due() == 1
    assert await stage.endpoints.skip(stage.world.workspace, endpoint)
    assert not await stage.endpoints.skip(stage.world.workspace, endpoint)
    assert await stage.deliveries.deliver_due() == 2
    assert [one[0] for one in await stage.log(endpoint)] == ["delivered", "skipped", "delivered", "delivered"]


async def test_during_a_rotation_both_secrets_verify(stage: Stage) -> None:
    endpoint, old = await stage.endpoint()
    new = await stage.endpoints.rotate_secret(stage.world.workspace, endpoint, timedelta(hours=1))
    await stage.happen()
    await stage.deliveries.deliver_due()
    body, headers = stage.receiver.got[URL][-1]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    await stage.pass_time(timedelta(hours=1))
    await stage.happen()
    await stage.deliveries.deliver_due()
    body, headers = stage.receiver.got[URL][-1]
    assert len(headers["webhook-signature"].split()) == 1
    stored = stage.world.rows("SELECT sealed FROM webhook_secret")
    assert all(old.encode() not in row[0] and new[6:].encode() not in row[0] for row in stored)


async def test_a_range_and_a_single_one_are_told_again_under_their_ids(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint(URL, "domain_drift")
    moments = []
    for _ in range(6):
        moments.append(stage.clock.now())
        await stage.happen(2)
        await stage.happen(1, "domain_expiring")
    await stage.deliveries.deliver_due()
    first = stage.receiver.got.pop(URL)
    await stage.endpoints.replay(stage.world.workspace, endpoint, moments[2], moments[4] - 1)
    await stage.happen()
    await stage.deliveries.deliver_due()
    assert sorted(stage.receiver.numbers(URL)) == [7, 8, 10, 11, 19]
    again = {headers["webhook-id"] for _, headers in stage.receiver.got.pop(URL)}
    assert len(again - {headers["webhook-id"] for _, headers in first}) == 1
    row = (await stage.endpoints.deliveries(stage.world.workspace, endpoint))[-1]
    await stage.endpoints.replay_one(stage.world.workspace, endpoint, row.id)
    await stage.pass_time(timedelta(seconds=3))
    await stage.deliveries.deliver_due()
    assert stage.receiver.numbers(URL) == [1]
    assert len((await stage.endpoints.get(stage.world.workspace, endpoint)).feeds) == 1
    with pytest.raises(RefusedError):
        await stage.endpoints.replay(stage.world.workspace, endpoint, 5, 5)
    with pytest.raises(NotFoundError):
        await stage.endpoints.replay_one(stage.world.workspace, endpoint, 10**9)


async def test_a_slow_endpoint_holds_up_nobody(stage: Stage) -> None:
    await stage.endpoint()
    held = asyncio.Event()

    async def slowly(_: Any) -> HttpPosted:
        await held.wait()
        return OK

    stage.receiver.answers[URL] = slowly
    others = [f"https://h{number}.acme.test/" for number in range(5)]
    for url in others:
        await stage.endpoint(url)
    await stage.happen(3)
    # Two at once, and one of them stands still.
    under_way = asyncio.create_task(stage.process(concurrency=2, lease=MINUTE).deliver_due())
    for _ in range(500):
        if all(len(stage.receiver.got.get(url, ())) == 3 for url in others):
            break
        await asyncio.sleep(0.01)
    assert [stage.receiver.numbers(url) for url in others] == [[1, 2, 3]] * 5
    assert len(stage.receiver.got[URL]) == 1
    held.set()
    assert await under_way == 18


async def test_several_processes_tell_each_endpoint_once_and_in_order(stage: Stage) -> None:
    urls = [f"https://h{number}.acme.test/" for number in range(6)]
    for url in urls:
        await stage.endpoint(url)

    async def soon(_: Any) -> HttpPosted:
        await asyncio.sleep(0.001)
        return OK

    stage.receiver.answers = dict.fromkeys(urls, soon)
    await stage.happen(60)
    processes = [stage.process(concurrency=2, lease=MINUTE) for _ in range(4)]
    assert sum(await asyncio.gather(*(one.deliver_due() for one in processes))) == 360
    assert all(stage.receiver.numbers(url) == list(range(1, 61)) for url in urls)


async def test_whoever_lost_the_lease_stores_nothing(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    await stage.happen(2)
    released = asyncio.Event()

    async def answer(payload: Any) -> HttpPosted:
        await released.wait()
        return OK

    stage.receiver.answers[URL] = answer
    slow = asyncio.create_task(stage.process(lease=SECOND // 20).deliver_due())
    for _ in range(500):
        if stage.receiver.got.get(URL):
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # the lease is over by the database's clock
    stage.receiver.answers.clear()
    assert await stage.process(lease=MINUTE).deliver_due() == 2
    stage.clock.advance(timedelta(seconds=2))
    released.set()
    await slow
    assert stage.receiver.numbers(URL) == [1, 1, 2]
    assert await stage.log(endpoint) == [("delivered", 1, 200)] * 2


async def test_it_ends_with_what_is_on_its_way_and_another_goes_on(stage: Stage) -> None:
    await stage.endpoint()

    async def soon(_: Any) -> HttpPosted:
        await asyncio.sleep(0.01)
        return OK

    stage.receiver.answers[URL] = soon
    await stage.happen(40)
    one = stage.process(lease=MINUTE)
    assert one.begin()
    assert not one.begin()
    for _ in range(500):
        if stage.receiver.got.get(URL):
            break
        await asyncio.sleep(0.01)
    await one.aclose()
    count = len(stage.receiver.got[URL])
    assert 0 < count < 40
    assert not one.begin()
    await stage.process(lease=MINUTE).deliver_due()
    assert stage.receiver.numbers(URL) == list(range(1, 41))


async def test_the_log_and_what_was_removed_are_forgotten_in_time(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    other, _ = await stage.endpoint("https://other.acme.test/")
    await stage.happen(5)
    await stage.deliveries.deliver_due()
    one = stage.process(keep_log=DAY)
    assert await one.step() == 0
    await stage.endpoints.remove(stage.world.workspace, other)
    await stage.pass_time(timedelta(minutes=11))
    assert await one.step() > 5
    assert [row[0] for row in stage.world.rows("SELECT DISTINCT endpoint_id FROM webhook_delivery")] == [endpoint]
    await stage.pass_time(timedelta(days=2))
    assert await one.step() == 5
    assert await stage.log(endpoint) == []
    with pytest.raises(NotFoundError):
        await stage.endpoints.get(stage.world.workspace, other)
    await one.aclose()


async def test_what_cannot_be_is_refused_with_its_field(stage: Stage) -> None:
    for wanted, name in (
        (EndpointChanges(URL, "", ["delivered", "nothing_such"]), "kinds"),
        (EndpointChanges("https://x/" + "y" * 3000, "", []), "url"),
    ):
        with pytest.raises(RefusedError) as refused:
            await stage.endpoints.create(stage.world.workspace, wanted)
        assert refused.value.problems[0].field == name
    endpoint, _ = await stage.endpoint()
    with pytest.raises(NotFoundError):
        await stage.endpoints.get(stage.world.workspace + 1, endpoint)


def test_the_waits_grow_to_an_hour_and_take_what_is_asked_for() -> None:
    terms, chance = RetryTerms(jitter=0), random.Random(1)
    waits = [terms.next_attempt(number, "", 0, chance) // SECOND for number in range(1, 9)]  # type: ignore[arg-type]
    assert waits == [5, 30, 120, 600, 1800, 3600, 3600, 3600]
    now: Any = 1_700_000_000 * SECOND
    assert terms.next_attempt(1, "Tue, 14 Nov 2023 23:13:20 GMT", now, chance) - now == HOUR
    for nonsense in ("-5", "never", "9" * 30, "Tue, 99 Nov 2023", "\x00"):
        assert terms.next_attempt(1, nonsense, now, chance) - now == 5 * SECOND
    assert terms.next_attempt(1, "999999999", now, chance) - now == DAY


class Slowly:
    """Answers when it is told to; knows how many are on their way at once, and in what order each recipient's came."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.open = self.most = 0
        self.by_recipient: dict[int, list[int]] = {}
        self.refused: set[int] = set()

    async def __call__(self, payload: Any) -> HttpPosted:
        details = payload["data"]["details"]
        self.open += 1
        self.most = max(self.most, self.open)
        for _ in range(self.chance.randint(1, 6)):
            await asyncio.sleep(0)
        self.open -= 1
        if details["n"] in self.refused:
            return HttpPosted(500, b"")
        self.by_recipient.setdefault(details["who"], []).append(details["n"])
        return OK


async def _mails(stage: Stage, count: int, people: int, chance: random.Random) -> dict[int, list[int]]:
    """So many events about so many people, some by message, some by contact, most by both; each one's numbers."""
    wanted: dict[int, list[int]] = {}
    made = []
    for number in range(count):
        who = chance.randrange(people)
        about = {"delivery_id": delivery_id(7, who + 1), "contact_id": who + 1}
        if len(wanted.setdefault(who, [])) and chance.random() < 0.3:
            del about[chance.choice(list(about))]
        wanted[who].append(number)
        data = {"n": number, "who": who}
        made.append(NewEvent(stage.world.workspace, "opened", stage.clock.now(), data=data, **about))
    await stage.world.database.write(lambda c: events.append(c, made, stage.clock.now()))
    await stage.pass_time(timedelta(seconds=3))
    return wanted


async def test_several_are_on_their_way_and_each_recipients_keep_their_order(stage: Stage) -> None:
    chance = random.Random(8)
    await stage.endpoint()
    wanted = await _mails(stage, 150, 25, chance)
    answer = stage.receiver.answers[URL] = Slowly(chance)
    assert await stage.process(in_flight=6).deliver_due() == 150
    assert answer.by_recipient == wanted
    assert answer.most == 6


async def test_one_at_a_time_where_that_is_asked_for(stage: Stage) -> None:
    chance = random.Random(8)
    await stage.endpoint()
    wanted = await _mails(stage, 20, 5, chance)
    answer = stage.receiver.answers[URL] = Slowly(chance)
    assert await stage.process(in_flight=1).deliver_due() == 20
    assert (answer.most, stage.receiver.numbers(URL)) == (1, sorted(stage.receiver.numbers(URL)))
    assert answer.by_recipient == wanted


@pytest.mark.parametrize("seed", range(4))
async def test_what_fails_holds_up_its_recipient_and_nothing_is_told_twice(stage: Stage, seed: int) -> None:
    """Whatever is refused in between, each event is taken once, and each recipient's in their order."""
    chance = random.Random(seed)
    endpoint, _ = await stage.endpoint()
    wanted = await _mails(stage, 120, 30, chance)
    answer = stage.receiver.answers[URL] = Slowly(chance)
    deliveries = stage.process(in_flight=5)
    for _ in range(60):
        answer.refused = set(chance.sample(range(120), 6))
        await deliveries.deliver_due()
        await stage.pass_time(timedelta(hours=2))
        if sum(map(len, answer.by_recipient.values())) == 120:
            break
    assert answer.by_recipient == wanted
    log = await stage.endpoints.deliveries(stage.world.workspace, endpoint, limit=200)
    assert {one.state for one in log} == {"delivered"}
    (live,) = (await stage.endpoints.get(stage.world.workspace, endpoint)).feeds
    assert (live.failures, live.head_event_id) == (0, None)


async def test_an_endpoint_that_is_down_is_asked_by_one_webhook(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    await _mails(stage, 60, 60, random.Random(1))
    stage.receiver.answers[URL] = lambda _: HttpPosted(503, b"")
    deliveries = stage.process(in_flight=8)
    await deliveries.deliver_due()
    assert 1 <= len(stage.receiver.got[URL]) <= 8  # those that were on their way already
    before = len(stage.receiver.got[URL])
    for attempt in range(1, 4):
        await stage.pass_time(timedelta(hours=2))
        await deliveries.deliver_due()
        assert len(stage.receiver.got[URL]) == before + attempt
    (live,) = (await stage.endpoints.get(stage.world.workspace, endpoint)).feeds
    assert live.failures == 4
    stage.receiver.answers.clear()
    await stage.pass_time(timedelta(hours=2))
    assert await deliveries.deliver_due() == 60
    assert len(stage.receiver.got[URL]) == before + 3 + 60


async def test_what_a_person_skips_lets_the_others_be_told(stage: Stage) -> None:
    endpoint, _ = await stage.endpoint()
    wanted = await _mails(stage, 40, 10, random.Random(3))
    answer = stage.receiver.answers[URL] = Slowly(random.Random(3))
    answer.refused = {11}
    deliveries = stage.process(in_flight=4)
    await deliveries.deliver_due()
    assert await stage.endpoints.skip(stage.world.workspace, endpoint)
    await deliveries.deliver_due()
    assert sorted(one for numbers in answer.by_recipient.values() for one in numbers) == [*range(11), *range(12, 40)]
    assert all(numbers == [one for one in wanted[who] if one != 11] for who, numbers in answer.by_recipient.items())


async def test_an_endpoint_is_tried_at_once_whatever_its_state(stage: Stage) -> None:
    endpoint, secret = await stage.endpoint()
    workspace = stage.world.workspace
    await stage.endpoints.disable(workspace, endpoint, "for now")
    with_client = Webhooks(stage.world.database, stage.clock, stage.world.master, lambda _: None, stage.receiver)
    taken = await with_client.try_out(workspace, endpoint)
    assert (taken.is_taken, taken.status, taken.answer) == (True, 200, "thanks")
    ((body, headers),) = stage.receiver.got[URL]
    payload = Webhook(secret).verify(body, headers)
    assert payload["type"] == "webhook_test"
    assert payload["data"]["id"] == headers["webhook-id"] == taken.webhook_id
    stage.receiver.answers[URL] = lambda _: HttpPosted(301, b"\x00elsewhere")
    moved = await with_client.try_out(workspace, endpoint)
    assert (moved.is_taken, moved.status) == (False, 301)
    stage.receiver.answers[URL] = lambda _: Unanswered("timeout")
    silent = await with_client.try_out(workspace, endpoint)
    assert (silent.is_taken, silent.status, silent.cause) == (False, None, "timeout")
    assert await stage.log(endpoint) == []  # it stands in no log, and changes nothing
    after = await stage.endpoints.get(workspace, endpoint)
    assert (after.endpoint.state, after.endpoint.failing_since, after.live.failures) == ("disabled", None, 0)
    with pytest.raises(NotFoundError):
        await with_client.try_out(workspace + 1, endpoint)
    with pytest.raises(RefusedError, match="posted from here"):
        await stage.endpoints.try_out(workspace, endpoint)
