"""Where the engine (mjml-python, MRML) writes other HTML than MJML's own compiler, release 4.18.

Found by compiling one document for each component, attribute and kind of value with both and comparing the trees;
docs/rendering.md has the table, and what of it is mended after compiling.
"""

from collections.abc import Iterator, Mapping

from mailtypes.saying import say

_IGNORED: Mapping[tuple[str, str], str] = {
    ("mj-hero", "border-radius"): say("Use corners in the background picture instead."),
    ("mj-wrapper", "gap"): say("Give the sections in it a padding, or put an <mj-spacer> between them."),
    ("mj-button", "title"): say("Say it in the button's text; few mail clients show a title."),
    ("mj-image", "border-top"): say("Use border, or put an <mj-divider> beside the image."),
    ("mj-image", "border-right"): say("Use border for all four sides."),
    ("mj-image", "border-bottom"): say("Use border, or put an <mj-divider> beside the image."),
    ("mj-image", "border-left"): say("Use border for all four sides."),
    ("mj-image", "sizes"): say("Give src a picture that is wide enough for every screen."),
    ("mj-table", "role"): say('Write the <table> yourself in an <mj-text>, with role="presentation".'),
    ("mj-social-element", "srcset"): say("Give src a picture of twice the size."),
    ("mj-social-element", "sizes"): say("Give src a picture of twice the size."),
    ("mj-accordion-title", "font-weight"): say("Put the title's text into <b>."),
}
_OTHERWISE: Mapping[tuple[str, str], tuple[str, frozenset[str], str]] = {
    ("mj-hero", "mode"): (
        say("a hero of fluid-height gets a fixed height here"),
        frozenset({"fluid-height"}),
        say('Give it a height and mode="fixed-height".'),
    ),
    ("mj-carousel", "thumbnails"): (
        say("thumbnails are shown whether a client supports them or not"),
        frozenset({"supported"}),
        say('Choose "visible" or "hidden".'),
    ),
    ("mj-table", "cellspacing"): (
        say("cells are not kept apart: their borders collapse"),
        frozenset(),
        say('Write style="border-collapse:separate" on a <table> of your own, or give the cells a padding.'),
    ),
}


def differences_of(component: str, attribute: str, value: str) -> Iterator[tuple[str, str]]:
    """What differs for an attribute of a component, and what to write instead."""
    place = (component, attribute)
    if place in _IGNORED:
        yield (
            say(
                "%(component)s ignores %(attribute)s here, other than the official engine",
                component=component,
                attribute=attribute,
            ),
            _IGNORED[place],
        )
    elif place in _OTHERWISE:
        message, values, next_step = _OTHERWISE[place]
        if value in values or (not values and value.strip("0") != ""):
            yield message, next_step
