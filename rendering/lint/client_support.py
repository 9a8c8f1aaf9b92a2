"""Features of HTML and CSS that clients of many readers lack."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule
from rendering.lint.client_data import Feature, features
from rendering.lint.finding import Severity
from rendering.lint.page import Element

_OLD_TEST_DAYS = 3 * 365
_MJML_ONLY_STYLE = frozenset({"css-display", "css-direction", "css-float", "css-table-layout"})
# Values and functions by what they need; the property alone says nothing of them.
_VALUES = (
    ("css-display-flex", "display", re.compile(r"(?:inline-)?flex\b")),
    ("css-display-grid", "display", re.compile(r"(?:inline-)?grid\b")),
    ("css-linear-gradient", "background", re.compile(r"linear-gradient\(")),
    ("css-radial-gradient", "background", re.compile(r"radial-gradient\(")),
    ("css-conic-gradient", "background", re.compile(r"conic-gradient\(")),
    ("css-background-image", "background", re.compile(r"url\(")),
    ("css-variables", "", re.compile(r"var\(--")),
    ("css-unit-calc", "", re.compile(r"\bcalc\(")),
    ("css-function-clamp", "", re.compile(r"\bclamp\(")),
    ("css-function-light-dark", "", re.compile(r"\blight-dark\(")),
    ("css-unit-vw", "", re.compile(r"\d(?:vw)\b")),
    ("css-unit-vh", "", re.compile(r"\d(?:vh)\b")),
)
# What a mail loses by these is an ornament: it reads as well without.
_ORNAMENT_WORDS = (
    "animation at-font-face at-import at-keyframes at-media at-media-hover at-media-prefers-color-scheme "
    "at-media-prefers-reduced-motion border-radius border-radius-logical box-shadow box-sizing cursor filter "
    "backdrop-filter hyphens letter-spacing opacity outline outline-offset pseudo-class-active "
    "pseudo-class-focus pseudo-class-hover pseudo-class-link pseudo-class-visited resize scroll-snap "
    "text-shadow transition user-select tab-size accent-color color-scheme text-decoration "
    "text-decoration-color text-decoration-style text-decoration-thickness text-underline-offset word-break "
    "overflow-wrap word-wrap orphans widows border-collapse border-spacing mix-blend-mode background-blend-mode "
    "empty-cells comments max-width min-width max-height min-height overflow display visibility font object-fit "
    "object-position aspect-ratio white-space direction important linear-gradient radial-gradient "
    "conic-gradient mask-image clip-path"
)
_ORNAMENTS = frozenset(f"css-{name}" for name in _ORNAMENT_WORDS.split())
_ELEMENTS: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: f"html-{name}"
            for name in ("audio", "video", "svg", "object", "picture", "form", "select", "textarea")
        },
        **{name: f"html-{name}" for name in ("dialog", "marquee", "meter", "progress", "base", "ruby")},
        "map": "html-image-maps",
        "button": "html-button-submit",
    }
)
_ATTRIBUTES: Mapping[str, str] = MappingProxyType({"srcset": "html-srcset", "background": "html-background"})
_INPUTS: Mapping[str, str] = MappingProxyType(
    {kind: f"html-input-{kind}" for kind in ("checkbox", "hidden", "radio", "reset", "submit", "text")}
)
_AT_RULES: Mapping[str, str] = MappingProxyType(
    {
        "font-face": "css-at-font-face",
        "import": "css-at-import",
        "keyframes": "css-at-keyframes",
        "supports": "css-at-supports",
    }
)


def _lacking(case: Case) -> Iterator[Hit]:
    for feature, at, lost, clients in _reported(case):
        if feature.slug not in _ORNAMENTS:
            yield _hit(case, feature, at, lost, clients)


def _ornaments_lacking(case: Case) -> Iterator[Hit]:
    for feature, at, lost, clients in _reported(case):
        if feature.slug in _ORNAMENTS and lost >= 2.5 * case.subject.clients.report_from:
            yield _hit(case, feature, at, lost, clients)


def _hit(case: Case, feature: Feature, at: Element | Span, lost: float, clients: tuple[str, ...]) -> Hit:
    named = ", ".join(clients[:3]) + (", …" if len(clients) > 3 else "")
    message = say(
        "%(feature)s is not known to clients of about %(lost)s %% of readers (%(clients)s); "
        "tested %(day)s%(age)s, %(url)s",
        feature=feature.title,
        lost=f"{lost:.0f}",
        clients=named,
        day=feature.tested.isoformat(),
        age=_age(feature.tested, case.subject.today),
        url=feature.url,
    )
    return Hit(message, at, measured=round(lost, 1), limit=case.subject.clients.report_from, unit="%")


def _age(tested: date, today: date | None) -> str:
    if today is None or today <= tested:
        return ""
    days = (today - tested).days
    months = max(1, days // 30)
    age = (
        say("%(years)s years ago", years=days // 365)
        if days >= 2 * 365
        else say("%(months)s months ago", months=months)
    )
    return say(" (%(age)s: it may have changed)", age=age) if days >= _OLD_TEST_DAYS else say(" (%(age)s)", age=age)


def _reported(case: Case) -> Iterator[tuple[Feature, Element | Span, float, tuple[str, ...]]]:
    policy = case.subject.clients
    for slug, at in _used(case).items():
        feature = features().get(slug)
        if feature is None:
            continue
        lost, clients = feature.lacking(policy.shares)
        if lost >= policy.report_from:
            yield feature, at, lost, clients


def _used(case: Case) -> dict[str, Element | Span]:
    """The features that the mail uses, each with its first place. MJML's own ways around old clients do not count."""
    used: dict[str, Element | Span] = {}
    for element in case.page.elements:
        if element.computed.hidden:
            continue
        for slug in _of_element(element):
            if not (case.is_mjml and slug in _MJML_ONLY_STYLE):
                used.setdefault(slug, element)
    for span, part in case.sheet_parts:  # what else is in a style block was inlined, and stands on the elements
        if part.name in _AT_RULES:
            used.setdefault(_AT_RULES[part.name], case.place_in(span, part.line, part.column))
    return used


