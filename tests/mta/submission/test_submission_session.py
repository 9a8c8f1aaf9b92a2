import asyncio
import base64
import re
import socket
import struct
from datetime import timedelta

import pytest

from mailtypes.errors import StorageError, StorageFullError
from mta.submission.connection import SubmissionConnection
from mta.submission.ports import Notify, Refusal, Return, SubmissionReceipt, SubmissionRefusedError
from mta.submission.tries import TryLimits

KEY = "pw_live_a-good-key"
MESSAGE = b"From: Ann <ann@sender.test>\r\nSubject: x\r\n\r\nHello\r\n"


def auth_plain(key=KEY):
    return b"AUTH PLAIN " + base64.b64encode(f"\0apikey\0{key}".encode()) + b"\r\n"


async def test_a_message_is_handed_over_whole(listen, owner):
    _, connect = await listen()
    client = await connect()
    assert (await client.envelope()) == "250 2.1.5 ok\r\n"
    assert (await client.data(MESSAGE + b"..dot\r\n")) == "250 2.0.0 stored as msg_1\r\n"
    [submission] = owner.accepted
    assert submission.submitter.name == "key_1"
    assert submission.mail_from.text == "ann@sender.test"
    assert [address.text for address in submission.rcpt_to] == ["bob@example.com"]
    assert submission.author_domain.ascii == "sender.test"
    assert submission.content == MESSAGE + b".dot\r\n"
    assert (submission.peer, submission.helo, submission.tls) == ("127.0.0.1", "client.test", "")
    assert (await client.say(b"QUIT\r\n")).startswith("221 2.0.0")
    assert await client.rest() == ""


async def test_what_ehlo_offers(listen, server_tls):
    _, connect = await listen(server_tls=server_tls, message_octets=1000)
    client = await connect()
    assert (await client.hear()) == "220 mx.sender.test ESMTP\r\n"
    offered = (await client.say(b"EHLO client.test\r\n")).split("\r\n")
    assert offered[:-1] == [
        "250-mx.sender.test",
        "250-SIZE 1000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-ENHANCEDSTATUSCODES",
        "250-DSN",
        "250-STARTTLS",
        "250 AUTH PLAIN LOGIN",
    ]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"MAIL FROM:<ann@sender.test>", "530 5.7.0"),
        (b"RCPT TO:<bob@example.com>", "503 5.5.1"),
        (b"DATA", "503 5.5.1"),
        (b"BDAT 10 LAST", "500 5.5.1"),
        (b"STARTTLS", "503 5.5.1"),
        (b"VRFY root", "252 2.1.5"),
        (b"EXPN all", "500 5.5.1"),
        (b"NOOP", "250 2.0.0"),
        (b"RSET", "250 2.0.0"),
        (b"AUTH CRAM-MD5", "504 5.5.4"),
        (b"AUTH PLAIN !!!", "501 5.5.2"),
        (b"AUTH PLAIN AGFiYw==", "501 5.5.2"),
        (b"AUTH", "504 5.5.4"),
        (b"EHLO", "501 5.5.4"),
        (b"NOOP \x00", "501 5.5.2"),
        (b"NOOP \xff", "501 5.5.2"),
        (b"", "500 5.5.1"),
        (b"\xc3\xa4", "500 5.5.1"),
    ],
)
async def test_nothing_happens_without_auth(listen, owner, command, reply):
    _, connect = await listen()
    client = await connect()
    await client.hear()
    await client.say(b"EHLO client.test\r\n")
    assert (await client.say(command + b"\r\n")).startswith(reply)
    assert (await client.say(b"MAIL FROM:<ann@sender.test>\r\n")).startswith("530 5.7.0")
    assert owner.tries == []


