"""Statistics: kept up with the event log; asked by campaign, list, run, variant, segment, sender, provider and more."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import DAY, HOUR, Clock, Microseconds, as_datetime
from mailtypes.saying import say
from postwright.services import statistic_groups
from postwright.services.csv_text import csv_text
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.statistic_groups import CountedPart
from postwright.services.statistic_terms import Measures, measures_of
from postwright.store import campaigns, contacts, statistics, workspaces
from postwright.store.database import Database
from postwright.store.public_ids import public_id
from postwright.store.statistics import CountedRun, CountRow, RunFilter

MOST_RUNS: Final = 2_000
_BATCH: Final = 300  # a transaction that is longer keeps all other writers waiting
_MOST_BATCHES: Final = 40
_LOOK_AT: Final = 2_000


class By(StrEnum):
    """What statistics are told apart by."""

    TOTAL = "total"
    CAMPAIGN = "campaign"
    LIST = "list"
    RUN = "run"
    VARIANT = "variant"
    SEGMENT = "segment"
    SENDER = "sender"
    PROVIDER = "provider"
    DOMAIN = "domain"
    LINK = "link"
    DAY = "day"
    HOUR = "hour"


_CUTS: Final[Mapping[By, str]] = {By.PROVIDER: "provider", By.DOMAIN: "domain", By.LINK: "link"}
_GROUPED: Final[Mapping[By, tuple[str, ...]]] = {
    By.TOTAL: (),
    By.CAMPAIGN: ("run_id",),
    By.LIST: ("run_id",),
    By.RUN: ("run_id",),
    By.VARIANT: ("variant",),
    By.LINK: ("run_id", "value"),
}


@dataclass(frozen=True, slots=True)
class StatisticRow:
    """Measures of a part: ``key`` names it for programs, ``label`` for people; both empty for the whole."""

    key: str
    label: str
    measures: Measures


@dataclass(frozen=True, slots=True)
class StatisticTable:
    """An answer: the parts in their order, and how many runs were counted; ``is_cut`` where there were more."""

    by: By
    rows: Sequence[StatisticRow]
    runs: int
    is_cut: bool


class Statistics:
    """Questions to the counts; ``step`` is the scheduler's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def step(self) -> bool:
        """Count what waits in the log; whether there may be more to do at once."""
        is_busy = False
        for workspace in await self._database.read(workspaces.list_workspaces):
            # Asked first, since a write every tick would keep an idle machine's disk busy.
            if await self._database.read(partial(statistics.needs_roll_up, workspace_id=workspace.id)):
                is_busy |= await self._roll_up(workspace.id)
        return is_busy

    async def _roll_up(self, workspace_id: int) -> bool:
        work = partial(statistics.roll_up, workspace_id=workspace_id, limit=_BATCH)
        for _ in range(_MOST_BATCHES):
            if await self._database.write(work) < _BATCH:
                return False
        return True

    async def table(
        self, workspace_id: int, wanted: RunFilter, by: By = By.TOTAL, segment_id: int | None = None
    ) -> StatisticTable:
        """The statistics of some runs; the newest ``MOST_RUNS`` of them where there are more.

        By segment and by several senders of a run, recipients are gone over: ``statistic_groups`` says how many.
        ``segment_id``: of the segments only that one. Raises ``NotFoundError`` for a run, campaign, list or segment
        that there is not.
        """
        if by is By.SEGMENT:
            now = self._clock.now()
            ask = partial(_by_segment, workspace_id=workspace_id, wanted=wanted, segment_id=segment_id, now=now)
            return await self._database.read(ask)
        if segment_id is not None:
            raise RefusedError("segment_alone", say("A segment goes with by=segment."), field="segment")
        if by is By.SENDER:
            return await self._database.read(partial(_by_sender, workspace_id=workspace_id, wanted=wanted))
        return await self._database.read(lambda connection: _table(connection, workspace_id, wanted, by))

    async def list_of_clickers(
        self, workspace_id: int, run_id: int, name: str, *, link: int | None = None, with_probable: bool = False
    ) -> tuple[contacts.ContactList, int]:
        """Put the contacts who clicked in a run on the list of that name, made where there is none.

        Returns it with how many were not on it. ``link``: only who clicked that one. ``with_probable``: also those of
        whom nobody can know whether they are people.
        """
        if not name.strip() or len(name) > 200:
            raise RefusedError("bad_name", say("The name of a list has 1 to 200 characters."), field="list")
        verdicts = ("human", "probable") if with_probable else ("human",)
        await self._database.read(partial(_checked_run, workspace_id=workspace_id, run_id=run_id))
        now = self._clock.now()
        make = partial(contacts.ensure_list, workspace_id=workspace_id, name=name.strip(), now=now)
        target = await self._database.write(make)
        added, after = 0, 0
        while True:
            find = partial(statistics.who_clicked, run_id=run_id, link=link, verdicts=verdicts, span=(after, _LOOK_AT))
            found, further = await self._database.read(find)
            put = partial(
                statistics.put_contacts_on_list,
                workspace_id=workspace_id,
                list_id=target.id,
                contact_ids=found,
                now=now,
            )
            added += await self._database.write(put)
            if further is None:
                return target, added
            after = further


