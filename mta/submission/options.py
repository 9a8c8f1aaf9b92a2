"""Reads the ``X-Postwright-*`` fields; a wrong value is refused, since mail must not go out otherwise than meant."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from typing import TypeVar

from mailtypes.clock import Microseconds, from_datetime
from mta.submission.faults import ContentSyntaxError
from mta.submission.ports import MetadataValue, SubmissionOptions, Tracking

_MAX_TAGS = 20
_MAX_TAG = 64
_MAX_NAME = 255
_MAX_METADATA_OCTETS = 8 * 1024
_MAX_METADATA_KEYS = 50
_MAX_METADATA_KEY = 64
# RFC 3339 section 5.6, the zone included.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
# RFC 5322 section 3.3 with its zone; the obsolete zones are ambiguous, GMT and UT are not.
_RFC5322 = re.compile(
    r"(?:[A-Za-z]{3}, +)?[0-9]{1,2} +[A-Za-z]{3} +[0-9]{4} +[0-9]{2}:[0-9]{2}(?::[0-9]{2})? +(?:[+-][0-9]{4}|GMT|UT)\Z"
)
_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")

Value = TypeVar("Value")


def read_options(fields: tuple[tuple[str, str], ...]) -> SubmissionOptions:
    """The options from ``(name without the prefix, unfolded value)``; raise ``ContentSyntaxError``."""
    if not fields:
        return SubmissionOptions()
    tags: list[str] = []
    single: dict[str, str] = {}
    for name, value in fields:
        if name not in _RIGHT:
            known = ", ".join(f"{_title(option)}" for option in _RIGHT)
            raise ContentSyntaxError(f"there is no field {_title(name)}", next_step=f"There are {known}")
        text = _decoded(name, value)
        if name == "tag":
            tags.append(_tag(text))
        elif name in single:
            raise _wrong(name, f"{_title(name)} is given twice")
        else:
            single[name] = text
    if len(tags) > _MAX_TAGS:
        raise _wrong("tag", f"there are more than {_MAX_TAGS} tags")
    return SubmissionOptions(
        tuple(dict.fromkeys(tags)),
        _read("metadata", single, _metadata) or {},
        _read("stream", single, _name),
        _read("campaign", single, _name),
        _read("send-at", single, _moment),
        _read("idempotency-key", single, _key),
        _read("track", single, _tracking),
    )


_RIGHT = {
    "tag": f"1 to {_MAX_TAG} printable characters, one field for each tag, at most {_MAX_TAGS}",
    "metadata": f'one JSON object as {{"order": "A17"}}: texts, numbers, true, false or null, '
    f"at most {_MAX_METADATA_KEYS} keys and {_MAX_METADATA_OCTETS} octets",
    "stream": "the name of a stream",
    "campaign": "the name of a campaign",
    "send-at": "a date with its zone, as 2030-01-31T08:00:00Z or Thu, 31 Jan 2030 08:00:00 +0000",
    "idempotency-key": f"1 to {_MAX_NAME} ASCII characters without spaces",
    "track": "opens, clicks, both with a comma between them, or none",
}


def _title(name: str) -> str:
    return f"X-Postwright-{name.title()}"


def _wrong(name: str, message: str = "") -> ContentSyntaxError:
    return ContentSyntaxError(message or f"{_title(name)} cannot be read", next_step=f"It is {_RIGHT[name]}")


def _read(name: str, given: Mapping[str, str], read: Callable[[str], Value | None]) -> Value | None:
    if name not in given:
        return None
    value = read(given[name])
    if value is None:
        raise _wrong(name)
    return value


def _decoded(name: str, value: str) -> str:
    # Mail libraries fold and encode long or foreign values as RFC 2047 says.
    if "=?" not in value:
        return value
    try:
        text = str(make_header(decode_header(value)))
    except (HeaderParseError, UnicodeError, LookupError, ValueError) as error:
        raise _wrong(name) from error
    return text.strip()


def _tag(text: str) -> str:
    if not 0 < len(text) <= _MAX_TAG or not text.isprintable():
        raise _wrong("tag")
    return text


def _name(text: str) -> str | None:
    return text if 0 < len(text) <= _MAX_NAME and text.isprintable() else None


def _key(text: str) -> str | None:
    return text if 0 < len(text) <= _MAX_NAME and all("!" <= character <= "~" for character in text) else None


def _tracking(text: str) -> Tracking | None:
    words = [word.strip() for word in text.lower().split(",")]
    if words == ["none"]:
        return Tracking(opens=False, clicks=False)
    if len(set(words)) != len(words) or not set(words) <= {"opens", "clicks"}:
        return None
    return Tracking("opens" in words, "clicks" in words)


def _moment(text: str) -> Microseconds | None:
    try:
        if _RFC3339.match(text):
            # Python 3.11 reads at most six digits of a second, and no lower-case letters.
            return from_datetime(datetime.fromisoformat(_FRACTION.sub(r"\1", text.upper())))
        if _RFC5322.match(text):
            moment = parsedate_to_datetime(text)
            # RFC 5322 section 3.3: -0000 is Universal Time that comes from nowhere in particular.
            return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
    return None


def _metadata(text: str) -> dict[str, MetadataValue] | None:
    if len(text.encode()) > _MAX_METADATA_OCTETS:
        return None
    try:
        found = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or len(found) > _MAX_METADATA_KEYS:
        return None
    return found if all(_is_member(key, value) for key, value in found.items()) else None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key comes twice")
    return members


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _is_member(key: str, value: object) -> bool:
    # A lone surrogate, which JSON can escape, cannot be stored as UTF-8; 1e999 is infinite; integers have an end too.
    if not 0 < len(key) <= _MAX_METADATA_KEY or not _is_text(key):
        return False
    if isinstance(value, str):
        return _is_text(value)
    if isinstance(value, float):
        return abs(value) <= 1e308
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
