"""The public suffix list, for what receivers on RFC 7489 decide; RFC 9989 itself does without it."""

from functools import cache
from typing import Protocol

from publicsuffixlist import PublicSuffixList

from mailtypes.domain import DomainName


class SuffixList(Protocol):
    """Tells where registrations begin."""

    def is_suffix(self, domain: DomainName) -> bool:
        """Whether names directly below ``domain`` belong to different owners."""
        ...

    def registered(self, domain: DomainName) -> DomainName | None:
        """The suffix of ``domain`` and one label more; ``None`` where the domain is a suffix itself."""
        ...


class PublicSuffixes:
    """The list of publicsuffix.org, both of its sections, as most DMARC receivers use it.

    A top-level domain that is not listed counts as a suffix (the list's own rule ``*``). ``source`` is the text of a
    list; the one that comes with the package otherwise.
    """

    def __init__(self, source: str | None = None) -> None:
        lines = None if source is None else source.encode().splitlines()
        self._rules = PublicSuffixList(lines, accept_unknown=True)

    def is_suffix(self, domain: DomainName) -> bool:
        """Whether names directly below ``domain`` belong to different owners."""
        return self.registered(domain) is None

    def registered(self, domain: DomainName) -> DomainName | None:
        """The suffix of ``domain`` and one label more; ``None`` where the domain is a suffix itself."""
        name = self._rules.privatesuffix(domain.ascii)
        return None if name is None else DomainName(name)


@cache
def bundled_suffixes() -> PublicSuffixes:
    """The list that comes with the package; read once, which takes some tenths of a second."""
    return PublicSuffixes()


def organizational_domain_7489(domain: DomainName, suffixes: SuffixList) -> DomainName:
    """RFC 7489 section 3.2: one label below the public suffix; a suffix is its own organizational domain."""
    return suffixes.registered(domain) or domain
