"""What contacts have in their fields and columns, compared as a segment asks; SQL for SQLite and PostgreSQL.

A part of ``store.segment_sql``, by whose rules it goes: every value is bound, and no comparison is ever NULL.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Double, and_, case, cast, false, func, literal, true
from sqlalchemy.dialects.postgresql import JSONB

from hygiene.segments.fields import FieldKind
from hygiene.segments.matching import Moment, folded
from hygiene.segments.tree import AttributeIs, FieldIs, FieldOperator, Scalar
from postwright.store.records import table

_contact = table("contact")
Truth = ColumnElement[bool]
_TEXT_IS_IN_IT = frozenset(
    {FieldOperator.IS, FieldOperator.CONTAINS, FieldOperator.STARTS_WITH, FieldOperator.ENDS_WITH}
)
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;@+'()-]+")
"""What stands in JSON as it is, whoever writes it, and means nothing to LIKE (which folds A to Z as ``lower`` does)."""
_COMPARISONS: Mapping[FieldOperator, Callable[[Any, Any], Truth]] = {
    FieldOperator.IS: lambda value, wanted: value == wanted,
    FieldOperator.IS_NOT: lambda value, wanted: value != wanted,
    FieldOperator.AT_LEAST: lambda value, wanted: value >= wanted,
    FieldOperator.AT_MOST: lambda value, wanted: value <= wanted,
    FieldOperator.BEFORE: lambda value, wanted: value < wanted,
    FieldOperator.AFTER: lambda value, wanted: value > wanted,
}


@dataclass(frozen=True, slots=True)
class FieldValues:
    """Makes conditions on the merge fields and the columns of ``contact``; days are those of ``moment``."""

    dialect: str
    moment: Moment

    def field(self, leaf: FieldIs, kind: FieldKind) -> Truth:
        """A merge field, where what is stored is of the field's kind."""
        stored = self._stored(leaf.name)
        found = self._compared(kind, leaf.operator, self._typed(kind, stored), leaf.value)
        needle = leaf.value
        is_quick = kind in (FieldKind.TEXT, FieldKind.CHOICE) and leaf.operator in _TEXT_IS_IN_IT
        if self.dialect == "sqlite" and is_quick and isinstance(needle, str) and _PLAIN.fullmatch(needle):
            # Where the text does not stand in the JSON at all, SQLite need not read it: half the time of a count.
            return and_(_contact.c.fields.like(f"%{needle}%"), found)
        return found

    def _stored(self, name: str) -> tuple[ColumnElement[str], ColumnElement[Any]]:
        """The JSON type of a field and its value."""
        if self.dialect == "postgresql":
            document = cast(_contact.c.fields, JSONB)
            kind = func.jsonb_typeof(func.jsonb_extract_path(document, name))
            return kind, func.jsonb_extract_path_text(document, name)
        path = f'$."{name}"'
        return func.json_type(_contact.c.fields, path), func.json_extract(_contact.c.fields, path)

    def _typed(
        self, kind: FieldKind, stored: tuple[ColumnElement[str], ColumnElement[Any]]
    ) -> tuple[Truth, ColumnElement[Any]]:
        """Whether there is a value of the kind, and the value as it is compared."""
        json_type, value = stored
        if kind is FieldKind.YES_NO:
            return json_type.in_(("true", "false", "boolean")), self._as_truth(value)
        if kind in (FieldKind.NUMBER, FieldKind.RATING):
            return json_type.in_(("integer", "real", "number")), cast(value, Double)
        is_text = json_type.in_(("text", "string"))
        if kind is FieldKind.DATE:
            return and_(is_text, self._looks_like_date(value)), self._plain(value)
        return and_(is_text, value != ""), self._folded(value)

    def _as_truth(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        # json_extract gives 1 and 0, jsonb_extract_path_text 'true' and 'false'.
        return value if self.dialect == "sqlite" else case((value == "true", 1), else_=0)

    def _looks_like_date(self, value: ColumnElement[Any]) -> Truth:
        if self.dialect == "sqlite":
            return value.op("GLOB", is_comparison=True)("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]")
        return value.op("~", is_comparison=True)(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

    def _plain(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text that compares octet by octet."""
        return value if self.dialect == "sqlite" else value.collate("C")

    def _folded(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """A to Z in lower case and nothing else: what ``lower`` does in SQLite, and with the collation C."""
        return func.lower(self._plain(value))

    def _compared(
        self,
        kind: FieldKind,
        operator: FieldOperator,
        stored: tuple[Truth, ColumnElement[Any]],
        wanted: Scalar | tuple[Scalar, ...],
    ) -> Truth:
        has_value, value = stored
        if operator is FieldOperator.IS_SET:
            return case((has_value, true()), else_=false()) == true()
        if isinstance(wanted, tuple):
            found: Truth = value.in_([_bound(folded(kind, one)) for one in wanted])
        else:
            found = self._comparison(operator, value, _bound(folded(kind, wanted)))
        # The other way round, "has a value and ...", either side may be looked at first, and a text is no number.
        return case((has_value, found), else_=literal(operator is FieldOperator.IS_NOT)) == true()

    def _comparison(self, operator: FieldOperator, value: ColumnElement[Any], wanted: Any) -> Truth:
        if operator in _COMPARISONS:
            return _COMPARISONS[operator](value, wanted)
        if operator is FieldOperator.CONTAINS:
            place = func.instr if self.dialect == "sqlite" else func.strpos
            found: Truth = place(value, wanted) > 0
            return found
        if operator is FieldOperator.STARTS_WITH:
            start: Truth = func.substr(value, 1, len(wanted)) == wanted
            return start
        if operator is FieldOperator.ENDS_WITH:
            enough = func.length(value) >= len(wanted)
            return and_(enough, func.substr(value, func.length(value) - (len(wanted) - 1)) == wanted)
        first, last = (-wanted, 0) if operator is FieldOperator.WITHIN_DAYS else (0, wanted)
        return and_(value >= self.moment.date(first), value <= self.moment.date(last))

    def attribute(self, leaf: AttributeIs) -> Truth:
        """A column of the contact."""
        column = _contact.c[str(leaf.attribute)]
        stored = (and_(column.is_not(None), column != ""), self._folded(column))
        return self._compared(FieldKind.TEXT, leaf.operator, stored, leaf.value)


def _bound(value: Scalar) -> str | int | float:
    return int(value) if isinstance(value, bool) else value
