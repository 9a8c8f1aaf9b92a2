"""The author domain: the domain of the one address in the From field (RFC 5322 section 3.6.2, RFC 6854)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dns_checks.dkim.parse import HeaderField
from mailtypes.domain import DomainName, DomainSyntaxError

_MAX_OCTETS = 16_384
_COLON = ":"
_OPENING = "<"
_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")'
    r"|(?P<literal>\[[^\[\]]*\])"
    r"|(?P<blank>[ \t\r\n]+)"
    r"|(?P<special>[()<>,:;])"
    r'|(?P<word>[^"\[\]()<>,:;\\ \t\r\n]+)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Author:
    """The author domain, or ``None`` and the cause."""

    domain: DomainName | None
    cause: str = ""


class _UnreadableError(Exception):
    """The field does not follow RFC 5322; the text is the cause."""


def find_author(fields: Sequence[HeaderField]) -> Author:
    """The author domain of a header; there is one only where there is exactly one From field with one address.

    Several addresses would let a message be judged by one and show another, so none of them is taken.
    """
    found = [field.octets.partition(b":")[2] for field in fields if field.name == "from"]
    if len(found) != 1:
        return Author(None, f"there are {len(found)} From fields" if found else "there is no From field")
    if len(found[0]) > _MAX_OCTETS:
        return Author(None, "the From field is too long")
    try:
        # RFC 6532: UTF-8 in header fields; octets that are none can be part of a display name all the same.
        addresses = _addresses(found[0].decode("utf-8", "surrogateescape"))
    except _UnreadableError as error:
        return Author(None, f"the From field cannot be read: {error}")
    if len(addresses) != 1:
        return Author(None, f"the From field has {len(addresses) or 'no'} addresses")
    return _domain_of(addresses[0])


def _domain_of(address: Sequence[str]) -> Author:
    """``address`` as its tokens, without white space and comments."""
    # RFC 5322 section 4.4: an obsolete route ends with the colon.
    route_end = max((number for number, token in enumerate(address) if token in _COLON), default=-1)
    text = "".join(token for token in address[route_end + 1 :] if not token.startswith('"'))
    _, at, domain = text.rpartition("@")
    if not at:
        return Author(None, "the address in the From field has no domain")
    if text.count("@") > 1:
        return Author(None, "the address in the From field has more than one @")
    try:
        return Author(DomainName.parse(domain))
    except DomainSyntaxError as error:
        return Author(None, f"the domain of the From address is not valid: {error.message}")


def _addresses(text: str) -> list[list[str]]:
    """The tokens of each addr-spec. A display name with an @ in it is only a display name."""
    addresses: list[list[str]] = []
    for part in _mailboxes(_without_comments(text)):
        angles = [number for number, token in enumerate(part) if token in {"<", ">"}]
        if angles:
            if [part[number] for number in angles] != ["<", ">"]:
                raise _UnreadableError("the angle brackets do not fit together")
            if _is_something(part[angles[1] + 1 :]):
                raise _UnreadableError("there is something behind the angle brackets")
            addresses.append(_packed(part[angles[0] + 1 : angles[1]]))
        elif _is_something(part):
            addresses.append(_packed(part))
    return addresses


def _packed(part: Sequence[str]) -> list[str]:
    """An addr-spec without white space, which may stand around dots and the @ only (RFC 5322 section 4.4)."""
    tokens = [token for token in part if not token.isspace()]
    for before, after in pairwise(tokens):
        joins = before[-1] in ".@:," or after[0] in ".@:,"
        if not joins:
            raise _UnreadableError("there are words that are no address")
    return tokens


def _is_something(part: Sequence[str]) -> bool:
    return any(not token.isspace() for token in part)


def _mailboxes(tokens: Sequence[str]) -> list[list[str]]:
    """Cut at the commas outside of angle brackets; the name of a group is left out."""
    parts: list[list[str]] = [[]]
    is_within = False
    for token in tokens:
        if token in {"<", ">"}:
            is_within = token in _OPENING
        if is_within or token not in {",", ":", ";"}:
            parts[-1].append(token)
        elif token in _COLON:
            parts[-1] = []
        else:
            parts.append([])
    return parts


def _without_comments(text: str) -> list[str]:
    tokens: list[str] = []
    at = depth = 0
    while at < len(text):
        if depth:  # in a comment everything is text but parentheses and what a backslash quotes
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 2 if text[at] == "\\" else 1
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise _UnreadableError(f"there is a stray {text[at]!a}")
        at = match.end()
        if match[0] == ")":
            raise _UnreadableError("a parenthesis is closed that was not opened")
        if match[0] == "(":
            depth = 1
            tokens.append(" ")
        else:
            tokens.append(match[0])
    if depth:
        raise _UnreadableError("a comment does not end")
    return tokens
