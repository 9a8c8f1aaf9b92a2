import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.decision import Answer
from experiments.errors import ExperimentSyntaxError
from experiments.observations import Mode
from experiments.report import export, report
from experiments.request import Metric, parse_experiment, read_experiment

A = {"name": "A", "successes": 100, "recipients": 1000}
B = {"name": "B", "successes": 150, "recipients": 1000}


def document(**more: Any) -> dict[str, Any]:
    return {"metric": "click", "variants": [A, B], **more}


def variants(**change: Any) -> dict[str, Any]:
    return {"metric": "click", "variants": [A, {**B, **change}]}


def looks(*pairs: tuple[int, int], **more: Any) -> dict[str, Any]:
    return {"looks": [{**more, "variants": [{**A, "successes": one}, {**B, "successes": two}]} for one, two in pairs]}


@pytest.mark.parametrize(
    ("given_document", "path"),
    [
        ([], ""),
        (None, ""),
        ("text", ""),
        ({}, "variants"),
        (document(variants=[A]), "variants"),
        (document(variants=[{**A, "name": str(number)} for number in range(6)]), "variants"),
        (document(variants="AB"), "variants"),
        (document(variants=[A, 5]), "variants[1]"),
        (document(variants=[A, A]), "variants[1].name"),
        (variants(name=""), "variants[1].name"),
        (variants(name="  "), "variants[1].name"),
        (variants(name="x" * 101), "variants[1].name"),
        (variants(name="a\x1b[2J"), "variants[1].name"),
        (variants(name=7), "variants[1].name"),
        (variants(successes=1001), "variants[1].successes"),
        (variants(successes=-1), "variants[1].successes"),
        (variants(successes=1.5), "variants[1].successes"),
        (variants(successes=float("nan")), "variants[1].successes"),
        (variants(successes=float("inf")), "variants[1].successes"),
        (variants(successes="150"), "variants[1].successes"),
        (variants(successes=True), "variants[1].successes"),
        (variants(successes=None), "variants[1].successes"),
        (variants(recipients=10**11), "variants[1].recipients"),
        (variants(recipients=None), "variants[1].recipients"),
        (variants(successes_upper=149), "variants[1].successes_upper"),
        (variants(successes_upper=1001), "variants[1].successes_upper"),
        (variants(unsubscribes=1001), "variants[1].unsubscribes"),
        (variants(complaints=-1), "variants[1].complaints"),
        (variants(clicks=3), "variants[1].clicks"),
        (document(metric="love"), "metric"),
        (document(metric=["click"]), "metric"),
        (document(mode="abc"), "mode"),
        (document(color="red"), "color"),
        (document(seed=""), "seed"),
        (document(seed="a\0b"), "seed"),
        (document(seed=5), "seed"),
        (document(sizes=[1000]), "sizes"),
        (document(sizes=[1000, 0]), "sizes[1]"),
        (document(sizes=[1000, "x"]), "sizes[1]"),
        (document(rules=[]), "rules"),
        (document(rules=5), "rules"),
        (document(rules={"alpha": 0}), "rules.alpha"),
        (document(rules={"alpha": float("nan")}), "rules.alpha"),
        (document(rules={"margin": "big"}), "rules.margin"),
        (document(rules={"beta": 1}), "rules.beta"),
        (document(looks=[]), "looks"),
        ({"looks": []}, "looks"),
        ({"looks": "x"}, "looks"),
        ({"looks": [5]}, "looks[0]"),
        ({"looks": [{"variants": [A]}]}, "looks[0].variants"),
        (looks((1, 2), hours=-1), "looks[0].hours"),
        (looks((1, 2), place=1), "looks[0].place"),
        (looks((10, 20), (11, 19)), "looks[1].variants[1].successes"),
        ({"looks": [{"hours": 2, "variants": [A, B]}, {"hours": 1, "variants": [A, B]}]}, "looks[1].hours"),
        ({"looks": [{"variants": [A, B]}, {"variants": [B, A]}]}, "looks[1].variants"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(given_document: Any, path: str) -> None:
    with pytest.raises(ExperimentSyntaxError) as caught:
        read_experiment(given_document)
    assert caught.value.path == path
    assert caught.value.next_step
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"variants": ' + "9" * 5_000 + "}",
        '{"metric": "click", "metric": "open"}',
        '{"variants": [{"name": "A", "successes": 1e400, "recipients": 5}, {}]}',
        '{"variants": [{"name": "A", "successes": NaN, "recipients": 5}, {}]}',
        '{"variants": [{"name": "\\ud800", "successes": 1, "recipients": 5}, {}]}',
    ],
)
def test_texts_that_are_no_document(text: str) -> None:
    with pytest.raises(ExperimentSyntaxError) as caught:
        parse_experiment(text)
    assert caught.value.next_step


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["variants", "looks", "name", "successes", "recipients", "metric", "rules", "sizes", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_anything_is_an_experiment_or_refused_with_a_place(value: Any) -> None:
    with suppress(ExperimentSyntaxError):
        json.dumps(report(read_experiment(value)), allow_nan=False)


def test_the_contract() -> None:
    found = report(read_experiment(document()))
    assert found["verdict"] == "winner"
    assert found["winner"] == "B"
    assert (found["z"], found["p"]) == pytest.approx((3.380617, 0.000723233), rel=1e-5)
    low, high = found["interval"]
    assert 0 < low < 0.05 < high
    assert found["variants"][1]["p_best"] == pytest.approx(0.99964, abs=1e-4)
    assert found["variants"][0]["expected_loss"] == pytest.approx(0.0499, abs=1e-3)
    json.dumps(found, allow_nan=False)


def test_everything_that_may_be_given() -> None:
    experiment = read_experiment(
        {
            "metric": "open",
            "mode": "aa",
            "seed": "run-1",
            "sizes": [1000, 1000],
            "rules": {"alpha": 0.01, "margin": 0.1, "information": 50, "guard_alpha": 0.02},
            "looks": [
                {"hours": 1, "variants": [{**A, "successes_upper": 300}, B]},
                {"hours": 2.5, "variants": [{**A, "successes_upper": 300, "complaints": 2}, {**B, "unsubscribes": 1}]},
            ],
        }
    )
    assert experiment.metric is Metric.OPEN
    assert experiment.rules.mode is Mode.AA
    assert (experiment.rules.alpha, experiment.rules.information) == (0.01, 50)
    assert experiment.rules.planned_sizes == (1000, 1000)
    assert [one.hours for one in experiment.looks] == [1, 2.5]


counts = st.integers(0, 5_000).flatmap(
    lambda people: st.fixed_dictionaries(
        {"recipients": st.just(people), "successes": st.integers(0, people), "complaints": st.integers(0, people)}
    )
)


@settings(max_examples=20, deadline=None)
@given(st.lists(counts, min_size=2, max_size=5), st.sampled_from(list(Mode)))
def test_an_export_can_be_judged_again(rows: list[dict[str, int]], mode: Mode) -> None:
    given_document = {
        "mode": mode.value,
        "seed": "s",
        "sizes": [1] * len(rows),
        "variants": [{"name": f"v{number}", **row} for number, row in enumerate(rows)],
    }
    exported = export(read_experiment(given_document))
    text = json.dumps(exported, allow_nan=False)
    assert export(parse_experiment(text)) == exported
    assert exported["result"]["verdict"] in set(Answer)
    assert exported["seed"] == "s"


def test_looks_are_decided_once() -> None:
    found = report(read_experiment(looks((100, 150), (400, 400))))
    assert found["winner"] == "B"
    assert found["look"] == {"index": 0, "hours": None, "later_looks": 1}
    assert found["variants"][1]["successes"] == 150
