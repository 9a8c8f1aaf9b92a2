"""A message to a return path, taken apart: what people read, what machines read, and what came back of our mail."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final

from dns_checks.reports import ReportSyntaxError
from dns_checks.reports.mail_parts import MailPart, parse_fields, read_mail
from mta.bounce.forms import FORMS
from mta.bounce.reports import MAX_OCTETS, BounceSyntaxError, OriginalMail

MAX_TEXT: Final = 64 * 1024  # octets of each part, and characters of a text, that are looked at
MAX_LINES: Final = 1_000
MAX_LINE: Final = 1_000
_MAX_ORIGINAL_FIELDS: Final = 200
_STATUS_TYPES: Final = {
    *("message/delivery-status", "message/global-delivery-status", "text/delivery-status", "message/xdelivery-status"),
}
_RETURNED_TYPES: Final = {
    *("message/rfc822", "message/global", "message/partial", "text/rfc822", "text/rfc822-headers"),
    *("text/rfc822-header", "message/rfc822-headers", "message/global-headers", "message/rfc822-header"),
}
# Named one by one: some codecs of the standard library are slow on purpose-made input, or are no character sets.
_CHARSETS: Final = re.compile(
    r"(?:us-)?ascii|utf-?8|iso-8859-\d{1,2}|windows-125\d|cp125\d|iso-2022-jp|shift_jis|euc-jp|euc-kr|gb2312|gbk"
    r"|gb18030|big5|koi8-[ru]"
)
_SEVEN_BIT: Final = {"utf-8", "us-ascii", "ascii"}
_TAG: Final = re.compile(r"<(?!\S{1,64}@)[^<>]{0,400}>")
_HIDDEN: Final = re.compile(r"<(style|script|title)(?=[\s>])[^<>]{0,400}>[^<]{0,20000}</\1", re.IGNORECASE)
_CELL: Final = re.compile(r"</?(?:td|th|b|i|u|em|strong|span|font|a|code|tt)(?=[\s/>])[^<>]{0,400}>", re.IGNORECASE)
_ENCODED_WORD: Final = re.compile(r"=\?([\w-]{1,40})(?:\*[\w-]{1,20})?\?([bBqQ])\?([^?\s]{0,1000})\?=")
_BETWEEN_WORDS: Final = re.compile(r"(?<=\?=)\s{1,80}(?==\?)")
_FOLD: Final = re.compile(r"\s*\n\s*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TELLING: Final = [
    [word] for word in ("was", "could", "has", "had", "cannot", "can", "will", "to", "from", "sent", "did")
]
_DASHES: Final = " \t-=*_>#|+."


@dataclass(frozen=True, slots=True)
class TakenApart:
    """``header`` is the outermost mail, ``text`` what is for people in it.

    ``lines`` are those of ``text``, and end where the returned message begins.
    """

    header: MailPart
    text: str
    lines: tuple[str, ...]
    status_texts: tuple[str, ...]
    feedback_text: str | None
    original: OriginalMail | None


def take_apart(octets: bytes) -> TakenApart:
    """Take a message apart; raise ``BounceSyntaxError`` where it is no mail, or is larger than ``MAX_OCTETS``."""
    if len(octets) > MAX_OCTETS:
        raise BounceSyntaxError(f"the message is longer than {MAX_OCTETS:,} octets")
    mail = _read(octets)
    leaves = list(_own_leaves(mail))
    statuses = tuple(_text_of(leaf) for leaf in leaves if leaf.content_type in _STATUS_TYPES)
    feedback = next((_text_of(leaf) for leaf in leaves if leaf.content_type == "message/feedback-report"), None)
    text = _for_people(leaves)
    lines, rest = _split(text)
    returned = [leaf for leaf in leaves if leaf.content_type in _RETURNED_TYPES]
    original = _original(returned[0]) if returned else _original_of_text("\n".join(rest))
    return TakenApart(mail, text, lines, statuses, feedback, original)


def _read(octets: bytes) -> MailPart:
    try:
        return read_mail(octets)
    except ReportSyntaxError:
        pass
    # More parts or levels than we take apart: the beginning is read as one text.
    header, _, body = octets[:MAX_TEXT].replace(b"\r\n", b"\n").partition(b"\n\n")
    try:
        fields = parse_fields(header.decode("utf-8", "replace"))
    except ReportSyntaxError as error:
        raise BounceSyntaxError(error.message, next_step="Nothing can be read of it; keep the file.") from error
    if not fields:
        raise BounceSyntaxError("this is no mail: it has no header", next_step="RFC 5322 section 2.1.")
    return MailPart(fields, body)


def _own_leaves(part: MailPart) -> Iterator[MailPart]:
    """Leaves of this mail, in order; a returned message counts as one, whatever it holds."""
    if part.content_type in _RETURNED_TYPES or not part.parts:
        yield part
        return
    for inner in part.parts:
        yield from _own_leaves(inner)


def _text_of(part: MailPart) -> str:
    content = part.content() if len(part.body) <= MAX_TEXT else _head(part).content()
    charset = part.parameters.get("charset", "").strip().lower()
    return _decoded(content, charset).replace("\r\n", "\n").replace("\r", "\n")[:MAX_TEXT]


def _decoded(content: bytes, charset: str) -> str:
    known = charset if _CHARSETS.fullmatch(charset) else "utf-8"
    if known in _SEVEN_BIT and b"\x1b$" in content:  # Japanese, whatever the field says or leaves out
        known = "iso-2022-jp"
    try:
        text = content.decode(known, "replace")
    except LookupError:  # iso-8859-99
        text = content.decode("utf-8", "replace")
    if known in _SEVEN_BIT and "\ufffd" in text:
        # Eight bits that are not what the field says: most of Europe's words are readable so, and no address suffers.
        return content.decode("iso-8859-1")
    return text


def header_text(value: str) -> str:
    """A header value for people: unfolded, of bounded length, its encoded words (RFC 2047) decoded."""
    text = _BETWEEN_WORDS.sub("", one_line(value))
    return one_line(_ENCODED_WORD.sub(_decoded_word, text))


def _decoded_word(match: re.Match[str]) -> str:
    charset, encoding, content = match[1].lower(), match[2].lower(), match[3]
    try:
        octets = a2b_base64(content) if encoding == "b" else a2b_qp(content, header=True)
    except (Base64Error, ValueError):
        return match[0]
    return _decoded(octets, charset)


def _head(part: MailPart) -> MailPart:
    return MailPart(part.fields, part.body[:MAX_TEXT], part.content_type, part.parameters)


def _for_people(leaves: list[MailPart]) -> str:
    """The text parts (a multipart whose boundary is wrong counts as text); HTML too where these name nobody."""
    plain = [leaf for leaf in leaves if leaf.content_type == "text/plain" or leaf.content_type.startswith("multipart/")]
    texts = [_text_of(leaf) for leaf in plain]
    if not any("@" in text for text in texts):
        texts += [_without_tags(_text_of(leaf)) for leaf in leaves if leaf.content_type == "text/html"]
    return "\n".join(texts)[:MAX_TEXT]


def _without_tags(html: str) -> str:
    """The text of HTML, a line for each block; the cells of a row of a table stay on one."""
    return unescape(_TAG.sub("\n", _CELL.sub(" ", _HIDDEN.sub("", html))))[:MAX_TEXT]


def _split(text: str) -> tuple[tuple[str, ...], list[str]]:
    """The lines before the returned message, and those from there on."""
    lines = [line[:MAX_LINE] for line in text.split("\n", MAX_LINES)[:MAX_LINES]]
    for number, line in enumerate(lines):
        if _begins_returned(line.strip(_DASHES).lower(), is_first=number == 0):
            return tuple(lines[:number]), lines[number:]
    return tuple(lines), []


def _begins_returned(bare: str, *, is_first: bool) -> bool:
    if not bare.startswith(FORMS.returned_message) or (is_first and not bare.startswith(("received:", "return-path:"))):
        return False
    phrase = next(phrase for phrase in FORMS.returned_message if bare.startswith(phrase))
    # "The original message was received at noon" tells of the message, and does not announce it.
    return phrase.endswith(":") or bare[len(phrase) :].split(" ", 2)[1:2] not in _TELLING


def _original(part: MailPart) -> OriginalMail | None:
    inner = part.parts[0].fields if part.parts else ()
    if inner:
        return _as_original(inner)
    # Headers alone, or a message that begins with an empty line.
    return _original_of_text(_text_of(part.parts[0] if part.parts else part))


def _original_of_text(text: str) -> OriginalMail | None:
    """Header fields in a text; the blank lines and rulers before them are passed over."""
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines[:50]) if _begins_field(line)), len(lines))
    end = next((number for number in range(start, len(lines)) if not lines[number].strip()), len(lines))
    try:
        fields = parse_fields("\n".join(lines[start:end]))
    except ReportSyntaxError:
        return None
    return _as_original(fields) if fields else None


def _begins_field(line: str) -> bool:
    name, colon, _ = line.partition(":")
    return bool(colon) and name.isascii() and name.replace("-", "").isalnum()


def _as_original(fields: tuple[tuple[str, str], ...]) -> OriginalMail:
    return OriginalMail(tuple((name, one_line(value)) for name, value in fields[:_MAX_ORIGINAL_FIELDS]))


def one_line(value: str) -> str:
    """A value unfolded, of bounded length, with no control characters."""
    unfolded = _FOLD.sub(" ", value[: 4 * MAX_LINE])[: 2 * MAX_LINE]
    return _CONTROL.sub("?", unfolded.encode("utf-8", "replace").decode()).strip()
