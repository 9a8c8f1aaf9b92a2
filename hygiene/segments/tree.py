"""The nodes of a segment tree. ``hygiene.segments.parse`` makes them from JSON and checks what they may hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class FieldOperator(StrEnum):
    """How a field, or something else of a contact, is compared."""

    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    BEFORE = "before"
    AFTER = "after"
    WITHIN_DAYS = "within_days"
    IN_NEXT_DAYS = "in_next_days"
    IS_SET = "is_set"


class ContactAttribute(StrEnum):
    """What every contact has or may have beside its fields."""

    ADDRESS = "address"
    LOCALE = "locale"
    TIME_ZONE = "time_zone"
    TRACKING = "tracking"


class ActivityKind(StrEnum):
    """What a contact got, or did as a person."""

    RECEIVED = "received"
    OPENED = "opened"
    CLICKED = "clicked"
    ACTED = "acted"


class AmountOperator(StrEnum):
    """How a number is compared; ``none`` is at most 0."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    NONE = "none"


class AgeOperator(StrEnum):
    """Whether a moment lies in the last days, or before them."""

    WITHIN_DAYS = "within_days"
    BEFORE_DAYS = "before_days"


class ConsentAnswer(StrEnum):
    """The newest consent of a contact for a scope; ``none`` where there never was any."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    PENDING = "pending"
    NONE = "none"


class ConsentReach(StrEnum):
    """What a consent is about."""

    ALL = "all"
    STREAM = "stream"
    LIST = "list"


Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every part is; where there is none, true."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where a part is; where there is none, false."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class NotThis:
    """True where the part is false."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class LeftOut(NotThis):
    """True unless the part is known to be true: how an audience leaves people out. Stored trees have none of it."""


@dataclass(frozen=True, slots=True)
class FieldIs:
    """A merge field. Whoever has no value meets ``is_not``, and no other operator."""

    name: str
    operator: FieldOperator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class AttributeIs:
    """Something that every contact may have; text operators only."""

    attribute: ContactAttribute
    operator: FieldOperator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class OnList:
    """On the list of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class HasTag:
    """Carries the tag of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class ConsentIs:
    """The newest entry for exactly this scope; ``name`` is the stream's or the list's."""

    answer: ConsentAnswer
    reach: ConsentReach
    name: str = ""


@dataclass(frozen=True, slots=True)
class ActivityCount:
    """How many mails were received, opened, clicked or acted upon; in the last ``within_days`` days, or ever."""

    kind: ActivityKind
    operator: AmountOperator
    value: int
    within_days: int | None = None


@dataclass(frozen=True, slots=True)
class ActivityAge:
    """When something last happened. Who never did it is neither within nor before."""

    kind: ActivityKind
    operator: AgeOperator
    days: int


@dataclass(frozen=True, slots=True)
class ReceivedSince:
    """How many mails were received since one was opened or clicked (since the first, where none was)."""

    kind: ActivityKind
    operator: AmountOperator
    value: int


@dataclass(frozen=True, slots=True)
class OpenedInARow:
    """The newest mails, at least so many, were all opened; the newest itself may still be unread."""

    value: int


@dataclass(frozen=True, slots=True)
class Joined:
    """When the contact was added."""

    operator: AgeOperator
    days: int


@dataclass(frozen=True, slots=True)
class DomainIs:
    """The address is at one of these domains (A-labels, lower case)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderIs:
    """The mail of the address's domain is run by one of these providers, as far as its routes tell."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InSegment:
    """In the stored segment of that name; ``hygiene.segments.references`` puts its tree here."""

    name: str


Leaf: TypeAlias = (
    FieldIs
    | AttributeIs
    | OnList
    | HasTag
    | ConsentIs
    | ActivityCount
    | ActivityAge
    | ReceivedSince
    | OpenedInARow
    | Joined
    | DomainIs
    | ProviderIs
    | InSegment
)
Node: TypeAlias = AllOf | AnyOf | NotThis | Leaf


def leaves(node: Node, path: str = "$") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with its JSON path."""
    if isinstance(node, AllOf | AnyOf):
        word = "all" if isinstance(node, AllOf) else "any"
        for number, part in enumerate(node.parts):
            yield from leaves(part, f"{path}.{word}[{number}]")
    elif isinstance(node, NotThis):
        yield from leaves(node.part, f"{path}.not")
    else:
        yield path, node
