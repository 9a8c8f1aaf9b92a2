"""The language, the zone and the looks that a page is made in, and the catalogues that translate it.

English is written in the code and in the templates; ``locale/<language>/LC_MESSAGES/*.po`` say it otherwise, one file
for each room of the application. They are read when somebody first asks for the language.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LOCALES = Path(__file__).parent / "locale"
LANGUAGES = {"en": "English", "he": "עברית"}
"""The languages of the pages, each by its own name."""
THEMES = ("", "light", "dark")
"""How pages look; empty: as the system is set."""
LANGUAGE_COOKIE, THEME_COOKIE, ZONE_COOKIE = "postwright-language", "postwright-theme", "postwright-zone"
_MOST_ACCEPTED = 20
_LOCALES = {"en": "en_GB", "he": "he"}


@dataclass(frozen=True, slots=True)
class Speech:
    """How somebody is spoken to. ``zone`` is a name of the IANA database, ``theme`` one of ``THEMES``."""

    language: str = "en"
    zone: str = "UTC"
    theme: str = ""

    @property
    def locale(self) -> Locale:
        """For numbers and dates."""
        return _locale(self.language)

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return "rtl" if self.language == "he" else "ltr"

    @property
    def tzinfo(self) -> ZoneInfo:
        """For times."""
        return ZoneInfo(self.zone)


_PLAIN = Speech()
_current: ContextVar[Speech] = ContextVar("speech", default=_PLAIN)


def speech() -> Speech:
    """How the person who asked for the present page is spoken to."""
    return _current.get()


def speak(wanted: Speech) -> None:
    """Speak so for the rest of this request."""
    _current.set(wanted)


def chosen_speech(cookies: Mapping[str, str], accept_language: str) -> Speech:
    """What the cookies say; without one of the language what the browser accepts, else English."""
    language = cookies.get(LANGUAGE_COOKIE, "")
    theme, zone = cookies.get(THEME_COOKIE, ""), cookies.get(ZONE_COOKIE, "").replace("%2F", "/")
    return Speech(
        language if language in LANGUAGES else accepted_language(accept_language),
        zone if zone in zones() else "UTC",
        theme if theme in THEMES else "",
    )


def accepted_language(header: str) -> str:
    """The best of our languages for an ``Accept-Language`` header (RFC 9110 section 12.5.4), else English."""
    wanted: list[tuple[float, str]] = []
    for part in header[:1000].split(",")[:_MOST_ACCEPTED]:
        name, _, weight = part.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            wanted.append((-quality, name.strip().replace("iw", "he", 1) if name[:2] == "iw" else name.strip()))
    names = [name for _, name in sorted(wanted, key=lambda one: one[0])]
    return negotiate_locale(names, list(LANGUAGES), sep="-") or "en"


@cache
def zones() -> frozenset[str]:
    """The zones that can be chosen."""
    return frozenset(name for name in available_timezones() if "/" in name) | {"UTC"}


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Mark a message for the catalogues where it is translated only later."""
    return message


def gettext(message: str, /, **values: object) -> str:
    """The message in the language of the present page; ``%(name)s`` stands for a value, ``%`` for itself without."""
    if not message:  # a catalogue has its own header there
        return ""
    text: str = _translations(speech().language).ugettext(message)
    return text % values if values else text


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """The message for that number of things; ``%(name)s`` stands for a value."""
    text: str = _translations(speech().language).ungettext(one, many, count)
    return text % values if values else text


class Texts(Mapping[str, str]):
    """Texts by name that are translated when they are read."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, name: str) -> str:
        return gettext(self._texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def catalogue_files(language: str) -> list[Path]:
    """The catalogues of a language."""
    return sorted((LOCALES / language / "LC_MESSAGES").glob("*.po"))


def read_catalogues(language: str, files: Iterable[Path]) -> Catalog:
    """All of them as one."""
    whole = Catalog(locale=language)
    for path in files:
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    whole[message.id] = message
    return whole


@cache
def _translations(language: str) -> Translations:
    if language == "en":
        return Translations()
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogues(language, catalogue_files(language)))
    compiled.seek(0)
    return Translations(compiled)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(_LOCALES[language])
