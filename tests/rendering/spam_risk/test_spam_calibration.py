"""The stored weights are what the fit yields, and the published figures hold on clusters that it has not seen."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from rendering.spam_risk import MEDIUM_FROM, assess
from rendering.spam_risk.rules import the_weights

ROOT = Path(__file__).parents[3]


class Corpus(NamedTuple):
    fit: ModuleType
    figures: ModuleType
    samples: list[Any]
    roots: list[int]
    folds: list[int]


@pytest.fixture(scope="module")
def corpora(shared: Path) -> Path:
    return shared / "corpora"


@pytest.fixture(scope="module")
def corpus(corpora: Path) -> Iterator[Corpus]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        fit = importlib.import_module("fit_spam_risk")
        samples = fit.read_corpus(corpora)
        roots = fit.clusters(samples)
        figures = importlib.import_module("spam_risk_figures")
        yield Corpus(fit, figures, samples, roots, fit.fold_of(samples, roots))


def test_the_stored_weights_are_what_the_fit_yields(corpus: Corpus) -> None:
    learn = [number for number, fold in enumerate(corpus.folds) if fold < 7]
    fitted = corpus.fit.fit([corpus.samples[n] for n in learn], [corpus.roots[n] for n in learn])
    stored, slope = the_weights(), corpus.fit.SLOPE
    for code, weight in fitted.rules.items():
        assert stored.rules.get(code, 0.0) == pytest.approx(slope * weight, abs=0.02), code
    assert set(stored.words) <= set(fitted.words)
    for word, weight in fitted.words.items():
        assert stored.words.get(word, 0.0) == pytest.approx(slope * weight, abs=0.03), word


def test_no_near_duplicate_is_on_both_sides(corpus: Corpus) -> None:
    sides: dict[int, set[bool]] = {}
    for root, fold in zip(corpus.roots, corpus.folds, strict=True):
        sides.setdefault(root, set()).add(fold < 7)
    assert all(len(found) == 1 for found in sides.values())
    assert len(sides) < len(corpus.samples)
    texts: dict[str, int] = {}
    for sample, root in zip(corpus.samples, corpus.roots, strict=True):
        if len(sample.shingles) > 20:
            text = " ".join(sorted(map(str, sample.shingles)))
            assert texts.setdefault(text, root) == root


def test_the_published_figures_hold_on_unseen_clusters(corpus: Corpus) -> None:
    firsts = corpus.fit.representatives(corpus.samples, corpus.roots)
    held_out = [corpus.samples[n] for n in firsts if corpus.folds[n] >= 7]
    judged = corpus.fit.judge(the_weights(), held_out[::2])
    area = corpus.figures.area_under_curve(judged.scores["spam"], judged.ham)
    flagged = corpus.figures.flagged(judged.scores["spam"], judged.scores["ordinary"])
    page = (ROOT / "docs" / "spam-risk.md").read_text("utf-8")
    published = [
        float(found) for found in re.findall(r"^\| (?:AUC, spam against all|spam flagged).*?\| (0\.\d+)", page, re.M)
    ]
    assert [area, flagged] == pytest.approx(published, abs=0.06)
    assert area >= 0.95
    assert flagged >= 0.6
    newsletters = judged.scores["newsletter"]
    assert len(newsletters) >= 15
    assert (newsletters >= 6).sum() <= 1


def test_modern_templates_are_not_even_medium(corpus: Corpus, corpora: Path) -> None:
    templates = corpus.fit.modern_templates(corpora)
    assert len(templates) >= 30
    assert not [name for name, message in templates if assess(message).content >= MEDIUM_FROM]


def test_the_area_under_the_curve_counts_ties_half() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        figures = importlib.import_module("spam_risk_figures")
    assert figures.area_under_curve(np.array([3.0, 1.0]), np.array([1.0, 0.0])) == 0.875
    assert figures.flagged(np.array([5.0, 1.0]), np.arange(200) / 100) == 0.5
