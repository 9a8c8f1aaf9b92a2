"""A part of a message as static pieces, already transfer-encoded, and the slots between them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.places import ENCODERS, Place
from rendering.slot_values import COMMON_PLACES, EncodedValues
from rendering.source import MergeValueError
from rendering.transfer import (
    MAX_LINE,
    SOFT_BREAK,
    Base64Piece,
    base64_size,
    join_base64,
    quoted_printable,
    quoted_printable_value,
)

# Printable ASCII without double quotes and angle brackets, and the NUL that several are joined with.
_IN_URLS = bytes(octet for octet in range(0x21, 0x7F) if octet not in b'"<>') + b"\0"
_PIXEL = ('<img src="', '" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px">')
_QUOTED_PIXEL = tuple(quoted_printable(piece, slot_follows=True) for piece in _PIXEL)
# No text, no place on the page, no tab stop, nothing for a screen reader; Outlook's Word hides by `mso-hide` alone.
_HONEYPOT = (
    '<a href="',
    '" tabindex="-1" aria-hidden="true" style="display:none;mso-hide:all;width:0;height:0;max-height:0;'
    'overflow:hidden;font-size:0;line-height:0"></a>',
)
_QUOTED_HONEYPOT = tuple(quoted_printable(piece, slot_follows=True) for piece in _HONEYPOT)
_REMEMBERED_LENGTH = 64
_UNSUBSCRIBE, _PREFERENCES = 0, -1  # links are numbered from 1
_SHORTEST_PIECE = 3  # a base64 quantum


@dataclass(frozen=True, slots=True)
class MergeSlot:
    """Takes the merge value of this index, escaped for its place."""

    index: int
    place: Place


@dataclass(frozen=True, slots=True)
class LinkSlot:
    """Takes the recipient's address for link ``number``; ``markup`` in HTML, where ``&`` is ``&amp;``."""

    number: int
    markup: bool


@dataclass(frozen=True, slots=True)
class UnsubscribeSlot:
    """Takes the recipient's unsubscribe address."""

    markup: bool


@dataclass(frozen=True, slots=True)
class PreferencesSlot:
    """Takes the address of the recipient's preference page."""

    markup: bool


@dataclass(frozen=True, slots=True)
class PixelSlot:
    """Takes the open-tracking image, or nothing where opens are not tracked."""


@dataclass(frozen=True, slots=True)
class HoneypotSlot:
    """Takes the link that no reader sees, or nothing where machines are not told by it."""


AddressSlot = LinkSlot | UnsubscribeSlot | PreferencesSlot | PixelSlot | HoneypotSlot
Slot = MergeSlot | AddressSlot
Piece = str | Slot


def _number(slot: LinkSlot | UnsubscribeSlot | PreferencesSlot) -> int:
    if isinstance(slot, LinkSlot):
        return slot.number
    return _UNSUBSCRIBE if isinstance(slot, UnsubscribeSlot) else _PREFERENCES


@dataclass(frozen=True, slots=True)
class SlotValues:
    """What one contact's data give: the merge values in the layout's order (not escaped), and the merged subject."""

    values: Sequence[str]
    subject: str


@dataclass(frozen=True, slots=True)
class MessageUrls:
    """The addresses made for one message. ``link_url`` gives that of a link number; no pixel and no hidden link
    (``honeypot_url``) where they are ``None``.

    Where there is no preference page, its links lead to where one unsubscribes.
    """

    link_url: Callable[[int], str]
    unsubscribe_url: str
    pixel_url: str | None = None
    preferences_url: str = ""
    honeypot_url: str | None = None


