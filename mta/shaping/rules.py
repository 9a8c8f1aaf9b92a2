"""What a reply says about the pace: rules as data (``rules.toml``), the first that fits counts.

A rule's text is a phrase in which ``*`` stands for at most 60 characters, never a regular expression of somebody's
own: what strangers send is searched in bounded time.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from mailtypes.errors import InputSyntaxError
from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.shaping.pace import Limits

_READ = 1000  # characters of a reply that are looked at
_LONGEST_PHRASE = 200
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:-(\d{1,3}))?\Z")


class ShapingRulesError(InputSyntaxError):
    """A rule or limit that cannot be read; the message names it."""


class Stage(StrEnum):
    """What a reply was the answer to."""

    CONNECTION = "connection"  # greeting, EHLO, STARTTLS: said to us, whatever we would have sent
    MESSAGE = "message"  # MAIL, RCPT, DATA or the final dot


class RuleScope(StrEnum):
    """What a rule's actions apply to."""

    DESTINATION = "destination"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class StatusRange:
    """Enhanced status codes (RFC 3463) of one class and subject, with a detail in a range."""

    status_class: int
    subject: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "StatusRange":
        """``4.7.28`` or ``4.7.500-699``; raises ``ShapingRulesError``."""
        match = _STATUS.match(text)
        if match is None or (match[4] and int(match[4]) < int(match[3])):
            raise ShapingRulesError(
                f"'{text}' is no status", source=text, next_step="Write 4.7.28, or 4.7.500-699 for a range."
            )
        return cls(int(match[1]), int(match[2]), int(match[3]), int(match[4] or match[3]))

    def has(self, status: EnhancedStatus) -> bool:
        """Whether ``status`` lies in the range."""
        same = (self.status_class, self.subject) == (status.status_class, status.subject)
        return same and self.first <= status.detail <= self.last


def normal(text: str) -> str:
    """The beginning of a reply's text as phrases are looked for in it: small letters, one blank between words.

    The lines of a long reply end wherever its author's did.
    """
    return " ".join(text[:_READ].lower().split())


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words to look for; ``pattern`` only where there are stars, and then only if the ``first`` words are there."""

    first: str
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> "Phrase":
        """Read a phrase; raises ``ShapingRulesError``."""
        if not 3 <= len(text) <= _LONGEST_PHRASE or text.count("*") > 5:
            raise ShapingRulesError(
                f"a phrase has 3 to {_LONGEST_PHRASE} characters and at most 5 stars: '{text[:40]}'"
            )
        parts = text.lower().split("*")
        if len(parts) == 1:
            return cls(parts[0])
        return cls(parts[0], re.compile(".{0,60}?".join(re.escape(part) for part in parts)))

    def is_in(self, words: str) -> bool:
        """Whether the phrase stands in ``words`` (see ``normal``)."""
        return self.first in words and (self.pattern is None or self.pattern.search(words) is not None)


@dataclass(frozen=True, slots=True)
class Slowing:
    """Multiply the rate by ``factor``, but not below ``floor`` (messages a second)."""

    factor: float
    floor: float

    def __post_init__(self) -> None:
        if not (0 < self.factor < 1 and self.floor > 0):
            raise ShapingRulesError("slow needs a factor between 0 and 1 and a floor above 0")


@dataclass(frozen=True, slots=True)
class Suspension:
    """Send nothing for ``first`` seconds, ``growth`` times longer each further time, at most ``longest`` seconds.

    The length is drawn from plus or minus ``jitter`` (a share) around that, so that queues do not return at once.
    """

    first: float
    longest: float
    growth: float = 2.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.longest and self.growth >= 1 and 0 <= self.jitter < 1):
            raise ShapingRulesError("suspend needs 0 < first <= longest, growth of at least 1 and jitter below 1")


@dataclass(frozen=True, slots=True)
class Example:
    """A reply that a rule is for, as its test."""

    reply: str
    provider: str = ""
    stage: Stage = Stage.MESSAGE


@dataclass(frozen=True, slots=True)
class ShapingRule:
    """Conditions, all of which have to hold, and what to do. Empty conditions hold always.

    ``connections`` is dropped to (halved where it is there already), ``messages_per_connection`` shortened to.
    ``this_message_only``: the reply is about one message; the pace stays as it is.
    """

    name: str
    providers: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    status: tuple[StatusRange, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    stage: Stage | None = None
    scope: RuleScope = RuleScope.DESTINATION
    slow: Slowing | None = None
    suspend: Suspension | None = None
    connections: int | None = None
    messages_per_connection: int | None = None
    this_message_only: bool = False
    source: str = ""
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        actions = (self.slow, self.suspend, self.connections, self.messages_per_connection)
        if self.this_message_only == any(action is not None for action in actions):
            raise ShapingRulesError(f"rule {self.name}: either it acts, or it says this_message_only")
        if not (self.codes or self.status or self.phrases):
            raise ShapingRulesError(f"rule {self.name}: a rule asks for codes, status or phrases")
        Limits(self.connections, self.messages_per_connection)

    def fits(self, provider: str, stage: Stage, reply: SmtpReply, words: str) -> bool:
        """Whether all conditions hold for this reply; ``words`` is its text as ``normal`` makes it."""
        if self.providers and provider not in self.providers:
            return False
        if (self.codes and reply.code not in self.codes) or (self.stage is not None and stage is not self.stage):
            return False
        status = reply.enhanced_status
        if self.status and (status is None or not any(one.has(status) for one in self.status)):
            return False
        return not self.phrases or any(phrase.is_in(words) for phrase in self.phrases)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Rules in their order, and the limits that providers have published or that somebody set for them."""

    rules: tuple[ShapingRule, ...] = ()
    destination_limits: Mapping[str, Limits] = field(default_factory=dict)
    """By provider: for each of its destinations."""
    provider_limits: Mapping[str, Limits] = field(default_factory=dict)
    """By provider: for all its destinations together."""

    def match(self, provider: str, stage: Stage, reply: SmtpReply) -> ShapingRule | None:
        """The first rule that fits a reply; ``None`` for one that says nothing about the pace."""
        if reply.is_positive:
            return None
        words = normal(reply.text)
        return next((rule for rule in self.rules if rule.fits(provider, stage, reply, words)), None)

    def before(self, other: "RuleBook") -> "RuleBook":
        """This book's rules before ``other``'s, its limits in place of ``other``'s."""
        return RuleBook(
            (*self.rules, *other.rules),
            {**other.destination_limits, **self.destination_limits},
            {**other.provider_limits, **self.provider_limits},
        )


