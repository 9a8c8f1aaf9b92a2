"""The headers that every answer of the pages carries."""

from starlette.datastructures import MutableHeaders

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; frame-src 'none'; base-uri 'none'"
)
"""Content Security Policy Level 3 of every page: nothing from outside, nothing inline."""

MAIL_FRAME_POLICY = PAGE_POLICY.replace("frame-src 'none'", "frame-src 'self'")
"""Of the one page that shows a mail in a frame of its own."""

UNTRUSTED_MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
    "frame-ancestors 'self'; base-uri 'none'"
)
"""Of somebody else's HTML: an origin of its own without scripts, forms, pop-ups, or anything loaded from anywhere."""

UNTRUSTED_LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Of somebody else's SVG file: a picture, and nothing else even where it is opened by itself."""

_FOR_ALL = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": browsers then send "Origin: null" with forms, and signing in checks the origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def secure(headers: MutableHeaders, *, https: bool, policy: str = PAGE_POLICY) -> None:
    """Add what is missing; a policy or a caching rule that the page has set itself stays."""
    for name, value in _FOR_ALL.items():
        headers[name] = value
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("Cache-Control", "no-store")
    framed = "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    headers["X-Frame-Options"] = "SAMEORIGIN" if framed else "DENY"
    if https:  # both are ignored, with a complaint on the console, where the page came by http
        headers["Strict-Transport-Security"] = "max-age=31536000"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
