"""Fits the weights of the spam-risk score, and writes them with the tables of docs/spam-risk.md.

    python scripts/fit_spam_risk.py ../shared/corpora [--check]

Subjects and bodies only: the headers of 2002 would give the answer away, so nothing else of them is looked at but, for
choosing words, who sent a mail. What mailing lists add to a text, quoted lines and signatures are cut off before.
Near-duplicates are clustered and stay on one side of the split. Seeds are fixed. The split is by cluster: seven tenths
to learn from, three tenths to judge by. With ``--check`` nothing is written; the exit status is 1 where the stored
weights are not what the fit yields.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from spam_risk_figures import (
    Array,
    Judged,
    bands_table,
    figures_table,
    rules_table,
    sender_table,
    table,
    with_tables,
    words_table,
)

from rendering.spam_risk.assessing import assess_with
from rendering.spam_risk.link_features import registered_domain
from rendering.spam_risk.message import ScoredMessage, read_message
from rendering.spam_risk.risk import HIGH_FROM
from rendering.spam_risk.rules import Weights, the_rules
from rendering.spam_risk.subject_matter import SubjectMatter
from rendering.spam_risk.words import damping, words_in
from rendering.whole.header_reading import header_fields

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "rendering" / "spam_risk" / "weights.json"
PAGE = ROOT / "docs" / "spam-risk.md"
SEED = 6
GROUPS = ("spam", "ordinary", "newsletter")
SHARES = {"spam": 1.0, "ordinary": 0.5, "newsletter": 0.5}
"""How much each group weighs in the fit, whatever its number of mails."""
FEWEST_CLUSTERS, FEWEST_SENDERS, MOST_WORDS = 8, 6, 2_500
WORD_PENALTY, RULE_PENALTY = 0.0003, 0.001
SLOPE = 1.3
"""Points for one of log-odds."""
HIGH_SHARES = {"ordinary": 0.003, "newsletter": 0.02}
"""Shares that may be high in cross-validation: both hold, so the stricter one decides."""
BLANK_SHARE = 0.1
"""The weight of a made-up ordinary mail without any known feature: where nothing is known, little risk is shown."""
_NOT_WEIGHED = """
unsubscribe unsubscribed unsubscribing subscribe subscribed subscription subscriptions remove removed removal opt opted
privacy policy preferences address newsletter mailing
monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun january february march april may
june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec
yahoo hotmail aol msn gmail compuserve earthlink www http https com net org html htm href mailto tel ilug spamassassin
razor sourceforge zdnet zdnet's cnet lockergnome exmh geek workers fork freshrpms rpm perl linux justin
"""
NOT_WEIGHED = frozenset(_NOT_WEIGHED.split())
"""Words that law and good practice ask for, dates, and the corpus' own lists and hosts."""

_LIST_TAG = re.compile(r"^(?:\s*(?:\[[^\]]{1,40}\]|re(?:\[\d\])?:|fwd?:))+\s*", re.IGNORECASE)
_FOOTER = re.compile(
    r"^(?:-- ?|_{20,}|-{30,}|={30,}|-{5,}BEGIN PGP SIGNATURE-{5,}|-{50,}~-->|To unsubscribe from this group)\s*$", re.M
)
_QUOTED = re.compile(r"^(?:[ \t]{0,4}[A-Za-z]{0,4}[>|].*|.{0,200}(?:wrote|writes|said):[ \t]*)$", re.M)
_TOKEN = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class Sample:
    """One mail of the corpus with what the score sees of it."""

    name: str
    group: str
    sender: str
    message: ScoredMessage
    strengths: tuple[float, ...]
    by_hand: float
    words: frozenset[str]
    shingles: frozenset[int]


@dataclass(frozen=True)
class Fitted:
    """Weights in log-odds, before they are made points."""

    intercept: float
    rules: dict[str, float]
    words: dict[str, float]


def read_corpus(corpora: Path) -> list[Sample]:
    """All mails, in the order of their names."""
    groups = {"easy-ham-1": "ordinary", "easy-ham-2": "ordinary", "hard-ham-1": "newsletter"}
    samples = []
    with tarfile.open(corpora / "spamassassin.tar.xz") as archive:
        for member in archive:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) == 3 and (file := archive.extractfile(member)) is not None:
                samples.append(_sample(member.name, groups.get(parts[1], "spam"), file.read()))
    return sorted(samples, key=lambda sample: sample.name)


