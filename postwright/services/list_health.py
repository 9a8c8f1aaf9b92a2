"""How lists do: bounces and complaints of the last thirty days, judged now and again; an alarm where that changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from hygiene.list_health import Health, ListCounts, ListHealthVerdict, judge_list
from mailtypes.clock import DAY, HOUR, Clock, Microseconds
from postwright.services.errors import NotFoundError
from postwright.store import contacts, events, list_health, workspaces
from postwright.store.contacts import ContactList
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.list_health import Judged

WINDOW: Final = 30 * DAY
_EVERY: Final = 6 * HOUR
_NOTHING: Final = ListCounts(0, 0, 0)
_QUIET: Final = (Health.HEALTHY, Health.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ListVerdict:
    """A list, its size, what became of its mails, and what that proves."""

    contact_list: ContactList
    contacts: int
    counts: ListCounts
    verdict: ListHealthVerdict


class ListsHealth:
    """Judges lists when it is asked, and by itself every six hours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def all(self, workspace_id: int) -> list[ListVerdict]:
        """Every list by name, judged now."""
        since = self._since()

        def read(connection: Connection) -> list[ListVerdict]:
            counts = list_health.count_mails(connection, workspace_id, since)
            return [_verdict(found, size, counts) for found, size in contacts.list_lists(connection, workspace_id)]

        return await self._database.read(read)

    async def one(self, workspace_id: int, list_id: int) -> ListVerdict:
        """One list, judged now; raises ``NotFoundError``."""
        since = self._since()

        def read(connection: Connection) -> ListVerdict:
            found = contacts.get_list(connection, workspace_id, list_id)
            if found is None:
                raise NotFoundError("list")
            counts = list_health.count_mails(connection, workspace_id, since, list_id=list_id)
            return _verdict(found, contacts.count_list(connection, list_id), counts)

        return await self._database.read(read)

    async def step(self) -> int:
        """For the scheduler: judge what was not judged for six hours; returns how many lists changed."""
        changed, now = 0, self._clock.now()
        for workspace in await self._database.read(workspaces.list_workspaces):
            oldest = await self._database.read(partial(list_health.oldest_judgement, workspace_id=workspace.id))
            if oldest is None or oldest + _EVERY > now:
                continue
            found = await self.all(workspace.id)
            changed += await self._database.write(partial(_save, workspace_id=workspace.id, found=found, now=now))
        return changed

    def _since(self) -> Microseconds:
        return Microseconds(self._clock.now() - WINDOW)


def _verdict(found: ContactList, size: int, counts: Mapping[int, ListCounts]) -> ListVerdict:
    counted = counts.get(found.id, _NOTHING)
    return ListVerdict(found, size, counted, judge_list(counted))


def _save(connection: Connection, workspace_id: int, found: list[ListVerdict], now: Microseconds) -> int:
    before = list_health.judged_lists(connection, workspace_id)
    changed = 0
    for one in found:
        health, counts, list_id = one.verdict.health, one.counts, one.contact_list.id
        numbers = (counts.sent, counts.bounced, counts.complained)
        list_health.save_health(
            connection, Judged(list_id, workspace_id, str(health), one.verdict.cause, *numbers, now)
        )
        was = Health(before[list_id].health) if list_id in before else Health.UNKNOWN
        if was is health or (was in _QUIET and health in _QUIET):
            continue  # from "too few to tell" to "well" is no news
        changed += 1
        data = {
            "list": list_id,
            "name": one.contact_list.name,
            "before": str(was),
            "after": str(health),
            "cause": one.verdict.cause,
        }
        events.append(connection, [NewEvent(workspace_id, "list_health_changed", now, data=data)], now)
    return changed
