"""The form of a template's page: the text, for whom it is looked at, and how."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postwright.services.errors import NotFoundError
from postwright.services.template_checks import CheckWish
from postwright.store.templates import TemplateText, TemplateVersion
from postwright.web.mail_frames import VIEWS, WIDTHS, FrameWish

_NUMBER = re.compile(r"\d{1,18}\Z")
_QUERY_FIELDS = frozenset({"view", "width", "contact", "address", "dark", "images", "mark", "version"})


@dataclass(frozen=True, slots=True)
class TemplateForm:
    """What stands in the form; without a text that of the newest version counts."""

    text: TemplateText
    contact: str = "0"
    address: str = ""
    frame: FrameWish = field(default_factory=FrameWish)

    @property
    def wish(self) -> CheckWish:
        """For whom the template is looked at."""
        return CheckWish(contact_id=read_number(self.contact) or 0, contact_address=self.address)


def read_query(given: Mapping[str, Any], version: TemplateVersion) -> TemplateForm:
    """How an address asks for a stored version to be shown.

    An address never brings a text: a link on somebody else's page would fill the editor with it, or have it rendered.
    """
    return read_form({name: value for name, value in given.items() if name in _QUERY_FIELDS}, version)


def read_form(given: Mapping[str, Any], version: TemplateVersion) -> TemplateForm:
    """A posted form; what is missing or makes no sense is as by default."""
    form = {name: value for name, value in given.items() if isinstance(value, str)}
    text = version.text
    if "body" in form:
        body_format = form.get("body_format", "")
        text = TemplateText(
            _lf(form["body"]),
            body_format if body_format in {"mjml", "html"} else version.body_format,
            form.get("subject", ""),
            form.get("preheader", ""),
            _lf(form.get("plain_text", "")) or None,
        )
    view, width = form.get("view", "html"), form.get("width", "desktop")
    frame = FrameWish(
        view=view if view in VIEWS else "html",
        width=width if width in WIDTHS else "desktop",
        dark="dark" in form,
        images="images" in form,
        mark=read_number(form.get("mark", "")),
    )
    return TemplateForm(text, form.get("contact", "0"), form.get("address", "").strip()[:512], frame)


def read_number(text: str) -> int | None:
    """A whole number of a form, ``None`` for anything else."""
    return int(text) if text.isascii() and _NUMBER.match(text) else None


def read_version(text: str) -> int:
    """The number of a version; raises ``NotFoundError``."""
    number = read_number(text)
    if number is None or number >= 1 << 31:
        raise NotFoundError("version of the template")
    return number


def _lf(text: str) -> str:
    """Browsers send CRLF; places are counted in what the author sees."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
