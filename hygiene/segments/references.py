"""Segments within segments: put their trees in their places, and find those that contain themselves."""

from collections.abc import Callable
from typing import Final

from hygiene.segments.errors import SegmentCycleError, SegmentSyntaxError
from hygiene.segments.tree import (
    AllOf,
    AnyOf,
    AttributeIs,
    DomainIs,
    FieldIs,
    InSegment,
    Leaf,
    Node,
    NotThis,
    ProviderIs,
    leaves,
)
from mailtypes.saying import say

MOST_LEAVES: Final = 500
"""SQLite takes an expression of 1,000 terms at most."""
MOST_VALUES: Final = 10_000
"""Of all lists of values together; PostgreSQL takes 65,535 parameters, SQLite 32,766."""
_DEEPEST = 12  # segments within segments

Lookup = Callable[[str], Node | None]
"""The tree of the stored segment of that name."""


def segments_in(tree: Node) -> set[str]:
    """The names of the segments that a tree refers to itself."""
    return {leaf.name for _, leaf in leaves(tree) if isinstance(leaf, InSegment)}


def resolve(tree: Node, lookup: Lookup, *, name: str | None = None) -> Node:
    """The tree with all segments put in; ``name`` is its own, where it is stored or about to be.

    Raises ``SegmentSyntaxError`` for a segment that does not exist, and for what grows too large, and
    ``SegmentCycleError`` for one that contains itself.
    """
    return _Resolver(lookup).put_in(tree, "$", () if name is None else (name,))


class _Resolver:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._leaves = 0
        self._values = 0

    def put_in(self, node: Node, path: str, within: tuple[str, ...]) -> Node:
        if isinstance(node, AllOf | AnyOf):
            word = "all" if isinstance(node, AllOf) else "any"
            parts = (self.put_in(part, f"{path}.{word}[{place}]", within) for place, part in enumerate(node.parts))
            return type(node)(tuple(parts))
        if isinstance(node, NotThis):
            return type(node)(self.put_in(node.part, f"{path}.not", within))
        self._leaves += 1
        self._values += _size(node)
        if self._leaves > MOST_LEAVES or self._values > MOST_VALUES or len(within) > _DEEPEST:
            raise SegmentSyntaxError(
                say("with the segments in it the tree is too large"),
                path=path,
                next_step=say(
                    "Use at most %(most_leaves)s conditions with %(most_values)s values in all,"
                    " and segments at most %(deepest)s deep.",
                    most_leaves=MOST_LEAVES,
                    most_values=MOST_VALUES,
                    deepest=_DEEPEST,
                ),
            )
        return self._segment(node, path, within) if isinstance(node, InSegment) else node

    def _segment(self, node: InSegment, path: str, within: tuple[str, ...]) -> Node:
        if node.name in within:
            chain = " > ".join((*within[within.index(node.name) :], node.name))
            raise SegmentCycleError(
                say("the segment contains itself: %(chain)s", chain=chain),
                path=f"{path}.segment",
                next_step=say("Take one of them out."),
            )
        tree = self._lookup(node.name)
        if tree is None:
            raise SegmentSyntaxError(
                say("there is no segment '%(name)s'", name=node.name),
                path=f"{path}.segment",
                next_step=say("Write the name of a stored segment."),
            )
        return self.put_in(tree, f"{path}.segment", (*within, node.name))


def _size(leaf: Leaf) -> int:
    if isinstance(leaf, DomainIs | ProviderIs):
        return len(leaf.names)
    return len(leaf.value) if isinstance(leaf, FieldIs | AttributeIs) and isinstance(leaf.value, tuple) else 1
