"""Links: their addresses, their words, and how many hosts they lead to."""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule, shortened
from rendering.lint.finding import Severity
from rendering.lint.page import Element

MANY_DOMAINS = 8
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms"})
_DANGEROUS = frozenset({"javascript", "data", "vbscript", "file", "blob"})
_SHORTENERS_WORDS = (
    "bit.ly bitly.com tinyurl.com goo.gl t.co ow.ly is.gd buff.ly rebrand.ly cutt.ly rb.gy shorturl.at t.ly "
    "tiny.cc bl.ink soo.gd s.id v.gd u.to adf.ly short.io lnkd.in did.li bit.do"
)
_SHORTENERS = frozenset(_SHORTENERS_WORDS.split())
# Places that an ordinary newsletter links to beside its own site; they say nothing of its honesty.
_COMPANY_WORDS = (
    "facebook.com twitter.com x.com instagram.com linkedin.com youtube.com youtu.be tiktok.com pinterest.com "
    "threads.net whatsapp.com wa.me t.me telegram.me github.com apple.com google.com bsky.app vimeo.com "
    "spotify.com waze.com"
)
_COMPANY = frozenset(_COMPANY_WORDS.split())
_SECOND_LEVEL = frozenset(["ac", "co", "com", "edu", "gov", "muni", "net", "ne", "or", "org", "gob", "k12", "idf"])
_WRITTEN_HOST = re.compile(
    r"(?:\A|[\s(\"'“])(?:https?://)?((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,5}[a-z]{2,18})(?=[/\s):?#,\"'”]|\.?\Z)",
    re.IGNORECASE,
)
_NOT_HOSTS_WORDS = "md txt html htm pdf png jpg jpeg gif doc docx xls xlsx csv zip js ts py php json css exe"
_NOT_HOSTS = frozenset(_NOT_HOSTS_WORDS.split())
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}\.?\Z")
_VAGUE_WORDS = (
    "click here|here|click|this|link|this link|go|press here|tap here|"
    "לחץ כאן|לחצו כאן|לחצי כאן|לחיצה כאן|הקליקו כאן|הקלק כאן|כאן|קישור"
)
_VAGUE = frozenset(_VAGUE_WORDS.split("|"))
_PLACEHOLDER_HOSTS = frozenset({"example.com", "www.example.com", "example.org", "example.net", "yourdomain.com"})


class _Target(NamedTuple):
    element: Element
    address: str
    scheme: str
    host: str
    fault: str


def _targets(case: Case) -> Iterator[_Target]:
    for element in case.links:
        address = element.attributes["href"].strip()
        if "{{" in address or "{%" in address:
            continue  # what it leads to is known at the merge alone
        yield _target(element, address)


def page_links(case: Case) -> Iterator[tuple[Element, str, str]]:
    """The links to pages on the web: element, address, host. Left out are those that other rules tell of already: to be
    filled in, broken, to an IP address, with a name before the host.
    """
    for target in _targets(case):
        is_page = target.scheme in {"http", "https"} and target.host and not target.fault
        has_user = "@" in urlsplit(target.address).netloc if is_page else False
        if is_page and not has_user and target.host not in _PLACEHOLDER_HOSTS and not _is_ip(target.host):
            yield target.element, target.address, target.host


def is_shortener(host: str) -> bool:
    """Whether a host is there to redirect."""
    return host.removeprefix("www.") in _SHORTENERS


def _target(element: Element, address: str) -> _Target:
    return _Target(element, address, *_parsed(address))


