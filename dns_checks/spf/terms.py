"""The terms of a record as values (RFC 7208 sections 5 and 6), each with the place where it stands."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from dns_checks.spf.macros import MacroString
from mailtypes.errors import Span


class Qualifier(StrEnum):
    """What a match of the mechanism means (section 4.6.2)."""

    PASS = "+"  # noqa: S105 - a qualifier of SPF
    FAIL = "-"
    SOFTFAIL = "~"
    NEUTRAL = "?"


@dataclass(frozen=True, slots=True)
class DualPrefix:
    """How many leading bits of an address count, for each family (section 5.3)."""

    ip4: int = 32
    ip6: int = 128


@dataclass(frozen=True, slots=True)
class All:
    """``all``: matches always (section 5.1)."""


@dataclass(frozen=True, slots=True)
class Include:
    """``include``: matches where the other domain's record says ``pass`` (section 5.2)."""

    domain: MacroString


@dataclass(frozen=True, slots=True)
class A:
    """``a``: matches an address of the domain (section 5.3); the current domain where ``domain`` is ``None``."""

    domain: MacroString | None
    prefix: DualPrefix


@dataclass(frozen=True, slots=True)
class Mx:
    """``mx``: matches an address of a mail host of the domain (section 5.4)."""

    domain: MacroString | None
    prefix: DualPrefix


@dataclass(frozen=True, slots=True)
class Ptr:
    """``ptr``: matches a validated name of the client within the domain (section 5.5, "do not use")."""

    domain: MacroString | None


@dataclass(frozen=True, slots=True)
class Ip4:
    """``ip4``: matches an IPv4 network (section 5.6)."""

    network: IPv4Network


@dataclass(frozen=True, slots=True)
class Ip6:
    """``ip6``: matches an IPv6 network (section 5.6)."""

    network: IPv6Network


@dataclass(frozen=True, slots=True)
class Exists:
    """``exists``: matches where the domain has an A record (section 5.7)."""

    domain: MacroString


Mechanism: TypeAlias = All | Include | A | Mx | Ptr | Ip4 | Ip6 | Exists


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism with its qualifier, as it stands in the record (``text`` at ``span``)."""

    text: str
    span: Span
    qualifier: Qualifier
    mechanism: Mechanism


@dataclass(frozen=True, slots=True)
class Redirect:
    """``redirect=``: the record to use where no mechanism matches (section 6.1)."""

    text: str
    span: Span
    domain: MacroString


@dataclass(frozen=True, slots=True)
class Explanation:
    """``exp=``: where the text for a ``fail`` is (section 6.2)."""

    text: str
    span: Span
    domain: MacroString


@dataclass(frozen=True, slots=True)
class UnknownModifier:
    """Any other ``name=value``; it changes nothing (section 6)."""

    text: str
    span: Span
    name: str
    value: MacroString


Term: TypeAlias = Directive | Redirect | Explanation | UnknownModifier


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record (``source``, one character for each octet) with its terms in the order written."""

    source: str
    terms: tuple[Term, ...]

    @property
    def directives(self) -> tuple[Directive, ...]:
        """The mechanisms with their qualifiers."""
        return tuple(term for term in self.terms if isinstance(term, Directive))

    @property
    def redirect(self) -> Redirect | None:
        """The ``redirect`` modifier."""
        return next((term for term in self.terms if isinstance(term, Redirect)), None)

    @property
    def explanation(self) -> Explanation | None:
        """The ``exp`` modifier."""
        return next((term for term in self.terms if isinstance(term, Explanation)), None)
