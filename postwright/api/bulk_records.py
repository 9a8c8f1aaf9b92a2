"""Bodies of bulks, and their records: one recipient with its own data, checked by hand since there may be millions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, JsonValue, RootModel
from pydantic_core import from_json

from postwright.api.addresses import Address
from postwright.api.message_bodies import Tag, When, refused_recipient
from postwright.api.representations import RefusedRecipient, Text, Wanted
from postwright.services.bulks import MOST_AT_ONCE, BulkRow, RefusedRow
from postwright.services.errors import Problem

_FIELDS = frozenset({"address", "data", "key"})
_LONGEST_KEY = 200
_LONGEST_ADDRESS = 512


class RecipientWanted(Wanted):
    """A recipient of a bulk with its own merge fields; `key` is the client's own name for it."""

    address: Text = Field(max_length=_LONGEST_ADDRESS)
    data: dict[str, JsonValue] = Field({})
    key: Text | None = Field(None, max_length=_LONGEST_KEY)


class BulkBody(Wanted):
    """A bulk. With recipients it is sent at once, unless `commit` is `false`; without any it stays open for more."""

    sender: Address = Field(alias="from")
    template: Text = Field(max_length=60, description="The id of a stored template.")
    reply_to: Address | None = None
    subject: Text | None = Field(None, max_length=1000, description="Left out: the template's own.")
    stream: Text = Field("marketing", max_length=100)
    tags: list[Tag] = Field([], max_length=20)
    send_at: When | None = Field(None, description="RFC 3339, up to 30 days ahead; when it is committed if left out.")
    recipients: list[JsonValue] = Field([], max_length=MOST_AT_ONCE)
    commit: bool | None = Field(None, description="Whether it is sent; `true` if left out and there are recipients.")


class RecipientsBody(RootModel[list[JsonValue]]):
    """Recipients to add in one go; more of them come as a stream."""

    root: list[JsonValue] = Field(min_length=1, max_length=MOST_AT_ONCE)


class BrokenLineError(Exception):
    """A line of a stream that is no record at all; ``number`` counts from 1."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.number = number


@dataclass(slots=True)
class Records:
    """Records of one chunk: the good ones with their places in the request, and those that are refused for their form.

    ``broken`` is a line behind which nothing was read.
    """

    places: list[int] = field(default_factory=list)
    rows: list[BulkRow] = field(default_factory=list)
    refused: list[RefusedRecipient] = field(default_factory=list)
    broken: BrokenLineError | None = None

    def add(self, index: int, value: Any) -> None:
        """Take one record as JSON gave it."""
        problem = _problem_of(value)
        if problem is None:
            self.places.append(index)
            self.rows.append(BulkRow(value["address"], value.get("data", {}), value.get("key")))
            return
        given = value if isinstance(value, dict) else {}
        address, key = given.get("address"), given.get("key")
        self.refused.append(
            refused_recipient(
                index,
                address[:320] if isinstance(address, str) else "",
                problem,
                key[:_LONGEST_KEY] if isinstance(key, str) else None,
            )
        )

    def all_refused(self, refused: Sequence[RefusedRow]) -> list[RefusedRecipient]:
        """Those refused for their form and those refused by the bulk, in the order of the request."""
        found = [refused_recipient(self.places[row.index], row.address, row.problem, row.key) for row in refused]
        return sorted([*self.refused, *found], key=lambda item: item.index)


def read_lines(lines: Sequence[bytes], first: int) -> Records:
    """The records in lines of JSON, of which the first is number ``first`` (from 0); empty lines are nothing."""
    records = Records()
    for index, line in enumerate(lines, start=first):
        if not line or line.isspace():
            continue
        try:
            value = from_json(line, allow_inf_nan=False)
        except ValueError as error:
            records.broken = BrokenLineError(index + 1, f"Line {index + 1} is not JSON: {str(error)[:200]}.")
            break
        records.add(index, value)
    return records


def read_values(values: Sequence[Any], first: int = 0) -> Records:
    """The records of a JSON array."""
    records = Records()
    for index, value in enumerate(values, start=first):
        records.add(index, value)
    return records


def _problem_of(value: Any) -> Problem | None:
    if not isinstance(value, dict):
        return Problem("invalid", "A recipient is an object with address, data and key.")
    if not value.keys() <= _FIELDS:
        return Problem("invalid", f"There is no field '{min(value.keys() - _FIELDS)[:60]}'.")
    address, key = value.get("address"), value.get("key")
    if not isinstance(address, str) or len(address) > _LONGEST_ADDRESS:
        return Problem("invalid", f"The address is a text of up to {_LONGEST_ADDRESS} characters.", "address")
    if not isinstance(value.get("data", {}), dict):
        return Problem("invalid", "The data are an object.", "data")
    if key is not None and (not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY or "\x00" in key):
        return Problem("invalid", f"The key is a text of 1 to {_LONGEST_KEY} characters without NUL.", "key")
    return None
