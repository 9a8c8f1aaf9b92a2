"""End to end over sockets: a signed mail to each provider, and what each of them refuses."""

import re
import smtplib
import socket
import time
from dataclasses import replace

import pytest

from mailtypes.domain import DomainName
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.zones import publish_zone


def deliver(sender, provider: str, rcpt_to: str, message: bytes, **options) -> None:
    with sender.connect(provider, **options) as client:
        client.sendmail(f"bounce+x@{sender.domain}", [rcpt_to], message)


@pytest.mark.parametrize(
    ("provider", "rcpt_to"),
    [("mailhub", "rosa@bakery.test"), ("doar", "Dana.Levi@xn--4dbfg1f.test"), ("doar", "moshe@kfar-saba.test")],
)
def test_a_signed_mail_passes_everything_and_is_kept(sender, mailboxes: Mailboxes, provider: str, rcpt_to: str) -> None:
    message = sender.signed(sender.message(rcpt_to, message_id="kept"))
    deliver(sender, provider, rcpt_to, message)
    stored = mailboxes.list_messages(rcpt=rcpt_to.lower())[0]
    assert (stored.spf, stored.dkim, stored.dmarc) == ("pass", "pass", "pass")
    assert (stored.provider, stored.folder, stored.aligned) == (provider, "inbox", "spf,dkim")
    assert (stored.dkim_domain, stored.spf_domain, stored.author_domain) == ("news.acme.test",) * 3
    assert stored.subject == "שלום kept"
    assert stored.message_id == "<kept@news.acme.test>"
    assert (stored.client_ip, stored.helo, stored.tls) == ("127.0.0.2", "mta.news.acme.test", "TLSv1.3")
    assert stored.size == len(message)
    found = mailboxes.get(stored.id)
    assert found is not None
    trace, kept = found[1][: -len(message)], found[1][-len(message) :]
    assert kept == message
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", trace)
    assert unfolded.startswith(b"Return-Path: <bounce+x@news.acme.test>\r\nAuthentication-Results: mx1.")
    for result in (b"spf=pass", b"dkim=pass", b"header.d=news.acme.test", b"dmarc=pass"):
        assert result in unfolded
    assert b"\n" not in trace.replace(b"\r\n", b"")


def test_the_hebrew_domain_is_the_one_that_people_write() -> None:
    assert DomainName.parse("דואר.test").ascii == "xn--4dbfg1f.test"


def test_postbox_greylists_and_then_accepts_whatever_the_verp_address(sender, mailboxes: Mailboxes) -> None:
    rcpt_to = "grey@postbox.test"
    message = sender.signed(sender.message(rcpt_to))
    with sender.connect("postbox") as client:
        client.mail(f"b1@{sender.domain}")
        code, text = client.rcpt(rcpt_to)
        assert (code, text[:5]) == (451, b"4.7.1")
        client.rset()
        assert client.mail(f"b2@{sender.domain}")[0] == 250
        assert client.rcpt(rcpt_to)[0] == 451
    time.sleep(0.6)
    deliver(sender, "postbox", rcpt_to, message)
    assert mailboxes.list_messages(rcpt=rcpt_to)[0].dmarc == "pass"
    assert {r.rcpt_to for r in mailboxes.list_refusals("greylisted")} == {rcpt_to}


@pytest.mark.parametrize("rcpt_to", ["nobody.17@mailhub.test", "Gone-away@bakery.test", "unknown@gardenclub.test"])
def test_an_unknown_user_is_refused_at_rcpt(sender, mailboxes: Mailboxes, rcpt_to: str) -> None:
    with sender.connect("mailhub") as client:
        client.mail(f"b@{sender.domain}")
        code, text = client.rcpt(rcpt_to)
    assert (code, text[:5]) == (550, b"5.1.1")
    refusal = mailboxes.list_refusals("unknown_user")[0]
    assert (refusal.rcpt_to, refusal.reply) == (rcpt_to, "550 5.1.1 No such user here")


def test_a_host_takes_no_mail_for_others_domains(sender) -> None:
    with sender.connect("mailhub") as client:
        client.mail(f"b@{sender.domain}")
        assert client.rcpt("dana@doar.test")[0] == 550


