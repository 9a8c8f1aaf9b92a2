"""The journal: what is synced is read back, what is torn is not, and the database gets each visit once."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.errors import StorageError, StorageFullError
from postwright.services.engagement_records import Visit, VisitKind
from postwright.services.tracking_hosts import TrackingHosts
from postwright.track import journal as journal_module
from postwright.track.asgi import TrackApplication
from postwright.track.desk import TrackDesk
from postwright.track.drain import Drain
from postwright.track.journal import HEADER_OCTETS, Journal, JournalLimits, decode, encode, left_behind
from tracking.pixel import PIXEL

visits = st.builds(
    Visit,
    st.sampled_from(VisitKind),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63),
    st.integers(0, 65_535),
    st.sampled_from(["", "192.0.2.1", "2001:db8::1", "x" * 45]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=600),
)


def click(number: int) -> Visit:
    return Visit(VisitKind.CLICK, number, 1_700_000_000_000_000 + number, 1, "192.0.2.1", "Mozilla/5.0")


@given(st.lists(visits, max_size=6))
def test_visits_come_back(written: list[Visit]) -> None:
    octets = b"".join(map(encode, written))
    read, used = decode(octets, 100)
    assert used == len(octets)
    assert [(one.kind, one.delivery_id, one.at, one.link, one.address) for one in read] == [
        (one.kind, one.delivery_id, one.at, one.link, one.address) for one in written
    ]
    assert all(whole.user_agent[:512] == part.user_agent for whole, part in zip(written, read, strict=True))


@given(st.lists(visits, min_size=1, max_size=4), st.data())
def test_what_is_torn_or_flipped_ends_the_reading(written: list[Visit], data: Any) -> None:
    octets = bytearray(b"".join(map(encode, written)))
    cut = data.draw(st.integers(0, len(octets) - 1))
    assert len(decode(bytes(octets[:cut]), 100)[0]) < len(written)
    octets[cut] ^= 1 << data.draw(st.integers(0, 7))
    read, used = decode(bytes(octets), 100)
    assert len(read) < len(written)
    assert used <= cut


@given(st.binary(max_size=300))
def test_nonsense_is_no_visit(octets: bytes) -> None:
    decode(octets, 100)


async def test_a_click_is_on_the_disk_when_it_is_acknowledged(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    await asyncio.gather(*(journal.durably(click(number)) for number in range(50)))
    content = journal.files[0].path.read_bytes()[HEADER_OCTETS:]
    assert [one.delivery_id for one in decode(content, 100)[0]] == list(range(50))
    await journal.close()


async def test_opens_are_written_a_moment_later_and_at_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path, JournalLimits(flush=0.02))
    journal.open()
    assert journal.soon(click(1))
    assert journal.backlog == 0
    await asyncio.wait_for(journal.news.wait(), 5)
    assert journal.backlog == len(encode(click(1)))
    journal.soon(click(2))
    await journal.close()
    assert journal.backlog == 2 * len(encode(click(1)))


async def test_opens_are_dropped_and_counted_when_there_is_no_room(tmp_path: Path) -> None:
    size = len(encode(click(1)))
    dropped = [journal_module.DROPPED.labels(reason) for reason in ("buffer", "disk")]
    before = [one._value.get() for one in dropped]
    journal = Journal(tmp_path, JournalLimits(pending=3 * size, backlog=5 * size, flush=60))
    journal.open()
    assert [journal.soon(click(number)) for number in range(5)] == [True] * 3 + [False] * 2
    await journal.durably(click(9))  # a click is waited for, so it finds room
    assert journal.soon(click(10))
    await journal.settle()
    assert journal.backlog == 5 * size
    assert not journal.soon(click(11))
    assert [one._value.get() - was for one, was in zip(dropped, before, strict=True)] == [2, 1]
    await journal.close()


async def test_a_full_disk_is_told_to_who_waits_and_nothing_half_stays(tmp_path: Path, monkeypatch: Any) -> None:
    journal = Journal(tmp_path)
    journal.open()
    await journal.durably(click(1))
    write, room = os.pwrite, [10]

    def short_of_room(descriptor: int, octets: Any, place: int) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(octets)[: room.pop()], place)

    monkeypatch.setattr(journal_module.os, "pwrite", short_of_room)
    with pytest.raises(StorageFullError):
        await journal.durably(click(2))
    monkeypatch.undo()
    await journal.durably(click(3))
    content = journal.files[0].path.read_bytes()[HEADER_OCTETS:]
    assert [one.delivery_id for one in decode(content, 100)[0]] == [1, 3]
    await journal.close()


async def test_a_file_that_cannot_be_begun_is_told_and_tried_again(tmp_path: Path, monkeypatch: Any) -> None:
    journal = Journal(tmp_path, JournalLimits(file=HEADER_OCTETS))
    journal.open()

    def fail(_: Path) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(journal_module, "_create", fail)
    dropped = journal_module.DROPPED.labels("disk")
    before = dropped._value.get()
    assert journal.soon(click(1))
    with pytest.raises(StorageError):
        await asyncio.wait_for(journal.durably(click(2)), 5)
    assert dropped._value.get() == before + 1
    monkeypatch.undo()
    await journal.durably(click(3))
    assert [one.delivery_id for one in decode(journal.files[-1].path.read_bytes()[HEADER_OCTETS:], 9)[0]] == [3]
    await journal.close()


async def test_a_failed_sync_ends_the_process(tmp_path: Path, monkeypatch: Any) -> None:
    ended: list[BaseException] = []
    journal = Journal(tmp_path, on_unknown_state=ended.append)
    journal.open()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(journal_module.os, "fdatasync", fail)
    with pytest.raises(StorageError):
        await journal.durably(click(1))
    assert len(ended) == 1
    monkeypatch.undo()
    await journal.close()


class Taker:
    """Instead of ``Engagement``: takes visits, and refuses where a test says so."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.visits: list[Visit] = []
        self.forgotten: list[str] = []
        self.refusals = 0

    async def take_from_journal(self, journal_id: str, span: tuple[int, int], visits: list[Visit]) -> int:
        if self.refusals:
            self.refusals -= 1
            raise StorageError("away")
        if self.taken.get(journal_id, 0) == span[0]:
            self.taken[journal_id] = span[1]
            self.visits += visits
        return 0

    async def taken_of_journal(self, journal_id: str) -> int:
        return self.taken.get(journal_id, 0)

    async def forget_journal(self, journal_id: str) -> None:
        self.forgotten.append(journal_id)

    async def load_targets(self) -> None:
        pass

    @property
    def ids(self) -> list[int]:
        return [one.delivery_id for one in self.visits]


