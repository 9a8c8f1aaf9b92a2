"""Addresses that most likely reach the same mailbox: flagged for people to decide, never merged.

The address key (``mailtypes.address``) folds what is safe for everybody. This folds what some providers do beyond
that: Gmail ignores dots and has a second domain, many providers deliver ``name+tag`` to ``name``.
"""

from dataclasses import dataclass

from mailtypes.address import EmailAddress

_GMAIL = frozenset({"gmail.com", "googlemail.com"})


@dataclass(frozen=True, slots=True)
class Duplicate:
    """``first`` is the number of the row that came before; ``is_exact`` where both have the same address key."""

    first: int
    is_exact: bool


def likely_mailbox(address: EmailAddress, meant_domain: str = "") -> str:
    """The mailbox that ``address`` most likely reaches; ``meant_domain`` is what its domain was mistyped from."""
    return _mailbox_of(address.key, meant_domain)


def _mailbox_of(key: str, meant_domain: str) -> str:
    local_part, _, own_domain = key.rpartition("@")
    domain = meant_domain or own_domain
    name = local_part.partition("+")[0] or local_part  # a name that begins with + has no tag
    if domain in _GMAIL:
        return f"{name.replace('.', '') or name}@gmail.com"
    return f"{name}@{domain}"


class DuplicateFinder:
    """Remembers the addresses of one list, by the row that they came in first."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._mailboxes: dict[str, int] = {}

    def look(self, number: int, address: EmailAddress, meant_domain: str = "") -> Duplicate | None:
        """Whether row ``number`` has an address that came before; it is remembered if not."""
        key = address.key
        first = self._keys.setdefault(key, number)
        if first != number:
            return Duplicate(first, is_exact=True)
        mailbox = _mailbox_of(key, meant_domain)
        first = self._mailboxes.setdefault(mailbox, number)
        return None if first == number else Duplicate(first, is_exact=False)
