"""Tells SMTP submitters what could not be delivered, once for each message, when all of it is settled (RFC 3461)."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import SECOND, Clock, Microseconds
from mta.failure_notice import FailedRecipient, FailureNotice, compose_notice
from postwright.services.message_intake import MessageIntake, new_recipients
from postwright.services.sending_places import SenderPlace, SendingPlaces
from postwright.store import campaigns, domains, messages, workspaces
from postwright.store.database import Database
from postwright.store.messages import Message, NewMessage, Placement, SettledRecipient
from rendering.segments import MessageUrls
from rendering.whole import fill

_LOOK_EVERY = 5 * SECOND
_AT_ONCE = 1000
_TOLD_OF = frozenset({"failed", "expired"})
"""Suppressed and cancelled ones were stopped by the sender's own doing."""


class FailureNotices:
    """The step that the scheduler takes; ``hostname`` reports."""

    def __init__(
        self, database: Database, clock: Clock, places: SendingPlaces, intake: MessageIntake, hostname: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._places = places
        self._intake = intake
        self._hostname = hostname
        self._looked_at = Microseconds(0)

    async def step(self) -> int:
        """Write the notices that are due, every few seconds where none are left.

        Returns how many messages failed, whose notices have to be sent, or how many were settled where there are more.
        """
        now = self._clock.now()
        if now < self._looked_at + _LOOK_EVERY:
            return 0
        settled, failed = await self._database.read(_settled)
        is_all = len(settled) < _AT_ONCE
        if is_all:
            self._looked_at = now
        # Nearly all mail arrives, and all that did is done with in one go.
        arrived = [message.id for message in settled if message.id not in failed]
        if arrived:
            await self._database.write(partial(messages.forget_notices, message_ids=arrived))
        for message in settled:
            if message.id in failed:
                await self._tell(message, failed[message.id])
        return len(failed) if is_all else len(settled)

    async def _tell(self, message: Message, failed: list[SettledRecipient]) -> None:
        assert message.notify is not None
        wishes = json.loads(message.notify)
        wanted = [item for item in failed if _wants(wishes, item)]
        notice = await self._notice(message, wishes, wanted) if wanted else None
        now = self._clock.now()

        def store(connection: Connection) -> None:
            if messages.forget_notices(connection, [message.id]) and notice is not None:
                new, placement = notice
                messages.store_messages(connection, [new], {new.run_id: placement}, now)

        await self._database.write(store)

    async def _notice(
        self, message: Message, wishes: dict[str, Any], failed: list[SettledRecipient]
    ) -> tuple[NewMessage, Placement] | None:
        try:
            submitter = EmailAddress.parse(message.mail_from)
        except AddressSyntaxError:
            return None
        place = await self._place(message)
        run = await self._places.standing_run(place)
        (delivery_id,) = await self._places.delivery_ids(run, 1)
        message_id = self._intake.message_id(delivery_id, place, run)
        content = await self._database.read(partial(messages.read_content, message_id=message.id))
        links = await self._database.read(partial(messages.links_of, message_id=message.id))
        octets = compose_notice(
            FailureNotice(
                from_address=f"mailer-daemon@{place.domain.name}",
                to_address=submitter.smtp,
                reporting_host=self._hostname,
                message_id=message_id,
                date=self._clock.now(),
                arrived_at=Microseconds(message.created_at),
                envelope_id=wishes.get("envid"),
                subject=message.subject,
                recipients=[_failed(item, wishes) for item in failed],
                message=_as_submitted(content or b"", links),
                full=wishes.get("ret") == "full",
            )
        )
        new = NewMessage(
            id=delivery_id,
            workspace_id=message.workspace_id,
            run_id=run.id,
            source="dsn",
            key_id=None,
            content=octets,
            header_message_id=message_id,
            from_address=f"mailer-daemon@{place.domain.name}",
            subject="Undelivered mail returned to sender",
            tags="[]",
            client_metadata="{}",
            mail_from="",
            notify=None,
            recipients=new_recipients([delivery_id], [submitter]),
            has_return_path=False,
        )
        return new, await self._places.placement(run, place.stream)

    async def _place(self, message: Message) -> SenderPlace:
        """The transactional stream of the domain that the message was sent by."""

        def look(connection: Connection) -> SenderPlace:
            run = campaigns.get_run(connection, message.run_id)
            assert run is not None  # foreign keys
            domain = domains.get_domain(connection, run.domain_id)
            stream = workspaces.find_stream(connection, message.workspace_id, "transactional")
            stream = stream or workspaces.get_stream(connection, run.stream_id)
            assert domain is not None
            assert stream is not None
            return SenderPlace(domain, stream)

        return await self._database.read(look)


def _settled(connection: Connection) -> tuple[list[Message], dict[int, list[SettledRecipient]]]:
    settled = messages.settled_with_notice(connection, limit=_AT_ONCE)
    return settled, messages.recipients_that_ended(connection, settled, _TOLD_OF) if settled else {}


def _wants(wishes: dict[str, Any], item: SettledRecipient) -> bool:
    """RFC 3461 section 4.1: without a wish, failures are reported."""
    wish = wishes["recipients"].get(item.address_key) or {}
    return wish.get("notify") is None or "failure" in wish["notify"]


def _failed(item: SettledRecipient, wishes: dict[str, Any]) -> FailedRecipient:
    wish = wishes["recipients"].get(item.address_key) or {}
    return FailedRecipient(item.address, item.state, item.reply_code, item.reply_text, wish.get("orcpt"))


def _as_submitted(content: bytes, links: Mapping[int, str]) -> bytes:
    """The message with its own links again, without what is put into it for each recipient."""
    return fill(content, MessageUrls(links.__getitem__, "https://unsubscribe.invalid/"), lambda _: b"")
