"""Messages that clients submit by SMTP: the port ``mta.submission.ports.Submissions`` over the store."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from email.utils import format_datetime

from mailtypes.address import EmailAddress
from mailtypes.clock import SECOND, Clock, as_datetime
from mailtypes.errors import InputSyntaxError
from mta.submission.ports import (
    Refusal,
    Submission,
    SubmissionReceipt,
    SubmissionRecipient,
    SubmissionRefusedError,
    Submitter,
)
from postwright.services.accounts import Accounts, Client, KeyScope
from postwright.services.errors import RefusedError
from postwright.services.message_intake import MessageIntake, new_recipients
from postwright.services.sending_places import SenderPlace, SendingPlaces
from postwright.services.submissions import (
    Answered,
    Idempotency,
    KeyInFlightError,
    KeyReusedError,
    PreparedMessage,
    StoredMessage,
    Submissions,
)
from postwright.store.campaigns import Run
from postwright.store.messages import NewMessage
from postwright.store.public_ids import public_id
from rendering.whole import TrackingWish, WholeContent, header_fields, receive_whole, without_header_fields

_REFUSALS = {
    "sender_not_allowed": Refusal.SENDER_NOT_ALLOWED,
    "unknown_domain": Refusal.SENDER_NOT_ALLOWED,
    "domain_not_verified": Refusal.DOMAIN_NOT_VERIFIED,
    "unknown_stream": Refusal.BAD_OPTION,
    "send_at_too_far": Refusal.BAD_OPTION,
}
_LONGEST_SUBJECT = 500
_REPLACED = ("Return-Path", "Feedback-ID")
"""Fields that we write ourselves: the return path is the last host's to note (RFC 5321 section 4.4)."""
_REPLACED_BY_MARKETING = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id")