def test_unauthenticated_mail_is_refused_by_mailhub_alone(sender, mailboxes: Mailboxes) -> None:
    stranger = replace(sender, domain="stranger.test")  # publishes nothing
    message = stranger.message("rosa@mailhub.test")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        deliver(stranger, "mailhub", "rosa@mailhub.test", message)
    assert refused.value.smtp_code == 550
    assert bytes(refused.value.smtp_error).startswith(b"5.7.26")
    deliver(stranger, "doar", "rosa@doar.test", message)
    stored = mailboxes.list_messages(rcpt="rosa@doar.test")[0]
    assert (stored.spf, stored.dkim, stored.dmarc) == ("none", "none", "none")


def test_a_broken_body_fails_dkim(sender, mailboxes: Mailboxes) -> None:
    message = sender.signed(sender.message("eve@mailhub.test")).replace(b"Hello there", b"Hallo there")
    deliver(sender, "mailhub", "eve@mailhub.test", message)  # SPF still passes, in alignment
    stored = mailboxes.list_messages(rcpt="eve@mailhub.test")[0]
    assert (stored.spf, stored.dkim, stored.dmarc, stored.aligned) == ("pass", "fail", "pass", "spf")


def test_doar_does_what_the_dmarc_policy_asks(sender, mailboxes: Mailboxes) -> None:
    broken = sender.signed(sender.message("ben@doar.test")).replace(b"Hello there", b"Hallo there")
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 Rejected by the DMARC policy of news\.acme\.test"):
        deliver(sender, "doar", "ben@doar.test", broken, source="127.0.0.99")  # SPF fails from there
    milder = replace(sender, domain="mild.test")
    milder.publish(policy="quarantine")
    broken = milder.signed(milder.message("ben@doar.test")).replace(b"Hello there", b"Hallo there")
    deliver(milder, "doar", "ben@doar.test", broken, source="127.0.0.99")
    stored = mailboxes.list_messages(rcpt="ben@doar.test")[0]
    assert (stored.folder, stored.spf, stored.dmarc) == ("spam", "fail", "fail")


@pytest.mark.parametrize("domain", ["my-shop.test", "xn--4dbfg1f.test", "a.b-c.d-e.test"])
def test_domains_with_hyphens_are_judged_whole(sender, mailboxes: Mailboxes, domain: str) -> None:
    shop = replace(sender, domain=domain)
    shop.publish(spf="v=spf1 -all")
    deliver(shop, "mailhub", "hyphen@mailhub.test", shop.signed(shop.message("hyphen@mailhub.test")))
    stored = mailboxes.list_messages(rcpt="hyphen@mailhub.test")[0]
    assert (stored.author_domain, stored.dmarc, stored.aligned) == (domain, "pass", "dkim")


def test_a_foreign_signature_beside_ours_does_not_hide_it(sender, mailboxes: Mailboxes) -> None:
    other = replace(sender, domain="relay.example")
    publish_zone(sender.layout.zones_directory, "relay.example", "@ TXT nothing\n")  # no key there
    message = other.signed(sender.signed(sender.message("two@doar.test"), "s2"))
    deliver(sender, "doar", "two@doar.test", message)
    stored = mailboxes.list_messages(rcpt="two@doar.test")[0]
    assert (stored.dkim, stored.dkim_domain, stored.dmarc) == ("pass", "news.acme.test", "pass")


def test_a_passing_signature_of_another_domain_is_not_aligned(sender, mailboxes: Mailboxes) -> None:
    other = replace(sender, domain="relay.test")
    other.publish()
    message = other.signed(sender.message("bcc@mailhub.test"))
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.26.*dkim=pass dmarc=fail"):
        deliver(sender, "mailhub", "bcc@mailhub.test", message, source="127.0.0.99")


def test_a_mail_without_from_or_with_rubbish_is_judged_and_not_lost(sender, mailboxes: Mailboxes) -> None:
    for number, raw in enumerate([b"Subject: x\r\n\r\nbody\r\n", b"\r\n", b"From: @@@,\r\n\r\n.\r\n"]):
        deliver(sender, "doar", f"odd{number}@doar.test", raw)
        stored = mailboxes.list_messages(rcpt=f"odd{number}@doar.test")[0]
        assert stored.dmarc == "permerror"
        assert stored.size == len(raw)


