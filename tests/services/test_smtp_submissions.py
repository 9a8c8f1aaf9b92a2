"""What comes in by SMTP submission: stored before 250, told in SMTP's words, and failures told to the submitter."""

import email.policy
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from mta.submission.ports import (
    Notify,
    Refusal,
    Submission,
    SubmissionOptions,
    SubmissionRecipient,
    SubmissionRefusedError,
    Submitter,
    Tracking,
)
from postwright.services.accounts import KeyScope, KeyTerms

CONTENT = b"From: Shop <shop@news.acme.test>\r\nTo: a@example.test\r\nSubject: Your order\r\n\r\nIt is on its way.\r\n"


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    return world


async def submission(world: Any, *to: str, terms: KeyTerms | None = None, **changes: Any) -> Submission:
    client = await world.client(terms)
    wanted: dict[str, Any] = {
        "submitter": Submitter("shop", client),
        "mail_from": EmailAddress.parse("orders@acme.test"),
        "recipients": tuple(SubmissionRecipient(EmailAddress.parse(one)) for one in to or ("a@example.test",)),
        "author": EmailAddress.parse("shop@news.acme.test"),
        "content": CONTENT,
        "options": SubmissionOptions(),
        "message_id": None,
        "date": None,
        "smtputf8": False,
        "ret": None,
        "envid": None,
        "peer": "192.0.2.1",
        "helo": "client.acme.test",
        "tls": "TLSv1.3",
    }
    return Submission(**{**wanted, **changes})


async def sent(world: Any) -> list[Any]:
    for _ in range(2):
        await world.scheduler.step()
    deliveries = await world.leased()
    await world.transmit(deliveries)
    return list(deliveries)


def parse(octets: bytes) -> Any:
    return email.message_from_bytes(octets, policy=email.policy.default)


async def test_a_message_keeps_its_content_and_gets_what_it_lacks(ready: Any) -> None:
    receipt = await ready.smtp_submissions.accept(await submission(ready))
    assert receipt.public_id.startswith("sub_")
    (octets,) = ready.messages(await sent(ready))
    assert octets.endswith(CONTENT)
    parsed = parse(octets)
    assert parsed["Message-ID"].endswith("@news.acme.test>")
    assert parsed["Date"]
    assert "by mx.postwright.test with ESMTPSA" in " ".join(parsed["Received"].split())
    assert "192.0.2.1" not in parsed["Received"]
    assert "d=news.acme.test" in parsed["DKIM-Signature"]


async def test_asking_for_tracking_tracks(ready: Any) -> None:
    html = (
        b"From: shop@news.acme.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
        b'<a href="https://acme.test/">See</a>\r\n'
    )
    options = SubmissionOptions(track=Tracking(opens=True, clicks=True), tags=("a", "b"), campaign="spring")
    await ready.smtp_submissions.accept(await submission(ready, content=html, options=options))
    (octets,) = ready.messages(await sent(ready))
    body = parse(octets).get_content()
    assert "https://acme.test/" not in body
    assert "<img" in body
    assert ready.rows("SELECT tags, client_metadata FROM message") == [('["a", "b"]', '{"campaign": "spring"}')]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"author": EmailAddress.parse("a@elsewhere.test")}, Refusal.SENDER_NOT_ALLOWED),
        ({"options": SubmissionOptions(stream="nonsense")}, Refusal.BAD_OPTION),
        ({"options": SubmissionOptions(send_at=2**62)}, Refusal.BAD_OPTION),
    ],
)
async def test_what_cannot_be_sent_is_refused(ready: Any, changes: dict[str, Any], refusal: Refusal) -> None:
    with pytest.raises(SubmissionRefusedError) as refused:
        await ready.smtp_submissions.accept(await submission(ready, **changes))
    assert refused.value.refusal is refusal
    assert ready.rows("SELECT count(*) FROM message") == [(0,)]


async def test_the_suppressed_and_the_quota(ready: Any) -> None:
    await ready.suppression_list.add(ready.workspace, "gone@example.test", "manual")
    receipt = await ready.smtp_submissions.accept(await submission(ready, "a@example.test", "gone@example.test"))
    assert receipt.left_out == 1
    with pytest.raises(SubmissionRefusedError) as refused:
        await ready.smtp_submissions.accept(await submission(ready, "gone@example.test"))
    assert refused.value.refusal is Refusal.ALL_SUPPRESSED
    with pytest.raises(SubmissionRefusedError) as refused:
        await ready.smtp_submissions.accept(await submission(ready, terms=KeyTerms(daily_quota=0)))
    assert refused.value.refusal is Refusal.OVER_QUOTA


async def test_an_idempotency_key_sends_once_and_a_refusal_may_be_tried_again(ready: Any) -> None:
    options = SubmissionOptions(idempotency_key="order-1")
    first = await submission(ready, options=options)
    receipt = await ready.smtp_submissions.accept(first)
    again = await ready.smtp_submissions.accept(first)
    assert (again.public_id, again.is_repeat) == (receipt.public_id, True)
    other = Submission(
        **{name: getattr(first, name) for name in Submission.__slots__} | {"content": CONTENT + b"x\r\n"}
    )
    with pytest.raises(SubmissionRefusedError) as refused:
        await ready.smtp_submissions.accept(other)
    assert refused.value.refusal is Refusal.KEY_REUSED
    await ready.suppression_list.add(ready.workspace, "gone@example.test", "manual")
    barred = await submission(ready, "gone@example.test", options=SubmissionOptions(idempotency_key="order-2"))
    for _ in range(2):
        with pytest.raises(SubmissionRefusedError):
            await ready.smtp_submissions.accept(barred)


