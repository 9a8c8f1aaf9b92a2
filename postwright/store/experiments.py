"""The tests that runs make: drawn over the whole audience, counted, decided once, and then the rest released."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text, update

from postwright.store.preparation import UNDECIDED
from postwright.store.records import fetch_all, fetch_one, select_as, table
from postwright.store.rowsets import BIGINT, RowStatement

_experiment, _delivery = table("experiment"), table("delivery")
_run, _campaign = table("run"), table("campaign")
SAMPLE_PRIORITY = 100
"""Of whoever is tested: before everybody else of the run."""


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    """A test; columns as in ``tables.sending.Experiment``."""

    run_id: int
    workspace_id: int
    state: str
    terms: str
    cut: str
    reached: int
    started_at: int | None
    deadline: int | None
    looked_at: int | None
    winner: int | None
    verdict: str
    decided_by: str
    decided_at: int | None


@dataclass(frozen=True, slots=True)
class ListedExperiment:
    """A test with the campaign that makes it; moments in microseconds."""

    test: StoredExperiment
    begun_at: int
    campaign_id: int
    campaign_name: str
    campaign_created_at: int


@dataclass(frozen=True, slots=True)
class VariantTally:
    """What the tested recipients of a variant got and did, each counted once; people for certain, and perhaps."""

    variant: int
    delivered: int = 0
    opened: int = 0
    opened_perhaps: int = 0
    clicked: int = 0
    clicked_perhaps: int = 0
    reached_goal: int = 0
    unsubscribed: int = 0
    complained: int = 0


def add_experiment(connection: Connection, run_id: int, workspace_id: int, terms: str) -> None:
    """Store a test that is to be drawn once the run is prepared."""
    values = {"run_id": run_id, "workspace_id": workspace_id, "state": "drawing", "terms": terms}
    connection.execute(_experiment.insert().values(**values, cut="[]", reached=0, verdict="{}", decided_by=""))


def get_experiment(connection: Connection, run_id: int) -> StoredExperiment | None:
    """The test of a run."""
    return fetch_one(connection, StoredExperiment, _experiment, _experiment.c.run_id == run_id)


def in_states(connection: Connection, states: Sequence[str]) -> list[StoredExperiment]:
    """The tests in these states, the oldest first."""
    statement = select_as(StoredExperiment, _experiment).where(_experiment.c.state.in_(states))
    return fetch_all(connection, StoredExperiment, statement.order_by(_experiment.c.run_id))


def list_experiments(
    connection: Connection, workspace_id: int, state: str | None = None, *, before: int | None = None, limit: int = 50
) -> list[ListedExperiment]:
    """A workspace's tests in a state (``None``: in any), the newest first, behind the run ``before``."""
    conditions = [_experiment.c.workspace_id == workspace_id]
    if state is not None:
        conditions.append(_experiment.c.state == state)
    if before is not None:
        conditions.append(_experiment.c.run_id < before)
    beside = (_run.c.created_at, _campaign.c.id, _campaign.c.name, _campaign.c.created_at)
    statement = (
        select_as(StoredExperiment, _experiment)
        .add_columns(*beside)
        .join_from(_experiment, _run, _run.c.id == _experiment.c.run_id)
        .join(_campaign, _campaign.c.id == _run.c.campaign_id)
        .where(*conditions)
        .order_by(_experiment.c.run_id.desc())
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    return [ListedExperiment(StoredExperiment(*row[: -len(beside)]), *row[-len(beside) :]) for row in rows]


def move(connection: Connection, run_id: int, before: str, after: str, **values: object) -> bool:
    """From one state to the next, if it is still there: whatever follows from it is done once."""
    mine = (_experiment.c.run_id == run_id, _experiment.c.state == before)
    return connection.execute(update(_experiment).where(*mine).values(state=after, **values)).rowcount == 1


def note_look(connection: Connection, run_id: int, verdict: str, now: int) -> None:
    """Keep what the last look said."""
    mine = (_experiment.c.run_id == run_id, _experiment.c.state == "testing")
    connection.execute(update(_experiment).where(*mine).values(looked_at=now, verdict=verdict))


def undecided(connection: Connection, run_id: int, *, after: int = 0, limit: int = 20_000) -> list[tuple[int, str]]:
    """Ids and address keys of a run's recipients without a variant, in the order of their ids, behind ``after``."""
    statement = (
        select(_delivery.c.id, _delivery.c.address_key)
        .where(
            _delivery.c.run_id == run_id,
            _delivery.c.id > after,
            _delivery.c.variant == UNDECIDED,
            _delivery.c.state != "suppressed",
        )
        .order_by(_delivery.c.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]


_ASSIGNED = {"id": BIGINT, "variant": BIGINT, "due": BIGINT}


def assign(connection: Connection, run_id: int, rows: Sequence[tuple[int, int, int]], reached: int) -> None:
    """Give recipients their variants and moments, as (id, variant, moment); the test has come as far as ``reached``."""
    if rows:
        statement = RowStatement(
            connection.dialect.name,
            _ASSIGNED,
            "UPDATE delivery SET variant = o.variant, next_attempt_at = o.due,"  # noqa: S608  ours
            f" priority = {SAMPLE_PRIORITY} FROM o"
            f" WHERE delivery.run_id = ? AND delivery.id = o.id AND delivery.variant = {UNDECIDED}",
        )
        statement.execute(connection, rows, run_id)
    connection.execute(update(_experiment).where(_experiment.c.run_id == run_id).values(reached=reached))


def release_rest(connection: Connection, run_id: int, winner: int, *, after: int = 0, limit: int = 20_000) -> int:
    """Give up to ``limit`` of those who wait the winning variant, in their own order; returns how many.

    They are looked for behind ``after``, and the test keeps how far it has come: no part of the run is read again and
    again. Only where there is nobody left is the run looked through once from its beginning.
    """
    for begin in dict.fromkeys((after, 0)):
        waiting = (_delivery.c.run_id == run_id, _delivery.c.id > begin, _delivery.c.variant == UNDECIDED)
        some = select(_delivery.c.id).where(*waiting).order_by(_delivery.c.id).limit(limit).subquery()
        last = connection.execute(select(func.max(some.c.id))).scalar_one()
        if last is None:
            continue
        values = {"variant": winner, "priority": -1 - _delivery.c.priority, "waits_for": ""}
        released = connection.execute(update(_delivery).where(*waiting, _delivery.c.id <= last).values(values)).rowcount
        connection.execute(update(_experiment).where(_experiment.c.run_id == run_id).values(reached=last))
        return released
    return 0


def count_tested(connection: Connection, run_id: int) -> int:
    """How many recipients have a variant."""
    found = select(func.count()).where(_delivery.c.run_id == run_id, _delivery.c.variant >= 0)
    return int(connection.execute(found).scalar_one())


_EVENTS = {"unsubscribed": "unsubscribed", "complained": "complained", "acted": "reached_goal"}


def tally(connection: Connection, run_id: int) -> list[VariantTally]:
    """What the tested recipients did so far, by variant."""
    found: dict[int, dict[str, int]] = {}

    def note(variant: int, name: str, number: int) -> None:
        found.setdefault(variant, {})[name] = number

    tested = "d.run_id = :run AND d.variant >= 0"
    delivered = text(
        "SELECT d.variant, SUM(CASE WHEN d.state = 'delivered' THEN 1 ELSE 0 END) FROM delivery d"  # noqa: S608  ours
        f" WHERE {tested} GROUP BY d.variant"
    )
    for variant, number in connection.execute(delivered, {"run": run_id}):
        note(variant, "delivered", int(number))
    fetched = text(
        "SELECT d.variant, g.kind, COUNT(DISTINCT CASE WHEN g.verdict = 'human' THEN g.delivery_id END),"  # noqa: S608
        " COUNT(DISTINCT CASE WHEN g.verdict <> 'machine' THEN g.delivery_id END)"
        f" FROM delivery d JOIN engagement g ON g.delivery_id = d.id WHERE {tested} AND g.kind IN ('open', 'click')"
        " GROUP BY d.variant, g.kind"
    )
    for variant, kind, surely, perhaps in connection.execute(fetched, {"run": run_id}):
        word = "opened" if kind == "open" else "clicked"
        note(variant, word, int(surely))
        note(variant, f"{word}_perhaps", int(perhaps))
    told = text(
        "SELECT d.variant, e.kind, COUNT(DISTINCT e.delivery_id) FROM delivery d"  # noqa: S608  ours
        f" JOIN event e ON e.delivery_id = d.id WHERE {tested} AND e.kind IN ('unsubscribed', 'complained', 'acted')"
        " GROUP BY d.variant, e.kind"
    )
    for variant, kind, number in connection.execute(told, {"run": run_id}):
        note(variant, _EVENTS[kind], int(number))
    return [VariantTally(variant, **numbers) for variant, numbers in sorted(found.items())]