class Addresses:
    """The addresses of one message, asked for once and checked, for the slots of both parts."""

    __slots__ = ("_has_ampersand", "_honeypot", "_is_plain", "_pixel", "_urls", "quoted_plainly")

    def __init__(self, urls: MessageUrls, numbers: Iterable[int]) -> None:
        """``ValueError`` where an address made for the message cannot stand in mail."""
        link_url = urls.link_url
        self._urls = {number: link_url(number) for number in numbers}
        self._urls[_UNSUBSCRIBE] = urls.unsubscribe_url
        self._urls[_PREFERENCES] = urls.preferences_url or urls.unsubscribe_url
        self._pixel, self._honeypot = urls.pixel_url, urls.honeypot_url
        given = [*self._urls.values(), self._pixel or "", self._honeypot or ""]
        together = "\0".join(given)
        octets = together.encode("utf-8", "replace")
        if not together.isascii() or octets.translate(None, _IN_URLS) or together.count("\0") >= len(given):
            raise ValueError(
                say("an address made for a message has to be ASCII without spaces, quotes and angle brackets")
            )
        self._has_ampersand = "&" in together
        self._is_plain = "=" not in together and "\0." not in f"\0{together}" and max(map(len, given)) < MAX_LINE
        self.quoted_plainly: dict[int, bytes] | None = None
        """By link number (the others under ``_UNSUBSCRIBE``, ``_PREFERENCES``), where all of them need no encoding."""
        if self._is_plain and not self._has_ampersand:
            ended = octets.replace(b"\0", SOFT_BREAK + b"\0").split(b"\0")
            self.quoted_plainly = dict(zip(self._urls, ended, strict=False))  # the last two belong to no number

    def text(self, slot: "AddressSlot") -> str:
        """What goes into the slot."""
        if isinstance(slot, PixelSlot):
            return "" if self._pixel is None else escape(self._pixel).join(_PIXEL)
        if isinstance(slot, HoneypotSlot):
            return "" if self._honeypot is None else escape(self._honeypot).join(_HONEYPOT)
        url = self._urls[_number(slot)]
        return url.replace("&", "&amp;") if self._has_ampersand and slot.markup else url

    def quoted(self, slot: "AddressSlot") -> bytes:
        """The same in quoted-printable."""
        if isinstance(slot, PixelSlot):
            return b"" if self._pixel is None else quoted_printable_value(escape(self._pixel)).join(_QUOTED_PIXEL)
        if isinstance(slot, HoneypotSlot):
            if self._honeypot is None:
                return b""
            return quoted_printable_value(escape(self._honeypot)).join(_QUOTED_HONEYPOT)
        if self.quoted_plainly is not None:
            return self.quoted_plainly[_number(slot)]
        return quoted_printable_value(self.text(slot))

    def octets(self, slot: "AddressSlot") -> bytes:
        """The same as octets, for base64."""
        return self.text(slot).encode()


@dataclass(frozen=True, slots=True)
class SlotOrigin:
    """Where the merge value of a slot stands in the template, for errors."""

    field: str
    source: str
    span: Span


