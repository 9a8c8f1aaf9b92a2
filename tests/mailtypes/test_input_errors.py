import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.errors import InputSyntaxError, Span


@given(st.text(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_any_place_in_any_text_can_be_explained(source: str, start: int, length: int) -> None:
    start = min(start, len(source))
    error = InputSyntaxError(
        "wrong", source=source, span=Span(start, min(start + length, len(source))), next_step="Mend it."
    )
    line, column = error.line_and_column or (0, 0)
    assert (
        "".join(part + "\n" for part in source.split("\n")[: line - 1]) + source.split("\n")[line - 1][: column - 1]
        == source[:start]
    )
    explained = error.explain()
    assert explained.startswith("wrong\n  ")
    assert explained.endswith("Mend it.")


def test_the_caret_stands_under_the_fault() -> None:
    source = "v=spf1\ninclude:_spf.exmaple.com -all"
    start = source.index("exmaple")
    error = InputSyntaxError(
        "no such domain", source=source, span=Span(start, start + 7), next_step="Did you mean example?"
    )
    assert error.line_and_column == (2, 14)
    assert error.explain().split("\n") == [
        "no such domain",
        "  include:_spf.exmaple.com -all",
        "  " + " " * 13 + "^" * 7,
        "Did you mean example?",
    ]


def test_without_a_place_there_is_the_message_alone() -> None:
    error = InputSyntaxError("empty")
    assert error.line_and_column is None
    assert error.explain() == str(error) == "empty"


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2)])
def test_spans_run_forward(start: int, end: int) -> None:
    with pytest.raises(ValueError):
        Span(start, end)
