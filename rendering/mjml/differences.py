"""Where the engine (mjml-python, MRML) writes other HTML than MJML's own compiler, release 4.18.

Found by compiling one document for each component, attribute and kind of value with both and comparing the trees;
docs/rendering.md has the table, and what of it is mended after compiling.
"""

from collections.abc import Iterator, Mapping

_IGNORED: Mapping[tuple[str, str], str] = {
    ("mj-hero", "border-radius"): "Use corners in the background picture instead.",
    ("mj-wrapper", "gap"): "Give the sections in it a padding, or put an <mj-spacer> between them.",
    ("mj-button", "title"): "Say it in the button's text; few mail clients show a title.",
    ("mj-image", "border-top"): "Use border, or put an <mj-divider> beside the image.",
    ("mj-image", "border-right"): "Use border for all four sides.",
    ("mj-image", "border-bottom"): "Use border, or put an <mj-divider> beside the image.",
    ("mj-image", "border-left"): "Use border for all four sides.",
    ("mj-image", "sizes"): "Give src a picture that is wide enough for every screen.",
    ("mj-table", "role"): 'Write the <table> yourself in an <mj-text>, with role="presentation".',
    ("mj-social-element", "srcset"): "Give src a picture of twice the size.",
    ("mj-social-element", "sizes"): "Give src a picture of twice the size.",
    ("mj-accordion-title", "font-weight"): "Put the title's text into <b>.",
}
_OTHERWISE: Mapping[tuple[str, str], tuple[str, frozenset[str], str]] = {
    ("mj-hero", "mode"): (
        "a hero of fluid-height gets a fixed height here",
        frozenset({"fluid-height"}),
        'Give it a height and mode="fixed-height".',
    ),
    ("mj-carousel", "thumbnails"): (
        "thumbnails are shown whether a client supports them or not",
        frozenset({"supported"}),
        'Choose "visible" or "hidden".',
    ),
    ("mj-table", "cellspacing"): (
        "cells are not kept apart: their borders collapse",
        frozenset(),
        'Write style="border-collapse:separate" on a <table> of your own, or give the cells a padding.',
    ),
}


def differences_of(component: str, attribute: str, value: str) -> Iterator[tuple[str, str]]:
    """What differs for an attribute of a component, and what to write instead."""
    place = (component, attribute)
    if place in _IGNORED:
        yield f"{component} ignores {attribute} here, other than the official engine", _IGNORED[place]
    elif place in _OTHERWISE:
        message, values, next_step = _OTHERWISE[place]
        if value in values or (not values and value.strip("0") != ""):
            yield message, next_step