def modern_templates(corpora: Path) -> list[tuple[str, ScoredMessage]]:
    """The HTML templates with their plain parts; their subject is the kind of mail they are."""
    files = sorted((corpora / "newsletter_templates").rglob("content.html"))
    return [
        (
            "/".join(file.parts[-4:-1]),
            ScoredMessage(
                file.parent.name.replace("-", " ").capitalize(),
                file.read_text("utf-8"),
                file.with_suffix(".txt").read_text("utf-8"),
            ),
        )
        for file in files
    ]


def _sample(name: str, group: str, octets: bytes) -> Sample:
    message = without_list_traces(read_message(octets))
    author = "".join(header_fields(octets.replace(b"\n", b"\r\n"), ["From"])["From"][:1]).lower()
    sender = registered_domain(author.rpartition("@")[2].partition(">")[0].strip())
    matter = SubjectMatter.of(message)
    tokens = _TOKEN.findall(matter.subject + " " + matter.prose)
    shingles = {stable_number(" ".join(tokens[i : i + 4])) for i in range(max(1, len(tokens) - 3))}
    strengths = tuple(rule.feature(matter).value for rule in the_rules())
    by_hand = sum((rule.points or 0.0) * value for rule, value in zip(the_rules(), strengths, strict=True))
    return Sample(name, group, sender, message, strengths, by_hand, frozenset(words_in(matter)), frozenset(shingles))


def stable_number(text: str) -> int:
    """A number for a text that is the same on every machine."""
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=4).digest())


def without_list_traces(message: ScoredMessage) -> ScoredMessage:
    """The mail without list tags, answers' marks, quoted lines, and what follows a signature mark."""
    plain = message.plain_text
    if plain is not None:
        plain = _QUOTED.sub("", plain)
        footer = _FOOTER.search(plain, min(len(plain), 200))
        plain = plain if footer is None else plain[: footer.start()]
    return replace(message, subject=_LIST_TAG.sub("", message.subject or ""), plain_text=plain)


# ---- clusters and split -----------------------------------------------------------------------------------------


def clusters(samples: Sequence[Sample], alike: float = 0.5) -> list[int]:
    """For each mail the index of its cluster's first: mails that share half of their four-word shingles (MinHash)."""
    prime, hashes, rows = (1 << 31) - 1, 64, 4
    chance = random.Random(SEED)  # noqa: S311 (no secret)
    factors = np.array([[chance.randrange(1, prime), chance.randrange(prime)] for _ in range(hashes)], dtype=np.int64)
    signatures = np.empty((len(samples), hashes), dtype=np.int64)
    for number, sample in enumerate(samples):
        values = np.fromiter(sample.shingles, dtype=np.int64) % prime
        signatures[number] = ((values[:, None] * factors[:, 0] + factors[:, 1]) % prime).min(axis=0)
    parent = list(range(len(samples)))
    for band in range(0, hashes, rows):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for number in range(len(samples)):
            buckets[signatures[number, band : band + rows].tobytes()].append(number)
        for members in buckets.values():
            for other in members[1:]:
                first, second = _root(parent, members[0]), _root(parent, other)
                if first != second and (signatures[members[0]] == signatures[other]).mean() >= alike:
                    parent[max(first, second)] = min(first, second)
    return [_root(parent, number) for number in range(len(samples))]


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def fold_of(samples: Sequence[Sample], roots: Sequence[int]) -> list[int]:
    """A number from 0 to 9 by cluster; 7 to 9 are held out."""
    return [stable_number(f"{SEED} {samples[root].name}") % 10 for root in roots]


# ---- the fit ----------------------------------------------------------------------------------------------------


def cluster_weights(samples: Sequence[Sample], roots: Sequence[int]) -> Array:
    """Each cluster weighs as one mail, and each group as ``SHARES`` says."""
    sizes = Counter(zip(roots, (sample.group for sample in samples), strict=True))
    each = np.array([1 / sizes[root, sample.group] for root, sample in zip(roots, samples, strict=True)])
    totals = {group: sum(w for w, s in zip(each, samples, strict=True) if s.group == group) for group in GROUPS}
    return np.array([w * SHARES[s.group] / totals[s.group] for w, s in zip(each, samples, strict=True)])


