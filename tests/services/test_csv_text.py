"""CSV for spreadsheets."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.services.csv_text import csv_text

# Half of a surrogate pair cannot be written in UTF-8, and the csv module reads no lone carriage return as it was.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12)


@given(st.lists(st.lists(st.one_of(texts, st.integers()), min_size=2, max_size=4), max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_but_for_the_apostrophe(rows: list[list[str | int]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [str(cell).removeprefix("'") for cell in row] for row in rows
    ]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_text_is_no_formula_and_a_number_stays_one(begin: str) -> None:
    ((text, number),) = csv.reader(io.StringIO(csv_text([(f"{begin}1+1", -1)]), newline=""))
    assert (text, number) == (f"'{begin}1+1", "-1")
