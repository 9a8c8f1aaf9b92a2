"""Settles verdicts once everything around a fetch is known, and tells of those that change."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from postwright.services.engagement_records import Criteria, Crowds, as_fetch
from postwright.store import engagements, events
from postwright.store.database import Database
from postwright.store.engagements import Settlement, StoredEngagement
from postwright.store.events import NewEvent
from tracking.verdicts import SETTLE_AFTER, WINDOW, Fetch, Settled

_CHUNK: Final = 300  # a transaction that is longer keeps all other writers waiting
_REVISIONS: Final = {"open": "opened_revised", "click": "clicked_revised"}
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class Verdicts:
    """The scheduler's step that settles verdicts; safe beside others that do the same, and to repeat."""

    def __init__(self, database: Database, clock: Clock, criteria: Criteria | None = None) -> None:
        self._database = database
        self._clock = clock
        self._criteria = criteria or Criteria()

    async def step(self) -> bool:
        """Settle some of what is five minutes old; ``False`` where nothing was due."""
        now = self._clock.now()
        # Asked first, since a write every tick would keep an idle machine's disk busy.
        if not await self._database.read(partial(engagements.has_due, before=now - SETTLE_AFTER)):
            return False
        return await self._database.write(partial(settle_due, criteria=self._criteria, now=now)) > 0


def settle_due(connection: Connection, criteria: Criteria, now: Microseconds) -> int:
    """Settle the oldest fetches that are due, in the caller's transaction; returns how many."""
    due = engagements.due(connection, now - SETTLE_AFTER, _CHUNK)
    if not due:
        return 0
    span = (due[0].occurred_at - WINDOW, due[-1].occurred_at + WINDOW)
    by_delivery = engagements.around(connection, {row.delivery_id for row in due}, span)
    crowds = Crowds.read(connection, {row.neighbourhood for row in due if row.neighbourhood}, span)
    mine = {row.id for row in due}
    settlements: list[Settlement] = []
    revisions: list[NewEvent] = []
    for rows in by_delivery.values():
        fetches = [_with_crowd(row, crowds) for row in rows]
        for row, settled in zip(rows, criteria.judge.settle(fetches, rows[0].sent_at), strict=True):
            if row.id in mine:
                settlements.append(_settlement(row, settled))
                revisions += _revision(row, settled, now)
    # Whatever lies beyond what was looked at is settled as it stands.
    found = {one.id for one in settlements}
    settlements += [Settlement(row.id, row.features, row.verdict, row.rule) for row in due if row.id not in found]
    engagements.settle(connection, settlements, now)
    events.append(connection, revisions, now)
    return len(settlements)


def _with_crowd(row: StoredEngagement, crowds: Crowds) -> Fetch:
    """A stored fetch with the recipients near it: those before it were counted when it came, since their addresses
    may be thrown away by now; those after it are counted here. Who is on both sides counts twice, which is seldom."""
    fetch = as_fetch(row)
    after = crowds.after(row.neighbourhood, row.occurred_at) if row.neighbourhood else 1
    return replace(fetch, recipients_near=fetch.recipients_near + max(after, 1) - 1)


def _settlement(row: StoredEngagement, settled: Settled | None) -> Settlement:
    if settled is None:
        return Settlement(row.id, row.features, row.verdict, row.rule)
    return Settlement(row.id, _ENCODE(settled.features.as_dict()), settled.decision.verdict, settled.decision.rule)


def _revision(row: StoredEngagement, settled: Settled | None, now: Microseconds) -> Sequence[NewEvent]:
    """An event where the verdict is another one now; a mere change of the rule is none, nor what was no event."""
    if settled is None or settled.decision.verdict == row.verdict or row.kind not in _REVISIONS:
        return ()
    data: dict[str, object] = {
        "event": row.event_id,
        "verdict": settled.decision.verdict,
        "was": row.verdict,
        "rule": settled.decision.rule,
    }
    if row.kind == "click":
        data["link"] = row.link
    kind = _REVISIONS[row.kind]
    return (NewEvent(row.workspace_id, kind, now, row.run_id, row.delivery_id, row.contact_id, data),)
