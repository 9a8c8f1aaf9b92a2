import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from rendering import MessageUrls
from rendering.whole import Mailbox, WholeDraft

BLOBS = {7: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), 8: b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", 9: b"", 10: b"%PDF"}

MakeDraft = Callable[..., WholeDraft]


@pytest.fixture
def blob() -> Callable[[int], bytes]:
    return BLOBS.__getitem__


@pytest.fixture
def recipient_urls() -> MessageUrls:
    return MessageUrls(
        link_url=lambda number: f"https://t.acme.test/c/{number}?a=1&b=.2",
        unsubscribe_url="https://t.acme.test/u/token?x=1&y=2",
        pixel_url="https://t.acme.test/o/token.gif",
    )


@pytest.fixture
def draft() -> MakeDraft:
    def make(**changes: object) -> WholeDraft:
        given: dict[str, object] = {
            "from_address": EmailAddress.parse("news@acme.test"),
            "from_name": "Acme",
            "to": (Mailbox(EmailAddress.parse("dana@example.test"), "Dana"),),
            "cc": (),
            "reply_to": (),
            "subject": "Hello",
            "date": Microseconds(1_700_000_000_123_456),
            "message_id": "<1.a@acme.test>",
            "html": "<p>Hello</p>\n",
            "text": None,
        }
        return WholeDraft(**{**given, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def read() -> Callable[[bytes], EmailMessage]:
    """Parse as the standard library does, after the checks that every message on the wire has to pass."""

    def parse(octets: bytes) -> EmailMessage:
        assert octets.isascii()
        assert b"\x00" not in octets
        assert octets.endswith(b"\r\n")
        lines = octets.split(b"\r\n")
        assert not any(b"\n" in line or b"\r" in line for line in lines)
        assert max(map(len, lines)) <= 78
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        assert not [defect for part in message.walk() for defect in part.defects]
        return message

    return parse
