"""A stage like the demo's, only smaller and quicker, and what its processes may be asked or have done to them."""

import csv
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from postwright.demo.main_job import MainJob
from postwright.demo.stage import Pace, Stage
from postwright.sandbox.ports import free_ports
from tests.store.conftest import postgres  # noqa: F401  a fixture

EXAMPLES = Path(__file__).parents[2] / "examples"
PACE = Pace(greylist_delay=timedelta(seconds=1), retry_first=timedelta(seconds=1), lease=timedelta(seconds=2))
ORPHANS_END_SECONDS = 45


@dataclass(frozen=True)
class Theatre:
    """The stage, what is sent on it, and its processes; only what this test began is ever touched."""

    stage: Stage
    examples: Path
    postgres_url: str | None = None
    jobs: list[MainJob] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.stage.folder / "data" / "postwright.db"

    def job(self) -> MainJob:
        self.jobs.append(MainJob(self.stage, self.examples))
        return self.jobs[-1]

    def tree(self) -> Mapping[str, psutil.Process]:
        """``supervisor`` and the roles that run."""
        assert self.stage.server_pid is not None
        supervisor = psutil.Process(self.stage.server_pid)
        found = {"supervisor": supervisor}
        for child in supervisor.children():
            try:
                line = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if line and line[0].startswith("postwright: "):
                found[line[0].removeprefix("postwright: ")] = child
        return found

    def kill_role(self, role: str) -> None:
        """Kill one process of the tree; returns when the supervisor has begun it again."""
        victim = self.tree().get(role)
        if victim is not None:
            victim.kill()
        self.wait_until(lambda: self.tree().get(role, victim) != victim)

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone; the others have to end by themselves."""
        supervisor, *orphans = self.tree().values()
        supervisor.kill()
        self.wait_until(lambda: self.stage.server_pid is None)
        self.wait_until(lambda: not any(map(is_alive, orphans)), ORPHANS_END_SECONDS)

    def kill_tree(self) -> None:
        """Kill every process of Postwright."""
        tree = self.tree()
        for process in tree.values():  # the supervisor is the first: it can begin nothing again
            process.kill()
        self.wait_until(lambda: self.stage.server_pid is None and not any(map(is_alive, tree.values())))

    def received(self) -> int:
        """How many messages lie in the mailboxes by now."""
        return int(ask(self.stage.layout.mailboxes_path, "SELECT count(*) FROM message")[0][0])

    def copies(self) -> dict[str, list[tuple[int, str, str]]]:
        """What each recipient has: (id, Message-ID, DKIM result) of each copy."""
        found: dict[str, list[tuple[int, str, str]]] = {}
        for key, *copy in ask(self.stage.layout.mailboxes_path, "SELECT rcpt_key, id, message_id, dkim FROM message"):
            found.setdefault(key, []).append(tuple(copy))
        return found

    def deliveries(self) -> dict[str, tuple[str, int]]:
        """State and number of ambiguities of each recipient."""
        rows = self.ask("SELECT address_key, state, ambiguities FROM delivery")
        return {key: (state, number) for key, state, number in rows}

    def ask(self, sql: str) -> list[tuple]:
        """Rows of Postwright's database."""
        if self.postgres_url is None:
            return ask(self.database, sql)
        with psycopg.connect(self.postgres_url) as connection:
            return connection.execute(sql.encode()).fetchall()

    @staticmethod
    def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "this did not happen in time"
            time.sleep(0.005)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ask(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)) as database:
        return database.execute(sql).fetchall()


def few_examples(folder: Path, rows: int, chance: random.Random) -> Path:
    """The examples with ``rows`` of their contacts, drawn from all of them."""
    folder.mkdir()
    for name in ("newsletter.mjml", "suppressions.csv"):
        shutil.copy(EXAMPLES / name, folder)
    with (EXAMPLES / "contacts.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *contacts = csv.reader(file)
    with (folder / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *chance.sample(contacts, rows)])
    return folder


@pytest.fixture
def theatre(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int, random.Random, str], Theatre]]:
    """``theatre(rows, chance, "sqlite" or "postgresql")``."""
    stages: list[Stage] = []
    theatres: list[Theatre] = []
    urls: list[str] = []

    def set_up(rows: int, chance: random.Random, database: str = "sqlite") -> Theatre:
        examples = few_examples(tmp_path / "examples", rows, chance)
        if database == "postgresql":
            urls.append(request.getfixturevalue("postgres").create())
            monkeypatch.setenv("POSTWRIGHT_DATABASE__URL", urls[-1])
        stages.append(Stage.set_up(tmp_path / "stage", free_ports(1)[0], PACE))
        theatres.append(Theatre(stages[-1], examples, urls[-1] if urls else None))
        return theatres[-1]

    yield set_up
    for job in (job for one in theatres for job in one.jobs):
        job.close()
    for stage in stages:
        stage.__exit__()
    for url in urls:
        request.getfixturevalue("postgres").drop(url)
