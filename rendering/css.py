"""Style sheets into ``style`` attributes, which many mail clients need; the sheets and their at-rules stay too.

css-inline does it in a third of a millisecond. It refuses malformed inline styles that browsers accept; then
premailer takes over (about 18 ms). Neither loads anything.

MJML begins its documents with a reset sheet (``table, td { border-collapse ... mso-table-lspace ... }``). Inlined, it
stands in every cell and makes a newsletter a quarter larger, for rules that only Outlook reads, which keeps the sheet.
So it is left as it is, as MJML's own compiler leaves it.
"""

import logging
import re

import css_inline

_DOCTYPE = re.compile(r"\A\s*(<!doctype[^>]*>)", re.IGNORECASE)
_IGNORE = ' data-css-inline="ignore"'
_MJML_RESET = re.compile(
    r"(<style type=\"text/css\")(>\s*#outlook a \{[^{}<]*\}\s*body \{[^{}<]*\}"
    r"\s*table, ?td \{[^{}<]*mso-table-lspace[^{}<]*\}\s*img \{[^{}<]*\}"
    r"\s*p \{ ?display: ?block; ?margin: ?13px 0; ?\}\s*</style>)"
)
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
            marked = _MJML_RESET.sub(rf"\1{_IGNORE}\2", html, count=1)
            inlined = str(_INLINER.inline(marked))
            if marked != html:
                inlined = inlined.replace(_IGNORE, "", 1)
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