async def test_only_keys_for_sending_are_let_in(ready: Any) -> None:
    _, reading = await ready.accounts.create_key(ready.workspace, "reader", frozenset({KeyScope.READ}))
    _, sending = await ready.accounts.create_key(ready.workspace, "sender", frozenset({KeyScope.SEND}))
    authenticate = ready.smtp_submissions.authenticate
    assert await authenticate("any", reading, "192.0.2.1") is None
    assert await authenticate("any", "nonsense", "192.0.2.1") is None
    submitter = await authenticate("any", sending, "192.0.2.1")
    assert submitter is not None
    assert submitter.name not in {"", sending}


async def test_the_submitter_is_told_once_of_what_failed(ready: Any) -> None:
    await ready.smtp_submissions.accept(await submission(ready, "a@example.test", "b@other.test", envid="42"))
    deliveries = await sent(ready)
    to_a = [one for one in deliveries if one.rcpt_to == "a@example.test"]
    await ready.answer(to_a, "550 5.1.1 no such user")
    await ready.scheduler.step()
    assert ready.rows("SELECT count(*) FROM message") == [(1,)], "the other one is still on its way"
    await ready.answer([one for one in deliveries if one not in to_a], "250 fine")
    ready.clock.advance(timedelta(seconds=10))
    ready.resolver.zone = type(ready.resolver.zone).parse(
        "acme.test. 300 IN MX 10 mx.acme.test.\nmx.acme.test. 300 IN A 192.0.2.22\n"
    )
    await ready.scheduler.step()
    (notice,) = await sent(ready)
    assert (notice.mail_from, notice.rcpt_to) == ("", "orders@acme.test")
    (octets,) = ready.messages([notice])
    report = parse(octets)
    assert report.get_content_type() == "multipart/report"
    status = report.get_payload()[1].get_payload()
    assert status[0]["Original-Envelope-Id"] == "42"
    assert [(one["Final-Recipient"], one["Action"], one["Status"]) for one in status[1:]] == [
        ("rfc822; a@example.test", "failed", "5.1.1")
    ]
    await ready.answer([notice], "550 5.1.1 no such user")
    ready.clock.advance(timedelta(seconds=10))
    await ready.scheduler.step()
    assert ready.rows("SELECT count(*) FROM message") == [(2,)], "a notice is never answered by a notice"


@pytest.mark.parametrize(
    "changes",
    [
        {"mail_from": None},
        {"recipients": (SubmissionRecipient(EmailAddress.parse("a@example.test"), frozenset({Notify.NEVER})),)},
        {"recipients": (SubmissionRecipient(EmailAddress.parse("a@example.test"), frozenset({Notify.SUCCESS})),)},
    ],
)
async def test_who_does_not_want_to_be_told_is_not(ready: Any, changes: dict[str, Any]) -> None:
    await ready.smtp_submissions.accept(await submission(ready, **changes))
    await ready.answer(await sent(ready), "550 5.1.1 no such user")
    ready.clock.advance(timedelta(seconds=10))
    await ready.scheduler.step()
    assert ready.rows("SELECT count(*), count(notify) FROM message") == [(1, 0)]


async def test_a_key_revoked_in_the_middle_of_a_session_sends_no_more(ready: Any) -> None:
    one = await submission(ready)
    await ready.smtp_submissions.accept(one)
    await ready.accounts.revoke_key(ready.workspace, one.submitter.payload.key_id)
    ready.clock.advance(timedelta(seconds=6))
    with pytest.raises(SubmissionRefusedError) as refused:
        await ready.smtp_submissions.accept(one)
    assert refused.value.refusal is Refusal.NOT_ALLOWED


@pytest.mark.parametrize(("stream", "unsubscribes"), [("transactional", "<https://own.test/>"), ("marketing", None)])
async def test_fields_that_we_write_stand_once(ready: Any, stream: str, unsubscribes: str | None) -> None:
    fields = b"Return-Path: <x@y.test>\r\nFeedback-ID: a:b:c:d\r\nList-Unsubscribe: <https://own.test/>\r\n"
    wish = SubmissionOptions(stream=stream, track=Tracking(opens=False, clicks=False))
    await ready.smtp_submissions.accept(await submission(ready, content=fields + CONTENT, options=wish))
    (octets,) = ready.messages(await sent(ready))
    parsed = parse(octets)
    assert parsed["Return-Path"] is None
    assert [len(parsed.get_all(name)) for name in ("Feedback-ID", "List-Unsubscribe")] == [1, 1]
    assert "postwright" in parsed["Feedback-ID"]
    if unsubscribes is not None:
        assert parsed["List-Unsubscribe"] == unsubscribes
    else:
        assert "own.test" not in parsed["List-Unsubscribe"]
