"""Stored content of a message that comes whole: an RFC 5322 message whose slots stand between NUL octets.

NUL can never stand in mail content (RFC 5321 section 4.1.1.4 with RFC 5322 section 2.2), so ``octets.split(b"\\x00")``
gives static octets at the even places and slots at the odd ones; content without slots is just the message.

====================  =====================================================================================
``L<number>m``/``p``  the recipient's address for that link, in markup / in plain text
``P``                 the open-tracking image, or nothing
``H``                 the link that no reader sees, or nothing
``Um`` / ``Up``       the recipient's unsubscribe address, in markup / in plain text
``Fm`` / ``Fp``       the address of the recipient's preference page, in markup / in plain text
``B<blob id>``        the octets of that blob in base64, in lines of 76 characters (RFC 2045 section 6.8)
====================  =====================================================================================

``L``, ``P``, ``H``, ``U`` and ``F`` stand in quoted-printable only, where pieces and values join without knowing each
other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from rendering.segments import (
    Addresses,
    AddressSlot,
    HoneypotSlot,
    LinkSlot,
    MessageUrls,
    PixelSlot,
    PreferencesSlot,
    UnsubscribeSlot,
)
from rendering.transfer import base64_lines

_DELIMITER = b"\x00"
_TOKEN = re.compile(
    rb"(?:L(?P<link>[1-9]\d{0,9})|(?P<page>[UF]))(?P<place>[mp])\Z|(?P<pixel>P)\Z|(?P<honeypot>H)\Z|B(?P<blob>\d{1,19})\Z"
)


@dataclass(frozen=True, slots=True)
class TrackingWish:
    """What of a message is to be tracked; with neither, links and images stay as the author wrote them."""

    opens: bool = False
    clicks: bool = False


@dataclass(frozen=True, slots=True)
class WholeContent:
    """A message to store. ``octets`` is the form that the module's docstring describes.

    ``links`` are the numbers of the link slots with the addresses that the author wrote; ``size`` is the least
    number of octets that a recipient gets (attachments in base64, addresses counted as nothing); ``remarks`` say
    what was left untracked and why, each in a sentence.
    """

    octets: bytes
    links: tuple[tuple[int, str], ...]
    size: int
    remarks: tuple[str, ...] = ()

    @property
    def has_unsubscribe(self) -> bool:
        """Whether the unsubscribe address stands in the text."""
        return _DELIMITER + b"U" in self.octets

    @property
    def blob_ids(self) -> tuple[int, ...]:
        """The blobs that the message needs, in their order, each once."""
        found = (_slot(token) for token in self.octets.split(_DELIMITER)[1::2])
        return tuple(dict.fromkeys(slot for slot in found if isinstance(slot, int)))


def fill(octets: bytes, urls: MessageUrls, blob: Callable[[int], bytes], extra_header: bytes = b"") -> bytes:
    """The message of one recipient.

    ``blob`` gives the raw octets of a blob. ``extra_header`` are composed header lines, each ending in CRLF, that
    are put in front. Raises ``ValueError`` where ``urls`` gives an address that cannot stand in mail, or where
    ``octets`` are no stored content.
    """
    if extra_header and (not extra_header.endswith(b"\r\n") or b"\r\n\r\n" in extra_header):
        raise ValueError("a header to put in front consists of lines that end in CRLF")
    if _DELIMITER not in octets:
        return extra_header + octets
    pieces = octets.split(_DELIMITER)
    slots = {token: _slot(token) for token in pieces[1::2]}
    addresses = Addresses(urls, {slot.number for slot in slots.values() if isinstance(slot, LinkSlot)})
    values = {
        token: base64_lines(blob(slot)) if isinstance(slot, int) else addresses.quoted(slot)
        for token, slot in slots.items()
    }
    pieces[1::2] = [values[token] for token in pieces[1::2]]
    pieces[0] = extra_header + pieces[0]
    return b"".join(pieces)


def address_token(slot: AddressSlot) -> bytes:
    """A slot for an address, with its delimiters."""
    if isinstance(slot, PixelSlot):
        return b"\x00P\x00"
    if isinstance(slot, HoneypotSlot):
        return b"\x00H\x00"
    place = b"m" if slot.markup else b"p"
    if isinstance(slot, LinkSlot):
        return b"\x00L%d%b\x00" % (slot.number, place)
    return b"\x00%b%b\x00" % (b"U" if isinstance(slot, UnsubscribeSlot) else b"F", place)


def blob_token(blob_id: int) -> bytes:
    """A slot for a blob's octets, with its delimiters."""
    return b"\x00B%d\x00" % blob_id


def static_size(octets: bytes) -> int:
    """The octets of stored content that do not depend on slots."""
    return sum(map(len, octets.split(_DELIMITER)[::2]))


@lru_cache(maxsize=4096)
def _slot(token: bytes) -> AddressSlot | int:
    match = _TOKEN.match(token)
    if match is None:
        raise ValueError("not stored content: an unknown slot stands between NUL octets")
    if match["blob"]:
        return int(match["blob"])
    if match["pixel"]:
        return PixelSlot()
    if match["honeypot"]:
        return HoneypotSlot()
    markup = match["place"] == b"m"
    if match["link"]:
        return LinkSlot(int(match["link"]), markup)
    return UnsubscribeSlot(markup) if match["page"] == b"U" else PreferencesSlot(markup)