class Part:
    """One text part, encoded in the smaller of quoted-printable and base64 (by its static text)."""

    def __init__(self, pieces: Iterable[Piece], origins: Sequence[SlotOrigin]) -> None:
        self._pieces = _joined(pieces)
        self._origins = origins
        static = "".join(piece for piece in self._pieces if isinstance(piece, str))
        quoted = len(quoted_printable(static, slot_follows=False))
        in_base64 = base64_size(len(_crlf(static)))
        self._quoted = quoted <= in_base64
        self.static_size = min(quoted, in_base64)
        self._statics = [self._static(number, piece) for number, piece in enumerate(self._pieces)]
        positions: dict[Slot, list[int]] = {}
        for number, piece in enumerate(self._pieces):
            if not isinstance(piece, str):
                positions.setdefault(piece, []).append(number)
        merge = [(slot, where) for slot, where in positions.items() if isinstance(slot, MergeSlot)]
        self._common = [
            (slot.index, _encoder(slot.place, self._quoted), position)
            for slot, where in merge
            if slot.place in COMMON_PLACES
            for position in where
        ]
        self._merge = [
            (slot.index, _encoder(slot.place, self._quoted), position)
            for slot, where in merge
            if slot.place not in COMMON_PLACES
            for position in where
        ]
        self._addresses = [(slot, where) for slot, where in positions.items() if not isinstance(slot, MergeSlot)]
        self._numbered = [
            (_number(slot), position)
            for slot, where in self._addresses
            if not isinstance(slot, PixelSlot | HoneypotSlot)
            for position in where
        ]
        self._elements = [one for one in self._addresses if isinstance(one[0], PixelSlot | HoneypotSlot)]

    @property
    def transfer_encoding(self) -> str:
        """The Content-Transfer-Encoding, chosen at compiling."""
        return "quoted-printable" if self._quoted else "base64"

    @property
    def link_numbers(self) -> frozenset[int]:
        """The numbers of the links that take an address in this part."""
        return frozenset(slot.number for slot, _ in self._addresses if isinstance(slot, LinkSlot))

    @property
    def has_unsubscribe(self) -> bool:
        """Whether the unsubscribe address is in this part."""
        return any(isinstance(slot, UnsubscribeSlot) for slot, _ in self._addresses)

    def encode(self, encoded_values: EncodedValues, addresses: Addresses) -> list[bytes]:
        """The part's body for one recipient, to be joined; raises ``MergeValueError`` naming the field."""
        out = self._statics.copy()
        values = encoded_values.values
        common = encoded_values.quoted if self._quoted else encoded_values.octets
        index = 0
        try:
            for index, encode_value, position in self._common:
                at_once = common[index]
                out[position] = encode_value(values[index]) if at_once is None else at_once
            for index, encode_value, position in self._merge:
                out[position] = encode_value(values[index])
        except ValueError as error:
            raise self._value_error(index, error) from error
        others: Sequence[tuple[AddressSlot, list[int]]] = self._addresses
        if self._quoted and (plainly := addresses.quoted_plainly) is not None:
            others = self._elements
            for number, position in self._numbered:
                out[position] = plainly[number]
        encode = addresses.quoted if self._quoted else addresses.octets
        for slot, positions in others:
            encoded = encode(slot)
            for position in positions:
                out[position] = encoded
        return out if self._quoted else join_base64(out)  # type: ignore[return-value]

    def text(self, values: Sequence[str], addresses: Addresses) -> str:
        """The part as text, not transfer-encoded."""
        return "".join(
            piece if isinstance(piece, str) else self._slot_text(piece, values, addresses) for piece in self._pieces
        )

    def _slot_text(self, slot: Slot, values: Sequence[str], addresses: Addresses) -> str:
        if not isinstance(slot, MergeSlot):
            return addresses.text(slot)
        try:
            return ENCODERS[slot.place](values[slot.index])
        except ValueError as error:
            raise self._value_error(slot.index, error) from error

    def _static(self, number: int, piece: Piece) -> bytes | Base64Piece:
        if not isinstance(piece, str):
            return b""
        if not self._quoted:
            octets = _crlf(piece)
            return Base64Piece.of(octets) if len(octets) >= _SHORTEST_PIECE else octets
        return quoted_printable(piece, slot_follows=number + 1 < len(self._pieces))

    def _value_error(self, index: int, error: ValueError) -> MergeValueError:
        origin = self._origins[index]
        return MergeValueError(
            say("the value of %(field)s cannot stand here: %(error)s", field=origin.field, error=error),
            field=origin.field,
            source=origin.source,
            span=origin.span,
            next_step=say("Mend the contact's field, or leave the value out with if."),
        )


@cache
def _encoder(place: Place, quoted: bool) -> Callable[[str], bytes]:
    """How a value is escaped and encoded at a place; short values are remembered, since names and cities recur."""
    escape_value = ENCODERS[place]
    transfer = quoted_printable_value if quoted else _crlf

    def encode(value: str) -> bytes:
        return transfer(escape_value(value))

    # Typed: a value that its filter marked as encoded equals the same text without the mark.
    remembered = lru_cache(maxsize=4096, typed=True)(encode)

    def encode_value(value: str) -> bytes:
        return remembered(value) if len(value) <= _REMEMBERED_LENGTH else encode(value)

    return encode_value


def _crlf(text: str) -> bytes:
    # RFC 2046 section 4.1.1: text has CRLF line ends before it is encoded.
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined
