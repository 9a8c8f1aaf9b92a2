"""What a campaign tests: read from its draft, frozen with its run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from experiments.allocation import MAX_VARIANTS, MIN_VARIANTS
from experiments.confidence_sequence import DEFAULT_ALPHA, DEFAULT_INFORMATION
from experiments.observations import DEFAULT_MARGIN, Mode, Rules
from experiments.request import Metric
from experiments.resolution import AtDeadline, OnWinner, Policy
from mailtypes.clock import Microseconds, microseconds
from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError

_LONGEST_WAIT = 14 * 24
_LONGEST_SEED = 100
_NAMES = "ABCDE"
_VARIED = {
    "subject": "subject",
    "preheader": "preheader",
    "sender name": "from_name",
    "content": "template_id",
    "hour": "hour",
}


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """One variant: what is given differs from the campaign's own. ``hour`` is of the day, in the plan's zone."""

    name: str
    subject: str | None = None
    preheader: str | None = None
    from_name: str | None = None
    template_id: int | None = None
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class ExperimentDraft:
    """What is tested, on which share of the audience, and what happens then. ``wait`` and ``earliest`` in hours.

    ``metric`` is click, open or goal; ``default`` the number of the variant that goes out where none is better.
    ``seed`` draws the same sample of the same audience again; ``None``: one is made at random when the run begins.
    """

    variants: tuple[VariantDraft, ...]
    share: float = 0.2
    metric: str = "click"
    wait: float = 24.0
    earliest: float = 1.0
    default: int = 0
    on_winner: str = "send"
    at_deadline: str = "send_default"
    mode: str = "ab"
    alpha: float = DEFAULT_ALPHA
    margin: float = DEFAULT_MARGIN
    seed: str | None = None

    @property
    def varied(self) -> tuple[str, ...]:
        """Which things differ: one is best, or nobody knows what made the difference."""
        return tuple(name for name, field in _VARIED.items() if len({getattr(one, field) for one in self.variants}) > 1)

    def as_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, written: str) -> "ExperimentDraft":
        """What ``as_json`` wrote."""
        found = json.loads(written)
        return cls(**{**found, "variants": tuple(VariantDraft(**one) for one in found["variants"])})

    def rules(self) -> Rules:
        """How it is decided. The sizes are told only once the whole sample is out."""
        return Rules(alpha=self.alpha, margin=self.margin, information=DEFAULT_INFORMATION, mode=Mode(self.mode))

    def policy(self, started_at: int) -> Policy:
        """What follows from a decision."""
        earliest = Microseconds(started_at + microseconds(timedelta(hours=self.earliest)))
        default = self.variants[self.default].name
        return Policy(default, OnWinner(self.on_winner), AtDeadline(self.at_deadline), earliest)

    def number_of(self, name: str) -> int:
        """The number of the variant of that name."""
        return next(number for number, one in enumerate(self.variants) if one.name == name)


def check_experiment(draft: ExperimentDraft) -> None:
    """Raise ``RefusedError`` naming everything that is wrong."""
    problems = [*_variant_problems(draft.variants), *_number_problems(draft)]
    if not problems and draft.mode == "ab" and not draft.varied:
        problems.append(
            _problem("variants", say("All variants are the same."), say("Change one thing, or choose the mode aa."))
        )
    if not problems and draft.mode == "aa" and draft.varied:
        problems.append(
            _problem("variants", say("In an A/A test all variants are the same."), say("Leave them as they are."))
        )
    if problems:
        raise RefusedError.of(problems)


def _variant_problems(variants: Sequence[VariantDraft]) -> list[Problem]:
    found: list[Problem] = []
    if not MIN_VARIANTS <= len(variants) <= MAX_VARIANTS:
        sentence = say(
            "A test has %(min_variants)s to %(max_variants)s variants, not %(count)s.",
            min_variants=MIN_VARIANTS,
            max_variants=MAX_VARIANTS,
            count=len(variants),
        )
        found.append(_problem("variants", sentence, say("Add or take away variants.")))
    names = [one.name for one in variants]
    if len(set(names)) < len(names) or not all(name.strip() and len(name) <= 50 for name in names):
        found.append(
            _problem(
                "variants",
                say("Each variant has a name of its own."),
                say("Call them %(names)s.", names=", ".join(_NAMES)),
            )
        )
    for number, one in enumerate(variants):
        for field in ("subject", "preheader", "from_name"):
            value = getattr(one, field)
            if value is not None and any(not character.isprintable() for character in value):
                sentence = say("A line break or control character cannot stand in a header.")
                found.append(_problem(f"variants.{number}.{field}", sentence, say("Remove it.")))
        if one.hour is not None and not 0 <= one.hour <= 23:
            found.append(
                _problem(f"variants.{number}.hour", say("An hour is 0 to 23."), say("Give the hour of the day."))
            )
    return found


def _number_problems(draft: ExperimentDraft) -> list[Problem]:
    checks: Mapping[str, tuple[bool, str]] = {
        "share": (0 < draft.share <= 1, say("The share of the audience is above 0 and at most 1.")),
        "wait": (
            0 < draft.wait <= _LONGEST_WAIT,
            say("The wait is up to %(longest_wait)s hours.", longest_wait=_LONGEST_WAIT),
        ),
        "earliest": (0 <= draft.earliest <= draft.wait, say("The earliest decision is not after the wait.")),
        "default": (0 <= draft.default < len(draft.variants), say("The default is the number of a variant, from 0.")),
        "metric": (
            draft.metric in {str(one) for one in Metric},
            say("The metric is one of %(known)s.", known=", ".join(Metric)),
        ),
        "on_winner": (draft.on_winner in set(OnWinner), say("Take one of %(known)s.", known=", ".join(OnWinner))),
        "at_deadline": (
            draft.at_deadline in set(AtDeadline),
            say("Take one of %(known)s.", known=", ".join(AtDeadline)),
        ),
        "mode": (draft.mode in set(Mode), say("The mode is one of %(known)s.", known=", ".join(Mode))),
        "alpha": (0 < draft.alpha <= 0.2, say("alpha is above 0 and at most 0.2.")),
        "margin": (0 < draft.margin < 1, say("The margin is a share of the rate, above 0 and below 1.")),
        "seed": (
            draft.seed is None or _is_seed(draft.seed),
            say("A seed is 1 to %(longest_seed)s printable characters.", longest_seed=_LONGEST_SEED),
        ),
    }
    return [_problem(field, sentence, "") for field, (is_right, sentence) in checks.items() if not is_right]


def _is_seed(text: str) -> bool:
    return 1 <= len(text) <= _LONGEST_SEED and text.isprintable()


def _problem(field: str, sentence: str, next_step: str) -> Problem:
    return Problem("experiment", sentence, f"experiment.{field}", "", next_step)


def read_variants(given: Sequence[Mapping[str, Any]]) -> tuple[VariantDraft, ...]:
    """Variants as an API client writes them; those without a name are called A, B and so on."""
    names = [*_NAMES, *(str(number) for number in range(len(_NAMES), len(given)))]
    return tuple(VariantDraft(**{"name": names[number], **one}) for number, one in enumerate(given))
