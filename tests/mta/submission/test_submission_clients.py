"""Real clients, with STARTTLS and TLS at once, on both event loops."""

import asyncio
import gc
import importlib.util
import os
import shutil
import smtplib
import subprocess
from email.message import EmailMessage

import pytest
import uvloop

from mta.submission.ports import SubmissionReceipt, Submitter
from mta.submission.server import SubmissionGate, SubmissionServer, TlsSubmissionServer

KEY = "pw_live_a-good-key"


class Owner:
    def __init__(self):
        self.accepted = []

    async def authenticate(self, username, secret, peer):
        return Submitter("key_1", None) if secret == KEY else None

    async def recipient(self, submitter, address):
        return None

    async def accept(self, submission):
        self.accepted.append(submission)
        return SubmissionReceipt(f"msg_{len(self.accepted)}")


def absent(what):
    """Skip here, but not where all clients have to be."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def program(name):
    return shutil.which(name) or absent(name)


def message():
    letter = EmailMessage()
    letter["From"] = "Ann <ann@sender.test>"
    letter["To"] = "bob@example.com"
    letter["Bcc"] = "eve@example.com"
    letter["Subject"] = "Hello"
    letter["X-Postwright-Tag"] = "welcome"
    letter.set_content("Hello\n.\n..dots\n" + "long text " * 200 + "\n")
    letter.add_attachment(os.urandom(3_000_000), maintype="application", subtype="octet-stream", filename="a.bin")
    letter.set_boundary("boundary")  # else drawn anew each time
    return letter


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    return {"asyncio": asyncio.run, "uvloop": uvloop.run}[request.param]


@pytest.fixture(params=[False, True], ids=["starttls", "tls-first"])
def tls_first(request):
    return request.param


def against_server(run, server_tls, tls_first, client):
    """Run ``client(port)``, which blocks, in a thread beside a server; returns what came in."""

    async def scenario():
        owner = Owner()
        make = TlsSubmissionServer if tls_first else SubmissionServer
        server = make(SubmissionGate(owner, "mx.sender.test"), server_tls)
        port = await server.start("127.0.0.1", 0)
        try:
            await asyncio.to_thread(client, port)
        finally:
            await server.close_with_421()
        assert not server._listeners.sessions
        return owner.accepted

    return run(scenario())


def test_smtplib(run, server_tls, client_tls, tls_first):
    letter = message()

    def client(port):
        if tls_first:
            smtp = smtplib.SMTP_SSL("localhost", port, context=client_tls, timeout=20)
        else:
            smtp = smtplib.SMTP("localhost", port, timeout=20)
            smtp.starttls(context=client_tls)
        with smtp:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login("apikey", "pw_live_wrong")
            smtp.login("apikey", KEY)
            smtp.send_message(letter)
            smtp.sendmail("ann@sender.test", ["bob@example.com"], "From: ann@sender.test\nSubject: two\n\nx\n")
            with pytest.raises(smtplib.SMTPDataError, match="From"):
                smtp.sendmail("ann@sender.test", ["bob@example.com"], "Subject: no author\n\nx\n")

    first, second = against_server(run, server_tls, tls_first, client)
    assert first.tls == "TLSv1.3"
    assert first.options.tags == ("welcome",)
    assert {address.text for address in first.rcpt_to} == {"bob@example.com", "eve@example.com"}
    assert b"eve@example.com" not in first.content
    del letter["Bcc"], letter["X-Postwright-Tag"]
    assert first.content == letter.as_bytes(policy=letter.policy.clone(linesep="\r\n"))
    assert second.content == b"From: ann@sender.test\r\nSubject: two\r\n\r\nx\r\n"


def test_smtplib_login_mechanism_and_dsn(run, server_tls):
    def client(port):
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = "apikey", KEY
            assert smtp.auth("LOGIN", smtp.auth_login)[0] == 235
            smtp.sendmail(
                "ann@sender.test",
                ["bob@example.com"],
                "From: ann@sender.test\n\nx\n",
                mail_options=["RET=FULL", "ENVID=x1"],
                rcpt_options=["NOTIFY=FAILURE"],
            )

    [submission] = against_server(run, server_tls, False, client)
    assert submission.envid == "x1"


def test_curl(run, server_tls, certificate, tls_first, tmp_path):
    curl = program("curl")
    letter = tmp_path / "letter.eml"
    letter.write_bytes(message().as_bytes(policy=message().policy.clone(linesep="\r\n")))

    def client(port):
        scheme = "smtps" if tls_first else "smtp"
        command = [curl, "--silent", "--show-error", "--max-time", "20", "--ssl-reqd", "--cacert", certificate]
        command += ["--url", f"{scheme}://localhost:{port}", "--user", f"apikey:{KEY}", "--upload-file", letter]
        command += ["--mail-from", "ann@sender.test", "--mail-rcpt", "bob@example.com", "--mail-auth", "<>"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    [submission] = against_server(run, server_tls, tls_first, client)
    assert submission.tls.startswith("TLSv1.")
    assert submission.options.tags == ("welcome",)


def test_swaks(run, server_tls, tls_first):
    swaks = program("swaks")

    def client(port):
        command = [swaks, "--server", "localhost", "--port", str(port), "--auth", "PLAIN", "--auth-user", "apikey"]
        command += ["--auth-password", KEY, "--from", "ann@sender.test", "--to", "bob@example.com", "--timeout", "20"]
        command += ["--tlsc" if tls_first else "--tls", "--header", "X-Postwright-Tag: welcome"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    [submission] = against_server(run, server_tls, tls_first, client)
    assert submission.options.tags == ("welcome",)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # aiosmtplib leaves a socket behind
def test_aiosmtplib(run, server_tls, client_tls, tls_first):
    if importlib.util.find_spec("aiosmtplib") is None:
        absent("aiosmtplib")
    aiosmtplib = importlib.import_module("aiosmtplib")

    def client(port):
        security = {"use_tls": True} if tls_first else {"start_tls": True}
        sending = aiosmtplib.send(
            message(),
            hostname="localhost",
            port=port,
            username="apikey",
            password=KEY,
            tls_context=client_tls,
            timeout=20,
            **security,
        )
        asyncio.run(sending)
        gc.collect()  # here, and not in somebody else's test

    [submission] = against_server(run, server_tls, tls_first, client)
    assert submission.options.tags == ("welcome",)
