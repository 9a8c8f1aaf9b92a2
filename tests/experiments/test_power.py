import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.confidence_sequence import best_ratio, multiplier
from experiments.crossing import drift_for, found_by_end
from experiments.errors import ExperimentSyntaxError
from experiments.power import Terms, detectable_lift, plan_sample

KNOWN = [(0.02, 0.2, 21_108), (0.02, 0.5, 3_825), (0.05, 0.2, 8_158), (0.2, 0.1, 6_509)]
"""Textbook sizes for 80 % power at 5 %."""


@pytest.mark.parametrize(("baseline", "lift", "size"), KNOWN)
def test_one_look_is_the_textbook(baseline: float, lift: float, size: int) -> None:
    plan = plan_sample(baseline, lift)
    assert plan.one_look == size
    assert 1.6 < plan.price < 2
    assert plan.people == 2 * plan.any_look


@settings(max_examples=12, deadline=None)
@given(st.floats(0.005, 0.5), st.floats(0.05, 0.8), st.sampled_from([0.8, 0.95]))
def test_the_least_lift_is_the_inverse_of_the_size(baseline: float, lift: float, power: float) -> None:
    terms = Terms(power=power)
    each = plan_sample(baseline, lift, terms).any_look
    assert detectable_lift(baseline, each, terms) == pytest.approx(lift, rel=0.02 + 2 / each)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.005, 0.4), st.floats(0.05, 0.8))
def test_harder_questions_take_more_people(baseline: float, lift: float) -> None:
    plain = plan_sample(baseline, lift)
    assert plan_sample(baseline, lift / 2).any_look > plain.any_look
    assert plan_sample(baseline, lift, Terms(power=0.95)).any_look > plain.any_look
    assert plan_sample(baseline, lift, Terms(alpha=0.01)).any_look > plain.any_look
    assert plan_sample(baseline, lift, Terms(variants=3)).any_look > plain.any_look
    assert plan_sample(baseline, lift, Terms(looks=1)).any_look >= plain.any_look > plain.one_look


def test_a_list_that_is_too_small_for_anything() -> None:
    assert detectable_lift(0.02, 3) is None
    assert detectable_lift(0.999999, 100) is None


def test_one_look_of_the_sequence_has_a_closed_form() -> None:
    alpha, drift = 0.05, 3.5
    bound = multiplier(best_ratio(alpha), 1.0, alpha)
    assert found_by_end(drift, alpha, 1) == pytest.approx(0.5 * math.erfc((bound - drift) / math.sqrt(2)), abs=1e-4)


def test_the_multiplier_is_least_at_the_planned_end() -> None:
    ratio = best_ratio(0.05)
    least = multiplier(ratio, 1.0, 0.05)
    assert all(multiplier(ratio * factor, 1.0, 0.05) > least for factor in (0.5, 0.9, 1.1, 2))
    assert least == pytest.approx(3.035, abs=0.001)


def test_the_drift_has_the_power() -> None:
    assert found_by_end(drift_for(0.05, 0.8, 20), 0.05, 20) == pytest.approx(0.8, abs=1e-3)
    assert found_by_end(0.0, 0.05, 20) < 0.025  # no drift: a false winner on one side


def test_rules_of_a_plan() -> None:
    plan = plan_sample(0.02, -0.2)
    rules = plan.rules((100, 100))
    assert rules.margin == 0.2
    assert rules.planned_sizes == (100, 100)
    assert rules.information == pytest.approx(plan.any_look / 2 * 0.018 / 0.982, rel=0.01)


@pytest.mark.parametrize("baseline", [0, 1, -0.1, 2, math.nan, math.inf])
def test_bad_baselines(baseline: float) -> None:
    with pytest.raises(ExperimentSyntaxError, match="baseline") as caught:
        plan_sample(baseline, 0.2)
    assert "0.02" in caught.value.next_step
    with pytest.raises(ExperimentSyntaxError, match="baseline"):
        detectable_lift(baseline, 100)


@pytest.mark.parametrize("lift", [0, -1, -2, 49, 1000, math.nan, math.inf, 1e-14, 1e-9])
def test_bad_lifts(lift: float) -> None:
    with pytest.raises(ExperimentSyntaxError, match="lift"):
        plan_sample(0.02, lift)


@pytest.mark.parametrize(
    "bad",
    [{"alpha": 0}, {"alpha": 0.9}, {"power": 1}, {"power": math.nan}, {"variants": 1}, {"variants": 6}, {"looks": 0}],
)
def test_bad_terms(bad: dict[str, float]) -> None:
    with pytest.raises(ExperimentSyntaxError, match=next(iter(bad))):
        Terms(**bad)


def test_importing_is_light() -> None:
    """Processes that only draw lots do not load the libraries of statistics."""
    code = (
        "import sys, experiments.allocation, experiments.decision, experiments.resolution, experiments.power,"
        " experiments.report, experiments.best_hours;"
        "print([name for name in ('numpy', 'scipy', 'statsmodels', 'pandas') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == "[]"