async def test_auth_login_and_plain_with_challenges(listen, owner):
    _, connect = await listen()
    first, second, third = await connect(), await connect(), await connect()
    for client in (first, second, third):
        await client.hear()
        await client.say(b"EHLO client.test\r\n")
    assert (await first.say(b"auth login\r\n")) == "334 VXNlcm5hbWU6\r\n"
    assert (await first.say(base64.b64encode(b"anything") + b"\r\n")) == "334 UGFzc3dvcmQ6\r\n"
    assert (await first.say(base64.b64encode(KEY.encode()) + b"\r\n")).startswith("235 2.7.0")
    assert (await first.say(auth_plain())).startswith("503")
    assert (await second.say(b"AUTH PLAIN\r\n")) == "334 \r\n"
    assert (await second.say(auth_plain()[len("AUTH PLAIN ") :])).startswith("235 2.7.0")
    assert (await third.say(b"AUTH LOGIN\r\n")).startswith("334")
    assert (await third.say(b"*\r\n")).startswith("501 5.7.0")
    assert [tried[:2] for tried in owner.tries] == [("anything", KEY), ("apikey", KEY)]


async def test_a_key_is_not_taken_in_the_clear_unless_from_loopback(listen, owner, server_tls, monkeypatch):
    _, connect = await listen(server_tls=server_tls)
    begin = SubmissionConnection._begin

    def from_elsewhere(session, transport):
        begin(session, transport)
        session.peer_ip = "192.0.2.7"

    monkeypatch.setattr(SubmissionConnection, "_begin", from_elsewhere)
    client = await connect()
    await client.hear()
    assert "AUTH" not in await client.say(b"EHLO client.test\r\n")
    assert (await client.say(auth_plain())).startswith("538 5.7.11")
    assert (await client.say(b"MAIL FROM:<ann@sender.test>\r\n")).startswith("530 5.7.0")
    assert owner.tries == []


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
async def test_what_counts_as_loopback(listen, address, is_private):
    server, connect = await listen()
    await (await connect()).hear()
    [session] = server._listeners.sessions
    session.peer_ip = address
    assert session.is_private is is_private


async def test_tries_with_bad_keys_are_limited(listen, owner):
    _, connect = await listen(tries=TryLimits(free_by_peer=4))
    replies = []
    for _ in range(3):
        client = await connect()
        await client.hear()
        await client.say(b"EHLO client.test\r\n")
        replies += [await client.say(auth_plain("pw_live_bad")) for _ in range(3)]
        assert (await client.hear()).startswith("421 4.7.0")
        assert await client.rest() == ""
    assert [reply[:9] for reply in replies] == ["535 5.7.8"] * 5 + ["454 4.7.0"] * 4
    assert len(owner.tries) == 5
    late = await connect()
    assert (await late.sign_in()).startswith("454 4.7.0")  # a good key has to wait as well


async def test_good_keys_are_not_held_off(listen, owner):
    _, connect = await listen(tries=TryLimits(free_by_peer=2, free_by_prefix=2))
    for _ in range(10):
        assert (await (await connect()).sign_in()).startswith("235")


async def test_a_key_that_cannot_be_looked_up_is_no_lost_try(listen, owner):
    async def authenticate(username, secret, peer):
        raise StorageError("gone")

    _, connect = await listen(tries=TryLimits(free_by_peer=2, free_by_prefix=2))
    good, owner.authenticate = owner.authenticate, authenticate
    for _ in range(6):
        assert (await (await connect()).sign_in()).startswith("454 4.7.0 could not look the key up")
    owner.authenticate = good
    assert (await (await connect()).sign_in()).startswith("235")


