"""A sandbox process for the whole folder, and a sender that signs with dkimpy and delivers with smtplib."""

import base64
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.process import SandboxProcess
from postwright.sandbox.zones import publish_zone

EGRESS = "127.0.0.2"


@dataclass(frozen=True)
class Sender:
    """A domain with a key in the DNS."""

    layout: SandboxLayout
    domain: str
    private_pem: bytes
    public_base64: str

    def publish(self, *, spf: str = f"v=spf1 ip4:{EGRESS} -all", policy: str = "reject") -> None:
        publish_zone(
            self.layout.zones_directory,
            self.domain,
            f'@ TXT "{spf}"\n'
            f'_dmarc TXT "v=DMARC1; p={policy}"\n'
            f"s1._domainkey TXT {_character_strings(f'v=DKIM1; k=rsa; p={self.public_base64}')}\n"
            f"s2._domainkey CNAME s1._domainkey\n",
        )

    def message(self, rcpt_to: str, *, body: str = "Hello there.\r\n", message_id: str = "m1") -> bytes:
        return (
            f"From: News <hello@{self.domain}>\r\nTo: {rcpt_to}\r\nSubject: =?utf-8?B?16nXnNeV150=?= {message_id}\r\n"
            f"Date: Mon, 19 Oct 2026 10:00:00 +0000\r\nMessage-ID: <{message_id}@{self.domain}>\r\n\r\n{body}"
        ).encode()

    def signed(self, message: bytes, selector: str = "s1") -> bytes:
        header: bytes = dkim.sign(message, selector.encode(), self.domain.encode(), self.private_pem)
        return header + message

    def connect(self, provider: str, *, source: str = EGRESS, tls: bool = True) -> smtplib.SMTP:
        address = self.layout.provider_addresses[provider]
        client = smtplib.SMTP(
            address, self.layout.smtp_port, local_hostname=f"mta.{self.domain}", source_address=(source, 0), timeout=20
        )
        if tls:
            context = ssl.create_default_context(cafile=str(self.layout.root_certificate_path))
            client._host = f"mx1.{provider}.test"  # the name that the certificate is checked for
            client.starttls(context=context)
        client.ehlo()
        return client


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxLayout]:
    directory: Path = tmp_path_factory.mktemp("sandbox")
    process = SandboxProcess(SandboxLayout(directory, greylist_delay=timedelta(seconds=0.5)))
    yield process.start()
    assert process.stop() == 0, (directory / "sandbox.log").read_text()


@pytest.fixture
def mailboxes(layout: SandboxLayout) -> Mailboxes:
    return Mailboxes(layout.mailboxes_path)


@pytest.fixture(scope="session")
def key_pair() -> tuple[bytes, str]:
    key = rsa.generate_private_key(65537, 2048)
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private_pem, base64.b64encode(public).decode()


@pytest.fixture
def sender(layout: SandboxLayout, key_pair: tuple[bytes, str]) -> Sender:
    sender = Sender(layout, "news.acme.test", *key_pair)
    sender.publish()
    return sender


@pytest.fixture
def make_sender(key_pair: tuple[bytes, str]) -> Callable[[SandboxLayout], Sender]:
    return lambda layout: Sender(layout, "news.acme.test", *key_pair)


def _character_strings(text: str) -> str:
    return " ".join(f'"{text[i : i + 200]}"' for i in range(0, len(text), 200))
