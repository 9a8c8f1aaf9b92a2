"""What a composer vouches for is signed and sent without a second look, with the same octets as the long way."""

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from dns_checks.dkim.keys import key_record_text
from dns_checks.dkim.sign import UnsignableMessageError
from mailtypes.domain import DomainName
from mta.ports import ComposedMessage, SigningKey
from mta.signing import ChunkPreparer, MessageSigner
from mta.testing import delivery
from mta.transmission import Transmission, UnsendableError

DOMAIN = DomainName.parse("sender.test")
KEY = rsa.generate_private_key(65537, 2048)
HEADER = b"From: <news@sender.test>\r\nTo: <a@peer.test>\r\nSubject: hello\r\n"
BODY = b"--x\r\nHello =\r\nyou\r\n--x--\r\n"
NOW = 1_700_000_000_000_000


class Keys:
    def signing_keys(self, domain, workspace_id):
        return [SigningKey(DOMAIN, "s1", KEY)]


class Composer:
    def __init__(self, message):
        self.message = message

    def fetch(self, deliveries):
        """It has all it needs."""

    def compose(self, delivery, now):
        return self.message


def prepared(message):
    (item,) = ChunkPreparer(Composer(message), MessageSigner(Keys())).prepare([delivery(1, now=NOW)], NOW).items
    return item


def test_both_ways_give_the_same_octets():
    vouched = prepared(ComposedMessage(HEADER, BODY))
    looked_through = prepared(HEADER + b"\r\n" + BODY)
    assert vouched.transmission is not None
    assert vouched.transmission == looked_through.transmission


def test_dkimpy_finds_the_signature_valid():
    transmission = prepared(ComposedMessage(HEADER, BODY)).transmission
    message = transmission.content.removesuffix(b".\r\n")
    assert transmission.size == len(message)
    record = key_record_text(KEY).encode()
    assert dkim.verify(message, dnsfunc=lambda name, timeout=5: record)


@pytest.mark.parametrize(
    "header", [HEADER + b"X-A: b\nBcc: c\r\n", HEADER + b"X-A: b\x00\r\n", HEADER[:-2], HEADER[:-1]]
)
def test_the_header_is_checked_all_the_same(header):
    item = prepared(ComposedMessage(header, BODY))
    assert item.transmission is None
    assert item.cause.startswith(UnsignableMessageError.__name__)


def test_a_header_line_that_begins_with_a_dot_has_it_doubled():
    header = HEADER + b".X: dotted\r\n"
    made = Transmission.of_parts("b@sender.test", "a@peer.test", header, BODY)
    assert made == Transmission.of("b@sender.test", "a@peer.test", header + b"\r\n" + BODY)


def test_a_body_whose_last_line_does_not_end_is_refused():
    with pytest.raises(UnsendableError):
        Transmission.of_parts("b@sender.test", "a@peer.test", HEADER, BODY[:-1])


def test_the_envelope_is_checked():
    with pytest.raises(UnsendableError):
        Transmission.of_parts("b@sender.test", "a@peer.test>\r\nRCPT TO:<b@peer.test", HEADER, BODY)
