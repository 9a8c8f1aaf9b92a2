"""The letter that the benchmarks send: HTML of about 29 KB as sent, a dozen merge fields, ten tracked links.

Written by rule, so that every machine sends the same octets.
"""

from collections.abc import Iterator

SUBJECT = "{{ contact.first_name }}, {{ contact.offers }} offers near {{ contact.city }}"
FIELDS = (
    "first_name",
    "last_name",
    "city",
    "company",
    "plan",
    "points",
    "offers",
    "coupon",
    "account",
    "renews",
    "shop",
)
_SECTIONS = 10  # each with a link
_WORDS = (
    "early", "seed", "garden", "letter", "season", "shelf", "winter", "tools", "water", "morning", "harvest", "south",
    "window", "paper", "copper", "lemon", "bench", "quiet", "basket", "ladder", "orchard", "glass", "thyme", "rain",
)  # fmt: skip
_FIRST = ("Ada", "Ben", "Chloe", "Dan", "Edith", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Leo")
_LAST = ("Abbott", "Bell", "Carver", "Diaz", "Ellis", "Fox", "Grant", "Hale", "Ivers", "Jung", "Klein", "Lopez")
_CITIES = ("Leeds", "York", "Bath", "Exeter", "Derby", "Truro", "Ripon", "Wells", "Ely", "Durham")


def body() -> str:
    """The template."""
    sections = "".join(_section(number) for number in range(_SECTIONS))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>The letter</title></head>\n'
        '<body style="margin:0;padding:0;background-color:#efeadf">\n'
        '<table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0" align="center"><tr><td>\n'
        "<h1>Good morning {{ contact.first_name }} {{ contact.last_name }}</h1>\n"
        "<p>{{ contact.company }} has {{ contact.points }} points on the plan {{ contact.plan }}, account"
        " {{ contact.account }}, which renews on {{ contact.renews }}. Your shop is {{ contact.shop }} in"
        " {{ contact.city }}, and your coupon is <b>{{ contact.coupon }}</b>.</p>\n"
        f"{sections}"
        '<p>Sent to {{ contact.email }}. <a href="{{ unsubscribe_url }}">Unsubscribe</a><br>'
        "Acme Garden, 1 Long Lane, Leeds</p>\n</td></tr></table>\n</body></html>\n"
    )


def fields(number: int) -> dict[str, str]:
    """The merge fields of recipient ``number``."""
    return {
        "first_name": _FIRST[number % len(_FIRST)],
        "last_name": _LAST[number // 7 % len(_LAST)],
        "city": _CITIES[number // 3 % len(_CITIES)],
        "company": f"{_LAST[number // 5 % len(_LAST)]} & Sons",
        "plan": ("basic", "plus", "club")[number % 3],
        "points": str(number * 37 % 5000),
        "offers": str(2 + number % 9),
        "coupon": f"SPRING-{number * 7919 % 1_000_000:06}",
        "account": f"A{number:08}",
        "renews": f"{1 + number % 28} May",
        "shop": f"{_CITIES[number % len(_CITIES)]} Market Hall",
    }


def _section(number: int) -> str:
    text = " ".join(_words(number, 150))
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 24px">'
        '<tr><td style="padding:24px 32px;font-family:Georgia,serif;font-size:16px;line-height:26px;color:#35402f">\n'
        f'<h2 style="margin:0 0 12px;font-size:22px">Offer {number + 1} for {{{{ contact.city }}}}</h2>\n'
        f"<p>{text}</p>\n"
        f'<p><a style="color:#9a3b17" href="https://shop.acme.test/offer/{number + 1}?from=letter">'
        f"Look at offer {number + 1}</a></p>\n</td></tr></table>\n"
    )


def _words(seed: int, count: int) -> Iterator[str]:
    state = seed + 1
    for _ in range(count):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield _WORDS[(state >> 16) % len(_WORDS)]
