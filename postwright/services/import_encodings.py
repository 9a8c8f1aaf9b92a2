"""Which encoding a file of contacts has. What can only be guessed is said to be a guess, with other candidates."""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from mailtypes.saying import say
from postwright.services.errors import RefusedError

ENCODINGS: Final = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "windows-1255",
    "iso-8859-8",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-15",
    "windows-1250",
    "iso-8859-2",
    "windows-1251",
    "koi8-r",
    "windows-1253",
    "windows-1254",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "cp437",
    "cp850",
    "cp862",
    "mac-roman",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "big5",
)
"""What may be asked for."""
SAMPLE: Final = 256 * 1024
_BLOCK: Final = 1024 * 1024
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MOST_CANDIDATES: Final = 6


@dataclass(frozen=True, slots=True)
class DetectedEncoding:
    """``is_certain``: a byte order mark or faultless UTF-8 says so. ``bad_line`` is the first that is not UTF-8."""

    name: str
    is_certain: bool
    candidates: tuple[str, ...]
    bad_line: int = 0


def detect(file: BinaryIO) -> DetectedEncoding:
    """Look through a whole file, a block at a time; the file is left at its beginning."""
    file.seek(0)
    head = file.read(SAMPLE)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return DetectedEncoding(name, True, (name,))
    wide = _wide(head)
    if wide:
        return DetectedEncoding(wide, False, (wide, "utf-8"))
    bad = _first_bad_line(file)
    if bad is None:
        return DetectedEncoding("utf-8", True, ("utf-8",))
    line, around = bad
    guessed = _guess(around)
    return DetectedEncoding(guessed[0], False, guessed, line)


def check_encoding(name: str) -> str:
    """The name as this module writes it; raises ``RefusedError`` for one that is not read."""
    wanted = name.strip().lower().replace("_", "-")
    for known in ENCODINGS:
        if wanted in {known.replace("_", "-"), known.replace("windows-", "cp")}:
            return known
    raise RefusedError(
        "unknown_encoding",
        say("The encoding '%(name)s' is not read.", name=name[:40]),
        field="encoding",
        next_step=say("Take one of %(known)s.", known=", ".join(ENCODINGS)),
    )


def codec_of(name: str) -> str:
    """The name that Python's codecs know; a byte order mark at the beginning is no text."""
    return "utf-8-sig" if name == "utf-8" else name


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: every other octet of Western text, of digits and of line ends is zero."""
    if len(head) < 4 or b"\x00" not in head:
        return ""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.2 and even < odd * 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.2 and odd < even * 0.1 else ""


def _first_bad_line(file: BinaryIO) -> tuple[int, bytes] | None:
    """The line of the first octet that is not UTF-8, and the octets from a little before it; ``None`` where none is."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, start = 1, 0
    try:
        for block in _blocks(file):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                place = max(error.start - kept, 0)
                lines += block[:place].count(b"\n")
                file.seek(max(0, start + place - SAMPLE // 8))
                return lines, file.read(SAMPLE)
            lines += block.count(b"\n")
            start += len(block)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return lines, _tail(file, start)
        return None
    finally:
        file.seek(0)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - SAMPLE))
    return file.read(SAMPLE)


def _guess(sample: bytes) -> tuple[str, ...]:
    """Candidates, the likeliest first; never empty."""
    # Loaded where a file is not UTF-8, which is seldom.
    from charset_normalizer import from_bytes  # noqa: PLC0415

    candidates = ["windows-1255"] if _looks_hebrew(sample) else []
    for match in from_bytes(sample, cp_isolation=[codecs.lookup(name).name for name in ENCODINGS if name != "utf-16"]):
        known = _known(match.encoding)
        if known and known not in candidates:
            candidates.append(known)
    for usual in ("windows-1252", "windows-1255", "iso-8859-1"):
        if usual not in candidates and _decodes(sample, usual):
            candidates.append(usual)
    return tuple(candidates[:_MOST_CANDIDATES])


def _looks_hebrew(sample: bytes) -> bool:
    """Hebrew words are runs of octets from E0 to FA, which in Western text stand between ASCII letters."""
    high = [place for place, octet in enumerate(sample) if octet >= 0x80]
    if not high or not _decodes(sample, "windows-1255"):
        return False
    letters = sum(0xE0 <= sample[place] <= 0xFA for place in high)
    beside = sum(sample[place - 1 : place].isalpha() or sample[place + 1 : place + 2].isalpha() for place in high)
    return letters >= 0.9 * len(high) and beside <= 0.2 * len(high)


def _decodes(sample: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _known(name: str) -> str:
    wanted = codecs.lookup(name).name
    same: Sequence[str] = [one for one in ENCODINGS if codecs.lookup(one).name == wanted]
    return same[0] if same else ""
