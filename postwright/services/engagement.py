"""What people (and machines) do with a mail: open, click, unsubscribe; durable before the answer."""

from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.clock import Clock
from postwright.store import campaigns, contacts, events, messages, recipients, suppressions, workspaces
from postwright.store.campaigns import Run
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import DeliveryRecord
from postwright.store.suppressions import NewSuppression, Scope
from tracking.links import is_trackable
from tracking.tokens import TokenClaims, TokenKeys, TokenKind, read


@dataclass(frozen=True, slots=True)
class UnsubscribePage:
    """What the page has to know before somebody unsubscribes."""

    list_name: str
    sender: str
    language: str


def _place_name(connection: Connection, run: Run) -> str:
    """What somebody unsubscribes from: the list's name, or the stream's."""
    if run.list_id is None:
        stream = workspaces.get_stream(connection, run.stream_id)
        return stream.name if stream else ""
    target = contacts.get_list(connection, run.workspace_id, run.list_id)
    return target.name if target else ""


class Engagement:
    """Reads tokens, records what they tell of."""

    def __init__(self, database: Database, clock: Clock, token_keys: TokenKeys) -> None:
        self._database = database
        self._clock = clock
        self._token_keys = token_keys

    def claims(self, token: str, kind: TokenKind) -> TokenClaims | None:
        """What a genuine token of this kind says, ``None`` for any other."""
        claims = read(token, self._token_keys)
        return claims if claims is not None and claims.kind is kind else None

    async def opened(self, claims: TokenClaims) -> None:
        """The pixel was fetched, by whomever."""
        await self._record(claims, "opened", {})

    async def clicked(self, claims: TokenClaims, *, is_fetch: bool) -> str | None:
        """Record a click and return its target, ``None`` where there is none (any more).

        ``is_fetch`` is false for HEAD, by which only machines look: it is answered, and counts as no click.
        """
        run_id = run_of_delivery(claims.delivery_id)
        delivery = await self._delivery(claims)
        if delivery is None:
            return None
        target = await self._database.read(
            lambda connection: (
                messages.link_target(connection, delivery.message_id, claims.link)
                if delivery.message_id
                else campaigns.link_target(connection, run_id, delivery.variant, claims.link)
            )
        )
        if target is None or not is_trackable(target):
            return None
        if is_fetch:
            await self._record(claims, "clicked", {"link": claims.link})
        return target

    async def unsubscribe_page(self, claims: TokenClaims) -> UnsubscribePage | None:
        """What to show to somebody who followed the link; shows no address, since links get forwarded."""
        delivery = await self._delivery(claims)
        run = await self._database.read(
            lambda connection: campaigns.get_run(connection, run_of_delivery(claims.delivery_id))
        )
        if delivery is None or run is None:
            return None
        place = await self._database.read(lambda connection: _place_name(connection, run))
        language = await self._database.read(
            lambda connection: recipients.merge_value(connection, run.id, delivery.id, "language")
        )
        return UnsubscribePage(place, run.from_name or run.from_address or run.signing_domain, language)

    async def unsubscribe(self, claims: TokenClaims, way: str) -> bool:
        """Suppress the recipient for the list of that mail, at once and for queued mail too; ``False`` if unknown.

        Mail of API clients goes to no list of ours: there it is the stream. A receipt is not stopped, since it comes
        by another stream. ``way`` is ``one_click`` or ``page``.
        """
        delivery = await self._delivery(claims)
        if delivery is None:
            return False
        now = self._clock.now()

        def store(connection: Connection) -> bool:
            run = campaigns.get_run(connection, delivery.run_id)
            if run is None or workspaces.get_stream(connection, run.stream_id) is None:
                return False
            event = NewEvent(
                run.workspace_id, "unsubscribed", now, run.id, delivery.id, delivery.contact_id, {"way": way}
            )
            (event_id,) = events.append(connection, [event], now)
            scope = (Scope.STREAM, run.stream_id) if run.list_id is None else (Scope.LIST, run.list_id)
            wanted = NewSuppression(delivery.address, delivery.address_key, *scope, "unsubscribed", event_id)
            suppressions.suppress(connection, run.workspace_id, [wanted], now)
            return True

        return await self._database.write(store)

    async def _delivery(self, claims: TokenClaims) -> DeliveryRecord | None:
        return await self._database.read(
            lambda connection: recipients.get_delivery(
                connection, run_of_delivery(claims.delivery_id), claims.delivery_id
            )
        )

    async def _record(self, claims: TokenClaims, kind: str, data: dict[str, object]) -> None:
        now = self._clock.now()
        run_id = run_of_delivery(claims.delivery_id)

        def store(connection: Connection) -> None:
            delivery = recipients.get_delivery(connection, run_id, claims.delivery_id)
            if delivery is not None:
                event = NewEvent(delivery.workspace_id, kind, now, run_id, delivery.id, delivery.contact_id, data)
                events.append(connection, [event], now)

        await self._database.write(store)
