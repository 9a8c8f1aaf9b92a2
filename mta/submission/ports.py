"""What the submission listener asks of its owner: who a client is, and to store a message for good.

The listener settles everything that can be told from the octets (syntax, sizes, line ends, options, that there is one
author); the owner settles what needs the database: whose domain the author's is, suppressions, quotas, the commit.

    class Submissions(Protocol):
        async def authenticate(self, username: str, secret: str, peer: str) -> Submitter | None
        async def recipient(self, submitter: Submitter, address: EmailAddress) -> SubmissionRefusedError | None
        async def accept(self, submission: Submission) -> SubmissionReceipt
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import PostwrightError
from mailtypes.smtp import SmtpReply

MetadataValue = str | int | float | bool | None


class Notify(StrEnum):
    """When the submitter wants to hear of a recipient (RFC 3461 section 4.1)."""

    NEVER = "never"
    SUCCESS = "success"
    FAILURE = "failure"
    DELAY = "delay"


class Return(StrEnum):
    """How much of the message a DSN about a failure brings back (RFC 3461 section 4.3)."""

    FULL = "full"
    HDRS = "hdrs"


@dataclass(frozen=True, slots=True)
class OriginalRecipient:
    """ORCPT, decoded from xtext: ``address_type`` is ``rfc822`` or ``utf-8`` (RFC 3461 section 4.2, RFC 6533)."""

    address_type: str
    address: str


@dataclass(frozen=True, slots=True)
class SubmissionRecipient:
    """One accepted RCPT. ``notify`` is ``None`` where it was not asked for: then a failure is reported (section 4.1).

    ``{Notify.NEVER}`` stands alone; the other three may come together.
    """

    address: EmailAddress
    notify: frozenset[Notify] | None = None
    original_recipient: OriginalRecipient | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """``X-Postwright-Track``: ``opens``, ``clicks``, both with a comma, or ``none``."""

    opens: bool
    clicks: bool


@dataclass(frozen=True, slots=True)
class SubmissionOptions:
    """The ``X-Postwright-*`` fields, read and already removed from the content; what was not given is empty.

    ``send_at`` may lie in the past or too far ahead: that is for the owner to judge. Names of streams and campaigns,
    and idempotency keys, are 1 to 255 printable characters.
    """

    tags: tuple[str, ...] = ()
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    stream: str | None = None
    campaign: str | None = None
    send_at: Microseconds | None = None
    idempotency_key: str | None = None
    track: Tracking | None = None


@dataclass(frozen=True, slots=True)
class Submitter:
    """A client that showed a good key; ``payload`` belongs to the owner of the port, the listener never looks inside.

    ``name`` may be logged, so it is not the key (a public id, or the key's visible prefix).
    """

    name: str
    payload: object


@dataclass(frozen=True, slots=True)
class Submission:
    """One message as handed over. ``mail_from`` is ``None`` for the null reverse path; then no DSN may be sent.

    ``content`` has CRLF line ends, no NUL, no line over 998 octets, one From field with one address (``author``), none
    of the fields that RFC 5322 section 3.6 allows once more than once, and neither Bcc nor ``X-Postwright-*``; it is
    otherwise as received, ends with CRLF, and has an empty line behind the header. ``message_id`` (with its angle
    brackets) and ``date`` are the fields' texts, unfolded, ``None`` where they are missing: the owner adds them.
    No trace field (Received) has been added. ``peer`` is the client's IP address, ``tls`` the protocol version, ``""``
    for a connection in the clear, which is loopback then.
    """

    submitter: Submitter
    mail_from: EmailAddress | None
    recipients: tuple[SubmissionRecipient, ...]
    author: EmailAddress
    content: bytes = field(repr=False)
    options: SubmissionOptions
    message_id: str | None
    date: str | None
    smtputf8: bool
    ret: Return | None
    envid: str | None
    peer: str
    helo: str
    tls: str

    @property
    def author_domain(self) -> DomainName:
        """The domain in the From field, which has to be one of the submitter's."""
        return self.author.domain

    @property
    def rcpt_to(self) -> tuple[EmailAddress, ...]:
        """The recipients' addresses in the order of their RCPT commands; one may come twice."""
        return tuple(recipient.address for recipient in self.recipients)


@dataclass(frozen=True, slots=True)
class SubmissionReceipt:
    """What has been stored for good, or (``is_repeat``) had been before under the same idempotency key.

    ``public_id`` goes into the 250 reply. ``left_out`` counts recipients that were not queued (suppressed, twice in
    the list); the reply says how many.
    """

    public_id: str
    is_repeat: bool = False
    left_out: int = 0


class Refusal(Enum):
    """Why a message or recipient is not taken; the value is the reply without any detail."""

    SENDER_NOT_ALLOWED = SmtpReply.of(550, "5.7.1 this key may not send for that sender")
    DOMAIN_NOT_VERIFIED = SmtpReply.of(550, "5.7.1 the sender's domain is not verified")
    RECIPIENT_SUPPRESSED = SmtpReply.of(550, "5.7.1 the recipient is suppressed")
    ALL_SUPPRESSED = SmtpReply.of(550, "5.7.1 every recipient is suppressed")
    NOT_ALLOWED = SmtpReply.of(550, "5.7.1 this key may not send that")
    BAD_OPTION = SmtpReply.of(550, "5.6.0 an option cannot be carried out")
    KEY_REUSED = SmtpReply.of(550, "5.6.0 the idempotency key was used for another message")
    KEY_IN_FLIGHT = SmtpReply.of(451, "4.5.0 the message with this idempotency key is still being stored")
    OVER_QUOTA = SmtpReply.of(452, "4.7.1 over the quota of this key, try again later")
    TOO_FAST = SmtpReply.of(451, "4.7.1 too many messages at once, try again later")
    STORAGE_FAILING = SmtpReply.of(451, "4.3.0 could not be stored, try again later")
    BUSY = SmtpReply.of(452, "4.3.1 too much mail at once, try again later")
    CLOSING = SmtpReply.of(421, "4.3.2 closing down, try again later")
    """The session ends after this one."""


class SubmissionRefusedError(PostwrightError):
    """The owner does not take it; nothing has been stored. ``detail`` is shown to the client behind the reason."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal.value.text}: {detail}" if detail else refusal.value.text)
        self.refusal = refusal
        self.detail = detail

    @property
    def reply(self) -> SmtpReply:
        """The reply to the client, one line."""
        return SmtpReply.of(self.refusal.value.code, " ".join(str(self).split()))


class Submissions(Protocol):
    """The owner's side. Each call may raise ``SurroundingsError``: the client is then asked to try again."""

    async def authenticate(self, username: str, secret: str, peer: str) -> Submitter | None:
        """Who shows the API key ``secret``; ``None`` where it is no good key for sending. The user name says nothing.

        Tries are limited by the listener, per key prefix and per peer.
        """
        ...

    async def recipient(self, submitter: Submitter, address: EmailAddress) -> SubmissionRefusedError | None:
        """Why ``address`` is not taken, told at RCPT where the client learns which one it is; ``None`` takes it.

        Quick, since it is asked for each recipient; what it lets pass ``accept`` may still leave out.
        """
        ...

    async def accept(self, submission: Submission) -> SubmissionReceipt:
        """Return only when the message is stored for good; raise ``SubmissionRefusedError`` or ``StorageError``.

        The call is not cancelled when the client goes away. One that fails otherwise is answered with 451. The
        submitter may have signed in long ago: a key revoked since, or over its quota, is the owner's to notice.
        """
        ...
