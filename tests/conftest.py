"""Which worker gets which tests, and in what order.

A file stays together, so that what it sets up is set up once. Tests that start whole process trees stay together too:
one tree at a time. These come first, then those with a browser, so that no long one is left for the end.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, Engine

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parent
TREES = frozenset({"serving", "chaos", "demo", "submission_clients"})


def _turn(path: Path) -> int:
    if path.relative_to(ROOT).parts[0] in TREES:
        return 0
    return 1 if path.stem.endswith(("_in_chromium", "_guide")) else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the worker with the process trees mostly waits."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.path))


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    """All SQLite engines share a dialect and its compiled statements, which each test would have to make anew.

    One for writing and one for reading, as a process of Postwright has.
    """
    from postwright.store import database  # noqa: PLC0415 - only for tests of this process

    shared: dict[bool, Engine] = {}
    create_engine = database.create_engine

    def create(url: URL, **options: Any) -> Engine:
        engine = create_engine(url, query_cache_size=5000, **options)
        if engine.dialect.name == "sqlite":
            first = shared.setdefault(bool(options), engine)
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create)
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling":
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where it is asked for

    class OneTreeAtATime(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "trees" if path.split("/")[1] in TREES else path

    return OneTreeAtATime(config, log)
