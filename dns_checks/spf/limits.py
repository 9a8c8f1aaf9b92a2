"""The budget of one ``check_host()`` run (RFC 7208 section 4.6.4)."""

from dataclasses import dataclass

from dns_checks.spf.errors import SpfLimitExceeded
from dns_checks.spf.result import SpfSpent


@dataclass(frozen=True, slots=True)
class SpfLimits:
    """How much one run may ask for; the defaults are the RFC's.

    ``terms``: mechanisms and modifiers that cause DNS queries. ``voids``: lookups that find nothing.
    ``mx_names``: names in one ``mx`` mechanism; more are a ``permerror``. ``ptr_names``: names looked at for one
    client address; more are ignored. ``explanation_octets``: a longer explanation is dropped (the RFC has no
    number for it, but it goes into an SMTP reply).
    """

    terms: int = 10
    voids: int = 2
    mx_names: int = 10
    ptr_names: int = 10
    explanation_octets: int = 1000


class SpfBudget:
    """Counts what a run spends and stops it at the limit; every evaluator step spends through it."""

    def __init__(self, limits: SpfLimits) -> None:
        self.limits = limits
        self.spent = SpfSpent()

    def spend_term(self) -> None:
        """Count one of ``include``, ``a``, ``mx``, ``ptr``, ``exists`` and ``redirect``."""
        if self.spent.terms >= self.limits.terms:
            raise SpfLimitExceeded(f"more than {self.limits.terms} terms that need DNS lookups")
        self.spent = SpfSpent(self.spent.terms + 1, self.spent.voids)

    def spend_void(self) -> None:
        """Count one lookup that found nothing."""
        if self.spent.voids >= self.limits.voids:
            raise SpfLimitExceeded(f"more than {self.limits.voids} lookups that found nothing")
        self.spent = SpfSpent(self.spent.terms, self.spent.voids + 1)

    def check_mx_names(self, count: int) -> None:
        """Refuse an ``mx`` mechanism with too many names, before any of them is looked up."""
        if count > self.limits.mx_names:
            raise SpfLimitExceeded(f"an mx term with {count} names, at most {self.limits.mx_names} are allowed")
