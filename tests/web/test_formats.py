"""Numbers, shares and durations as people read them."""

import pytest

from postwright.web import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.5, "1.5 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (3601, "1 h"), (93_600, "1 d 2 h")],
)
def test_two_units_are_enough(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0%"),
        (0, 5, "0%"),
        (5, 5, "100%"),
        (1, 3, "33.3%"),
        (1, 1_000_000, "0.1%"),
        (999_999, 1_000_000, "99.9%"),
    ],
)
def test_a_share_says_all_and_none_only_where_it_is_so(part: int, whole: int, text: str) -> None:
    assert formats.percent(part, whole) == text


def test_numbers_have_separators_and_moments_a_zone() -> None:
    assert formats.number(1_234_567) == "1,234,567"
    assert formats.number(3.25) == "3.2"
    assert formats.iso_moment(1_700_000_000_000_000) == "2023-11-14T22:13:20.000+00:00"
    assert formats.moment(1_700_000_000_000_000) == "14 Nov 2023, 22:13:20"
