"""The listener's bounds, and the octets of mail that all of its sessions hold together."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class SubmissionLimits:
    """Bounds of the listener.

    ``message_octets`` is what SIZE says (RFC 1870): 25 MB of attachments in base64. ``octets_in_flight`` bounds the
    mail of all sessions together; beyond it new mail is answered with 452 (a message is copied up to three times while
    it is looked through, which comes on top). While a message comes in, each ``pace`` has to bring
    ``octets_per_pace`` at least. ``idle`` is the time for a whole command line.
    """

    message_octets: int = 36 * 1024 * 1024
    octets_in_flight: int = 256 * 1024 * 1024
    header_octets: int = 256 * 1024
    header_fields: int = 500
    recipients: int = 1000
    connections: int = 2000
    connections_per_peer: int = 200
    errors: int = 20
    commands_between_messages: int = 3000
    commands_before_auth: int = 50
    idle: timedelta = timedelta(minutes=5)
    session: timedelta = timedelta(hours=1)
    handshake: timedelta = timedelta(seconds=30)
    pace: timedelta = timedelta(seconds=30)
    octets_per_pace: int = 8 * 1024


class OctetBudget:
    """How many octets may still be held; shared by all sessions of a listener."""

    def __init__(self, octets: int) -> None:
        self._left = octets

    @property
    def left(self) -> int:
        """Octets that nobody holds."""
        return self._left

    def take(self, octets: int) -> bool:
        """Hold ``octets`` more; ``False``, and nothing is held, where they are not there."""
        if octets > self._left:
            return False
        self._left -= octets
        return True

    def give_back(self, octets: int) -> None:
        """Hold ``octets`` less."""
        self._left += octets
