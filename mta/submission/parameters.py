"""Reads the arguments of MAIL and RCPT: RFC 5321 section 4.1.2, with SIZE, 8BITMIME, SMTPUTF8, AUTH and DSN."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailtypes.address import AddressSyntaxError, EmailAddress
from mta.submission.faults import CommandError
from mta.submission.ports import Notify, OriginalRecipient, Return, SubmissionRecipient

_PATH = re.compile(r"(FROM|TO): ?<([^<>\s]*)>(?: +(.*))?\Z", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")  # RFC 3461 section 4
_XTEXT_OCTET = re.compile(r"\+([0-9A-F]{2})")
_UNICODE_ESCAPE = re.compile(r"\\x\{([1-9A-F][0-9A-F]{1,5})\}")  # RFC 6533 section 3
_LONGEST_ENVID = 100  # RFC 3461 section 4.4
_LONGEST_ORCPT = 500  # RFC 3461 section 4.2


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL said; ``size`` is the declared number of octets, 0 where none was."""

    mail_from: EmailAddress | None
    size: int = 0
    smtputf8: bool = False
    ret: Return | None = None
    envid: str | None = None


def read_mail(argument: str) -> MailCommand:
    """The argument of MAIL; raise ``CommandError``."""
    path, parameters = _path_and_parameters(argument, "FROM")
    known = _checked(parameters, "MAIL", _MAIL)
    smtputf8 = "SMTPUTF8" in known
    address = _address(path, smtputf8=smtputf8) if path else None
    return MailCommand(
        address,
        _size(known.get("SIZE", "0")),
        smtputf8,
        Return(known["RET"].lower()) if "RET" in known else None,
        _envid(known["ENVID"]) if "ENVID" in known else None,
    )


def read_rcpt(argument: str, *, smtputf8: bool) -> SubmissionRecipient:
    """The argument of RCPT; raise ``CommandError``. ``smtputf8`` is what MAIL asked for (RFC 6531 section 3.4)."""
    path, parameters = _path_and_parameters(argument, "TO")
    known = _checked(parameters, "RCPT", _RCPT)
    if not path:
        raise CommandError(553, "5.1.3", "a recipient cannot be empty")
    return SubmissionRecipient(
        _address(path, smtputf8=smtputf8),
        _notify(known["NOTIFY"]) if "NOTIFY" in known else None,
        _original_recipient(known["ORCPT"], smtputf8=smtputf8) if "ORCPT" in known else None,
    )


def _path_and_parameters(argument: str, keyword: str) -> tuple[str, dict[str, str | None]]:
    match = _PATH.match(argument)
    if match is None or match[1].upper() != keyword:
        raise CommandError(501, "5.5.4", f"write {keyword}:<name@example.com>, then the parameters")
    found: dict[str, str | None] = {}
    for text in (match[3] or "").split():
        parameter = _PARAMETER.match(text)
        if parameter is None:
            raise CommandError(501, "5.5.4", f"not a parameter: {text[:60]}")
        name = parameter[1].upper()
        if name in found:
            raise CommandError(501, "5.5.4", f"{name} is given twice")
        found[name] = parameter[2]
    return match[2], found


def _checked(given: dict[str, str | None], verb: str, allowed: dict[str, Callable[[str], bool]]) -> dict[str, str]:
    for name, value in given.items():
        check = allowed.get(name)
        if check is None:
            raise CommandError(555, "5.5.4", f"{verb} has no parameter {name[:60]} here")
        if not check(value or ""):
            raise CommandError(501, "5.5.4", f"not a value of {name}: {(value or '')[:60]}")
    return {name: value or "" for name, value in given.items()}


def _is_xtext(value: str) -> bool:
    return _XTEXT.match(value) is not None


_MAIL: dict[str, Callable[[str], bool]] = {
    "SIZE": lambda value: value.isascii() and value.isdigit() and len(value) <= 20,  # RFC 1870 section 3
    "BODY": lambda value: value.upper() in {"7BIT", "8BITMIME"},
    "SMTPUTF8": lambda value: value == "",
    # RFC 4954 section 5: whoever offers AUTH understands this one; nobody here has a use for it.
    "AUTH": lambda value: value != "" and _is_xtext(value),
    "RET": lambda value: value.upper() in {"FULL", "HDRS"},
    "ENVID": lambda value: 0 < len(value) <= _LONGEST_ENVID and _is_xtext(value),
}
_RCPT: dict[str, Callable[[str], bool]] = {
    "NOTIFY": lambda value: value != "",
    "ORCPT": lambda value: 0 < len(value) <= _LONGEST_ORCPT,
}


def _address(path: str, *, smtputf8: bool) -> EmailAddress:
    if not smtputf8 and not path.isascii():
        raise CommandError(553, "5.6.7", "an address that is not ASCII needs SMTPUTF8 behind MAIL")
    try:
        return EmailAddress.parse(path)
    except AddressSyntaxError as error:
        raise CommandError(553, "5.1.3", error.message) from error


def _size(value: str) -> int:
    return int(value)


def _envid(value: str) -> str:
    text = _decode_xtext(value)
    # RFC 3461 section 4.4: printable; a line end in xtext would become one in a report's header.
    if not all(" " <= character <= "~" for character in text):
        raise CommandError(501, "5.5.4", "ENVID has characters that cannot be printed")
    return text


def _notify(value: str) -> frozenset[Notify]:
    words = value.lower().split(",")
    try:
        wishes = frozenset(Notify(word) for word in words)
    except ValueError:
        wishes = frozenset()
    if len(wishes) != len(words) or (Notify.NEVER in wishes and len(wishes) > 1):
        raise CommandError(501, "5.5.4", "NOTIFY is NEVER, or any of SUCCESS,FAILURE,DELAY")
    return wishes


def _original_recipient(value: str, *, smtputf8: bool) -> OriginalRecipient:
    address_type, semicolon, encoded = value.partition(";")
    address_type = address_type.lower()
    if not semicolon or address_type not in {"rfc822", "utf-8"} or not encoded:
        raise CommandError(501, "5.5.4", "ORCPT is rfc822;address or utf-8;address")
    if encoded.isascii():
        if not _is_xtext(encoded):
            raise CommandError(501, "5.5.4", "the address of ORCPT is not xtext")
        address = _decode_xtext(encoded)
    elif smtputf8 and address_type == "utf-8":
        address = encoded
    else:
        raise CommandError(501, "5.5.4", "ORCPT has an address that is not ASCII")
    if address_type == "utf-8":
        address = _unescaped(address)
    if not address.isprintable() or (address_type == "rfc822" and not address.isascii()):
        raise CommandError(501, "5.5.4", "ORCPT has characters that cannot be printed")
    return OriginalRecipient(address_type, address)


def _unescaped(address: str) -> str:
    points = [int(found, 16) for found in _UNICODE_ESCAPE.findall(address)]
    if "\\" in _UNICODE_ESCAPE.sub("", address) or not all(_is_character(point) for point in points):
        raise CommandError(501, "5.5.4", "ORCPT has an escape that is no character")
    return _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), address)


def _is_character(point: int) -> bool:
    return point <= 0x10FFFF and not 0xD800 <= point < 0xE000


def _decode_xtext(value: str) -> str:
    return _XTEXT_OCTET.sub(lambda match: chr(int(match[1], 16)), value)
