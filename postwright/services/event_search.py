"""Looking for what happened: the newest events, the alarms, and one message by whatever somebody has of it."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.saying import say
from mta.feedback_token import FeedbackKey
from mta.message_id import read_message_id
from postwright.services.errors import RefusedError
from postwright.store import event_search, recipients
from postwright.store.database import Database
from postwright.store.event_search import EventPage
from postwright.store.events import Event
from postwright.store.public_ids import PublicIdSyntaxError, read_public_id, run_of_delivery
from postwright.store.recipients import DeliveryFilter, DeliveryRecord
from postwright.store.routes import Destination

LONGEST_QUERY = 1000
_DELIVERY = "msg"
_REPLIES = ("delivered", "deferred", "failed", "ambiguous")


class EventSearch:
    """The event log as somebody reads it who wants to know why."""

    def __init__(self, database: Database, feedback_keys: Iterable[FeedbackKey]) -> None:
        self._database = database
        self._feedback_keys = tuple(feedback_keys)

    async def newest(
        self, workspace_id: int, kinds: Sequence[str], before: tuple[int, int] | None = None, limit: int = 50
    ) -> EventPage:
        """The newest events of these kinds (none: all)."""
        return await self._database.read(
            lambda one: event_search.newest_events(one, workspace_id, kinds, before=before, limit=limit)
        )

    async def alarms(self, workspace_id: int, since: int) -> Sequence[Event]:
        """The alarms since a moment, the newest first."""
        return await self._database.read(lambda one: event_search.alarms_since(one, workspace_id, since))

    async def replies(self, workspace_id: int, destination: Destination, limit: int = 30) -> Sequence[Event]:
        """The newest replies of a destination's hosts, among the newest events of the whole workspace."""
        found = await self.newest(workspace_id, _REPLIES, limit=1000)
        hosts = tuple(f'"remote":"{host}' for group in destination.host_groups for host in group)
        return [event for event in found.events if any(host in event.data for host in hosts)][:limit]

    async def messages(
        self, workspace_id: int, query: str, *, after: int = 0, limit: int = 50
    ) -> Sequence[DeliveryRecord]:
        """The deliveries that an address, a Message-ID of ours or a message's id leads to, in the order of their ids.

        Raises ``RefusedError`` where it is none of them.
        """
        query = query[:LONGEST_QUERY].strip()
        delivery_id = self._delivery_id(query)
        if delivery_id is not None:
            one = await self._database.read(
                lambda read: recipients.get_delivery(read, run_of_delivery(delivery_id), delivery_id)
            )
            return [one] if one is not None and one.workspace_id == workspace_id else []
        wanted = DeliveryFilter(address_key=_address_key(query))
        return await self._database.read(
            lambda read: recipients.list_deliveries(read, workspace_id, wanted, after=after, limit=limit)
        )

    async def deliveries(self, workspace_id: int, delivery_ids: Sequence[int]) -> Mapping[int, DeliveryRecord]:
        """Those of these deliveries that are still there, by id."""

        def read(connection: Connection) -> dict[int, DeliveryRecord]:
            found = (recipients.get_delivery(connection, run_of_delivery(one), one) for one in delivery_ids)
            return {one.id: one for one in found if one is not None and one.workspace_id == workspace_id}

        return await self._database.read(read) if delivery_ids else {}

    def _delivery_id(self, query: str) -> int | None:
        try:
            return read_public_id(query, _DELIVERY)
        except PublicIdSyntaxError:
            return read_message_id(query, self._feedback_keys)


def _address_key(query: str) -> str:
    try:
        return EmailAddress.parse(query).key
    except AddressSyntaxError as error:
        step = say("Give a recipient's address, a Message-ID, or an id that begins with msg_.")
        raise RefusedError("bad_search", error.message, field="query", next_step=step) from error
