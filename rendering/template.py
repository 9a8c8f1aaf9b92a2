"""A template from its source to the layouts that contacts take."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.compiler import LayoutKey, Parts, compile_html, compile_layout
from rendering.layout import Layout
from rendering.links import Link, find_links
from rendering.markers import Markers
from rendering.merge import Content, Merge, Value, unknown_paths
from rendering.segments import Part, SlotValues
from rendering.source import (
    MergeField,
    MergeLimitError,
    MergeValueError,
    TemplateSource,
    TemplateSyntaxError,
    UnknownFieldError,
)

_KEY_SEPARATOR = "\x1f"
_NOT_IN_HEADERS = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class Template:
    """A parsed template: what it needs, what it links to, and a layout for each way through its branches.

    Made by ``parse_template``. Immutable, so that threads may share it.
    """

    def __init__(self, source: TemplateSource, parts: Parts, subject: Merge) -> None:
        self.source = source
        self._parts = parts
        self._subject = subject
        self._tried: tuple[str, Layout] | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """All web links of the body, numbered from 1 by their place in the source, whatever the layout."""
        return self._parts.links

    @property
    def merge_fields(self) -> tuple[MergeField, ...]:
        """The variable paths that contacts' data have to give, each use with its place."""
        return tuple(field for merge in self._merges() for field in merge.fields)

    def unknown_fields(self, known: Collection[str]) -> tuple[UnknownFieldError, ...]:
        """An error for each use of a field that is not among ``known`` (dotted paths such as ``contact.city``)."""
        sources = {merge.part: merge.source for merge in self._merges()}
        return tuple(
            UnknownFieldError(field.path, suggestion, source=sources[field.part], span=field.span, part=field.part)
            for field, suggestion in unknown_paths(self.merge_fields, known)
        )

    def fill(self, data: Mapping[str, object]) -> tuple[str, SlotValues]:
        """The layout that a contact takes, as its key, and the values for its slots.

        ``data`` are nested mappings; ``now`` (a datetime) may be among them. Raises ``MergeValueError`` where a
        value cannot be merged, for instance a line break in the subject.
        """
        parts = self._parts
        body_key, values = parts.body.evaluate(data)
        preheader_key, more = parts.preheader.evaluate(data)
        values = values + more
        plain_key = ""
        if parts.plain_text is not None:
            plain_key, more = parts.plain_text.evaluate(data)
            values += more
        return _KEY_SEPARATOR.join((body_key, preheader_key, plain_key)), SlotValues(values, self._merged_subject(data))

    def compile(self, layout_key: str) -> Layout:
        """Compile the layout of a key that ``fill`` gave; ``TemplateSyntaxError`` where an engine refuses it."""
        return compile_layout(self._parts, _layout_key(layout_key))

    def layout(self, layout_key: str) -> Layout:
        """The same, but for the layout that ``parse_template`` has tried: that one is at hand."""
        if self._tried is not None and self._tried[0] == layout_key:
            return self._tried[1]
        return self.compile(layout_key)

    def compile_html(self, layout_key: str) -> Part:
        """The HTML part alone of a layout."""
        return compile_html(self._parts, _layout_key(layout_key))

    def try_out(self) -> None:
        """Compile the layout of a contact without any data; ``TemplateSyntaxError`` where an engine refuses it."""
        try:
            key, _ = self.fill({})
        except MergeLimitError as error:  # what is too much without data is too much with any
            part = next((merge.part for merge in self._merges() if merge.source == error.source), "body")
            raise TemplateSyntaxError(
                error.message, source=error.source, span=error.span, next_step=error.next_step, part=part
            ) from error
        except MergeValueError:
            return  # it cannot do without data; real contacts will show
        self._tried = key, self.compile(key)

    def _merges(self) -> Iterable[Merge]:
        parts = self._parts
        yield from (self._subject, parts.preheader, parts.body)
        if parts.plain_text is not None:
            yield parts.plain_text

    def _merged_subject(self, data: Mapping[str, object]) -> str:
        key, values = self._subject.evaluate(data)
        subject = self._subject.text(key, values)
        if _NOT_IN_HEADERS.search(subject):
            raise self._header_error(key, values)
        return subject

    def _header_error(self, key: str, values: list[str]) -> MergeValueError:
        slots = self._subject.slots(key)
        slot = next(slot for slot, value in zip(slots, values, strict=True) if _NOT_IN_HEADERS.search(value))
        return MergeValueError(
            say(
                "the value of %(field)s has a line break or another control character, and stands in the subject",
                field=slot.field,
            ),
            field=slot.field,
            source=self._subject.source,
            span=slot.span,
            next_step=say("Remove the line break from the contact's field."),
        )


def parse_template(source: TemplateSource) -> Template:
    """Parse and check a template; raises ``TemplateSyntaxError`` with the part, the place and the next step.

    The layout of a contact without any data is compiled too, so that what an engine refuses is found at once;
    branches that this contact does not take are checked when a contact takes them.
    """
    template = read_template(source)
    template.try_out()
    return template


def read_template(source: TemplateSource) -> Template:
    """Parse and check the parts of a template one by one; whether it compiles is found when it is."""
    body = Merge(source.body, "body")
    subject = Merge(source.subject, "subject")
    preheader = Merge(source.preheader, "preheader")
    _check_header_text(subject)
    _refuse_addresses(subject)
    _refuse_addresses(preheader)
    if not source.body.strip():
        raise TemplateSyntaxError(say("the template is empty"), next_step=say("Write the mail's text."))
    plain_text = None if source.plain_text is None else Merge(source.plain_text, "plain_text")
    links, edits = find_links(source.body)
    markers = Markers(source.body, source.preheader, source.plain_text or "")
    return Template(source, Parts(body, source.body_format, preheader, plain_text, links, edits, markers), subject)


def _layout_key(written: str) -> LayoutKey:
    return LayoutKey(*written.split(_KEY_SEPARATOR))


def _check_header_text(subject: Merge) -> None:
    for element in subject.elements.values():
        if isinstance(element, Content) and (match := _NOT_IN_HEADERS.search(element.text)):
            start = element.start + match.start()
            raise TemplateSyntaxError(
                say("a subject has one line"),
                source=subject.source,
                span=Span(start, start + 1),
                next_step=say("Remove the line break."),
                part=subject.part,
            )


def _refuse_addresses(merge: Merge) -> None:
    for element in merge.elements.values():
        if isinstance(element, Value) and element.special:
            raise TemplateSyntaxError(
                say("%(field)s cannot stand in the %(part)s", field=element.field, part=merge.part),
                source=merge.source,
                span=element.span,
                next_step=say("Put it into a link of the body."),
                part=merge.part,
            )


@dataclass(slots=True)
class Layouts:
    """The compiled layouts of one template, at most ``limit`` of them kept.

    Beyond the limit a layout is compiled for each message: slower, with the same result. Threads may share it; two
    that meet a new layout at once both compile it, to the same bytes.
    """

    template: Template
    limit: int = 256
    _compiled: dict[str, Layout] = field(default_factory=dict)

    def __getitem__(self, layout_key: str) -> Layout:
        layout = self._compiled.get(layout_key)
        if layout is None:
            layout = self.template.layout(layout_key)
            if len(self._compiled) < self.limit:
                self._compiled[layout_key] = layout
        return layout

    def __len__(self) -> int:
        return len(self._compiled)