def choose_words(samples: Sequence[Sample], roots: Sequence[int]) -> list[str]:
    """Words of enough clusters and senders, those first that tell spam from the rest best (chi-squared)."""
    clusters_of: dict[str, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    senders_of: dict[str, set[str]] = defaultdict(set)
    left_out = NOT_WEIGHED.union(*(rule.words for rule in the_rules()))
    for sample, root in zip(samples, roots, strict=True):
        for word in sample.words - left_out:
            clusters_of[word][sample.group != "spam"].add(root)
            senders_of[word].add(sample.sender)
    of_spam = len({root for root, sample in zip(roots, samples, strict=True) if sample.group == "spam"})
    of_ham = len(set(roots)) - of_spam

    def telling(word: str) -> float:
        spam, ham = (len(roots) for roots in clusters_of[word])
        both = (spam + ham) / (of_spam + of_ham)
        return (spam / of_spam - ham / of_ham) ** 2 / (both * (1 - both) + 1e-9)

    enough = [
        word
        for word, (spam, ham) in clusters_of.items()
        if len(spam | ham) >= FEWEST_CLUSTERS and len(senders_of[word]) >= FEWEST_SENDERS
    ]
    return sorted(sorted(enough, key=lambda word: (-telling(word), word))[:MOST_WORDS])


def design(samples: Sequence[Sample], vocabulary: Sequence[str]) -> csr_matrix:
    """One row a mail: the strengths of the rules, then the damped words."""
    index = {word: number for number, word in enumerate(vocabulary)}
    fitted = [number for number, rule in enumerate(the_rules()) if rule.points is None]
    rows, columns, values = [], [], []
    for row, sample in enumerate(samples):
        known = [index[word] for word in sample.words if word in index]
        cells = [(column, sample.strengths[rule]) for column, rule in enumerate(fitted) if sample.strengths[rule]]
        cells += [(len(fitted) + column, damping(len(known))) for column in sorted(known)]
        rows += [row] * len(cells)
        columns += [column for column, _ in cells]
        values += [value for _, value in cells]
    return csr_matrix((values, (rows, columns)), shape=(len(samples), len(fitted) + len(vocabulary)))


@dataclass(frozen=True)
class Problem:
    """What the fit minimises: weighted logistic loss with an L2 penalty. The intercept is the first parameter.

    ``offset`` are the log-odds of the points that were set by hand. A blank mail counts as ordinary.
    """

    matrix: csr_matrix
    signs: Array
    weights: Array
    offset: Array
    penalty: Array

    def loss(self, parameters: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        margin = self.signs * (self.matrix @ parameters[1:] + parameters[0] + self.offset)
        pull = -self.weights * self.signs / (1 + np.exp(np.clip(margin, -500, 500)))
        blank = parameters[0]
        value = self.weights @ np.logaddexp(0, -margin) + BLANK_SHARE * np.logaddexp(0, blank)
        of_blank = BLANK_SHARE / (1 + np.exp(-blank))
        gradient = np.concatenate([[pull.sum() + of_blank], self.matrix.T @ pull])
        gradient[1:] += 2 * self.penalty * parameters[1:]
        return float(value + self.penalty @ parameters[1:] ** 2), gradient


def problem_of(samples: Sequence[Sample], roots: Sequence[int], vocabulary: Sequence[str]) -> Problem:
    """The problem whose solution the weights are."""
    rules = sum(rule.points is None for rule in the_rules())
    return Problem(
        design(samples, vocabulary),
        np.array([1.0 if sample.group == "spam" else -1.0 for sample in samples]),
        cluster_weights(samples, roots),
        np.array([sample.by_hand / SLOPE for sample in samples]),
        np.array([RULE_PENALTY] * rules + [WORD_PENALTY] * len(vocabulary)),
    )


def fit(samples: Sequence[Sample], roots: Sequence[int]) -> Fitted:
    """Rules of no negative weight, words of either sign."""
    vocabulary = choose_words(samples, roots)
    codes = [rule.code for rule in the_rules() if rule.points is None]
    bounds = [(None, None)] + [(0.0, None)] * len(codes) + [(None, None)] * len(vocabulary)
    options = {"maxiter": 2_000, "maxfun": 5_000, "ftol": 1e-13, "gtol": 1e-8}
    loss = problem_of(samples, roots, vocabulary).loss
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    rules = dict(zip(codes, map(float, found.x[1:]), strict=False))
    return Fitted(float(found.x[0]), rules, dict(zip(vocabulary, map(float, found.x[1 + len(codes) :]), strict=True)))


def log_odds(fitted: Fitted, samples: Sequence[Sample]) -> Array:
    """What the fit and the points set by hand say of each mail."""
    parameters = np.array([*fitted.rules.values(), *fitted.words.values()])
    by_hand = np.array([sample.by_hand / SLOPE for sample in samples])
    found: Array = design(samples, list(fitted.words)) @ parameters + fitted.intercept + by_hand
    return found


def points_of(samples: Sequence[Sample], roots: Sequence[int], folds: Sequence[int]) -> Weights:
    """The fit over all samples, in points: where the high band begins comes from a cross-validation by cluster."""
    unseen = np.zeros(len(samples))
    for fold in sorted(set(folds)):
        learn, judge = ([n for n, f in enumerate(folds) if (f == fold) is side] for side in (False, True))
        fitted = fit([samples[n] for n in learn], [roots[n] for n in learn])
        unseen[judge] = log_odds(fitted, [samples[n] for n in judge])
    firsts = representatives(samples, roots)

    of = {group: unseen[[n for n in firsts if samples[n].group == group]] for group in HIGH_SHARES}
    high = max(float(np.quantile(of[group], 1 - share)) for group, share in HIGH_SHARES.items())
    fitted = fit(samples, roots)
    return Weights(
        round(HIGH_FROM + SLOPE * (fitted.intercept - high), 3),
        {code: round(SLOPE * weight, 3) for code, weight in fitted.rules.items() if round(SLOPE * weight, 3)},
        {word: round(SLOPE * weight, 2) for word, weight in fitted.words.items() if round(SLOPE * weight, 2)},
    )


def representatives(samples: Sequence[Sample], roots: Sequence[int]) -> list[int]:
    """The first mail of each cluster, group by group."""
    firsts: dict[tuple[int, str], int] = {}
    for number, (root, sample) in enumerate(zip(roots, samples, strict=True)):
        firsts.setdefault((root, sample.group), number)
    return sorted(firsts.values())


def judge(weights: Weights, samples: Sequence[Sample]) -> Judged:
    """Score mails as ``assess`` does, by content alone."""
    scores: dict[str, list[float]] = {group: [] for group in GROUPS}
    for sample in samples:
        scores[sample.group].append(assess_with(weights, sample.message).content)
    return Judged({group: np.array(found) for group, found in scores.items()})


# ---- the page and the command ------------------------------------------------------------------------------------


def counts_table(samples: Sequence[Sample], roots: Sequence[int], folds: Sequence[int]) -> str:
    """How many mails and clusters there are."""

    def row(group: str) -> str:
        numbers = [n for n, sample in enumerate(samples) if sample.group == group]
        learned, held = (len({roots[n] for n in numbers if (folds[n] < 7) is side}) for side in (True, False))
        return f"| {group} | {len(numbers):,} | {learned + held:,} | {learned:,} | {held:,} |"

    return table("| group | mails | clusters | learned from | held out |", map(row, GROUPS))


def main() -> int:
    """Fit, judge, write; or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; compare the stored weights with the fit")
    options = parser.parse_args()
    samples = read_corpus(options.corpora)
    roots = clusters(samples)
    folds = fold_of(samples, roots)
    learn = [n for n, fold in enumerate(folds) if fold < 7]
    weights = points_of([samples[n] for n in learn], [roots[n] for n in learn], [folds[n] for n in learn])
    firsts = representatives(samples, roots)
    by_group = {group: [samples[n].message for n in firsts if samples[n].group == group] for group in GROUPS}
    judged = judge(weights, [samples[n] for n in firsts if folds[n] >= 7])
    modern = [message for _, message in modern_templates(options.corpora)]
    tables = {
        "counts": counts_table(samples, roots, folds),
        "figures": figures_table(judged),
        "bands": bands_table(judged, np.array([assess_with(weights, message).content for message in modern])),
        "rules": rules_table(weights, by_group | {"modern": modern}),
        "words": words_table(weights),
        "sender": sender_table(),
    }
    sys.stdout.write("\n\n".join([*tables.values(), f"baseline {weights.baseline}"]) + "\n")
    document = {
        "baseline": weights.baseline,
        "held_out": {name: round(value, 4) for name, (value, _, _) in judged.figures().items()},
        "rules": weights.rules,
        "words": weights.words,
    }
    text = json.dumps(document, indent=0, sort_keys=True) + "\n"
    if options.check:
        return int(text != WEIGHTS.read_text("utf-8"))
    WEIGHTS.write_text(text, "utf-8")
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), tables), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
