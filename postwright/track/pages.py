"""The few pages that recipients see, in English and Hebrew; each whole in itself, nothing loaded from elsewhere."""

import base64
import hashlib
from dataclasses import dataclass
from html import escape

from postwright.services.engagement import UnsubscribePage

_STYLE = (
    "body{margin:0;font:16px/1.5 system-ui,'Noto Sans Hebrew',Arial,sans-serif;background:#f4f6fa;color:#1a2233}"
    "main{max-inline-size:28rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #d9dfe9;"
    "border-radius:8px}h1{font-size:1.25rem;margin:0 0 .5rem}p{margin:.5rem 0}"
    "button{font:inherit;margin-block-start:1rem;padding:.6rem 1.2rem;border:0;border-radius:8px;background:#1c4fa1;"
    "color:#fff;cursor:pointer}button:focus-visible{outline:3px solid #8db4f5;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{background:#10151f;color:#e6ebf5}main{background:#19202e;"
    "border-color:#2c3648}}"
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


@dataclass(frozen=True, slots=True)
class _Texts:
    direction: str
    title: str
    question: str
    button: str
    done: str
    done_text: str


_TEXTS = {
    "en": _Texts(
        "ltr",
        "Unsubscribe",
        "Do you want to get no more mail from {sender} on the list “{list}”?",
        "Unsubscribe",
        "You are unsubscribed",
        "{sender} will send you no more mail on the list “{list}”.",
    ),
    "he": _Texts(
        "rtl",
        "הסרה מרשימת התפוצה",
        "להפסיק לקבל דיוור מאת {sender} ברשימה “{list}”?",
        "להסרה מהרשימה",
        "ההסרה בוצעה",
        "לא יישלח עוד דיוור מאת {sender} ברשימה “{list}”.",
    ),
}


def unsubscribe_page(about: UnsubscribePage) -> Page:
    """Asks once; only its button (a POST) unsubscribes."""
    texts = _texts(about)
    form = (
        '<form method="post"><input type="hidden" name="confirm" value="yes">'
        f"<button>{escape(texts.button)}</button></form>"
    )
    return _page(about, texts.title, texts.question, form)


def done_page(about: UnsubscribePage) -> Page:
    """Says that it is done."""
    texts = _texts(about)
    return _page(about, texts.done, texts.done_text, "")


def invalid_page() -> Page:
    """For links that we did not make, or whose mail is gone."""
    body = "<h1>This link does not work</h1><p>It may have been cut off when it was copied.</p>"
    return Page(_document("en", "ltr", "This link does not work", body))


def _texts(about: UnsubscribePage) -> _Texts:
    return _TEXTS["he" if about.language.lower().startswith(("he", "iw")) else "en"]


def _page(about: UnsubscribePage, title: str, sentence: str, form: str) -> Page:
    texts = _texts(about)
    names = {"sender": f"<bdi>{escape(about.sender)}</bdi>", "list": f"<bdi>{escape(about.list_name)}</bdi>"}
    body = f"<h1>{escape(title)}</h1><p>{sentence.format(**names)}</p>{form}"
    return Page(_document("he" if texts.direction == "rtl" else "en", texts.direction, title, body))


def _document(language: str, direction: str, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
