"""Bounces that come back to our return paths: stored whole, read, and turned into events and suppressions."""

import re
from collections.abc import Iterable

from sqlalchemy import Connection

from hygiene.consequences import BounceKind, consequence
from mailtypes.clock import Clock, Microseconds
from mailtypes.smtp import SmtpReply
from mta.dsn import DsnAction, DsnRecipient, DsnSyntaxError, read_dsn
from mta.feedback_token import FeedbackKey
from mta.verp import read_verp
from postwright.store import blobs, domains, events, recipients, suppressions
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import DeliveryRecord
from postwright.store.suppressions import NewSuppression, Scope


class Bounces:
    """What is done with mail to return paths."""

    def __init__(self, database: Database, clock: Clock, feedback_keys: Iterable[FeedbackKey]) -> None:
        self._database = database
        self._clock = clock
        self._feedback_keys = tuple(feedback_keys)
        self._hosts: frozenset[str] = frozenset()

    async def refresh_hosts(self) -> None:
        """Learn the return-path hosts of all sender domains; RCPT is answered from memory."""
        self._hosts = frozenset(await self._database.read(domains.return_path_hosts))

    def is_ours(self, host: str) -> bool:
        """Whether bounces to this host come to us."""
        return host.lower() in self._hosts

    def is_return_path(self, local_part: str) -> bool:
        """Whether we made this local part."""
        return read_verp(local_part, self._feedback_keys) is not None

    async def take(self, local_part: str, message: bytes) -> None:
        """Store a message to a return path and act on it; returns once that is durable.

        The recipient that counts is the one that the return path names, whatever the report says: a forged report
        can harm only the delivery whose return path its forger knows.
        """
        delivery_id = read_verp(local_part, self._feedback_keys)
        if delivery_id is None:
            return
        try:
            reports = read_dsn(message)
        except DsnSyntaxError:
            reports = ()  # kept all the same: nothing that came back is lost
        now = self._clock.now()

        def store(connection: Connection) -> None:
            delivery = recipients.get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
            if delivery is None:
                return
            blob_id = blobs.put_blob(connection, delivery.workspace_id, message, now)
            for report in reports[:1]:  # one return path, one recipient
                _act(connection, delivery, report, blob_id, now)
            if not reports:
                unread = NewEvent(
                    delivery.workspace_id,
                    "feedback_unread",
                    now,
                    delivery.run_id,
                    delivery.id,
                    delivery.contact_id,
                    {"blob": blob_id},
                )
                events.append(connection, [unread], now)

        await self._database.write(store)


def _act(
    connection: Connection, delivery: DeliveryRecord, report: DsnRecipient, blob_id: int, now: Microseconds
) -> None:
    """Log what a report says; a bounce that tells of a dead mailbox suppresses the address."""
    if report.action is DsnAction.DELAYED:
        kind, verdict = "delayed", None
    elif report.action is DsnAction.FAILED:
        kind, verdict = "bounced", consequence(_as_reply(report))
    else:
        return
    data = {
        "status": str(report.status or ""),
        "diagnostic": report.diagnostic,
        "kind": str(verdict.kind) if verdict else "",
        "reason": verdict.reason if verdict else "",
        "blob": blob_id,
    }
    event = NewEvent(delivery.workspace_id, kind, now, delivery.run_id, delivery.id, delivery.contact_id, data)
    (event_id,) = events.append(connection, [event], now)
    if verdict is not None and verdict.kind is BounceKind.HARD_BOUNCE:
        wanted = NewSuppression(delivery.address, delivery.address_key, Scope.ALL, 0, "hard_bounce", event_id)
        suppressions.suppress(connection, delivery.workspace_id, [wanted], now)


def _as_reply(report: DsnRecipient) -> SmtpReply:
    """The report in the form in which replies are judged: the code of its class, status and diagnostic as text."""
    code = 450 if report.status is not None and report.status.status_class == 4 else 550
    text = re.sub(r"^[245]\d\d[ -]", "", report.diagnostic)
    return SmtpReply(code, report.status, text)
