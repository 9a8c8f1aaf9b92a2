"""Which hosts a pattern names (RFC 8461 section 4.1): a name itself, or ``*.`` for exactly one label before a name."""

from collections.abc import Iterable

from mailtypes.domain import DomainName, DomainSyntaxError


def is_pattern(text: str) -> bool:
    """Whether ``text`` is a host name of at least two labels, perhaps with ``*.`` in front (section 3.2)."""
    name = text.removeprefix("*.")
    try:
        parsed = DomainName.parse(name)
    except DomainSyntaxError:
        return False
    # A trailing dot, blanks and U-labels are read by ``DomainName`` but are none of the ABNF's.
    return parsed.ascii == name.lower() and "." in name and not parsed.labels[-1].isdigit()


def matches(host: str, pattern: str) -> bool:
    """Whether ``pattern`` names ``host``; letters count without case, and a wildcard stands for one label only."""
    name, wanted = host.lower().removesuffix("."), pattern.lower().removesuffix(".")
    if not wanted.startswith("*."):
        return bool(name) and name == wanted
    first, dot, rest = name.partition(".")
    return bool(first and dot) and rest == wanted[2:]


def matches_any(host: str, patterns: Iterable[str]) -> bool:
    """Whether one of ``patterns`` names ``host``."""
    return any(matches(host, pattern) for pattern in patterns)
