"""The page on statistics says what the code says."""

from pathlib import Path

import postwright
from postwright.services.statistic_terms import DEFINITIONS

PAGE = Path(postwright.__file__).parents[1] / "docs" / "statistics.md"


def test_the_page_has_every_definition() -> None:
    text = PAGE.read_text("utf-8")
    table = text.split("<!-- definitions -->")[1].split("<!-- /definitions -->")[0]
    rows = [f"| `{word}` | {meaning} |" for word, meaning in DEFINITIONS.items()]
    assert table.strip().splitlines()[2:] == rows
