"""gzip and zip, unpacked within limits: what a few octets may grow to is ours to say, not the sender's."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from dns_checks.reports.report import ReportSyntaxError
from mailtypes.saying import say

MAX_UNPACKED: Final = 64 * 1024 * 1024  # of everything in one report's file or mail
MAX_RATIO: Final = 200  # reports shrink to a thirtieth or so; deflate goes to a thousandth
MAX_PACKED_FILES: Final = 10
MAX_NESTING: Final = 3

_FREE_OCTETS: Final = 1024 * 1024  # whose ratio is nobody's concern
_STEP: Final = 64 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_ZIP_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1
_BOMB: Final = say("Nobody sends reports packed like this; do not unpack the file by hand.")
_SEND_ANEW: Final = say("The file was damaged on its way; ask for it anew.")


class Budget:
    """How much may still be unpacked; one for each report that is read."""

    def __init__(self, octets: int = MAX_UNPACKED) -> None:
        self._octets = octets
        self._left = octets

    def spend(self, octets: int) -> None:
        """Count what came out; raise ``ReportSyntaxError`` when it is too much."""
        self._left -= octets
        if self._left < 0:
            raise ReportSyntaxError(say("It unpacks to more than %(octets)s octets.", octets=self._octets), _BOMB)


def is_packed(octets: bytes) -> bool:
    """Whether these are octets of a gzip or zip file."""
    return octets.startswith((_GZIP, _ZIP))


def unpack(octets: bytes, name: str, budget: Budget, *, nesting: int = 0) -> Iterator[tuple[str, bytes]]:
    """The files in ``octets`` with their names; ``octets`` itself where it is not packed. Raises ``ReportSyntaxError``.

    Packed files within packed files are unpacked too, to ``MAX_NESTING`` levels.
    """
    if not is_packed(octets):
        yield name, octets
        return
    if nesting >= MAX_NESTING:
        raise ReportSyntaxError(
            say("It is packed more than %(max_nesting)s times over.", max_nesting=MAX_NESTING), _BOMB, within=name
        )
    inner = _gunzip(octets, name, budget) if octets.startswith(_GZIP) else _unzip(octets, name, budget)
    for inner_name, content in inner:
        yield from unpack(content, inner_name, budget, nesting=nesting + 1)


class _Output:
    """Collects what comes out of one packed file, and stops where it grows beyond reason."""

    def __init__(self, packed_size: int, name: str, budget: Budget) -> None:
        self._limit = max(_FREE_OCTETS, packed_size * MAX_RATIO)
        self._name = name
        self._budget = budget
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise ReportSyntaxError(
                say("It unpacks to more than %(max_ratio)s times its size.", max_ratio=MAX_RATIO),
                _BOMB,
                within=self._name,
            )
        self._budget.spend(len(chunk))
        self._chunks.append(chunk)

    def octets(self) -> bytes:
        return b"".join(self._chunks)


def _gunzip(octets: bytes, name: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    output = _Output(len(octets), name, budget)
    position = members = 0
    try:
        # RFC 1952 section 2.2: members follow one another. What is no member is what some senders' tools append.
        while octets.startswith(_GZIP, position):
            members += 1
            if members > MAX_PACKED_FILES:
                raise ReportSyntaxError(
                    say("It holds more than %(max_packed_files)s members.", max_packed_files=MAX_PACKED_FILES),
                    _BOMB,
                    within=name,
                )
            position = _gunzip_member(octets, position, output, name)
    except zlib.error as error:
        raise ReportSyntaxError(say("The gzip data is damaged."), _SEND_ANEW, within=name) from error
    yield name.removesuffix(".gz"), output.octets()


def _gunzip_member(octets: bytes, position: int, output: _Output, name: str) -> int:
    """Unpack the member that begins at ``position``; returns where it ends."""
    member = zlib.decompressobj(wbits=31)
    while not member.eof:
        # In small pieces, because zlib copies what it has not consumed.
        piece = octets[position : position + _STEP]
        if not piece:
            raise ReportSyntaxError(say("The gzip data ends too early."), _SEND_ANEW, within=name)
        position += len(piece)
        output.add(member.decompress(piece, _STEP))
        while member.unconsumed_tail and not member.eof:
            output.add(member.decompress(member.unconsumed_tail, _STEP))
    return position - len(member.unused_data)


def _unzip(octets: bytes, name: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    # Counted before the directory is read, since reading it makes an object for each entry.
    if octets.count(_ZIP_ENTRY) > MAX_PACKED_FILES:
        raise ReportSyntaxError(
            say("It holds more than %(max_packed_files)s files.", max_packed_files=MAX_PACKED_FILES), _BOMB, within=name
        )
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, _unzip_entry(archive, entry, len(octets), budget)
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError) as error:
        raise ReportSyntaxError(say("The zip file is damaged."), _SEND_ANEW, within=name) from error
    except (NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError) as error:
        # Versions, flags and names that the zip library does not take.
        raise ReportSyntaxError(say("The zip file is of a kind that is not read."), _SEND_ANEW, within=name) from error


def _unzip_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, packed_size: int, budget: Budget) -> bytes:
    if entry.flag_bits & _ENCRYPTED:
        raise ReportSyntaxError(
            say("The zip file is encrypted."), say("Ask for it without a password."), within=entry.filename
        )
    # The library takes bzip2 and LZMA data apart without a limit on what comes out.
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ReportSyntaxError(say("The zip file is not packed by deflate."), _SEND_ANEW, within=entry.filename)
    output = _Output(packed_size, entry.filename, budget)
    with archive.open(entry) as opened:
        while chunk := opened.read(_STEP):
            output.add(chunk)
    return output.octets()
