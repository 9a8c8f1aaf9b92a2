import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import urls
from tracking.tokens import TokenKeys, TokenKind, make

KEYS = TokenKeys(1, {1: b"k" * 32})
BASE = "https://links.news.acme.test"


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (urls.pixel_url, TokenKind.PIXEL),
        (urls.click_url, TokenKind.CLICK),
        (urls.unsubscribe_url, TokenKind.UNSUBSCRIBE),
        (urls.preferences_url, TokenKind.PREFERENCES),
    ],
)
def test_what_is_written_is_read_back(write, kind: TokenKind) -> None:
    token = make(kind, 123, 4, KEYS)
    url = write(BASE, token)
    assert url.startswith(BASE + "/")
    assert urls.read_path(url.removeprefix(BASE)) == (kind, token)


@pytest.mark.parametrize("path", ["", "/", "/o/", "/o/.gif", "/x/abc", "/c/abc/def", "o/abc", "//c/abc", "/u"])
def test_other_paths_are_none_of_ours(path: str) -> None:
    assert urls.read_path(path) is None


@given(st.text(max_size=30))
def test_reading_a_path_never_raises(path: str) -> None:
    urls.read_path(path)


@pytest.mark.parametrize("text", [BASE, BASE + "/", "https://127.0.0.1:8443", "https://xn--4dbfg1f.test"])
def test_good_bases(text: str) -> None:
    assert urls.parse_base(text) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://",
        "http://links.acme.test",
        "HTTPS://links.acme.test",
        "//links.acme.test",
        "https://links.acme.test/x",
        "https://links.acme.test//",
        "https://links.acme.test?x",
        "https://links.acme.test#x",
        "https://user@links.acme.test",
        "https://links.acme.test:0",
        "https://links.acme.test:99999",
        "https://links.acme.test\r\nBcc: x@y.test",
        "https://links.acme.test,https://b.test",
        "https://links.acme.test>",
        "https://דואר.test",
    ],
)
def test_bad_bases(text: str) -> None:
    with pytest.raises(urls.BaseUrlSyntaxError):
        urls.parse_base(text)
