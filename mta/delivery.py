"""The life of one delivery as one literal table (docs/states.md is generated from it).

Why the table looks as it does:

- ``leased`` is fenced by an epoch and by database time. A lease that ran out was never sent: ``transmitting`` is
  made durable before DATA, so a worker that died earlier has put nothing on the wire.
- A ``transmitting`` that ran out, or whose connection was lost after the final dot, is ``ambiguous``: the other
  side may have the message. It is counted, and by the stream's rule tried again under the same Message-ID
  (twice is better than never) or left for a person to decide.
- A late outcome of a worker that was only slow still counts while nobody else has leased the delivery:
  ``ambiguous`` takes the same outcomes as ``transmitting``.
- Late bounces and complaints are events, not states: what was ``delivered`` stays so.
"""

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    HELD = "held"
    READY = "ready"
    LEASED = "leased"
    TRANSMITTING = "transmitting"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    AMBIGUOUS = "ambiguous"


class Happening(StrEnum):
    """What can happen to a delivery."""

    RELEASE = "release"  # budget, route and schedule allow it
    HOLD = "hold"  # the run was paused
    LEASE = "lease"  # a worker took it
    LEASE_LOST = "lease_lost"  # the worker gave it back or vanished before DATA
    TRANSMIT = "transmit"  # durable just before DATA
    NOT_SENT = "not_sent"  # marked, but the connection ended before this message's DATA
    ACCEPTED = "accepted"  # 2yz after the final dot
    TRANSIENT = "transient"  # 4yz, or the host could not be reached
    PERMANENT = "permanent"  # 5yz, or the domain takes no mail
    UNKNOWN = "unknown"  # the connection was lost after the final dot, or the worker vanished
    RETRY = "retry"  # the stream's rule sends an ambiguous message again
    EXPIRE = "expire"  # older than the stream allows
    SUPPRESS = "suppress"  # the address may not be written to any more
    CANCEL = "cancel"  # the run or the message was cancelled


S, H = DeliveryState, Happening

NEXT_STATE: dict[tuple[DeliveryState, Happening], DeliveryState] = {
    (S.HELD, H.RELEASE): S.READY,
    (S.HELD, H.PERMANENT): S.FAILED,
    (S.HELD, H.EXPIRE): S.EXPIRED,
    (S.HELD, H.SUPPRESS): S.SUPPRESSED,
    (S.HELD, H.CANCEL): S.CANCELLED,
    (S.READY, H.LEASE): S.LEASED,
    (S.READY, H.HOLD): S.HELD,
    (S.READY, H.EXPIRE): S.EXPIRED,
    (S.READY, H.SUPPRESS): S.SUPPRESSED,
    (S.READY, H.CANCEL): S.CANCELLED,
    (S.LEASED, H.TRANSMIT): S.TRANSMITTING,
    (S.LEASED, H.LEASE_LOST): S.READY,
    (S.LEASED, H.TRANSIENT): S.DEFERRED,
    (S.LEASED, H.PERMANENT): S.FAILED,
    (S.LEASED, H.SUPPRESS): S.SUPPRESSED,
    (S.LEASED, H.CANCEL): S.CANCELLED,
    (S.TRANSMITTING, H.ACCEPTED): S.DELIVERED,
    (S.TRANSMITTING, H.TRANSIENT): S.DEFERRED,
    (S.TRANSMITTING, H.PERMANENT): S.FAILED,
    (S.TRANSMITTING, H.NOT_SENT): S.READY,
    (S.TRANSMITTING, H.UNKNOWN): S.AMBIGUOUS,
    (S.DEFERRED, H.LEASE): S.LEASED,
    (S.DEFERRED, H.HOLD): S.HELD,
    (S.DEFERRED, H.EXPIRE): S.EXPIRED,
    (S.DEFERRED, H.SUPPRESS): S.SUPPRESSED,
    (S.DEFERRED, H.CANCEL): S.CANCELLED,
    (S.AMBIGUOUS, H.RETRY): S.READY,
    (S.AMBIGUOUS, H.ACCEPTED): S.DELIVERED,
    (S.AMBIGUOUS, H.TRANSIENT): S.DEFERRED,
    (S.AMBIGUOUS, H.PERMANENT): S.FAILED,
    (S.AMBIGUOUS, H.NOT_SENT): S.READY,
    (S.AMBIGUOUS, H.EXPIRE): S.EXPIRED,
    (S.AMBIGUOUS, H.SUPPRESS): S.SUPPRESSED,
    (S.AMBIGUOUS, H.CANCEL): S.CANCELLED,
}

TERMINAL: frozenset[DeliveryState] = frozenset(DeliveryState) - {before for before, _ in NEXT_STATE}


def next_state(state: DeliveryState, happening: Happening) -> DeliveryState | None:
    """The state after ``happening``, or ``None`` where it cannot happen in ``state`` (the row is left alone)."""
    return NEXT_STATE.get((state, happening))


def states_before(happening: Happening) -> tuple[DeliveryState, ...]:
    """The states in which ``happening`` may happen, in the order of the enum; for conditional updates."""
    return tuple(state for state in DeliveryState if (state, happening) in NEXT_STATE)
