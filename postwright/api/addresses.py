"""Addresses in requests: ``"Name <a@b>"``, ``"a@b"`` or an object with address and name."""

import re
from typing import Annotated

from pydantic import Field

from mailtypes.address import AddressSyntaxError, EmailAddress
from postwright.api.representations import Text, Wanted
from postwright.services.errors import Problem, RefusedError
from rendering.whole import Mailbox

_NAMED = re.compile(r"\s*(?P<name>.*?)\s*<(?P<address>[^<>]*)>\s*\Z", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\Z', re.DOTALL)
_LONGEST = 1000


class AddressWanted(Wanted):
    """An address and the name that people see."""

    address: Text = Field(max_length=512)
    name: Text = Field("", max_length=300)


Address = Annotated[
    Annotated[Text, Field(max_length=_LONGEST)] | AddressWanted,
    Field(description="`a@b.example`, `Name <a@b.example>`, or an object with address and name."),
]


def as_given(given: str | AddressWanted) -> str:
    """What to call an address in an answer that refuses it: without the name, never longer than an address may be."""
    written = given if isinstance(given, str) else given.address
    named = _NAMED.match(written)
    return (named["address"] if named else written).strip()[:320]


def read_mailbox(given: str | AddressWanted) -> Mailbox:
    """The mailbox that was meant; raises ``AddressSyntaxError``.

    A display name comes in quotes or without (RFC 5322 section 3.4); comments and groups are not read.
    """
    if isinstance(given, AddressWanted):
        return Mailbox(EmailAddress.parse(given.address), given.name.strip())
    named = _NAMED.match(given)
    if named is None:
        return Mailbox(EmailAddress.parse(given))
    quoted = _QUOTED.match(named["name"])
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else named["name"]
    return Mailbox(EmailAddress.parse(named["address"]), name)


def required_mailbox(given: str | AddressWanted, field: str) -> Mailbox:
    """The same for a field that cannot be left out; raises ``RefusedError`` naming the field."""
    try:
        return read_mailbox(given)
    except AddressSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "invalid", field)]) from error
