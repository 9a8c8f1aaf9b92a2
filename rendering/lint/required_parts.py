"""What marketing mail has to have: a visible way out, and who sends it from where."""

import re
from collections.abc import Iterator
from html import unescape

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule
from rendering.lint.finding import Severity
from rendering.lint.page import Element
from rendering.lint.style_values import contrast

_WAY_OUT = re.compile(
    r"unsubscribe|opt[ -]?out|stop receiving|subscription (?:preferences|settings)|"
    r"(?:manage|update|change|email) (?:your )?(?:e-?mail )?(?:preferences|subscription)|"
    r"abmelden|abbestellen|désabonner|désinscri|cancelar (?:la )?suscripción|darse de baja|"
    r"הסרה|להסיר|הסר |הסירו|ביטול (?:ה)?(?:רישום|הרשמה|מנוי)|إلغاء الاشتراك",
    re.IGNORECASE,
)
_WAY_OUT_ADDRESS = re.compile(r"unsub|opt-?out|list-manage|preferences|remove-me", re.IGNORECASE)
_STREET = re.compile(
    r"\b(?:street|st\.|avenue|ave\.?|road|rd\.?|boulevard|blvd\.?|lane|drive|dr\.|square|suite|ste\.|floor|"
    r"p\.? ?o\.? ?box|postfach|plaza|parkway|pkwy|highway|court|way|house|building)(?![a-z])|"
    r"stra(?:ß|ss)e\b|str\. ?\d|\brue\b|\bcalle\b|\bvia\b|\bplatz\b|"
    r"רחוב|רח['׳]|שדרות|שד['׳]|דרך|ת[.\"״]?ד|קומה|כיכר|شارع",
    re.IGNORECASE,
)
# American, British, Canadian and Dutch post codes, and those of figures alone.
_CODE = re.compile(
    r"\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b|\b[A-Z]\d[A-Z] ?\d[A-Z]\d\b|"
    r"\b\d{5,7}\b|\b\d{4} ?[A-Z]{2}\b"
)
_WAYS_LOOKED_AT = 20
_END = 20_000
_NEAR = 120  # characters between a street and its number or code
_HARD_TO_SEE_CONTRAST = 2.0
_HARD_TO_SEE_PX = 8.0


def _no_way_out(case: Case) -> Iterator[Hit]:
    if case.is_marketing and not _ways_out(case) and not _is_in_the_unread_end(case):
        yield Hit(say("the mail has no unsubscribe link"), None)


def _is_in_the_unread_end(case: Case) -> bool:
    """Whether the end of a mail too long to be read has the way out: it must not be called missing then."""
    if not case.is_cut:
        return False
    end = unescape(case.subject.html[-_END:])
    return any(known in end for known in _pages(case)) or _WAY_OUT.search(end) is not None


def _way_out_hidden(case: Case) -> Iterator[Hit]:
    if not case.is_marketing:
        return
    ways = _ways_out(case)
    if ways and not any(_is_easy_to_see(case, link) for link in ways[:_WAYS_LOOKED_AT]):
        yield Hit(say("the unsubscribe link is hidden, tiny or too pale"), ways[0])


def _ways_out(case: Case) -> list[Element]:
    known = _pages(case)
    return [
        element
        for element in case.page.elements
        if element.name in {"a", "area"}
        and (address := element.attributes.get("href", "").strip())
        and (
            address in known
            or _WAY_OUT.search(case.link_texts.get(element.index, ""))
            or _WAY_OUT.search(case.hidden_link_texts.get(element.index, ""))
            or _WAY_OUT_ADDRESS.search(address)
            or "unsubscribe_url" in address
        )
    ]


def _pages(case: Case) -> frozenset[str]:
    """The addresses of the recipient's own pages; on both of them one can unsubscribe."""
    sender = case.subject.sender
    return frozenset({sender.unsubscribe_url, sender.preferences_url} - {""})


def _is_easy_to_see(case: Case, link: Element) -> bool:
    if link.computed.hidden:
        return False
    images = case.linked_images.get(link.index, [])
    if any(image.attributes.get("alt", "").strip() for image in images):
        return True
    if link.index not in case.link_texts:
        return False
    for run in case.page.runs:
        computed = case.page.computed_of(run)
        if computed.link != link.index:
            continue
        pale = (
            computed.ink.known
            and computed.paper.known
            and contrast(computed.ink, computed.paper) < _HARD_TO_SEE_CONTRAST
        )
        if computed.font_px >= _HARD_TO_SEE_PX and not pale:
            return True
    return False


def _no_address(case: Case) -> Iterator[Hit]:
    if not case.is_marketing or case.words < 5 or case.is_cut:
        return
    given = _plain(case.subject.sender.postal_address)
    if given:
        if given not in _plain(case.text):
            yield Hit(say("the sender's postal address does not stand in the mail"), None)
    elif not _looks_like_address(case.text):
        yield Hit(say("no postal address is to be seen in the mail"), None)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _looks_like_address(text: str) -> bool:
    """A street or a post-office box with a number near it, or a post code after a comma."""
    for match in _STREET.finditer(text):
        near = text[max(0, match.start() - _NEAR) : match.end() + _NEAR]
        if re.search(r"\d", near):
            return True
    return any("," in text[max(0, match.start() - _NEAR) : match.start()] for match in _CODE.finditer(text))


RULES = (
    Rule(
        "required.unsubscribe_missing",
        Severity.ERROR,
        "Law and mailbox providers ask for a visible way out of marketing mail; without it people report spam.",
        'Add <a href="{{ unsubscribe_url }}">Unsubscribe</a>.',
        "15 U.S.C. 7704(a)(3); Gmail's and Yahoo's sender requirements",
        _no_way_out,
    ),
    Rule(
        "required.unsubscribe_hidden",
        Severity.WARNING,
        "Who cannot find the way out reports spam, which costs more than a lost contact.",
        "Show it as text of at least 10 px in a colour that can be read.",
        "Gmail's sender requirements: clearly visible",
        _way_out_hidden,
    ),
    Rule(
        "required.postal_address_missing",
        Severity.WARNING,
        "American, Israeli and European law ask for it in advertising.",
        "Add the sender's name and postal address at the end.",
        "15 U.S.C. 7704(a)(5)(A)(iii); Communications Law (Israel), section 30A(e)",
        _no_address,
    ),
)
