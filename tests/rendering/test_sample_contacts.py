from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.sample_contacts import SampleKind, by_address, choose_samples

RECORDS = [
    {"email": "a@x.test", "first_name": "Ann", "city": "York", "plan": "club"},
    {"email": "b@x.test", "first_name": "", "city": None, "plan": " "},
    {"email": "c@x.test", "first_name": "Wolfeschlegelsteinhausen", "city": "Derby", "plan": "club"},
    {"email": "d@x.test", "first_name": "דנה", "city": "Haifa", "plan": "club"},
]


def test_the_ones_that_break_templates_are_chosen() -> None:
    chosen = {sample.kind: sample.index for sample in choose_samples(RECORDS)}
    assert chosen == {
        SampleKind.TYPICAL: 0,
        SampleKind.LONGEST_NAME: 2,
        SampleKind.EMPTIEST: 1,
        SampleKind.RIGHT_TO_LEFT: 3,
    }
    assert choose_samples(RECORDS)[0].kind is SampleKind.TYPICAL
    assert choose_samples([]) == ()


def test_by_address() -> None:
    assert by_address(RECORDS, " C@X.test ").index == 2
    assert by_address(RECORDS, "nobody@x.test") is None


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["email", "name", "x"]), st.none() | st.text() | st.integers()), max_size=8
    )
)
@settings(max_examples=150)
def test_each_contact_once_and_always_one(records) -> None:
    chosen = choose_samples(records)
    assert bool(chosen) == bool(records)
    assert len({sample.index for sample in chosen}) == len(chosen)
    assert all(0 <= sample.index < len(records) for sample in chosen)
    assert chosen == choose_samples(records)