def test_the_null_reverse_path_is_judged_by_helo(sender, mailboxes: Mailboxes) -> None:
    zone = '@ TXT "v=spf1 -all"\nmta TXT "v=spf1 ip4:127.0.0.2 -all"\n'
    publish_zone(sender.layout.zones_directory, "bounces.test", zone)
    bouncer = replace(sender, domain="bounces.test")
    with bouncer.connect("mailhub") as client:
        client.sendmail("", ["postmaster@mailhub.test"], bouncer.message("postmaster@mailhub.test"))
    stored = mailboxes.list_messages(rcpt="postmaster@mailhub.test")[0]
    assert (stored.mail_from, stored.spf, stored.spf_domain) == ("", "pass", "mta.bounces.test")


def test_pipelined_in_one_write_and_a_pair_of_recipients(sender, mailboxes: Mailboxes) -> None:
    layout = sender.layout
    message = sender.signed(sender.message("p@mailhub.test", body="..dots\r\n.\u05d0 dot\r\n"))
    with socket.create_connection((layout.provider_addresses["mailhub"], layout.smtp_port), 20, ("127.0.0.2", 0)) as s:
        replies = s.makefile("rb")
        assert replies.readline().startswith(b"220 mx1.mailhub.test")
        s.sendall(b"EHLO mta.news.acme.test\r\n")
        offered = [replies.readline()]
        while offered[-1][3:4] == b"-":
            offered.append(replies.readline())
        keywords = {line[4:].split()[0] for line in offered[1:]}
        assert keywords == {b"SIZE", b"8BITMIME", b"SMTPUTF8", b"STARTTLS", b"PIPELINING", b"ENHANCEDSTATUSCODES"}
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        s.sendall(
            b"MAIL FROM:<b@news.acme.test> BODY=8BITMIME\r\nRCPT TO:<p1@mailhub.test>\r\n"
            b"RCPT TO:<nobody@mailhub.test>\r\nRCPT TO:<p2@mailhub.test>\r\nDATA\r\n"
        )
        assert [replies.readline()[:3] for _ in range(5)] == [b"250", b"250", b"550", b"250", b"354"]
        s.sendall(stuffed + b".\r\nMAIL FROM:<c@news.acme.test>\r\nQUIT\r\n")
        assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"221"]
    for rcpt in ("p1@mailhub.test", "p2@mailhub.test"):
        stored = mailboxes.list_messages(rcpt=rcpt)[0]
        assert (stored.dkim, stored.tls) == ("pass", "")
        assert mailboxes.get(stored.id)[1].endswith(message)


def test_smtputf8_recipients_and_the_limits_on_them(sender, mailboxes: Mailboxes) -> None:
    with sender.connect("doar") as client:
        client.mail("b@news.acme.test", ["SMTPUTF8", "BODY=8BITMIME"])
        client.command_encoding = "utf-8"
        assert client.rcpt("דנה@דואר.test")[0] == 250
        assert client.data(sender.signed(sender.message("x@doar.test")))[0] == 250
        client.mail("b@news.acme.test")
        assert client.rcpt("דנה@doar.test")[0] == 553
        assert client.rcpt("a@[127.0.0.1]")[0] == 553
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 500
    assert mailboxes.list_messages(rcpt="דנה@xn--4dbfg1f.test")[0].dkim == "pass"


def test_octets_that_are_no_utf8_do_no_harm(sender, mailboxes: Mailboxes) -> None:
    layout = sender.layout
    with socket.create_connection((layout.provider_addresses["mailhub"], layout.smtp_port), 20, ("127.0.0.2", 0)) as s:
        s.sendall(b"EHLO \xff\xfe\r\nMAIL FROM:<b@news.acme.test>\r\nRCPT TO:<nobody\xff@mailhub.test>\r\n")
        s.sendall(b"RCPT TO:<ff@mailhub.test>\r\nDATA\r\n")
        s.sendall(b"Subject: \xff=?x?Q?=ff?= =?utf-8?B?!?=\r\nFrom: a@\xff.test\r\n\r\n\xff\r\n.\r\nQUIT\r\n")
        transcript = s.makefile("rb").read()
    assert b"\r\n354 " in transcript
    assert mailboxes.list_messages(rcpt="ff@mailhub.test")[0].spf == "pass"


