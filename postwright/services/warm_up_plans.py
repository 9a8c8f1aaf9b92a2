"""A warm-up's plan as a JSON document: what an admin orders, what is stored, what the API shows.

``{"preset": "postmark"}`` is enough. Other keys: ``table`` (``{"name", "daily_caps", "source"}``, in place of a
preset), ``first`` and ``ceiling`` (messages a day), ``providers`` (``{"google": {"first": 50, "ceiling": 20000}}``),
``hourly_share`` and ``reserve`` (fractions as text, ``"1/10"``), ``zone``, ``quiet`` (``[22, 7]``), ``weekend``
(``[5, 6]``), ``weekend_share`` (0 where only days are named), ``overflow``.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from warmup.plans import PRESETS, RampPlan
from warmup.rhythm import Rhythm
from warmup.terms import Overflow, ProviderTerms, WarmUpPlan, preset

_LONGEST = 100_000
_MOST_PROVIDERS = 200
_MOST_DAYS = 1_000
_MOST_A_DAY = 1_000_000_000
_KEYS: Final = (
    *("preset", "table", "first", "ceiling", "providers", "hourly_share", "reserve"),
    *("zone", "quiet", "weekend", "weekend_share", "overflow"),
)


class WarmUpPlanSyntaxError(InputSyntaxError):
    """A plan that cannot be followed; the message names the key."""


def plan_document(plan: WarmUpPlan) -> dict[str, Any]:
    """``plan`` in JSON's terms; :func:`read_plan` reads it back."""
    rhythm = plan.rhythm
    known = PRESETS.get(plan.ramp.name)
    ramp: dict[str, Any] = {"preset": plan.ramp.name}
    if known != plan.ramp:
        caps, source = list(plan.ramp.daily_caps), plan.ramp.source
        ramp = {"table": {"name": plan.ramp.name, "daily_caps": caps, "source": source}}
    return {
        **ramp,
        **_terms_document(plan.default),
        "providers": {name: _terms_document(terms) for name, terms in sorted(plan.providers.items())},
        "hourly_share": str(plan.hourly_share),
        "reserve": str(plan.reserve),
        "zone": rhythm.zone,
        "quiet": None if rhythm.quiet is None else list(rhythm.quiet),
        "weekend": sorted(rhythm.weekend),
        "weekend_share": rhythm.weekend_share,
        "overflow": plan.overflow.value,
    }


def _terms_document(terms: ProviderTerms) -> dict[str, int | None]:
    return {"first": terms.first, "ceiling": terms.ceiling}


def stored_plan(text: str) -> WarmUpPlan:
    """A plan as it is stored."""
    return read_plan(json.loads(text))


def read_plan(document: Mapping[str, Any]) -> WarmUpPlan:
    """The plan of a document; raises ``WarmUpPlanSyntaxError``, or ``RhythmSyntaxError`` for zone and hours."""
    strange = sorted(set(document) - set(_KEYS))
    if strange:
        raise WarmUpPlanSyntaxError(
            say("a plan has no key '%(key)s'", key=strange[0]),
            next_step=say("Known are %(keys)s.", keys=", ".join(_KEYS)),
        )
    place = "ramp"
    try:
        ramp = _ramp(document)
        place = "first, ceiling"
        default = _terms(document)
        place = "providers"
        providers = _providers(document.get("providers") or {})
        place = "zone, quiet, weekend, weekend_share"
        rhythm = _rhythm(document)
        place = "hourly_share, reserve, overflow"
        options: dict[str, Any] = {"default": default, "providers": providers, "rhythm": rhythm}
        given = (name for name in ("hourly_share", "reserve") if document.get(name) is not None)
        options |= {name: _share(document[name]) for name in given}
        if document.get("overflow"):
            options["overflow"] = Overflow(document["overflow"])
        if isinstance(ramp, str):
            return preset(ramp, **options)
        return WarmUpPlan(ramp, **options)
    except InputSyntaxError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise WarmUpPlanSyntaxError(
            say("%(place)s: %(error)s", place=place, error=error.args[0] if error.args else error),
            source=str(dict(document))[:1000],
            next_step=say('Write, for instance, {"preset": "postmark"}.'),
        ) from None


def _ramp(document: Mapping[str, Any]) -> RampPlan | str:
    """The name of a published schedule, or a table of one's own."""
    name, table = document.get("preset"), document.get("table")
    if (name is None) == (table is None):
        raise WarmUpPlanSyntaxError(
            say("a plan has a 'preset' or a 'table'"),
            next_step=say("Take one of %(known)s, or write daily caps.", known=", ".join(PRESETS)),
        )
    if table is None:
        if name not in PRESETS:
            raise WarmUpPlanSyntaxError(
                say("there is no warm-up plan '%(name)s'", name=str(name)[:100]),
                next_step=say("Take one of %(known)s.", known=", ".join(PRESETS)),
            )
        return str(name)
    caps = tuple(_count(cap) for cap in table["daily_caps"][: _MOST_DAYS + 1])
    if len(caps) > _MOST_DAYS:
        raise ValueError(f"a table has at most {_MOST_DAYS:,} days")
    return RampPlan(str(table.get("name") or "own table")[:100], caps, str(table.get("source") or "own table")[:500])


def _providers(named: Mapping[str, Any]) -> dict[str, ProviderTerms]:
    if len(named) > _MOST_PROVIDERS:
        raise ValueError(f"a plan names at most {_MOST_PROVIDERS} providers")
    return {str(name)[:255]: _terms(terms) for name, terms in named.items()}


def _terms(document: Mapping[str, Any]) -> ProviderTerms:
    first, ceiling = document.get("first"), document.get("ceiling")
    return ProviderTerms(None if first is None else _count(first), None if ceiling is None else _count(ceiling))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST_A_DAY:
        raise ValueError(f"{str(value)[:50]} is no number of messages a day")
    return value


def _share(value: object) -> Fraction:
    if not isinstance(value, int | float | str) or isinstance(value, bool) or len(str(value)) > 30:
        raise ValueError(f"{str(value)[:50]} is no share")
    return Fraction(str(value)).limit_denominator(10_000)


def _rhythm(document: Mapping[str, Any]) -> Rhythm:
    quiet, weekend = document.get("quiet"), document.get("weekend") or ()
    share = document.get("weekend_share")
    if share is None:
        share = 0.0 if weekend else 1.0  # who names days of rest means them
    if quiet is not None:
        start, end = quiet
        quiet = (_hour(start), _hour(end))
    return Rhythm(
        str(document.get("zone") or "UTC"),
        quiet,
        frozenset(int(day) for day in weekend),
        float(share),
    )


def _hour(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{str(value)[:50]} is no hour")
    return value
