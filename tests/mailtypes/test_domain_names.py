import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailtypes.domain import DomainName, DomainSyntaxError

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda text: text[2:4] != "--")
hebrew_label = st.text(alphabet=[chr(code) for code in range(0x5D0, 0x5EB)], min_size=1, max_size=12)
names = st.lists(label | hebrew_label, min_size=1, max_size=5).map(".".join)


@given(names)
def test_names_are_kept_as_lower_case_a_labels(text: str) -> None:
    name = DomainName.parse(text)
    assert name.ascii.isascii()
    assert name.ascii == name.ascii.lower()
    assert name.labels == tuple(name.ascii.split("."))
    assert len(name.labels) == text.count(".") + 1


@given(names)
def test_all_spellings_of_a_name_meet(text: str) -> None:
    name = DomainName.parse(text)
    for spelling in (name.ascii, name.ascii.upper(), text.upper(), f" {text} ", f"{text}.", name.unicode):
        assert DomainName.parse(spelling) == name


@given(names, names)
def test_within_is_a_matter_of_whole_labels(inner: str, outer: str) -> None:
    ancestor = DomainName.parse(outer)
    assert DomainName.parse(f"{inner}.{outer}").is_within(ancestor)
    assert ancestor.is_within(ancestor)
    assert not ancestor.is_within(DomainName.parse(f"{inner}.{outer}"))
    assert not DomainName.parse(f"x{ancestor.ascii}").is_within(ancestor)


@given(names)
def test_parents_lead_to_the_top(text: str) -> None:
    name: DomainName | None = DomainName.parse(text)
    steps = 0
    while name is not None:
        assert name.parent is None or name.is_within(name.parent)
        name, steps = name.parent, steps + 1
    assert steps == text.count(".") + 1


@given(st.text(max_size=80) | st.text(alphabet="aא1-_.İß。\u200b\ud800 ,@", max_size=30))
@example("İ" * 30 + ".-x")
@example("\ud800.test")
def test_every_text_is_a_name_or_an_error_with_its_place(text: str) -> None:
    try:
        name = DomainName.parse(text)
    except DomainSyntaxError as error:
        _explains_itself(error, text)
    else:
        assert DomainName.parse(name.ascii) == name
        assert all(0 < len(part) <= 63 for part in name.labels)
        assert len(name.ascii) <= 253


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "..", "a..b", ".a", "-a.test", "a-.test", "a b.test", "a,b", "a@b", "a" * 64, "1דואר.test"),
        *("a\n.b", "a\0.b", ".".join(["a" * 60] * 5), "דואר" * 20 + ".test"),
    ],
)
def test_texts_that_are_no_names(text: str) -> None:
    with pytest.raises(DomainSyntaxError):
        DomainName.parse(text)


def test_the_faulty_label_is_marked() -> None:
    with pytest.raises(DomainSyntaxError) as caught:
        DomainName.parse("news.-acme.test")
    assert caught.value.span is not None
    assert "news.-acme.test"[caught.value.span.start : caught.value.span.end] == "-acme"


def test_service_names_have_underscores_and_long_names_fit() -> None:
    assert DomainName.parse("_dmarc.News.ACME.test").ascii == "_dmarc.news.acme.test"
    assert DomainName.parse(".".join(["a" * 63] * 3 + ["b" * 61])).labels[3] == "b" * 61
    assert DomainName.parse("דואר.test").unicode == "דואר.test"


def _explains_itself(error: DomainSyntaxError, text: str) -> None:
    assert error.source == text
    assert error.span is None or error.span.end <= len(text)
    assert error.explain().startswith(error.message)
