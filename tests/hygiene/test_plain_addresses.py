"""The short way of reading an address against the long one (mailtypes and email-validator)."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hygiene.address_checks import check_address, check_any_address, plain_address

ATEXT = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-"
labels = st.text("abzAZ059-", min_size=1, max_size=8) | st.sampled_from(
    [
        "xn--4dbfg1f",
        "ab--c",
        "Xn--A",
        "com",
        "co.il",
        "test",
        "local",
        "onion",
        "arpa",
        "invalid",
        "localhost",
        "a_b",
        "",
    ]
)
domains = st.lists(labels, min_size=1, max_size=5).map(".".join) | st.sampled_from(
    [
        "a" * 63 + ".com",
        "a" * 64 + ".com",
        ".".join(["b" * 60] * 4) + ".com",
        "a.com1",
        "a.1com",
        "a.com.",
        "[192.0.2.1]",
    ]
)
local_parts = st.text(ATEXT + "." * 20, min_size=0, max_size=12) | st.sampled_from(
    ["a" * 64, "a" * 65, '"a b"', "דנה", "a..b", ".a", "a.", "a\u0301", "a b", "a@b", "\xa0a", "a\n", "root"]
)
addresses = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "\t"]),
    local_parts,
    domains.map("@".__add__),
    st.sampled_from(["", " ", "\n"]),
)


@settings(max_examples=300, deadline=None)
@given(addresses | st.emails() | st.text(max_size=20), st.booleans())
@example("a@" + "b" * 63 + "." + "c" * 63 + "." + "d" * 63 + "." + "e" * 57 + ".co", False)
@example("a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".co", True)
@example("a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".com", True)
@example("a@b.com\n\n", False)
@example("a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".info", True)
@example("a@ab--cd.com", False)
@example("a@b.ab--cd", False)
@example("a@b.a\u00df", False)
@example("\u212a@b.com", False)
@example("a@b.\u212a", False)
def test_the_short_way_says_what_the_long_way_says(text: str, test_environment: bool) -> None:
    wanted = check_any_address(text, test_environment=test_environment)
    assert check_address(text, test_environment=test_environment) == wanted
    short = plain_address(text)
    assert short is None or short == wanted.address


@pytest.mark.parametrize("text", ["Dana.Levi+news@Walla.co.il", " o'neil@mail.example.org ", "1@a-b.c0m.museum"])
def test_ordinary_addresses_go_the_short_way(text: str) -> None:
    assert plain_address(text) is not None


@pytest.mark.parametrize("text", ["a" * 100_000 + "@", "a." * 50_000, "a@" + "a." * 50_000, "a@" + "a-" * 200 + ".com"])
def test_long_texts_are_answered_at_once(text: str) -> None:
    assert not check_address(text).is_accepted
