"""Which destination and which provider a domain's mail hosts are.

A **destination** is a set of hosts that may stand in for one another: a queue of its own, connections that are used
again, limits on connections. A **provider** is who runs them: warm-up budgets, limits and shaping rules go by it.
What is known about providers is data (``destinations.toml``); for everybody else the host names decide.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_LONGEST_SITE = 400  # octets that an index of either database takes; a hostile MX set can name 50 long hosts
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "k12", "mil", "muni", "net", "org"})
"""Labels under two-letter top-level domains that nobody owns: co.il, com.au, net.il."""


@dataclass(frozen=True, slots=True)
class MailSite:
    """``site`` names the destination, ``provider`` who runs it; ``hosts`` are to be tried, the best group first."""

    site: str
    provider: str
    hosts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ProviderRule:
    """Hosts at or below one of ``suffixes`` are ``provider``'s; ``site`` is set where all of them are one site.

    Such a site is reached by ``hosts``, never by what some domain's MX records name: whoever could write a host that
    does not exist into the shared destination would stop everybody's mail.
    """

    provider: str
    suffixes: tuple[str, ...]
    site: str = ""
    hosts: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    examples: tuple[str, ...] = ()

    def fits(self, host: str) -> bool:
        """Whether ``host`` (lower case, A-labels) falls under the rule."""
        return any(host == suffix or host.endswith(f".{suffix}") for suffix in self.suffixes)


def site_of(host_groups: Sequence[Sequence[str]]) -> MailSite:
    """The destination of a domain with these MX hosts, the best group first; ``ValueError`` where there is none.

    The hosts of the best group decide whose they are. A site of a rule is taken only if all hosts fall under it: a
    domain whose last MX is a machine of its own is not to be reached by another domain's hosts alone.
    """
    groups = tuple(tuple(host.lower().rstrip(".") for host in group) for group in host_groups if group)
    if not groups:
        raise ValueError("a destination has at least one host")
    rule = _common_rule(groups[0])
    if rule is None:
        return MailSite(_site_by_hosts(groups), provider_by_name(min(groups[0])), groups)
    if rule.site and all(rule.fits(host) for group in groups for host in group):
        return MailSite(rule.site, rule.provider, rule.hosts)
    return MailSite(_site_by_hosts(groups), rule.provider, groups)


def provider_of(host: str) -> str:
    """Who runs a single mail host."""
    return site_of(((host,),)).provider


def provider_by_name(host: str) -> str:
    """A provider that no rule knows: the name that its hosts share, as far as can be told without asking anybody.

    That is the host without its first label, unless nobody could own what is left (``mail.example`` or ``acme.co.il``).
    """
    labels = host.split(".")
    rest = labels[1:]
    if len(rest) < 2 or (len(rest) == 2 and len(rest[1]) == 2 and rest[0] in _SECOND_LEVEL):
        return host
    return ".".join(rest)


def _common_rule(hosts: Sequence[str]) -> ProviderRule | None:
    rules = [next((rule for rule in provider_rules() if rule.fits(host)), None) for host in hosts]
    return rules[0] if all(rule is rules[0] for rule in rules) else None


def _site_by_hosts(groups: Sequence[Sequence[str]]) -> str:
    # Preferences are part of the name: where one domain's best host is another's last resort, neither is to wait in
    # the other's order.
    site = "+".join("/".join(sorted(group)) for group in groups)
    if len(site) <= _LONGEST_SITE:
        return site
    digest = hashlib.sha256(site.encode()).hexdigest()
    return f"{site[: _LONGEST_SITE - len(digest) - 1]}#{digest}"


@cache
def provider_rules() -> tuple[ProviderRule, ...]:
    """The rules of ``destinations.toml`` in their order."""
    text = resources.files(__package__).joinpath("destinations.toml").read_text("utf-8")
    return tuple(_rule(entry) for entry in tomllib.loads(text)["rule"])


def _rule(entry: Mapping[str, Any]) -> ProviderRule:
    lists = {name: tuple(entry[name]) for name in ("suffixes", "examples") if name in entry}
    hosts = tuple(tuple(group) for group in entry.get("hosts", ()))
    return ProviderRule(**{**entry, **lists, "hosts": hosts})
