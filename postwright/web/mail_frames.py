"""A draft's mail as the page's frame shows it: as a client would, in light or dark, with one place marked.

Pure. What is shown is untrusted; the policy that goes with it lets no script run and nothing be loaded.
"""

import re
from dataclasses import dataclass
from html import escape

from postwright.services.mail_checks import unmarked
from rendering.lint.marking import PLACE_ATTRIBUTE

MARK_ID = "pw-mark"
"""The fragment that leads to the marked place."""
WIDTHS = {"phone": 375, "desktop": 600}
VIEWS = ("html", "text", "source")
_MAX_SHOWN = 300_000
_FEATURE = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
_ALWAYS, _NEVER = "(min-width: 0px)", "(max-width: 0px)"
_DOCTYPE = re.compile(r"\s*<!doctype[^>]{0,200}>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_BASE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src {images}; font-src data:; form-action 'none'; "
    "frame-ancestors 'self'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class FrameWish:
    """How the mail is looked at. ``mark`` is the number of a place (``mark_components``)."""

    view: str = "html"
    width: str = "desktop"
    dark: bool = False
    images: bool = False
    mark: int | None = None

    @property
    def policy(self) -> str:
        """The policy of the framed document; pictures from the web only where somebody asked for them."""
        return _BASE_POLICY.format(images="data: https:" if self.images else "data:")


def framed(html: str, text: str, wish: FrameWish) -> str:
    """The document for the frame."""
    if wish.view == "text":
        return _as_text(text, wish, direction="auto")
    if wish.view == "source":
        return _as_text(unmarked(html), wish, direction="ltr")
    return _marked(_in_scheme(_without_sheets(html), dark=wish.dark), wish)


_LINKED = re.compile(r"<link\b[^<>]{0,2000}>", re.IGNORECASE)
_IMPORTED = re.compile(r"@import\b[^;<>]{0,2000};", re.IGNORECASE)


def _without_sheets(html: str) -> str:
    """Without style sheets and fonts of elsewhere, which the frame's policy would only stop, loudly."""
    return _IMPORTED.sub("", _LINKED.sub("", html))


def _in_scheme(html: str, *, dark: bool) -> str:
    """The mail's own rules for dark or light readers, whatever the reader of this page prefers."""
    chosen = "dark" if dark else "light"
    return _FEATURE.sub(lambda match: _ALWAYS if match[1].lower() == chosen else _NEVER, html)


def _marked(html: str, wish: FrameWish) -> str:
    rules = f":root{{color-scheme:{'dark' if wish.dark else 'light'}}}"
    if wish.mark is not None:
        number = wish.mark
        html = _with_anchor(html, number)
        rules += (
            f'[{PLACE_ATTRIBUTE}="{number}"],.pw-at-{number}'
            "{outline:3px solid #c8372d!important;outline-offset:2px!important}"
        )
    style = f"<style>{rules}</style>"
    ends = list(_BODY_END.finditer(html))
    if not ends:
        doctype = _DOCTYPE.match(html)
        start = doctype.end() if doctype else 0
        return html[:start] + style + html[start:]
    return html[: ends[-1].start()] + style + html[ends[-1].start() :]


def _with_anchor(html: str, number: int) -> str:
    """An id on the first element of the place, so that the address can lead to it."""
    attribute = html.find(f'{PLACE_ATTRIBUTE}="{number}"')
    of_class = re.search(rf"""["\s]pw-at-{number}["\s]""", html)
    places = [place for place in (attribute, of_class.start() if of_class else -1) if place >= 0]
    if not places:
        return html
    start = html.rfind("<", 0, min(places))
    name = re.compile(r"<[A-Za-z][A-Za-z0-9:-]{0,40}").match(html, max(start, 0))
    if name is None:
        return html
    return f'{html[: name.end()]} id="{MARK_ID}"{html[name.end() :]}'


def _as_text(text: str, wish: FrameWish, *, direction: str) -> str:
    colours = "#e7eaf0;background:#161b23" if wish.dark else "#161b26;background:#fff"
    style = (
        f"html{{color:{colours}}}body{{margin:16px}}"
        "pre{font:13px/20px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
        "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;unicode-bidi:plaintext}"
    )
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><style>{style}</style></head>'
        f'<body><pre dir="{direction}">{escape(text[:_MAX_SHOWN])}</pre></body></html>'
    )
