"""The rows of the segment builder as a tree, and a tree as rows where it has that form: all or any of conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_ROWS: Final = 20
_NUMBERS: Final = frozenset({"at_least", "at_most"})
_DAYS: Final = frozenset({"within_days", "before_days", "in_next_days"})
_ACTIVITIES: Final = frozenset({"received", "opened", "clicked", "acted"})


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A row: ``kind`` says which of the others count; ``is_not`` turns it round."""

    kind: str = ""
    name: str = ""
    op: str = ""
    value: str = ""
    days: str = ""
    is_not: bool = False


@dataclass(frozen=True, slots=True)
class BuilderForm:
    """``match`` is all or any."""

    match: str = "all"
    rows: tuple[ConditionRow, ...] = ()

    @property
    def tree(self) -> dict[str, Any]:
        """The tree; what is wrong in it is told when it is read."""
        return {self.match: [_node(row) for row in self.rows if row.kind]}


def read_form(form: Mapping[str, Any]) -> BuilderForm:
    """What was sent; rows without a kind are left out."""
    rows = []
    for place in range(MOST_ROWS):
        given = {name: str(form.get(f"{name}_{place}", ""))[:300].strip() for name in ("kind", "name", "op", "value")}
        days = str(form.get(f"days_{place}", ""))[:10].strip()
        if given["kind"]:
            rows.append(ConditionRow(**given, days=days, is_not=form.get(f"not_{place}") == "yes"))
    return BuilderForm("any" if form.get("match") == "any" else "all", tuple(rows))


def as_form(tree: Mapping[str, Any]) -> BuilderForm | None:
    """A tree as rows; ``None`` where it has another form."""
    match = next((name for name in ("all", "any") if name in tree), "")
    parts: Sequence[Any] = tree[match] if match else [tree]
    rows = [_row(part) for part in parts]
    if len(rows) > MOST_ROWS or any(row is None for row in rows):
        return None
    found = BuilderForm(match or "all", tuple(row for row in rows if row is not None))
    same = found.tree if match else found.tree["all"][0]
    return found if same == tree else None


def _node(row: ConditionRow) -> dict[str, Any]:
    found = _condition(row)
    return {"not": found} if row.is_not else found


def _condition(row: ConditionRow) -> dict[str, Any]:
    match row.kind:
        case "field":
            return {"field": row.name, "op": row.op or "is", "value": _value(row.op, row.value)}
        case "contact":
            return {"contact": row.name or "address", "op": row.op or "is", "value": _value(row.op, row.value)}
        case "list" | "tag" | "segment" | "domain":
            return {row.kind: row.name or row.value}
        case "consent":
            return {"consent": row.value or "given", "scope": {"list": row.name} if row.name else "all"}
    return _behaviour(row)


def _behaviour(row: ConditionRow) -> dict[str, Any]:
    days: Any = _number(row.days)
    match row.kind:
        case "received" | "opened" | "clicked" | "acted":
            amount = {} if row.op == "none" else {"value": _number(row.value)}
            span = {"within_days": days} if row.days else {}
            return {"activity": row.kind, "op": row.op or "at_least", **amount, **span}
        case "last_opened" | "last_clicked" | "last_received":
            return {"activity_last": row.kind.removeprefix("last_"), row.op or "before_days": days}
        case "opened_in_a_row":
            return {"opened_in_a_row": _number(row.value)}
        case "joined":
            return {"joined": {row.op or "within_days": days}}
    return {row.kind: row.value}  # no such kind: the reader of the tree says so


def _row(part: Any) -> ConditionRow | None:
    if not isinstance(part, dict):
        return None
    if set(part) == {"not"}:
        inner = _row(part["not"])
        if inner is None or inner.is_not:
            return None
        return ConditionRow(inner.kind, inner.name, inner.op, inner.value, inner.days, True)
    readers = (_field_row, _plain_row, _activity_row)
    return next((row for read in readers if (row := read(part)) is not None), None)


def _field_row(part: Mapping[str, Any]) -> ConditionRow | None:
    for kind in ("field", "contact"):
        if kind in part and isinstance(part.get("value"), str | int | float | bool | list):
            return ConditionRow(kind, str(part[kind]), str(part.get("op", "")), _written(part["value"]))
    return None


def _plain_row(part: Mapping[str, Any]) -> ConditionRow | None:
    for kind in ("list", "tag", "segment", "domain"):
        if isinstance(part.get(kind), str):
            return ConditionRow(kind, part[kind])
    if "consent" in part:
        scope = part.get("scope")
        name = scope.get("list", "") if isinstance(scope, dict) else ""
        return ConditionRow("consent", str(name), "", str(part["consent"]))
    if "opened_in_a_row" in part:
        return ConditionRow("opened_in_a_row", value=str(part["opened_in_a_row"]))
    return None


def _activity_row(part: Mapping[str, Any]) -> ConditionRow | None:
    if part.get("activity") in _ACTIVITIES:
        days, value = part.get("within_days"), part.get("value")
        return ConditionRow(str(part["activity"]), "", str(part.get("op", "")), _optional(value), _optional(days))
    spans = part.get("joined") if "joined" in part else part
    if isinstance(spans, dict) and ("joined" in part or "activity_last" in part):
        kind = "joined" if "joined" in part else f"last_{part['activity_last']}"
        op = next((name for name in ("within_days", "before_days") if name in spans), "")
        return ConditionRow(kind, "", op, "", _optional(spans.get(op)))
    return None


def _value(op: str, text: str) -> Any:
    """A field's value as it is meant: numbers for what compares numbers, several for one of several."""
    if op == "one_of":
        return [one.strip() for one in text.split(",") if one.strip()]
    if op == "is_set":
        return text.casefold() not in {"no", "false", "לא", "0"}
    if op in _NUMBERS or op in _DAYS:
        return _number(text)
    return text


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text  # the reader of the tree tells what is wrong with it


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _optional(value: Any) -> str:
    return "" if value is None else str(value)
