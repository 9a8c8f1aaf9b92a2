"""One-click unsubscribing (RFC 8058): the two header values, and how a genuine POST is told from anything else.

Only a POST with the right body unsubscribes. GET and HEAD never do: scanners fetch every link of a mail.
"""

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl, quote

from mailtypes.address import EmailAddress
from mailtypes.errors import InputSyntaxError

LIST_UNSUBSCRIBE_POST: Final = "List-Unsubscribe=One-Click"
"""Value of the List-Unsubscribe-Post header field (RFC 8058 section 3.1)."""

MAX_ONE_CLICK_OCTETS: Final = 4096
"""A genuine body has 26 octets, about 200 as multipart; who reads requests stops here."""

_MAX_CONTENT_TYPE = 200
_MAX_FIELDS = 8
_NAME, _, _VALUE = LIST_UNSUBSCRIBE_POST.partition("=")


class UnsubscribeUrlError(InputSyntaxError):
    """A URL that cannot stand in a List-Unsubscribe header field."""


def list_unsubscribe(https_url: str, mailto: EmailAddress | None = None) -> str:
    """Value of the List-Unsubscribe header field (RFC 2369 section 3.2), not folded.

    ``https_url`` takes the one-click POST and stands first; ``mailto`` is an address at which any mail with the
    subject ``unsubscribe`` counts. Raises ``UnsubscribeUrlError`` for a URL that is not a plain HTTPS one.
    """
    if not https_url.startswith("https://") or https_url == "https://":
        raise UnsubscribeUrlError(
            "one-click unsubscribing needs HTTPS",
            source=https_url,
            next_step="RFC 8058 section 3.1: the header field must have one HTTPS URL.",
        )
    # RFC 2369 section 2 ends a URL at '>' and separates several by commas.
    if any(not "!" <= character <= "~" or character in "<>," for character in https_url):
        raise UnsubscribeUrlError("the URL has a character that is not allowed here", source=https_url)
    if mailto is None:
        return f"<{https_url}>"
    return f"<{https_url}>, <mailto:{quote(mailto.smtp, safe='@')}?subject=unsubscribe>"


def is_one_click(content_type: str, body: bytes) -> bool:
    """Whether a POST with this body asks to unsubscribe (RFC 8058 section 3.2).

    The body is ``List-Unsubscribe=One-Click``, as ``multipart/form-data`` or ``application/x-www-form-urlencoded``.
    Other fields beside it are ignored; the field twice, an unknown media type or more than
    ``MAX_ONE_CLICK_OCTETS`` are refused. Where the content type is missing the urlencoded form is assumed.
    """
    if len(body) > MAX_ONE_CLICK_OCTETS or len(content_type) > _MAX_CONTENT_TYPE:
        return False
    if not content_type.isascii() or not (content_type == "" or content_type.isprintable()):
        return False
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("", "application/x-www-form-urlencoded"):
        values = _urlencoded_values(body)
    elif media_type == "multipart/form-data":
        values = _multipart_values(content_type, body)
    else:
        return False
    return values == [_VALUE]


def _urlencoded_values(body: bytes) -> list[str]:
    try:
        pairs = parse_qsl(body.decode("ascii").strip(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:  # not ASCII, or too many fields
        return []
    return [value for name, value in pairs if name == _NAME]


def _multipart_values(content_type: str, body: bytes) -> list[str]:
    whole = b"Content-Type: " + content_type.encode("ascii") + b"\r\n\r\n" + body
    form: Message = BytesParser(policy=HTTP).parsebytes(whole)
    parts = form.get_payload()
    if form.defects or not isinstance(parts, list) or len(parts) > _MAX_FIELDS:
        return []
    values = []
    for part in parts:
        if not isinstance(part, Message) or part.is_multipart():
            return []
        if part.get_param("name", header="content-disposition") == _NAME:
            payload = part.get_payload(decode=True)
            values.append(payload.decode("latin-1").strip() if isinstance(payload, bytes) else "")
    return values
