"""Key pairs, and key records with their faults."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dkim.keys import (
    KeyRecordSyntaxError,
    KeySyntaxError,
    KeyType,
    generate_ed25519_key,
    generate_rsa_key,
    key_record_text,
    parse_key_record,
    private_key_from_pem,
    private_key_to_pem,
    public_key_octets,
)

RSA = generate_rsa_key(2048)
ED25519 = generate_ed25519_key()
P = base64.b64encode(public_key_octets(RSA)).decode()


@pytest.mark.parametrize("key", [RSA, ED25519])
@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_pem_there_and_back(key: rsa.RSAPrivateKey, passphrase: bytes | None) -> None:
    pem = private_key_to_pem(key, passphrase)
    assert (b"ENCRYPTED" in pem) is (passphrase is not None)
    assert public_key_octets(private_key_from_pem(pem, passphrase)) == public_key_octets(key)


def test_private_keys_that_are_none() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeySyntaxError, match="neither"):
        private_key_from_pem(pem)
    with pytest.raises(KeySyntaxError, match="read"):
        private_key_from_pem(private_key_to_pem(RSA, b"secret"), b"wrong")
    with pytest.raises(KeySyntaxError) as caught:
        private_key_from_pem(b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----")
    assert "SECRET" not in caught.value.explain()


@pytest.mark.parametrize("key", [RSA, ED25519])
def test_a_record_publishes_its_key_and_no_other(key: rsa.RSAPrivateKey) -> None:
    record = parse_key_record(key_record_text(key))
    assert record.publishes(key)
    assert record.publishes(key.public_key())
    assert not record.publishes(generate_ed25519_key())
    assert record.remarks == ()
    assert not record.is_testing


def test_defaults_flags_and_lists() -> None:
    record = parse_key_record(f"p={P}")
    assert (record.key_type, record.hashes, record.flags, record.serves_email) == (KeyType.RSA, (), (), True)
    record = parse_key_record(f" v = DKIM1 ; k=rsa; h=sha1 : SHA256; s=tlsrpt:email; t=y : s; n=note; x=1;p={P};")
    assert record.hashes == ("sha1", "sha256")
    assert record.is_testing
    assert record.is_strict
    assert record.serves_email
    assert [remark.code for remark in record.remarks] == ["dkim.testing"]
    assert not parse_key_record(f"s=tlsrpt; p={P}").serves_email


def test_pkcs1_keys_and_folded_base64_are_read() -> None:
    bare = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    text = base64.b64encode(bare).decode()
    assert parse_key_record(f"p={text[:50]} {text[50:]}").publishes(RSA)


def test_revoked_and_short_keys_are_remarked() -> None:
    record = parse_key_record("v=DKIM1; p=")
    assert record.is_revoked
    assert [remark.code for remark in record.remarks] == ["dkim.revoked"]
    short = generate_rsa_key(1024)
    assert [remark.code for remark in parse_key_record(key_record_text(short)).remarks] == ["dkim.key_short"]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (f"v=DKIM2; p={P}", "DKIM2"),
        (f"p={P}; v=DKIM1", "v"),
        ("v=DKIM1; k=rsa", None),
        (f"v=DKIM1; k=dsa; p={P}", "dsa"),
        ("v=DKIM1; p=####", "####"),
        ("v=DKIM1; p=QUJD", "QUJD"),
        ("v=DKIM1; k=ed25519; p=QUJD", "QUJD"),
        (f"v=DKIM1; k=ed25519; p={P}", P),
        (f"v=DKIM1; p={P}; p={P}", "p"),
        (f"v=DKIM1;; p={P}", ";"),
        (f"v=DKIM1; nonsense; p={P}", "nonsense"),
        (f"v=DKIM1; 1x=y; p={P}", "1x"),
        ("", None),
        ("p=" + "A" * 9000, None),
    ],
)
def test_faults_are_marked(text: str, marked: str | None) -> None:
    with pytest.raises(KeyRecordSyntaxError) as caught:
        parse_key_record(text)
    span = caught.value.span
    if marked is not None:
        assert span is not None
        assert text[span.start : span.end] == marked
        assert caught.value.next_step


@given(st.text(max_size=60) | st.text("vkpthsn=;: DKIM1rsaey\t\r\n", max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        parse_key_record(text)
    except KeyRecordSyntaxError as error:
        error.explain()
