"""Templates to begin with, each in English and in Hebrew (right to left): a newsletter and an announcement."""

from dataclasses import dataclass
from importlib.resources import files

from rendering.source import TemplateSource


@dataclass(frozen=True, slots=True)
class Starter:
    """A template of ours. ``key`` names it and its language: ``newsletter.en``."""

    key: str
    title: str
    language: str
    source: TemplateSource


_STARTERS = (
    (
        "newsletter.en",
        "Newsletter",
        "en",
        '{{ contact.first_name | default: "Hello" }}, three short reads for this month',
    ),
    ("newsletter.he", "עלון", "he", '{{ contact.first_name | default: "שלום" }}, שלוש ידיעות קצרות לחודש הזה'),
    ("announcement.en", "Announcement", "en", "Our new shop opens on Sunday at ten"),
    ("announcement.he", "הודעה", "he", "החנות החדשה נפתחת ביום ראשון בעשר"),
)


def starters() -> tuple[Starter, ...]:
    """All of them; read from the package at each call."""
    folder = files("rendering.starters")
    return tuple(
        Starter(key, title, language, TemplateSource((folder / f"{key}.mjml").read_text("utf-8"), "mjml", subject))
        for key, title, language, subject in _STARTERS
    )
