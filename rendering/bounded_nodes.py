"""A parsed Liquid template within limits: loops, branches and comparisons that pay for what they repeat.

``bound_nodes`` walks over a parsed template once. Each loop learns how much is in it, and pays for every turn when it
begins; each ``when`` that shows its block several times pays for them; ranges and comparisons look at their operands.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression, Path, StringLiteral
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.case_tag import MultiExpressionBlockNode
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import LiquidSyntaxError
from liquid.expression import Expression
from liquid.token import TOKEN_CONTENT, Token

from mailtypes.saying import say
from rendering.liquid_limits import MAX_ITERATIONS, NODE_WORK, BudgetedContext, WorkLimitError, weigh, work_done

_Comparison = (
    ContainsExpression | EqExpression | GeExpression | GtExpression | LeExpression | LtExpression | NeExpression
)
_LARGE: Final = (str, list, dict, tuple)
_MAX_OPERATORS: Final = 100
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_OPERATOR: Final = re.compile(r"\b(?:and|or|contains)\b|[=!<>]=|<>|[<>\[(]")


class BoundedRange(RangeLiteral):
    """A range no longer than a loop."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        """The range; raises ``WorkLimitError``."""
        made = super().evaluate(context)
        if made.stop - made.start > MAX_ITERATIONS:
            raise _long_range(self.token)
        return made


class WeighedOperand(Expression):
    """An operand of a comparison, which takes as long as the operand's length."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    def evaluate(self, context: RenderContext) -> object:
        """The operand, paid for."""
        value = self.inner.evaluate(context)
        if isinstance(value, _LARGE):
            _pay(context, len(value) >> 4 if isinstance(value, str) else 2 * weigh(value), self.token)
        return value

    def children(self) -> list[Expression]:
        """The operand itself."""
        return [self.inner]


class _Loop(LoopExpression):
    """What a loop goes over, paid for when it begins: every turn of everything in the loop."""

    __slots__ = ("weight",)
    weight: int

    def evaluate(self, context: RenderContext) -> tuple[Iterator[object], int]:
        found, length = super().evaluate(context)
        _pay(context, NODE_WORK * min(length, MAX_ITERATIONS) * self.weight, self.token)
        return found, length

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        if isinstance(obj, Mapping | list | tuple):
            _pay(context, NODE_WORK + (len(obj) >> 3), self.token)
        return super()._to_iter(obj, context)


class BoundedFor(ForNode):
    """A loop that pays for its turns."""

    __slots__ = ()

    def __init__(self, token: Token, expression: LoopExpression, *blocks: Any, **named: Any) -> None:
        loop = _Loop(
            expression.token,
            expression.identifier,
            expression.iterable,
            limit=expression.limit,
            offset=expression.offset,
            reversed_=expression.reversed,
            cols=expression.cols,
        )
        loop.weight = 1
        super().__init__(token, loop, *blocks, **named)


class BoundedForTag(ForTag):
    """The ``for`` tag with its limits."""

    node_class = BoundedFor


class _When(Expression):
    """The values of a ``when``; each one that matches shows the block once more, as Liquid has it."""

    __slots__ = ("inner", "weight")

    def __init__(self, inner: Any, weight: int) -> None:
        super().__init__(inner.token)
        self.inner = inner
        self.weight = weight

    def __str__(self) -> str:
        return str(self.inner)

    def evaluate(self, context: RenderContext) -> list[bool]:
        matches: list[bool] = self.inner.evaluate(context)
        if (repeats := matches.count(True)) > 1:
            _pay(context, NODE_WORK * repeats * self.weight, self.token)
        return matches

    def children(self) -> Iterable[Expression]:
        return list(self.inner.children())


def bound_nodes(nodes: Iterable[Node], context: RenderContext) -> int:
    """Put parsed nodes within the limits, and say how much is in them: tags, outputs and operands."""
    weight = 0
    for node in nodes:
        inside = 1 + sum(map(_bound_expression, node.expressions())) + bound_nodes(node.children(context), context)
        if isinstance(node, BoundedFor):
            assert isinstance(node.expression, _Loop)
            node.expression.weight = inside
        elif isinstance(node, MultiExpressionBlockNode):
            node.expression = _When(_weighed_when(node.expression), inside)  # type: ignore[assignment]
        weight += inside
    return weight


def check_operators(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens of a template; raises ``LiquidSyntaxError`` for an expression with operators by the hundred.

    The engine goes one call deeper for each of them.
    """
    for token in tokens:
        if len(token.value) > _MAX_OPERATORS and token.kind != TOKEN_CONTENT:
            for line in token.value.split("\n"):  # a liquid tag holds an expression in each line
                if len(line) > _MAX_OPERATORS and _count_operators(line) > _MAX_OPERATORS:
                    raise LiquidSyntaxError(
                        say("an expression has more than %(max_operators)s operators", max_operators=_MAX_OPERATORS),
                        token=token,
                    )
        yield token


def _count_operators(line: str) -> int:
    return sum(1 for _ in _OPERATOR.finditer(_QUOTED.sub("''", line)))


def _bound_expression(expression: Expression) -> int:
    if type(expression) is RangeLiteral:
        expression.__class__ = BoundedRange
    elif isinstance(expression, _Comparison):
        expression.left = _weighed(expression.left)
        expression.right = _weighed(expression.right)
    elif isinstance(expression, StringLiteral):
        return 1 + (len(expression.value) >> 8)
    return 1 + sum(map(_bound_expression, expression.children()))


def _weighed(operand: Expression) -> Expression:
    return WeighedOperand(operand) if isinstance(operand, Path) else operand


def _weighed_when(values: Any) -> Any:
    values.left = _weighed(values.left)
    values.expressions = [_weighed(one) for one in values.expressions]
    return values


def _pay(context: RenderContext, units: int, token: Token) -> None:
    assert isinstance(context, BudgetedContext)
    context.work_left -= units
    if context.work_left < 0:
        raise work_done(token)


def _long_range(token: Token) -> WorkLimitError:
    return WorkLimitError(
        say("a range has more than %(max_iterations)s numbers", max_iterations=f"{MAX_ITERATIONS:,}"), token=token
    )
