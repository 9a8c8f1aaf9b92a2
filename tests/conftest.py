"""Which worker gets which tests, and in what order.

A file stays together, so that what it sets up is set up once. Tests that start whole process trees stay together too:
one tree at a time. These come first, then those with a browser, so that no long one is left for the end.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling":
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where it is asked for

    class OneTreeAtATime(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "trees" if path.split("/")[1] in TREES else path

    return OneTreeAtATime(config, log)
