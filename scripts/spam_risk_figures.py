"""Figures and tables of the spam-risk score's calibration, from scores that ``fit_spam_risk.py`` gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from scipy.stats import rankdata

from mailtypes.auth import AuthFacts, Finding
from rendering.spam_risk.infrastructure import InfrastructureFacts
from rendering.spam_risk.message import ScoredMessage
from rendering.spam_risk.risk import HIGH_FROM, MEDIUM_FROM
from rendering.spam_risk.rules import Weights, the_rules
from rendering.spam_risk.sender_rules import authentication_reasons, infrastructure_reasons
from rendering.spam_risk.subject_matter import SubjectMatter

Array = np.ndarray[Any, np.dtype[np.float64]]
_SEED = 7


def area_under_curve(spam: Array, ham: Array) -> float:
    """The chance that a spam scores higher than a ham; equal scores count half."""
    ranks = rankdata(np.concatenate([spam, ham]))
    return float((ranks[: len(spam)].sum() - len(spam) * (len(spam) + 1) / 2) / len(spam) / len(ham))


def flagged(spam: Array, ham: Array, share: float = 0.01) -> float:
    """The share of spam above the score that at most ``share`` of the ham exceeds."""
    limit = np.sort(ham)[-1 - int(share * len(ham))]
    return float((spam > limit).mean())


def bootstrap(figure: Callable[[Array, Array], float], spam: Array, ham: Array) -> tuple[float, float, float]:
    """A figure with its 95 % interval, by 1,000 draws of clusters."""
    chance = np.random.default_rng(_SEED)
    drawn = [figure(chance.choice(spam, len(spam)), chance.choice(ham, len(ham))) for _ in range(1_000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return figure(spam, ham), float(low), float(high)


def wilson(hits: int, of: int) -> str:
    """A share with its 95 % interval (Wilson's)."""
    if not of:
        return "none"
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return f"{share:.1%} ({max(0.0, middle - half):.1%} to {min(1.0, middle + half):.1%}; {hits} of {of})"


@dataclass(frozen=True)
class Judged:
    """Scores of one mail for each cluster that the fit did not see, by group."""

    scores: dict[str, Array]

    @property
    def ham(self) -> Array:
        """Ordinary mail and newsletters."""
        return np.concatenate([self.scores["ordinary"], self.scores["newsletter"]])

    def figures(self) -> dict[str, tuple[float, float, float]]:
        """What is published, each with its interval."""
        spam = self.scores["spam"]
        return {
            "auc": bootstrap(area_under_curve, spam, self.ham),
            "auc_ordinary": bootstrap(area_under_curve, spam, self.scores["ordinary"]),
            "auc_newsletter": bootstrap(area_under_curve, spam, self.scores["newsletter"]),
            "flagged_at_1_percent": bootstrap(flagged, spam, self.scores["ordinary"]),
        }


def table(head: str, rows: Iterator[str]) -> str:
    """A Markdown table."""
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *rows])


def figures_table(judged: Judged) -> str:
    """AUC and the share of spam flagged."""
    names = {
        "auc": "AUC, spam against all other mail",
        "auc_ordinary": "AUC, spam against ordinary mail",
        "auc_newsletter": "AUC, spam against newsletters",
        "flagged_at_1_percent": "spam flagged where 1 % of ordinary mail is",
    }
    figures = judged.figures()
    return table(
        "| figure | held out | 95 % interval |",
        (f"| {names[key]} | {value:.3f} | {low:.3f} to {high:.3f} |" for key, (value, low, high) in figures.items()),
    )


def bands_table(judged: Judged, modern: Array) -> str:
    """Shares in the bands, then precision and recall."""
    rows = []
    for group, scores in [*judged.scores.items(), ("modern templates", modern)]:
        medium, high = (int((scores >= limit).sum()) for limit in (MEDIUM_FROM, HIGH_FROM))
        rows.append(f"| {group} | {wilson(medium, len(scores))} | {wilson(high, len(scores))} |")
    recall, precision = "| **recall** of spam |", "| **precision** at this mix |"
    for limit in (MEDIUM_FROM, HIGH_FROM):
        caught, wrong = (int((scores >= limit).sum()) for scores in (judged.scores["spam"], judged.ham))
        recall += f" {wilson(caught, len(judged.scores['spam']))} |"
        precision += f" {wilson(caught, caught + wrong)} |"
    return table("| group | medium or high | high |", iter([*rows, recall, precision]))


def rules_table(weights: Weights, messages: Mapping[str, Sequence[ScoredMessage]]) -> str:
    """Each rule's points and how often it fires in each group."""
    matters = {group: [SubjectMatter.of(message) for message in found] for group, found in messages.items()}

    def row(number: int) -> str:
        rule = the_rules()[number]
        points = weights.rules.get(rule.code, 0.0) if rule.points is None else rule.points
        rates = [
            sum(rule.feature(matter).value > 0 for matter in matters[group]) / len(matters[group])
            for group in ("newsletter", "modern", "ordinary", "spam")
        ]
        origin = "fitted" if rule.points is None else "by hand"
        return f"| `{rule.code}` | {points:.2f} | {origin} | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |"

    head = "| rule | points at most | weight | newsletters | modern templates | ordinary | spam |"
    return table(head, map(row, range(len(the_rules()))))


def sender_table() -> str:
    """The points of what is known of the sender, all of it at its worst."""
    absent = Finding.ABSENT
    worst = InfrastructureFacts(absent, absent, absent, Finding.PRESENT, domain_age=timedelta())
    reasons = [
        *authentication_reasons(AuthFacts(absent, absent, absent, None, one_click_unsubscribe=False))[0],
        *infrastructure_reasons(worst, None)[0],
    ]
    rows = (f"| `{one.code}` | {one.block} | {one.weight:.1f} | {one.mend} |" for one in reasons)
    return table("| reason | block | points | how to mend |", rows)


def words_table(weights: Weights) -> str:
    """The heaviest words of either side."""
    ranked = sorted(weights.words, key=lambda word: (weights.words[word], word))
    heavy, light = ", ".join(reversed(ranked[-40:])), ", ".join(ranked[:40])
    return f"{len(ranked):,} words weigh.\n\nMost for spam: {heavy}.\n\nMost against: {light}."


def with_tables(page: str, tables: dict[str, str]) -> str:
    """The page with its tables between their marks replaced."""
    for name, text in tables.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        page = before + begin + "\n" + text + "\n" + end + rest.partition(end)[2]
    return page