def _of_element(element: Element) -> Iterator[str]:
    if element.name in _ELEMENTS:
        yield _ELEMENTS[element.name]
    elif element.name == "input":
        yield _INPUTS.get(element.attributes.get("type", "text").lower(), "html-input-text")
    for name in _ATTRIBUTES:
        if element.attributes.get(name):
            yield _ATTRIBUTES[name]
    for name, value in element.style.items():
        yield from _of_declaration(name, value)


@lru_cache(maxsize=4096)
def _of_declaration(name: str, value: str) -> tuple[str, ...]:
    return tuple(_slugs(name, value[:500]))


def _slugs(name: str, value: str) -> Iterator[str]:
    known = features()
    if name.startswith(("mso-", "-webkit-", "-ms-", "-moz-")):
        return
    if f"css-{name}" in known and value not in {
        "none",
        "normal",
        "auto",
        "inherit",
        "initial",
        "0",
        "static",
        "visible",
    }:
        yield f"css-{name}"
    if len(value) > 3:
        for slug, prefix, pattern in _VALUES:
            if name.startswith(prefix) and pattern.search(value):
                yield slug


RULES = (
    Rule(
        "client.feature_lacking",
        Severity.WARNING,
        "These readers see the mail differently, or not at all in this place.",
        "Do it another way, or see in the preview that the mail can do without; shares are in client_shares.toml.",
        "caniemail.com, weighted by the table of shares",
        _lacking,
    ),
    Rule(
        "client.ornament_lacking",
        Severity.ADVICE,
        "These readers see the mail plainer.",
        "Nothing has to be done if the mail reads as well without; shares are in client_shares.toml.",
        "caniemail.com, weighted by the table of shares",
        _ornaments_lacking,
    ),
)
