"""Hygiene plans with their steps, made, applied and undone chunk by chunk; and the settings of a workspace.

Every chunk is one transaction that first takes the plan's row: a process that dies leaves nothing half done, and two
never do the same chunk.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hygiene.pruning import ListNumbers, Move
from mailtypes.address import EmailAddress
from mailtypes.clock import Microseconds
from postwright.store import suppressions
from postwright.store.hygiene_facts import (
    Facts,
    FactsWanted,
    living_since,
    put_back_suppressions,
    put_facts,
    read_facts,
)
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table
from postwright.store.suppressions import NewSuppression, Scope, SuppressionReason

_plan, _step, _setting = table("hygiene_plan"), table("hygiene_step"), table("hygiene_setting")
_win_back = table("win_back")
_NUMBERS = ("contacts", "sent", "bounced", "opened")
UNFINISHED = ("making", "applying", "undoing")


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as stored; ``terms`` is JSON."""

    id: int
    workspace_id: int
    list_id: int | None
    win_back_list_id: int | None
    terms: str
    sentence: str
    state: str
    made_by: str
    cursor: int
    contacts: int
    sent: int
    bounced: int
    opened: int
    removed_contacts: int
    removed_sent: int
    removed_bounced: int
    removed_opened: int
    dormant: int
    unknown: int
    doubt: str
    made_at: int
    applied_at: int | None
    undone_at: int | None

    @property
    def before(self) -> ListNumbers:
        """Who is written to, and what became of the mails to them."""
        return ListNumbers(*(getattr(self, name) for name in _NUMBERS))

    @property
    def removed(self) -> ListNumbers:
        """The part of those whom the plan takes out of ordinary mail."""
        return ListNumbers(*(getattr(self, f"removed_{name}") for name in _NUMBERS))

    @property
    def after(self) -> ListNumbers:
        """The numbers as if they had never been written to."""
        return self.before - self.removed


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan to make."""

    list_id: int | None
    win_back_list_id: int | None
    terms: str
    sentence: str
    made_by: str


@dataclass(frozen=True, slots=True)
class NewStep:
    """A move as it is planned."""

    contact_id: int
    move: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step with the address of its contact, empty where the contact is gone."""

    contact_id: int
    address: str
    move: str
    why: str
    state: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one chunk of contacts came to."""

    cursor: int
    steps: Sequence[NewStep]
    numbers: ListNumbers
    removed: ListNumbers
    dormant: int
    unknown: int = 0


def add_plan(connection: Connection, workspace_id: int, wanted: NewPlan, now: Microseconds) -> int:
    """Begin to make a plan; returns its id. One for the same contacts that was only looked at is discarded."""
    same = _plan.c.list_id.is_(None) if wanted.list_id is None else _plan.c.list_id == wanted.list_id
    older = select(_plan.c.id).where(_plan.c.workspace_id == workspace_id, same, _plan.c.state.in_(("ready", "making")))
    for (plan_id,) in connection.execute(older).all():
        discard(connection, workspace_id, plan_id)
    values = {name: getattr(wanted, name) for name in NewPlan.__slots__}
    return insert_row(connection, _plan, workspace_id=workspace_id, state="making", made_at=now, **values)


def get_plan(connection: Connection, workspace_id: int, plan_id: int) -> Plan | None:
    """The plan with that id."""
    return fetch_one(connection, Plan, _plan, _plan.c.workspace_id == workspace_id, _plan.c.id == plan_id)


def list_plans(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Plan]:
    """Plans in the order of their ids, but for those that were discarded."""
    mine = [_plan.c.workspace_id == workspace_id, _plan.c.state != "discarded"]
    return page(connection, Plan, _plan, mine, after=after, limit=limit)


def unfinished_plans(connection: Connection) -> list[Plan]:
    """Plans of all workspaces that are being made, applied or undone."""
    statement = select_as(Plan, _plan).where(_plan.c.state.in_(UNFINISHED)).order_by(_plan.c.id)
    return fetch_all(connection, Plan, statement)


def ready_plans(connection: Connection, workspace_id: int, by: str) -> list[Plan]:
    """Plans that somebody made and that are ready."""
    mine = (_plan.c.workspace_id == workspace_id, _plan.c.state == "ready", _plan.c.made_by == by)
    return fetch_all(connection, Plan, select_as(Plan, _plan).where(*mine).order_by(_plan.c.id))


def last_win_back_list(connection: Connection, workspace_id: int, list_id: int | None) -> int | None:
    """The list that the last plan for the same contacts won them back by."""
    same = _plan.c.list_id.is_(None) if list_id is None else _plan.c.list_id == list_id
    statement = select(_plan.c.win_back_list_id).where(
        _plan.c.workspace_id == workspace_id, same, _plan.c.win_back_list_id.is_not(None)
    )
    return connection.execute(statement.order_by(_plan.c.id.desc()).limit(1)).scalar()


def move_plan(connection: Connection, plan_id: int, before: str, after: str, **values: Any) -> bool:
    """Bring a plan from one state to another; ``False`` where somebody else was quicker."""
    statement = update(_plan).where(_plan.c.id == plan_id, _plan.c.state == before)
    return connection.execute(statement.values(state=after, **values)).rowcount == 1


def discard(connection: Connection, workspace_id: int, plan_id: int) -> bool:
    """Throw a plan away that is not in effect; ``False`` where there is none to throw away."""
    statement = update(_plan).where(
        _plan.c.workspace_id == workspace_id, _plan.c.id == plan_id, _plan.c.state.in_(("ready", "making", "undone"))
    )
    if connection.execute(statement.values(state="discarded")).rowcount == 0:
        return False
    connection.execute(delete(_step).where(_step.c.plan_id == plan_id))
    return True


def add_part(connection: Connection, plan: Plan, part: Part) -> bool:
    """Store what the chunk behind ``plan.cursor`` came to; ``False`` where another process has done so already."""
    added = {
        **{name: _plan.c[name] + getattr(part.numbers, name) for name in _NUMBERS},
        **{f"removed_{name}": _plan.c[f"removed_{name}"] + getattr(part.removed, name) for name in _NUMBERS},
        "dormant": _plan.c.dormant + part.dormant,
        "unknown": _plan.c.unknown + part.unknown,
        "cursor": part.cursor,
    }
    mine = update(_plan).where(_plan.c.id == plan.id, _plan.c.state == "making", _plan.c.cursor == plan.cursor)
    if connection.execute(mine.values(added)).rowcount == 0:
        return False
    tags = _tags_of(plan)
    facts = read_facts(connection, _wanted(plan, tags), [step.contact_id for step in part.steps])
    rows = [
        {
            "plan_id": plan.id,
            "contact_id": step.contact_id,
            "workspace_id": plan.workspace_id,
            "move": step.move,
            "why": step.why,
            "state": "planned",
            "before": facts[step.contact_id][1].written(),
            "after": "",
        }
        for step in part.steps
        if step.contact_id in facts
    ]
    if rows:
        connection.execute(_step.insert(), rows)
    return True


def _tags_of(plan: Plan) -> tuple[str, ...]:
    return tuple(json.loads(plan.terms).get("protect_tags", ()))


def _wanted(plan: Plan, tags: tuple[str, ...]) -> FactsWanted:
    return FactsWanted(plan.workspace_id, plan.win_back_list_id, tags)


def apply_chunk(connection: Connection, plan_id: int, stream_id: int, now: Microseconds, *, limit: int = 500) -> int:
    """Do the next planned steps; returns how many were looked at, 0 at the end.

    Skipped are contacts who are no longer as the plan found them, who are gone, and who gave a sign of life since.
    """
    plan = _lock(connection, plan_id, "applying")
    if plan is None:
        return 0
    rows = _steps_in(connection, plan_id, "planned", limit)
    ids = [row.contact_id for row in rows]
    wanted = _wanted(plan, _tags_of(plan))
    found = read_facts(connection, wanted, ids, lock=True)
    alive = living_since(connection, ids, plan.made_at)
    doable = {
        row.contact_id: row
        for row in rows
        if row.contact_id in found
        and found[row.contact_id][1] == Facts.read(row.before)
        and (row.contact_id not in alive or row.move == Move.WIN_BACK)
    }
    changes = {one: (found[one][1], _moved(plan, found[one][1], row.move, now)) for one, row in doable.items()}
    put_facts(connection, plan.workspace_id, changes)
    shelved = [one for one, row in doable.items() if row.move == Move.ARCHIVE]
    suppressions.stop_archived(connection, plan.workspace_id, shelved, now)
    addresses = {one: found[one][0] for one, row in doable.items() if row.move == Move.SUPPRESS}
    _suppress(connection, plan, stream_id, addresses, now)
    after = read_facts(connection, wanted, list(doable))
    _finish(connection, plan_id, {one: ("done", after[one][1].written()) for one in doable})
    _finish(connection, plan_id, {one: ("skipped", "") for one in ids if one not in doable})
    return len(rows)


def _moved(plan: Plan, facts: Facts, move: str, now: Microseconds) -> Facts:
    if move == Move.REENGAGE:
        assert plan.win_back_list_id is not None  # the list is made before the first step is done
        place = facts.membership or (plan.win_back_list_id, int(now), f"hygiene plan {plan.id}")
        return replace(facts, win_back=(plan.id, plan.win_back_list_id, int(now)), membership=place)
    ended = facts if facts.win_back is None else replace(facts, win_back=None, membership=None)
    return replace(ended, archived_at=int(now)) if move == Move.ARCHIVE else ended


def _suppress(
    connection: Connection, plan: Plan, stream_id: int, addresses: Mapping[int, str], now: Microseconds
) -> None:
    """Marketing alone: who reads no newsletter still gets the receipt."""
    note = f"hygiene plan {plan.id}"
    wanted = [
        NewSuppression(
            address,
            EmailAddress.parse(address).key,
            Scope.STREAM,
            stream_id,
            SuppressionReason.DORMANT,
            note=note,
        )
        for address in addresses.values()
    ]
    suppressions.suppress(connection, plan.workspace_id, wanted, now)


def undo_chunk(connection: Connection, plan_id: int, *, limit: int = 500) -> int:
    """Take the next done steps back; returns how many were looked at, 0 at the end. Who changed since then is kept."""
    plan = _lock(connection, plan_id, "undoing")
    if plan is None:
        return 0
    rows = _steps_in(connection, plan_id, "done", limit)
    found = read_facts(connection, _wanted(plan, _tags_of(plan)), [row.contact_id for row in rows], lock=True)
    changes = {
        row.contact_id: (found[row.contact_id][1], Facts.read(row.before))
        for row in rows
        if row.contact_id in found and found[row.contact_id][1] == Facts.read(row.after)
    }
    put_facts(connection, plan.workspace_id, changes)
    put_back_suppressions(connection, changes)
    _finish(connection, plan_id, dict.fromkeys(changes, ("undone", None)))
    _finish(connection, plan_id, {row.contact_id: ("kept", None) for row in rows if row.contact_id not in changes})
    return len(rows)


def _lock(connection: Connection, plan_id: int, state: str) -> Plan | None:
    # An update that changes nothing takes the row's lock on either database.
    mine = (_plan.c.id == plan_id, _plan.c.state == state)
    if connection.execute(update(_plan).where(*mine).values(state=state)).rowcount == 0:
        return None
    return fetch_one(connection, Plan, _plan, _plan.c.id == plan_id)


def _steps_in(connection: Connection, plan_id: int, state: str, limit: int) -> Sequence[Any]:
    mine = (_step.c.plan_id == plan_id, _step.c.state == state)
    return connection.execute(select(_step).where(*mine).order_by(_step.c.contact_id).limit(limit)).all()


def _finish(connection: Connection, plan_id: int, ends: Mapping[int, tuple[str, str | None]]) -> None:
    if not ends:
        return
    mine = (_step.c.plan_id == plan_id, _step.c.contact_id == bindparam("of_contact"))
    kept = func.coalesce(bindparam("new_after", type_=String()), _step.c.after)
    statement = update(_step).where(*mine).values(state=bindparam("new_state"), after=kept)
    rows = [
        {"of_contact": contact_id, "new_state": state, "new_after": after}
        for contact_id, (state, after) in ends.items()
    ]
    connection.execute(statement, rows)


def step_counts(connection: Connection, plan_id: int) -> dict[tuple[str, str], int]:
    """How many steps there are, by move and state."""
    statement = select(_step.c.move, _step.c.state, func.count()).where(_step.c.plan_id == plan_id)
    rows = connection.execute(statement.group_by(_step.c.move, _step.c.state))
    return {(str(row[0]), str(row[1])): int(row[2]) for row in rows}


def list_steps(
    connection: Connection, plan: Plan, *, move: str | None = None, after: int = 0, limit: int = 100
) -> list[Step]:
    """Steps in the order of their contacts, beginning behind the contact ``after``."""
    contact = table("contact")
    same = (contact.c.id == _step.c.contact_id) & (contact.c.workspace_id == plan.workspace_id)
    statement = (
        select(_step.c.contact_id, func.coalesce(contact.c.address, ""), _step.c.move, _step.c.why, _step.c.state)
        .select_from(_step.outerjoin(contact, same))
        .where(_step.c.plan_id == plan.id, _step.c.contact_id > after)
    )
    if move is not None:
        statement = statement.where(_step.c.move == move)
    return [Step(*row) for row in connection.execute(statement.order_by(_step.c.contact_id).limit(limit))]


def being_won_back(connection: Connection, list_id: int) -> int:
    """How many contacts are being won back by a list."""
    mine = _win_back.c.list_id == list_id
    return int(connection.execute(select(func.count()).select_from(_win_back).where(mine)).scalar_one())


def reserved_for_winning_back(connection: Connection, contact_ids: Sequence[int], list_id: int | None) -> set[int]:
    """Those of these contacts who are being won back by another list than this: ordinary mail passes them by."""
    other: ColumnElement[bool] = _win_back.c.contact_id.in_(contact_ids)
    if list_id is not None:
        other = other & (_win_back.c.list_id != list_id)
    return {int(row[0]) for row in connection.execute(select(_win_back.c.contact_id).where(other))}


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings of a workspace; ``terms`` is JSON."""

    workspace_id: int
    terms: str
    last_look_at: int | None
    last_pruning_at: int | None


def get_setting(connection: Connection, workspace_id: int) -> Setting | None:
    """The settings, where any were made."""
    return fetch_one(connection, Setting, _setting, _setting.c.workspace_id == workspace_id)


def save_setting(connection: Connection, workspace_id: int, now: Microseconds, **values: Any) -> None:
    """Store settings (``terms``), or when was looked and pruned last."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"terms": "{}", **values, "workspace_id": workspace_id, "updated_at": now}
    statement = insert(_setting).values(row)
    changed = {**values, "updated_at": now}
    connection.execute(statement.on_conflict_do_update(index_elements=[_setting.c.workspace_id], set_=changed))
