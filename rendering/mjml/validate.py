"""A validator for MJML: tags, nesting, attributes and their values, each finding with its place and the nearest name.

The engine lets nearly everything pass and drops what it does not know, so a misspelt tag would only be missed by the
people who get the mail. The source is read with its Liquid masked: what a merge value or a branch puts into an
attribute is not judged. What the engine refuses outright is told by ``rendering.mjml_engine``.
"""

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mailtypes.errors import Span
from rendering.links import mask_liquid
from rendering.lint.finding import Finding, Severity
from rendering.markup import MASK, Attribute, Comment, RawText, Tag, Text, scan
from rendering.mjml import components as known
from rendering.mjml.differences import differences_of
from rendering.mjml.values import ValueKind

_MAX_FINDINGS = 500
_LINE_END = re.compile("\n")
_DEFINITIONS = frozenset({"mj-all", "mj-class"})
_WHY_DROPPED = "The engine drops what it does not know, without a word."
_WHY_REFUSED = "The engine does not know it and refuses the whole template."
_UNSUPPORTED = {
    "mj-html-attributes": "Write the attributes on the tags themselves.",
    "mj-selector": "Write the attributes on the tags themselves.",
    "mj-html-attribute": "Write the attributes on the tags themselves.",
}
_PICTURES = frozenset({"mj-image", "mj-carousel-image"})


def validate_mjml(source: str) -> tuple[Finding, ...]:
    """All that is wrong with an MJML source, in the order of its places; at most 500 findings.

    Never raises, takes time in proportion to the length. ``error`` is what will not show as written, ``warning`` what
    shows otherwise than by the official engine or will be missed by some readers.
    """
    walk = _Walk(source, mask_liquid(source))
    walk.run()
    return tuple(sorted(walk.findings, key=lambda finding: finding.span.start if finding.span else 0)[:_MAX_FINDINGS])


