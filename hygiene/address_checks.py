"""Whether an address may enter a list, without asking anybody's server.

``mailtypes`` decides what an address is; email-validator adds what the registries say: valid A-labels (IDNA 2008),
special-use domains (RFC 6761) and unsafe letters. Role addresses are flagged, not refused: they are often wanted.
"""

from dataclasses import dataclass
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.domain import DomainSyntaxError

_MAX_TEXT = 512  # characters; an address has at most 254 octets, the rest would only burden report and log

# RFC 2142, and the names that people use beside those; compared with the folded local part.
# fmt: off
ROLE_LOCAL_PARTS: frozenset[str] = frozenset(
    {
        "abuse", "admin", "administrator", "billing", "compliance", "contact", "help", "hostmaster", "hr",
        "info", "jobs", "mail", "mailer-daemon", "marketing", "news", "no-reply", "noc", "noreply", "office",
        "postmaster", "privacy", "root", "sales", "security", "spam", "support", "sysadmin", "team", "usenet",
        "uucp", "webmaster", "www",
    }
)
# fmt: on


class AddressRefusal(StrEnum):
    """Why an address was refused."""

    EMPTY = "empty"
    NO_AT_SIGN = "no_at_sign"
    TOO_LONG = "too_long"
    BAD_LOCAL_PART = "bad_local_part"
    BAD_DOMAIN = "bad_domain"
    UNREGISTRABLE = "unregistrable"  # well formed, but no such domain can exist (special use, invalid A-label)


class AddressWarning(StrEnum):
    """What is worth knowing about an address that was accepted."""

    ROLE_ADDRESS = "role_address"
    NEEDS_SMTPUTF8 = "needs_smtputf8"  # RFC 6531: hosts without SMTPUTF8 cannot take it


@dataclass(frozen=True, slots=True)
class AddressCheck:
    """The address, or why there is none: ``refusal`` for programs, ``sentence`` (with the next step) for people."""

    address: EmailAddress | None
    refusal: AddressRefusal | None = None
    sentence: str = ""
    warnings: tuple[AddressWarning, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether the address may enter a list."""
        return self.address is not None


def check_address(text: str, *, test_environment: bool = False) -> AddressCheck:
    """Check one address as it came. ``test_environment`` lets ``.test`` domains pass: for the sandbox alone."""
    if not text.strip():
        return AddressCheck(None, AddressRefusal.EMPTY, "The address is empty.")
    if len(text) > _MAX_TEXT:
        return AddressCheck(None, AddressRefusal.TOO_LONG, f"The address is longer than {_MAX_TEXT} characters.")
    try:
        address = EmailAddress.parse(text)
    except AddressSyntaxError as error:
        return AddressCheck(None, _refusal_of(error), _sentence(error.message, error.next_step))
    try:
        validate_email(
            address.smtp,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            check_deliverability=False,
            test_environment=test_environment,
        )
    except EmailNotValidError as error:
        return AddressCheck(None, AddressRefusal.UNREGISTRABLE, _sentence(str(error), "Check the spelling."))
    return AddressCheck(address, warnings=_warnings_of(address))


def _refusal_of(error: AddressSyntaxError) -> AddressRefusal:
    before, at, _ = error.source.rpartition("@")
    if not at:
        return AddressRefusal.NO_AT_SIGN
    if error.span is not None and error.span.start < len(before):
        return AddressRefusal.BAD_LOCAL_PART
    if error.span is None and not isinstance(error.__cause__, DomainSyntaxError) and not error.next_step:
        return AddressRefusal.TOO_LONG
    return AddressRefusal.BAD_DOMAIN if before.strip() else AddressRefusal.BAD_LOCAL_PART


def _warnings_of(address: EmailAddress) -> tuple[AddressWarning, ...]:
    warnings = []
    if address.local_part.lower().partition("+")[0] in ROLE_LOCAL_PARTS:
        warnings.append(AddressWarning.ROLE_ADDRESS)
    if address.needs_smtputf8:
        warnings.append(AddressWarning.NEEDS_SMTPUTF8)
    return tuple(warnings)


def _sentence(message: str, next_step: str) -> str:
    first = message[:1].upper() + message[1:].rstrip(".") + "."
    return f"{first} {next_step}".strip()
