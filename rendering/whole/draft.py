"""What an API client hands over: a message in fields, before it is composed."""

from dataclasses import dataclass

from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from mailtypes.errors import InputSyntaxError, Span
from rendering.compose import Mailbox


class ContentSyntaxError(InputSyntaxError):
    """Content that cannot be composed; ``field`` names it: ``html``, ``text``, ``attachments[2].content_type``."""

    def __init__(
        self, message: str, *, field: str, source: str = "", span: Span | None = None, next_step: str = ""
    ) -> None:
        super().__init__(message, source=source, span=span, next_step=next_step)
        self.field = field


@dataclass(frozen=True, slots=True)
class AttachmentRef:
    """A file that lies in a blob; ``size`` is the number of its raw octets.

    ``content_type`` may have parameters. With a ``content_id`` (without angle brackets) it is an image of the HTML,
    which calls it ``cid:...``. A ``text/calendar`` with a ``method`` parameter is an invitation and stands beside
    text and HTML as a third form of the message (RFC 6047 section 2.4).
    """

    blob_id: int
    size: int
    file_name: str
    content_type: str
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class WholeDraft:
    """A message in fields. ``text`` is written from ``html`` where it is ``None``; one of the two has to be there.

    ``html`` and ``text`` are literal but for ``{{ unsubscribe_url }}`` and ``{{ preferences_url }}``. ``message_id``
    has its angle brackets; it may be empty where ``fill``'s extra header brings it. ``extra``: further header fields.
    """

    from_address: EmailAddress
    from_name: str
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    date: Microseconds
    message_id: str
    html: str | None
    text: str | None
    attachments: tuple[AttachmentRef, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
