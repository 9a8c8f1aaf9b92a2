"""What can be wrong with a record: said to its author, or met while it is evaluated."""

from typing import ClassVar

from dns_checks.spf.result import SpfResult
from mailtypes.errors import InputSyntaxError, PostwrightError


class SpfSyntaxError(InputSyntaxError):
    """A text that is not an SPF record (RFC 7208 section 12), with the place in the record and the next step."""


class SpfFault(PostwrightError):  # noqa: N818 - these become results, not errors
    """Ends the evaluation of a record with ``result``; never leaves ``check_host()``."""

    result: ClassVar[SpfResult] = SpfResult.PERMERROR


class LookupFailed(SpfFault):
    """A question stayed unanswered (section 5: ``temperror``)."""

    result: ClassVar[SpfResult] = SpfResult.TEMPERROR


class IncludeFailed(SpfFault):
    """The included domain has no record that can be evaluated (section 5.2: ``permerror``)."""


class SpfLimitExceeded(SpfFault):
    """The record asks for more than the limits allow (section 4.6.4: ``permerror``)."""
