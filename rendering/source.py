"""What a marketer hands in, and the errors that say what is wrong with it and where."""

from dataclasses import dataclass
from typing import Literal

from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

BodyFormat = Literal["mjml", "html"]


class TemplateSyntaxError(InputSyntaxError):
    """A template that cannot be compiled. ``source`` is the faulty part's text, ``part`` its name.

    ``part`` is one of ``body``, ``subject``, ``preheader``, ``plain_text``.
    """

    def __init__(
        self, message: str, *, source: str = "", span: Span | None = None, next_step: str = "", part: str = "body"
    ) -> None:
        super().__init__(message, source=source, span=span, next_step=next_step)
        self.part = part


class UnknownFieldError(TemplateSyntaxError):
    """A merge field that no contact has; ``field`` is the path as written, ``suggestion`` the nearest known one."""

    def __init__(self, field: str, suggestion: str, *, source: str, span: Span, part: str) -> None:
        next_step = (
            say("Did you mean %(suggestion)s?", suggestion=suggestion)
            if suggestion
            else say("Write the name of a field that the contacts have, or import it first.")
        )
        super().__init__(
            say("there is no field %(field)s", field=field), source=source, span=span, next_step=next_step, part=part
        )
        self.field = field
        self.suggestion = suggestion


class MergeValueError(InputSyntaxError):
    """One recipient's data cannot be merged at its place; ``field`` names the merge value as the template has it."""

    def __init__(
        self, message: str, *, field: str, source: str = "", span: Span | None = None, next_step: str = ""
    ) -> None:
        super().__init__(message, source=source, span=span, next_step=next_step)
        self.field = field


class MergeLimitError(MergeValueError):
    """Merging would take more work, or make more text, than a mail may."""


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template as its author wrote it; every text may hold Liquid.

    ``plain_text`` is the author's own text part; ``None`` has it written from the HTML. ``preheader`` is the line
    that inboxes show beside the subject.
    """

    body: str
    body_format: BodyFormat
    subject: str
    preheader: str = ""
    plain_text: str | None = None


@dataclass(frozen=True, slots=True)
class MergeField:
    """A variable path used by the template, for instance ``contact.first_name``, and its place in one part."""

    path: str
    part: str
    span: Span
