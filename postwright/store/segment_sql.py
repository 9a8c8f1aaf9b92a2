"""A segment tree as SQL for SQLite and PostgreSQL; every value is bound.

It has to equal the plain reading in ``hygiene.segments.matching``. SQL knows three truths and the tree two, so no
leaf is ever NULL: each is a CASE with an ELSE, an EXISTS, or compares what COALESCE has given a value. ``NOT`` is
then what it says.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from hygiene.segments.checking import kind_of
from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.fields import FieldKind, Kinds
from hygiene.segments.matching import Moment, folded, needed
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
    FieldOperator,
    HasTag,
    InSegment,
    Joined,
    Node,
    NotThis,
    OnList,
    OpenedInARow,
    ProviderIs,
    ReceivedSince,
    Scalar,
    leaves,
)
from mailtypes.clock import DAY
from postwright.store.records import table

_contact, _activity, _day = table("contact"), table("contact_activity"), table("contact_day")
_membership, _tagged, _consent = table("list_membership"), table("contact_tag"), table("consent_state")
_route, _destination = table("route"), table("destination")

Truth = ColumnElement[bool]


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

    def condition(self, node: Node, path: str = "$") -> Truth:
        """The tree as one condition, never NULL; raises ``SegmentSyntaxError`` for names that stand for nothing."""
        if isinstance(node, AllOf):
            return and_(true(), *self._parts(node.parts, f"{path}.all"))
        if isinstance(node, AnyOf):
            return or_(false(), *self._parts(node.parts, f"{path}.any"))
        if isinstance(node, NotThis):
            return not_(self.condition(node.part, f"{path}.not"))
        if isinstance(node, InSegment):
            raise TypeError(f"the segment {node.name} was not resolved")
        return _LEAVES[type(node)](self, node, path)

    def _parts(self, parts: tuple[Node, ...], path: str) -> list[Truth]:
        return [self.condition(part, f"{path}[{place}]") for place, part in enumerate(parts)]

    def field(self, leaf: FieldIs, _path: str) -> Truth:
        """A merge field, where what is stored is of the field's kind."""
        kind = kind_of(leaf.name, self.catalogue.kinds)
        stored = self._stored(leaf.name)
        found = self._compared(kind, leaf.operator, self._typed(kind, stored), leaf.value)
        needle = leaf.value
        is_quick = kind in (FieldKind.TEXT, FieldKind.CHOICE) and leaf.operator in _TEXT_IS_IN_IT
        if self.dialect == "sqlite" and is_quick and isinstance(needle, str) and _PLAIN.fullmatch(needle):
            # Where the text does not stand in the JSON at all, SQLite need not read it: half the time of a count.
            return and_(_contact.c.fields.like(f"%{needle}%"), found)
        return found

    def _stored(self, name: str) -> tuple[ColumnElement[str], ColumnElement[Any]]:
        """The JSON type of a field and its value."""
        if self.dialect == "postgresql":
            document = cast(_contact.c.fields, JSONB)
            kind = func.jsonb_typeof(func.jsonb_extract_path(document, name))
            return kind, func.jsonb_extract_path_text(document, name)
        path = f'$."{name}"'
        return func.json_type(_contact.c.fields, path), func.json_extract(_contact.c.fields, path)

    def _typed(
        self, kind: FieldKind, stored: tuple[ColumnElement[str], ColumnElement[Any]]
    ) -> tuple[Truth, ColumnElement[Any]]:
        """Whether there is a value of the kind, and the value as it is compared."""
        json_type, value = stored
        if kind is FieldKind.YES_NO:
            return json_type.in_(("true", "false", "boolean")), self._as_truth(value)
        if kind in (FieldKind.NUMBER, FieldKind.RATING):
            return json_type.in_(("integer", "real", "number")), cast(value, Double)
        is_text = json_type.in_(("text", "string"))
        if kind is FieldKind.DATE:
            return and_(is_text, self._looks_like_date(value)), self._plain(value)
        return and_(is_text, value != ""), self._folded(value)

    def _as_truth(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        # json_extract gives 1 and 0, jsonb_extract_path_text 'true' and 'false'.
        return value if self.dialect == "sqlite" else case((value == "true", 1), else_=0)

    def _looks_like_date(self, value: ColumnElement[Any]) -> Truth:
        if self.dialect == "sqlite":
            return value.op("GLOB", is_comparison=True)("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]")
        return value.op("~", is_comparison=True)(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

    def _plain(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text that compares octet by octet."""
        return value if self.dialect == "sqlite" else value.collate("C")

    def _folded(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """A to Z in lower case and nothing else: what ``lower`` does in SQLite, and with the collation C."""
        return func.lower(self._plain(value))

    def _compared(
        self,
        kind: FieldKind,
        operator: FieldOperator,
        stored: tuple[Truth, ColumnElement[Any]],
        wanted: Scalar | tuple[Scalar, ...],
    ) -> Truth:
        has_value, value = stored
        if operator is FieldOperator.IS_SET:
            return case((has_value, true()), else_=false()) == true()
        if isinstance(wanted, tuple):
            found: Truth = value.in_([_bound(folded(kind, one)) for one in wanted])
        else:
            found = self._comparison(operator, value, _bound(folded(kind, wanted)))
        # The other way round, "has a value and ...", either side may be looked at first, and a text is no number.
        return case((has_value, found), else_=literal(operator is FieldOperator.IS_NOT)) == true()

    def _comparison(self, operator: FieldOperator, value: ColumnElement[Any], wanted: Any) -> Truth:
        if operator in _COMPARISONS:
            return _COMPARISONS[operator](value, wanted)
        if operator is FieldOperator.CONTAINS:
            place = func.instr if self.dialect == "sqlite" else func.strpos
            found: Truth = place(value, wanted) > 0
            return found
        if operator is FieldOperator.STARTS_WITH:
            start: Truth = func.substr(value, 1, len(wanted)) == wanted
            return start
        if operator is FieldOperator.ENDS_WITH:
            enough = func.length(value) >= len(wanted)
            return and_(enough, func.substr(value, func.length(value) - (len(wanted) - 1)) == wanted)
        first, last = (-wanted, 0) if operator is FieldOperator.WITHIN_DAYS else (0, wanted)
        return and_(value >= self.moment.date(first), value <= self.moment.date(last))

    def attribute(self, leaf: AttributeIs, _path: str) -> Truth:
        """A column of the contact."""
        column = _contact.c[str(leaf.attribute)]
        stored = (and_(column.is_not(None), column != ""), self._folded(column))
        return self._compared(FieldKind.TEXT, leaf.operator, stored, leaf.value)

    def on_list(self, leaf: OnList, path: str) -> Truth:
        """On a list."""
        list_id = _known(self.catalogue.lists, leaf.name, "list", f"{path}.list")
        return _there_is(_membership.c.list_id == list_id, _membership.c.contact_id == _contact.c.id)

    def tag(self, leaf: HasTag, path: str) -> Truth:
        """Carries a tag."""
        tag_id = _known(self.catalogue.tags, leaf.name, "tag", f"{path}.tag")
        workspace = _tagged.c.workspace_id == self.catalogue.workspace_id
        return _there_is(workspace, _tagged.c.tag_id == tag_id, _tagged.c.contact_id == _contact.c.id)

    def consent(self, leaf: ConsentIs, path: str) -> Truth:
        """The newest consent for a scope."""
        scope_id, place = 0, f"{path}.scope.{leaf.reach}"
        if leaf.reach is ConsentReach.LIST:
            scope_id = _known(self.catalogue.lists, leaf.name, "list", place)
        elif leaf.reach is ConsentReach.STREAM:
            scope_id = _known(self.catalogue.streams, leaf.name, "stream", place)
        entry = (
            _consent.c.workspace_id == self.catalogue.workspace_id,
            _consent.c.scope == str(leaf.reach),
            _consent.c.scope_id == scope_id,
            _consent.c.contact_id == _contact.c.id,
        )
        if leaf.answer is ConsentAnswer.NONE:
            return not_(_there_is(*entry))
        return _there_is(*entry, _consent.c.state == str(leaf.answer))

    def activity(self, leaf: ActivityCount, _path: str) -> Truth:
        """How often something happened."""
        count, is_negated = needed(leaf.operator, leaf.value)
        found = true() if count == 0 else self._happened(leaf, count)
        return not_(found) if is_negated else found

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

    def age(self, leaf: ActivityAge, _path: str) -> Truth:
        """When something last happened."""
        column, since = _activity.c[f"last_{leaf.kind}_at"], self.moment.days_ago(leaf.days)
        within: Truth = func.coalesce(column, _NEVER) >= since
        ever: Truth = column.is_not(None)
        if leaf.kind is ActivityKind.OPENED:
            first_day = -(-since // DAY)  # the first day that begins within
            within = or_(within, func.coalesce(_contact.c.last_open_day, _NEVER) >= first_day)
            ever = or_(ever, _contact.c.last_open_day.is_not(None))
        return within if leaf.operator is AgeOperator.WITHIN_DAYS else and_(ever, not_(within))

    def since(self, leaf: ReceivedSince, _path: str) -> Truth:
        """Mails received since one was opened or clicked."""
        count, is_negated = needed(leaf.operator, leaf.value)
        found = func.coalesce(_activity.c[f"received_since_{leaf.kind}"], 0) >= count
        return not_(found) if is_negated else found

    def in_a_row(self, leaf: OpenedInARow, _path: str) -> Truth:
        """The newest mails were opened."""
        return func.coalesce(_activity.c.opened_in_a_row, 0) >= leaf.value

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
_TEXT_IS_IN_IT = frozenset(
    {FieldOperator.IS, FieldOperator.CONTAINS, FieldOperator.STARTS_WITH, FieldOperator.ENDS_WITH}
)
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;@+'()-]+")
"""What stands in JSON as it is, whoever writes it, and means nothing to LIKE (which folds A to Z as ``lower`` does)."""
_COMPARISONS: Mapping[FieldOperator, Callable[[Any, Any], Truth]] = {
    FieldOperator.IS: lambda value, wanted: value == wanted,
    FieldOperator.IS_NOT: lambda value, wanted: value != wanted,
    FieldOperator.AT_LEAST: lambda value, wanted: value >= wanted,
    FieldOperator.AT_MOST: lambda value, wanted: value <= wanted,
    FieldOperator.BEFORE: lambda value, wanted: value < wanted,
    FieldOperator.AFTER: lambda value, wanted: value > wanted,
}
_LEAVES: Mapping[type, Callable[[Compiler, Any, str], Truth]] = {
    FieldIs: Compiler.field,
    AttributeIs: Compiler.attribute,
    OnList: Compiler.on_list,
    HasTag: Compiler.tag,
    ConsentIs: Compiler.consent,
    ActivityCount: Compiler.activity,
    ActivityAge: Compiler.age,
    ReceivedSince: Compiler.since,
    OpenedInARow: Compiler.in_a_row,
    Joined: Compiler.joined,
    DomainIs: Compiler.domain,
    ProviderIs: Compiler.provider,
}
_OF_WIDE_ROWS = (FieldIs, AttributeIs)
"""What is not in the index ``ix_contact_segment``."""
_OF_ACTIVITY = (ActivityCount, ActivityAge, ReceivedSince, OpenedInARow)


def needs_activity(tree: Node) -> bool:
    """Whether the condition speaks of ``contact_activity``."""
    return any(isinstance(leaf, _OF_ACTIVITY) for _, leaf in leaves(tree))


def members(columns: Select[Any], dialect: str, catalogue: Catalogue, now: int, tree: Node) -> Select[Any]:
    """``columns`` of the contacts that the tree is true of. Who is archived is in no segment."""
    condition = Compiler(dialect, catalogue, Moment(now)).condition(tree)
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


def _bound(value: Scalar) -> str | int | float:
    return int(value) if isinstance(value, bool) else value


def _known(names: Mapping[str, int], name: str, what: str, path: str) -> int:
    found = names.get(name)
    if found is None:
        raise SegmentSyntaxError(
            f"there is no {what} '{name}'", path=path, next_step=f"Write the name of a {what} that exists."
        )
    return found
