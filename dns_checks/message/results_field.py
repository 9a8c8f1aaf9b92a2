"""The Authentication-Results field: written for a verdict, and removed where others forged ours (RFC 8601)."""

import re
from collections.abc import Iterator

from dns_checks.arc import ArcResult
from dns_checks.dkim import DkimVerdict
from dns_checks.dmarc import DmarcVerdict
from dns_checks.message.verify import MessageVerdict
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import InputSyntaxError

_NAME = "Authentication-Results"
_LINE_LENGTH = 78  # RFC 5322 section 2.1.1
_MAX_ID = 255
_MAX_VALUE = 300
_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+\Z")  # RFC 2045 section 5.1
_DOT_ATOM = re.compile(r"[!#$%&'*+/=?^_`{|}~0-9A-Za-z-]+(?:\.[!#$%&'*+/=?^_`{|}~0-9A-Za-z-]+)*\Z")
_FIELD = re.compile(rb"authentication-results[ \t]*:", re.IGNORECASE)
_LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
_ID_TOKEN = re.compile(r"[^\s\"();/]+")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class AuthservIdSyntaxError(InputSyntaxError):
    """A name for ourselves that cannot stand in the field."""


def authentication_results(authserv_id: str, verdict: MessageVerdict) -> str:
    """The whole field, folded with CRLF, without its final CRLF.

    ``authserv_id`` names the receiver (section 2.5), usually by its host name; raises ``AuthservIdSyntaxError``.
    What could not be found out about ARC is left out, since the method has no result for that.
    """
    if not authserv_id or len(authserv_id) > _MAX_ID or not (authserv_id.isascii() and authserv_id.isprintable()):
        raise AuthservIdSyntaxError(
            "the authserv-id is empty, too long or not printable ASCII",
            source=authserv_id,
            next_step="Use the receiver's host name, such as mx.example.com.",
        )
    infos = [info for info in (*_spf(verdict), *map(_dkim, verdict.dkim), _dmarc(verdict), *_arc(verdict)) if info]
    lines = [f"{_NAME}: {_value(authserv_id)}"]
    for info in infos or [["none"]]:
        lines[-1] += ";"
        lines += _folded(info)
    return "\r\n".join(lines)


def _folded(words: list[str]) -> Iterator[str]:
    line = "\t" + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _LINE_LENGTH:
            yield line
            line = "\t " + word
        else:
            line += " " + word
    yield line


def _spf(verdict: MessageVerdict) -> Iterator[list[str]]:
    if verdict.spf is not None:
        name, value = ("smtp.mailfrom", verdict.mail_from) if verdict.mail_from else ("smtp.helo", verdict.helo)
        yield [f"spf={verdict.spf.result}", *_reason(verdict.spf.result, verdict.spf.cause), *_property(name, value)]


def _dkim(verdict: DkimVerdict) -> list[str]:
    words = [f"dkim={verdict.result}"]
    if verdict.result != "none":
        words += _reason(verdict.result, verdict.cause)
        words += _property("header.d", verdict.domain) + _property("header.i", verdict.identity)
        words += _property("header.s", verdict.selector) + _property("header.a", verdict.algorithm)
    return words


def _dmarc(verdict: MessageVerdict) -> list[str]:
    domain = verdict.author.domain.ascii if verdict.author.domain is not None else ""
    words = [f"dmarc={verdict.dmarc_result}", *_policy(verdict.dmarc)]
    return words + _reason(verdict.dmarc_result, verdict.dmarc_cause) + _property("header.from", domain)


def _policy(verdict: DmarcVerdict | None) -> list[str]:
    if verdict is None or verdict.policy is None:
        return []
    return [f"({_comment(f'p={verdict.policy} disposition={verdict.disposition}')})"]


def _arc(verdict: MessageVerdict) -> Iterator[list[str]]:
    if verdict.arc.result is not ArcResult.UNKNOWN:
        words = [f"arc={verdict.arc.result}"]
        if verdict.arc.result is ArcResult.FAIL:
            words += _reason(verdict.arc.result, verdict.arc.cause)
        yield words


def _reason(result: str, cause: str) -> list[str]:
    return [] if result == "pass" or not cause else [f"reason={_quoted(cause)}"]


def _property(name: str, value: str) -> list[str]:
    """Section 2.2: a value, or an address or ``@`` and a domain as they are; nothing for an empty value."""
    local_part, at, domain = value.rpartition("@")
    is_address = at and (not local_part or _DOT_ATOM.match(local_part)) and _DOT_ATOM.match(domain)
    if not value:
        return []
    return [f"{name}={value if is_address and len(value) <= _MAX_VALUE else _value(value)}"]


def _value(text: str) -> str:
    return text if _TOKEN.match(text) and len(text) <= _MAX_VALUE else _quoted(text)


def _quoted(text: str) -> str:
    """A quoted-string (RFC 5322 section 3.2.4) of printable ASCII, whatever the text was."""
    return '"' + re.sub(r'(["\\])', r"\\\1", _clean(text)) + '"'


def _comment(text: str) -> str:
    return re.sub(r"([()\\])", r"\\\1", _clean(text))


def _clean(text: str) -> str:
    return "".join(one if " " <= one <= "~" else "?" for one in text[:_MAX_VALUE])


def strip_results(message: bytes, authserv_id: str) -> bytes:
    """``message`` without the fields that claim to be ours, which a sender may have forged (section 5).

    Fields whose authserv-id cannot be read go too: another reader might take them for ours. Everything else is left
    octet by octet.
    """
    if message.startswith((b"\r\n", b"\n")):
        return message  # there is no header
    end_of_header = b"\r\n\r\n" if b"\r\n" in message else b"\n\n"
    at = message.find(end_of_header)
    end = len(message) if at < 0 else at + len(end_of_header) // 2
    kept: list[bytes] = []
    own = _comparable(authserv_id)
    for field in _fields(message[:end]):
        match = _FIELD.match(field)
        if match is None or _is_of_another(field[match.end() :], own):
            kept.append(field)
    return b"".join(kept) + message[end:]


def _fields(header: bytes) -> Iterator[bytes]:
    """The fields with their folds and line ends. A bare LF ends a line too: some readers take it so."""
    field = b""
    for line in _LINE.findall(header):
        if line[:1] not in (b" ", b"\t"):
            yield field
            field = b""
        field += line
    yield field


def _is_of_another(value: bytes, own: str) -> bool:
    found = _read_id(value.decode("utf-8", "replace"))
    return found is not None and _comparable(found) != own


def _read_id(text: str) -> str | None:
    """The authserv-id at the start of ``text``, behind white space and comments; ``None`` where it cannot be read."""
    at = depth = 0
    while at < len(text) and (depth or text[at].isspace() or text[at] == "("):
        if depth and text[at] == "\\":
            at += 1
        elif text[at] in "()":
            depth += 1 if text[at] == "(" else -1
        at += 1
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        return _QUOTED_PAIR.sub(r"\1", quoted[1])
    token = _ID_TOKEN.match(text, at)
    return None if token is None or depth else token[0]


def _comparable(authserv_id: str) -> str:
    """Section 2.5: compared without case; U-labels and A-labels of one name are the same."""
    text = "".join(authserv_id.split())
    try:
        return DomainName.parse(text).ascii
    except DomainSyntaxError:
        return text.lower()
