"""The components of MJML 4: which attributes each has, what these hold, and what may stand in what.

Facts of the MJML documentation (https://documentation.mjml.io/, release 4.18).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mailtypes.saying import say
from rendering.mjml.values import Colour, FreeText, Length, OneOf, ValueKind, WholeNumber

TEXT = FreeText()
COLOUR = Colour()
PX = Length(("px",))
SIZE = Length(("px", "%"))
BOX = Length(("px", "%"), most=4)
SPACING = Length(("px", "em"), negative=True)
LINE_HEIGHT = Length(("px", "%", ""))
SIDE = OneOf(("left", "center", "right"))
MIDDLE = OneOf(("top", "middle", "bottom"))
DIRECTION = OneOf(("ltr", "rtl"))
YES_NO = OneOf(("true", "false"))

Attributes = Mapping[str, ValueKind]


def _named(kind: ValueKind, names: str) -> dict[str, ValueKind]:
    return dict.fromkeys(names.split(), kind)


def _sides(name: str) -> dict[str, ValueKind]:
    return {name: BOX} | _named(SIZE, f"{name}-top {name}-right {name}-bottom {name}-left")


_PADDING = _sides("padding")
_BORDER = _named(TEXT, "border border-top border-right border-bottom border-left")
_INNER_BORDER = _named(TEXT, "inner-border inner-border-top inner-border-right inner-border-bottom inner-border-left")
_FONT: dict[str, ValueKind] = _named(TEXT, "font-family font-style font-weight") | {"font-size": PX}
_LINK = _named(TEXT, "href rel target title name")
_BEHIND: dict[str, ValueKind] = {"container-background-color": COLOUR}
_BACKGROUND: dict[str, ValueKind] = {
    "background-color": COLOUR,
    "background-repeat": OneOf(("repeat", "no-repeat")),
    **_named(TEXT, "background-url background-size background-position background-position-x background-position-y"),
}
_SECTION: dict[str, ValueKind] = {
    **_BACKGROUND,
    **_BORDER,
    **_PADDING,
    "border-radius": BOX,
    "direction": DIRECTION,
    "full-width": OneOf(("full-width", "false", "")),
    "text-align": SIDE,
    "text-padding": BOX,
}
_ACCORDION_ICON: dict[str, ValueKind] = {
    "icon-align": MIDDLE,
    "icon-position": OneOf(("left", "right")),
    **_named(SIZE, "icon-width icon-height"),
    **_named(TEXT, "icon-wrapped-url icon-wrapped-alt icon-unwrapped-url icon-unwrapped-alt border font-family"),
}
_SOCIAL: dict[str, ValueKind] = {
    **_FONT,
    **_PADDING,
    **_named(SIZE, "icon-size icon-height"),
    **_named(BOX, "icon-padding text-padding"),
    "color": COLOUR,
    "line-height": LINE_HEIGHT,
    "text-decoration": TEXT,
    "vertical-align": MIDDLE,
    "align": SIDE,
}

COMPONENT_ATTRIBUTES: Mapping[str, Attributes] = {
    "mjml": _named(TEXT, "lang owa version") | {"dir": OneOf(("ltr", "rtl", "auto"))},
    "mj-head": {},
    "mj-body": {"width": PX, "background-color": COLOUR, **_named(TEXT, "id lang"), "dir": OneOf(("ltr", "rtl"))},
    "mj-attributes": {},
    "mj-breakpoint": {"width": PX},
    "mj-font": _named(TEXT, "name href"),
    "mj-preview": {},
    "mj-title": {},
    "mj-style": {"inline": OneOf(("inline",))},
    "mj-include": _named(TEXT, "path") | {"type": OneOf(("mjml", "html", "css")), "css-inline": OneOf(("inline",))},
    "mj-raw": {"position": OneOf(("file-start",))},
    "mj-hero": {
        "mode": OneOf(("fixed-height", "fluid-height")),
        **_named(SIZE, "height background-width background-height"),
        **_named(TEXT, "background-url background-position"),
        **_named(COLOUR, "background-color inner-background-color"),
        **_BEHIND,
        **_PADDING,
        **_sides("inner-padding"),
        "border-radius": BOX,
        "vertical-align": MIDDLE,
    },
    "mj-wrapper": _SECTION | {"gap": PX},
    "mj-section": _SECTION,
    "mj-group": {"background-color": COLOUR, "direction": DIRECTION, "vertical-align": MIDDLE, "width": SIZE},
    "mj-column": {
        **_named(COLOUR, "background-color inner-background-color"),
        **_named(BOX, "border-radius inner-border-radius"),
        **_BORDER,
        **_INNER_BORDER,
        **_PADDING,
        "direction": DIRECTION,
        "vertical-align": MIDDLE,
        "width": SIZE,
    },
    "mj-text": {
        **_FONT,
        **_PADDING,
        **_BEHIND,
        **_named(COLOUR, "color background-color"),
        **_named(TEXT, "text-decoration text-transform"),
        "align": OneOf(("left", "right", "center", "justify")),
        "height": SIZE,
        "letter-spacing": SPACING,
        "line-height": LINE_HEIGHT,
        "vertical-align": MIDDLE,
    },
    "mj-button": {
        **_FONT,
        **_PADDING,
        **_BORDER,
        **_LINK,
        **_BEHIND,
        **_named(COLOUR, "color background-color"),
        **_named(TEXT, "text-decoration text-transform"),
        **_named(SIZE, "height width"),
        **_named(BOX, "inner-padding border-radius"),
        **_named(SIDE, "align text-align"),
        "letter-spacing": SPACING,
        "line-height": LINE_HEIGHT,
        "vertical-align": MIDDLE,
    },
    "mj-image": {
        **_BORDER,
        **_PADDING,
        **_LINK,
        **_BEHIND,
        **_named(TEXT, "alt src srcset sizes usemap"),
        **_named(PX, "width font-size"),
        "border-radius": BOX,
        "align": SIDE,
        "fluid-on-mobile": YES_NO,
        "height": Length(("px",), words=("auto",)),
        "max-height": SIZE,
    },
    "mj-divider": {
        **_PADDING,
        **_BEHIND,
        "border-color": COLOUR,
        "border-style": TEXT,
        "border-width": PX,
        "width": SIZE,
        "align": SIDE,
    },
    "mj-spacer": {**_BORDER, **_PADDING, **_BEHIND, "height": SIZE},
    "mj-table": {
        **_FONT,
        **_PADDING,
        **_BEHIND,
        **_named(WholeNumber(), "cellpadding cellspacing"),
        "align": SIDE,
        "border": TEXT,
        "color": COLOUR,
        "line-height": LINE_HEIGHT,
        "role": OneOf(("none", "presentation")),
        "table-layout": OneOf(("auto", "fixed", "initial", "inherit")),
        "vertical-align": MIDDLE,
        "width": Length(("px", "%"), words=("auto",)),
    },
    "mj-social": {
        **_SOCIAL,
        **_BEHIND,
        "border-radius": SIZE,
        "inner-padding": BOX,
        "mode": OneOf(("horizontal", "vertical")),
        "table-layout": OneOf(("auto", "fixed")),
    },
    "mj-social-element": {
        **_SOCIAL,
        **_LINK,
        **_named(TEXT, "src srcset sizes alt"),
        "icon-position": OneOf(("left", "right")),
        "background-color": COLOUR,
        "border-radius": PX,
    },
    "mj-navbar": {
        **_PADDING,
        **_sides("ico-padding"),
        **_named(SIDE, "align ico-align"),
        **_named(TEXT, "base-url hamburger ico-open ico-close ico-font-family ico-text-transform ico-text-decoration"),
        "ico-color": COLOUR,
        "ico-font-size": SIZE,
        "ico-line-height": LINE_HEIGHT,
    },
    "mj-navbar-link": {
        **_FONT,
        **_PADDING,
        **_LINK,
        **_named(TEXT, "text-decoration text-transform"),
        "color": COLOUR,
        "letter-spacing": SPACING,
        "line-height": LINE_HEIGHT,
    },
    "mj-accordion": {**_PADDING, **_BEHIND, **_ACCORDION_ICON},
    "mj-accordion-element": {**_ACCORDION_ICON, "background-color": COLOUR},
    "mj-accordion-title": {**_FONT, **_PADDING, **_named(COLOUR, "color background-color")},
    "mj-accordion-text": {
        **_FONT,
        **_PADDING,
        **_named(COLOUR, "color background-color"),
        "letter-spacing": SPACING,
        "line-height": LINE_HEIGHT,
    },
    "mj-carousel": {
        **_PADDING,
        **_BEHIND,
        **_named(TEXT, "left-icon right-icon tb-border"),
        **_named(SIZE, "icon-width tb-border-radius tb-width"),
        **_named(COLOUR, "tb-hover-border-color tb-selected-border-color"),
        "align": SIDE,
        "border-radius": BOX,
        "thumbnails": OneOf(("visible", "hidden", "supported")),
    },
    "mj-carousel-image": {
        **_LINK,
        **_named(TEXT, "alt src thumbnails-src tb-border"),
        **_named(BOX, "border-radius tb-border-radius"),
    },
}
"""Every component with its own attributes."""

EVERYWHERE = frozenset({"css-class", "mj-class", "data-pw-track"})
"""Attributes that every component may have (the last one is ours: it keeps a link from being tracked)."""

_CONTENT = frozenset(
    {
        "mj-accordion", "mj-button", "mj-carousel", "mj-divider", "mj-image", "mj-navbar", "mj-raw", "mj-social",
        "mj-spacer", "mj-table", "mj-text",
    }
)  # fmt: skip
CHILDREN: Mapping[str, frozenset[str]] = {
    "mjml": frozenset({"mj-head", "mj-body"}),
    "mj-head": frozenset({"mj-attributes", "mj-breakpoint", "mj-font", "mj-preview", "mj-raw", "mj-style", "mj-title"}),
    "mj-body": frozenset({"mj-section", "mj-wrapper", "mj-hero", "mj-raw"}),
    "mj-wrapper": frozenset({"mj-section", "mj-hero", "mj-raw"}),
    "mj-section": frozenset({"mj-column", "mj-group", "mj-raw"}),
    "mj-group": frozenset({"mj-column", "mj-raw"}),
    "mj-column": _CONTENT,
    "mj-hero": _CONTENT,
    "mj-social": frozenset({"mj-social-element", "mj-raw"}),
    "mj-navbar": frozenset({"mj-navbar-link", "mj-raw"}),
    "mj-accordion": frozenset({"mj-accordion-element", "mj-raw"}),
    "mj-accordion-element": frozenset({"mj-accordion-title", "mj-accordion-text", "mj-raw"}),
    "mj-carousel": frozenset({"mj-carousel-image"}),
}
"""What may stand directly in a component that holds components; ``mj-include`` may stand in all of them."""

HOLDS_HTML = frozenset(
    {
        "mj-text", "mj-button", "mj-table", "mj-raw", "mj-navbar-link", "mj-social-element", "mj-accordion-title",
        "mj-accordion-text",
    }
)  # fmt: skip
"""Components whose inside is HTML."""
HOLDS_TEXT = frozenset({"mj-title", "mj-preview", "mj-style"})
"""Components whose inside is plain text or CSS."""


@dataclass(frozen=True, slots=True)
class Required:
    """An attribute that a component is of no use without."""

    name: str
    why: str


REQUIRED: Mapping[str, tuple[Required, ...]] = {
    "mj-image": (Required("src", say("without it there is no picture")),),
    "mj-carousel-image": (Required("src", say("without it there is no picture")),),
    "mj-font": (
        Required("name", say("nothing can use a font without its name")),
        Required("href", say("nothing is loaded")),
    ),
    "mj-include": (Required("path", say("it names the template to include")),),
    "mj-breakpoint": (Required("width", say("it is the width of the breakpoint")),),
}
REPLACED_NAMES: Mapping[str, str] = {
    "class": "css-class",
    "bgcolor": "background-color",
    "background": "background-color",
    "font-color": "color",
    "text-color": "color",
    "url": "href",
    "link": "href",
    "margin": "padding",
    "radius": "border-radius",
    "text-align": "align",
    "valign": "vertical-align",
    "dir": "direction",
    "background-image": "background-url",
    "font": "font-family",
    "size": "font-size",
}
"""Names of HTML and CSS, and what MJML calls the same where the component has it."""
SOCIAL_NETWORKS = frozenset(
    {
        "facebook", "twitter", "x", "google", "pinterest", "linkedin", "instagram", "web", "snapchat", "youtube",
        "tumblr", "github", "xing", "vimeo", "medium", "soundcloud", "dribbble",
    }
)  # fmt: skip
"""Names (each also with ``-noshare``) that ``mj-social-element`` has an icon for."""
ALL_ATTRIBUTES = frozenset(name for attributes in COMPONENT_ATTRIBUTES.values() for name in attributes)
