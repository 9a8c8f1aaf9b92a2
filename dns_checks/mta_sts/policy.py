"""The policy file (RFC 8461 section 3.2): lines of ``key: value``."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dns_checks.field_list import RecordRemark
from dns_checks.mta_sts.match import is_pattern
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

MAX_OCTETS = 64 * 1024  # section 3.3 suggests a limit of 64 kilobytes
_MAX_PATTERNS = 1_000
_LONGEST_AGE = 31_557_600  # section 3.2: about one year
_SHORT_AGE = 86_400
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_DIGITS = re.compile(r"[0-9]{1,10}\Z")
_BLANKS = " \t"


class MtaStsPolicySyntaxError(InputSyntaxError):
    """A text that is not an MTA-STS policy; ``line_and_column`` tells the place."""


class Mode(StrEnum):
    """What senders do with a host that does not fit."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MtaStsPolicy:
    """A policy; ``patterns`` as in ``mx:``, ``max_age`` is how long senders may hold it."""

    mode: Mode
    patterns: tuple[str, ...]
    max_age: timedelta
    remarks: tuple[RecordRemark, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    key: str
    value: str
    key_span: Span
    value_span: Span


def parse_policy(text: str) -> MtaStsPolicy:
    """Read a policy file; raise ``MtaStsPolicySyntaxError`` with the line for whatever makes senders ignore it."""
    if len(text) > MAX_OCTETS:
        raise MtaStsPolicySyntaxError(
            say("the policy is longer than %(max_octets)s octets", max_octets=MAX_OCTETS), source=text[:100]
        )
    return _Reader(text).policy()


class _Reader:
    """The lines of one policy file, and the faults that do not make it void."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._remarks: list[RecordRemark] = []
        self._patterns: dict[str, None] = {}
        self._single: dict[str, _Line] = {}

    def policy(self) -> MtaStsPolicy:
        start = 0
        for raw in self._text.split("\n"):
            self._take(raw.removesuffix("\r"), start)
            start += len(raw) + 1
        version = self._required("version", say("Begin the file with 'version: STSv1'."))
        if version.value != "STSv1":
            raise self._error(say("the version is not STSv1"), version.value_span, say("Write 'version: STSv1'."))
        mode = self._mode(self._required("mode", say("Add a line such as 'mode: testing'.")))
        max_age = self._max_age(self._required("max_age", say("Add a line such as 'max_age: 604800'.")))
        if not self._patterns and mode is not Mode.NONE:
            place = Span(0, len(self._text))
            raise self._error(
                say("no mail host is named"), place, say("Add a line 'mx: mail.example.com' for each mail host.")
            )
        return MtaStsPolicy(mode, tuple(self._patterns), max_age, tuple(self._remarks))

    def _take(self, line: str, start: int) -> None:
        span = Span(start, start + len(line))
        if not line.strip(_BLANKS):
            if start + len(line) < len(self._text.rstrip("\r\n")):
                self._remark(say("there is an empty line"), span, say("Remove it; the format knows no empty lines."))
            return
        read = self._split(line, start)
        if read.key == "mx":
            self._take_pattern(read)
        elif self._single.setdefault(read.key, read) is not read:
            # Section 3.2: of a key that occurs twice, mx apart, only the first counts.
            self._remark(
                say("%(key)s occurs twice; the first counts", key=read.key), read.key_span, say("Keep one of them.")
            )

    def _split(self, line: str, start: int) -> _Line:
        key, colon, rest = line.partition(":")
        span = Span(start, start + len(key))
        if not colon or not _KEY.match(key):
            raise self._error(
                say("this line is not 'key: value'"), Span(start, start + len(line)), say("Write 'key: value'.")
            )
        value = rest.strip(_BLANKS)
        value_start = start + len(key) + 1 + len(rest) - len(rest.lstrip(_BLANKS))
        return _Line(key, value, span, Span(value_start, value_start + len(value)))

    def _take_pattern(self, line: _Line) -> None:
        if not is_pattern(line.value):
            raise self._error(
                say("mx is not the name of a mail host"),
                line.value_span,
                say("Write a host name such as mail.example.com, or *.example.com for one label."),
            )
        if len(self._patterns) >= _MAX_PATTERNS:
            raise self._error(
                say("more than %(max_patterns)s mail hosts", max_patterns=_MAX_PATTERNS),
                line.value_span,
                say("Use wildcards."),
            )
        self._patterns[line.value.lower()] = None

    def _required(self, key: str, next_step: str) -> _Line:
        line = self._single.get(key)
        if line is None:
            raise self._error(say("there is no %(key)s", key=key), Span(0, len(self._text)), next_step)
        return line

    def _mode(self, line: _Line) -> Mode:
        try:
            return Mode(line.value)
        except ValueError:
            raise self._error(
                say("this mode is not known"), line.value_span, say("Use enforce, testing or none.")
            ) from None

    def _max_age(self, line: _Line) -> timedelta:
        if not _DIGITS.match(line.value) or int(line.value) > _LONGEST_AGE:
            next_step = say(
                "Write seconds, at most %(longest_age)s; weeks are usual, such as 604800.", longest_age=_LONGEST_AGE
            )
            raise self._error(say("max_age is not a number of seconds up to a year"), line.value_span, next_step)
        seconds = int(line.value)
        if seconds < _SHORT_AGE:
            next_step = say("Section 3.2 of RFC 8461 suggests weeks; a policy that is soon forgotten protects little.")
            self._remark(say("max_age is less than a day"), line.value_span, next_step)
        return timedelta(seconds=seconds)

    def _remark(self, message: str, span: Span, next_step: str) -> None:
        self._remarks.append(RecordRemark(message, span, next_step))

    def _error(self, message: str, span: Span, next_step: str) -> MtaStsPolicySyntaxError:
        return MtaStsPolicySyntaxError(message, source=self._text, span=span, next_step=next_step)
