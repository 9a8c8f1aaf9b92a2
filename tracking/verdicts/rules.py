"""The rules of ``rules.toml``: conditions over features, a verdict, and where that is known from."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, TypeAlias

from mailtypes.errors import InputSyntaxError
from tracking.verdicts.agents import AgentFamily
from tracking.verdicts.features import Features, FetchKind
from tracking.verdicts.networks import NetworkClass

UNKNOWN: Final = "unknown"
"""The rule of whatever no other rule decides."""
_Condition: TypeAlias = Callable[[Any], bool]
_WORDS: Final[Mapping[str, type[StrEnum]]] = {"kind": FetchKind, "agent": AgentFamily, "network": NetworkClass}
_TYPES: Final = {field.name: field.type for field in fields(Features)}


class Verdict(StrEnum):
    """Who it was: a person, perhaps one, or a machine."""

    HUMAN = "human"
    PROBABLE = "probable"
    MACHINE = "machine"


class RulesSyntaxError(InputSyntaxError):
    """Rules that cannot be read."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the name of the rule that made it."""

    verdict: Verdict
    rule: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; it applies where all ``conditions`` hold for the features that they name."""

    name: str
    verdict: Verdict
    source: str
    conditions: tuple[tuple[str, _Condition], ...]

    def applies(self, features: Features) -> bool:
        """Whether all conditions hold."""
        for name, holds in self.conditions:  # noqa: SIM110  asked for each visit and rule, and twice as quick as all()
            if not holds(getattr(features, name)):
                return False
        return True


def decide(rules: Sequence[Rule], features: Features) -> Decision:
    """What the first rule that applies says; ``probable`` by ``unknown`` where none does."""
    for rule in rules:
        if rule.applies(features):
            return Decision(rule.verdict, rule.name)
    return Decision(Verdict.PROBABLE, UNKNOWN)


def read_rules(text: str) -> tuple[Rule, ...]:
    """Read TOML as ``rules.toml`` is written; raise ``RulesSyntaxError`` for anything that would never decide."""
    try:
        entries = tomllib.loads(text)["rule"]
        rules = tuple(_read_rule(entry) for entry in entries)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise RulesSyntaxError(
            f"the rules cannot be read: {error}", source=text[:200], next_step="Compare them with the shipped ones."
        ) from error
    names = [rule.name for rule in rules] + [UNKNOWN]
    if len(set(names)) != len(names):
        raise RulesSyntaxError("two rules have one name", source=text[:200], next_step="Name each rule differently.")
    return rules


def _read_rule(entry: Mapping[str, Any]) -> Rule:
    unknown = entry.keys() - {"name", "verdict", "when", "source"}
    if unknown or not entry["when"] or not entry["source"]:
        raise ValueError(f"rule {entry['name']!r}: unknown keys {sorted(unknown)}, or nothing in when or source")
    conditions = tuple((name, _read_condition(name, wanted)) for name, wanted in entry["when"].items())
    return Rule(entry["name"], Verdict(entry["verdict"]), entry["source"], conditions)


def _read_condition(name: str, wanted: Any) -> _Condition:
    if name not in _TYPES:
        raise ValueError(f"there is no feature {name!r}")
    if name in _WORDS:
        words = frozenset(_WORDS[name](word) for word in (wanted if isinstance(wanted, list) else [wanted]))
        return words.__contains__
    if _TYPES[name] is bool:
        if not isinstance(wanted, bool):
            raise ValueError(f"{name} is true or false")
        return wanted.__eq__
    limits = dict(wanted)
    below, at_least = limits.pop("below", None), limits.pop("at_least", None)
    if limits or (below is None and at_least is None):
        raise ValueError(f"{name} has below, at_least or both")
    return _between(at_least, below)


def _between(at_least: float | None, below: float | None) -> _Condition:
    def holds(value: float | None) -> bool:
        return value is not None and (at_least is None or value >= at_least) and (below is None or value < below)

    return holds
