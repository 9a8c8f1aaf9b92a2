"""The event log and the deliveries as their readers see them."""

from collections.abc import Sequence

from mailtypes.address import AddressSyntaxError, EmailAddress
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import events, recipients
from postwright.store.database import Database
from postwright.store.events import Event, EventFilter
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import DeliveryFilter, DeliveryRecord


class Log:
    """What happened to which message, and why."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(
        self, workspace_id: int, wanted: EventFilter, *, after: tuple[int, int] = (0, 0), limit: int = 100
    ) -> Sequence[Event]:
        """Events in the order of ``(recorded_at, id)``, beginning behind ``after``."""
        return await self._database.read(
            lambda connection: events.list_events(connection, workspace_id, wanted, after=after, limit=limit)
        )

    async def deliveries(
        self, workspace_id: int, wanted: DeliveryFilter, *, after: int = 0, limit: int = 100
    ) -> Sequence[DeliveryRecord]:
        """Deliveries in the order of their ids, beginning behind ``after``."""
        return await self._database.read(
            lambda connection: recipients.list_deliveries(connection, workspace_id, wanted, after=after, limit=limit)
        )

    async def delivery(self, workspace_id: int, delivery_id: int) -> tuple[DeliveryRecord, Sequence[Event]]:
        """One delivery with its whole history; raises ``NotFoundError``."""
        found = await self._database.read(
            lambda connection: recipients.get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
        )
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("message")
        history = await self.events(workspace_id, EventFilter(delivery_id=delivery_id), limit=1000)
        return found, history


def address_key(text: str) -> str:
    """The key to search an address by; raises ``RefusedError`` where it is none."""
    try:
        return EmailAddress.parse(text).key
    except AddressSyntaxError as error:
        raise RefusedError("bad_address", error.message, field="address", next_step=error.next_step) from error
