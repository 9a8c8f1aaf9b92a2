"""Bounces and complaints that come back: stored whole, read, and turned into events and suppressions.

Forged feedback does nothing. Whom a bounce is about says the return path that it came to, which carries an HMAC; a
complaint to the address for feedback loops has to carry the Message-ID or the return path of the mail itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from hygiene.consequences import BounceKind, consequence_of
from mailtypes.address import EmailAddress
from mailtypes.bounce import BLAMES, BounceReason
from mailtypes.clock import Clock, Microseconds
from mailtypes.errors import InputSyntaxError
from mta.bounce import (
    BouncedRecipient,
    BounceReport,
    BounceSyntaxError,
    ComplaintReport,
    DsnAction,
    NotABounce,
    read_bounce,
)
from mta.feedback_token import FeedbackKey
from mta.message_id import read_message_id
from mta.verp import read_verp
from postwright.services import refusals
from postwright.store import blobs, campaigns, domains, events, recipients, suppressions
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import DeliveryRecord
from postwright.store.suppressions import NewSuppression, Scope

FEEDBACK_LOOP: Final = "fbl"
"""The local part, at every return-path host, that is given to providers for their complaints."""
_MAX_DIAGNOSTIC: Final = 1_000
_Report = BounceReport | ComplaintReport | NotABounce


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
        """Whether mail to this local part is taken: we made it, or it is the one for feedback loops."""
        return local_part.lower() == FEEDBACK_LOOP or read_verp(local_part, self._feedback_keys) is not None

    async def take(self, local_part: str, message: bytes) -> None:
        """Store a message and act on it; returns once that is durable.

        The recipient that counts is the one of the delivery, whatever the report says: a forged report can harm only
        the delivery whose return path or Message-ID its forger knows. What comes to the address for feedback loops
        and proves to be about no delivery of ours is dropped: anybody may write there.
        """
        report = _read(message)
        if local_part.lower() == FEEDBACK_LOOP:
            delivery_id = self._delivery_of(report)
        else:
            delivery_id = read_verp(local_part, self._feedback_keys)
        if delivery_id is None:
            return
        now = self._clock.now()

        def store(connection: Connection) -> None:
            delivery = recipients.get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
            if delivery is not None:
                blob_id = blobs.put_blob(connection, delivery.workspace_id, message, now)
                _act(connection, delivery, report, blob_id, now)

        await self._database.write(store)

    def _delivery_of(self, report: _Report | None) -> int | None:
        """The delivery that a complaint is about, by what only its mail carried."""
        if not isinstance(report, ComplaintReport):
            return None
        original = report.original
        found = read_message_id(original.message_id, self._feedback_keys) if original else None
        if found is not None:
            return found
        return_path = original.value("return-path").strip().strip("<>") if original else ""
        for address in (report.mail_from, return_path):
            delivery_id = read_verp(address.rpartition("@")[0], self._feedback_keys)
            if delivery_id is not None:
                return delivery_id
        return None


def _read(message: bytes) -> _Report | None:
    try:
        return read_bounce(message)
    except BounceSyntaxError:
        return None  # kept all the same: nothing that came back is lost


def _act(
    connection: Connection, delivery: DeliveryRecord, report: _Report | None, blob_id: int, now: Microseconds
) -> None:
    """Log what a report says; a dead mailbox or a complaint suppresses the address and stops what is queued to it."""
    kind, data = _event(delivery, report)
    event = NewEvent(
        delivery.workspace_id,
        kind,
        now,
        delivery.run_id,
        delivery.id,
        delivery.contact_id,
        {**data, "blob": blob_id},
    )
    (event_id,) = events.append(connection, [event], now)
    wanted = _suppression(connection, delivery, str(data.get("kind", "")), event_id)
    if wanted is not None:
        suppressions.suppress(connection, delivery.workspace_id, [wanted], now)


def _event(delivery: DeliveryRecord, report: _Report | None) -> tuple[str, Mapping[str, Any]]:
    """The kind and the data of the event that a report becomes."""
    if isinstance(report, ComplaintReport):
        return _complaint(report)
    if isinstance(report, BounceReport):
        about = _recipient_of(delivery, report)
        if about.action is DsnAction.DELAYED:
            return "delayed", _told(about)
        if about.action is DsnAction.FAILED:
            found = about.classification
            verdict = consequence_of(found.reason, is_recipient_dead=found.is_recipient_dead)
            return "bounced", _told(about, verdict.kind)
        return "feedback_unread", _told(about)  # a notice of success is of no use to us
    evidence = "it is no mail" if report is None else report.evidence
    reason = BounceReason.UNKNOWN if report is None else report.reason
    return "feedback_unread", {"reason": str(reason), "evidence": evidence}


def _complaint(report: ComplaintReport) -> tuple[str, Mapping[str, Any]]:
    data = {"feedback_type": report.feedback_type[:100], "user_agent": report.user_agent[:200]}
    if not report.is_against_mail:
        return "feedback_unread", data
    reason = BounceReason.COMPLAINT
    verdict = consequence_of(reason, is_recipient_dead=False)
    return "complained", {**data, "reason": str(reason), "blames": str(BLAMES[reason]), "kind": str(verdict.kind)}


def _told(about: BouncedRecipient, kind: BounceKind | None = None) -> Mapping[str, Any]:
    return {
        "status": str(about.status or ""),
        "code": about.reply_code,
        "diagnostic": about.diagnostic[:_MAX_DIAGNOSTIC],
        **refusals.told(about.classification, kind),
    }


def _recipient_of(delivery: DeliveryRecord, report: BounceReport) -> BouncedRecipient:
    """One return path, one recipient: the one that is named as we wrote to them, else the first."""
    named = [one for one in report.recipients if _key(one.address) == delivery.address_key]
    return (named or list(report.recipients))[0]


def _key(address: str) -> str:
    try:
        return EmailAddress.parse(address).key
    except InputSyntaxError:
        return ""


def _suppression(connection: Connection, delivery: DeliveryRecord, kind: str, event_id: int) -> NewSuppression | None:
    """A dead mailbox is dead to everybody; who complains of one stream may still want their receipts."""
    if kind == BounceKind.HARD_BOUNCE:
        return NewSuppression(delivery.address, delivery.address_key, Scope.ALL, 0, "hard_bounce", event_id)
    if kind == BounceKind.COMPLAINT:
        run = campaigns.get_run(connection, delivery.run_id)
        assert run is not None  # foreign keys
        place = (Scope.STREAM, run.stream_id)
        return NewSuppression(delivery.address, delivery.address_key, *place, "complaint", event_id)
    return None