@dataclass(slots=True)
class _Walk:
    """One pass over a source."""

    source: str
    masked: str
    findings: list[Finding] = field(default_factory=list)
    stack: list[Tag] = field(default_factory=list)
    classes: dict[str, Tag] = field(default_factory=dict)
    uses: list[tuple[str, Span]] = field(default_factory=list)
    line_starts: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Read the source to its end."""
        for item in scan(self.masked, conditional=False):
            if len(self.findings) >= _MAX_FINDINGS:
                break
            if isinstance(item, Comment):
                self._comment(item)
            elif isinstance(item, Text):
                self._text(item)
            elif isinstance(item, Tag) and item.closing:
                self._close(item)
            elif isinstance(item, Tag):
                self._open(item)
            else:
                self._raw(item)
        self._undefined_classes()

    @property
    def _parent(self) -> str:
        return self.stack[-1].name if self.stack else ""

    def _raw(self, _: RawText) -> None:
        """CSS is no matter of MJML."""

    def _comment(self, comment: Comment) -> None:
        if self.masked.startswith("<![CDATA[", comment.start):
            self._say(
                "mjml-cdata",
                Span(comment.start, comment.start + 9),
                "CDATA is not supported",
                _WHY_REFUSED,
                "Write &lt; and &amp; instead.",
            )

    def _text(self, text: Text) -> None:
        written = self.masked[text.start : text.end]
        shown = written.replace(MASK, "").strip()
        parent = self._parent
        if not shown or parent not in _HOLDS_NO_TEXT:
            return
        start = text.start + written.index(shown[0])
        self._say(
            "mjml-text-outside",
            Span(start, start + min(len(shown), text.end - start)),
            f"text directly in {parent} is not shown",
            _WHY_DROPPED,
            "Put it into an <mj-text>.",
        )

    def _close(self, tag: Tag) -> None:
        names = [one.name for one in self.stack]
        if tag.name in names:
            while self.stack.pop().name != tag.name:
                pass

    def _open(self, tag: Tag) -> None:
        holder = self._html_holder()
        if not tag.name.startswith("mj"):
            if holder is None:
                self._html_outside(tag)
            return
        if holder is not None:
            self._say(
                "mjml-nesting",
                _name_span(tag),
                f"{tag.name} cannot stand inside of {holder}",
                "What is inside of it is HTML; the engine writes the tag out as it stands.",
                f"Close </{holder}> before it.",
            )
            return
        if tag.name in _UNSUPPORTED:
            self._say(
                "mjml-unsupported",
                _name_span(tag),
                f"{tag.name} is not supported",
                _WHY_REFUSED,
                _UNSUPPORTED[tag.name],
            )
        elif self._parent == "mj-attributes":
            self._definition(tag)
        elif tag.name not in known.COMPONENT_ATTRIBUTES:
            self._unknown_tag(tag)
        else:
            self._nesting(tag)
            self._attributes(tag, known.COMPONENT_ATTRIBUTES[tag.name])
            self._whole(tag)
        if not tag.self_closing:
            self.stack.append(tag)

    def _html_holder(self) -> str | None:
        return self._parent if self._parent in known.HOLDS_HTML or self._parent in known.HOLDS_TEXT else None

    def _html_outside(self, tag: Tag) -> None:
        if self._parent not in _HOLDS_NO_TEXT:
            return
        self._say(
            "mjml-html-outside",
            _name_span(tag),
            f"<{tag.name}> cannot stand directly in {self._parent}",
            "Components hold components; the engine drops HTML here or refuses the template.",
            "Put it into an <mj-text>, or into an <mj-raw> where it has to stand alone.",
        )

    def _unknown_tag(self, tag: Tag) -> None:
        known_names = [*known.COMPONENT_ATTRIBUTES, *_DEFINITIONS]
        near = _nearest(tag.name, known.CHILDREN.get(self._parent, ())) or _nearest(tag.name, known_names)
        self._say(
            "mjml-unknown-tag",
            _name_span(tag),
            f"there is no component {tag.name}",
            _WHY_DROPPED,
            f"Did you mean {near}?" if near else "Remove it, or put plain HTML into an <mj-raw>.",
        )

    def _nesting(self, tag: Tag) -> None:
        parent = self._parent
        allowed = known.CHILDREN.get(parent)
        if tag.name == "mj-include" or (not parent and tag.name == "mjml"):
            return
        if not parent:
            return  # a part that other templates include begins anywhere
        if allowed is not None and tag.name not in allowed:
            places = sorted(holder for holder, children in known.CHILDREN.items() if tag.name in children)
            where = " or ".join(f"<{place}>" for place in places) or "nowhere else"
            self._say(
                "mjml-nesting",
                _name_span(tag),
                f"{tag.name} cannot stand directly in {parent}",
                "The engine drops it, or writes HTML that mail clients lay out each in its own way.",
                f"Put it into {where}.",
            )
        elif allowed is None and parent in known.COMPONENT_ATTRIBUTES:
            self._say(
                "mjml-nesting",
                _name_span(tag),
                f"{parent} holds no components",
                _WHY_DROPPED,
                f"Close <{parent} /> before it.",
            )

    def _definition(self, tag: Tag) -> None:
        """A tag inside of mj-attributes: defaults for a component, for all, or a class of them."""
        if tag.name in _DEFINITIONS:
            if tag.name == "mj-class":
                name = self._value(tag, "name")
                if name:
                    self.classes[name] = tag
                else:
                    self._missing(tag, known.Required("name", "nothing can use a class without its name"))
            for attribute in tag.attributes:
                if tag.name == "mj-class" and attribute.name == "name":
                    continue
                self._attribute_of_any(tag, attribute)
        elif tag.name in known.COMPONENT_ATTRIBUTES:
            self._attributes(tag, known.COMPONENT_ATTRIBUTES[tag.name])
        else:
            self._unknown_tag(tag)

    def _attribute_of_any(self, tag: Tag, attribute: Attribute) -> None:
        kinds = [attributes[attribute.name] for attributes in _COMPONENTS if attribute.name in attributes]
        if not kinds and attribute.name not in known.EVERYWHERE and MASK not in self._written(attribute):
            self._unknown_attribute(tag, attribute, known.ALL_ATTRIBUTES)
        faults = [self._fault(attribute, kind) for kind in kinds]
        if faults and all(faults):
            self._wrong_value(tag, attribute, faults[0] or ("", ""))

    def _attributes(self, tag: Tag, attributes: known.Attributes) -> None:
        seen: set[str] = set()
        for attribute in tag.attributes:
            if MASK in self._written(attribute).partition("=")[0] or not attribute.name:
                continue
            if attribute.name in seen and MASK not in self.masked[tag.start : attribute.start]:
                self._say(
                    "mjml-attribute-twice",
                    Span(attribute.start, attribute.start + len(attribute.name)),
                    f"{tag.name} has the attribute {attribute.name} twice",
                    "Only one of them counts.",
                    "Remove one.",
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
            self._say(
                "mjml-differs",
                Span(attribute.start, attribute.end),
                message,
                "The engine here and the official one write different HTML for it.",
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

    def _undefined_classes(self) -> None:
        if MASK in "".join(self.classes) or any(isinstance(t, Tag) and t.name == "mj-include" for t in self._tags()):
            return
        for name, span in self.uses:
            if name not in self.classes:
                near = _nearest(name, self.classes)
                self._say(
                    "mjml-unknown-class",
                    span,
                    f"there is no mj-class named {name}",
                    "It changes nothing.",
                    f"Did you mean {near}?"
                    if near
                    else 'Define it: <mj-attributes><mj-class name="..." /></mj-attributes>.',
                    Severity.WARNING,
                )

    def _tags(self) -> Iterator[object]:
        if self.uses and "mj-include" in self.masked:
            yield from scan(self.masked, conditional=False)

    def _whole(self, tag: Tag) -> None:
        """What a component lacks."""
        if any(MASK in self._written(attribute).partition("=")[0] for attribute in tag.attributes):
            return  # a branch may bring what is missing
        for required in known.REQUIRED.get(tag.name, ()):
            if not (self._value(tag, required.name) or "").strip():
                self._missing(tag, required)
        if tag.name == "mj-raw" and self._value(tag, "position") == "file-start":
            self._say(
                "mjml-unsupported",
                Span(tag.start, tag.end),
                "mj-raw at the file's start is not supported",
                _WHY_REFUSED,
                "Nothing can stand before the document; remove it.",
            )
        if tag.name in _PICTURES and self._value(tag, "alt") is None:
            self._say(
                "image-without-alt",
                Span(tag.start, tag.end),
                "an image has no alternative text",
                "Many readers see mail with images off, and screen readers read the file's name instead.",
                'Add alt="what the picture says", or alt="" where it only decorates.',
                Severity.WARNING,
            )
        if tag.name == "mj-social-element":
            self._social_element(tag)

    def _social_element(self, tag: Tag) -> None:
        name = self._value(tag, "name")
        if not name or MASK in name or self._value(tag, "src"):
            return
        network = name.removesuffix("-noshare")
        if network not in known.SOCIAL_NETWORKS:
            near = _nearest(network, known.SOCIAL_NETWORKS)
            self._say(
                "mjml-unknown-network",
                _name_span(tag),
                f"there is no icon for '{name[:40]}'",
                "The element shows no picture.",
                f"Did you mean {near}? " * bool(near) + "Give the icon's address in src.",
                Severity.WARNING,
            )

    def _missing(self, tag: Tag, required: known.Required) -> None:
        self._say(
            "mjml-attribute-missing",
            _name_span(tag),
            f"{tag.name} needs the attribute {required.name}",
            f"{required.why[0].upper()}{required.why[1:]}.",
            f'Write {required.name}="...".',
        )

    def _unknown_attribute(self, tag: Tag, attribute: Attribute, names: Iterable[str]) -> None:
        names = list(names)
        meant = known.REPLACED_NAMES.get(attribute.name, "")
        near = meant if meant in names or meant in known.EVERYWHERE else ""
        near = near or _nearest(attribute.name, [*names, *known.EVERYWHERE])
        holders = [name for name, attributes in known.COMPONENT_ATTRIBUTES.items() if attribute.name in attributes]
        elsewhere = f" It belongs to {', '.join(holders[:3])}." if holders else ""
        self._say(
            "mjml-unknown-attribute",
            Span(attribute.start, attribute.start + len(attribute.name)),
            f"{tag.name} has no attribute {attribute.name}",
            _WHY_DROPPED,
            (f"Did you mean {near}?" if near else "Remove it.") + elsewhere,
        )

    def _fault(self, attribute: Attribute, kind: ValueKind) -> tuple[str, str] | None:
        value = self.masked[attribute.value_start : attribute.value_end]
        if MASK in value or MASK in self._written(attribute):
            return None
        return kind.fault(value)

    def _wrong_value(self, tag: Tag, attribute: Attribute, fault: tuple[str, str]) -> None:
        asked, near = fault
        value = self.source[attribute.value_start : attribute.value_end]
        self._say(
            "mjml-value",
            Span(attribute.value_start, attribute.value_end) if value else Span(attribute.start, attribute.end),
            f"'{value[:60]}' cannot be the {attribute.name} of {tag.name}",
            "The engine copies it into the HTML, where mail clients ignore it.",
            f"Did you mean {near}? It takes {asked}." if near else f"It takes {asked}.",
        )

    def _value(self, tag: Tag, name: str) -> str | None:
        for attribute in tag.attributes:
            if attribute.name == name:
                return self.masked[attribute.value_start : attribute.value_end]
        return None

    def _written(self, attribute: Attribute) -> str:
        return self.masked[attribute.start : attribute.end]

    def _say(
        self, code: str, span: Span, message: str, why: str, next_step: str, severity: Severity = Severity.ERROR
    ) -> None:
        if not self.line_starts:
            self.line_starts += [0, *(match.end() for match in _LINE_END.finditer(self.source))]
        line = bisect_right(self.line_starts, span.start)
        column = span.start - self.line_starts[line - 1] + 1
        self.findings.append(Finding(code, severity, message, why, next_step, span=span, line=line, column=column))


_HOLDS_NO_TEXT = frozenset(known.COMPONENT_ATTRIBUTES) - known.HOLDS_HTML - known.HOLDS_TEXT
_COMPONENTS = tuple(known.COMPONENT_ATTRIBUTES.values())


def _name_span(tag: Tag) -> Span:
    return Span(tag.start, min(tag.end, tag.start + 1 + len(tag.name)))


def _nearest(name: str, names: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name[:60], sorted(names), 1, cutoff=0.7)), "")
