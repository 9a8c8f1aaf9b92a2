"""A whole message: SPF, DKIM, DMARC and ARC together, and the Authentication-Results field (RFC 8601)."""

from dns_checks.message.author import Author, find_author
from dns_checks.message.results_field import (
    AuthservIdSyntaxError,
    authentication_results,
    strip_results,
)
from dns_checks.message.verify import MessagePolicy, MessageVerdict, verify_message

__all__ = [
    "Author",
    "AuthservIdSyntaxError",
    "MessagePolicy",
    "MessageVerdict",
    "authentication_results",
    "find_author",
    "strip_results",
    "verify_message",
]
