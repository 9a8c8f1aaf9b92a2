"""Templates that include parts of the library: put together for a look, and frozen when something is sent."""

import hashlib
import re
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mailtypes.clock import Microseconds
from postwright.store import templates
from postwright.store.templates import TemplateText, TemplateVersion
from rendering.mjml import Expanded, expand_includes

FROZEN_MARK = "\x1f"
"""Begins the names of frozen texts. Nobody can give a template such a name, since names are stripped."""
_INCLUDE = re.compile(r"<mj-include\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WholeText:
    """A text with its parts put in; ``expanded`` leads back to them, ``None`` where it includes nothing."""

    text: TemplateText
    expanded: Expanded | None = None


def has_includes(text: TemplateText) -> bool:
    """Whether other templates have to be put in."""
    return text.body_format == "mjml" and _INCLUDE.search(text.body) is not None


def whole_text(connection: Connection, workspace_id: int, text: TemplateText) -> WholeText:
    """The text with the newest versions of the templates that it names; raises ``TemplateSyntaxError``."""
    if not has_includes(text):
        return WholeText(text)

    def look_up(name: str) -> str | None:
        found = templates.find_template(connection, workspace_id, name)
        version = templates.latest_version(connection, found.id) if found is not None else None
        return version.body if version is not None else None

    expanded = expand_includes(text.body, look_up)
    return WholeText(replace(text, body=expanded.text), expanded)


def without_parts(text: TemplateText) -> TemplateText:
    """The text with nothing in the place of its parts: what can be judged without the library."""
    return replace(text, body=expand_includes(text.body, lambda _: "").text) if has_includes(text) else text


def freeze(connection: Connection, workspace_id: int, version: TemplateVersion, now: Microseconds) -> TemplateVersion:
    """The version that a run is to refer to: this one, or where it includes parts, one that holds all of them.

    The latter is stored by its digest under a name that no list shows, so a part that is changed later changes
    nothing that has begun. Raises ``TemplateSyntaxError``.
    """
    whole = whole_text(connection, workspace_id, version.text)
    if whole.expanded is None:
        return version
    parts = (whole.text.body, whole.text.subject, whole.text.preheader, whole.text.plain_text or "\0")
    digest = hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return templates.save_template(connection, workspace_id, FROZEN_MARK + digest, whole.text, now)
