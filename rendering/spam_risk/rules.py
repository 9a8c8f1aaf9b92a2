"""The rules as data, and the weights that the fit gave them."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from rendering.spam_risk.features import FEATURES, NONE, Feature, Strength
from rendering.spam_risk.link_features import LINK_FEATURES
from rendering.spam_risk.subject_matter import Found, SubjectMatter

_ENGLISH = re.compile(r"(?<![\\\w])[a-z']{3,15}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``points`` were set by hand; ``None`` leaves the weight to the fit.

    ``words`` are the English words of its phrases, which are not weighed again one by one.
    """

    code: str
    feature: Feature
    sentence: str
    mend: str
    points: float | None
    words: frozenset[str]

    @property
    def is_calibrated(self) -> bool:
        """Whether the weight comes from the fit."""
        return self.points is None


@dataclass(frozen=True, slots=True)
class Weights:
    """What ``scripts/fit_spam_risk.py`` wrote: points for a rule's full strength, and for words.

    ``baseline`` is the content score of a mail of which nothing is known; ``words`` are points of a word that stands
    alone (``rendering/spam_risk/words.py`` says how several are weighed).
    """

    baseline: float
    rules: dict[str, float]
    words: dict[str, float]


@lru_cache(maxsize=1)
def the_rules() -> tuple[Rule, ...]:
    """All rules in the order of ``rules.toml``."""
    document = tomllib.loads(files("rendering.spam_risk").joinpath("rules.toml").read_text("utf-8"))
    return tuple(_rule(entry) for entry in document["rule"])


@lru_cache(maxsize=1)
def the_weights() -> Weights:
    """The stored weights."""
    document = json.loads(files("rendering.spam_risk").joinpath("weights.json").read_text("utf-8"))
    return Weights(document["baseline"], document["rules"], document["words"])


def _rule(entry: dict[str, Any]) -> Rule:
    if entry["kind"] == "wording":
        feature = wording(tuple(entry["words"]), entry.get("where", "both"), entry.get("full", 1))
        feature = only_in_hebrew(feature) if entry.get("language") == "he" else feature
    else:
        feature = {**FEATURES, **LINK_FEATURES}[entry["feature"]]
    words = frozenset(_ENGLISH.findall(" ".join(entry.get("words", ()))))
    return Rule(entry["code"], feature, entry["sentence"], entry["mend"], entry.get("points"), words)


def wording(words: tuple[str, ...], where: str, full: int) -> Feature:
    """A feature that counts uses of phrases in the subject (each twice) and in the text."""
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)")

    def feature(matter: SubjectMatter) -> Strength:
        count, first = 0, None
        if where != "text" and (match := pattern.search(matter.subject)):
            count, first = 2, Found("subject", *match.span())
        if where != "subject":
            for match in pattern.finditer(matter.prose):
                first = first or Found(matter.text_part, *match.span())
                count += 1
                if count >= full:
                    break
        return NONE if first is None else Strength(min(1.0, count / full), first)

    return feature


def only_in_hebrew(feature: Feature) -> Feature:
    """The feature, not looked for where there is no Hebrew letter: most mail is done with it at once."""

    def gated(matter: SubjectMatter) -> Strength:
        return feature(matter) if matter.has_hebrew else NONE

    return gated