class SmtpSubmissions:
    """What the submission listener hands over; ``hostname`` is ours in the Received field."""

    def __init__(
        self,
        accounts: Accounts,
        clock: Clock,
        places: SendingPlaces,
        intake: MessageIntake,
        submissions: Submissions,
        hostname: str,
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._places = places
        self._intake = intake
        self._submissions = submissions
        self._hostname = hostname

    async def authenticate(self, username: str, secret: str, peer: str) -> Submitter | None:  # noqa: ARG002  the port
        """The client whose API key ``secret`` is, if it may send."""
        client = await self._accounts.client(secret)
        if client is None or KeyScope.SEND not in client.scopes:
            return None
        return Submitter(client.name, client)

    async def recipient(
        self,
        submitter: Submitter,  # noqa: ARG002  the port
        address: EmailAddress,
    ) -> SubmissionRefusedError | None:
        """What nobody can deliver to is refused at once; suppressions are looked up with the message."""
        if address.needs_smtputf8:
            return SubmissionRefusedError(Refusal.BAD_OPTION, "SMTPUTF8 local parts cannot be relayed")
        return None

    async def accept(self, submission: Submission) -> SubmissionReceipt:
        """Store the message; returns when it is durable."""
        client = submission.submitter.payload
        assert isinstance(client, Client)  # made by ``authenticate``
        if not await self._accounts.is_open(client):
            raise SubmissionRefusedError(Refusal.NOT_ALLOWED, "the key was revoked or has expired")
        options = submission.options
        try:
            place = await self._places.sender(client, submission.author, options.stream or "transactional")
            starts_at = self._places.moment(options.send_at)
            run = await self._places.standing_run(place, starts_at, is_test=client.terms.is_test)
        except RefusedError as error:
            problem = error.problems[0]
            refusal = _REFUSALS.get(problem.code, Refusal.NOT_ALLOWED)
            raise SubmissionRefusedError(refusal, problem.sentence) from error
        recipients = _each_once(submission.recipients)
        ids = await self._places.delivery_ids(run, len(recipients))
        prepared = await self._prepare(submission, client, (place, run), ids, recipients)
        once = None
        if options.idempotency_key is not None:
            once = Idempotency(options.idempotency_key, _digest(submission), _rendered)
        try:
            stored = await self._submissions.store(client, [prepared], once)
        except KeyReusedError as error:
            raise SubmissionRefusedError(Refusal.KEY_REUSED) from error
        except KeyInFlightError as error:
            raise SubmissionRefusedError(Refusal.KEY_IN_FLIGHT) from error
        return _receipt(stored, len(submission.recipients))

    async def _prepare(
        self,
        submission: Submission,
        client: Client,
        place_and_run: tuple[SenderPlace, Run],
        ids: Sequence[int],
        recipients: Sequence[EmailAddress],
    ) -> PreparedMessage:
        place, run = place_and_run
        message_id = submission.message_id or self._intake.message_id(ids[0], place, run)
        content = await self._content(submission, place, message_id)
        metadata = dict(submission.options.metadata)
        if submission.options.campaign is not None:
            metadata["campaign"] = submission.options.campaign
        new = NewMessage(
            id=ids[0],
            workspace_id=client.workspace_id,
            run_id=run.id,
            source="smtp",
            key_id=client.key_id,
            content=content.octets,
            header_message_id=message_id,
            from_address=submission.author.text,
            subject=_subject(submission.content),
            tags=json.dumps(submission.options.tags, ensure_ascii=False),
            client_metadata=json.dumps(metadata, ensure_ascii=False),
            mail_from=submission.mail_from.text if submission.mail_from else "",
            notify=_notify(submission),
            recipients=new_recipients(ids, recipients),
            links=content.links,
        )
        return PreparedMessage(new, place.stream.id, await self._places.placement(run, place.stream))

    async def _content(self, submission: Submission, place: SenderPlace, message_id: str) -> WholeContent:
        track, stream = submission.options.track, place.stream
        wish = TrackingWish(
            opens=track.opens if track else stream.tracks_opens, clicks=track.clicks if track else stream.tracks_clicks
        )
        now = format_datetime(as_datetime(self._clock.now() // SECOND * SECOND))
        # RFC 5321 section 4.4; the client's address is its own business and stays out.
        protocol = "ESMTPSA" if submission.tls else "ESMTPA"
        added = f"Received: from {_printable(submission.helo)}\r\n by {self._hostname} with {protocol};\r\n {now}\r\n"
        if submission.message_id is None:
            added += f"Message-ID: {message_id}\r\n"
        if submission.date is None:
            added += f"Date: {now}\r\n"
        replaced = (*_REPLACED, *_REPLACED_BY_MARKETING) if stream.one_click else _REPLACED
        octets = added.encode("ascii") + without_header_fields(submission.content, replaced)
        if not (wish.opens or wish.clicks):
            # The listener has seen to line ends, NUL, long lines and the header's form (``Submission.content``).
            return WholeContent(octets, (), len(octets))
        try:
            # What is rewritten breaks a signature that it came with. In a thread, since hostile HTML may take seconds.
            return await asyncio.to_thread(receive_whole, without_header_fields(octets, ["DKIM-Signature"]), wish)
        except InputSyntaxError as error:
            raise SubmissionRefusedError(Refusal.NOT_ALLOWED, error.message) from error


def _receipt(stored: Sequence[StoredMessage] | Answered, wanted: int) -> SubmissionReceipt:
    if isinstance(stored, Answered):
        return SubmissionReceipt(stored.body, is_repeat=True)
    (one,) = stored
    if one.over_quota:
        raise SubmissionRefusedError(Refusal.OVER_QUOTA)
    if not one.accepted:
        raise SubmissionRefusedError(Refusal.ALL_SUPPRESSED, ", ".join(sorted(set(one.refused.values()))))
    return SubmissionReceipt(_public_id(one), left_out=wanted - len(one.accepted))


def _rendered(stored: Sequence[StoredMessage]) -> tuple[int, str] | None:
    """What a repetition is told; a message that was refused may be tried again."""
    return (250, _public_id(stored[0])) if stored[0].accepted else None


def _public_id(stored: StoredMessage) -> str:
    return public_id("sub", stored.stored_at, stored.id)


def _each_once(recipients: Sequence[SubmissionRecipient]) -> list[EmailAddress]:
    return list({item.address.key: item.address for item in recipients}.values())


def _digest(submission: Submission) -> str:
    digest = hashlib.sha256(submission.content)
    for item in sorted(recipient.address.key for recipient in submission.recipients):
        digest.update(b"\0" + item.encode())
    return digest.hexdigest()


def _subject(content: bytes) -> str:
    found = header_fields(content, ["Subject"])["Subject"]
    return found[0][:_LONGEST_SUBJECT] if found else ""


def _printable(helo: str) -> str:
    return "".join(character for character in helo if "!" <= character <= "~")[:255] or "unknown"


def _notify(submission: Submission) -> str | None:
    """Whom to tell when delivery fails, ``None`` where nobody: no reverse path, or NOTIFY=NEVER for all."""
    if submission.mail_from is None:
        return None
    wishes = {
        item.address.key: {
            "notify": None if item.notify is None else sorted(item.notify),
            "orcpt": item.original_recipient
            and f"{item.original_recipient.address_type};{item.original_recipient.address}",
        }
        for item in submission.recipients
    }
    return json.dumps({"ret": submission.ret, "envid": submission.envid, "recipients": wishes}, ensure_ascii=False)
