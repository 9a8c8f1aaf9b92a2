from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.links import LinkTargetError, is_trackable, redirect_location


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://www.acme.test/guide?a=b&c=d#e", "https://www.acme.test/guide?a=b&c=d#e"),
        ("HTTP://ACME.test", "http://acme.test"),
        ("https://acme.test:8443/x", "https://acme.test:8443/x"),
        ("https://דואר.test/מדריך?שם=דנה", "https://xn--4dbfg1f.test/%D7%9E%D7%93%D7%A8%D7%99%D7%9A?%D7%A9%D7%9D=%D7%93%D7%A0%D7%94"),
        ("https://acme.test/100%25/%D7%90", "https://acme.test/100%25/%D7%90"),
        ("https://192.0.2.1/x", "https://192.0.2.1/x"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://acme.test?x=//evil.test", "https://acme.test?x=//evil.test"),
    ],
)  # fmt: skip
def test_targets_that_may_be_redirected_to(url: str, location: str) -> None:
    assert redirect_location(url) == location
    assert is_trackable(url)
    assert redirect_location(location) == location


@pytest.mark.parametrize(
    "url",
    [
        "",
        "#top",
        "/guide",
        "//evil.test/x",
        "acme.test",
        "mailto:a@acme.test",
        "tel:+97235550000",
        "javascript:alert(1)",
        "JaVaScRiPt://acme.test/%0aalert(1)",
        "data:text/html,x",
        "ftp://acme.test/x",
        "https:acme.test",
        "https:/acme.test",
        "https://",
        "https:///x",
        "https://acme.test/\r\nSet-Cookie: a=b",
        "https://acme.test/\x00",
        "https://acme.test/a b",
        " https://acme.test",
        "https://acme.test\\@evil.test",
        "https://bank.test@evil.test/",
        "https://acme.test:0/",
        "https://acme.test:99999/",
        "https://acme.test:x/",
        "https://[::1",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://-acme.test/",
        "https://acme..test/",
        "https://acme.test/\u202egpj.exe",
        "https://acme.test/\u200b",
        "https://acme.test/" + "a" * 2048,
        "https://acme.test/{{ contact.city }}",
    ],
)
def test_targets_that_may_not(url: str) -> None:
    assert not is_trackable(url)
    with pytest.raises(LinkTargetError):
        redirect_location(url)


@given(
    st.text(max_size=40), st.sampled_from(["https://acme.test", "http://a.test/", "https://", "", "HTTPS://a.test:8"])
)
def test_a_location_is_one_plain_line_to_the_same_host(tail: str, head: str) -> None:
    try:
        location = redirect_location(head + tail)
    except LinkTargetError:
        return
    assert location.isascii()
    assert location.isprintable()
    assert " " not in location
    assert urlsplit(location).scheme in ("http", "https")
    assert "@" not in urlsplit(location).netloc
    assert redirect_location(location) == location
