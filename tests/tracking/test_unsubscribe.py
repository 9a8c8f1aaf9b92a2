import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from tracking.unsubscribe import (
    LIST_UNSUBSCRIBE_POST,
    MAX_ONE_CLICK_OCTETS,
    UnsubscribeUrlError,
    is_one_click,
    list_unsubscribe,
)

URLENCODED = "application/x-www-form-urlencoded"
URL = "https://links.news.acme.test/u/abc"


def multipart(*fields: tuple[str, str], boundary: str = "---FormBoundaryjWmhtjORrn", end: bool = True) -> bytes:
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields]
    return ("".join(parts) + (f"--{boundary}--\r\n" if end else "")).encode()


def test_header_values_as_in_rfc_8058() -> None:
    assert LIST_UNSUBSCRIBE_POST == "List-Unsubscribe=One-Click"
    assert list_unsubscribe(URL) == f"<{URL}>"
    both = list_unsubscribe(URL, EmailAddress.parse("u+42@bounce.acme.test"))
    assert both == f"<{URL}>, <mailto:u%2B42@bounce.acme.test?subject=unsubscribe>"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "http://a.test/u",
        "mailto:a@b.test",
        "https://a.test/u\r\nBcc: x@y.test",
        "https://a.test/u>, <https://evil.test",
        "https://a.test/u v",
        "https://a.test/a,b",
        "https://דואר.test/u",
        "https://a.test/\x00",
    ],
)
def test_urls_that_cannot_stand_in_the_header(url: str) -> None:
    with pytest.raises(UnsubscribeUrlError):
        list_unsubscribe(url)


@given(st.text(max_size=40))
def test_the_header_value_never_breaks_the_line(tail: str) -> None:
    try:
        value = list_unsubscribe("https://a.test/" + tail)
    except UnsubscribeUrlError:
        return
    assert value.isascii()
    assert value.isprintable()
    assert value.count("<") == value.count(">") == 1


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b"List-Unsubscribe=One-Click"),
        (URLENCODED, b"List-Unsubscribe=One-Click\r\n"),
        (URLENCODED + "; charset=UTF-8", b"List-Unsubscribe=One%2DClick"),
        (URLENCODED.upper(), b"a=b&List-Unsubscribe=One-Click"),
        ("", b"List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=---FormBoundaryjWmhtjORrn",  # the example of RFC 8058 section 8.3
            multipart(("List-Unsubscribe", "One-Click")),
        ),
        (
            'Multipart/Form-Data; boundary="a b"',
            multipart(("x", "y"), ("List-Unsubscribe", "One-Click"), boundary="a b"),
        ),
    ],
)
def test_genuine_one_click(content_type: str, body: bytes) -> None:
    assert is_one_click(content_type, body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b""),
        (URLENCODED, b"List-Unsubscribe="),
        (URLENCODED, b"List-Unsubscribe=One-Clicks"),
        (URLENCODED, b"List-Unsubscribe-Post=One-Click"),
        (URLENCODED, b"List-Unsubscribe=One-Click&List-Unsubscribe=No"),
        (URLENCODED, b"x=List-Unsubscribe=One-Click"),
        (URLENCODED, "List-Unsubscribe=One-Click&é".encode()),
        (URLENCODED, b"List-Unsubscribe=One-Click" + b"&a=b" * 50),
        (URLENCODED, b"List-Unsubscribe=One-Click&" + b"a" * MAX_ONE_CLICK_OCTETS),
        ("text/plain", b"List-Unsubscribe=One-Click"),
        ("application/json", b'{"List-Unsubscribe": "One-Click"}'),
        ("multipart/form-data", multipart(("List-Unsubscribe", "One-Click"))),
        ("multipart/form-data; boundary=other", multipart(("List-Unsubscribe", "One-Click"))),
        ("multipart/form-data; boundary=b", multipart(("List-Unsubscribe", "One-Click"), boundary="b", end=False)),
        ("multipart/form-data; boundary=b", multipart(("List-Unsubscribe", "No"), boundary="b")),
        ("multipart/form-data; boundary=b", multipart(*[("List-Unsubscribe", "One-Click")] * 2, boundary="b")),
        ("multipart/form-data; boundary=b", multipart(*[("a", "b")] * 20, boundary="b")),
        ("multipart/form-data; boundary=b\r\nX: y", multipart(("List-Unsubscribe", "One-Click"), boundary="b")),
        (
            "multipart/form-data; boundary=" + "b" * 300,
            multipart(("List-Unsubscribe", "One-Click"), boundary="b" * 300),
        ),
    ],
)
def test_everything_else_unsubscribes_nobody(content_type: str, body: bytes) -> None:
    assert not is_one_click(content_type, body)


@given(
    st.sampled_from(["", URLENCODED, "multipart/form-data; boundary=b", "multipart/form-data", "x"]) | st.text(),
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"--b", b"--b--", b"\r\n", b"\n", b"Content-Disposition: form-data", b"; name=x", b"\xff"])
    ).map(b"".join),
)
def test_hostile_requests_never_raise(content_type: str, body: bytes) -> None:
    assert is_one_click(content_type, body) in (True, False)
