"""From a draft to stored content: headers, forms of the text, inline images, files."""

import re
from collections.abc import Iterator
from typing import Final

from mailtypes.errors import Span
from rendering.compose import HeaderSyntaxError, Mailbox, address_lines, content_lines, extra_line
from rendering.segments import Piece
from rendering.transfer import base64_size
from rendering.whole.content import TrackingWish, WholeContent, static_size
from rendering.whole.draft import AttachmentRef, ContentSyntaxError, WholeDraft
from rendering.whole.mime import Entity, attachment_entity, is_invitation, multipart, text_entity
from rendering.whole.slotted_text import (
    MAX_LINKS,
    MAX_TEXT,
    NumberedLinks,
    Slotting,
    TooManyLinksError,
    html_pieces,
    plain_pieces,
    written_text,
)

MAX_ATTACHMENTS: Final = 200
_OPTIONS: Final = "x-postwright-"
_OPTIONS_STEP: Final = "Use the field of the request that has the same meaning, such as tags or metadata."
_NOT_IN_TEXT: Final = re.compile("[\x00\ud800-\udfff]")

Numbered = list[tuple[str, AttachmentRef]]


def compose_whole(draft: WholeDraft, tracking: TrackingWish) -> WholeContent:
    """The stored content of a draft; the same draft always gives the same octets.

    With ``tracking.clicks`` the web links of the HTML get numbers by their place (``data-pw-track="off"`` on a link
    keeps it as it is), and so do the same addresses in the plain text. A draft without HTML has no tracked links:
    its readers see the addresses themselves. Raises ``HeaderSyntaxError`` and ``ContentSyntaxError``.
    """
    header = "".join(_header_lines(draft)).encode("ascii")
    links = NumberedLinks()
    body = _body(draft, tracking, links)
    octets = b"".join((header, body.header, b"\r\n", body.body))
    attached = sum(base64_size(attachment.size) for attachment in draft.attachments)
    return WholeContent(octets, links.table(), static_size(octets) + attached)


def _header_lines(draft: WholeDraft) -> Iterator[str]:
    yield address_lines("From", (Mailbox(draft.from_address, draft.from_name),))
    if draft.to:
        yield address_lines("To", draft.to)
    elif not draft.cc:  # RFC 5322 section A.1.3: an empty group where all recipients are hidden
        yield "To: undisclosed-recipients:;\r\n"
    if draft.cc:
        yield address_lines("Cc", draft.cc)
    if draft.reply_to:
        yield address_lines("Reply-To", draft.reply_to)
    yield from content_lines(draft.subject, draft.date, draft.message_id or None)
    for name, value in draft.extra:
        if name.lower().startswith(_OPTIONS):
            raise HeaderSyntaxError(f"{name} is for mail by SMTP", header=name, source=name, next_step=_OPTIONS_STEP)
        yield extra_line(name, value)


def _body(draft: WholeDraft, tracking: TrackingWish, links: NumberedLinks) -> Entity:
    if len(draft.attachments) > MAX_ATTACHMENTS:
        raise ContentSyntaxError(f"a message has at most {MAX_ATTACHMENTS} attachments", field="attachments")
    html, plain = _texts(draft, tracking, links)
    forms, inline, files = _sorted_attachments(draft)
    seed = "\n".join((draft.html or "", draft.text or "", repr(draft.attachments)))
    entities = [text_entity("plain", plain)] if plain is not None else []
    if html is not None:
        images = [attachment_entity(attachment, place, "inline") for place, attachment in inline]
        entities.append(multipart("related", [text_entity("html", html), *images], seed))
    entities += [attachment_entity(attachment, place, "") for place, attachment in forms]
    attached = [attachment_entity(attachment, place) for place, attachment in files]
    return multipart("mixed", [multipart("alternative", entities, seed), *attached], seed)


def _sorted_attachments(draft: WholeDraft) -> tuple[Numbered, Numbered, Numbered]:
    """Invitations, inline images and files; images without HTML that shows them are files."""
    forms: Numbered = []
    inline: Numbered = []
    files: Numbered = []
    for number, attachment in enumerate(draft.attachments):
        place = f"attachments[{number}]"
        if is_invitation(attachment, place):
            forms.append((place, attachment))
        elif attachment.content_id is not None and draft.html is not None:
            inline.append((place, attachment))
        else:
            files.append((place, attachment))
    return forms, inline, files


def _texts(
    draft: WholeDraft, tracking: TrackingWish, links: NumberedLinks
) -> tuple[list[Piece] | None, list[Piece] | None]:
    slotting = Slotting.of_draft(tracking)
    html: list[Piece] | None = None
    if draft.html is None and draft.text is None:
        raise ContentSyntaxError("there is no text", field="html", next_step="Give html, text or both.")
    if draft.html is not None:
        try:
            html = html_pieces(_checked("html", draft.html), slotting, links)
        except TooManyLinksError as error:
            raise ContentSyntaxError(
                f"there are more than {MAX_LINKS} links", field="html", next_step="Send it without click tracking."
            ) from error
    if draft.text is not None:
        return html, plain_pieces(_checked("text", draft.text), slotting, links)
    return html, None if html is None else written_text(html, links)


def _checked(field: str, text: str) -> str:
    """The text with LF line ends, the last one included."""
    if len(text) > MAX_TEXT:
        raise ContentSyntaxError(f"the text is longer than {MAX_TEXT} characters", field=field)
    wrong = _NOT_IN_TEXT.search(text)
    if wrong is not None:
        raise ContentSyntaxError(
            "the text has a NUL or half of a character, which cannot stand in mail",
            field=field,
            source=text,
            span=Span(wrong.start(), wrong.end()),
            next_step="Remove it.",
        )
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.endswith("\n") else lines + "\n"
