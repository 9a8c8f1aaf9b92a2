"""Python's own smtplib, aiosmtplib and Django against a running install, as far as the mailbox."""

import json
import smtplib
import sqlite3
import ssl
import sys
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def letter(install: Any, address: str, **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = f"Acme Garden <{install.sender}>", address
    message["Subject"] = "Your order"
    for name, value in fields.items():
        message[f"X-Postwright-{name.replace('_', '-')}"] = value
    message.set_content("It has left the orchard, שלום.\n")
    message.add_alternative("<p>It has left the <b>orchard</b>, שלום.</p>", subtype="html")
    return message


def tls(install: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(install.authority))


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_smtplib(way: str, install: Any) -> None:
    address = f"smtplib.{way}@mailhub.test"
    if way == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(install.host, install.tls_port, context=tls(install), timeout=20)
    else:
        client = smtplib.SMTP(install.host, install.smtp_port, timeout=20)
    with client:
        if way == "starttls":
            client.starttls(context=tls(install))
        client.login("apikey", install.key)
        assert client.send_message(letter(install, address)) == {}
    found = install.received(address)
    assert found["From"] == f"Acme Garden <{install.sender}>"
    body = found.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["It has left the orchard, שלום."]
    assert found["Message-ID"].endswith("@news.acme.test>")


def test_smtplib_tells_what_is_refused(install: Any) -> None:
    stranger = letter(install, "two@mailhub.test")
    stranger.replace_header("From", "ceo@elsewhere.test")
    with smtplib.SMTP(install.host, install.smtp_port, timeout=20) as client:
        client.starttls(context=tls(install))
        client.login("apikey", install.key)
        message = letter(install, "one@mailhub.test").as_string()
        refused = client.sendmail(install.sender, ["one@mailhub.test", "not an address"], message)
        assert refused.keys() == {"not an address"}
        with pytest.raises(smtplib.SMTPDataError) as not_ours:
            client.send_message(stranger)
    assert (not_ours.value.smtp_code, not_ours.value.smtp_error[:5]) == (550, b"5.7.1")
    with (
        smtplib.SMTP(install.host, install.smtp_port, timeout=20) as client,
        pytest.raises(smtplib.SMTPAuthenticationError) as unknown,
    ):
        client.login("apikey", "pw_live_no_such_key")
    assert unknown.value.smtp_code == 535


def test_options_are_kept_and_twice_is_once(install: Any) -> None:
    fields = {"Tag": "receipt", "Metadata": '{"order": 42}', "Idempotency_Key": "order-42"}
    message = letter(install, "twice@mailhub.test", **fields)
    answers = []
    for _ in range(2):
        with smtplib.SMTP(install.host, install.smtp_port, timeout=20) as client:
            client.starttls(context=tls(install))
            client.login("apikey", install.key)
            client.mail("shop@acme.test")
            client.rcpt("twice@mailhub.test")
            answers.append(client.data(message.as_string())[1].decode())
    identity = answers[0].split()[3]
    assert answers[1].startswith(f"2.0.0 stored as {identity} before")
    install.received("twice@mailhub.test")
    path = install.stage.folder / "data" / "postwright.db"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)) as database:
        statement = (
            "SELECT m.tags, m.client_metadata FROM message m JOIN delivery d ON d.message_id = m.id"
            " WHERE d.address_key = 'twice@mailhub.test'"
        )
        ((tags, metadata),) = database.execute(statement).fetchall()
    assert (json.loads(tags), json.loads(metadata)) == (["receipt"], {"order": 42})


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_aiosmtplib(way: str, install: Any, library: Callable[[str], None]) -> None:
    library("aiosmtplib")
    import aiosmtplib  # noqa: PLC0415

    address = f"aiosmtplib.{way}@mailhub.test"
    errors, answer = await aiosmtplib.send(
        letter(install, address),
        hostname=install.host,
        port=install.tls_port if way == "tls" else install.smtp_port,
        use_tls=way == "tls",
        start_tls=way == "starttls",
        tls_context=tls(install),
        username="apikey",
        password=install.key,
        timeout=20,
    )
    assert errors == {}
    assert "stored as sub_" in answer
    assert install.received(address)["Subject"] == "Your order"


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_django(way: str, install: Any, library: Callable[[str], None]) -> None:
    library("django")
    address = f"django.{way}@mailhub.test"
    said = install.run(sys.executable, str(HERE / "django_mail.py"), way, address, f"second.{address}")
    assert said.split() == ["1", "1"]
    for one in (address, f"copy.{address}", f"second.{address}"):
        found = install.received(one)
        assert found["Subject"] == "Your order, from Django"
        assert found["Bcc"] is None
