import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dns_checks.dkim import sealing
from mailtypes.clock import Microseconds
from mailtypes.errors import StorageError
from mta import signing
from mta.ports import CompositionError, NoSigningKeyError, SigningKey
from mta.signing import ChunkPreparer, MessageSigner
from mta.testing import delivery

NOW = Microseconds(1_700_000_000_000_000)
RSA = rsa.generate_private_key(65537, 2048)
ED = Ed25519PrivateKey.generate()
MESSAGE = (
    b"From: <a@sender.test>\r\nTo: <b@b.test>\r\nSubject: x\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n.hello\r\n"
)


RECORD = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def published(name, timeout=5):
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(RECORD) if name == b"rsa._domainkey.sender.test." else None


class Composer:
    def __init__(self, message):
        self.message = message

    def fetch(self, deliveries):
        """It has all it needs."""

    def compose(self, delivery, now):
        if isinstance(self.message, Exception):
            raise self.message
        return self.message


class Keys:
    def __init__(self, keys):
        self.keys = keys
        self.asked = 0

    def signing_keys(self, domain, workspace_id):
        self.asked += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return [SigningKey(domain, selector, key) for selector, key in self.keys]


def prepare(message=MESSAGE, keys=(("rsa", RSA), ("ed", ED)), count=1):
    source = keys if isinstance(keys, Keys) else Keys(keys)
    preparer = ChunkPreparer(Composer(message), MessageSigner(source))
    return preparer.prepare([delivery(number) for number in range(count)], NOW).items


def test_both_signatures_verify_with_another_implementation():
    [item] = prepare()
    content = item.transmission.content.removesuffix(b".\r\n").replace(b"\r\n..hello", b"\r\n.hello")
    assert content.count(b"DKIM-Signature:") == 2
    checker = dkim.DKIM(content)
    signatures = [
        index
        for index, (name, value) in enumerate((n, v) for n, v in checker.headers if n.lower() == b"dkim-signature")
        if b"s=rsa" in value
    ]
    assert checker.verify(signatures[0], dnsfunc=published)


@pytest.mark.parametrize(
    ("message", "keys", "cause", "is_final"),
    [
        (CompositionError("no name"), (("ed", ED),), "no name", True),
        (MESSAGE, NoSigningKeyError("none"), "NoSigningKeyError", True),
        (MESSAGE, (), "no active key", True),
        (MESSAGE.replace(b"hello", b"a\n.\nb"), (("ed", ED),), "bare", True),
        (b"Subject: x\r\n\r\n", (("ed", ED),), "From", True),
        (ZeroDivisionError(), (("ed", ED),), "ZeroDivisionError", False),
    ],
)
def test_what_cannot_be_made_says_why(message, keys, cause, is_final):
    [item] = prepare(message, keys)
    assert item.transmission is None
    assert cause in item.cause
    assert item.is_final is is_final


def test_broken_surroundings_are_not_the_message_s_fault():
    with pytest.raises(StorageError):
        prepare(keys=StorageError("away"))


def test_keys_are_asked_for_once_a_chunk():
    keys = Keys((("ed", ED),))
    assert len(prepare(keys=keys, count=10)) == 10
    assert keys.asked == 1


def test_a_new_key_of_the_same_selector_is_used():
    keys = Keys([("ed", ED)])
    signer = MessageSigner(keys)
    [first] = signer.signers(delivery(1).signing_domain, 1)
    assert signer.signers(delivery(1).signing_domain, 1) == (first,)
    keys.keys = [("ed", Ed25519PrivateKey.generate())]
    assert signer.signers(delivery(1).signing_domain, 1) != (first,)


class EachItsOwn(Composer):
    """A message of its own for each delivery; every fifth cannot be made, every seventh has no From field."""

    def __init__(self):
        super().__init__(b"")

    def compose(self, delivery, now):
        if delivery.id % 5 == 4:
            raise CompositionError("the contact has no name")
        message = MESSAGE.replace(b"Subject: x", b"Subject: to %d" % delivery.id)
        return message.removeprefix(b"From: <a@sender.test>\r\n") if delivery.id % 7 == 6 else message


@pytest.mark.parametrize("keys", [(("rsa", RSA),), (("rsa", RSA), ("ed", ED))])
def test_each_message_of_a_chunk_has_its_own_signatures_whoever_falls_out(keys):
    preparer = ChunkPreparer(EachItsOwn(), MessageSigner(Keys(keys)))
    items = preparer.prepare([delivery(number) for number in range(24)], NOW).items
    assert [item.delivery.id for item in items] == list(range(24))
    made = [item for item in items if item.transmission]
    assert [item.delivery.id for item in made] == [one for one in range(24) if one % 5 != 4 and one % 7 != 6]
    for item in made:
        content = item.transmission.content.removesuffix(b".\r\n").replace(b"\r\n..hello", b"\r\n.hello")
        assert b"Subject: to %d\r\n" % item.delivery.id in content
        assert content.count(b"DKIM-Signature:") == len(keys)
        assert dkim.verify(content, dnsfunc=published)  # the first one, by RSA


def test_what_cannot_be_fetched_together_is_fetched_by_itself(monkeypatch):
    monkeypatch.setattr(Composer, "fetch", lambda *_: 1 / 0)
    assert all(item.transmission for item in prepare(count=3))


def test_storage_that_is_away_while_fetching_is_everybodys_affair(monkeypatch):
    def away(*_):
        raise StorageError("the disk is gone")

    monkeypatch.setattr(Composer, "fetch", away)
    with pytest.raises(StorageError):
        prepare()


def test_a_key_that_cannot_sign_now_spoils_its_own_messages_alone(monkeypatch):
    calls = []

    def seal_all(fields):
        calls.append(len(fields))
        if len(calls) in (1, 3):
            raise ZeroDivisionError
        return sealing.seal_all(fields)

    monkeypatch.setattr(signing, "seal_all", seal_all)
    items = prepare(count=3)
    assert calls == [6, 2, 2, 2]
    assert [(item.transmission is None, item.is_final) for item in items] == [
        (False, True),
        (True, False),
        (False, True),
    ]
