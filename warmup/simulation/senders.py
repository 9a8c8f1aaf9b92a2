"""Who sends: how many messages a day to whom, and how good the list is."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_BAD_IMPORT_DAYS = 3
_IMPORTED_BAD, _IMPORTED_COMPLAINTS = 0.12, 0.004  # on top, of a bought list
_ENGAGED_BAD, _ENGAGED_COMPLAINTS = 0.3, 0.4  # of the list's share, among the most engaged


@dataclass(frozen=True, slots=True)
class Sender:
    """``bad_addresses`` and ``complaints`` are shares of the whole list; they are lower among the most engaged.

    With ``bad_import``, three days of mail go to a bought list as well.
    """

    name: str
    bad_addresses: float
    complaints: float
    bad_import: bool = False

    def on(self, days_after_import: int, depth: float, left: float) -> tuple[float, float]:
        """Bad addresses and complaint chance where the most engaged ``depth`` of the list are written to.

        ``left``: share of the bad addresses that have not bounced yet, since each bounces once.
        """
        bad = self.bad_addresses * left * (_ENGAGED_BAD + (1.0 - _ENGAGED_BAD) * depth)
        complaints = self.complaints * (_ENGAGED_COMPLAINTS + (1.0 - _ENGAGED_COMPLAINTS) * depth)
        if self.bad_import and 0 <= days_after_import < _BAD_IMPORT_DAYS:
            return bad + _IMPORTED_BAD, complaints + _IMPORTED_COMPLAINTS
        return bad, complaints


SENDERS: Mapping[str, Sender] = MappingProxyType(
    {
        one.name: one
        for one in (
            Sender("clean", bad_addresses=0.01, complaints=0.0005),
            Sender("tired", bad_addresses=0.04, complaints=0.0015),
            Sender("bad_import", bad_addresses=0.015, complaints=0.0006, bad_import=True),
        )
    }
)

MIX: Mapping[str, float] = MappingProxyType({"google": 0.45, "outlook.com": 0.2, "yahoo": 0.15, "others": 0.2})
"""The share of each provider in a list; an assumption."""
