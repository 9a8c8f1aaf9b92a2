"""What all answers and requests have in common: public ids, moments, references, strict models, pages."""

from collections.abc import Callable
from typing import Annotated, Generic, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mailtypes.clock import as_datetime
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store.public_ids import PublicIdSyntaxError, public_id, read_public_id

T = TypeVar("T")


class Kind(NamedTuple):
    """A kind of thing with public ids: their three letters, and what people call it."""

    prefix: str
    name: str


CAMPAIGN = Kind("cmp", "campaign")
RUN = Kind("run", "run")
MESSAGE = Kind("msg", "message")
SUBMISSION = Kind("sub", "submission")
EVENT = Kind("evt", "event")
IMPORT = Kind("imp", "import")
LIST = Kind("lst", "list")
TEMPLATE = Kind("tpl", "template")
DOMAIN = Kind("dom", "sender domain")
SUPPRESSION = Kind("sup", "suppression")
KEY = Kind("key", "API key")
REPORT = Kind("rep", "report")


def outward(kind: Kind, created_at: int, row_id: int) -> str:
    """The id that outsiders see."""
    return public_id(kind.prefix, created_at, row_id)


def inward(kind: Kind, text: str) -> int:
    """The row id in a path or a filter; a text that is no id of this kind names nothing: ``NotFoundError``."""
    try:
        return read_public_id(text, kind.prefix)
    except PublicIdSyntaxError as error:
        raise NotFoundError(kind.name) from error


def inward_field(kind: Kind, text: str, field: str) -> int:
    """The row id in a field of a body; raises ``RefusedError`` naming the field."""
    try:
        return read_public_id(text, kind.prefix)
    except PublicIdSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "bad_id", field)]) from error


def moment(at: int) -> str:
    """Microseconds as RFC 3339 in UTC, always with six digits behind the point."""
    return as_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def optional_moment(at: int | None) -> str | None:
    """``moment``, or ``None`` where there is none."""
    return None if at is None else moment(at)


def _without_nul(text: str) -> str:
    # PostgreSQL stores no NUL, and nobody means one.
    place = text.find("\x00")
    if place >= 0:
        raise ValueError(f"a NUL cannot stand in a text; remove it (character {place + 1})")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC, microseconds.")]


class Answer(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Wanted(BaseModel):
    """What comes in as JSON: no unknown fields, no guessing between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PageWanted(BaseModel):
    """Which page of a list; filters are added by subclasses. An unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    limit: int = Field(100, ge=1, le=500, description="How many items at most.")
    cursor: str | None = Field(
        None, max_length=200, description="`next_cursor` of the page before; none for the first page."
    )


class Page(Answer, Generic[T]):
    """A part of a list. Go on with `next_cursor` while `has_more` is true, or later, for what has been added since."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class Reference(Answer):
    """Another thing, by its id and name."""

    id: str
    name: str


class ProblemItem(Answer):
    """One thing that is wrong. `field` names the field or parameter, `pointer` its place in a JSON body (RFC 6901)."""

    code: str
    detail: str
    field: str | None = None
    pointer: str | None = None
    place: str | None = None
    next_step: str | None = None

    @classmethod
    def of(cls, problem: Problem) -> "ProblemItem":
        """A service's problem for the outside."""
        return cls(
            code=problem.code,
            detail=problem.sentence,
            field=problem.field or None,
            place=problem.place or None,
            next_step=problem.next_step or None,
        )


class RefusedRecipient(Answer):
    """A recipient that gets nothing: its place in the request, from 0 (To, then Cc, then Bcc), and why."""

    index: int
    address: str
    code: str = Field(description="invalid, suppressed, duplicate, smtputf8_needed, data_too_large or over_quota")
    reason: str
    field: str | None = Field(None, description="Its place by name, such as cc[1].")
    key: str | None = Field(None, description="The client's own name for it, in bulks.")
    next_step: str | None = None


class ProblemDocument(Answer):
    """Problem details for HTTP APIs (RFC 9457). `instance` names the request, `errors` everything that is wrong.

    `refused` is there where all recipients of a request that sends were refused.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemItem]
    refused: list[RefusedRecipient] | None = None


def page_of(items: list[T], key: Callable[[T], int], after: int, limit: int) -> list[T]:
    """The items behind ``after`` in the order of their keys, one more than ``limit`` where there are more.

    For lists that are short by nature and that the services give whole.
    """
    return sorted((item for item in items if key(item) > after), key=key)[: limit + 1]
