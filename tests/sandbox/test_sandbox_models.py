"""The provider models, the certificate authority, the layout and the mailboxes without sockets."""

import asyncio
import socket
import ssl
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dns.name
import dns.rdatatype
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.address import EmailAddress
from mailtypes.clock import ManualClock, SystemClock
from mailtypes.errors import ConfigurationError, StorageError
from postwright.sandbox.authority import Authority
from postwright.sandbox.judgement import AuthResult, DmarcPolicy, Judgement
from postwright.sandbox.layout import DEFAULT_PROVIDER_ADDRESSES, SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes, MailboxWriter, ReceivedMessage
from postwright.sandbox.providers import (
    Approach,
    Folder,
    Greylist,
    Refusal,
    RefusalKind,
    built_in_zones,
    sandbox_providers,
)
from postwright.sandbox.zones import Zone, ZoneSet

MAILHUB, POSTBOX, DOAR = sandbox_providers(DEFAULT_PROVIDER_ADDRESSES, timedelta(seconds=3))
P, F, N, T = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.TEMPERROR


@pytest.mark.parametrize(
    ("results", "policy", "mailhub", "doar"),
    [
        ((P, P, P), "reject", Folder.INBOX, Folder.INBOX),
        ((F, P, P), "reject", Folder.INBOX, Folder.INBOX),
        ((P, P, F), "reject", 550, 550),
        ((P, P, F), "quarantine", 550, Folder.SPAM),
        ((P, N, F), "none", Folder.INBOX, Folder.INBOX),
        ((P, N, N), "", Folder.INBOX, Folder.INBOX),
        ((N, N, N), "", 550, Folder.INBOX),
        ((F, F, F), "none", 550, Folder.INBOX),
        ((T, N, T), "reject", 451, 451),
        ((N, T, N), "", 451, Folder.INBOX),
    ],
)
def test_what_becomes_of_judged_mail(
    results: tuple[AuthResult, ...], policy: str, mailhub: Folder | int, doar: Folder | int
) -> None:
    judgement = Judgement(*results, policy=DmarcPolicy(policy), author_domain="a.test")
    for provider, expected in ((MAILHUB, mailhub), (DOAR, doar), (POSTBOX, Folder.INBOX)):
        answer = provider.answer_data(judgement)
        assert (answer.reply.code if isinstance(answer, Refusal) else answer) == expected
        if isinstance(answer, Refusal):
            assert answer.reply.enhanced_status is not None
            assert answer.reply.enhanced_status.status_class == answer.reply.code // 100


def test_unjudged_mail_is_accepted_everywhere() -> None:
    assert {p.answer_data(Judgement.unjudged()) for p in (MAILHUB, POSTBOX, DOAR)} == {Folder.INBOX}


@pytest.mark.parametrize(
    ("rcpt_to", "expected"),
    [
        ("a@mailhub.test", None),
        ("a@STUDIO-LEVI.test", None),
        ("a@doar.test", RefusalKind.NOT_OUR_DOMAIN),
        ("a@sub.mailhub.test", RefusalKind.NOT_OUR_DOMAIN),
        ("NOBODY3@mailhub.test", RefusalKind.UNKNOWN_USER),
        ("no one@mailhub.test", RefusalKind.BAD_ADDRESS),
        ("x\u202e@mailhub.test", RefusalKind.BAD_ADDRESS),
    ],
)
def test_who_has_a_mailbox(rcpt_to: str, expected: RefusalKind | None) -> None:
    answer = MAILHUB.answer_rcpt(Approach("127.0.0.2", "b@a.test", rcpt_to), ManualClock().now())
    if expected is None:
        assert isinstance(answer, EmailAddress)
    else:
        assert isinstance(answer, Refusal)
        assert answer.kind is expected


@given(st.text(max_size=80))
def test_every_reply_is_one_line_of_ascii(rcpt_to: str) -> None:
    answer = DOAR.answer_rcpt(Approach("127.0.0.2", "b@a.test", rcpt_to), ManualClock().now())
    if isinstance(answer, Refusal):
        text = str(answer.reply)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 500


def test_the_greylist_waits_once_for_each_triplet() -> None:
    clock = ManualClock()
    greylist = Greylist(timedelta(seconds=3))
    first = greylist.triplet(Approach("127.0.0.2", "v1@a.test", "x"), "x@postbox.test")
    assert first == greylist.triplet(Approach("127.0.0.250", "v2@A.test", "x"), "x@postbox.test")
    others = [("127.0.1.2", "v@a.test", "x"), ("127.0.0.2", "v@b.test", "x"), ("127.0.0.2", "v@a.test", "y")]
    assert first not in {
        greylist.triplet(Approach(ip, sender, key), f"{key}@postbox.test") for ip, sender, key in others
    }
    assert greylist.wait(first, clock.now()) == 3_000_000
    clock.advance(timedelta(seconds=2))
    assert greylist.wait(first, clock.now()) == 1_000_000
    clock.advance(timedelta(seconds=1))
    assert greylist.wait(first, clock.now()) == 0
    clock.advance(timedelta(days=40))
    assert greylist.wait(first, clock.now()) == 3_000_000  # forgotten
    seen = greylist.first_seen(first)
    assert seen is not None
    again = Greylist(timedelta(seconds=3), {first: seen - 5_000_000})
    assert again.wait(first, clock.now()) == 0


