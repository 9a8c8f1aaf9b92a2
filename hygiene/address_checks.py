"""Whether an address may enter a list, without asking anybody's server.

``mailtypes`` decides what an address is; email-validator adds what the registries say: valid A-labels (IDNA 2008),
special-use domains (RFC 6761) and unsafe letters. Role addresses are flagged, not refused: they are often wanted.
What else speaks against an address (typos, disposable domains, duplicates) is judged in ``address_verdict``.

Nearly all addresses are plain ASCII. Those are read by one pattern, which accepts nothing that the long way would
refuse and comes to the same value; a property test holds the two together.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.saying import begun, joined, say

_MAX_TEXT = 512  # characters; an address has at most 254 octets, the rest would only burden report and log

# RFC 2142, and the names that people use beside those; compared with the folded local part.
# fmt: off
ROLE_LOCAL_PARTS: frozenset[str] = frozenset(
    {
        "abuse", "accounting", "accounts", "admin", "administrator", "all", "billing", "booking", "bounce", "bounces",
        "careers", "compliance", "contact", "contactus", "customerservice", "devnull", "do-not-reply", "donotreply",
        "enquiries", "everyone", "feedback", "finance", "ftp", "help", "helpdesk", "hello", "hostmaster", "hr", "info",
        "information", "inquiries", "invoices", "it", "jobs", "legal", "list", "mail", "mailer-daemon", "mailerdaemon",
        "marketing", "media", "news", "newsletter", "no-reply", "noc", "noreply", "null", "office", "orders",
        "postmaster", "press", "privacy", "reception", "root", "sales", "security", "service", "sos", "spam", "staff",
        "subscribe", "support", "sysadmin", "team", "unsubscribe", "usenet", "uucp", "webmaster", "www",
        "מידע", "מכירות", "משרד", "שיווק", "שירות", "תמיכה",
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
    if len(text) <= _MAX_TEXT:
        address = plain_address(text)
        if address is not None:
            return AddressCheck(address, warnings=_warnings_of(address))
    return check_any_address(text, test_environment=test_environment)


# RFC 5321 section 4.1.2: Dot-string in ASCII, at most 64 octets, and a host name (RFC 1123 section 2.1) of labels of
# at most 63 octets, 254 octets together. What a registry reads otherwise goes the long way: labels with hyphens in
# third and fourth place (A-labels among them), top-level domains that do not end with a letter.
_PLAIN = re.compile(
    r"(?=[^@]{1,64}@)(?=.{3,254}\Z)"
    r"([a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@((?:(?!..--)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+"
    r"(?!..--)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(?<=[a-zA-Z])\Z"
)
_SPECIAL_USE = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)


def plain_address(text: str) -> EmailAddress | None:
    """``text`` as an address where it is a plain one; ``None`` says nothing but that the long way has to be gone."""
    stripped = text.strip()
    matched = _PLAIN.match(stripped)
    if matched is None:
        return None
    domain = matched[2].lower()
    return None if f".{domain}".endswith(_SPECIAL_USE) else EmailAddress(stripped, matched[1], DomainName(domain))


def check_any_address(text: str, *, test_environment: bool = False) -> AddressCheck:
    """``check_address`` the long way, which judges every address."""
    if not text.strip():
        return AddressCheck(None, AddressRefusal.EMPTY, say("The address is empty."))
    if len(text) > _MAX_TEXT:
        return AddressCheck(
            None,
            AddressRefusal.TOO_LONG,
            say("The address is longer than %(max_text)s characters.", max_text=_MAX_TEXT),
        )
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
        return AddressCheck(None, AddressRefusal.UNREGISTRABLE, _sentence(str(error), say("Check the spelling.")))
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
    is_role = address.local_part.lower().partition("+")[0] in ROLE_LOCAL_PARTS
    if not is_role and address.local_part.isascii():
        return ()
    roles = (AddressWarning.ROLE_ADDRESS,) if is_role else ()
    return (*roles, AddressWarning.NEEDS_SMTPUTF8) if address.needs_smtputf8 else roles


def _sentence(message: str, next_step: str) -> str:
    first = begun(message if message[-1:] != "." else message.rstrip("."))
    sentence = say("%(sentence)s.", sentence=first)
    return joined((sentence, next_step), " ") if next_step else sentence