async def test_the_drain_takes_each_visit_once_and_deletes_the_file_at_the_end(tmp_path: Path) -> None:
    taker, journal = Taker(), Journal(tmp_path, JournalLimits(file=2_000))
    engagement: Any = taker
    journal.open()
    drain = Drain(engagement, journal, tmp_path)
    for number in range(100):  # over several files
        await journal.durably(click(number))
    assert len(journal.files) > 1
    taker.refusals = 1
    with pytest.raises(StorageError):
        await drain.step()
    await drain.empty()
    assert taker.ids == list(range(100))
    assert len(os.listdir(tmp_path)) == 1
    await journal.durably(click(100))
    await journal.settle()
    await drain.finish()
    await journal.close()
    assert taker.ids == list(range(101))
    assert os.listdir(tmp_path) == []


async def test_what_a_dead_process_left_is_taken_from_where_it_stood(tmp_path: Path) -> None:
    taker = Taker()
    engagement: Any = taker
    dead = Journal(tmp_path)
    dead.open()
    for number in range(5):
        await dead.durably(click(number))
    # It had told the database of two, was writing a sixth, and died.
    taker.taken[dead.files[0].id] = HEADER_OCTETS + len(encode(click(0))) * 2
    path = dead.files[0].path
    alive = Journal(tmp_path)
    alive.open()
    drain = Drain(engagement, alive, tmp_path)
    assert left_behind(tmp_path, set()) == []  # both are locked
    await drain.empty()
    assert taker.ids == []
    await dead.close()
    with path.open("ab") as file:
        file.write(encode(click(5))[:-3])
    drain = Drain(engagement, alive, tmp_path)
    await drain.empty()
    assert taker.ids == [2, 3, 4]
    assert not path.exists()
    assert taker.forgotten == [path.stem]
    await alive.close()


async def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.journal").write_bytes(b"dear diary, it rains again today")
    (tmp_path / "empty.journal").write_bytes(b"")
    (tmp_path / "other.txt").write_bytes(b"x")
    assert left_behind(tmp_path, set()) == []
    assert sorted(os.listdir(tmp_path)) == ["notes.journal", "other.txt"]


@pytest.fixture
async def served(visit: Any, tmp_path: Path) -> Any:
    """The visitor's application with a desk, opened as a server would."""
    hosts = TrackingHosts(visit.world.database, visit.world.clock, "links.postwright.test")
    desk = TrackDesk(visit.world.engagement, hosts, tmp_path / "track", JournalLimits(flush=0.01))
    visit.application = TrackApplication(visit.world.engagement, desk)
    visit.desk = desk
    await desk.open()
    yield visit
    await desk.close()


