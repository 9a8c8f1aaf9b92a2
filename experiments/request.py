"""An experiment's counts as they come from outside: a JSON document, checked to the last number.

``{"metric": "click", "variants": [{"name": "A", "successes": 100, "recipients": 1000}, ...]}``; instead of
``variants``, ``looks`` may hold several such lists in order of time (``[{"hours": 2, "variants": [...]}, ...]``).
Beside them, all optional: ``mode`` (``ab``, ``aa``), ``seed``, ``sizes`` (people drawn for each variant), and
``rules`` (``alpha``, ``margin``, ``information``, ``guard_alpha``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from experiments.allocation import MAX_VARIANTS, MIN_VARIANTS
from experiments.errors import ExperimentSyntaxError
from experiments.observations import Look, Mode, Rules, VariantCount

MAX_COUNT = 10**10
MAX_LOOKS = 10_000
MAX_NAME = 100
MAX_SEED = 200
_FIELDS = {"metric", "variants", "looks", "mode", "seed", "sizes", "rules"}
_EXPORTED = {"format", "rule_version", "draw", "result"}
"""What an export has besides: it may be judged again, and then these are computed anew."""
_VARIANT_FIELDS = {"name", "recipients", "successes", "successes_upper", "unsubscribes", "complaints"}
_RULE_RANGES = {
    "alpha": (0.0001, 0.5),
    "margin": (0.0001, 10.0),
    "information": (1.0, 1e9),
    "guard_alpha": (0.0001, 0.5),
}


class Metric(StrEnum):
    """What counts as a success. ``open`` is known in bounds alone: machines open too, and pictures are blocked."""

    CLICK = "click"
    OPEN = "open"
    GOAL = "goal"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Counts over time and the rules to judge them by. ``sizes`` and ``seed`` make the draw that anybody can repeat."""

    metric: Metric
    looks: tuple[Look, ...]
    rules: Rules
    seed: str | None = None
    sizes: tuple[int, ...] | None = None


def parse_experiment(text: str) -> Experiment:
    """Read JSON; ``ExperimentSyntaxError`` names the place and the next step."""
    try:
        document = json.loads(text, object_pairs_hook=_no_twins)  # NaN is let in, to be refused at its place
    except RecursionError:
        raise ExperimentSyntaxError("", "The document is nested too deeply.", next_step=_SHAPE) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ExperimentSyntaxError(place, f"not JSON: {error.msg}.", next_step="Mend the JSON there.") from None
    except ValueError:  # a number of thousands of digits
        raise ExperimentSyntaxError("", "A number is too long.", next_step="Counts are whole numbers.") from None
    return read_experiment(document)


def read_experiment(document: object) -> Experiment:
    """Read a decoded document; ``ExperimentSyntaxError`` names the place and the next step."""
    if not isinstance(document, Mapping):
        raise ExperimentSyntaxError("", "The document is not an object.", next_step=_SHAPE)
    _no_others(document, _FIELDS | _EXPORTED, "")
    metric = _one_of(Metric, document.get("metric", Metric.CLICK), "metric")
    looks = _looks(document)
    count = len(looks[0].variants)
    sizes = None if document.get("sizes") is None else _sizes(document["sizes"], count)
    mode = _one_of(Mode, document.get("mode", Mode.AB), "mode")
    seed = document.get("seed")
    if seed is not None and not (isinstance(seed, str) and 0 < len(seed) <= MAX_SEED and seed.isprintable()):
        raise ExperimentSyntaxError(
            "seed", f"not a printable text of 1 to {MAX_SEED} characters.", next_step="Give the draw's seed."
        )
    rules = _rules({} if document.get("rules") is None else document["rules"], mode, sizes)
    return Experiment(metric, looks, rules, seed, sizes)


_SHAPE = (
    'Give {"metric": "click", "variants": [{"name": "A", "successes": 100, "recipients": 1000},'
    ' {"name": "B", "successes": 120, "recipients": 1000}]}.'
)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ExperimentSyntaxError(twin, "is given twice in one object.", next_step="Keep one of the two.")
    return found


def _looks(document: Mapping[str, Any]) -> tuple[Look, ...]:
    has_variants, given = document.get("variants") is not None, document.get("looks")
    if given is None:
        return (Look(_variants(document.get("variants"), "variants")),)
    if has_variants:
        raise ExperimentSyntaxError(
            "looks", "is given beside variants.", next_step="Give either: the last of the looks is the present."
        )
    if not isinstance(given, Sequence) or isinstance(given, str) or not 1 <= len(given) <= MAX_LOOKS:
        raise ExperimentSyntaxError("looks", f"not a list of 1 to {MAX_LOOKS:,} looks.", next_step=_SHAPE)
    looks = tuple(_look(one, f"looks[{number}]") for number, one in enumerate(given))
    for number in range(1, len(looks)):
        _check_order(looks[number - 1], looks[number], f"looks[{number}]")
    return looks


def _look(given: object, path: str) -> Look:
    if not isinstance(given, Mapping):
        raise ExperimentSyntaxError(path, "not an object.", next_step='Give {"hours": 2, "variants": [...]}.')
    _no_others(given, {"hours", "variants"}, path)
    hours = given.get("hours")
    if hours is not None:
        hours = _number(hours, f"{path}.hours", (0.0, 1e6))
    return Look(_variants(given.get("variants"), f"{path}.variants"), hours)


