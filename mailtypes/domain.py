"""Domain names as mail uses them: kept as A-labels, shown as U-labels (RFC 5890, RFC 5891, UTS 46)."""

import re
from dataclasses import dataclass

import idna

from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_MAX_NAME_OCTETS = 253  # RFC 1035 section 2.3.4: 255 octets on the wire are 253 in text


class DomainSyntaxError(InputSyntaxError):
    """A text that is not a domain name."""


@dataclass(frozen=True, slots=True, order=True)
class DomainName:
    """A domain name in lower-case A-labels without the trailing dot, for instance ``xn--4dbrk0ce.test``.

    Underscores are allowed in labels, since service names such as ``_dmarc`` need them.
    """

    ascii: str

    @classmethod
    def parse(cls, text: str) -> "DomainName":
        """Read a name in A-labels or U-labels, with or without a trailing dot; raise ``DomainSyntaxError``."""
        name = text.strip().removesuffix(".")
        if not name:
            raise DomainSyntaxError(
                say("the domain is empty"), source=text, next_step=say("Write a name such as example.com.")
            )
        ascii_name = name.lower() if name.isascii() else _to_a_labels(text, name)
        if len(ascii_name) > _MAX_NAME_OCTETS:
            raise DomainSyntaxError(
                say(
                    "the domain is %(count)s octets long, at most %(max_name_octets)s are allowed",
                    count=len(ascii_name),
                    max_name_octets=_MAX_NAME_OCTETS,
                ),
                source=text,
            )
        for label in ascii_name.split("."):
            if not _LABEL.match(label):
                raise _bad_label(text, label)
        return cls(ascii_name)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels from left to right, as A-labels."""
        return tuple(self.ascii.split("."))

    @property
    def parent(self) -> "DomainName | None":
        """The name without its first label, or ``None`` for a single label."""
        _, _, rest = self.ascii.partition(".")
        return DomainName(rest) if rest else None

    @property
    def unicode(self) -> str:
        """The name as people write it; the A-labels where they decode to nothing valid."""
        try:
            return idna.decode(self.ascii)
        except (idna.IDNAError, UnicodeError):
            return self.ascii

    def is_within(self, ancestor: "DomainName") -> bool:
        """Whether this name equals ``ancestor`` or lies below it."""
        return self == ancestor or self.ascii.endswith("." + ancestor.ascii)

    def __str__(self) -> str:
        return self.ascii


def _to_a_labels(source: str, name: str) -> str:
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise DomainSyntaxError(
            say("not an internationalized domain name: %(error)s", error=error),
            source=source,
            span=Span(0, len(source)),
            next_step=say("Check the letters of each label; letters of several scripts may not be mixed freely."),
        ) from error


def _bad_label(source: str, label: str) -> DomainSyntaxError:
    start = max(0, source.lower().find(label)) if label else max(0, source.find(".."))
    if not label:
        return DomainSyntaxError(
            say("the domain has an empty label"),
            source=source,
            span=Span(start, min(start + 2, len(source))),
            next_step=say("Remove the doubled, leading or trailing dot."),
        )
    return DomainSyntaxError(
        say("'%(label)s' is not a label of a domain name", label=label),
        source=source,
        span=Span(start, min(start + len(label), len(source))),
        next_step=say("A label has 1 to 63 letters, digits or hyphens and neither begins nor ends with a hyphen."),
    )
