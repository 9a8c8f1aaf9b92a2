"""What a message to a return path turns out to be: a bounce, a complaint, or neither."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailtypes.bounce import BounceReason
from mailtypes.errors import InputSyntaxError
from mailtypes.smtp import EnhancedStatus
from mta.bounce.classification import Classification

MAX_OCTETS: Final = 10 * 1024 * 1024
MAX_RECIPIENTS: Final = 100


class BounceSyntaxError(InputSyntaxError):
    """Octets that are no mail, or more of it than we read."""


class DsnAction(StrEnum):
    """What the reporting host did (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class OriginalMail:
    """What came back of the message that we sent: lower-case field names and values, unfolded, as far as given."""

    fields: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str:
        """The value of the first field of that name, ``""`` where there is none."""
        return next((value for key, value in self.fields if key == name), "")

    @property
    def message_id(self) -> str:
        """The Message-ID as given, ``""`` where there is none."""
        return self.value("message-id")


@dataclass(frozen=True, slots=True)
class BouncedRecipient:
    """One recipient of a bounce. ``reply_code`` is ``None`` where no SMTP reply is told."""

    address: str
    action: DsnAction
    status: EnhancedStatus | None
    reply_code: int | None
    diagnostic: str
    classification: Classification


@dataclass(frozen=True, slots=True)
class BounceReport:
    """A bounce: at least one recipient, in the order in which they are named.

    ``address`` of a recipient is ``""`` where the bounce does not tell whom it is about.
    """

    recipients: tuple[BouncedRecipient, ...]
    original: OriginalMail | None
    reporting_mta: str = ""


@dataclass(frozen=True, slots=True)
class ComplaintReport:
    """A complaint (RFC 5965). ``recipients`` may be empty: many reports hide them, and leave the Message-ID.

    ``mail_from`` is the envelope sender of the mail complained of, ``source_ip`` where it came from, as far as told.
    """

    feedback_type: str
    recipients: tuple[str, ...]
    original: OriginalMail | None
    user_agent: str = ""
    source_ip: str = ""
    mail_from: str = ""

    @property
    def is_against_mail(self) -> bool:
        """Whether somebody did not want the mail: ``not-spam`` says the contrary, ``auth-failure`` nothing of it."""
        return self.feedback_type not in {"not-spam", "auth-failure", "dmarc"}


@dataclass(frozen=True, slots=True)
class NotABounce:
    """Something else: an automatic answer of ``sender`` (``reason`` says so), or mail that nobody can tell."""

    reason: BounceReason
    sender: str
    evidence: str
    original: OriginalMail | None = None
