"""What the engine asks about the pace; ``postwright/wiring`` brings the implementation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailtypes.clock import Microseconds
from mailtypes.smtp import SmtpReply
from mta.shaping.rules import Stage
from mta.shaping.slots import Slots


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to use one connection to a destination, and to begin up to ``messages`` messages.

    ``slots`` says when each may begin, ``None``: as fast as it goes. A connection that has carried
    ``messages_per_connection`` is closed.
    """

    destination_id: int
    messages: int
    messages_per_connection: int
    slots: Slots | None = None


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing may be begun there at present: ask again at ``until``. ``reason`` is for people.

    ``is_full``: only because every connection is in use, so what is under way may go on, and makes room as it ends.
    """

    until: Microseconds
    reason: str
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """A reply that was no success, and what it was the answer to."""

    stage: Stage
    reply: SmtpReply


@dataclass(frozen=True, slots=True)
class PermitUse:
    """What was done with a permit: messages begun and accepted, and what was heard."""

    begun: int = 0
    accepted: int = 0
    observations: Sequence[Observation] = ()


class Shaping(Protocol):
    """The pace of every destination, shared by all workers of the cluster."""

    async def admit(self, destination_id: int, wanted: int, now: Microseconds) -> Permit | NotNow:
        """Leave for one more connection and up to ``wanted`` messages, before anything is leased.

        Every ``Permit`` has to be given to ``settle`` once.
        """
        ...

    def halts(self, destination_id: int, observation: Observation) -> bool:
        """Whether what was heard suspends the destination: the batch begins no further message."""
        ...

    async def settle(self, permit: Permit, use: PermitUse) -> None:
        """Give a permit back with what came of it; changes of the pace are durable when this returns."""
        ...


class NoShaping:
    """Every permit at once, within fixed limits: for tests, and where one process sends to a relay of its own."""

    def __init__(self, messages_per_connection: int) -> None:
        self._messages_per_connection = messages_per_connection

    async def admit(self, destination_id: int, wanted: int, now: Microseconds) -> Permit | NotNow:  # noqa: ARG002
        """See ``Shaping.admit``."""
        return Permit(destination_id, wanted, self._messages_per_connection)

    def halts(self, destination_id: int, observation: Observation) -> bool:  # noqa: ARG002
        """See ``Shaping.halts``."""
        return False

    async def settle(self, permit: Permit, use: PermitUse) -> None:
        """See ``Shaping.settle``."""
