"""Which processor each delivery process keeps to."""

import pytest

from postwright.serving.supervisor import _delivery_cores
from postwright.settings import Settings


@pytest.mark.parametrize(
    ("processes", "cores", "expected"),
    [
        (0, [0, 1], [0, 1]),
        (0, [5], [None]),
        (0, [], [None]),
        (0, list(range(16)), [None] * 4),
        (1, [0, 1], [None]),
        (3, [2, 7], [2, 7, 2]),
    ],
)
def test_a_process_for_each_core_stays_on_its_core(processes, cores, expected) -> None:
    assert _delivery_cores(Settings(deliver={"processes": processes}), cores) == expected
