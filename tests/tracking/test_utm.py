from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.utm import UtmSyntaxError, tag

SPRING = {"utm_source": "postwright", "utm_campaign": "spring sale"}


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://a.test/", "https://a.test/?utm_source=postwright&utm_campaign=spring+sale"),
        ("https://a.test", "https://a.test?utm_source=postwright&utm_campaign=spring+sale"),
        ("https://a.test/?", "https://a.test/?utm_source=postwright&utm_campaign=spring+sale"),
        ("https://a.test/?x=1&", "https://a.test/?x=1&utm_source=postwright&utm_campaign=spring+sale"),
        ("https://a.test/?x=1#top", "https://a.test/?x=1&utm_source=postwright&utm_campaign=spring+sale#top"),
        ("https://a.test/#?x", "https://a.test/?utm_source=postwright&utm_campaign=spring+sale#?x"),
        ("https://a.test/?utm_source=own", "https://a.test/?utm_source=own&utm_campaign=spring+sale"),
        ("https://a.test/?UTM_Source=", "https://a.test/?UTM_Source=&utm_campaign=spring+sale"),
        ("https://a.test/?utm%5Fsource=a", "https://a.test/?utm%5Fsource=a&utm_campaign=spring+sale"),
        ("HTTP://a.test/", "HTTP://a.test/?utm_source=postwright&utm_campaign=spring+sale"),
    ],
)
def test_tagging(url: str, tagged: str) -> None:
    assert tag(url, SPRING) == tagged


@pytest.mark.parametrize(
    "url",
    ["tel:+972-3-5551234", "mailto:a@b.test?subject=x", "#top", "/path", "", "https://", "ftp://a.test/", "sms:1"],
)
def test_everything_else_is_left_alone(url: str) -> None:
    assert tag(url, SPRING) == url


def test_parameters_without_a_value_are_left_out() -> None:
    assert tag("https://a.test/", {"utm_term": ""}) == "https://a.test/"
    assert tag("https://a.test/", {}) == "https://a.test/"


@pytest.mark.parametrize("params", [{"": "x"}, {"a b": "x"}, {"a&b": "x"}, {"x": "y" * 201}])
def test_parameters_that_cannot_be(params: dict[str, str]) -> None:
    with pytest.raises(UtmSyntaxError):
        tag("https://a.test/", params)


@given(
    st.text(alphabet="abc?&=%5F#/._+", max_size=30).map("https://a.test/{}".format),
    st.dictionaries(
        st.sampled_from(["utm_source", "utm_medium", "a", "b"]),
        st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
        max_size=4,
    ),
)
def test_laws(url: str, params: dict[str, str]) -> None:
    tagged = tag(url, params)
    assert tag(tagged, params) == tagged
    before, after = urlsplit(url), urlsplit(tagged)
    assert (after.fragment, after.path, after.netloc) == (before.fragment, before.path, before.netloc)
    assert after.query.startswith(before.query)
    old = parse_qsl(before.query, keep_blank_values=True)
    new = parse_qsl(after.query, keep_blank_values=True)
    assert new[: len(old)] == old
    present = {name.lower() for name, _ in old}
    assert dict(new[len(old) :]) == {name: value for name, value in params.items() if name not in present}