def _checked_run(connection: Connection, workspace_id: int, run_id: int) -> campaigns.Run:
    found = campaigns.get_run(connection, run_id)
    if found is None or found.workspace_id != workspace_id:
        raise NotFoundError("run")
    return found


def _table(connection: Connection, workspace_id: int, wanted: RunFilter, by: By) -> StatisticTable:
    _check(connection, workspace_id, wanted)
    found = statistics.runs(connection, workspace_id, wanted, MOST_RUNS + 1)
    chosen = found[:MOST_RUNS]
    rows = statistics.counts(
        connection, workspace_id, [one.id for one in chosen], _CUTS.get(by, "hour"), _GROUPED.get(by, ("value",))
    )
    parts: dict[str, list[CountRow]] = {}
    part_of = _parts(by, {one.id: one for one in chosen})
    for row in rows:
        parts.setdefault(part_of(row), []).append(row)
    names = {"": ("", _UNNAMED.get(by, "")), **_names(connection, workspace_id, by, chosen, parts)}
    told = [StatisticRow(*names.get(key, (key, key)), measures_of(of_part)) for key, of_part in parts.items()]
    if by is By.TOTAL and not told:
        told = [StatisticRow("", "", measures_of(()))]
    return StatisticTable(by, _in_order(by, told), len(chosen), len(found) > MOST_RUNS)


def _by_segment(
    connection: Connection, workspace_id: int, wanted: RunFilter, segment_id: int | None, now: Microseconds
) -> StatisticTable:
    _check(connection, workspace_id, wanted)
    several = statistic_groups.chosen_segments(connection, workspace_id, segment_id)
    found = statistics.runs(connection, workspace_id, wanted, MOST_RUNS)
    chosen = statistic_groups.within_reach(connection, found, len(several))
    parts = statistic_groups.by_segment(connection, workspace_id, chosen, several, now)
    return _of_parts(By.SEGMENT, parts, (len(chosen), len(found)))


def _by_sender(connection: Connection, workspace_id: int, wanted: RunFilter) -> StatisticTable:
    _check(connection, workspace_id, wanted)
    found = statistics.runs(connection, workspace_id, wanted, MOST_RUNS)
    parts, counted = statistic_groups.by_sender(connection, workspace_id, found)
    return _of_parts(By.SENDER, parts, (counted, len(found)))


def _of_parts(by: By, parts: Sequence[CountedPart], counted: tuple[int, int]) -> StatisticTable:
    rows = [StatisticRow(one.key, one.label, one.measures) for one in parts]
    return StatisticTable(by, _in_order(by, rows), counted[0], counted[0] < counted[1])


def _check(connection: Connection, workspace_id: int, wanted: RunFilter) -> None:
    if wanted.run_id is not None:
        _checked_run(connection, workspace_id, wanted.run_id)
    if wanted.campaign_id is not None and campaigns.get_campaign(connection, workspace_id, wanted.campaign_id) is None:
        raise NotFoundError("campaign")
    if wanted.list_id is not None and contacts.get_list(connection, workspace_id, wanted.list_id) is None:
        raise NotFoundError("list")
    if wanted.since is not None and wanted.until is not None and wanted.until <= wanted.since:
        raise RefusedError("bad_range", say("The end is not behind the beginning."), field="until")


