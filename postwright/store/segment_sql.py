"""A segment tree as SQL for SQLite and PostgreSQL; every value is bound.

It has to equal the plain reading in ``hygiene.segments.matching``. No leaf is ever NULL: each is a CASE with an ELSE,
an EXISTS, or compares what COALESCE has given a value. ``NOT`` is then what it says. What privacy modes keep from being
recorded is unknown in the tree: of each leaf there is what is known to be true and what is known to be false.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Select,
    and_,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from hygiene.segments.checking import kind_of
from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.fields import Kinds
from hygiene.segments.matching import TRACKED, Moment, needed
from hygiene.segments.tree import (
    ActivityAge,
    ActivityCount,
    ActivityKind,
    AgeOperator,
    AllOf,
    AnyOf,
    AttributeIs,
    ConsentAnswer,
    ConsentIs,
    ConsentReach,
    DomainIs,
    FieldIs,
    HasTag,
    InSegment,
    Joined,
    LeftOut,
    Node,
    NotThis,
    OnList,
    OpenedInARow,
    ProviderIs,
    ReceivedSince,
    leaves,
)
from mailtypes.clock import DAY
from mailtypes.saying import say
from postwright.store.field_sql import FieldValues, Truth
from postwright.store.records import table

_contact, _activity, _day = table("contact"), table("contact_activity"), table("contact_day")
_membership, _tagged, _consent = table("list_membership"), table("contact_tag"), table("consent_state")
_route, _destination = table("route"), table("destination")

_contact_too, _list = table("contact").alias("contact_too"), table("contact_list")

_Truths = tuple[Truth, Truth]
"""What is known to be true, and what is known to be false."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the names in a tree stand for in a workspace."""

    workspace_id: int
    lists: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, int] = field(default_factory=dict)
    kinds: Kinds = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes conditions on ``contact`` (and ``contact_activity``, joined from the left where ``needs_activity``)."""

    dialect: str
    catalogue: Catalogue
    moment: Moment

    def condition(self, node: Node, path: str = "$", *, holds: bool = True) -> Truth:
        """Whether the tree is known to be true (``holds``) or to be false, as one condition that is never NULL.

        Raises ``SegmentSyntaxError`` for names that stand for nothing.
        """
        if isinstance(node, AllOf | AnyOf):
            is_all = isinstance(node, AllOf)
            parts = self._parts(node.parts, f"{path}.{'all' if is_all else 'any'}", holds=holds)
            return and_(true(), *parts) if is_all is holds else or_(false(), *parts)
        if isinstance(node, LeftOut):
            inside = self.condition(node.part, f"{path}.not")
            return not_(inside) if holds else inside
        if isinstance(node, NotThis):
            return self.condition(node.part, f"{path}.not", holds=not holds)
        if isinstance(node, InSegment):
            raise TypeError(f"the segment {node.name} was not resolved")
        if isinstance(node, _OF_ACTIVITY):
            return _BEHAVIOUR[type(node)](self, node)[0 if holds else 1]
        found = _LEAVES[type(node)](self, node, path)
        return found if holds else not_(found)

    def _parts(self, parts: tuple[Node, ...], path: str, *, holds: bool) -> list[Truth]:
        return [self.condition(part, f"{path}[{place}]", holds=holds) for place, part in enumerate(parts)]

    def field(self, leaf: FieldIs, _path: str) -> Truth:
        """A merge field."""
        return FieldValues(self.dialect, self.moment).field(leaf, kind_of(leaf.name, self.catalogue.kinds))

    def attribute(self, leaf: AttributeIs, _path: str) -> Truth:
        """A column of the contact."""
        return FieldValues(self.dialect, self.moment).attribute(leaf)

    def on_list(self, leaf: OnList, path: str) -> Truth:
        """On a list."""
        list_id = _known(self.catalogue.lists, leaf.name, say("list"), f"{path}.list")
        return _there_is(_membership.c.list_id == list_id, _membership.c.contact_id == _contact.c.id)

    def tag(self, leaf: HasTag, path: str) -> Truth:
        """Carries a tag."""
        tag_id = _known(self.catalogue.tags, leaf.name, say("tag"), f"{path}.tag")
        workspace = _tagged.c.workspace_id == self.catalogue.workspace_id
        return _there_is(workspace, _tagged.c.tag_id == tag_id, _tagged.c.contact_id == _contact.c.id)

    def consent(self, leaf: ConsentIs, path: str) -> Truth:
        """The newest consent for a scope."""
        scope_id, place = 0, f"{path}.scope.{leaf.reach}"
        if leaf.reach is ConsentReach.LIST:
            scope_id = _known(self.catalogue.lists, leaf.name, say("list"), place)
        elif leaf.reach is ConsentReach.STREAM:
            scope_id = _known(self.catalogue.streams, leaf.name, say("stream"), place)
        entry = (
            _consent.c.workspace_id == self.catalogue.workspace_id,
            _consent.c.scope == str(leaf.reach),
            _consent.c.scope_id == scope_id,
            _consent.c.contact_id == _contact.c.id,
        )
        if leaf.answer is ConsentAnswer.NONE:
            return not_(_there_is(*entry))
        return _there_is(*entry, _consent.c.state == str(leaf.answer))

    def activity(self, leaf: ActivityCount) -> _Truths:
        """How often something happened."""
        count, is_negated = needed(leaf.operator, leaf.value)
        found = true() if count == 0 else self._happened(leaf, count)
        since = None if leaf.within_days is None else (self.moment.day - leaf.within_days + 1) * DAY
        absent = and_(not_(found), *self._recorded(leaf.kind, by_day=count == 1), *self._agreed_by(leaf.kind, since))
        return (absent, found) if is_negated else (found, absent)

    def _recorded(self, kind: ActivityKind, *, by_day: bool = False) -> list[Truth]:
        """That what would have happened is recorded; ``by_day``: the day of the last open tells it."""
        if kind not in TRACKED:
            return []
        tells = ("full", "last_open") if by_day and kind is ActivityKind.OPENED else ("full",)
        mine = (_contact_too.c.workspace_id == self.catalogue.workspace_id, _contact_too.c.tracking.is_not(None))
        people = select(_contact_too.c.id).where(*mine, _contact_too.c.tracking.not_in(tells))
        hidden = (_list.c.workspace_id == self.catalogue.workspace_id, _list.c.tracking.is_not(None))
        lists = select(_list.c.id).where(*hidden, _list.c.tracking.not_in(tells))
        on_them = select(_membership.c.contact_id).where(_membership.c.list_id.in_(lists))
        return [_contact.c.id.not_in(people), _contact.c.id.not_in(on_them)]

    def _agreed_by(self, kind: ActivityKind, since: int | None) -> list[Truth]:
        """That nobody who agreed to tracking only after ``since`` (or ever, where it is ``None``) is meant."""
        if kind not in TRACKED:
            return []
        mine = (_consent.c.workspace_id == self.catalogue.workspace_id, _consent.c.scope == "tracking")
        given = select(_consent.c.contact_id).where(*mine, _consent.c.scope_id == 0, _consent.c.state == "given")
        later = given if since is None else given.where(_consent.c.occurred_at > since)
        return [_contact.c.id.not_in(later)]

    def _happened(self, leaf: ActivityCount, count: int) -> Truth:
        total = func.coalesce(_activity.c[str(leaf.kind)], 0) >= count
        is_open = leaf.kind is ActivityKind.OPENED
        if leaf.within_days is None:
            return or_(total, _contact.c.last_open_day.is_not(None)) if is_open and count == 1 else total
        after = self.moment.day - leaf.within_days
        # A day has to lie behind ``after``: its moments are those from the day after it.
        last = func.coalesce(_activity.c[f"last_{leaf.kind}_at"], _NEVER) >= (after + 1) * DAY
        if count == 1:
            return or_(last, func.coalesce(_contact.c.last_open_day, _NEVER) > after) if is_open else last
        added = (
            select(func.coalesce(func.sum(_day.c[str(leaf.kind)]), 0))
            .where(_day.c.contact_id == _contact.c.id, _day.c.day > after)
            .scalar_subquery()
        )
        return and_(total, last, added >= count)

    def age(self, leaf: ActivityAge) -> _Truths:
        """When something last happened."""
        column, since = _activity.c[f"last_{leaf.kind}_at"], self.moment.days_ago(leaf.days)
        within: Truth = func.coalesce(column, _NEVER) >= since
        ever: Truth = column.is_not(None)
        if leaf.kind is ActivityKind.OPENED:
            first_day = -(-since // DAY)  # the first day that begins within
            within = or_(within, func.coalesce(_contact.c.last_open_day, _NEVER) >= first_day)
            ever = or_(ever, _contact.c.last_open_day.is_not(None))
        known = [*self._recorded(leaf.kind, by_day=True), *self._agreed_by(leaf.kind, since)]
        not_within = and_(not_(within), *known)
        if leaf.operator is AgeOperator.WITHIN_DAYS:
            return within, not_within
        return and_(ever, not_within), or_(within, and_(not_(ever), not_within))

    def since(self, leaf: ReceivedSince) -> _Truths:
        """Mails received since one was opened or clicked; what was not recorded would make them fewer."""
        count, is_negated = needed(leaf.operator, leaf.value)
        found = func.coalesce(_activity.c[f"received_since_{leaf.kind}"], 0) >= count
        surely = and_(found, *(self._recorded(leaf.kind) if count else ()))
        return (not_(found), surely) if is_negated else (surely, not_(found))

    def in_a_row(self, leaf: OpenedInARow) -> _Truths:
        """The newest mails were opened."""
        found = func.coalesce(_activity.c.opened_in_a_row, 0) >= leaf.value
        return found, and_(not_(found), *self._recorded(ActivityKind.OPENED))

    def joined(self, leaf: Joined, _path: str) -> Truth:
        """When the contact was added."""
        within = _contact.c.created_at >= self.moment.days_ago(leaf.days)
        return within if leaf.operator is AgeOperator.WITHIN_DAYS else not_(within)

    def domain(self, leaf: DomainIs, _path: str) -> Truth:
        """The address's domain."""
        return _contact.c.domain.in_(leaf.names)

    def provider(self, leaf: ProviderIs, _path: str) -> Truth:
        """Who runs the mail of the address's domain."""
        domains = (
            select(_route.c.domain)
            .join(_destination, _destination.c.id == _route.c.destination_id)
            .where(_route.c.workspace_id == self.catalogue.workspace_id, _destination.c.provider.in_(leaf.names))
        )
        return _contact.c.domain.in_(domains)


