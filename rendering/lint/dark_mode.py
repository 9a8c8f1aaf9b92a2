"""What goes wrong when a client shows the mail light on dark."""

import re
from collections.abc import Iterator

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule
from rendering.lint.finding import Severity
from rendering.lint.style_values import BLACK, WHITE

_SCHEME = re.compile(r"(?:supported-)?color-schemes?\Z", re.IGNORECASE)
_LOGO = re.compile(r"logo|brand|signature|wordmark|icon|לוגו|סמל", re.IGNORECASE)
_MAY_BE_TRANSPARENT = re.compile(r"\.(?:png|gif|webp|svg)\Z", re.IGNORECASE)


def _no_color_scheme(case: Case) -> Iterator[Hit]:
    for element in case.page.elements:
        if element.name == "meta" and _SCHEME.match(element.attributes.get("name", "")):
            return
        if element.computed.in_body:
            break
    if "color-scheme" not in _style_text(case) and case.words >= 10:
        yield Hit(say("the mail does not say which colour schemes it knows"), None)


def _pure_colour(case: Case) -> Iterator[Hit]:
    if "prefers-color-scheme" in _style_text(case) or "data-ogsc" in _style_text(case):
        return  # the author has looked at dark mode
    for run in case.page.runs:
        computed = case.page.computed_of(run)
        if computed.paper_declared and computed.paper == BLACK and computed.ink == WHITE:
            yield Hit(say("white text on a background of pure black"), run)
            return
        if computed.paper_declared and computed.paper == WHITE and computed.ink == BLACK and len(run.text) > 25:
            yield Hit(say("black text on a background of pure white"), run)
            return


def _image_vanishes(case: Case) -> Iterator[Hit]:
    for image in case.images:
        if image.fact.dark_on_transparent:
            yield Hit(say("a dark image with a transparent background"), image.element)


def _image_may_vanish(case: Case) -> Iterator[Hit]:
    for image in case.images:
        known = image.fact.dark_on_transparent is not None or image.fact.image_format.lower() in {"jpg", "jpeg"}
        alt, name = image.element.attributes.get("alt", ""), image.address.rpartition("/")[2].split("?")[0]
        looks = _LOGO.search(alt) or _LOGO.search(name)
        own_paper = "background-color" in image.element.style or "background" in image.element.style
        if not known and looks and not own_paper and _MAY_BE_TRANSPARENT.search(name):
            yield Hit(say("a logo or icon that may be dark on transparent (%(name)s)", name=name[:40]), image.element)


def _style_text(case: Case) -> str:
    blocks = " ".join(case.html[start:end] for start, end in case.page.style_blocks)
    root = " ".join(e.attributes.get("style", "") for e in case.page.elements[:3] if e.name in {"html", "body"})
    return blocks + root


RULES = (
    Rule(
        "dark.color_scheme_missing",
        Severity.ADVICE,
        "Apple Mail then takes it for a light mail without thought, and clients guess which colours to turn around.",
        'Add <meta name="color-scheme" content="light dark"> to the head (in MJML: in an mj-raw of mj-head).',
        "caniemail.com: html-meta-color-scheme",
        _no_color_scheme,
    ),
    Rule(
        "dark.pure_colour",
        Severity.ADVICE,
        "Clients that force dark mode turn pure black and white around fully, and soft colours less.",
        "Use a near white such as #fefefe or a near black such as #121212, or give dark colours of your own in "
        "@media (prefers-color-scheme: dark).",
        "Outlook's and Gmail's forced dark mode",
        _pure_colour,
    ),
    Rule(
        "dark.image_vanishes",
        Severity.WARNING,
        "On a dark page its dark parts cannot be seen.",
        "Give it a light outline or a background of its own.",
        "dark on dark",
        _image_vanishes,
    ),
    Rule(
        "dark.image_may_vanish",
        Severity.ADVICE,
        "On a dark page dark letters on nothing cannot be seen.",
        "Look at it in the dark preview; give it a light outline or a background if need be.",
        "dark on dark; what the file holds is not known",
        _image_may_vanish,
    ),
)
