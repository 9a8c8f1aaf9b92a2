"""Whether links lead anywhere: what was found out before, said at its place. Nothing is asked here."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from mailtypes.saying import say
from rendering.lint.addresses import is_shortener, page_links, site_of
from rendering.lint.case import Case, Hit, Rule, shortened
from rendering.lint.finding import Severity
from rendering.lint.page import Element
from rendering.lint.subject import LinkFact, LintSubject, Liveness


def link_addresses(subject: LintSubject) -> tuple[str, ...]:
    """The addresses of links that may be looked at, each once and without its fragment, in the order of the mail.

    Those are the web addresses that stand in the template as they are. One that a merge value is in may hold what only
    its reader should follow: a name, a code, a way out of the list.
    """
    sender = subject.sender
    fixed = subject.fixed_links - {sender.unsubscribe_url, sender.preferences_url}
    asked = (without_fragment(address) for _, address, _ in page_links(Case(subject)) if address in fixed)
    return tuple(dict.fromkeys(asked))


def without_fragment(address: str) -> str:
    """An address as a server is asked for it."""
    return address.partition("#")[0]


def _known(case: Case, liveness: Liveness) -> Iterator[tuple[Element, str, LinkFact]]:
    if not case.subject.links:
        return
    for element, address, _ in page_links(case):
        fact = case.subject.links.get(without_fragment(address))
        if fact is not None and fact.liveness is liveness:
            yield element, address, fact


def _dead(case: Case) -> Iterator[Hit]:
    for element, address, fact in _known(case, Liveness.DEAD):
        yield Hit(
            say("the link %(address)s is dead: %(cause)s", address=shortened(address), cause=_cause(fact)), element
        )


def _unreachable(case: Case) -> Iterator[Hit]:
    for element, address, fact in _known(case, Liveness.UNKNOWN):
        message = say(
            "whether the link %(address)s leads anywhere is unknown: %(cause)s",
            address=shortened(address),
            cause=_cause(fact),
        )
        yield Hit(message, element)


def _cause(fact: LinkFact) -> str:
    if not fact.leads_to:
        return fact.cause
    return say("it redirects to %(leads_to)s: %(cause)s", leads_to=shortened(fact.leads_to), cause=fact.cause)


def _redirected(case: Case) -> Iterator[Hit]:
    for element, address, fact in _known(case, Liveness.ALIVE):
        (scheme, host), (new_scheme, new_host) = _place(address), _place(fact.moved_to)
        if not new_host or is_shortener(host):
            continue
        if site_of(host) != site_of(new_host) or (scheme, new_scheme) == ("http", "https"):
            message = say(
                "the link %(address)s has moved for good to %(moved_to)s",
                address=shortened(address),
                moved_to=shortened(fact.moved_to),
            )
            yield Hit(message, element)


def _place(address: str) -> tuple[str, str]:
    """Scheme and host, the latter in A-labels as redirects have it; empty where there is none."""
    try:
        parts = urlsplit(address)
        return parts.scheme.lower(), (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        return "", ""


RULES = (
    Rule(
        "link.dead",
        Severity.WARNING,
        "Readers press it and see an error, or a warning of their browser.",
        "Correct the address, or put a page where it leads.",
        "RFC 9110 sections 15.5.5 and 15.5.11; the answer when it was asked before sending",
        _dead,
    ),
    Rule(
        "link.unreachable",
        Severity.ADVICE,
        "The page may well be there: its host was silent or busy, or lets no program in.",
        "Open the link yourself before you send.",
        "the answer when it was asked before sending",
        _unreachable,
    ),
    Rule(
        "link.redirected",
        Severity.ADVICE,
        "Readers wait for each redirect, the old address may be given up one day, and filters look at both.",
        "Link to the new address.",
        "RFC 9110 sections 15.4.2 and 15.4.9; the answer when it was asked before sending",
        _redirected,
    ),
)
