"""Whether a tree fits the fields of a workspace: which operators a kind of field knows."""

from collections.abc import Mapping
from typing import Final

from hygiene.segments.errors import FieldValueError, SegmentSyntaxError
from hygiene.segments.fields import FieldKind, Kinds, check_name, is_number, kind_word
from hygiene.segments.parse import TEXT_OPERATORS
from hygiene.segments.tree import FieldIs, FieldOperator, Node, Scalar, leaves
from mailtypes.saying import joined, say

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
        wanted = [one for one in FieldKind if leaf.operator in OPERATORS[one]]
        raise SegmentSyntaxError(
            say(
                "the field %(name)s is of the kind %(kind)s, which %(operator)s does not compare",
                name=leaf.name,
                kind=kind_word(kind),
                operator=leaf.operator,
            ),
            path=f"{path}.op",
            next_step=say(
                "Use one of: %(operators)s; or define the field as %(wanted)s.",
                operators=", ".join(OPERATORS[kind]),
                wanted=joined(map(kind_word, wanted), " or "),
            ),
        )
    if leaf.operator is FieldOperator.IS_SET or leaf.operator in (
        FieldOperator.WITHIN_DAYS,
        FieldOperator.IN_NEXT_DAYS,
    ):
        return
    for value in leaf.value if isinstance(leaf.value, tuple) else (leaf.value,):
        if not _fits(kind, value):
            raise SegmentSyntaxError(
                say(
                    "the field %(name)s is of the kind %(kind)s, and is never %(value)s",
                    name=leaf.name,
                    kind=kind_word(kind),
                    value=repr(str(value)[:50]),
                ),
                path=f"{path}.value",
                next_step=_NEXT_STEPS[kind],
            )


def _fits(kind: FieldKind, value: Scalar) -> bool:
    if kind is FieldKind.YES_NO:
        return isinstance(value, bool)
    return is_number(value) if kind in (FieldKind.NUMBER, FieldKind.RATING) else isinstance(value, str)


_NEXT_STEPS = {
    FieldKind.TEXT: say("Write the value in quotation marks, or define the field as a number."),
    FieldKind.CHOICE: say("Write one of the choices in quotation marks."),
    FieldKind.DATE: say('Write a day as "2026-03-09".'),
    FieldKind.NUMBER: say("Write a number without quotation marks."),
    FieldKind.RATING: say("Write a number without quotation marks."),
    FieldKind.YES_NO: say("Write true or false, without quotation marks."),
}