def _parts(by: By, runs: Mapping[int, CountedRun]) -> Callable[[CountRow], str]:
    """How the key of a row's part is made; ids are rows' here, and become public with the labels."""
    ways: Mapping[By, Callable[[CountRow], str]] = {
        By.TOTAL: _whole,
        By.CAMPAIGN: lambda row: str(runs[row.run_id].campaign_id or ""),
        By.LIST: lambda row: str(runs[row.run_id].list_id or ""),
        By.RUN: lambda row: public_id("run", runs[row.run_id].created_at, row.run_id),
        By.VARIANT: lambda row: "" if row.variant < 0 else str(row.variant),
        By.LINK: lambda row: f"{public_id('run', runs[row.run_id].created_at, row.run_id)}#{row.value}",
        By.DAY: lambda row: as_datetime(int(row.value) * HOUR // DAY * DAY).date().isoformat(),
        By.HOUR: lambda row: as_datetime(int(row.value) * HOUR).strftime("%Y-%m-%dT%H:00:00Z"),
    }
    return ways.get(by, lambda row: row.value)


def _whole(_row: CountRow) -> str:
    return ""


def _names(
    connection: Connection, workspace_id: int, by: By, runs: Sequence[CountedRun], parts: Collection[str]
) -> Mapping[str, tuple[str, str]]:
    """Key and label of the parts whose key is not its own label, or not for the outside."""
    ids = [int(key) for key in parts if key] if by in (By.CAMPAIGN, By.LIST) else []
    if by is By.CAMPAIGN:
        drafts = [campaigns.get_campaign(connection, workspace_id, one) for one in ids]
        return {str(one.id): (public_id("cmp", one.created_at, one.id), one.name) for one in drafts if one is not None}
    if by is By.LIST:
        lists = [contacts.get_list(connection, workspace_id, one) for one in ids]
        return {str(one.id): (public_id("lst", one.created_at, one.id), one.name) for one in lists if one is not None}
    if by is By.LINK:
        of_runs = {public_id("run", one.created_at, one.id): one.id for one in runs}
        targets = statistics.link_targets(connection, of_runs.values())
        split = {key: key.rpartition("#") for key in parts}
        return {key: (key, targets.get((of_runs[run], int(number)), "")) for key, (run, _, number) in split.items()}
    return {}


_UNNAMED: Final[Mapping[By, str]] = {
    By.CAMPAIGN: "(no campaign)",
    By.LIST: "(no list)",
    By.DOMAIN: "(others)",
    By.PROVIDER: "(unknown)",
    By.VARIANT: "(unknown)",
}


def _in_order(by: By, rows: Sequence[StatisticRow]) -> list[StatisticRow]:
    if by in (By.DAY, By.HOUR, By.VARIANT):
        return sorted(rows, key=lambda row: (row.key == "", len(row.key), row.key))
    if by is By.LINK:
        return sorted(rows, key=lambda row: (-row.measures.clicks.human, row.key))
    return sorted(rows, key=lambda row: (row.key == "", -row.measures.settled, row.key))


def statistics_csv(rows: Sequence[StatisticRow]) -> str:
    """A line a part under a line of names; nothing where there is no part."""
    told = [flat(row) for row in rows]
    return csv_text([list(told[0]), *(list(row.values()) for row in told)]) if told else ""


def flat(row: StatisticRow) -> dict[str, str | int | float]:
    """A row as one level of columns, for CSV; a rate that there is not is empty."""
    measures = row.measures
    columns: dict[str, str | int | float] = {"part": row.key, "label": row.label, **measures.counts}
    for name in ("opens", "clicks", "openers", "clickers"):
        counts = getattr(measures, name)
        columns |= {f"{name}_{verdict}": getattr(counts, verdict) for verdict in ("human", "probable", "machine")}
    columns |= {name: "" if rate is None else round(rate, 6) for name, rate in measures.rates.items()}
    for name, found in measures.ranges.items():
        for end in ("at_least", "at_most"):
            value = getattr(found, end)
            columns[f"{name}_{end}"] = "" if value is None else round(value, 6)
    return columns
