"""One layout of a template, compiled: HTML and plain text as encoded pieces with slots, in a multipart/alternative."""

import hashlib
from collections.abc import Sequence

from rendering.links import Link
from rendering.segments import Addresses, MessageUrls, Part, SlotValues
from rendering.slot_values import EncodedValues


class Layout:
    """What all contacts that take the same branches share. Immutable, so that threads may share it."""

    def __init__(self, plain: Part, html: Part, links: Sequence[Link], static_text: str) -> None:
        self._plain = plain
        self._html = html
        self._numbers = numbers = plain.link_numbers | html.link_numbers
        self.links = tuple(link for link in links if link.number in numbers)
        self.has_unsubscribe = html.has_unsubscribe
        # "=_" cannot occur in quoted-printable or base64 (RFC 2045 section 6.7), so no part holds the boundary.
        boundary = "=_pw_" + hashlib.sha256(static_text.encode("utf-8", "replace")).hexdigest()[:32]
        self.content_headers = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode()
        self._before_plain = _part_head(boundary, "plain", plain)
        self._before_html = b"\r\n" + _part_head(boundary, "html", html)
        self._end = f"\r\n--{boundary}--\r\n".encode()

    @property
    def static_size(self) -> int:
        """Octets of the encoded HTML part without any value: the least that any recipient gets."""
        return self._html.static_size

    def render(self, values: SlotValues, urls: MessageUrls) -> bytes:
        """The body for one recipient, with CRLF line ends; it belongs under ``content_headers``.

        Raises ``MergeValueError`` where a value cannot stand in its place (a link that is none, for instance) and
        ``ValueError`` where ``urls`` gives an address that cannot stand in mail.
        """
        addresses, encoded = Addresses(urls, self._numbers), EncodedValues(values.values)
        pieces = [self._before_plain]
        pieces += self._plain.encode(encoded, addresses)
        pieces.append(self._before_html)
        pieces += self._html.encode(encoded, addresses)
        pieces.append(self._end)
        return b"".join(pieces)

    def html(self, values: SlotValues, urls: MessageUrls) -> str:
        """The HTML part as sent, not transfer-encoded."""
        return self._html.text(values.values, Addresses(urls, self._numbers))

    def text(self, values: SlotValues, urls: MessageUrls) -> str:
        """The plain text part as sent, not transfer-encoded."""
        return self._plain.text(values.values, Addresses(urls, self._numbers))

    def html_size(self, values: SlotValues, urls: MessageUrls) -> int:
        """Octets of the HTML part as sent, transfer-encoded."""
        return sum(map(len, self._html.encode(EncodedValues(values.values), Addresses(urls, self._numbers))))


def _part_head(boundary: str, subtype: str, part: Part) -> bytes:
    return (
        f"--{boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {part.transfer_encoding}\r\n\r\n"
    ).encode()
