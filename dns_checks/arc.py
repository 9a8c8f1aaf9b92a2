"""Reading ARC chains (RFC 8617) with dkimpy, which only this module knows.

dkimpy asks for keys synchronously, canonicalises white space in quadratic time, and computes RSA in Python. So the key
records are asked for beforehand, the body is canonicalised here, and what is handed over is bounded.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from dkim.util import InvalidTagValueList, parse_tag_value

from dns_checks.dkim.canonical import relaxed_body
from dns_checks.dkim.keys import KeyRecordSyntaxError, PublicKey, parse_key_record
from dns_checks.dkim.parse import HeaderField, has_endless_header, split_message
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion, Found, RecordType, TxtRecord, Unanswered

_NAMES = frozenset({"arc-seal", "arc-message-signature", "arc-authentication-results"})
_MAX_SETS = 50  # RFC 8617 section 4.2.1
_MAX_ARC_OCTETS = 131_072
_MAX_FIELD_OCTETS = 16_384
_MAX_FIELDS = 1_000
_MAX_COLONS = 500
_MAX_KEYS = 20
_MAX_HASHED_OCTETS = 256 * 1024 * 1024
_MAX_RSA_BITS = 4096
_MAX_RSA_EXPONENT = 2**32
_LONG_BLANK = re.compile(rb"[ \t]{1000}")
_SILENT = logging.getLogger("dns_checks.arc.dkimpy")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class ArcResult(StrEnum):
    """The chain validation status of RFC 8617 section 4.4, and ``unknown`` where it could not be found out."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - the RFC's token, no password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One intermediary that sealed the message: its instance number (from 1), who it says it is, what it had seen."""

    instance: int
    domain: str
    selector: str
    results: str


@dataclass(frozen=True, slots=True)
class ArcVerdict:
    """What became of the chain; ``sets`` with the latest first, as far as they could be read."""

    result: ArcResult
    cause: str
    sets: tuple[ArcSet, ...] = ()


class _UnansweredKeyError(Exception):
    """A key could not be looked up; passes through dkimpy, which would take it for a failure."""


def verify(message: bytes) -> DnsEvaluation[ArcVerdict]:
    """Validate the ARC chain of ``message`` (RFC 8617 section 5.2); never raises for what is in it.

    Times in ``t=`` and ``x=`` are held against the machine's clock, since dkimpy reads that.
    """
    if has_endless_header(message):
        return ArcVerdict(ArcResult.FAIL, "the header is too long")
    fields, body = split_message(message)
    sealed = [field for field in fields if field.name in _NAMES]
    if not sealed:
        return ArcVerdict(ArcResult.NONE, "the message has no ARC set")
    refusal = _too_much(fields, sealed, body)
    if refusal:
        return ArcVerdict(ArcResult.FAIL, refusal)
    chain = _Chain(fields, body)
    answers: dict[str, DnsAnswer] = {}
    for name in chain.key_names()[:_MAX_KEYS]:
        answers[name] = yield DnsQuestion(name, RecordType.TXT)
    return chain.verdict(answers)


def _too_much(fields: Sequence[HeaderField], sealed: Sequence[HeaderField], body: bytes) -> str:
    """Why the chain is not looked at; empty where it is."""
    sets = (len(sealed) + 2) // 3
    if sets > _MAX_SETS:
        return f"there are more than {_MAX_SETS} ARC sets"
    if max(len(field.octets) for field in sealed) > _MAX_FIELD_OCTETS:
        return "an ARC field is too long"
    if sum(len(field.octets) for field in sealed) > _MAX_ARC_OCTETS or len(fields) > _MAX_FIELDS:
        return "the header is too long"
    if any(field.octets.count(b":") > _MAX_COLONS for field in sealed if field.name == "arc-message-signature"):
        return "an ARC-Message-Signature names too many fields"
    if len(body) * sets > _MAX_HASHED_OCTETS:
        return "the body is too long for so many ARC sets"
    return ""