async def test_a_whole_transaction_pipelined(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    for number in (1, 2):
        client.writer.write(
            b"MAIL FROM:<ann@sender.test>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
        )
        assert [(await client.hear())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        client.writer.write(MESSAGE + b".\r\n" + (b"RSET\r\nNOOP\r\n" if number == 1 else b"QUIT\r\n"))
        assert (await client.hear()).startswith(f"250 2.0.0 stored as msg_{number}")
        if number == 1:
            assert [await client.hear(), await client.hear()] == ["250 2.0.0 ok\r\n"] * 2
    assert (await client.hear()).startswith("221")
    assert [len(submission.recipients) for submission in owner.accepted] == [2, 2]


async def test_replies_to_a_pipelined_group_come_together(listen):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    client.writer.write(b"NOOP\r\n" * 20)
    await asyncio.sleep(0.05)
    assert (await client.reader.read(4096)) == b"250 2.0.0 ok\r\n" * 20


async def test_octets_behind_data_end_the_connection(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    client.writer.write(
        b"MAIL FROM:<ann@sender.test>\r\nRCPT TO:<not an address>\r\nDATA\r\n"
        + MESSAGE
        + b"MAIL FROM:<evil@x.test>\r\n"
    )
    assert [(await client.hear())[:3] for _ in range(3)] == ["250", "501", "554"]
    assert await client.rest() == ""
    assert owner.accepted == []


async def test_pipelining_behind_starttls_ends_the_connection(listen, owner, server_tls):
    server, connect = await listen(server_tls=server_tls)
    for behind in (b"NOOP\r\n", b"\r", b"x"):
        client = await connect()
        await client.hear()
        await client.say(b"EHLO client.test\r\n")
        assert (await client.say(b"STARTTLS\r\n" + behind)).startswith("554 5.5.1")
        assert await client.rest() == ""
        client.writer.close()
        await asyncio.sleep(0.05)
        assert not server._listeners.sessions


async def test_starttls_forgets_what_was_said_in_the_clear(listen, owner, server_tls, client_tls):
    _, connect = await listen(server_tls=server_tls)
    client = await connect()
    await client.envelope()
    assert (await client.say(b"STARTTLS\r\n")).startswith("220 2.0.0")
    await client.writer.start_tls(client_tls, server_hostname="mx.sender.test")
    assert (await client.say(b"DATA\r\n")).startswith("503")
    assert (await client.say(b"MAIL FROM:<ann@sender.test>\r\n")).startswith("530")
    assert (await client.say(auth_plain())).startswith("503")
    offered = await client.say(b"EHLO client.test\r\n")
    assert "STARTTLS" not in offered
    assert (await client.say(auth_plain())).startswith("235")
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    assert (await client.data(MESSAGE + b"x" * 70 + b"\r\n" * 50_000)).startswith("250")
    assert owner.accepted[0].tls == "TLSv1.3"
    assert (await client.say(b"STARTTLS\r\n")).startswith("503")


@pytest.mark.parametrize("tls_first", [False, True])
async def test_a_handshake_that_fails_frees_its_place(listen, server_tls, tls_first):
    server, connect = await listen(server_tls=server_tls, tls_first=tls_first)
    client = await connect()
    if not tls_first:
        await client.hear()
        assert (await client.say(b"STARTTLS\r\n")).startswith("220")
    client.writer.write(b"EHLO client.test\r\n" * 10)
    assert "ESMTP" not in await client.rest()
    await asyncio.sleep(0.05)
    assert not server._listeners.sessions
    assert not server._listeners.peers


async def test_a_server_closes_in_the_middle_of_handshakes(listen, server_tls):
    for tls_first in (False, True):
        server, connect = await listen(server_tls=server_tls, tls_first=tls_first)
        client = await connect()
        if not tls_first:
            await client.hear()
            await client.say(b"STARTTLS\r\n")
        await asyncio.sleep(0.02)
        await server.close_with_421(timedelta(milliseconds=100))
        assert not server._listeners.sessions


async def test_connections_in_their_handshake_are_counted(listen, server_tls, client_tls):
    _, connect = await listen(server_tls=server_tls, tls_first=True, connections=1)
    first = await connect()
    await asyncio.sleep(0.02)
    second = await connect()
    assert await second.rest() == ""
    first.writer.transport.abort()
    await asyncio.sleep(0.02)
    third = await connect(ssl=client_tls, server_hostname="mx.sender.test")
    assert (await third.hear()).startswith("220")
    assert "STARTTLS" not in await third.say(b"EHLO client.test\r\n")


async def test_dsn_parameters_arrive(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.envelope(
        b"<ann@sender.test> RET=HDRS ENVID=QQ+2B314 SIZE=100 BODY=8BITMIME AUTH=<>",
        b"<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.com",
    )
    assert (await client.say(b"RCPT TO:<joe@example.com> NOTIFY=NEVER\r\n")).startswith("250")
    assert (await client.say(b"RCPT TO:<eve@example.com> NOTIFY=NEVER,DELAY\r\n")).startswith("501")
    await client.data()
    [submission] = owner.accepted
    assert (submission.ret, submission.envid) == (Return.HDRS, "QQ+314")
    bob, joe = submission.recipients
    assert bob.notify == {Notify.SUCCESS, Notify.FAILURE}
    assert (bob.original_recipient.address_type, bob.original_recipient.address) == ("rfc822", "Bob+x@example.com")
    assert joe.notify == {Notify.NEVER}
    assert joe.original_recipient is None


async def test_smtputf8(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    assert (await client.say("MAIL FROM:<דנה@sender.test>\r\n".encode())).startswith("553 5.6.7")
    assert (await client.say("MAIL FROM:<דנה@sender.test> SMTPUTF8\r\n".encode())).startswith("250")
    assert (await client.say("RCPT TO:<בוב@דוגמה.example>\r\n".encode())).startswith("250")
    content = "From: דנה <דנה@sender.test>\r\nSubject: שלום\r\n\r\nגוף\r\n".encode()
    assert (await client.data(content)).startswith("250")
    [submission] = owner.accepted
    assert submission.smtputf8
    assert submission.author.local_part == "דנה"
    assert submission.content == content
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    assert (await client.say("RCPT TO:<בוב@example.com>\r\n".encode())).startswith("553 5.6.7")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    assert (await client.data(content)).startswith("550 5.6.0")


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (StorageError("gone"), "451 4.3.0"),
        (StorageFullError("full"), "452 4.3.1"),
        (RuntimeError("a fault"), "451 4.3.0"),
        (SubmissionRefusedError(Refusal.DOMAIN_NOT_VERIFIED, "evil.test\r\n250 ok"), "550 5.7.1"),
        (SubmissionRefusedError(Refusal.OVER_QUOTA), "452 4.7.1"),
        (SubmissionRefusedError(Refusal.BUSY), "452 4.3.1"),
        (SubmissionRefusedError(Refusal.CLOSING), "421 4.3.2"),
    ],
)
async def test_what_is_not_stored_is_not_acknowledged(listen, owner, error, reply):
    server, connect = await listen()
    client = await connect()
    await client.envelope()
    owner.error = error
    answer = await client.data()
    assert answer.startswith(reply)
    assert answer.count("\r\n") == 1
    assert server.gate.budget.left == server.gate.limits.octets_in_flight
    if reply.startswith("421"):
        assert await client.rest() == ""
        return
    assert (await client.say(b"DATA\r\n")).startswith("503")
    owner.error = None
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    assert (await client.data()).startswith("250")
    assert len(owner.accepted) == 1


async def test_no_250_before_the_commit_and_no_cancelled_commit(listen, owner):
    server, connect = await listen()
    client = await connect()
    await client.envelope()
    owner.gate = asyncio.Event()
    answer = asyncio.ensure_future(client.data())
    await asyncio.sleep(0.05)
    assert not answer.done()
    reset = struct.pack("ii", 1, 0)
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert not server._listeners.sessions
    assert server.gate.budget.left < server.gate.limits.octets_in_flight
    owner.gate.set()
    await asyncio.sleep(0.05)
    assert len(owner.accepted) == 1
    assert server.gate.budget.left == server.gate.limits.octets_in_flight
    answer.cancel()


async def test_a_client_that_closes_its_side_still_gets_its_answer(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.envelope()
    await client.say(b"DATA\r\n")
    owner.gate = asyncio.Event()
    client.writer.write(MESSAGE + b".\r\n")
    await asyncio.sleep(0.02)
    client.writer.write_eof()
    await asyncio.sleep(0.02)
    owner.gate.set()
    assert (await client.rest()).startswith("250 2.0.0")
    other = await connect()
    other.writer.write(b"EHLO client.test\r\nNOOP\r\n")
    other.writer.write_eof()
    assert re.findall(r"^\d{3} ", await other.rest(), re.MULTILINE) == ["220 ", "250 ", "250 "]


async def test_a_message_cut_off_is_none(listen, owner):
    server, connect = await listen()
    client = await connect()
    await client.envelope()
    await client.say(b"DATA\r\n")
    client.writer.write(MESSAGE + b".")
    client.writer.write_eof()
    assert await client.rest() == ""
    await asyncio.sleep(0.02)
    assert owner.accepted == []
    assert server.gate.budget.left == server.gate.limits.octets_in_flight


async def test_refused_recipients_are_named_one_by_one(listen, owner):
    _, connect = await listen(recipients=2)
    owner.refused = {"gone@example.com": Refusal.RECIPIENT_SUPPRESSED}
    client = await connect()
    assert (await client.envelope(rcpt=b"<gone@example.com>")).startswith("550 5.7.1 the recipient is suppressed")
    assert (await client.say(b"DATA\r\n")).startswith("554 5.5.1")
    assert (await client.say(b"RCPT TO:<a@example.com>\r\n")).startswith("250")
    assert (await client.say(b"RCPT TO:<b@example.com>\r\n")).startswith("250")
    assert (await client.say(b"RCPT TO:<c@example.com>\r\n")).startswith("452 4.5.3")
    assert (await client.data()).startswith("250")


async def test_a_receipt_tells_what_was_left_out(listen, owner):
    async def accept(submission):
        return SubmissionReceipt("msg_9", is_repeat=True, left_out=2)

    owner.accept = accept
    _, connect = await listen()
    client = await connect()
    await client.envelope()
    assert (await client.data()) == "250 2.0.0 stored as msg_9 before, 2 recipients left out\r\n"


async def test_a_fault_in_the_owner_outside_of_accept_ends_the_session(listen, owner):
    async def recipient(submitter, address):
        raise RuntimeError("a fault")

    owner.recipient = recipient
    _, connect = await listen()
    client = await connect()
    assert (await client.envelope()).startswith("421 4.3.0")
    assert await client.rest() == ""


async def test_shutdown_answers_what_is_being_stored(listen, owner):
    server, connect = await listen()
    busy, idle = await connect(), await connect()
    await idle.hear()
    await busy.envelope()
    owner.gate = asyncio.Event()
    answer = asyncio.ensure_future(busy.data())
    await asyncio.sleep(0.05)
    closing = asyncio.ensure_future(server.close_with_421())
    assert (await idle.hear()).startswith("421 4.3.2")
    owner.gate.set()
    assert (await answer).startswith("250")
    assert (await busy.hear()).startswith("421 4.3.2")
    await closing


async def test_keys_are_not_logged(listen, owner, caplog):
    caplog.set_level("DEBUG")
    _, connect = await listen()
    client = await connect()
    await client.hear()
    encoded = base64.b64encode(f"\0u\0{KEY}".encode())
    await client.say(encoded + b"\r\n")  # sent too early, as a command
    await client.say(b"EHLO client.test\r\n")
    await client.say(b"AUTH PLAIN " + encoded + b"\r\n")
    for secret in (KEY, encoded.decode(), encoded.decode().upper()):
        assert secret not in caplog.text
