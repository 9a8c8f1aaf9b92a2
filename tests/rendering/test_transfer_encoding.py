import base64
import quopri

from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.places import Place
from rendering.segments import Addresses, MergeSlot, MessageUrls, Part
from rendering.slot_values import EncodedValues
from rendering.transfer import _TO_ENCODE, base64_lines, base64_size, quoted_printable_value

texts = st.text(
    alphabet=st.one_of(
        st.sampled_from(" \t\n.=-aש"), st.characters(exclude_categories=["Cs"], exclude_characters="\r")
    ),
    max_size=400,
)
NO_URLS = Addresses(MessageUrls(lambda n: "", ""), ())


def part_of(static: list[str], kind: Place = Place.PLAIN) -> Part:
    pieces: list[object] = []
    for number, text in enumerate(static):
        pieces += [text, MergeSlot(number, kind)]
    return Part([*pieces[:-1], "\n"], ())


def joined_text(static: list[str], values: list[str]) -> str:
    out = ""
    for number, text in enumerate(static):
        out += text + (values[number] if number < len(static) - 1 else "")
    return out + "\n"


def decode(part: Part, body: bytes) -> str:
    octets = quopri.decodestring(body) if part.transfer_encoding == "quoted-printable" else base64.b64decode(body)
    return octets.decode()


@given(st.lists(texts, min_size=1, max_size=5), st.lists(texts, min_size=5, max_size=5))
@settings(max_examples=500, deadline=None)
def test_joined_pieces_decode_to_the_joined_text(static: list[str], values: list[str]) -> None:
    part = part_of(static)
    body = b"".join(part.encode(EncodedValues(values), NO_URLS))
    # Control characters have no place in values; quopri knows LF line ends only.
    clean = ["".join(c for c in v if c in "\n\t" or not (ord(c) < 32 or 0x7F <= ord(c) < 0xA0)) for v in values]
    assert decode(part, body.replace(b"\r\n", b"\n")).replace("\r\n", "\n") == joined_text(static, clean)


@given(st.lists(texts, min_size=1, max_size=5), st.lists(texts, min_size=5, max_size=5))
@settings(max_examples=500, deadline=None)
def test_relaxed_canonicalization_and_dot_stuffing_change_nothing(static: list[str], values: list[str]) -> None:
    part = part_of(static)
    body = b"".join(part.encode(EncodedValues(values), NO_URLS))
    wrapped = b"--x\r\n\r\n" + body + b"\r\n--x--\r\n"
    assert Relaxed.canonicalize_body(wrapped) == wrapped
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") for line in lines)
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert b"\r" not in body.replace(b"\r\n", b"")
    assert body.isascii()


@given(texts)
def test_a_value_on_its_own_begins_and_ends_at_the_margin(text: str) -> None:
    encoded = quoted_printable_value(text)
    assert encoded == b"" or encoded.endswith(b"\r\n")
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")) == text.encode()


@given(st.binary(max_size=1000))
def test_base64_size_is_the_size(data: bytes) -> None:
    encoded = base64_lines(data)
    assert len(encoded) == base64_size(len(data))
    assert base64.b64decode(encoded) == data


def test_the_smaller_encoding_is_chosen() -> None:
    assert part_of(["שלום לכולם, מה שלומכם היום? " * 20]).transfer_encoding == "base64"
    assert part_of(["Hello everybody, how are you today? " * 20]).transfer_encoding == "quoted-printable"


@given(st.binary(max_size=60) | st.text(alphabet=" \n=a.\tש", max_size=60).map(str.encode))
@settings(max_examples=1_000, deadline=None)
def test_the_quick_pattern_finds_what_the_rules_ask_for(data: bytes) -> None:
    # RFC 2045 section 6.7 rules 1 to 3, and no doubled blank, which relaxed canonicalization would shorten.
    by_the_rules = [
        place
        for place, octet in enumerate(data)
        if octet != 0x0A
        and (
            not 0x20 <= octet <= 0x7E
            or octet == 0x3D
            or (octet == 0x20 and (data[place - 1 : place] == b" " or data[place + 1 : place + 2] in (b"", b"\n")))
        )
    ]
    assert [match.start() for match in _TO_ENCODE.finditer(data)] == by_the_rules
