"""A validator for MJML: tags, nesting, attributes and their values, each finding with its place and the nearest name.

The engine lets nearly everything pass and drops what it does not know, so a misspelt tag would only be missed by the
people who get the mail. The source is read with its Liquid masked: what a merge value or a branch puts into an
attribute is not judged. What the engine refuses outright is told by ``rendering.mjml_engine``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.links import mask_liquid
from rendering.lint.finding import Finding, Severity
from rendering.markup import MASK, Comment, RawText, Tag, Text, scan
from rendering.mjml import components as known
from rendering.mjml.attributes import WHY_DROPPED, WHY_REFUSED, AttributeChecks, name_span, nearest

_MAX_FINDINGS = 500
_DEFINITIONS = frozenset({"mj-all", "mj-class"})
_UNSUPPORTED = {
    "mj-html-attributes": say("Write the attributes on the tags themselves."),
    "mj-selector": say("Write the attributes on the tags themselves."),
    "mj-html-attribute": say("Write the attributes on the tags themselves."),
}


def validate_mjml(source: str) -> tuple[Finding, ...]:
    """All that is wrong with an MJML source, in the order of its places; at most 500 findings.

    Never raises, takes time in proportion to the length. ``error`` is what will not show as written, ``warning`` what
    shows otherwise than by the official engine or will be missed by some readers.
    """
    walk = _Walk(source, mask_liquid(source))
    walk.run()
    return tuple(sorted(walk.findings, key=lambda finding: finding.span.start if finding.span else 0)[:_MAX_FINDINGS])


@dataclass(slots=True)
class _Walk(AttributeChecks):
    """One pass over a source."""

    stack: list[Tag] = field(default_factory=list)
    classes: dict[str, Tag] = field(default_factory=dict)

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
            self.tell(
                "mjml-cdata",
                Span(comment.start, comment.start + 9),
                say("CDATA is not supported"),
                WHY_REFUSED,
                say("Write &lt; and &amp; instead."),
            )

    def _text(self, text: Text) -> None:
        written = self.masked[text.start : text.end]
        shown = written.replace(MASK, "").strip()
        parent = self._parent
        if not shown or parent not in _HOLDS_NO_TEXT:
            return
        start = text.start + written.index(shown[0])
        self.tell(
            "mjml-text-outside",
            Span(start, start + min(len(shown), text.end - start)),
            say("text directly in %(parent)s is not shown", parent=parent),
            WHY_DROPPED,
            say("Put it into an <mj-text>."),
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
            self.tell(
                "mjml-nesting",
                name_span(tag),
                say("%(tag)s cannot stand inside of %(holder)s", tag=tag.name, holder=holder),
                say("What is inside of it is HTML; the engine writes the tag out as it stands."),
                say("Close </%(holder)s> before it.", holder=holder),
            )
            return
        if tag.name in _UNSUPPORTED:
            self.tell(
                "mjml-unsupported",
                name_span(tag),
                say("%(tag)s is not supported", tag=tag.name),
                WHY_REFUSED,
                _UNSUPPORTED[tag.name],
            )
        elif self._parent == "mj-attributes":
            self._definition(tag)
        elif tag.name not in known.COMPONENT_ATTRIBUTES:
            self._unknown_tag(tag)
        else:
            self._nesting(tag)
            self.attributes(tag, known.COMPONENT_ATTRIBUTES[tag.name])
            self.whole(tag)
        if not tag.self_closing:
            self.stack.append(tag)

    def _html_holder(self) -> str | None:
        return self._parent if self._parent in known.HOLDS_HTML or self._parent in known.HOLDS_TEXT else None

    def _html_outside(self, tag: Tag) -> None:
        if self._parent not in _HOLDS_NO_TEXT:
            return
        self.tell(
            "mjml-html-outside",
            name_span(tag),
            say("<%(tag)s> cannot stand directly in %(parent)s", tag=tag.name, parent=self._parent),
            say("Components hold components; the engine drops HTML here or refuses the template."),
            say("Put it into an <mj-text>, or into an <mj-raw> where it has to stand alone."),
        )

    def _unknown_tag(self, tag: Tag) -> None:
        known_names = [*known.COMPONENT_ATTRIBUTES, *_DEFINITIONS]
        near = nearest(tag.name, known.CHILDREN.get(self._parent, ())) or nearest(tag.name, known_names)
        self.tell(
            "mjml-unknown-tag",
            name_span(tag),
            say("there is no component %(tag)s", tag=tag.name),
            WHY_DROPPED,
            say("Did you mean %(near)s?", near=near) if near else say("Remove it, or put plain HTML into an <mj-raw>."),
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
            where = " or ".join(f"<{place}>" for place in places) or say("nowhere else")
            self.tell(
                "mjml-nesting",
                name_span(tag),
                say("%(tag)s cannot stand directly in %(parent)s", tag=tag.name, parent=parent),
                say("The engine drops it, or writes HTML that mail clients lay out each in its own way."),
                say("Put it into %(where)s.", where=where),
            )
        elif allowed is None and parent in known.COMPONENT_ATTRIBUTES:
            self.tell(
                "mjml-nesting",
                name_span(tag),
                say("%(parent)s holds no components", parent=parent),
                WHY_DROPPED,
                say("Close <%(parent)s /> before it.", parent=parent),
            )

    def _definition(self, tag: Tag) -> None:
        """A tag inside of mj-attributes: defaults for a component, for all, or a class of them."""
        if tag.name in _DEFINITIONS:
            if tag.name == "mj-class":
                name = self.value_of(tag, "name")
                if name:
                    self.classes[name] = tag
                else:
                    self.missing(tag, known.Required("name", say("nothing can use a class without its name")))
            for attribute in tag.attributes:
                if tag.name == "mj-class" and attribute.name == "name":
                    continue
                self.attribute_of_any(tag, attribute)
        elif tag.name in known.COMPONENT_ATTRIBUTES:
            self.attributes(tag, known.COMPONENT_ATTRIBUTES[tag.name])
        else:
            self._unknown_tag(tag)

    def _undefined_classes(self) -> None:
        if MASK in "".join(self.classes) or any(isinstance(t, Tag) and t.name == "mj-include" for t in self._tags()):
            return
        for name, span in self.uses:
            if name not in self.classes:
                near = nearest(name, self.classes)
                self.tell(
                    "mjml-unknown-class",
                    span,
                    say("there is no mj-class named %(name)s", name=name),
                    say("It changes nothing."),
                    say("Did you mean %(near)s?", near=near)
                    if near
                    else say('Define it: <mj-attributes><mj-class name="..." /></mj-attributes>.'),
                    Severity.WARNING,
                )

    def _tags(self) -> Iterator[object]:
        if self.uses and "mj-include" in self.masked:
            yield from scan(self.masked, conditional=False)


_HOLDS_NO_TEXT = frozenset(known.COMPONENT_ATTRIBUTES) - known.HOLDS_HTML - known.HOLDS_TEXT
