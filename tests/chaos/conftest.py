"""A stage like the demo's, only smaller and quicker, and what its processes may be asked or have done to them.

``make chaos`` (CHAOS_ROUNDS=50) deals the tests out one by one among as many workers as there are cores and one: each
has a folder, ports and a database of its own. At its end stands what was killed, and what came of it.
"""

import csv
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from postwright.demo.main_job import MainJob
from postwright.demo.stage import Pace, Stage
from postwright.sandbox.ports import free_ports
from postwright.serving.roles import Role
from tests.store.conftest import postgres  # noqa: F401  a fixture

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

EXAMPLES = Path(__file__).parents[2] / "examples"
PACE = Pace(greylist_delay=timedelta(seconds=1), retry_first=timedelta(seconds=1), lease=timedelta(seconds=2))
SLOW = "".join(
    f'[[limit]]\nprovider = "{name}"\nrate = {rate}\n'
    for name, rate in {"mailhub.test": 10.0, "postbox.test": 6.5, "doar.test": 6.5}.items()
)
"""Messages a second, in the proportion of their recipients: a send lasts so long that every kill meets it under way."""
DELIVERING = 2  # processes, on any machine
WHOLE = Counter(map(str, Role)) + Counter({"supervisor": 1, "deliver": DELIVERING - 1})
ORPHANS_END_SECONDS = 45
COUNTED = "counted"


@dataclass(frozen=True)
class Theatre:
    """The stage, what is sent on it, and its processes; only what this test began is ever touched."""

    stage: Stage
    examples: Path
    postgres_url: str | None = None
    jobs: list[MainJob] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def database(self) -> Path:
        return self.stage.folder / "data" / "postwright.db"

    def job(self) -> MainJob:
        self.jobs.append(MainJob(self.stage, self.examples))
        return self.jobs[-1]

    def tree(self) -> Mapping[str, list[psutil.Process]]:
        """The processes by what they are: the ``supervisor``, which is the first, and those of each role that run."""
        assert self.stage.server_pid is not None
        supervisor = psutil.Process(self.stage.server_pid)
        found = {"supervisor": [supervisor]}
        for child in supervisor.children():
            try:
                line = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if line and line[0].startswith("postwright: "):
                found.setdefault(line[0].removeprefix("postwright: "), []).append(child)
        return found

    def wait_until_whole(self) -> None:
        """Wait until the supervisor has begun again what was killed."""
        self.wait_until(lambda: {name: len(found) for name, found in self.tree().items()} == WHOLE)

    def kill(self, *victims: psutil.Process) -> None:
        """Kill these; the supervisor begins them again. What they leave behind ``transmitting`` is counted."""
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        pids = {victim.pid for victim in victims}
        held = self.ask("SELECT worker FROM delivery WHERE state = 'transmitting'")
        self.counts["left transmitting"] += sum(int(worker.split(":")[1]) in pids for (worker,) in held)

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone; the others have to end by themselves."""
        (supervisor,), *others = self.tree().values()
        self.kill(supervisor)
        self.wait_until(lambda: self.stage.server_pid is None)
        self.wait_until(lambda: not any(map(is_alive, chain(*others))), ORPHANS_END_SECONDS)

    def kill_tree(self) -> None:
        """Kill every process of Postwright."""
        tree = list(chain(*self.tree().values()))
        self.kill(*tree)  # the supervisor is the first: it can begin nothing again
        self.wait_until(lambda: self.stage.server_pid is None and not any(map(is_alive, tree)))

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

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
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


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
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


@pytest.fixture(scope="session", autouse=True)
def _bytecode_is_kept() -> Iterator[None]:
    """Processes begin some hundred times here, and would compile anew each time where nothing may be written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


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
        (tmp_path / "slow.toml").write_text(SLOW, "utf-8")
        monkeypatch.setenv("POSTWRIGHT_DELIVER__SHAPING_RULES_FILE", str(tmp_path / "slow.toml"))
        monkeypatch.setenv("POSTWRIGHT_DELIVER__PROCESSES", str(DELIVERING))
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


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[Mapping[str, int]], None]:
    """``told({"kills": 5, ...})``: what is summed up at the end of ``make chaos``."""
    return lambda counts: record_property(COUNTED, dict(counts))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sums: Counter[str] = Counter()
    for report in chain(*terminalreporter.stats.values()):
        for name, counts in getattr(report, "user_properties", ()):
            if name == COUNTED and report.when == "call":
                sums.update(counts)
    if sums:
        terminalreporter.section("chaos")
        for name, number in sums.items():
            terminalreporter.line(f"{number:7,} {name}")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadScopeScheduling | None":
    """Only where nothing but these tests is run: the whole suite has one process tree at a time."""
    if config.option.markexpr != "chaos":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where it is asked for

    class OneByOne(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return str(nodeid)

    return OneByOne(config, log)
