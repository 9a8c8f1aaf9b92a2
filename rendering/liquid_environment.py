"""Python-liquid made fit for mail: limits, no files, no clock, and nodes that write marks instead of text."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, Mode, RenderContext
from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.exceptions import OutputStreamLimitError
from liquid.token import Token
from liquid.utils import ReadOnlyChainMap

from mailtypes.saying import say
from rendering.bounded_filters import bound_filters
from rendering.bounded_nodes import BoundedForTag, bound_nodes, check_operators
from rendering.filters import offer_filters
from rendering.liquid_limits import MAX_CHARACTERS, MAX_ITERATIONS, BudgetedContext, weigh

Getter = Callable[[Mapping[str, object]], str | None]
MAX_MARKS = 20_000
"""How many pieces a template may have, and put out."""
MAX_CONTENT_CHARACTERS = 1_000_000
"""How many characters of the author's own text a layout may have: loops repeat it."""
TAGS_NOT_OFFERED = {
    "include": say("Templates cannot read files; put the text here."),
    "render": say("Templates cannot read files; put the text here."),
    "tablerow": say("Write the table with a for loop."),
    "ifchanged": say("Compare the values with if."),
    "increment": say("Count with forloop.index."),
    "decrement": say("Count with forloop.rindex."),
}
"""Tags that Liquid knows and mail does not, with what to write instead."""


class MergeContext(BudgetedContext):
    """Liquid's context with a place for the values, and without Liquid's own clock."""

    __slots__ = ("data", "slot_values")

    def __init__(self, template: BoundTemplate, data: Mapping[str, object]) -> None:
        super().__init__(template, data)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.data = data
        self.slot_values: list[str] = []


class MarkBuffer(StringIO):
    """Takes marks, up to a limit; quicker than Liquid's own limited stream."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[str] = []

    def write(self, mark: str) -> int:
        """Take one mark."""
        self.marks.append(mark)
        if len(self.marks) > MAX_MARKS:
            raise OutputStreamLimitError(say("the template puts out too many pieces"), token=None)
        return 1


class MarkedContent(ContentNode):
    """Content that writes its mark; inside of ``capture``, where it has none, its text."""

    __slots__ = ("mark",)
    mark: str

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the mark."""
        if hasattr(self, "mark"):
            return buffer.write(self.mark)
        assert isinstance(context, MergeContext)
        context.spend(1 + (len(self.text) >> 4))
        return buffer.write(self.text)


class MarkedOutput(OutputNode):
    """An output that writes its mark and sets its value aside."""

    __slots__ = ("mark", "quick", "special")
    mark: str
    special: bool
    quick: "Getter | None"

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the mark."""
        assert isinstance(context, MergeContext)
        if not hasattr(self, "mark"):  # inside of capture
            return buffer.write(context.text_of(self.expression))
        if not self.special:
            value = self.quick(context.data) if self.quick is not None else None
            if value is None:
                value = context.text_of(self.expression)
            context.slot_values.append(value)
        return buffer.write(self.mark)


class MarkedCycle(CycleNode):
    """A ``cycle`` that writes its mark and sets its value aside."""

    __slots__ = ("mark",)
    mark: str

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the mark."""
        assert isinstance(context, MergeContext)
        for value in (*self.args, *([self.group] if self.group else ())):  # their text is the name of the cycle
            context.spend(1 + 2 * weigh(value.evaluate(context)))
        if not hasattr(self, "mark"):
            return super().render_to_output(context, buffer)
        chosen = StringIO()
        super().render_to_output(context, chosen)
        context.slot_values.append(chosen.getvalue())
        return buffer.write(self.mark)


class _Content(Literal):
    node_class = MarkedContent


class _OutputTag(Output):
    node_class = MarkedOutput


class _Echo(EchoTag):
    node_class = MarkedOutput  # type: ignore[assignment]


class _Cycle(CycleTag):
    node_class = MarkedCycle


class _MailEnvironment(Environment):
    """Liquid with limits: work, loops, output, local variables; no clock, no files."""

    loop_iteration_limit = MAX_ITERATIONS
    output_stream_limit = MAX_CHARACTERS
    local_namespace_limit = MAX_CHARACTERS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in TAGS_NOT_OFFERED:
            self.tags.pop(name, None)
        for tag in (_Content, _OutputTag, _Echo, _Cycle, BoundedForTag):
            self.add_tag(tag)
        offer_filters(self)
        bound_filters(self)

    def tokenizer(self) -> Callable[[str], Iterator[Token]]:
        """Liquid's own, which refuses expressions that it could not read without a deep stack."""
        tokens_of = super().tokenizer()
        return lambda source: check_operators(tokens_of(source))

    def from_string(self, source: str, *arguments: Any, **named: Any) -> BoundTemplate:
        """Parse, and put the nodes within their limits."""
        template = super().from_string(source, *arguments, **named)
        bound_nodes(template.nodes, RenderContext(template))
        return template


ENVIRONMENT = _MailEnvironment(tolerance=Mode.STRICT)


def quick_getter(expression: object, local_names: Collection[str]) -> Getter | None:
    """A getter without Liquid's machinery for plain paths, with or without ``default``; ``None`` is "ask Liquid"."""
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    segments = [one for one in expression.left.path if isinstance(one, str) and one not in {"size", "first", "last"}]
    if len(segments) < len(expression.left.path) or segments[0] in local_names:
        return None
    filters = expression.filters or []
    plain_default = (
        len(filters) == 1
        and filters[0].name == "default"
        and len(filters[0].args) == 1
        and isinstance(filters[0].args[0].value, StringLiteral)
    )
    if filters and not plain_default:
        return None
    literal = filters[0].args[0].value if filters else None
    instead = literal.value if isinstance(literal, StringLiteral) else ""
    *above, last = segments
    return _getter_below(above[0], above[1:], last, instead) if above else _getter(last, instead)


def _getter(name: str, instead: str) -> Getter:
    def get(data: Mapping[str, Any]) -> str | None:
        value = data.get(name)
        if type(value) is str:
            return value if value and not value.isspace() else instead if not value else None
        return str(value) if type(value) is int else None if value is not None else instead

    return get


def _getter_below(first: str, middle: Sequence[str], last: str, instead: str) -> Getter:
    """For a path of two and more names. ``instead`` stands for what is missing, nothing or empty."""

    def get(data: Mapping[str, Any]) -> str | None:
        try:
            value = data[first]
            for name in middle:
                value = value[name]
            if type(value) is not dict:  # whatever answers to names in its own way is Liquid's affair
                return None
            value = value[last]
        except KeyError:
            return instead
        except (TypeError, IndexError):
            return None
        if type(value) is str:
            return value if value and not value.isspace() else instead if not value else None
        return str(value) if type(value) is int else None if value is not None else instead

    return get
