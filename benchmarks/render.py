"""How many layouts are compiled and how many contacts are merged in a second, beside email.message and premailer.

    python benchmarks/render.py                    a table
    python benchmarks/render.py --json             the same as JSON

The letter is that of the other benchmarks (HTML, 29 KB as sent, a dozen merge fields, ten links), and the same in MJML
for compiling. Merging is everything but the signature: values, layout, links with an address each, unsubscribe
address, pixel, headers, encoded body. The plain way does the same work for each recipient with python-liquid,
premailer and email.message; "email.message alone" has its styles inlined beforehand. Every row is one thread.

Before anything is timed, one message of each way is parsed and its texts are compared; a difference ends the run with
status 1.
"""

import argparse
import email
import email.policy
import html
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from html.parser import HTMLParser
from itertools import count

import letter
import machine
from liquid import Environment
from premailer import Premailer

from mailtypes.address import EmailAddress
from mailtypes.clock import SystemClock
from rendering import Layouts, MessageHeaders, MessageUrls, TemplateSource, compose_headers, parse_template
from rendering.css import inline_css
from rendering.mjml_engine import mjml_to_html
from rendering.starters import starters

_BODY = letter.body()
_STYLED = _BODY.replace(
    "</head>", "<style>p { margin: 0 0 16px; } h1 { font-size: 28px; } a { color: #9a3b17; }</style></head>"
)
_DATE = SystemClock().now()
_FROM = EmailAddress.parse("news@acme.test")
_RECIPIENTS = 5_000  # made beforehand, since a store hands them over as they are
_CONTACTS = [{"contact": {**letter.fields(n), "email": f"reader{n}@sink.test"}} for n in range(_RECIPIENTS)]
_ADDRESSES = [EmailAddress.parse(f"reader{n}@sink.test") for n in range(_RECIPIENTS)]


@dataclass(frozen=True)
class Row:
    """One measurement."""

    what: str
    rate: float
    microseconds: float
    octets: int


def contact(number: int) -> dict[str, object]:
    return _CONTACTS[number % _RECIPIENTS]


def recipient(number: int) -> EmailAddress:
    return _ADDRESSES[number % _RECIPIENTS]


def urls_of(number: int) -> MessageUrls:
    base = f"https://links.acme.test/c/{number:012}"
    return MessageUrls(lambda link: f"{base}/{link}", f"https://links.acme.test/u/{number:012}", f"{base}/o.gif")


class Ours:
    """The compiled way."""

    def __init__(self, body: str) -> None:
        self.template = parse_template(TemplateSource(body, "html", letter.SUBJECT))
        self.layouts = Layouts(self.template)

    def merge(self, number: int) -> bytes:
        key, values = self.template.fill(contact(number))
        layout = self.layouts[key]
        headers = MessageHeaders(
            from_name="Acme Garden",
            from_address=_FROM,
            to_name="",
            to_address=recipient(number),
            subject=values.subject,
            date=_DATE,
            message_id=f"<{number:012}@acme.test>",
        )
        head = compose_headers(headers) + layout.content_headers
        return head + b"\r\n" + layout.render(values, urls_of(number))


class PlainWay:
    """Liquid, premailer and email.message for each recipient."""

    def __init__(self, body: str, inline: bool) -> None:
        self.body = Environment(autoescape=True).from_string(body if inline else inline_css(body))
        self.subject = Environment().from_string(letter.SUBJECT)
        self.text = Environment().from_string(words(body))
        self.links = parse_template(TemplateSource(body, "html", letter.SUBJECT)).links
        self.inline = inline

    def merge(self, number: int) -> bytes:
        urls = urls_of(number)
        data = contact(number)
        merged = self.body.render(**data, unsubscribe_url=urls.unsubscribe_url)
        if self.inline:
            merged = str(
                Premailer(merged, keep_style_tags=True, disable_validation=True, allow_network=False).transform()
            )
        for link in self.links:
            merged = merged.replace(html.escape(link.url), urls.link_url(link.number))
        merged = merged.replace("</body>", f'<img src="{urls.pixel_url}" width="1" height="1" alt=""></body>')
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = "Acme Garden <news@acme.test>"
        message["To"] = recipient(number).text
        message["Subject"] = self.subject.render(**data)
        message["Message-ID"] = f"<{number:012}@acme.test>"
        message.set_content(self.text.render(**data, unsubscribe_url=urls.unsubscribe_url))
        message.add_alternative(merged, subtype="html")
        return message.as_bytes()


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.skipping = False

    def handle_starttag(self, tag: str, _: object) -> None:
        self.skipping = tag in ("style", "title")

    def handle_endtag(self, _: str) -> None:
        self.skipping = False

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.found += data.split()


def words(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    return " ".join(parser.found)


def rate(what: str, work: Callable[[int], object], seconds: float, octets: int = 0) -> Row:
    """Calls in a second of this thread's processor time, best of three stretches."""
    work(0)
    numbers = count()
    best = 0.0
    for _ in range(3):
        begun, done = time.thread_time(), 0
        while (passed := time.thread_time() - begun) < seconds / 3 or not done:
            work(next(numbers))
            done += 1
        best = max(best, done / passed)
    return Row(what, best, 1_000_000 / best, octets)


def same_words(one: bytes, other: bytes) -> bool:
    def said(octets: bytes) -> str:
        message = email.message_from_bytes(octets, policy=email.policy.default)
        part = message.get_body(("html",))
        assert part is not None
        return words(part.get_content())

    return said(one) == said(other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="processor time for each row")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ours, plain, alone = Ours(_STYLED), PlainWay(_STYLED, inline=True), PlainWay(_STYLED, inline=False)
    message = ours.merge(7)
    for other in (plain, alone):
        if not same_words(message, other.merge(7)):
            sys.exit("the two ways do not say the same words")
    mjml = starters()[0].source
    template = parse_template(mjml)
    key, _ = template.fill({})
    html_key, _ = ours.template.fill(contact(1))
    rows = [
        rate("merge: compiled layout", ours.merge, options.seconds, len(message)),
        rate("merge: Liquid + email.message alone", alone.merge, options.seconds, len(alone.merge(7))),
        rate("merge: Liquid + premailer + email.message", plain.merge, options.seconds, len(plain.merge(7))),
        rate("compile a layout: HTML of 29 KB", lambda _: ours.template.compile(html_key), options.seconds),
        rate("compile a layout: MJML", lambda _: template.compile(key), options.seconds),
        rate("parse and compile: MJML", lambda _: parse_template(mjml), options.seconds),
        rate("of it MJML to HTML", lambda _: mjml_to_html(mjml.body.partition("{% endcomment %}")[2]), options.seconds),
    ]
    signature = machine.rsa_cpu() * 1_000_000
    if options.json:
        print(
            json.dumps(
                {"machine": machine.describe(), "rsa_microseconds": signature, "rows": [row.__dict__ for row in rows]},
                indent=2,
            )
        )
        return
    print(f"{'':44}{'a second':>12}{'µs each':>12}{'octets':>10}")
    for row in rows:
        print(f"{row.what:44}{row.rate:12,.0f}{row.microseconds:12,.1f}{row.octets or '':>10}")
    print(f"{'for comparison, one RSA-2048 signature':44}{1_000_000 / signature:12,.0f}{signature:12,.1f}")


if __name__ == "__main__":
    main()
