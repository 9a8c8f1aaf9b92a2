"""How far hygiene has looked at a workspace's contacts lately, counted for the gate of warm-ups."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, or_, select

from hygiene.list_health import Health
from mailtypes.clock import Microseconds
from postwright.store.records import table

_contact, _membership, _list = table("contact"), table("list_membership"), table("contact_list")
_plan, _step, _health = table("hygiene_plan"), table("hygiene_step"), table("list_health")
_HARMFUL = (Health.REVIEW, Health.PAUSE)
_MOST_PLANS = 1_000
_MOST_HARMFUL = 100
_MOST_HEALTHY = 10_000


@dataclass(frozen=True, slots=True)
class Looked:
    """Contacts who may be written to, those of them that a look covers, and the lists that did harm."""

    contacts: int
    covered: int
    harmful: tuple[str, ...]


def count_looked_at(connection: Connection, workspace_id: int, since: Microseconds, window: int) -> Looked:
    """Count looks that were had at or after ``since``; judgements of lists stand on mails of ``window`` microseconds.

    A plan covers whom it was over and who was there when it was made; one that chose its people by a segment says
    nothing of the others, and does not count. A list that was judged healthy covers who was on it for the whole window,
    where there were at least as many mails as members. Nobody on a list that did harm is covered.
    """
    audience = (_contact.c.workspace_id == workspace_id, _contact.c.archived_at.is_(None))
    harmful = _harmful(connection, workspace_id, since)
    looks = or_(_by_plans(connection, workspace_id, since), _by_health(connection, workspace_id, since, window))
    spoilt = exists().where(
        _membership.c.contact_id == _contact.c.id, _membership.c.list_id.in_([list_id for list_id, _ in harmful])
    )
    covered = and_(looks, ~spoilt) if harmful else looks
    counted = select(func.count()).select_from(_contact).where(*audience)
    contacts = connection.execute(counted).scalar_one()
    found = connection.execute(counted.where(covered)).scalar_one() if contacts else 0
    return Looked(int(contacts), int(found), tuple(name for _, name in harmful))


def _harmful(connection: Connection, workspace_id: int, since: Microseconds) -> Sequence[tuple[int, str]]:
    statement = (
        select(_list.c.id, _list.c.name)
        .join(_health, _health.c.list_id == _list.c.id)
        .where(_list.c.workspace_id == workspace_id, _health.c.health.in_(_HARMFUL), _health.c.judged_at >= since)
        .order_by(_list.c.id)
        .limit(_MOST_HARMFUL)
    )
    return [(int(row[0]), str(row[1])) for row in connection.execute(statement)]


def _by_plans(connection: Connection, workspace_id: int, since: Microseconds) -> ColumnElement[bool]:
    """Plans that are in effect, and plans that found nothing to do."""
    has_steps = exists().where(_step.c.plan_id == _plan.c.id)
    in_effect = or_(_plan.c.state == "applied", and_(_plan.c.state == "ready", ~has_steps))
    statement = select(_plan.c.id, _plan.c.list_id, _plan.c.terms, _plan.c.made_at).where(
        _plan.c.workspace_id == workspace_id, _plan.c.made_at >= since, in_effect
    )
    rows = connection.execute(statement.order_by(_plan.c.id.desc()).limit(_MOST_PLANS)).all()
    whole = [row for row in rows if json.loads(row.terms).get("tree") is None]
    over_all = max((int(row.made_at) for row in whole if row.list_id is None), default=None)
    # Of a list its last plan says all that those before it do.
    in_order = sorted((int(row.made_at), int(row.list_id), int(row.id)) for row in whole if row.list_id is not None)
    of_lists = list({list_id: plan_id for _, list_id, plan_id in in_order}.values())
    found: list[ColumnElement[bool]] = []
    if over_all is not None:
        found.append(_contact.c.created_at <= over_all)
    if of_lists:
        found.append(
            exists().where(
                _membership.c.contact_id == _contact.c.id,
                _plan.c.list_id == _membership.c.list_id,
                _plan.c.id.in_(of_lists),
                _membership.c.joined_at <= _plan.c.made_at,
            )
        )
    return or_(false(), *found)


def _by_health(connection: Connection, workspace_id: int, since: Microseconds, window: int) -> ColumnElement[bool]:
    members = select(func.count()).where(_membership.c.list_id == _health.c.list_id).scalar_subquery()
    # Looked up first, so that the members of a list are counted once, and not again for each contact.
    healthy = select(_health.c.list_id).where(
        _health.c.workspace_id == workspace_id,
        _health.c.health == Health.HEALTHY,
        _health.c.judged_at >= since,
        _health.c.sent >= members,
    )
    newest_first = healthy.order_by(_health.c.judged_at.desc(), _health.c.list_id).limit(_MOST_HEALTHY)
    list_ids = [int(row[0]) for row in connection.execute(newest_first)]
    if not list_ids:
        return false()
    return exists().where(
        _membership.c.contact_id == _contact.c.id,
        _membership.c.list_id.in_(list_ids),
        _health.c.list_id == _membership.c.list_id,
        _membership.c.joined_at <= _health.c.judged_at - window,
    )