def test_the_built_in_zones_lead_from_each_domain_to_its_provider_and_back() -> None:
    texts = built_in_zones((MAILHUB, POSTBOX, DOAR), "127.0.0.1")
    parsed = [Zone.parse(origin, text) for origin, text in texts.items()]
    zones = ZoneSet({zone.origin: zone for zone in parsed})
    for provider in (MAILHUB, POSTBOX, DOAR):
        for domain in provider.domains:
            (exchanges,) = zones.resolve(dns.name.from_text(domain.ascii), dns.rdatatype.MX).answer
            assert [rdata.exchange.to_text(True) for rdata in exchanges] == list(provider.mx_hosts)
        for host in provider.mx_hosts:
            (addresses,) = zones.resolve(dns.name.from_text(host), dns.rdatatype.A).answer
            assert [rdata.address for rdata in addresses] == [provider.address]
        (pointer,) = zones.resolve(dns.reversename.from_address(provider.address), dns.rdatatype.PTR).answer
        assert pointer[0].target.to_text(True) == provider.mx_hosts[0]


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as wrapped:
                wrapped.recv(1)
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as wrapped:
            return wrapped.version()
    finally:
        ours.close()
        thread.join()


def test_the_chain_validates_for_its_names_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", SystemClock())
    issued = authority.issue(["click.news.acme.test", "127.0.0.5"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate_path, issued.key_path)
    client = ssl.create_default_context(cafile=str(authority.root_path))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("click.news.acme.test", "127.0.0.5"):
        assert handshake(server, client, name) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "other.acme.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(), "click.news.acme.test")
    assert issued.key_path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "ca" / "root.key.pem").stat().st_mode & 0o077 == 0


def test_certificates_are_kept_until_they_have_to_change(tmp_path: Path) -> None:
    clock = ManualClock()
    authority = Authority(tmp_path, clock)
    issued = authority.issue(["mx1.a.test", "mx2.a.test"])
    first = issued.certificate_path.read_bytes()
    root = authority.root_path.read_bytes()
    again = Authority(tmp_path, clock)
    assert again.root_path.read_bytes() == root
    assert again.issue(["mx1.a.test", "mx2.a.test"]).certificate_path.read_bytes() == first
    assert again.issue(["mx1.a.test"]).certificate_path.read_bytes() != first
    second = issued.certificate_path.read_bytes()
    clock.advance(timedelta(days=85))
    assert again.issue(["mx1.a.test"]).certificate_path.read_bytes() != second
    for names in ([], ["mail.example.com"], ["10.0.0.1"]):
        with pytest.raises(ConfigurationError):
            again.issue(names)


def test_the_layout_comes_back_as_it_was_written(tmp_path: Path) -> None:
    layout = SandboxLayout(tmp_path, dns_port=1053, smtp_port=1025, greylist_delay=timedelta(milliseconds=1500))
    layout.save()
    assert SandboxLayout.load(tmp_path) == layout
    for broken in (b"{", b"[]", b'{"greylist_delay_seconds": 1, "surprise": 2}'):
        layout.file.write_bytes(broken)
        with pytest.raises(ConfigurationError):
            SandboxLayout.load(tmp_path)
    for changes in ({"dns_address": "0.0.0.0"}, {"provider_addresses": {}}, {"judge_processes": 0}):
        with pytest.raises(ConfigurationError):
            replace(layout, **changes)


def received(number: int, rcpt: str = "a@mailhub.test") -> ReceivedMessage:
    return ReceivedMessage(
        provider="mailhub",
        folder="inbox",
        received_at=1_000_000 * number,
        client_ip="127.0.0.2",
        helo="h",
        mail_from="b@a.test",
        rcpt_to=rcpt,
        rcpt_key=rcpt,
        message_id=f"<{number}@a.test>",
        subject="s",
        size=3,
        spf="pass",
        dkim="pass",
        dmarc="pass",
        spf_domain="a.test",
        dkim_domain="a.test",
        author_domain="a.test",
        aligned="spf",
        tls="",
    )


async def test_mailboxes_page_and_outlive_the_writer(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path / "m.db")
    writer.start()
    await asyncio.gather(*(writer.store([received(n)], b"raw%d" % n) for n in range(1, 251)))
    mailboxes = Mailboxes(tmp_path / "m.db")
    assert mailboxes.summary().messages == 250  # committed when store() returned
    await writer.close()
    page = mailboxes.list_messages(limit=100)
    rest = mailboxes.list_messages(limit=1000, before=page[-1].id)
    assert [m.id for m in page + rest] == list(range(250, 0, -1))
    assert mailboxes.list_messages(provider="doar") == []
    assert mailboxes.get(999) is None
    message, raw = mailboxes.get(page[0].id) or pytest.fail("gone")
    assert raw == b"raw" + message.message_id[1:].partition("@")[0].encode()
    assert mailboxes.summary().received_per_second == pytest.approx(1.0)
    with pytest.raises(StorageError):
        await writer.store([received(1)], b"")
    with pytest.raises(StorageError):
        Mailboxes(tmp_path / "absent.db").summary()
    assert not (tmp_path / "absent.db").exists()