@cache
def built_in_rules() -> RuleBook:
    """The rules that come with Postwright."""
    return read_rules(resources.files(__package__).joinpath("rules.toml").read_text("utf-8"))


def read_rules(text: str) -> RuleBook:
    """Read rules and limits from TOML; raises ``ShapingRulesError``."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ShapingRulesError(f"the shaping rules are not TOML: {error}") from error
    if unknown := document.keys() - {"rule", "limit"}:
        raise ShapingRulesError(f"the shaping rules have unknown parts: {', '.join(sorted(unknown))}")
    rules = tuple(_read_rule(entry) for entry in document.get("rule", ()))
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ShapingRulesError("two shaping rules have the same name")
    return RuleBook(rules, *_read_limits(document.get("limit", ())))


def _read_rule(entry: Mapping[str, Any]) -> ShapingRule:
    name = str(entry.get("name", ""))
    try:
        values: dict[str, Any] = dict(entry)
        values |= {key: tuple(entry[key]) for key in ("providers", "codes") if key in entry}
        values["status"] = tuple(StatusRange.parse(one) for one in entry.get("status", ()))
        values["phrases"] = tuple(Phrase.parse(one) for one in entry.get("phrases", ()))
        values["examples"] = tuple(_example(one) for one in entry.get("examples", ()))
        values |= {key: read(entry[key]) for key, read in _READERS.items() if key in entry}
        return ShapingRule(**values)
    except (TypeError, ValueError) as error:
        raise ShapingRulesError(f"rule {name or '(no name)'}: {error}") from error
    except ShapingRulesError as error:
        if name and name not in error.message:
            raise ShapingRulesError(f"rule {name}: {error.message}", next_step=error.next_step) from error
        raise


_READERS: Mapping[str, Callable[[Any], object]] = {
    "stage": Stage,
    "scope": RuleScope,
    "slow": lambda table: Slowing(**table),
    "suspend": lambda table: Suspension(**table),
}


def _example(entry: Mapping[str, Any]) -> Example:
    return Example(str(entry["reply"]), str(entry.get("provider", "")), Stage(entry.get("stage", Stage.MESSAGE)))


def _read_limits(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Limits], dict[str, Limits]]:
    found: tuple[dict[str, Limits], dict[str, Limits]] = ({}, {})
    for entry in entries:
        values = {key: value for key, value in entry.items() if key not in ("provider", "scope", "source")}
        try:
            scope = RuleScope(entry.get("scope", RuleScope.DESTINATION))
            found[scope is RuleScope.PROVIDER][str(entry["provider"])] = Limits(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ShapingRulesError(f"a limit for {entry.get('provider', 'nobody')}: {error}") from error
    return found
