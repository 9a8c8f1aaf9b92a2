"""Messages that were handed over: looked up, cancelled while they can be, and what test keys sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.clock import Clock
from postwright.services.errors import NotFoundError
from postwright.store import campaigns, messages, recipients
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.messages import Message
from postwright.store.recipients import DeliveryRecord


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that came whole, with all of its deliveries."""

    message: Message
    deliveries: Sequence[DeliveryRecord]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a delivery comes from: its run, and the message where that came whole."""

    run: Run
    message: Message | None


class SentMessages:
    """What clients ask about messages after they were accepted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, workspace_id: int, message_id: int) -> Handed:
        """A message that came whole; raises ``NotFoundError``."""

        def read(connection: Connection) -> Handed:
            found = messages.get_message(connection, message_id)
            if found is None or found.workspace_id != workspace_id:
                raise NotFoundError("message")
            rows = recipients.deliveries_of_message(connection, workspace_id, found.run_id, found.id)
            return Handed(found, rows)

        return await self._database.read(read)

    async def cancel(self, workspace_id: int, deliveries: Sequence[DeliveryRecord]) -> int:
        """Cancel those deliveries of one run that are not being transmitted; returns how many."""
        assert all(row.workspace_id == workspace_id for row in deliveries)
        now = self._clock.now()

        def work(connection: Connection) -> int:
            run = campaigns.get_run(connection, deliveries[0].run_id)
            assert run is not None  # a foreign key
            return recipients.cancel_chosen(connection, run, [row.id for row in deliveries], now)

        return await self._database.write(work) if deliveries else 0

    async def captured(self, workspace_id: int, delivery_id: int) -> bytes:
        """The message that a test key's delivery would have sent; raises ``NotFoundError``."""
        found = await self._database.read(
            lambda connection: messages.captured_content(connection, workspace_id, delivery_id)
        )
        if found is None:
            raise NotFoundError("captured message")
        return found

    async def origins(self, rows: Sequence[DeliveryRecord]) -> dict[int, Origin]:
        """Where these deliveries come from, by delivery id."""

        def read(connection: Connection) -> dict[int, Origin]:
            whole = messages.get_messages(connection, sorted({row.message_id for row in rows if row.message_id}))
            runs = {run_id: campaigns.get_run(connection, run_id) for run_id in {row.run_id for row in rows}}
            return {
                row.id: Origin(run, whole.get(row.message_id))
                for row in rows
                if (run := runs[row.run_id]) is not None  # it always is there: a foreign key
            }

        return await self._database.read(read) if rows else {}