def test_the_summary_counts_and_shows_duplicates(sender, mailboxes: Mailboxes) -> None:
    for message_id in ("same", "same"):
        deliver(sender, "mailhub", "d1@mailhub.test", sender.signed(sender.message("d", message_id=message_id)))
    for message_id in ("one", "two"):
        deliver(sender, "mailhub", "d2@mailhub.test", sender.signed(sender.message("d", message_id=message_id)))
    summary = mailboxes.summary()
    found = {d.rcpt_key: (d.copies, d.one_message_id) for d in summary.duplicates}
    assert found["d1@mailhub.test"] == (2, True)
    assert found["d2@mailhub.test"] == (2, False)
    assert summary.duplicate_recipients == len(found)
    assert summary.messages == sum(summary.by_provider.values()) == sum(summary.results["dkim"].values())
    assert summary.recipients == len(mailboxes.recipient_keys())
    assert summary.received_per_second is not None


def test_a_signature_of_the_organizational_domain_is_aligned(sender, mailboxes: Mailboxes) -> None:
    parent = replace(sender, domain="acme.test")
    parent.publish()
    message = parent.signed(sender.message("org@doar.test"))
    deliver(sender, "doar", "org@doar.test", message, source="127.0.0.99")
    stored = mailboxes.list_messages(rcpt="org@doar.test")[0]
    assert (stored.dmarc, stored.aligned, stored.dkim_domain) == ("pass", "dkim", "acme.test")


def raw_data(sender, rcpt_to: str, data: bytes) -> bytes:
    """The reply to DATA followed by ``data``, octet for octet."""
    layout = sender.layout
    address = (layout.provider_addresses["doar"], layout.smtp_port)
    with socket.create_connection(address, 20, ("127.0.0.2", 0)) as connection:
        connection.sendall(b"HELO mta.news.acme.test\r\nMAIL FROM:<b@news.acme.test>\r\n")
        connection.sendall(b"RCPT TO:<%b>\r\nDATA\r\n" % rcpt_to.encode())
        connection.sendall(data)
        connection.sendall(b"QUIT\r\n")
        lines = connection.makefile("rb").read().splitlines()
    assert lines[-1].startswith(b"221")
    return lines[-2]


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n...\r\n.x\r\n.\r\n", b".\r\n..\r\nx\r\n"),
        (b"A: b\r\n\r\n" + b"x" * 990 + b"\r\n.\r\n", b"A: b\r\n\r\n" + b"x" * 990 + b"\r\n"),
        ((b"y" * 76 + b"\r\n") * 5000 + b".\r\n", (b"y" * 76 + b"\r\n") * 5000),
    ],
)
def test_data_ends_at_the_lone_dot_and_nowhere_else(sender, mailboxes: Mailboxes, data: bytes, kept: bytes) -> None:
    assert raw_data(sender, "dots@doar.test", data).startswith(b"250 ")
    stored = mailboxes.list_messages(rcpt="dots@doar.test")[0]
    assert stored.size == len(kept)
    raw = mailboxes.get(stored.id)[1]
    assert raw.endswith(b"\r\n" + kept)


@pytest.mark.parametrize(
    "body", [b"a\nb\r\n", b"a\rb\r\n", b"a\n.\nMAIL FROM:<x@y.test>\r\n", b"a\r\n.\nb\r\n", b"x" * 999 + b"\r\n"]
)
def test_bare_line_ends_and_long_lines_are_refused(sender, mailboxes: Mailboxes, body: bytes) -> None:
    assert raw_data(sender, "bare@doar.test", b"A: b\r\n\r\n" + body + b".\r\n").startswith(b"554 5.6.0")
    assert mailboxes.list_messages(rcpt="bare@doar.test") == []


def test_too_much_is_read_and_refused(sender) -> None:
    assert raw_data(sender, "big@doar.test", (b"z" * 98 + b"\r\n") * 270_000 + b".\r\n").startswith(b"552 5.3.4")