def _check_order(before: Look, after: Look, path: str) -> None:
    """Later looks have the same variants, and counts only rise."""
    if [one.name for one in before.variants] != [one.name for one in after.variants]:
        raise ExperimentSyntaxError(
            f"{path}.variants", "not the variants of the look before.", next_step="Keep names and order over all looks."
        )
    if before.hours is not None and after.hours is not None and after.hours < before.hours:
        raise ExperimentSyntaxError(f"{path}.hours", "before the look before it.", next_step="Order looks by time.")
    for number, (old, new) in enumerate(zip(before.variants, after.variants, strict=True)):
        for field in ("recipients", "successes", "unsubscribes", "complaints"):
            earlier, later = getattr(old, field), getattr(new, field)
            if earlier is not None and later is not None and later < earlier:
                raise ExperimentSyntaxError(
                    f"{path}.variants[{number}].{field}",
                    f"{later:,}, and {earlier:,} at the look before.",
                    next_step="Counts are totals so far, so they only rise; order looks by time.",
                )


def _variants(given: object, path: str) -> tuple[VariantCount, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ExperimentSyntaxError(path, "not a list of variants.", next_step=_SHAPE)
    if not MIN_VARIANTS <= len(given) <= MAX_VARIANTS:
        raise ExperimentSyntaxError(
            path, f"{len(given)} variants; a test has two to five.", next_step="Add or take away variants."
        )
    variants = tuple(_variant(one, f"{path}[{number}]") for number, one in enumerate(given))
    names: set[str] = set()
    for number, one in enumerate(variants):
        if one.name in names:
            raise ExperimentSyntaxError(
                f"{path}[{number}].name", f"{one.name!r} is there already.", next_step="Give each variant its own name."
            )
        names.add(one.name)
    return variants


def _variant(given: object, path: str) -> VariantCount:
    if not isinstance(given, Mapping):
        raise ExperimentSyntaxError(path, "not an object.", next_step=_SHAPE)
    _no_others(given, _VARIANT_FIELDS, path)
    name = given.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise ExperimentSyntaxError(
            f"{path}.name", f"not a printable text of 1 to {MAX_NAME} characters.", next_step="Give the variant a name."
        )
    recipients = _count(given.get("recipients"), f"{path}.recipients", None)
    counts = {"successes": _count(given.get("successes"), f"{path}.successes", recipients)}
    optional = {
        field: _count(given[field], f"{path}.{field}", recipients)
        for field in ("successes_upper", "unsubscribes", "complaints")
        if given.get(field) is not None
    }
    upper = optional.get("successes_upper")
    if upper is not None and upper < counts["successes"]:
        raise ExperimentSyntaxError(
            f"{path}.successes_upper", f"{upper:,} is below successes.", next_step="It is the upper bound of successes."
        )
    return VariantCount(name, recipients, counts["successes"], **optional)


def _count(given: object, path: str, most: int | None) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MAX_COUNT:
        shown = "is missing" if given is None else "is not a whole number from 0 to 10,000,000,000"
        raise ExperimentSyntaxError(path, f"{shown}.", next_step="Count people: 0, 1, 2, ...")
    if most is not None and given > most:
        raise ExperimentSyntaxError(
            path, f"{given:,} of {most:,} recipients.", next_step="Count each person once, however often they acted."
        )
    return given


def _sizes(given: object, count: int) -> tuple[int, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != count:
        raise ExperimentSyntaxError("sizes", "not one number for each variant.", next_step="Give the people drawn.")
    sizes = tuple(_count(one, f"sizes[{number}]", None) for number, one in enumerate(given))
    if 0 in sizes:
        raise ExperimentSyntaxError(
            f"sizes[{sizes.index(0)}]", "nobody was drawn.", next_step="Take away the variant, or draw people for it."
        )
    return sizes


def _rules(given: object, mode: Mode, sizes: tuple[int, ...] | None) -> Rules:
    if not isinstance(given, Mapping):
        raise ExperimentSyntaxError("rules", "not an object.", next_step='Give for instance {"alpha": 0.05}.')
    _no_others(given, set(_RULE_RANGES), "rules")
    values = {
        name: _number(given[name], f"rules.{name}", limits)
        for name, limits in _RULE_RANGES.items()
        if given.get(name) is not None
    }
    return Rules(**values, mode=mode, planned_sizes=sizes)


def _number(given: object, path: str, limits: tuple[float, float]) -> float:
    low, high = limits
    if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
        raise ExperimentSyntaxError(
            path, f"not a number from {low:g} to {high:g}.", next_step="Give a plain number; shares are fractions."
        )
    return float(given)


def _one_of(kind: Any, given: object, path: str) -> Any:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(kind)
        raise ExperimentSyntaxError(path, f"{given!r:.40} is not known.", next_step=f"One of: {known}.") from None


def _no_others(given: Mapping[str, Any], known: set[str], path: str) -> None:
    for name in given:
        if name not in known:
            where = f"{path}.{name}" if path else str(name)
            raise ExperimentSyntaxError(
                where[:120], "there is no such field.", next_step=f"Known are: {', '.join(sorted(known))}."
            )
