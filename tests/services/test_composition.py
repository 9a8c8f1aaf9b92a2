"""The message as it leaves: judged by the standard library's parser and by dkimpy, not by our own code."""

import email
import email.policy
import re
from datetime import timedelta
from email.header import decode_header, make_header
from typing import Any

import dkim
import pytest

from mailtypes.clock import as_datetime
from mta.message_id import read_message_id
from mta.verp import read_verp
from postwright.services.frozen_runs import FrozenRuns
from tracking.links import redirect_location
from tracking.tokens import TokenKind, read
from tracking.urls import read_path

SENDER = "news.acme.test"
PEOPLE = "dana@example.test,דנה כהן,he\nreader1@example.test,Reader 1,en\n"
OF_ISSUE_2 = (
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
    "Feedback-ID", "MIME-Version", "Content-Type",
)  # fmt: skip


def keys_of(world: Any) -> Any:
    def dnsfunc(name: bytes, timeout: int = 5) -> bytes | None:
        from mailtypes.questions import DnsQuestion, Found, RecordType  # noqa: PLC0415

        answer = world.resolver.zone.answer(DnsQuestion(name.decode().rstrip("."), RecordType.TXT))
        return answer.records[0].joined if isinstance(answer, Found) else None

    return dnsfunc


def read_header(message: Any, name: str) -> str:
    return str(make_header(decode_header(message[name])))


async def one(world: Any, **changes: Any) -> tuple[Any, bytes]:
    """The first delivery of a campaign and its signed message."""
    await world.sending(
        PEOPLE, **{"from_name": "גנני העמק", "list_name": "גינות", "reply_to": "answer@acme.test", **changes}
    )
    deliveries = await world.leased()
    first = min(deliveries, key=lambda delivery: delivery.id)
    return first, world.messages([first])[0]


async def test_every_header_is_there_once_and_under_the_signature(world: Any) -> None:
    delivery, raw = await one(world)
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert not message.defects
    for name in (*OF_ISSUE_2, "Reply-To"):
        assert len(message.get_all(name, [])) == 1, name
    assert dkim.verify(raw, dnsfunc=keys_of(world))
    signed = re.search(r"\bh=([^;]+);", re.sub(r"\s+", "", message["DKIM-Signature"]))
    assert signed
    names = [name.lower() for name in signed[1].split(":")]
    for name in (*OF_ISSUE_2, "Reply-To"):
        assert name.lower() in names, name
    assert f"d={SENDER};" in re.sub(r"\s+", "", message["DKIM-Signature"])
    assert delivery.signing_domain.ascii == SENDER


async def test_any_change_to_a_signed_header_or_the_body_breaks_the_signature(world: Any) -> None:
    _, raw = await one(world)
    assert dkim.verify(raw, dnsfunc=keys_of(world))
    head, _, body = raw.partition(b"\r\n\r\n")
    for name in OF_ISSUE_2:
        changed = re.sub(rb"(?mi)^(" + name.encode() + rb": )", rb"\1x", head) + b"\r\n\r\n" + body
        assert changed != raw
        assert not dkim.verify(changed, dnsfunc=keys_of(world)), name
        added = name.encode() + b": added\r\n" + raw
        assert name not in {"From", "Subject", "To", "Date"} or not dkim.verify(added, dnsfunc=keys_of(world)), name
    assert not dkim.verify(raw.replace(b"Unsubscribe", b"unsubscribe", 1), dnsfunc=keys_of(world))


async def test_the_values_decode_to_what_was_asked_for(world: Any) -> None:
    delivery, raw = await one(world, subject="שלום {{ contact.first_name }}!")
    message = email.message_from_bytes(raw)
    assert read_header(message, "Subject") == "שלום דנה כהן!"
    assert read_header(message, "From") == f"גנני העמק <letter@{SENDER}>"
    assert read_header(message, "List-Id").startswith("גינות <list-")
    assert message["To"] == "dana@example.test"
    assert message["Reply-To"] == "answer@acme.test"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read_message_id(message["Message-ID"], world.feedback_keys.values()) == delivery.id
    local_part, _, host = delivery.mail_from.partition("@")
    assert (read_verp(local_part, world.feedback_keys.values()), host) == (delivery.id, f"bounce.{SENDER}")
    assert email.utils.parsedate_to_datetime(message["Date"]) == as_datetime(world.clock.now())
    assert message["Feedback-ID"].endswith(":marketing:postwright")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    parts = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
    assert parts == ["text/plain", "text/html"]
    for part in message.walk():
        if not part.is_multipart():
            assert "דנה כהן" in part.get_payload(decode=True).decode(part.get_content_charset())


