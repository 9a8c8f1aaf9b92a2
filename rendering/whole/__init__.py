"""Messages that come whole, by API fields or as octets by SMTP: to stored content, and from there to recipients.

::

    content = compose_whole(draft, TrackingWish(opens=True, clicks=True))   # or receive_whole(octets, wish)
    message = fill(content.octets, MessageUrls(link_url, unsubscribe_url, pixel_url), blob, list_headers(...))

The stored form is told in ``rendering.whole.content``. A template for one recipient goes the same way:
``merged(template, data)`` gives the subject, HTML and text of a draft.
"""

from rendering.compose import HeaderSyntaxError, Mailbox, list_headers
from rendering.whole.composing import compose_whole
from rendering.whole.content import TrackingWish, WholeContent, fill
from rendering.whole.draft import AttachmentRef, ContentSyntaxError, WholeDraft
from rendering.whole.header_reading import header_fields, without_header_fields
from rendering.whole.merging import Merged, merged
from rendering.whole.receiving import MessageSyntaxError, receive_whole

__all__ = [
    "AttachmentRef",
    "ContentSyntaxError",
    "HeaderSyntaxError",
    "Mailbox",
    "Merged",
    "MessageSyntaxError",
    "TrackingWish",
    "WholeContent",
    "WholeDraft",
    "compose_whole",
    "fill",
    "header_fields",
    "list_headers",
    "merged",
    "receive_whole",
    "without_header_fields",
]
