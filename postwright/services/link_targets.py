"""Where tracked links lead, from memory wherever that is possible: links have to work while the database is away."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from postwright.store import campaigns, engagements, messages, recipients
from postwright.store.database import Database
from postwright.store.public_ids import run_of_delivery

_RUNS: Final = 2_000
_NEWEST: Final = 500
_SINGLE: Final = 100_000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _RunLinks:
    """The frozen link table of a run: ``by_variant`` by (variant, number), ``common`` where all variants agree."""

    by_variant: Mapping[tuple[int, int], str]
    common: Mapping[int, str]


class LinkTargets:
    """Targets by delivery and link number. Link tables never change once a run has begun, so nothing goes stale."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._runs: OrderedDict[int, _RunLinks] = OrderedDict()
        self._single: OrderedDict[tuple[int, int], str] = OrderedDict()

    async def find(self, delivery_id: int, link: int) -> str | None:
        """Where a link leads, ``None`` where there is none (any more); asks the database only where it has to.

        Of a run whose variants differ, and of messages of API clients, it has to the first time for each link.
        """
        run_id = run_of_delivery(delivery_id)
        run = self._runs.get(run_id)
        if run is None:
            run = await self._load(run_id)
        else:
            self._runs.move_to_end(run_id)
        found = run.common.get(link) or self._single.get((delivery_id, link))
        if found is None:
            found = await self._database.read(partial(_look_up, delivery_id=delivery_id, link=link, run=run))
            if found is not None:
                _keep(self._single, (delivery_id, link), found, _SINGLE)
        return found

    async def load_newest(self) -> None:
        """Read the link tables of the newest runs that are not in memory yet."""
        newest = await self._database.read(partial(engagements.newest_runs_with_links, limit=_NEWEST))
        for run_id in reversed(newest):
            if run_id not in self._runs:
                await self._load(run_id)

    async def _load(self, run_id: int) -> _RunLinks:
        table = await self._database.read(partial(campaigns.links_of, run_id=run_id))
        targets: dict[int, set[str]] = {}
        for (_, number), url in table.items():
            targets.setdefault(number, set()).add(url)
        common = {number: urls.pop() for number, urls in targets.items() if len(urls) == 1}
        loaded = _RunLinks(table, common)
        if table:  # a run that is gone, or that has only single messages, is no use to remember
            _keep(self._runs, run_id, loaded, _RUNS)
        return loaded


def _keep(memory: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)


def _look_up(connection: Connection, delivery_id: int, link: int, run: _RunLinks) -> str | None:
    delivery = recipients.get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
    if delivery is None:
        return None
    if delivery.message_id:
        return messages.link_target(connection, delivery.message_id, link)
    return run.by_variant.get((delivery.variant, link))
