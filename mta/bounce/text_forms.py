"""Bounces in words: who was meant, and which lines speak of whom. The phrases are in ``forms.toml``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mta.bounce.addresses import ADDRESS, address_in_return_path, address_key, addresses_in, clean_address
from mta.bounce.forms import FORMS
from mta.bounce.mail_text import TakenApart, header_text
from mta.bounce.reports import MAX_RECIPIENTS, OriginalMail

_BULLETS: Final = " \t*>-•\"'"
_BEHIND: Final = re.compile(r"[>\"']*\s*(?:\Z|[:;(\[,]|\.\.\.|\s\S)")
_CODE_BEFORE: Final = re.compile(r"[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?<?\Z")
_RECEIVED_FOR: Final = re.compile(r"\bfor <([^<>\s]{3,320})>", re.IGNORECASE)
_TRANSCRIPT: Final = re.compile(r"[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?<\S{1,320}>\.\.\.")


@dataclass(frozen=True, slots=True)
class Named:
    """Recipients that a text names; ``is_sure`` where it names them as texts of bounces do."""

    addresses: tuple[str, ...]
    is_sure: bool


def named_recipients(apart: TakenApart) -> Named:
    """Who a bounce without RFC 3464 fields is about, by the best that there is."""
    fields = [apart.header.value(name) for name in FORMS.failed_recipient_fields]
    in_header = _different([address for value in fields for address in addresses_in(value)])
    if in_header:
        return Named(in_header, is_sure=True)
    for find in (_at_line_begin, _after_lead_in):
        found = _different(find(apart.lines))
        if found:
            return Named(found, is_sure=True)
    own = {
        address_key(address)
        for name in ("to", "from", "return-path")
        for address in addresses_in(apart.header.value(name))
    }
    subject = addresses_in(header_text(apart.header.value("subject")))
    anywhere = [address for line in apart.lines if "@" in line and _may_name(line) for address in addresses_in(line)]
    foreign = _different([address for address in (*anywhere, *subject) if address_key(address) not in own])
    if foreign:
        return Named(foreign[:1], is_sure=False)
    return Named(_different(_addressed(apart)), is_sure=False)


def _addressed(apart: TakenApart) -> list[str]:
    """To whom the message was addressed: by what came back of it, else by the return path, where that is a VERP."""
    found = original_recipients(apart.original) if apart.original is not None else []
    if not found:
        paths = addresses_in(apart.header.value("to")) + addresses_in(apart.header.value("delivered-to"))
        found = [address for path in paths if (address := address_in_return_path(path))][:1]
    return found


def original_recipients(original: OriginalMail) -> list[str]:
    """To whom a returned message was addressed, by the first of its fields that tells."""
    for name in FORMS.addressed_fields:
        found = addresses_in(original.value(name))
        if found:
            return found
    received = [value for name, value in original.fields if name == "received"]
    found = [
        address for value in received for match in _RECEIVED_FOR.finditer(value) for address in addresses_in(match[1])
    ]
    if found:
        return found[:1]
    paths = [one for name in ("return-path", "sender", "errors-to") for one in addresses_in(original.value(name))]
    return [address for path in paths if (address := address_in_return_path(path))][:1]


def _different(addresses: Sequence[str]) -> tuple[str, ...]:
    by_key = {address_key(address): address for address in reversed(addresses) if clean_address(address)}
    kept = dict.fromkeys(address_key(address) for address in addresses)
    return tuple(by_key[key] for key in kept if key in by_key)[:MAX_RECIPIENTS]


def _may_name(line: str) -> bool:
    folded = line.lower()
    return not any(phrase in folded for phrase in FORMS.not_a_recipient)


def _at_line_begin(lines: Sequence[str]) -> list[str]:
    """Addresses at the beginning of lines, alone or with words behind them; ``550 <a@b.test>... no`` too."""
    found: list[str] = []
    with_words: list[str] = []
    for line in lines:
        match = ADDRESS.search(line)
        if match is None:
            continue
        before, behind = line[: match.start()].lstrip(_BULLETS), line[match.end() :]
        if before.rstrip("<\"' ") and not _CODE_BEFORE.match(before):
            continue
        end = _BEHIND.match(behind)
        if end is None:
            continue
        # "a@b.test was tried" is a sentence that begins with an address; it counts where nothing better is there.
        (with_words if end[0][-1:].isalnum() else found).append(match[0])
    return found or with_words


def _after_lead_in(lines: Sequence[str]) -> list[str]:
    found: list[str] = []
    whole = "\n".join(lines).lower()
    phrases = [phrase for phrase in FORMS.lead_in if phrase in whole]
    for number, line in enumerate(lines if phrases else ()):
        folded = line.lower()
        place = max([folded.find(phrase) + len(phrase) for phrase in phrases if phrase in folded], default=-1)
        if place < 0 or folded.lstrip().startswith("mail from"):
            continue
        here = addresses_in(line[place:])
        following = [address for after in lines[number + 1 : number + 3] for address in addresses_in(after)[:1]]
        found += (here or (following if not addresses_in(line) else []))[:1]
    return found


def lines_about(lines: Sequence[str], recipients: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Which lines speak of which recipient, and which of none.

    A line belongs to whom it names; one that names nobody, to whom was named last; a quoted command
    (``>>> RCPT TO:``), to whom the reply after it belongs. A line ``550 <a@b.test>... no`` stands for itself.
    """
    keys = {address_key(address): address for address in recipients}
    about: dict[str, list[str]] = {address: [] for address in recipients}
    of_nobody: list[str] = []
    owner, waiting = "", list[str]()
    for line in lines:
        mentioned = [keys[key] for address in addresses_in(line) if (key := address_key(address)) in keys]
        if not mentioned and line.lstrip().startswith(">>>"):
            waiting.append(line)
            continue
        owner = mentioned[0] if mentioned else owner
        (about[owner] if owner else of_nobody).extend([*waiting, line])
        owner = "" if _TRANSCRIPT.match(line) else owner
        waiting = []
    (about[owner] if owner else of_nobody).extend(waiting)
    return about, of_nobody
