"""What recipients did elsewhere, as API clients tell it: bought, signed up, came."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import DAY, Clock, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import Problem
from postwright.store import contacts, events, recipients
from postwright.store.database import Database
from postwright.store.events import NewEvent

ATTRIBUTED = 7 * DAY
"""How long after a delivery what somebody does is put down to it, where the client does not name the message."""
_MOST_AHEAD = DAY


@dataclass(frozen=True, slots=True)
class Goal:
    """``address`` did ``name``; ``delivery_id`` is the message that led there, where the client knows it."""

    address: str
    name: str
    occurred_at: Microseconds | None = None
    value: float | None = None
    delivery_id: int | None = None


@dataclass(frozen=True, slots=True)
class TakenGoals:
    """How many are in the log now, how many of them are put down to a message, and what was not taken."""

    taken: int
    attributed: int
    refused: tuple[Problem, ...]


class Goals:
    """Takes what clients tell."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, workspace_id: int, goals: Sequence[Goal]) -> TakenGoals:
        """Put them into the event log; durable when this returns."""
        now = self._clock.now()
        return await self._database.write(partial(_store, workspace_id=workspace_id, goals=goals, now=now))


def _store(connection: Connection, workspace_id: int, goals: Sequence[Goal], now: Microseconds) -> TakenGoals:
    made: list[NewEvent] = []
    refused: list[Problem] = []
    for number, goal in enumerate(goals):
        field = f"events.{number}"
        try:
            key = EmailAddress.parse(goal.address).key
        except InputSyntaxError as error:
            refused.append(Problem.of(error, "bad_address", f"{field}.address"))
            continue
        occurred_at = goal.occurred_at or now
        if occurred_at > now + _MOST_AHEAD:
            refused.append(Problem("in_the_future", say("That has not happened yet."), f"{field}.occurred_at"))
            continue
        made.append(_event(connection, workspace_id, goal, key, Microseconds(min(occurred_at, now))))
    events.append(connection, made, now)
    return TakenGoals(len(made), sum(one.delivery_id is not None for one in made), tuple(refused))


def _event(connection: Connection, workspace_id: int, goal: Goal, key: str, occurred_at: Microseconds) -> NewEvent:
    """Without a message named, it is put down to the newest one that arrived within the week before."""
    found = recipients.newest_delivered(
        connection, workspace_id, key, (occurred_at - ATTRIBUTED, occurred_at), goal.delivery_id
    )
    contact = contacts.find_contact(connection, workspace_id, key)
    data: dict[str, object] = {"goal": goal.name} | ({} if goal.value is None else {"value": goal.value})
    contact_id = contact.id if contact is not None else None
    if found is None:
        return NewEvent(workspace_id, "acted", occurred_at, None, None, contact_id, data)
    return NewEvent(workspace_id, "acted", occurred_at, found.run_id, found.id, found.contact_id or contact_id, data)
