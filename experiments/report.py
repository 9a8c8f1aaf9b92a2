"""A decision as a document, and the export from which anybody can compute it again."""

from collections.abc import Sequence
from typing import Any

from experiments.decision import Pair, decide_looks
from experiments.guard_rails import RailFinding
from experiments.observations import RULE_VERSION, Look, VariantCount
from experiments.reading import posteriors, two_proportions
from experiments.request import Experiment

EXPORT_FORMAT = "postwright-experiment/1"
DRAW_RULE = (
    "bucket = the first 8 octets of SHA-256(seed, zero octet, address key in UTF-8) as an unsigned integer, most"
    " significant octet first, halved and rounded down; sort by (bucket, address key); the first sizes[0] people get"
    " the first variant, the next sizes[1] the second, and so on"
)


def report(experiment: Experiment) -> dict[str, Any]:
    """The verdict with the figures to read beside it, in plain JSON values.

    ``z`` and ``p`` (of the ordinary test) and ``interval`` (always valid) of the second variant minus the first stand
    at the top for a test of two; ``pairs`` has them for any number.
    """
    decision = decide_looks(experiment.looks, experiment.rules)
    look, verdict = experiment.looks[decision.look], decision.verdict
    pairs = _pair_documents(look, verdict.pairs, upper=False)
    is_bounded = look.is_bounded
    only = pairs[0] if len(pairs) == 1 else {"z": None, "p": None, "interval": None}
    return {
        "metric": experiment.metric.value,
        "mode": experiment.rules.mode.value,
        "verdict": verdict.answer.value,
        "winner": verdict.winner,
        "cause": verdict.cause.value,
        "sentence": verdict.sentence,
        "z": only["z"],
        "p": only["p"],
        "interval": only["interval"],
        "alpha": experiment.rules.alpha,
        "margin": verdict.margin,
        "contenders": list(verdict.contenders),
        "variants": _variant_readings(look),
        "pairs": pairs,
        "pairs_at_upper_bound": _pair_documents(look, verdict.upper_pairs, upper=True) if is_bounded else None,
        "guard_rails": [_rail_document(one) for one in verdict.guard_rails],
        "sample_ratio": {
            "state": verdict.sample_ratio.state.value,
            "p": verdict.sample_ratio.p_value,
            "cause": verdict.sample_ratio.cause,
        },
        "look": {"index": decision.look, "hours": look.hours, "later_looks": decision.later},
        "rule_version": RULE_VERSION,
    }


def export(experiment: Experiment) -> dict[str, Any]:
    """Everything: seed, sizes, rules, every look's counts, and the result; a valid input of ``read_experiment``."""
    rules = experiment.rules
    return {
        "format": EXPORT_FORMAT,
        "rule_version": RULE_VERSION,
        "metric": experiment.metric.value,
        "mode": rules.mode.value,
        "seed": experiment.seed,
        "sizes": list(experiment.sizes) if experiment.sizes else None,
        "draw": DRAW_RULE,
        "rules": {
            "alpha": rules.alpha,
            "margin": rules.margin,
            "information": rules.information,
            "guard_alpha": rules.guard_alpha,
        },
        "looks": [
            {"hours": look.hours, "variants": [_variant_document(one) for one in look.variants]}
            for look in experiment.looks
        ],
        "result": report(experiment),
    }


def _variant_readings(look: Look) -> list[dict[str, Any]]:
    counts = [one.at(upper=False) for one in look.variants]
    return [
        {
            **_variant_document(one),
            "rate": counted.rate,
            "rate_interval": [found.low, found.high],
            "p_best": found.best,
            "expected_loss": found.loss,
        }
        for one, counted, found in zip(look.variants, counts, posteriors(counts), strict=True)
    ]


def _pair_documents(look: Look, pairs: Sequence[Pair], *, upper: bool) -> list[dict[str, Any]]:
    counts = {one.name: one.at(upper) for one in look.variants}
    found = []
    for pair in pairs:
        ordinary = two_proportions(counts[pair.first], counts[pair.second])
        found.append(
            {
                "first": pair.first,
                "second": pair.second,
                "difference": pair.difference.estimate,
                "interval": [pair.difference.low, pair.difference.high],
                "always_valid_p": pair.difference.p_value,
                "holm_p": pair.adjusted_p,
                "z": ordinary.z,
                "p": ordinary.p_value,
            }
        )
    return found


def _rail_document(one: RailFinding) -> dict[str, Any]:
    return {
        "rail": one.rail,
        "variant": one.variant,
        "other": one.other,
        "rate": one.rate,
        "other_rate": one.other_rate,
        "p": one.p_value,
        "sentence": one.sentence,
    }


def _variant_document(one: VariantCount) -> dict[str, Any]:
    counts = {
        "name": one.name,
        "recipients": one.recipients,
        "successes": one.successes,
        "successes_upper": one.successes_upper,
        "unsubscribes": one.unsubscribes,
        "complaints": one.complaints,
    }
    return {name: value for name, value in counts.items() if value is not None}
