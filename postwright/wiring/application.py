"""Every service of a process, in one place."""

from dataclasses import dataclass

from mailtypes.clock import SystemClock
from postwright.settings import Settings
from postwright.wiring.sending import SendingServices


@dataclass(frozen=True)
class Application(SendingServices):
    """Everything that a process may need, built when it is first asked for. ``close`` when done."""

    @classmethod
    def open(cls, settings: Settings) -> "Application":
        """An application on the machine's clock."""
        return cls(settings, SystemClock())
