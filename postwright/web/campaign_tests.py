"""A campaign's test as its page shows it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.store.experiments import StoredExperiment
from postwright.web.language import N_, Texts

_STATES: Final = Texts(
    {
        "drawing": N_("The sample is being drawn."),
        "assigning": N_("The sample is being drawn."),
        "testing": N_("The sample is out; it is counted every minute."),
        "asking": N_("Decide what the rest gets."),
        "releasing": N_("Decided; the rest is being sent."),
        "finished": N_("Decided."),
    }
)


def shown_test(found: StoredExperiment, *, may_choose: bool) -> dict[str, Any]:
    """What stands where, who leads or won, and whether a person may choose now."""
    draft = ExperimentDraft.from_json(json.dumps(json.loads(found.terms)["draft"]))
    verdict = json.loads(found.verdict)
    counted: dict[str, Mapping[str, Any]] = {one["name"]: one for one in verdict.get("look", [])}
    return {
        "state": _STATES.get(found.state, found.state),
        "sentence": verdict.get("sentence", ""),
        "deadline": found.deadline if found.state in {"testing", "asking"} else None,
        "may_choose": may_choose and found.state in {"testing", "asking"},
        "variants": [
            _variant(one, counted.get(one.name, {}), is_winner=number == found.winner)
            for number, one in enumerate(draft.variants)
        ],
    }


def _variant(draft: VariantDraft, counted: Mapping[str, Any], *, is_winner: bool) -> dict[str, Any]:
    lower = counted.get("successes", 0)
    upper = counted.get("successes_upper")
    return {
        "name": draft.name,
        "what": draft.subject or draft.preheader or draft.from_name or "",
        "is_winner": is_winner,
        "recipients": counted.get("recipients", 0),
        "lower": lower,
        "upper": lower if upper is None else upper,
    }
