"""A ramp's state and decisions as JSON documents, for the store, the API and the event log."""

from dataclasses import asdict
from datetime import date
from typing import Any

from mailtypes.errors import InputSyntaxError
from warmup.feedback import Action, Evidence, Measure, Tally
from warmup.ramp import Cause, Decision, Phase, WarmUp


class WarmUpDocumentSyntaxError(InputSyntaxError):
    """A stored state that cannot be read."""


def state_document(warm_up: WarmUp) -> dict[str, Any]:
    """``warm_up`` in JSON's terms; :func:`read_state` reads it back."""
    document = asdict(warm_up)
    for name in ("since", "judged_through", "spent_through"):
        document[name] = document[name].isoformat() if document[name] else None
    document["step_backs"] = [day.isoformat() for day in warm_up.step_backs]
    document["held_by"] = sorted(warm_up.held_by)
    document["phase"] = warm_up.phase.value
    return document


def read_state(document: dict[str, Any]) -> WarmUp:
    """The state that :func:`state_document` wrote; raises ``WarmUpDocumentSyntaxError``."""
    try:
        days = {name: _day(document[name]) for name in ("since", "judged_through", "spent_through")}
        rest = {
            "phase": Phase(document["phase"]),
            "step_backs": tuple(date.fromisoformat(day) for day in document["step_backs"]),
            "held_by": frozenset(document["held_by"]),
        }
        return WarmUp(**{**document, **days, **rest})
    except (KeyError, TypeError, ValueError) as error:
        raise WarmUpDocumentSyntaxError(
            f"not the state of a warm-up: {error}", source=str(document)[:1000], next_step="Set the level anew."
        ) from None


def decision_document(decision: Decision) -> dict[str, Any]:
    """``decision`` in JSON's terms, with its sentence."""
    return {
        "day": decision.day.isoformat(),
        "provider": decision.provider,
        "action": decision.action.value,
        "cause": decision.cause.value,
        "from_level": decision.from_level,
        "to_level": decision.to_level,
        "from_cap": decision.from_cap,
        "to_cap": decision.to_cap,
        "phase": decision.phase.value,
        "alarm": decision.alarm,
        "note": decision.note,
        "unknown": [measure.value for measure in decision.unknown],
        "evidence": [
            {
                "rule": one.rule,
                "measure": one.measure.value,
                "events": one.tally.events,
                "trials": one.tally.trials,
                "figure": one.tally.figure,
                "rate": one.tally.rate,
                "surely_at_least": one.surely,
                "threshold": one.threshold,
                "confidence": one.confidence,
                "first_day": one.first_day.isoformat(),
                "last_day": one.last_day.isoformat(),
                "fired": one.fired,
                "sentence": one.sentence(),
            }
            for one in decision.evidence
        ],
        "sentence": decision.sentence(),
    }


def read_decision(document: dict[str, Any]) -> Decision:
    """The decision that :func:`decision_document` wrote, so that it can be said anew."""
    levels = {name: document[name] for name in ("from_level", "to_level", "from_cap", "to_cap", "alarm", "note")}
    return Decision(
        day=date.fromisoformat(document["day"]),
        provider=document["provider"],
        action=Action(document["action"]),
        cause=Cause(document["cause"]),
        phase=Phase(document["phase"]),
        evidence=tuple(_read_evidence(one) for one in document["evidence"]),
        unknown=tuple(Measure(name) for name in document["unknown"]),
        **levels,
    )


def _read_evidence(document: dict[str, Any]) -> Evidence:
    return Evidence(
        document["rule"],
        Measure(document["measure"]),
        Tally(document["events"], document["trials"], document["figure"]),
        document["threshold"],
        document["confidence"],
        date.fromisoformat(document["first_day"]),
        date.fromisoformat(document["last_day"]),
        document["fired"],
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
