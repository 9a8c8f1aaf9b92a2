"""Style sheets into ``style`` attributes, which many mail clients need; the sheets and their at-rules stay too.

css-inline does it in a third of a millisecond. It refuses malformed inline styles that browsers accept; then
premailer takes over (about 18 ms). Neither loads anything.
"""

import logging
import re

import css_inline

_DOCTYPE = re.compile(r"\A\s*(<!doctype[^>]*>)", re.IGNORECASE)
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, keep_at_rules=True, keep_link_tags=True, load_remote_stylesheets=False
)


class CssError(Exception):
    """No inliner could read the style sheets."""


def inline_css(html: str) -> str:
    """The whole document with its style sheets inlined, with a DOCTYPE in any case; raises ``CssError``."""
    doctype = _DOCTYPE.match(html)
    if "<style" not in html.lower():
        inlined = html  # nothing to inline, so nothing to disturb
    else:
        try:
            inlined = str(_INLINER.inline(html))
        except ValueError as error:
            inlined = _by_premailer(html, str(error))
    # Both inliners drop or shorten the DOCTYPE, and an old one tells old clients how to lay out tables.
    body = _DOCTYPE.sub("", inlined, count=1).lstrip()
    return (doctype[1] if doctype else "<!DOCTYPE html>") + "\n" + body


def _by_premailer(html: str, reason: str) -> str:
    from premailer import Premailer  # noqa: PLC0415 (rarely needed, and a fifth of a second to import)

    try:
        premailer = Premailer(
            html,
            keep_style_tags=True,
            strip_important=False,
            disable_validation=True,
            disable_link_rewrites=True,
            allow_network=False,
            cssutils_logging_level=logging.CRITICAL,
        )
        return str(premailer.transform())
    except Exception as error:
        raise CssError(f"{reason}; {error}") from error
