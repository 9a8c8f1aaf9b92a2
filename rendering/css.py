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

from rendering.markup import Comment, scan

_DOCTYPE = re.compile(r"\A\s*(<!doctype[^>]*>)", re.IGNORECASE)
_IGNORE = ' data-css-inline="ignore"'
_PREMAILER_IGNORE = ' data-premailer="ignore"'
# premailer makes HTML attributes of these; css-inline does not, and a mail should not depend on which one was used.
_NO_ATTRIBUTES = ["align", "valign", "bgcolor", "width", "height", "background"]
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_MJML_RESET = re.compile(
    r"(<style type=\"text/css\")(>\s*#outlook a \{[^{}<]*\}\s*body \{[^{}<]*\}"
    r"\s*table, ?td \{[^{}<]*mso-table-lspace[^{}<]*\}\s*img \{[^{}<]*\}"
    r"\s*p \{ ?display: ?block; ?margin: ?13px 0; ?\}\s*</style>)"
)
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, keep_at_rules=True, keep_link_tags=True, load_remote_stylesheets=False
)


INLINE_ONLY = "/*pw-inline-only*/"
"""Begins a sheet that has done its work once it is inlined."""
_INLINE_ONLY_SHEET = re.compile(rf"[ \t]*<style\b[^<>]*>\s*{re.escape(INLINE_ONLY)}([^<]*)</style>\n?", re.IGNORECASE)
_NOT_FOR_ATTRIBUTES = re.compile(r"@[a-z-]+|[^{};]*:[a-z-]+[^{};]*\{", re.IGNORECASE)


class CssError(Exception):
    """No inliner could read the style sheets."""


def inline_css(html: str) -> str:
    """The whole document with its style sheets inlined, with a DOCTYPE in any case; raises ``CssError``."""
    doctype = _DOCTYPE.match(html)
    if "<style" not in html.lower():
        inlined = html  # nothing to inline, so nothing to disturb
    else:
        shielded, shields = _shielded(html)
        try:
            marked = _MJML_RESET.sub(rf"\1{_IGNORE}\2", shielded, count=1)
            inlined = str(_INLINER.inline(marked))
            if marked != shielded:
                inlined = inlined.replace(_IGNORE, "", 1)
        except ValueError as error:
            inlined = _by_premailer(shielded, str(error))
        inlined = _without_done_sheets(_unshielded(inlined, shields))
    # Both inliners drop or shorten the DOCTYPE, and an old one tells old clients how to lay out tables.
    body = _DOCTYPE.sub("", inlined, count=1).lstrip()
    return (doctype[1] if doctype else "<!DOCTYPE html>") + "\n" + body


def _shielded(html: str) -> tuple[str, dict[str, str]]:
    """Declarations (``<![if !mso]>``, ``<?xml ...?>``) as comments, since HTML parsers make other comments of them.

    What stands in Outlook's own comments is left alone: parsers do not look into it.
    """
    salt = "pw-kept"
    while salt in html:
        salt += "-"
    shields: dict[str, str] = {}
    pieces: list[str] = []
    position = 0
    for item in scan(html, conditional=False) if "<![" in html or "<?" in html else ():
        if isinstance(item, Comment) and html.startswith(("<![", "<?"), item.start):
            name = f"<!--{salt}{len(shields)}-->"
            shields[name] = html[item.start : item.end]
            pieces += (html[position : item.start], name)
            position = item.end
    return "".join((*pieces, html[position:])), shields


def _unshielded(html: str, shields: dict[str, str]) -> str:
    if not shields:
        return html
    salt = next(iter(shields)).rstrip("->0123456789")
    return re.sub(rf"{re.escape(salt)}-*\d+-->", lambda match: shields.get(match[0], ""), html)


def _without_done_sheets(html: str) -> str:
    """Drop the inline-only sheets, but not the rules that no ``style`` attribute can hold (at-rules, ``:hover``)."""

    def rest(match: re.Match[str]) -> str:
        kept = _NOT_FOR_ATTRIBUTES.search(_CSS_COMMENT.sub("", match[1]))
        return match[0].replace(INLINE_ONLY, "", 1) if kept else ""

    return _INLINE_ONLY_SHEET.sub(rest, html) if INLINE_ONLY in html else html


def _by_premailer(html: str, reason: str) -> str:
    # Imported here since it is rarely needed and takes a fifth of a second.
    from cssutils import CSSParser  # type: ignore[import-untyped]  # noqa: PLC0415
    from premailer import Premailer  # noqa: PLC0415

    class LoadingNothing(Premailer):  # type: ignore[misc]
        """premailer keeps from the network itself, but its CSS parser follows ``@import``."""

        def _parse_css_string(self, css_body: str, validate: bool = True) -> object:
            parser = CSSParser(fetcher=lambda _: (None, b""), loglevel=logging.CRITICAL)
            return parser.parseString(css_body, validate=validate)

    try:
        premailer = LoadingNothing(
            _MJML_RESET.sub(rf"\1{_PREMAILER_IGNORE}\2", html, count=1),
            keep_style_tags=True,
            strip_important=False,
            disable_validation=True,
            disable_link_rewrites=True,
            allow_network=False,
            allow_loading_external_files=False,
            align_floating_images=False,
            remove_unset_properties=False,
            disable_basic_attributes=_NO_ATTRIBUTES,
            cssutils_logging_level=logging.CRITICAL,
        )
        return str(premailer.transform(pretty_print=False)).replace(_PREMAILER_IGNORE, "", 1)
    except Exception as error:
        raise CssError(f"{reason}; {error}") from error
