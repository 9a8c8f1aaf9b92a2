"""What SVG Tiny Portable/Secure allows: elements, their attributes with the values, and their children.

The facts are those of the schema in draft-svg-tiny-ps-abrotman, told once for each group of elements that share them.
``href`` stands for ``xlink:href``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_SHAPES: Final = frozenset({"circle", "ellipse", "line", "path", "polygon", "polyline", "rect"})
_TEXTS: Final = frozenset({"text", "textArea"})
_GRADIENTS: Final = frozenset({"linearGradient", "radialGradient"})
_DRAWN: Final = _SHAPES | _TEXTS | {"g", "use"}
_STYLED: Final = _DRAWN | _GRADIENTS | {"defs", "solidColor", "stop", "svg"}
_DESCRIBED: Final = _STYLED | {"desc", "title"}
_CONTENT: Final = _DRAWN | _GRADIENTS | {"defs", "solidColor"}

_CHILDREN: Final[Mapping[str, frozenset[str]]] = {
    "svg": _CONTENT | {"desc", "metadata", "title"},
    "g": _CONTENT,
    "defs": _CONTENT,
    "linearGradient": frozenset({"stop"}),
    "radialGradient": frozenset({"stop"}),
    "font": frozenset({"desc", "font-face", "glyph", "hkern"}),
    "font-face": frozenset({"desc"}),
    "glyph": frozenset({"desc"}),
    "hkern": frozenset({"desc"}),
}

_GROUPS: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (
        _DESCRIBED,
        "about class content datatype id property rel resource rev role typeof xml:base xml:id xml:lang xml:space",
    ),
    (_STYLED | {"font-face"}, "font-family font-style font-variant font-weight"),
    (
        _STYLED,
        "color color-rendering direction display-align fill fill-opacity fill-rule font-size line-increment"
        " solid-color solid-opacity stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap"
        " stroke-linejoin stroke-miterlimit stroke-opacity stroke-width text-align text-anchor unicode-bidi"
        " vector-effect",
    ),
    (_DRAWN | {"desc", "title"}, "requiredFonts systemLanguage"),
    (_DRAWN, "transform"),
    (_TEXTS | {"rect", "use"}, "x y"),
    (frozenset({"circle", "ellipse", "radialGradient"}), "cx cy"),
    (frozenset({"rect", "svg", "textArea"}), "height width"),
    (frozenset({"circle", "radialGradient"}), "r"),
    (
        frozenset({"desc", "title"}),
        "buffered-rendering display image-rendering shape-rendering text-rendering viewport-fill"
        " viewport-fill-opacity visibility",
    ),
    (frozenset({"ellipse", "rect"}), "rx ry"),
    (frozenset({"line", "linearGradient"}), "x1 x2 y1 y2"),
    (_GRADIENTS, "gradientUnits"),
    (frozenset({"polygon", "polyline"}), "points"),
    (frozenset({"font"}), "horiz-adv-x horiz-origin"),
    (
        frozenset({"font-face"}),
        "accented-height alphabetic ascent bbox cap-height descent font-stretch hanging ideographic mathematical"
        " overline-position overline-thickness panose-1 slope stemh stemv strikethrough-position"
        " strikethrough-thickness underline-position underline-thickness unicode-range units-per-em widths x-height",
    ),
    (frozenset({"glyph"}), "arabic-form glyph-name lang unicode"),
    (frozenset({"hkern"}), "g1 g2 k u1 u2"),
    (frozenset({"path"}), "d pathLength"),
    (frozenset({"stop"}), "offset"),
    (
        frozenset({"svg"}),
        "baseProfile contentScriptType externalResourcesRequired focusable playbackOrder preserveAspectRatio"
        " snapshotTime timelineBegin version viewBox zoomAndPan",
    ),
    (frozenset({"text"}), "editable rotate"),
    (frozenset({"use"}), "href"),
)

_VALUES: Final[Mapping[str, str]] = {
    "baseProfile": "tiny-ps",
    "buffered-rendering": "auto dynamic inherit static",
    "color-rendering": "auto inherit optimizeQuality optimizeSpeed",
    "direction": "inherit ltr rtl",
    "display": "block compact inherit inline inline-table list-item marker none run-in table table-caption table-cell"
    " table-column table-column-group table-footer-group table-header-group table-row table-row-group",
    "display-align": "after auto before center inherit",
    "editable": "none",
    "externalResourcesRequired": "false",
    "fill-rule": "evenodd inherit nonzero",
    "focusable": "false",
    "font-style": "inherit italic normal oblique",
    "font-variant": "inherit normal small-caps",
    "font-weight": "bold bolder inherit lighter normal",
    "gradientUnits": "objectBoundingBox userSpaceOnUse",
    "image-rendering": "auto inherit optimizeQuality optimizeSpeed",
    "playbackOrder": "all",
    "shape-rendering": "auto crispEdges geometricPrecision inherit optimizeSpeed",
    "snapshotTime": "none",
    "stroke-linecap": "butt inherit round square",
    "stroke-linejoin": "bevel inherit miter round",
    "text-align": "center end inherit start",
    "text-anchor": "end inherit middle start",
    "text-rendering": "auto geometricPrecision inherit optimizeLegibility optimizeSpeed",
    "timelineBegin": "onLoad",
    "unicode-bidi": "bidi-override embed inherit normal",
    "vector-effect": "inherit non-scaling-stroke none",
    "version": "1.2",
    "visibility": "collapse hidden inherit visible",
    "xml:space": "default preserve",
    "zoomAndPan": "disable",
}

# A font describes its own style, so these are free there; and the root has nothing to inherit a weight from.
_VALUES_IN: Final[Mapping[tuple[str, str], str | None]] = {
    ("font-face", "font-style"): None,
    ("font-face", "font-variant"): None,
    ("font-face", "font-weight"): None,
    ("svg", "font-weight"): "bold bolder lighter normal",
}


@dataclass(frozen=True, slots=True)
class ElementRule:
    """One element: ``attributes`` with their allowed values (``None``: any text), and the names of its children."""

    attributes: Mapping[str, frozenset[str] | None]
    children: frozenset[str]


def _rule(element: str) -> ElementRule:
    names = [name for elements, group in _GROUPS if element in elements for name in group.split()]
    values = {name: _VALUES_IN.get((element, name), _VALUES.get(name)) for name in names}
    attributes = {name: None if words is None else frozenset(words.split()) for name, words in values.items()}
    return ElementRule(MappingProxyType(attributes), _CHILDREN.get(element, frozenset()))


ELEMENTS: Final[Mapping[str, ElementRule]] = MappingProxyType(
    {element: _rule(element) for element in sorted(_DESCRIBED | {"metadata", "font", "font-face", "glyph", "hkern"})}
)
"""The rule of every element that is allowed."""
