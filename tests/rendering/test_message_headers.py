import email
import email.policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from rendering import HeaderSyntaxError, MessageHeaders, compose_headers

FROM = EmailAddress.parse("news@acme.test")
TO = EmailAddress.parse("dana@example.test")
MOMENT = Microseconds(1_700_000_000_123_456)


def headers(**changes) -> MessageHeaders:
    given = {
        "from_address": FROM,
        "to_address": TO,
        "subject": "Hello",
        "date": MOMENT,
        "message_id": "<1.a@acme.test>",
    }
    return MessageHeaders(**{**given, **changes})


def read(composed: bytes) -> email.message.EmailMessage:
    assert composed.isascii()
    assert composed.endswith(b"\r\n")
    assert b"\n" not in composed.replace(b"\r\n", b"")
    assert all(line for line in composed[:-2].split(b"\r\n"))
    message = email.message_from_bytes(composed + b"\r\nbody\r\n", policy=email.policy.default)
    assert not message.defects
    return message


def test_the_common_message_byte_for_byte() -> None:
    composed = compose_headers(
        headers(
            from_name="Acme News",
            to_name="Dana O. Levi",
            reply_to=EmailAddress.parse("help@acme.test"),
            list_unsubscribe=("https://t.acme.test/u/abc", "mailto:u@acme.test?subject=abc"),
            one_click=True,
            list_id="news.acme.test",
            list_name="News",
            feedback_id="17:3:campaign:acme",
            extra=(("X-Campaign", "cmp_1"),),
        )
    )
    assert composed.decode().split("\r\n") == [
        "From: Acme News <news@acme.test>",
        'To: "Dana O. Levi" <dana@example.test>',
        "Reply-To: help@acme.test",
        "Subject: Hello",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Message-ID: <1.a@acme.test>",
        "MIME-Version: 1.0",
        "List-Unsubscribe: <https://t.acme.test/u/abc>,",
        " <mailto:u@acme.test?subject=abc>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "List-Id: News <news.acme.test>",
        "Feedback-ID: 17:3:campaign:acme",
        "X-Campaign: cmp_1",
        "",
    ]


printable = st.text(
    alphabet=st.one_of(
        st.sampled_from('aZ ,"\\=?_<>@אב😀'), st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
    ),
    max_size=300,
)


@given(printable)
@settings(max_examples=500, deadline=None)
def test_every_subject_reads_back_the_same(subject: str) -> None:
    composed = compose_headers(headers(subject=subject))
    assert all(len(line) <= 78 for line in composed.split(b"\r\n"))
    assert read(composed)["Subject"] == subject
    assert len(read(composed).keys()) == 6


@given(printable)
@settings(max_examples=500, deadline=None)
def test_every_display_name_reads_back_the_same(name: str) -> None:
    composed = compose_headers(headers(from_name=name))
    assert all(len(line) <= 78 for line in composed.split(b"\r\n"))
    read(composed)
    # The structured parser of older Pythons puts a space between encoded words (RFC 2047 section 6.2 says none).
    written, address = parseaddr(email.message_from_bytes(composed)["From"])
    assert address == "news@acme.test"
    assert str(make_header(decode_header(written))) == " ".join(name.split())


@pytest.mark.parametrize(
    "subject",
    [
        "מבצעי סוף העונה מתחילים היום",
        "דנה, ההזמנה שלך #1234 יצאה לדרך — Acme " * 4,
        "=?utf-8?q?forged?=",
        "a" * 200,
        "é",
        " lead",
        "two  spaces",
    ],
)
def test_subjects_that_need_encoded_words(subject: str) -> None:
    composed = compose_headers(headers(subject=subject))
    assert b"=?utf-8?" in composed
    assert read(composed)["Subject"] == subject
    for word in composed.split(b"\r\n"):
        assert len(word) <= 78


@given(
    st.sampled_from(
        [
            "subject",
            "from_name",
            "to_name",
            "message_id",
            "list_id",
            "list_name",
            "feedback_id",
            "extra",
            "list_unsubscribe",
        ]
    ),
    st.sampled_from(["\r", "\n", "\x00", "\r\n", "\x1b", "\x7f", "\x0b"]),
    st.sampled_from(["{}", "a{}", "a{}b", "a{}Bcc: x@y.test"]),
)
def test_nothing_that_ends_a_line_enters_a_header(field: str, character: str, form: str) -> None:
    value = form.format(character)
    changed = {"extra": (("X-A", value),), "list_unsubscribe": (f"https://a.test/{value}",), "list_name": value}.get(
        field, value
    )
    with pytest.raises(HeaderSyntaxError):
        compose_headers(headers(**{"list_id": "a.test", field: changed}))


@pytest.mark.parametrize(
    "name", ["X A", "X:", "Ü", "", "X-A\r\nBcc", "From", "subject", "DKIM-Signature", "Bcc", "Content-Type"]
)
def test_extra_headers_have_names_of_their_own(name: str) -> None:
    with pytest.raises(HeaderSyntaxError) as caught:
        compose_headers(headers(extra=((name, "v"),)))
    assert caught.value.header == name


@pytest.mark.parametrize(
    "changes",
    [
        {"message_id": "1@acme.test"},
        {"message_id": "<1 2@acme.test>"},
        {"message_id": "<é@acme.test>"},
        {"list_unsubscribe": ("javascript:x",)},
        {"list_unsubscribe": ("https://a.test/>,<https://b.test",)},
        {"list_unsubscribe": ("mailto:a@b.test",), "one_click": True},
        {"one_click": True},
        {"list_id": "two words"},
        {"feedback_id": "a:b:c:d:e"},
        {"message_id": f"<{'a' * 1000}@a.test>"},
        {"from_address": EmailAddress.parse("דנה@acme.test")},
        {"subject": "a" * 10_001},
    ],
)
def test_headers_that_cannot_be_sent_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(HeaderSyntaxError):
        compose_headers(headers(**changes))


def test_the_same_headers_give_the_same_bytes() -> None:
    assert compose_headers(headers(subject="שלום")) == compose_headers(headers(subject="שלום"))
