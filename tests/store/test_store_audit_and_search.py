"""The audit log only grows; events are read backwards without gaps; sessions and alarms are those of one workspace."""

from typing import Any

from mailtypes.clock import HOUR
from postwright.store import account_changes, audit_log, event_search, events, overview, people, workspaces
from postwright.store.audit_log import NewAuditEntry
from postwright.store.events import NewEvent


def _entry(world: Any, who: str, workspace: int = 0) -> NewAuditEntry:
    return NewAuditEntry(workspace or world.workspace, world.now, who, "web", "POST /x", "/x\x00", 200, "192.0.2.1")


async def test_entries_come_back_newest_first_by_person_and_page(world: Any) -> None:
    other = await world.write(workspaces.create_workspace, "other-audit", world.now)
    for n in range(5):
        await world.write(audit_log.add_entry, _entry(world, f"p{n % 2}@x.test"))
    await world.write(audit_log.add_entry, _entry(world, "p0@x.test", other))
    found = await world.read(audit_log.newest_entries, world.workspace, limit=3)
    assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)
    rest = await world.read(audit_log.newest_entries, world.workspace, before=found[-1].id)
    assert len(rest) == 2
    mine = await world.read(audit_log.newest_entries, world.workspace, who="p1@x.test")
    assert {one.who for one in mine} == {"p1@x.test"}
    assert len(mine) == 2


async def test_events_are_read_backwards_without_gaps(world: Any) -> None:
    for n in range(25):
        kind = "failed" if n % 5 == 0 else "delivered"
        await world.write(events.append, [NewEvent(world.workspace, kind, 0, data={"n": n})], world.now + n // 3)
    seen: list[int] = []
    before = None
    for _ in range(20):
        page = await world.read(event_search.newest_events, world.workspace, (), before=before, limit=4)
        seen += [event.id for event in page.events]
        before = page.goes_on
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 25
    failed = await world.read(event_search.newest_events, world.workspace, ("failed",), limit=3)
    assert [event.kind for event in failed.events] == ["failed"] * 3
    assert failed.goes_on is not None
    rest = await world.read(event_search.newest_events, world.workspace, ("failed",), before=failed.goes_on, limit=3)
    assert len(rest.events) == 2


async def test_alarms_are_those_of_one_workspace_and_time(world: Any) -> None:
    other = await world.write(workspaces.create_workspace, "other-alarms", world.now)
    for workspace, kind, at in (
        (world.workspace, "domain_drift", world.now),
        (world.workspace, "delivered", world.now),
        (world.workspace, "webhook_disabled", world.now - HOUR),
        (other, "domain_drift", world.now),
    ):
        await world.write(events.append, [NewEvent(workspace, kind, 0)], at)
    found = await world.read(event_search.alarms_since, world.workspace, world.now)
    assert [event.kind for event in found] == ["domain_drift"]
    both = await world.read(event_search.alarms_since, world.workspace, world.now - HOUR)
    assert {event.kind for event in both} == {"domain_drift", "webhook_disabled"}


async def test_the_day_is_counted_by_kind(world: Any) -> None:
    start = world.now - world.now % HOUR
    for kind, at in (("delivered", start), ("delivered", start + 5), ("failed", start + 5), ("delivered", start - 1)):
        await world.write(events.append, [NewEvent(world.workspace, kind, 0)], at)
    counted = await world.read(overview.counted_since, world.workspace, start)
    assert counted == {"delivered": 2, "failed": 1}


async def test_sessions_end_of_one_person_but_one(world: Any) -> None:
    secret = ("hash", "admin")
    user_id = await world.write(people.save_user, world.workspace, "a@x.test", "a@x.test", secret, world.now)
    user = await world.read(people.get_user, user_id)
    ids = [
        await world.write(people.open_session, user, f"sha{n}", "csrf", world.now, world.now + HOUR) for n in range(3)
    ]
    assert await world.write(account_changes.end_sessions_of, user_id, world.now, but=ids[1]) == 2
    found = await world.read(account_changes.open_sessions, world.workspace, world.now)
    assert [one.id for one in found if one.user_id == user_id] == [ids[1]]
    assert await world.read(account_changes.open_sessions, world.workspace, world.now + 2 * HOUR) == []
