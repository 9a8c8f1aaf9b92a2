"""Which worker gets which tests, and in what order.

A file stays together, so that what it sets up is set up once. Tests that start whole process trees go in two lanes: one
tree that is killed and one that is not, at a time. These come first, then those with a browser, then the largest files,
so that no long one is left for the end.

Among several workers, a file is read by the worker that runs it, and by no other: to import all test modules and to
write their asserts anew takes half a minute, which every worker would spend for itself.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parent
TREES = {"chaos": "killed", "serving": "whole", "demo": "whole", "submission_clients": "whole"}


def _turn(path: Path) -> int:
    if path.relative_to(ROOT).parts[0] in TREES:
        return 0
    return 1 if path.stem.endswith(("_in_chromium", "_guide")) else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: the workers with the process trees mostly wait."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if items and all(isinstance(item, UnreadFile) for item in items):
        items.sort(key=lambda item: (_turn(item.path), -item.path.stat().st_size))
    else:
        items.sort(key=lambda item: _turn(item.path))


class UnreadFile(pytest.Item):
    """Stands for the tests of a module that only the worker that runs them will import."""

    def __init__(self, module: pytest.Module, **options: Any) -> None:
        super().__init__(module.path.name, path=module.path, nodeid=module.nodeid, **options)
        self.module = module
        self.running: pytest.Item | None = None
        self.add_marker(pytest.mark.timeout(0))  # each of its tests has a time of its own

    @property
    def nodeid(self) -> str:
        """That of the test that runs: a worker of xdist looks for it here when the test reports."""
        return self.module.nodeid if self.running is None else self.running.nodeid

    def runtest(self) -> None:
        raise AssertionError("its tests are run in its place")

    def run_all(self, following: pytest.Item | None) -> None:
        """Collect the module and run its tests, with the hooks that they would have been collected and run with."""
        tests = list(self.session.genitems(self.module))
        self.ihook.pytest_collection_modifyitems(session=self.session, config=self.config, items=tests)
        if not tests:
            self.session._setupstate.teardown_exact(following)
        for number, test in enumerate(tests, 1):
            self.running = test
            test.ihook.pytest_runtest_protocol(item=test, nextitem=tests[number] if number < len(tests) else following)
            if self.session.shouldfail or self.session.shouldstop:
                break
        self.running = None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker whether it runs whole files; selections are made among tests that are known."""
    config = node.config
    chosen = ("keyword", "markexpr", "lf", "failedfirst", "newfirst", "deselect")
    node.workerinput["whole_files"] = (
        config.option.dist == "loadfile"
        and not any(config.getoption(name, None) for name in chosen)
        and all(Path(argument).is_dir() for argument in config.args)
    )


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent: pytest.Collector) -> Generator[None, list[pytest.Collector], list[Any]]:
    found = yield
    if not getattr(parent.config, "workerinput", {}).get("whole_files"):
        return found
    return [UnreadFile.from_parent(parent, module=one) if type(one) is pytest.Module else one for one in found]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if not isinstance(item, UnreadFile):
        return None
    item.run_all(nextitem)
    return True


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    """All SQLite engines share a dialect and its compiled statements, which each test would have to make anew.

    One for writing and one for reading, as a process of Postwright has.
    """
    from postwright.store import database  # noqa: PLC0415 - only for tests of this process

    shared: dict[bool, Engine] = {}
    create_engine = database.create_engine

    def create(url: "URL", **options: Any) -> "Engine":
        engine = create_engine(url, query_cache_size=5000, **options)
        if engine.dialect.name == "sqlite":
            first = shared.get(bool(options), engine)
            if first.dialect.server_version_info is None:  # it never connected, and does not know what it speaks to
                first = shared[bool(options)] = engine
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create)
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling":
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where it is asked for

    class TreesInLanes(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return TREES.get(path.split("/")[1], path)

    return TreesInLanes(config, log)
