"""Liquid, taken apart: which branches a contact takes, and the values that go into them.

A part of a template (body, subject, ...) is parsed once. Each stretch of content and each ``{{ output }}`` gets a
one-character mark. Running the parsed tree for a contact writes marks instead of text and sets the evaluated
values aside, so the string of marks is the exact layout (branches taken, loops unrolled) and no value is ever
compiled. From the marks alone the text of the layout is rebuilt, with slot markers where the values go.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.exceptions import LiquidError, LiquidInterrupt, ResourceLimitError

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.liquid_blocks import readable_end, unclosed_block
from rendering.liquid_environment import (
    ENVIRONMENT,
    MAX_CONTENT_CHARACTERS,
    MAX_MARKS,
    TAGS_NOT_OFFERED,
    Getter,
    MarkBuffer,
    MarkedContent,
    MarkedCycle,
    MarkedOutput,
    MergeContext,
    quick_getter,
)
from rendering.liquid_words import said
from rendering.source import MergeField, MergeLimitError, MergeValueError, TemplateSyntaxError

UNSUBSCRIBE_FIELD = "unsubscribe_url"
PREFERENCES_FIELD = "preferences_url"
ADDRESS_FIELDS = (UNSUBSCRIBE_FIELD, PREFERENCES_FIELD)
"""Addresses that are made for each recipient, and that no contact's data give."""
_ADDRESS_FIELD = re.compile(rf"(?<![\w.])(?:{'|'.join(ADDRESS_FIELDS)})\b")
_FIRST_MARK = 0x100
_MAX_SOURCE_CHARACTERS = 500_000
_MAX_VALUES_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """A stretch of the source that is output as it stands (``start`` is its place in the source)."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Value:
    """A ``{{ merge value }}`` and its place; ``special`` ones are the ``ADDRESS_FIELDS``."""

    field: str
    span: Span
    special: bool


Element = Content | Value


class Merge:
    """One parsed part of a template. Immutable, so that threads may share it."""

    def __init__(self, source: str, part: str) -> None:
        """Parse; ``TemplateSyntaxError`` tells the place of what is wrong with the Liquid."""
        self.source = source
        self.part = part
        self.elements: dict[str, Element] = {}
        self._template = self._parse()
        self._local_names = _local_names(self._template)
        self._mark_nodes(self._template.nodes)
        self._check_filters()
        self._getters = self._straight_getters()
        self._straight_key = "".join(self.elements)
        elements = list(self.elements.values())
        self._longest_content = max((len(one.text) for one in elements if isinstance(one, Content)), default=0)
        self._straight_pieces = [one.text if isinstance(one, Content) else "" for one in elements]
        self._straight_places = [place for place, one in enumerate(elements) if isinstance(one, Value)]

    @property
    def has_control_tags(self) -> bool:
        """Whether contacts may take different branches."""
        return self._getters is None

    def evaluate(self, data: Mapping[str, object]) -> tuple[str, list[str]]:
        """The layout key of a contact and the values in its slots; raises ``MergeValueError``."""
        context: MergeContext | None = None
        try:
            if self._getters is None:
                context = MergeContext(self._template, data)
                return self._run(context)
            if not self._getters:
                return self._straight_key, []
            distinct: list[str] = []
            for quick, expression in self._getters:
                value = quick(data) if quick is not None else None
                if value is None:
                    context = context or MergeContext(self._template, data)
                    value = context.text_of(expression)
                distinct.append(value)
            values = [distinct[index] for index in self._getter_order]
        except LiquidError as error:
            raise self._value_error(error) from error
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Filters let some of Python's own errors through, for instance where a number is too large.
            raise self._value_error(
                LiquidError(say("a filter cannot work with a value (%(name)s)", name=type(error).__name__), token=None)
            ) from error
        self._check_size(values)
        return self._straight_key, values

    def text(self, key: str, values: Iterable[str]) -> str:
        """The merged text without any escaping, for headers."""
        if key == self._straight_key and self._getters is not None:
            return self._straight_text(values)
        iterator = iter(values)
        return "".join(
            element.text if isinstance(element, Content) else next(iterator)
            for element in map(self.elements.__getitem__, key)
        )

    def _straight_text(self, values: Iterable[str]) -> str:
        pieces = self._straight_pieces.copy()
        for place, value in zip(self._straight_places, values, strict=True):
            pieces[place] = value
        return "".join(pieces)

    def slots(self, key: str) -> list[Value]:
        """The merge values of a layout in the order of ``evaluate``'s values."""
        found = (self.elements[mark] for mark in key)
        return [element for element in found if isinstance(element, Value) and not element.special]

    @property
    def fields(self) -> list[MergeField]:
        """The variable paths that have to come from outside, with their places."""
        variables = self._template.analyze().globals
        return [
            MergeField(str(variable), self.part, self._span(variable.span.index, len(str(variable))))
            for uses in variables.values()
            for variable in uses
        ]

    def _parse(self) -> BoundTemplate:
        if len(self.source) > _MAX_SOURCE_CHARACTERS:
            raise TemplateSyntaxError(
                say(
                    "the template is longer than %(max_source_characters)s characters",
                    max_source_characters=f"{_MAX_SOURCE_CHARACTERS:,}",
                ),
                next_step=say("Shorten it; mail of more than 102 KB is cut by Gmail anyway."),
                part=self.part,
            )
        end = readable_end(self.source)
        if end < len(self.source):
            raise TemplateSyntaxError(
                say("a Liquid tag is never closed, or has hundreds of blanks in it"),
                source=self.source,
                span=self._span(end, 2),
                next_step=say("Write }} or %} where it ends."),
                part=self.part,
            )
        try:
            return ENVIRONMENT.from_string(self.source)
        except LiquidError as error:
            raise self._syntax_error(error) from error

    def _mark_nodes(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if isinstance(node, CaptureNode):
                self._check_capture(node)
                continue
            if isinstance(node, MarkedContent):
                start = self.source.index(node.text, node.token.start_index)  # white space control may have cut it
                node.mark = self._mark(Content(node.text, start))
            elif isinstance(node, MarkedOutput):
                node.special = str(node.expression) in ADDRESS_FIELDS
                node.quick = quick_getter(node.expression, self._local_names)
                node.mark = self._mark(Value(str(node.expression), self._output_span(node), node.special))
                self._check_special(node)
            elif isinstance(node, MarkedCycle):
                node.mark = self._mark(Value(str(node), self._output_span(node), False))
            else:
                self._mark_nodes(node.children(RenderContext(self._template)))

    def _mark(self, element: Element) -> str:
        if len(self.elements) >= MAX_MARKS:
            raise TemplateSyntaxError(
                say("the template has more than %(max_marks)s merge values", max_marks=f"{MAX_MARKS:,}"),
                next_step=say("Shorten it."),
                part=self.part,
            )
        mark = chr(_FIRST_MARK + len(self.elements))
        self.elements[mark] = element
        return mark

    def _check_special(self, node: MarkedOutput) -> None:
        found = None if node.special else _ADDRESS_FIELD.search(str(node.expression))
        if found is not None:
            raise TemplateSyntaxError(
                say("%(found)s has to stand alone", found=found[0]),
                source=self.source,
                span=self._output_span(node),
                next_step=say("Write {{ %(found)s }} without a filter.", found=found[0]),
                part=self.part,
            )

    def _check_capture(self, node: CaptureNode) -> None:
        # A captured text is a value and values are never compiled, so markup in it would be shown as text.
        for child in _descendants(node, RenderContext(self._template)):
            if isinstance(child, ContentNode) and "<" in child.text:
                start = self.source.index("<", child.token.start_index)
                raise TemplateSyntaxError(
                    say("capture can hold text only, not markup"),
                    source=self.source,
                    span=self._span(start, 1),
                    next_step=say("Write the markup where it is shown, with if or for around it."),
                    part=self.part,
                )

    def _check_filters(self) -> None:
        for name, places in self._template.analyze().filters.items():
            if name not in ENVIRONMENT.filters:
                raise TemplateSyntaxError(
                    say("there is no filter '%(name)s'", name=name),
                    source=self.source,
                    span=self._span(places[0].index, len(name)),
                    next_step=_did_you_mean(name, ENVIRONMENT.filters)
                    or say("Remove it; values are escaped by place."),
                    part=self.part,
                )

    def _straight_getters(self) -> list[tuple[Getter | None, Any]] | None:
        """How to get the values where there are no branches; equal outputs are evaluated once."""
        nodes = self._template.nodes
        self._getter_order: list[int] = []
        if not all(isinstance(node, MarkedContent | MarkedOutput) for node in nodes):
            return None
        getters: dict[str, tuple[Getter | None, Any]] = {}
        order: dict[str, int] = {}
        for node in nodes:
            if isinstance(node, MarkedOutput) and not node.special:
                name = str(node.expression)
                getters.setdefault(name, (node.quick, node.expression))
                self._getter_order.append(order.setdefault(name, len(order)))
        return list(getters.values())

    def _run(self, context: MergeContext) -> tuple[str, list[str]]:
        buffer = MarkBuffer()
        for node in self._template.nodes:
            try:
                node.render_to_output(context, buffer)
            except LiquidInterrupt as error:
                raise LiquidError(say("break and continue belong inside of a for loop"), token=node.token) from error
            except LiquidError as error:
                error.token = error.token or node.token
                raise
        self._check_size(context.slot_values)
        self._check_content(buffer.marks)
        return "".join(buffer.marks), context.slot_values

    def _check_content(self, marks: list[str]) -> None:
        """Loops repeat the author's text: a layout has only so much of it."""
        if len(marks) * self._longest_content <= MAX_CONTENT_CHARACTERS:
            return
        contents = [one for one in map(self.elements.__getitem__, marks) if isinstance(one, Content)]
        if sum(len(one.text) for one in contents) > MAX_CONTENT_CHARACTERS:
            longest = max(contents, key=lambda one: len(one.text))
            raise MergeLimitError(
                say(
                    "loops repeat the template's text to more than %(max_characters)s characters",
                    max_characters=f"{MAX_CONTENT_CHARACTERS:,}",
                ),
                field=self.part,
                source=self.source,
                span=self._span(longest.start, len(longest.text)),
                next_step=say("Shorten the list or the loop."),
            )

    def _check_size(self, values: list[str]) -> None:
        if sum(map(len, values)) > _MAX_VALUES_CHARACTERS:
            longest = max(range(len(values)), key=lambda index: len(values[index]))
            raise MergeLimitError(
                say(
                    "the merged values are longer than %(max_values_characters)s characters",
                    max_values_characters=_MAX_VALUES_CHARACTERS,
                ),
                field=say("value %(longest)s", longest=longest + 1),
                source=self.source,
                next_step=say("Shorten the list or the loop."),
            )

    def _output_span(self, node: Node) -> Span:
        start = node.token.start_index
        opening = self.source.rfind("{", 0, start + 2)
        end = min((p for p in (self.source.find("}}", start), self.source.find("%}", start)) if p >= 0), default=-1)
        return Span(max(0, opening - 1), end + 2) if opening > 0 and end >= 0 else self._span(start, 1)

    def _span(self, start: int, length: int) -> Span:
        start = max(0, min(start, len(self.source)))
        return Span(start, min(start + max(1, length), len(self.source)))

    def _token_span(self, error: LiquidError) -> Span | None:
        token = error.token
        if token is None or token.start_index < 0 or token.source != self.source:
            return None
        return self._span(token.start_index, len(token.value.split("\n")[0]))

    def _syntax_error(self, error: LiquidError) -> TemplateSyntaxError:
        message = said(str(error.message or "the Liquid in this template cannot be read"))
        name = message.partition("unexpected tag '")[2].rstrip("'")
        span = self._token_span(error)
        next_step = say("Check the brackets and quotes at this place.")
        unclosed = unclosed_block(self.source) if span is None else None
        if unclosed is not None:
            block, span = unclosed
            message = say("the block '%(block)s' is not closed", block=block)
            next_step = say("Add {%% end%(block)s %%} where it ends.", block=block)
        if name:
            message = say("there is no tag '%(name)s' for mail", name=name) if name in TAGS_NOT_OFFERED else message
            next_step = TAGS_NOT_OFFERED.get(name) or _did_you_mean(name, ENVIRONMENT.tags) or say("Remove the tag.")
        return TemplateSyntaxError(message, source=self.source, span=span, next_step=next_step, part=self.part)

    def _value_error(self, error: LiquidError) -> MergeValueError:
        span = self._token_span(error)
        limit = isinstance(error, ResourceLimitError)
        return (MergeLimitError if limit else MergeValueError)(
            said(str(error.message)),
            field=self.source[span.start : span.end] if span else self.part,
            source=self.source,
            span=span,
            next_step=say("Shorten the list or the loop.")
            if limit
            else say("Check the type of the field, or give a default."),
        )


def unknown_paths(fields: Iterable[MergeField], known: Collection[str]) -> Iterator[tuple[MergeField, str]]:
    """The fields that ``known`` (dotted paths) does not have, each with the nearest known path or an empty text.

    A path below a known one is known (``contact.first_name.size``), as is one above (``contact``).
    """
    names = {*ADDRESS_FIELDS, *known}
    ancestors = {".".join(parts[:n]) for parts in (name.split(".") for name in names) for n in range(1, len(parts))}
    for field in fields:
        parts = field.path.split("[")[0].split(".")
        prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        whole = ".".join(parts)
        if names.isdisjoint(prefixes) and whole not in ancestors:
            yield field, _nearest(whole, names)


def _nearest(path: str, names: Collection[str]) -> str:
    """The known path that was probably meant: a sibling with a similar last name, or one that is much alike."""
    parent, _, leaf = path.rpartition(".")
    siblings = sorted(name for name in names if name.rpartition(".")[0] == parent)
    close = difflib.get_close_matches(leaf, [name.rpartition(".")[2] for name in siblings], 1)
    if close:
        return f"{parent}.{close[0]}" if parent else close[0]
    return next(iter(difflib.get_close_matches(path, sorted(names), 1, cutoff=0.85)), "")


def _local_names(template: BoundTemplate) -> frozenset[str]:
    """Names that tags of the template bind (assign, capture, for), whatever the data call so."""
    context = RenderContext(template)
    nodes = [node for top in template.nodes for node in (top, *_descendants(top, context))]
    return frozenset(str(name) for node in nodes for name in (*node.template_scope(), *node.block_scope()))


def _descendants(node: Node, context: RenderContext) -> Iterator[Node]:
    for child in node.children(context):
        yield child
        yield from _descendants(child, context)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return say("Did you mean '%(close)s'?", close=close[0]) if close else ""