class _Chain:
    """The message as dkimpy is given it."""

    def __init__(self, fields: Sequence[HeaderField], body: bytes) -> None:
        self._sealed = [field for field in fields if field.name in _NAMES]
        # RFC 8617 section 4.1.2: c= is as in DKIM, and without it dkimpy takes both for relaxed.
        self._is_relaxed = not any(_body_is_simple(field) for field in self._sealed)
        self._has_long_blank = not self._is_relaxed and _LONG_BLANK.search(body) is not None
        # Canonicalising what is canonical already changes nothing, and no longer takes quadratic time.
        shown = relaxed_body(body) if self._is_relaxed else body
        self._octets = b"\r\n".join([*(field.octets for field in fields if field.name), b"", shown])

    def key_names(self) -> list[str]:
        """The names of all keys that dkimpy will ask for."""
        names = []
        for field in self._sealed:
            tags = _tags(field)
            if field.name != "arc-authentication-results" and b"s" in tags and b"d" in tags:
                names.append(f"{tags[b's'].decode('latin-1')}._domainkey.{tags[b'd'].decode('latin-1')}".lower())
        return list(dict.fromkeys(names))

    def verdict(self, answers: Mapping[str, DnsAnswer]) -> ArcVerdict:
        """What dkimpy says."""
        if self._has_long_blank:
            return ArcVerdict(ArcResult.FAIL, "the body has a run of white space that is too long")

        def look_up(name: bytes, timeout: float) -> bytes | None:  # noqa: ARG001 - dkimpy's signature
            return _key_text(name, answers)

        try:
            status, found, reason = dkim.ARC(self._octets, logger=_SILENT).verify(dnsfunc=look_up)
        except _UnansweredKeyError as error:
            return ArcVerdict(ArcResult.UNKNOWN, str(error), self._sets())
        except Exception as error:  # dkimpy documents one, and lets many through for broken input
            return ArcVerdict(ArcResult.FAIL, f"the chain cannot be read ({type(error).__name__})")
        return ArcVerdict(_result_of(status, found), _printable(reason), self._sets())

    def _sets(self) -> tuple[ArcSet, ...]:
        seals: dict[int, dict[bytes, bytes]] = {}
        results: dict[int, str] = {}
        for field in self._sealed:
            if field.name == "arc-seal":
                tags = _tags(field)
                seals.setdefault(_instance(tags.get(b"i", b"")), tags)
            elif field.name == "arc-authentication-results":
                number, _, text = _value(field).partition(b";")
                results.setdefault(_instance(number.partition(b"=")[2]), _printable(text.decode("latin-1").strip()))
        return tuple(
            ArcSet(number, _text(tags, b"d"), _text(tags, b"s"), results.get(number, ""))
            for number, tags in sorted(seals.items(), reverse=True)
        )


def _result_of(status: bytes | None, found: Sequence[Mapping[str, Any]]) -> ArcResult:
    """dkimpy says ``None`` for a chain that an earlier seal ended with ``cv=fail``, which stays a failure."""
    if status == dkim.CV_Pass:
        return ArcResult.PASS
    return ArcResult.NONE if status == dkim.CV_None and not found else ArcResult.FAIL


def _key_text(name: bytes, answers: Mapping[str, DnsAnswer]) -> bytes | None:
    """The key record at ``name``; ``None`` where there is none that may be used."""
    asked = name.decode("latin-1").lower().removesuffix(".")
    answer = answers.get(asked, Unanswered(f"more than {_MAX_KEYS} keys are named"))
    if isinstance(answer, Unanswered):
        raise _UnansweredKeyError(f"the key {_printable(asked)} could not be looked up: {answer.cause}")
    records = answer.records if isinstance(answer, Found) else ()
    texts = [record.joined for record in records if isinstance(record, TxtRecord)]
    try:
        key = parse_key_record(texts[0].decode("latin-1")).public_key if texts else None
    except KeyRecordSyntaxError:
        return None
    return texts[0] if key is not None and not _is_costly(key) else None


def _is_costly(key: PublicKey) -> bool:
    """Whether dkimpy would take seconds for it; nobody's own key is like that."""
    if not isinstance(key, RSAPublicKey):
        return False
    return key.key_size > _MAX_RSA_BITS or key.public_numbers().e >= _MAX_RSA_EXPONENT


def _body_is_simple(field: HeaderField) -> bool:
    if field.name != "arc-message-signature":
        return False
    canonicalization = _tags(field).get(b"c")
    return canonicalization is not None and not canonicalization.endswith(b"/relaxed")


def _value(field: HeaderField) -> bytes:
    return field.octets.partition(b":")[2].replace(b"\r\n", b"")


def _tags(field: HeaderField) -> dict[bytes, bytes]:
    try:
        tags: dict[bytes, bytes] = parse_tag_value(re.sub(rb"[ \t]+", b" ", _value(field)).strip())
    except InvalidTagValueList:
        return {}
    return tags


def _text(tags: Mapping[bytes, bytes], name: bytes) -> str:
    return _printable(tags.get(name, b"").decode("latin-1").lower())


def _instance(digits: bytes) -> int:
    text = digits.strip()
    return int(text) if text.isdigit() and len(text) <= 3 else 0


def _printable(text: str) -> str:
    return "".join(one if " " <= one <= "~" else "?" for one in " ".join(text.split()))[:1000]
