"""What links give away: other hosts than the text names, addresses instead of names, shorteners, many domains."""

import re
from collections.abc import Callable
from typing import Final

from rendering.spam_risk.features import NONE, Feature, Strength
from rendering.spam_risk.subject_matter import SubjectMatter, Target

_SHOWN_HOST = re.compile(
    r"\s*(?:https?://)?((?:[a-z0-9-]{1,63}\.){1,5}(?:com|net|org|info|biz|io|il|uk|de|fr|eu|us|co))(?:[/:?#\s]|\Z)",
    re.IGNORECASE,
)
_IP_HOST = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}\Z|[0-9]{6,10}\Z|0x[0-9a-f]{8}\Z|\[")
_SHORTENERS = frozenset(
    {
        *("bit.ly", "tinyurl.com", "goo.gl", "t.co", "ow.ly", "is.gd", "buff.ly", "rebrand.ly", "cutt.ly", "rb.gy"),
        *("shorturl.at", "tiny.cc", "bl.ink", "t.ly", "v.gd", "lnkd.in", "did.li"),
    }
)
_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "ac", "gov", "edu", "muni", "k12", "or", "ne", "gob"})
_USUAL_PORTS = frozenset({None, 80, 443})


def registered_domain(host: str) -> str:
    """A near guess at the registered domain, without the public suffix list: two labels, three under ``co.il``."""
    labels = host.lower().rstrip(".").split(".")
    if len(labels) >= 3 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


def _any_link(is_meant: Callable[[Target], bool]) -> Feature:
    def feature(matter: SubjectMatter) -> Strength:
        first = next((target for target in matter.links if is_meant(target)), None)
        return NONE if first is None else Strength(1.0, first.found)

    return feature


def _names_another(target: Target) -> bool:
    shown = _SHOWN_HOST.match(target.text)
    return shown is not None and registered_domain(shown[1]) != registered_domain(target.host)


def _odd_address(target: Target) -> bool:
    """A name before an ``@``, an unusual port, or percent signs in the host: the reader sees another address."""
    authority = target.url.split("//", 1)[-1].partition("/")[0]
    return "@" in authority or "%" in authority or target.port not in _USUAL_PORTS


def _many_domains(matter: SubjectMatter) -> Strength:
    """None up to 4 registered domains, full from 12."""
    seen: set[str] = set()
    last = None
    for target in matter.links:
        domain = registered_domain(target.host)
        if domain and domain not in seen:
            seen.add(domain)
            last = target.found
    return NONE if len(seen) <= 4 else Strength(min(1.0, (len(seen) - 4) / 8), last)


LINK_FEATURES: Final[dict[str, Feature]] = {
    "link_names_another_domain": _any_link(_names_another),
    "link_to_ip_address": _any_link(lambda target: _IP_HOST.match(target.host) is not None or "[" in target.url[:10]),
    "link_shortener": _any_link(lambda target: target.host in _SHORTENERS),
    "odd_address": _any_link(_odd_address),
    "many_domains": _many_domains,
}