async def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("this did not happen in time")


async def test_visits_reach_the_log_through_the_journal(served: Any) -> None:
    local = {"client": ("127.0.0.1", 5)}
    headers = [(b"user-agent", b"Mozilla/5.0 Firefox/127.0"), (b"x-forwarded-for", b"6.6.6.6, 203.0.113.9, 127.0.0.2")]
    assert (await served("GET", f"/o/{served.tokens['o']}.gif", headers=headers, **local)).body == PIXEL
    assert (await served("HEAD", f"/c/{served.tokens['c']}", headers=headers, **local)).status == 302
    assert (await served("GET", f"/c/{served.tokens['c']}", headers=headers, **local)).status == 302
    await until(lambda: len(served.happened()) == 2)
    rows = served.world.rows("SELECT kind, address, agent, rule FROM engagement ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("open", "203.0.113.9", "browser", "unknown"),
        ("look", "203.0.113.9", "browser", "look"),
        ("click", "203.0.113.9", "browser", "head_first"),
    ]


async def test_nobody_but_a_proxy_is_believed_about_the_client(served: Any) -> None:
    headers = [(b"x-forwarded-for", b"203.0.113.9")]
    await served("GET", f"/o/{served.tokens['o']}.gif", headers=headers, client=("198.51.100.1", 5))
    await until(served.happened)
    assert served.world.rows("SELECT address FROM engagement") == [("198.51.100.1",)]


async def test_links_and_unsubscribes_work_while_the_database_is_away(served: Any, monkeypatch: Any) -> None:
    await served.world.engagement.load_targets()
    database = served.world.database
    read, write = database.read, database.write

    async def away(*_: Any) -> None:
        raise StorageError("away")

    monkeypatch.setattr(database, "read", away)
    monkeypatch.setattr(database, "write", away)
    answer = await served("GET", f"/c/{served.tokens['c']}")
    assert (answer.status, answer.headers["location"]) == (302, "https://acme.test/spring?from=mail")
    assert (await served("GET", f"/o/{served.tokens['o']}.gif")).body == PIXEL
    gone = await served("POST", f"/u/{served.tokens['u']}", (b"List-Unsubscribe=One-Click",))
    assert gone.status == 200
    assert served.happened() == []
    monkeypatch.setattr(database, "read", read)
    monkeypatch.setattr(database, "write", write)
    await until(lambda: len(served.happened()) == 3)
    assert sorted(served.happened()) == ["clicked", "opened", "unsubscribed"]
    assert served.is_suppressed()


async def test_the_proxy_is_told_which_hosts_are_ours(served: Any) -> None:
    (host,) = served.world.rows("SELECT tracking_host FROM sender_domain")[0]
    local = {"client": ("127.0.0.1", 5)}

    async def ask(query: str, **scope: Any) -> int:
        return int((await served("GET", "/ask", query_string=query.encode(), **{**local, **scope})).status)

    assert await ask(f"domain={host}") == 200
    assert await ask(f"domain={host.upper()}.") == 200
    assert await ask("domain=links.postwright.test") == 200
    for query in (
        "domain=evil.test",
        f"domain=x.{host}",
        "",
        "domain=",
        f"domain={host}&domain=evil.test",
        "domain=%00",
    ):
        assert await ask(query) == 404, query
    # Visitors come through the proxy, which says so, or from elsewhere.
    assert await ask(f"domain={host}", headers=[(b"x-forwarded-for", b"203.0.113.1")]) == 404
    assert await ask(f"domain={host}", client=("203.0.113.1", 5)) == 404
    metrics = await served("GET", "/metrics", **local)
    assert b"postwright_track_dropped_total" in metrics.body
    assert (await served("GET", "/metrics", client=("203.0.113.1", 5))).status == 404


async def test_a_host_known_before_stays_known_while_the_database_is_away(served: Any, monkeypatch: Any) -> None:
    hosts = served.desk.hosts
    (host,) = served.world.rows("SELECT tracking_host FROM sender_domain")[0]
    assert await hosts.has(host)

    async def away(*_: Any) -> None:
        raise StorageError("away")

    monkeypatch.setattr(served.world.database, "read", away)
    from datetime import timedelta  # noqa: PLC0415

    served.world.clock.advance(timedelta(minutes=5))
    assert await hosts.has(host)
    served.world.clock.advance(timedelta(minutes=5))
    with pytest.raises(StorageError):
        await hosts.has("new.test")
