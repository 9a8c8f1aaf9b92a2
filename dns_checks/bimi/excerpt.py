"""Somebody else's text in a sentence of ours."""

from typing import Final

_LONGEST: Final = 80


def excerpt(text: str) -> str:
    """``text`` short, in one line, and printable: it comes from a file or a certificate that anybody may have made."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short)
