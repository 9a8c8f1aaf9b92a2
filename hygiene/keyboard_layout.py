"""Addresses that were typed while the keyboard was set to Hebrew, mapped back key by key (SI 1452, QWERTY)."""

import re
from typing import Final

from hygiene.domain_typos import find_typo
from hygiene.known_domains import ASCII_ONLY_PROVIDERS, KNOWN_DOMAINS

# The key of the slash, which gives a dot in Hebrew, is left out: a dot in an address is one from the number pad.
_HEBREW: Final = "/'קראטוןםפשדגכעיחלךףזסבהנמצתץ"
_LATIN: Final = "qwertyuiopasdfghjkl;zxcvbnm,."
_BACK: Final = str.maketrans(_HEBREW, _LATIN)
_HEBREW_LETTER = re.compile("[א-ת]")
_LATIN_LETTER = re.compile("[a-zA-Z]")
_PLAUSIBLE_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,4}(?:com|net|org|info|biz|edu|gov|io|me|il)\Z")


def typed_in_latin(text: str) -> str:
    """``text`` as it would have come out with the keyboard set to English; what has no Hebrew key stays."""
    return text.translate(_BACK)


def meant_in_latin(text: str) -> str | None:
    """The address that was meant, where ``text`` looks like one typed in Hebrew layout; its domain may have a typo.

    A real Hebrew domain stays alone: the mapped one has to be a provider's, or end as domains do. Letters before the
    @ are mapped where the domain was typed so too, or where the provider has no Hebrew names.
    """
    local_part, at, domain = text.strip().rpartition("@")
    if not at or _HEBREW_LETTER.search(text) is None:
        return None
    is_wholly_mapped = _HEBREW_LETTER.search(domain) is not None
    if is_wholly_mapped:
        if _LATIN_LETTER.search(domain):
            return None  # both layouts in one name: nobody changes the keyboard there
        mapped = typed_in_latin(domain)
        if not _is_plausible(mapped):
            return None
        domain = mapped
    elif domain.lower() not in ASCII_ONLY_PROVIDERS:
        return None
    if _HEBREW_LETTER.search(local_part) or (is_wholly_mapped and not _LATIN_LETTER.search(local_part)):
        local_part = typed_in_latin(local_part)
    return f"{local_part}@{domain}"


def _is_plausible(domain: str) -> bool:
    return domain in KNOWN_DOMAINS or find_typo(domain) is not None or _PLAUSIBLE_DOMAIN.match(domain) is not None
