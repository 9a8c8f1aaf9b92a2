"""Attributes of MJML components: names, values, what is missing, and what the official engine does otherwise."""

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailtypes.errors import Span
from mailtypes.saying import joined, say
from rendering.lint.finding import Finding, Severity
from rendering.markup import MASK, Attribute, Tag
from rendering.mjml import components as known
from rendering.mjml.differences import differences_of
from rendering.mjml.values import ValueKind

WHY_DROPPED = say("The engine drops what it does not know, without a word.")
WHY_REFUSED = say("The engine does not know it and refuses the whole template.")
_LINE_END = re.compile("\n")
_PICTURES = frozenset({"mj-image", "mj-carousel-image"})
_COMPONENTS = tuple(known.COMPONENT_ATTRIBUTES.values())


@dataclass(slots=True)
class AttributeChecks:
    """A source (``masked``: the same without its Liquid), what was found in it, and the mj-classes that it uses."""

    source: str
    masked: str
    findings: list[Finding] = field(default_factory=list)
    uses: list[tuple[str, Span]] = field(default_factory=list)
    line_starts: list[int] = field(default_factory=list)

    def attribute_of_any(self, tag: Tag, attribute: Attribute) -> None:
        """An attribute that is for any component: some has to know it."""
        kinds = [attributes[attribute.name] for attributes in _COMPONENTS if attribute.name in attributes]
        if not kinds and attribute.name not in known.EVERYWHERE and MASK not in self.written_as(attribute):
            self._unknown_attribute(tag, attribute, known.ALL_ATTRIBUTES)
        faults = [self._fault(attribute, kind) for kind in kinds]
        if faults and all(faults):
            self._wrong_value(tag, attribute, faults[0] or ("", ""))

    def attributes(self, tag: Tag, attributes: known.Attributes) -> None:
        """The attributes of a tag against those that its component has."""
        seen: set[str] = set()
        for attribute in tag.attributes:
            if MASK in self.written_as(attribute).partition("=")[0] or not attribute.name:
                continue
            if attribute.name in seen and MASK not in self.masked[tag.start : attribute.start]:
                self.tell(
                    "mjml-attribute-twice",
                    Span(attribute.start, attribute.start + len(attribute.name)),
                    say("%(tag)s has the attribute %(attribute)s twice", tag=tag.name, attribute=attribute.name),
                    say("Only one of them counts."),
                    say("Remove one."),
                )
            seen.add(attribute.name)
            if attribute.name == "mj-class":
                self._note_classes(attribute)
            elif attribute.name in attributes:
                fault = self._fault(attribute, attributes[attribute.name])
                if fault is not None:
                    self._wrong_value(tag, attribute, fault)
                else:
                    self._differences(tag, attribute)
            elif attribute.name not in known.EVERYWHERE:
                self._unknown_attribute(tag, attribute, attributes)

    def _differences(self, tag: Tag, attribute: Attribute) -> None:
        value = self.masked[attribute.value_start : attribute.value_end].strip()
        for message, next_step in differences_of(tag.name, attribute.name, value):
            self.tell(
                "mjml-differs",
                Span(attribute.start, attribute.end),
                message,
                say("The engine here and the official one write different HTML for it."),
                next_step,
                Severity.WARNING,
            )

    def _note_classes(self, attribute: Attribute) -> None:
        value = self.masked[attribute.value_start : attribute.value_end]
        if MASK in value:
            return
        position = 0
        for name in value.split():
            position = value.index(name, position)
            start = attribute.value_start + position
            self.uses.append((name, Span(start, start + len(name))))
            position += len(name)

    def whole(self, tag: Tag) -> None:
        """What a component lacks."""
        if any(MASK in self.written_as(attribute).partition("=")[0] for attribute in tag.attributes):
            return  # a branch may bring what is missing
        for required in known.REQUIRED.get(tag.name, ()):
            if not (self.value_of(tag, required.name) or "").strip():
                self.missing(tag, required)
        if tag.name == "mj-raw" and self.value_of(tag, "position") == "file-start":
            self.tell(
                "mjml-unsupported",
                Span(tag.start, tag.end),
                say("mj-raw at the file's start is not supported"),
                WHY_REFUSED,
                say("Nothing can stand before the document; remove it."),
            )
        if tag.name in _PICTURES and self.value_of(tag, "alt") is None:
            self.tell(
                "image-without-alt",
                Span(tag.start, tag.end),
                say("an image has no alternative text"),
                say("Many readers see mail with images off, and screen readers read the file's name instead."),
                say('Add alt="what the picture says", or alt="" where it only decorates.'),
                Severity.WARNING,
            )
        if tag.name == "mj-social-element":
            self._social_element(tag)

    def _social_element(self, tag: Tag) -> None:
        name = self.value_of(tag, "name")
        if not name or MASK in name or self.value_of(tag, "src"):
            return
        network = name.removesuffix("-noshare")
        if network not in known.SOCIAL_NETWORKS:
            near = nearest(network, known.SOCIAL_NETWORKS)
            self.tell(
                "mjml-unknown-network",
                name_span(tag),
                say("there is no icon for '%(name)s'", name=name[:40]),
                say("The element shows no picture."),
                _icon_step(near),
                Severity.WARNING,
            )

    def missing(self, tag: Tag, required: known.Required) -> None:
        """Tell that a required attribute is not there."""
        self.tell(
            "mjml-attribute-missing",
            name_span(tag),
            say("%(tag)s needs the attribute %(required)s", tag=tag.name, required=required.name),
            f"{required.why[0].upper()}{required.why[1:]}.",
            say('Write %(required)s="...".', required=required.name),
        )

    def _unknown_attribute(self, tag: Tag, attribute: Attribute, names: Iterable[str]) -> None:
        names = list(names)
        meant = known.REPLACED_NAMES.get(attribute.name, "")
        near = meant if meant in names or meant in known.EVERYWHERE else ""
        near = near or nearest(attribute.name, [*names, *known.EVERYWHERE])
        holders = [name for name, attributes in known.COMPONENT_ATTRIBUTES.items() if attribute.name in attributes]
        elsewhere = [say("It belongs to %(holders)s.", holders=", ".join(holders[:3]))] if holders else []
        self.tell(
            "mjml-unknown-attribute",
            Span(attribute.start, attribute.start + len(attribute.name)),
            say("%(tag)s has no attribute %(attribute)s", tag=tag.name, attribute=attribute.name),
            WHY_DROPPED,
            joined([say("Did you mean %(near)s?", near=near) if near else say("Remove it."), *elsewhere], " "),
        )

    def _fault(self, attribute: Attribute, kind: ValueKind) -> tuple[str, str] | None:
        value = self.masked[attribute.value_start : attribute.value_end]
        if MASK in value or MASK in self.written_as(attribute):
            return None
        return kind.fault(value)

    def _wrong_value(self, tag: Tag, attribute: Attribute, fault: tuple[str, str]) -> None:
        asked, near = fault
        value = self.source[attribute.value_start : attribute.value_end]
        self.tell(
            "mjml-value",
            Span(attribute.value_start, attribute.value_end) if value else Span(attribute.start, attribute.end),
            say(
                "'%(value)s' cannot be the %(attribute)s of %(tag)s",
                value=value[:60],
                attribute=attribute.name,
                tag=tag.name,
            ),
            say("The engine copies it into the HTML, where mail clients ignore it."),
            say("Did you mean %(near)s? It takes %(asked)s.", near=near, asked=asked)
            if near
            else say("It takes %(asked)s.", asked=asked),
        )

    def value_of(self, tag: Tag, name: str) -> str | None:
        """The value of an attribute, Liquid masked; ``None`` where the tag has none of that name."""
        for attribute in tag.attributes:
            if attribute.name == name:
                return self.masked[attribute.value_start : attribute.value_end]
        return None

    def written_as(self, attribute: Attribute) -> str:
        """Name and value as they stand, Liquid masked."""
        return self.masked[attribute.start : attribute.end]

    def tell(
        self, code: str, span: Span, message: str, why: str, next_step: str, severity: Severity = Severity.ERROR
    ) -> None:
        """Keep a finding with its line and column."""
        if not self.line_starts:
            self.line_starts += [0, *(match.end() for match in _LINE_END.finditer(self.source))]
        line = bisect_right(self.line_starts, span.start)
        column = span.start - self.line_starts[line - 1] + 1
        self.findings.append(Finding(code, severity, message, why, next_step, span=span, line=line, column=column))


def name_span(tag: Tag) -> Span:
    """The place of a tag's name."""
    return Span(tag.start, min(tag.end, tag.start + 1 + len(tag.name)))


def _icon_step(near: str) -> str:
    give = say("Give the icon's address in src.")
    return joined([say("Did you mean %(near)s?", near=near), give], " ") if near else give


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or an empty text."""
    return next(iter(difflib.get_close_matches(name[:60], sorted(names), 1, cutoff=0.7)), "")