_NEVER = -(1 << 62)
_LEAVES: Mapping[type, Callable[[Compiler, Any, str], Truth]] = {
    FieldIs: Compiler.field,
    AttributeIs: Compiler.attribute,
    OnList: Compiler.on_list,
    HasTag: Compiler.tag,
    ConsentIs: Compiler.consent,
    Joined: Compiler.joined,
    DomainIs: Compiler.domain,
    ProviderIs: Compiler.provider,
}
_BEHAVIOUR: Mapping[type, Callable[[Compiler, Any], _Truths]] = {
    ActivityCount: Compiler.activity,
    ActivityAge: Compiler.age,
    ReceivedSince: Compiler.since,
    OpenedInARow: Compiler.in_a_row,
}
_OF_WIDE_ROWS = (FieldIs, AttributeIs)
"""What is not in the index ``ix_contact_segment``."""
_OF_ACTIVITY = (ActivityCount, ActivityAge, ReceivedSince, OpenedInARow)


def needs_activity(tree: Node) -> bool:
    """Whether the condition speaks of ``contact_activity``."""
    return any(isinstance(leaf, _OF_ACTIVITY) for _, leaf in leaves(tree))


def members(
    columns: Select[Any], dialect: str, catalogue: Catalogue, now: int, tree: Node, *, holds: bool = True
) -> Select[Any]:
    """``columns`` of the contacts that the tree is known to be true of, or (not ``holds``) known to be false of.

    Who is archived is in no segment.
    """
    condition = Compiler(dialect, catalogue, Moment(now)).condition(tree, holds=holds)
    source: Any = _contact
    if needs_activity(tree):
        source = _contact.outerjoin(_activity, _activity.c.contact_id == _contact.c.id)
    found = columns.select_from(source).where(
        _contact.c.workspace_id == catalogue.workspace_id, _contact.c.archived_at.is_(None), condition
    )
    if any(isinstance(leaf, _OF_WIDE_ROWS) for _, leaf in leaves(tree)):
        return found
    # Left to itself, SQLite goes through the wide rows as soon as a range of ids is asked for.
    return found.with_hint(_contact, "INDEXED BY ix_contact_segment", "sqlite")


def _there_is(*conditions: Truth) -> Truth:
    # "SELECT *", as ``exists()`` writes it, makes SQLite fetch the whole row where the index would do.
    return select(literal_column("1")).where(*conditions).exists()


def _known(names: Mapping[str, int], name: str, what: str, path: str) -> int:
    found = names.get(name)
    if found is None:
        raise SegmentSyntaxError(
            say("there is no %(what)s '%(name)s'", what=what, name=name),
            path=path,
            next_step=say("Write the name of a %(what)s that exists.", what=what),
        )
    return found
