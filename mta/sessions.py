"""What the engine needs of a session with a destination; ``mta.client.Connection`` is one over SMTP."""

from typing import Protocol

from mta.transmission import Attempt, Transmission


class Course(Protocol):
    """The messages for one connection, and where their outcomes go: one outcome for each begun message, in order.

    Where the connection ends early, those that were begun last may get none: nothing of them was sent but commands.
    """

    def next(self) -> Transmission | None:
        """The next message, which is begun now; ``None`` where no more shall be begun."""
        ...

    def settle(self, attempt: Attempt) -> None:
        """What became of the first message that has no outcome yet."""
        ...


class Session(Protocol):
    """An open session that takes one message after the other."""

    tls_version: str
    """The protocol's version where the session is encrypted, else empty."""
    sent: int
    """How many messages were sent on it, whatever became of them."""

    @property
    def remote(self) -> object:
        """Whom it is with; its ``str`` goes into the log."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether a message may be sent on it."""
        ...

    async def send_all(self, course: Course) -> None:
        """Send what ``course`` gives; returns when it gives no more or the session is of no more use.

        Never raises for what the other side does.
        """
        ...

    async def quit(self) -> None:
        """Part in peace."""
        ...

    def abort(self, cause: str) -> None:
        """Close at once; a message under way gets its outcome by what was written so far."""
        ...
