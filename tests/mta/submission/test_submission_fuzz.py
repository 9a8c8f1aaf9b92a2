"""Any octets at all: no exception gets out, nothing is held without bound, and no mail without a good key."""

import asyncio
import base64
import logging

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from mta.submission.limits import SubmissionLimits
from mta.submission.ports import SubmissionReceipt, Submitter
from mta.submission.server import SubmissionGate, SubmissionServer

KEY = "pw_live_a-good-key"
LIMITS = SubmissionLimits(
    message_octets=5000, octets_in_flight=12_000, header_octets=2000, header_fields=10, recipients=3
)
AUTH = b"AUTH PLAIN " + base64.b64encode(f"\0apikey\0{KEY}".encode()) + b"\r\n"
LINES = st.sampled_from(
    [
        b"EHLO a.test\r\n",
        b"HELO a.test\r\n",
        AUTH,
        AUTH.replace(b"PLAIN", b"plain"),
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AAAA\r\n",
        b"STARTTLS\r\n",
        b"MAIL FROM:<ann@sender.test>\r\n",
        b"MAIL FROM:<> SIZE=99 RET=FULL ENVID=a+2Bb\r\n",
        "MAIL FROM:<דנה@sender.test> SMTPUTF8\r\n".encode(),
        b"RCPT TO:<bob@example.com>\r\n",
        b"RCPT TO:<joe@example.com> NOTIFY=NEVER ORCPT=rfc822;joe\r\n",
        b"DATA\r\n",
        b"From: Ann <ann@sender.test>\r\n",
        b"X-Postwright-Tag: a\r\n",
        b"X-Postwright-Metadata: {}\r\n",
        b"Bcc: x\r\n",
        b"\r\n",
        b".\r\n",
        b"..\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"*\r\n",
        b"x" * 5000,
        b"y" * 900 + b"\r\n",
        b"\n.\n",
        b"\r",
        b"\n",
        b"\0",
        b"\xff\xfe\r\n",
    ]
)
PREFIX = [b"EHLO a.test\r\n", AUTH, b"MAIL FROM:<ann@sender.test>\r\n", b"RCPT TO:<bob@example.com>\r\n", b"DATA\r\n"]
# A pause lets the answer come before the next piece, as a well-behaved client would have it.
PIECES = st.lists(st.tuples(LINES | st.binary(max_size=40), st.booleans()), max_size=25)


class Owner:
    def __init__(self):
        self.accepted = []
        self.has_signed_in = False

    async def authenticate(self, username, secret, peer):
        self.has_signed_in = self.has_signed_in or secret == KEY
        return Submitter("key_1", None) if secret == KEY else None

    async def recipient(self, submitter, address):
        return None

    async def accept(self, submission):
        assert self.has_signed_in
        self.accepted.append(submission)
        return SubmissionReceipt("msg_1")


async def converse(pieces):
    owner = Owner()
    gate = SubmissionGate(owner, "mx.sender.test", LIMITS)
    server = SubmissionServer(gate)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
    for octets, is_alone in pieces:
        writer.write(octets)
        await asyncio.sleep(0.001 if is_alone else 0)
        for session in server._listeners.sessions:
            assert len(session._unread()) <= LIMITS.octets_in_flight + 256 * 1024
        assert gate.budget.left >= 0
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()
    async with asyncio.timeout(5):
        said = await reader.read()
    writer.transport.abort()
    await server.close_with_421()
    await asyncio.sleep(0.001)  # a session that was cut off gives back what it held as soon as it learns of it
    assert gate.budget.left == LIMITS.octets_in_flight
    return owner, said


def check(owner, said):
    assert said.endswith(b"\r\n")
    for line in said.split(b"\r\n")[:-1]:
        assert line[:3].isdigit()
        assert line[3:4] in b"- "
        assert len(line) <= 510
        assert line.isascii()
    assert b"local error" not in said
    assert said.count(b"stored as") <= len(owner.accepted)
    for submission in owner.accepted:
        assert submission.recipients
        assert len(submission.content) <= LIMITS.message_octets + 2
        head = submission.content.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nbcc:" not in head
        assert b"x-postwright" not in head
        for address in (submission.mail_from, submission.author, *submission.rcpt_to):
            assert address is None or EmailAddress.parse(address.text) == address


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(skipped=st.integers(0, len(PREFIX)), pieces=PIECES)
def test_any_octets_at_all(caplog, skipped, pieces):
    caplog.clear()
    opening = [(octets, True) for octets in PREFIX[: len(PREFIX) - skipped]]
    check(*asyncio.run(converse(opening + pieces)))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
