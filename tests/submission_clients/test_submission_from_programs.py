"""Nodemailer, curl and swaks against a running install, as far as the mailbox."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_nodemailer(way: str, install: Any, nodemailer: str) -> None:
    address = f"nodemailer.{way}@mailhub.test"
    said = install.run(nodemailer, str(HERE / "node" / "send.mjs"), way, address)
    assert "250 2.0.0 stored as sub_" in said
    found = install.received(address)
    assert found["Subject"] == "Your order, from Nodemailer"
    assert [part.get_content() for part in found.iter_attachments()] == ["42 seeds\n"]


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_curl_by_smtp(way: str, install: Any, program: Callable[[str], str], tmp_path: Path) -> None:
    address = f"curl.{way}@mailhub.test"
    letter = tmp_path / "letter.eml"
    letter.write_bytes(f"From: {install.sender}\r\nTo: {address}\r\nSubject: From curl\r\n\r\n.dots\r\n".encode())
    scheme, port = ("smtps", install.tls_port) if way == "tls" else ("smtp", install.smtp_port)
    said = install.run(
        program("curl"), "--silent", "--show-error", "--verbose", "--ssl-reqd", "--cacert", str(install.authority),
        "--url", f"{scheme}://{install.host}:{port}", "--user", f"apikey:{install.key}",
        "--mail-from", install.sender, "--mail-rcpt", address, "--upload-file", str(letter),
    )  # fmt: skip
    assert "250 2.0.0 stored as sub_" in said
    found = install.received(address)
    assert (found["Subject"], found.get_content().splitlines()) == ("From curl", [".dots"])


def test_curl_by_http(install: Any, program: Callable[[str], str]) -> None:
    address = "curl.http@mailhub.test"
    message = {"from": install.sender, "to": [address], "subject": "By HTTP", "text": "It has left the orchard."}
    command = (
        program("curl"), "--silent", "--show-error", "--write-out", "\n%{http_code}", "--json", json.dumps(message),
        "--oauth2-bearer", install.key, "--header", "Idempotency-Key: curl-1", f"{install.url}/v1/messages",
    )  # fmt: skip
    first, again = (install.run(*command).rsplit("\n", 1) for _ in range(2))
    assert first[1] == "202"
    assert json.loads(first[0])["messages"][0]["address"] == address
    assert again == first
    assert install.received(address)["Subject"] == "By HTTP"


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_swaks(way: str, install: Any, program: Callable[[str], str]) -> None:
    address = f"swaks.{way}@mailhub.test"
    encrypted = ["--tls"] if way == "starttls" else ["--tls-on-connect"]
    port = install.smtp_port if way == "starttls" else install.tls_port
    said = install.run(
        program("swaks"), *encrypted, "--tls-verify", "--tls-ca-path", str(install.authority),
        "--server", install.host, "--port", str(port), "--auth", "LOGIN",
        "--auth-user", "apikey", "--auth-password", install.key, "--auth-hide-password",
        "--from", install.sender, "--to", address, "--header", "Subject: From swaks",
        "--add-header", "X-Postwright-Tag: receipt", "--body", "It has left the orchard.",
    )  # fmt: skip
    assert "250 2.0.0 stored as sub_" in said
    assert install.received(address)["Subject"] == "From swaks"
