"""The catalogues of the pages: lists what is wrong with them, and with ``--check`` fails where anything is.

Messages are what ``_``, ``gettext``, ``ngettext``, ``N_`` and ``{% trans %}`` hold in ``postwright/web``, what ``say``
holds anywhere (the findings of the rooms), and the texts of the tables of rules. Every file
``postwright/web/locale/<language>/LC_MESSAGES/*.po`` counts; a new room of the application brings its own.
``--missing`` writes the untranslated messages as the beginning of such a file.
"""

import argparse
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract, extract_from_dir
from babel.messages.pofile import write_po

from postwright.web.language import LANGUAGES, catalogue_files, read_catalogues
from rendering.lint import RULES as LINT_RULES
from rendering.lint import default_policy
from rendering.spam_risk.rules import the_rules

ROOT = Path(__file__).parent.parent
WEB = ROOT / "postwright" / "web"
ROOMS = ("mailtypes", "dns_checks", "rendering", "warmup", "hygiene", "experiments", "mta", "postwright")
_METHODS = [("**.py", "python"), ("templates/**.jinja", "jinja2.ext:babel_extract")]
_OPTIONS = {"templates/**.jinja": {"extensions": "jinja2.ext.i18n", "trimmed": "true", "trim_blocks": "true"}}
_KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
_SAYINGS = {"say": None}
_PLACE = re.compile(r"%\((\w+)\)s")
_TAG = re.compile(r"</?[a-z]+")
Key = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A message that is not right in a catalogue."""

    language: str
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.language}: {self.kind}: {self.message}"


@cache
def extracted() -> dict[Key, str]:
    """All messages of the code and the templates, each with a place where it stands."""
    found: dict[Key, str] = {}
    options = {pattern: dict(values) for pattern, values in _OPTIONS.items()}
    entries = extract_from_dir(WEB, _METHODS, options, _KEYWORDS)
    for file_name, line, message, *_ in entries:
        key: Key = tuple(message) if isinstance(message, tuple | list) else message
        if key and key != ("",):
            found.setdefault(key, f"{file_name}:{line}")
    for text, place in findings():
        found.setdefault(text, place)
    return found


def findings() -> Iterator[tuple[str, str]]:
    """The templates of all findings with the place of each; those of tables stand where the table does."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        source = path.read_bytes()
        if b"say(" not in source:
            continue
        for line, message, *_ in extract("python", io.BytesIO(source), _SAYINGS):
            if isinstance(message, str) and message:
                yield message, f"{path.relative_to(ROOT).as_posix()}:{line}"
    for lint_rule in LINT_RULES:
        yield from ((text, f"rendering/lint/table.py ({lint_rule.code}):1") for text in (lint_rule.why, lint_rule.mend))
    yield from ((limit.name, "rendering/lint/client_shares.toml:1") for limit in default_policy().inbox_limits)
    for risk_rule in the_rules():
        place = f"rendering/spam_risk/rules.toml ({risk_rule.code}):1"
        yield from ((text, place) for text in (risk_rule.sentence, risk_rule.mend))


def faults(language: str) -> Iterator[Fault]:
    """What is missing, obsolete, said twice, or has other placeholders or tags than its English."""
    wanted = extracted()
    files = catalogue_files(language)
    catalogue = read_catalogues(language, files)
    said: Counter[Key] = Counter(
        _key(message) for path in files for message in read_catalogues(language, [path]) if message.id
    )
    for key in wanted:
        entry = catalogue.get(key if isinstance(key, str) else key[0])
        if entry is None or not _is_complete(entry):
            yield Fault(language, "no translation", f"{_shown(key)} ({wanted[key]})")
        elif _key(entry) != key and isinstance(key, tuple):
            yield Fault(language, "no plural", _shown(key))
        elif not _fits(entry):
            yield Fault(language, "other placeholders or tags", _shown(key))
    known = {key if isinstance(key, str) else key[0] for key in wanted}
    for key, times in said.items():
        if (key if isinstance(key, str) else key[0]) not in known:
            yield Fault(language, "obsolete", _shown(key))
        if times > 1:
            yield Fault(language, "said twice", _shown(key))


def missing(language: str) -> Catalog:
    """The messages without a translation, as a catalogue to fill in."""
    catalogue = read_catalogues(language, catalogue_files(language))
    new = Catalog(locale=language)
    for key, place in extracted().items():
        entry = catalogue.get(key if isinstance(key, str) else key[0])
        if entry is None or not _is_complete(entry):
            file_name, _, line = place.rpartition(":")
            new.add(key, locations=[(file_name, int(line))])
    return new


def _key(entry: Message) -> Key:
    return tuple(entry.id) if isinstance(entry.id, tuple | list) else entry.id


def _texts(texts: object) -> list[str]:
    return [str(text or "") for text in texts] if isinstance(texts, tuple | list) else [str(texts or "")]


def _is_complete(entry: Message) -> bool:
    return all(_texts(entry.string))


def _fits(entry: Message) -> bool:
    """Every form may leave the number out ("one report"), but names nothing that the English does not name."""
    ids, strings = _texts(entry.id), _texts(entry.string)
    places = {place for text in ids for place in _PLACE.findall(text)}
    if len(ids) == 1:
        return all(
            set(_PLACE.findall(text)) == places and sorted(_TAG.findall(text)) == sorted(_TAG.findall(ids[0]))
            for text in strings
        )
    return all(set(_PLACE.findall(text)) <= places for text in strings)


def _shown(key: Key) -> str:
    return repr(key if isinstance(key, str) else key[0])


def main() -> int:
    """Check or list; the number of faults is on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="fail where anything is wrong")
    parser.add_argument("--missing", metavar="LANGUAGE", help="write what lacks a translation as a catalogue")
    options = parser.parse_args()
    if options.missing:
        write_po(sys.stdout.buffer, missing(options.missing), omit_header=True, width=0)
        return 0
    found = [fault for language in LANGUAGES if language != "en" for fault in faults(language)]
    for fault in found:
        print(fault)
    print(f"{len(extracted())} messages, {len(found)} faults")
    return 1 if options.check and found else 0


if __name__ == "__main__":
    raise SystemExit(main())
