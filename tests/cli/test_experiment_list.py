"""``postwright experiment list`` in an install without tests; with one: tests/demo/test_the_better_subject_wins.py."""


def test_without_tests_there_is_a_sentence(postwright) -> None:
    found = postwright("experiment", "list", "--state", "asking")
    assert (found.code, found.out.strip()) == (0, "No campaign tests anything.")
    assert postwright("experiment", "list", "--json").out == ""


def test_what_is_no_state_is_refused(postwright) -> None:
    found = postwright("experiment", "list", "--state", "over")
    assert found.code == 64
    assert "drawing, assigning, testing, asking, releasing, finished" in found.err