async def test_a_second_attempt_has_the_same_bytes(world: Any) -> None:
    await world.sending(PEOPLE)
    first = await world.leased()
    before = {one.id: world.composer.compose(one, world.clock.now()) for one in first}
    await world.transmit(first)
    await world.answer(first, "451 4.7.1 later")
    world.clock.advance(timedelta(hours=5))
    second = await world.leased(queue=world.make_queue("another process"))
    assert len(second) == 2
    assert {one.attempt for one in second} == {2}
    assert {one.id: world.composer.compose(one, world.clock.now()) for one in second} == before


async def test_links_lead_to_what_was_stored_and_carry_no_address(world: Any) -> None:
    delivery, raw = await one(world)
    message = email.message_from_bytes(raw)
    html = next(part for part in message.walk() if part.get_content_type() == "text/html")
    page = html.get_payload(decode=True).decode()
    urls = sorted(set(re.findall(rf"https://links\.{re.escape(SENDER)}(/[^\"'\s<>]*)", page)))
    kinds = {}
    for url in urls:
        kind, token = read_path(url)
        claims = world.engagement.claims(token, kind)
        assert claims is not None
        assert claims.delivery_id == delivery.id
        assert re.fullmatch(r"[A-Za-z0-9_-]{40}", token)
        kinds[kind] = claims
    assert set(kinds) == {TokenKind.CLICK, TokenKind.PIXEL, TokenKind.UNSUBSCRIBE}
    target = await world.engagement.clicked(kinds[TokenKind.CLICK], is_fetch=True)
    assert redirect_location(target) == "https://acme.test/spring?from=mail"
    assert "https://acme.test/spring" not in page
    assert message["List-Unsubscribe"].strip("<>").endswith(next(url for url in urls if url.startswith("/u/")))
    for text in (page, *[message[name] for name in ("List-Unsubscribe", "Message-ID", "Feedback-ID", "List-Id")]):
        assert "dana" not in text.lower()
        assert "example.test" not in text.lower()


async def test_two_recipients_share_no_token_and_no_message_id(world: Any) -> None:
    await world.sending(PEOPLE)
    messages = [email.message_from_bytes(raw) for raw in world.messages(await world.leased())]
    for name in ("Message-ID", "List-Unsubscribe", "To"):
        assert len({message[name] for message in messages}) == 2
    for name in ("List-Id", "Feedback-ID", "From", "Date"):
        assert len({message[name] for message in messages}) == 1


async def test_a_receipt_is_not_tracked_and_has_no_one_click(world: Any) -> None:
    _, raw = await one(world, stream="transactional")
    message = email.message_from_bytes(raw)
    html = next(part for part in message.walk() if part.get_content_type() == "text/html")
    page = html.get_payload(decode=True).decode()
    assert message["List-Unsubscribe-Post"] is None
    assert "https://acme.test/spring?from=mail" in page
    assert "/c/" not in page
    assert ".gif" not in page
    assert dkim.verify(raw, dnsfunc=keys_of(world))


async def test_a_contact_that_cannot_be_merged_fails_alone(world: Any) -> None:
    await world.sending('a@example.test,"two\nlines",en\nb@example.test,Good,en\nדנה@example.test,Dana,he\n')
    deliveries = sorted(await world.leased(), key=lambda delivery: delivery.id)
    prepared = world.preparer.prepare(deliveries, world.clock.now()).items
    assert [bool(one.transmission) for one in prepared] == [False, True, False]
    assert [one.is_final for one in prepared if not one.transmission] == [True, True]
    assert "SMTPUTF8" in prepared[2].cause


async def test_frozen_runs_are_bounded(world: Any) -> None:
    campaign = await world.sending(PEOPLE)
    run = (await world.campaigns.status(world.workspace, campaign.id)).run
    runs = FrozenRuns(world.database, 8443)
    assert await runs.get(run.id) is await runs.get(run.id)
    assert (await runs.get(run.id)).tracking_base == f"https://links.{SENDER}:8443"


@pytest.mark.parametrize("kind", list(TokenKind))
async def test_a_token_of_another_key_says_nothing(world: Any, kind: TokenKind) -> None:
    from tracking.tokens import TokenKeys, make  # noqa: PLC0415

    token = make(kind, 1, 1, TokenKeys(1, {1: b"x" * 32}))
    assert read(token, world.token_keys) is None
    assert world.engagement.claims(token, kind) is None