@lru_cache(maxsize=4096)
def _parsed(address: str) -> tuple[str, str, str]:
    """Scheme, host and what is wrong with an address."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
        _ = parts.port
    except ValueError as error:
        return "", "", str(error)
    scheme = parts.scheme.lower()
    return scheme, host, _fault(scheme, host, address)


def _fault(scheme: str, host: str, address: str) -> str:
    if scheme in {"http", "https"}:
        if not host:
            return say("it has no host")
        if _is_ip(host):
            return ""
        if not _HOST.match(_as_ascii(host)):
            return say("“%(host)s” is no host name", host=host[:60])
        if re.search(r"[\s<>\"\\^`{|}]", address):
            return say("a space or another character that has to be percent-encoded stands in it")
    elif scheme == "mailto":
        if not re.match(r"mailto:(?:[^@\s?]+@[^@\s?]+|\?)", address, re.IGNORECASE):
            return say("it names no mailbox")
    elif scheme in {"tel", "sms"} and not re.match(r"(?:tel|sms):[+\d().*#-]{2,}", address, re.IGNORECASE):
        return say("it names no telephone number, or one with spaces")
    return ""


def _as_ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        return ""


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return bool(re.fullmatch(r"0x[0-9a-f]{1,8}|\d{5,10}", host))  # the same in other figures
    return True


def site_of(host: str) -> str:
    """The last labels of a host that together belong to one owner, as far as that can be told without a list."""
    labels = host.lower().strip(".").split(".")
    count = 3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2 else 2
    return ".".join(labels[-count:])


def _empty(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if not target.address:
            yield Hit(say("a link leads nowhere%(said)s", said=_said(case, target)), target.element)


def _placeholder(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        bare = target.address in {"#", "http://", "https://"} or re.match(r"javascript:\s*(?:void|;|$)", target.address)
        if bare or target.host in _PLACEHOLDER_HOSTS:
            yield Hit(
                say("a link's address is still to be filled in: %(address)s", address=target.address[:60]),
                target.element,
            )


def _broken(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.fault and target.address not in {"http://", "https://"}:
            yield Hit(
                say(
                    "the address %(address)s is broken: %(fault)s",
                    address=shortened(target.address),
                    fault=target.fault,
                ),
                target.element,
            )


def _dangerous(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.scheme in _DANGEROUS and not re.match(r"javascript:\s*(?:void|;|$)", target.address):
            yield Hit(say("a link begins with %(scheme)s:", scheme=target.scheme), target.element)


def _relative(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if not target.scheme and not target.fault and target.address and not target.address.startswith("#"):
            yield Hit(
                say("the address %(address)s has no https:// and host", address=shortened(target.address)),
                target.element,
            )


def _unknown_scheme(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.scheme and target.scheme not in _SCHEMES and target.scheme not in _DANGEROUS:
            yield Hit(say("a link begins with %(scheme)s:", scheme=target.scheme), target.element)


def _fragment(case: Case) -> Iterator[Hit]:
    names = {element.attributes.get("id") for element in case.page.elements}
    names |= {element.attributes.get("name") for element in case.page.elements if element.name == "a"}
    for target in _targets(case):
        if len(target.address) > 1 and target.address.startswith("#") and target.address[1:] not in names:
            yield Hit(say("there is no place %(address)s in the mail", address=target.address[:60]), target.element)


def _not_https(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.scheme == "http" and target.host and target.host not in _PLACEHOLDER_HOSTS:
            yield Hit(say("a link is not encrypted: %(address)s", address=shortened(target.address)), target.element)


def _shortener(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if is_shortener(target.host):
            yield Hit(say("a link goes through the shortener %(host)s", host=target.host), target.element)


def _ip(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.host and _is_ip(target.host):
            yield Hit(say("a link leads to an IP address: %(host)s", host=target.host), target.element)


def _user_info(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.scheme in {"http", "https"} and "@" in target.address.split("//", 1)[-1].split("/", 1)[0]:
            yield Hit(say("a name stands before the host, which is %(host)s", host=target.host), target.element)


def _other_domain(case: Case) -> Iterator[Hit]:
    for target in _targets(case):
        if target.scheme not in {"http", "https"} or not target.host:
            continue
        text = case.link_texts.get(target.element.index, "")[:500]
        if "@" in text:
            continue
        for match in _WRITTEN_HOST.finditer(text):
            shown = match[1].lower()
            ending = match[1].rsplit(".", 1)[-1]
            if ending.lower() in _NOT_HOSTS or not (ending.islower() or ending.isupper()):
                continue  # a file, or a sentence without its space
            if site_of(shown) != site_of(target.host):
                yield Hit(
                    say("a link's text names %(shown)s, and it leads to %(host)s", shown=shown, host=target.host),
                    target.element,
                )
                break


def _many_domains(case: Case) -> Iterator[Hit]:
    sites = {site_of(target.host) for target in _targets(case) if target.host} - _COMPANY
    if len(sites) > MANY_DOMAINS:
        message = say("the links lead to %(count)s different domains", count=len(sites))
        yield Hit(message, None, measured=len(sites), limit=MANY_DOMAINS, unit="domains")


def _no_words(case: Case) -> Iterator[Hit]:
    for element in case.links:
        if element.name == "a" and not case.link_texts.get(element.index) and element.index not in case.linked_images:
            yield Hit(say("a link has neither text nor image"), element)


def _vague(case: Case) -> Iterator[Hit]:
    for element in case.links:
        text = case.link_texts.get(element.index, "")
        if text.lower().strip(" .!>»→:") in _VAGUE:
            yield Hit(say("a link says only “%(text)s”", text=text[:40]), element)


def _said(case: Case, target: _Target) -> str:
    text = case.link_texts.get(target.element.index, "")
    return say(": “%(text)s”", text=shortened(text, 40)) if text else ""


RULES = (
    Rule(
        "link.empty",
        Severity.WARNING,
        "Readers press it and nothing happens.",
        "Give the link its address.",
        "HTML Standard, 4.6.2",
        _empty,
    ),
    Rule(
        "link.placeholder",
        Severity.WARNING,
        "Readers press it and come nowhere.",
        "Put the real address in.",
        "RFC 2606: example domains lead nowhere",
        _placeholder,
    ),
    Rule(
        "link.broken",
        Severity.WARNING,
        "Mail programs refuse it or mend it each in their own way.",
        "Copy the address from the browser's bar and put it in again.",
        "RFC 3986, RFC 6068, RFC 3966",
        _broken,
    ),
    Rule(
        "link.dangerous",
        Severity.ERROR,
        "Mail programs remove it, and filters take the mail for an attack.",
        "Link to a page on the web.",
        "script and file addresses in mail",
        _dangerous,
    ),
    Rule(
        "link.relative",
        Severity.WARNING,
        "A mail stands on no site, so the link leads nowhere.",
        "Write the whole address with https:// and the host.",
        "RFC 3986 section 5.1",
        _relative,
    ),
    Rule(
        "link.unknown_scheme",
        Severity.ADVICE,
        "Many clients remove links that are not to the web, to mail or to a telephone.",
        "Link to a page on the web that opens the application.",
        "clients' lists of schemes",
        _unknown_scheme,
    ),
    Rule(
        "link.no_such_place",
        Severity.WARNING,
        "Readers press it and nothing happens.",
        "Give the element that it should lead to this id.",
        "HTML Standard, 7.4.6.4",
        _fragment,
    ),
    Rule(
        "link.not_https",
        Severity.ADVICE,
        "Browsers warn of such pages, and filters count it against the mail.",
        "Use the https address of the page.",
        "web browsers' warnings",
        _not_https,
    ),
    Rule(
        "link.shortener",
        Severity.WARNING,
        "Spam hides behind shorteners, so filters block their domains.",
        "Link to the page itself; clicks are counted anyway.",
        "block lists of link domains",
        _shortener,
    ),
    Rule(
        "link.ip_address",
        Severity.WARNING,
        "Honest senders have names; filters take it for an attack.",
        "Use a host name.",
        "common filters' rules",
        _ip,
    ),
    Rule(
        "link.user_in_address",
        Severity.WARNING,
        "Phishing hides the real host behind such a name.",
        "Remove what stands before the @.",
        "RFC 3986 section 7.6",
        _user_info,
    ),
    Rule(
        "link.text_names_other_domain",
        Severity.WARNING,
        "That is how phishing looks; clients and filters warn of it.",
        "Write words instead of an address, or the domain that the link leads to.",
        "common filters' rules",
        _other_domain,
    ),
    Rule(
        "link.many_domains",
        Severity.ADVICE,
        "Each domain has its own reputation, and the worst one counts.",
        "Link to your own site, and from there to others.",
        "assumption: 8 beside social networks and stores",
        _many_domains,
    ),
    Rule(
        "link.no_words",
        Severity.ADVICE,
        "Nobody sees it, and a screen reader reads the address letter by letter.",
        "Put text into the link, or remove it.",
        "WCAG 2.2, 2.4.4",
        _no_words,
    ),
    Rule(
        "link.vague_words",
        Severity.ADVICE,
        "Who looks through the links, by eye or by screen reader, does not learn where it leads.",
        "Say what the reader gets: “See the autumn sale”.",
        "WCAG 2.2, 2.4.9",
        _vague,
    ),
)
