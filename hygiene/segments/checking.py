"""Whether a tree fits the fields of a workspace: which operators a kind of field knows."""

from collections.abc import Mapping
from typing import Final

from hygiene.segments.errors import FieldValueError, SegmentSyntaxError
from hygiene.segments.fields import FieldKind, Kinds, check_name, is_number
from hygiene.segments.parse import TEXT_OPERATORS
from hygiene.segments.tree import FieldIs, FieldOperator, Node, Scalar, leaves

_Operator = FieldOperator
_NUMBERS = (_Operator.IS, _Operator.IS_NOT, _Operator.ONE_OF, _Operator.AT_LEAST, _Operator.AT_MOST, _Operator.IS_SET)
OPERATORS: Final[Mapping[FieldKind, tuple[FieldOperator, ...]]] = {
    FieldKind.TEXT: TEXT_OPERATORS,
    FieldKind.NUMBER: _NUMBERS,
    FieldKind.RATING: _NUMBERS,
    FieldKind.DATE: (
        _Operator.IS,
        _Operator.IS_NOT,
        _Operator.ONE_OF,
        _Operator.BEFORE,
        _Operator.AFTER,
        _Operator.WITHIN_DAYS,
        _Operator.IN_NEXT_DAYS,
        _Operator.IS_SET,
    ),
    FieldKind.CHOICE: (_Operator.IS, _Operator.IS_NOT, _Operator.ONE_OF, _Operator.IS_SET),
    FieldKind.YES_NO: (_Operator.IS, _Operator.IS_NOT, _Operator.IS_SET),
}
"""The operators of each kind of field."""


def kind_of(name: str, kinds: Kinds) -> FieldKind:
    """The kind of a field: text where nobody has said anything else."""
    return kinds.get(name, FieldKind.TEXT)


def check_fields(tree: Node, kinds: Kinds) -> None:
    """Raise ``SegmentSyntaxError`` where a field is compared in a way that its kind does not know."""
    for path, leaf in leaves(tree):
        if isinstance(leaf, FieldIs):
            _check(leaf, kind_of(leaf.name, kinds), path)


def _check(leaf: FieldIs, kind: FieldKind, path: str) -> None:
    try:
        check_name(leaf.name)
    except FieldValueError as error:
        raise SegmentSyntaxError(error.message, path=f"{path}.field", next_step=error.next_step) from error
    if leaf.operator not in OPERATORS[kind]:
        wanted = [str(one) for one in FieldKind if leaf.operator in OPERATORS[one]]
        raise SegmentSyntaxError(
            f"the field {leaf.name} is of the kind {kind}, which {leaf.operator} does not compare",
            path=f"{path}.op",
            next_step=f"Use one of: {', '.join(OPERATORS[kind])}; or define the field as {' or '.join(wanted)}.",
        )
    if leaf.operator is FieldOperator.IS_SET or leaf.operator in (
        FieldOperator.WITHIN_DAYS,
        FieldOperator.IN_NEXT_DAYS,
    ):
        return
    for value in leaf.value if isinstance(leaf.value, tuple) else (leaf.value,):
        if not _fits(kind, value):
            raise SegmentSyntaxError(
                f"the field {leaf.name} is of the kind {kind}, and is never {str(value)[:50]!r}",
                path=f"{path}.value",
                next_step=_NEXT_STEPS[kind],
            )


def _fits(kind: FieldKind, value: Scalar) -> bool:
    if kind is FieldKind.YES_NO:
        return isinstance(value, bool)
    return is_number(value) if kind in (FieldKind.NUMBER, FieldKind.RATING) else isinstance(value, str)


_NEXT_STEPS = {
    FieldKind.TEXT: "Write the value in quotation marks, or define the field as a number.",
    FieldKind.CHOICE: "Write one of the choices in quotation marks.",
    FieldKind.DATE: 'Write a day as "2026-03-09".',
    FieldKind.NUMBER: "Write a number without quotation marks.",
    FieldKind.RATING: "Write a number without quotation marks.",
    FieldKind.YES_NO: "Write true or false, without quotation marks.",
}
