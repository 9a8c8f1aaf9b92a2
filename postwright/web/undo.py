"""The way back from what was just done; pages show it for ten seconds with the macro ``undo_bar``."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Offer:
    """A form that undoes: its address, what was done in one sentence, and its fields."""

    href: str
    sentence: str
    fields: Mapping[str, str] = field(default_factory=dict)
