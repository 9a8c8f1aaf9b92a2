"""The frame of the pages that recipients see: whole in itself, without script, nothing loaded from elsewhere.

They are read at 320 pixels, in light and dark, from left to right and from right to left.
"""

import base64
import hashlib
from dataclasses import dataclass
from html import escape

from postwright.services.page_words import Words, accepted_language, words_in

_STYLE = (
    "*{box-sizing:border-box}"
    "body{margin:0;font:16px/1.5 system-ui,'Noto Sans Hebrew',Arial,sans-serif;background:#f4f6fa;color:#1a2233;"
    "overflow-wrap:anywhere}"
    "main{max-inline-size:32rem;margin:clamp(1rem,8vh,6rem) auto;padding:1.5rem;background:#fff;"
    "border:1px solid #c9d1de;border-radius:8px}"
    "h1{font-size:1.375rem;line-height:1.3;margin:0 0 .5rem}p{margin:.5rem 0 1rem}"
    "fieldset{border:0;margin:1.25rem 0;padding:0;min-inline-size:0}legend{font-weight:600;padding:0;"
    "margin-block-end:.25rem}"
    ".choice{display:flex;gap:.75rem;align-items:flex-start;padding:.5rem 0;min-block-size:2.75rem;cursor:pointer}"
    ".choice input{inline-size:1.25rem;block-size:1.25rem;margin:.125rem 0 0;flex:none;accent-color:#1c4fa1}"
    ".note{color:#4b566b;font-size:.9375rem}.choice .note{display:block}"
    "label.line{display:block;margin:1rem 0;font-weight:600}"
    "input[type=email],input[type=text],select{font:inherit;inline-size:100%;padding:.6rem .75rem;"
    "border:1px solid #6b778c;border-radius:8px;background:#fff;color:inherit;margin-block-start:.25rem}"
    "button,a.button{display:inline-block;font:inherit;font-weight:600;padding:.65rem 1.25rem;min-block-size:2.75rem;"
    "border:1px solid #1c4fa1;border-radius:8px;background:#1c4fa1;color:#fff;cursor:pointer;text-decoration:none}"
    "button.quiet{background:transparent;color:#1c4fa1}a{color:#1c4fa1}"
    ":focus-visible{outline:3px solid #1c4fa1;outline-offset:2px}"
    "form+p{margin-block:1.25rem 0}"
    ".agreed{margin:1rem 0;padding:.25rem 1rem;border-inline-start:4px solid #1c4fa1;white-space:pre-line}"
    ".told{padding:.6rem 1rem;border-radius:8px;background:#e3f3e6;color:#12401d}"
    ".trap{position:absolute;inset-inline-start:-9999px;block-size:1px;inline-size:1px;overflow:hidden}"
    "@media(prefers-color-scheme:dark){body{background:#10151f;color:#e6ebf5}main{background:#19202e;"
    "border-color:#3a4760}.note{color:#aab6cb}.choice input{accent-color:#8db4f5}"
    "input[type=email],input[type=text],select{background:#10151f;border-color:#8391ab}"
    "button,a.button{background:#8db4f5;border-color:#8db4f5;color:#0d1420}"
    "button.quiet{color:#8db4f5}a{color:#8db4f5}:focus-visible{outline-color:#8db4f5}"
    ".agreed{border-color:#8db4f5}.told{background:#17331f;color:#c9efd2}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its Content-Security-Policy."""

    html: str
    policy: str = _POLICY


def page(words: Words, title: str, *parts: str) -> Page:
    """A page with that heading; ``title`` is text, ``parts`` are HTML."""
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    html = (
        f'<!doctype html><html lang="{words.language}" dir="{words.direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
    return Page(html)


def paragraph(sentence: str, **names: str) -> str:
    """A paragraph; ``names`` are somebody else's words, of whatever direction."""
    return f"<p>{filled(sentence, **names)}</p>"


def filled(sentence: str, **names: str) -> str:
    """A sentence as HTML with its names in it, each kept to its own direction."""
    return escape(sentence).format(**{name: f"<bdi>{escape(text)}</bdi>" for name, text in names.items()})


def choice(kind: str, name: str, value: str, label: str, *, checked: bool) -> str:
    """A radio button or checkbox with its label, which is HTML."""
    mark = " checked" if checked else ""
    return (
        f'<label class="choice"><input type="{kind}" name="{escape(name)}" value="{escape(value)}"{mark}>'
        f"<span>{label}</span></label>"
    )


def group(legend: str, *choices: str) -> str:
    """Choices that belong together."""
    return f"<fieldset><legend>{escape(legend)}</legend>{''.join(choices)}</fieldset>"


def form(*parts: str, action: str = "") -> str:
    """A form that is sent by POST, to ``action`` on this host or back to where it came from."""
    target = f' action="{escape(action)}"' if action else ""
    return f'<form method="post"{target}>{"".join(parts)}</form>'


def hidden(name: str, value: str) -> str:
    """A field that nobody sees."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def button(label: str, *, is_quiet: bool = False) -> str:
    """The button that sends the form."""
    quiet = ' class="quiet"' if is_quiet else ""
    return f"<button{quiet}>{escape(label)}</button>"


def invalid_page(accept_language: str = "") -> Page:
    """For links that we did not make, or whose mail is gone."""
    words = words_in(accepted_language(accept_language) or "en")
    return page(words, words.invalid, paragraph(words.invalid_text))


def told_page(words: Words, title: str, sentence: str, **names: str) -> Page:
    """A page that says one thing."""
    return page(words, title, paragraph(sentence, **names))
