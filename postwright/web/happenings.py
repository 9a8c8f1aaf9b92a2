"""Events of the log as lines of a timeline: what, when, why, what the other side said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailtypes.clock import DAY, MINUTE, SECOND
from postwright.services.errors import NotFoundError
from postwright.services.event_fields import told_data
from postwright.services.log import Log
from postwright.store.events import Event, EventFilter
from postwright.store.recipients import DeliveryRecord
from postwright.web.audience_words import SUPPRESSION_REASONS
from postwright.web.event_words import EVENTS
from postwright.web.language import N_, Texts, gettext
from postwright.web.words import REASONS, Tone, Word, by_key, word

_WINDOWS = (2 * SECOND, 30 * SECOND, 10 * MINUTE, DAY, 4000 * DAY)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Happening:
    """One line. ``retry_at`` in microseconds; ``delivery`` where the event is about one and it is still there."""

    word: Word
    occurred_at: int
    why: str = ""
    reply: str = ""
    remote: str = ""
    tls: str = ""
    attempt: int | None = None
    retry_at: int | None = None
    delivery: DeliveryRecord | None = None


_WAYS = Texts({"one_click": N_("By the one-click button of the mail program."), "page": N_("On the unsubscribe page.")})
_NOT_MEANT = by_key(
    Word("archived", Tone.QUIET, N_("Archived")),
    Word("frequency_cap", Tone.QUIET, N_("Had as many mails as allowed")),
    Word("win_back", Tone.QUIET, N_("Asked by other mail whether to stay")),
)
"""Why somebody gets nothing though no suppression says so."""
_CAUSES = Texts({"lease": N_("The worker vanished while it was sending, so nobody saw the answer.")})


def happening_of(event: Event, delivery: DeliveryRecord | None = None) -> Happening:
    """An event as a line."""
    data = told_data(event)
    code, text = data.get("reply_code"), _text(data, "reply")
    return Happening(
        word=word(EVENTS, event.kind),
        occurred_at=event.occurred_at,
        why=_why(event.kind, data, "" if code else text),
        reply=_reply(code, _text(data, "enhanced_status"), text) if code else "",
        remote=_text(data, "remote"),
        tls=_text(data, "tls"),
        attempt=_number(data, "attempt"),
        retry_at=_number(data, "retry_at"),
        delivery=delivery,
    )


def reply_of(delivery: DeliveryRecord) -> str:
    """The last word of the other side, or our own reason where it said nothing."""
    return _reply(delivery.reply_code, "", delivery.reply_text)


def _reply(code: object, enhanced: str, text: str) -> str:
    shown = text if not enhanced or text.startswith(enhanced) else f"{enhanced} {text}"
    return f"{code} {shown}" if code and not text.startswith(str(code)) else shown


def _why(kind: str, data: dict[str, Any], text: str) -> str:
    if kind == "unsubscribed":
        return _WAYS.get(_text(data, "way"), "")
    if kind == "clicked":
        return gettext("Link %(number)s.", number=data.get("link"))
    reason = _text(data, "reason")
    if kind == "suppressed":
        return _stopped(reason)
    cause = _text(data, "cause") or REASONS.get(reason, "")
    return _CAUSES.get(cause, cause) or text or _text(data, "diagnostic") or _text(data, "status")


def _stopped(reason: str) -> str:
    """Why a mail was not sent, by one of our reasons; people and API clients give others, in words of their own."""
    known = SUPPRESSION_REASONS.get(reason) or _NOT_MEANT.get(reason)
    return known.label if known else reason


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _number(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) else None


async def recent_happenings(log: Log, workspace_id: int, run_id: int, until: int) -> list[Happening]:
    """The newest lines of a run, newest first; ``until`` is the present or the moment at which it ended.

    The log is read forwards, so that it is asked for ever longer spans until one holds enough.
    """
    found: Sequence[Event] = ()
    for window in _WINDOWS:
        found = await log.events(workspace_id, EventFilter(run_id=run_id), after=(until - window, 0), limit=1000)
        if len(found) >= _SHOWN:
            break
    return [
        happening_of(event, await _delivery(log, workspace_id, event.delivery_id))
        for event in reversed(found[-_SHOWN:])
    ]


async def _delivery(log: Log, workspace_id: int, delivery_id: int | None) -> DeliveryRecord | None:
    if delivery_id is None:
        return None
    try:
        delivery, _ = await log.delivery(workspace_id, delivery_id)
    except NotFoundError:
        return None
    return delivery
