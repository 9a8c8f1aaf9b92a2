"""The people behind the sandbox's mailboxes, drawn by a seed: who opens and clicks, when, and the machines between.

How many open and click is stated for each subject (``Appeal``); who they are and when they look follows from the seed,
the mailbox and the subject alone, so that a rehearsal can be repeated. Beside them work the machines that make counting
hard: proxies that load images for people or before them, and gateways that follow links. What the machines do comes
from ``tracking.testing``. The habits are assumptions, no measurement of any provider's users.

Pure: mail in, requests with their moments out; ``postwright.sandbox.reading`` makes them.
"""

import email
import html
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from mailtypes.clock import HOUR, SECOND, Microseconds
from mailtypes.errors import InputSyntaxError
from tracking.testing import HABITS, SENT_AT, reading_time
from tracking.tokens import TokenKind
from tracking.urls import read_path
from tracking.verdicts import AgentFamily, Fetch, FetchKind, NetworkClass

_ADDRESS_IN_HTML: Final = re.compile(r'(?:href|src)="(https://[^"]{1,2000})"')
_HIDDEN_IN_HTML: Final = re.compile(r'<a href="(https://[^"]{1,2000})" tabindex="-1" aria-hidden="true"')
_LONGEST_WAIT: Final = 20 * HOUR
_CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
AGENTS: Final[Mapping[AgentFamily, str]] = MappingProxyType(
    {
        AgentFamily.BROWSER: _CHROME,
        AgentFamily.GMAIL_PROXY: "Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
        AgentFamily.APPLE_MAIL_PRIVACY: "Mozilla/5.0",
        AgentFamily.SCANNER: "Mozilla/5.0 (compatible; Mimecast link check)",
        AgentFamily.TOOL: "python-requests/2.32",
    }
)
"""The User-Agent header that each of them sends."""
ADDRESSES: Final[Mapping[NetworkClass, str]] = MappingProxyType(
    {
        NetworkClass.GOOGLE: "66.249.84.0",
        NetworkClass.SCANNER: "209.222.80.0",
        NetworkClass.DATACENTER: "3.208.0.0",
        NetworkClass.MICROSOFT: "40.92.0.0",
        NetworkClass.OTHER: "198.18.0.0",
    }
)
"""Where each of them comes from: the first address of a block, of 256 for those in ``_NARROW`` and 65,536 for others.
People are in RFC 2544's range, which nobody on the Internet has. These are claims made on loopback; nothing is sent
there."""
_NARROW: Final = frozenset({NetworkClass.GOOGLE, NetworkClass.SCANNER})
_GATEWAYS: Final = tuple(
    # The gateway of a company looks at many mails in the same seconds, which one mailbox alone cannot show.
    (habit, weight)
    for name, (habit, weight) in HABITS.items()
    if name.startswith("scanner") and not name.endswith("gateway")
)


class AppealSyntaxError(InputSyntaxError):
    """Shares that cannot be."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """How a subject goes down, as shares of those who have it: who opens, who clicks (some of those who open), and
    whose mail a gateway looks through, which follows links."""

    opens: float
    clicks: float
    scanned: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.clicks <= self.opens <= 1 or not 0 <= self.scanned <= 1:
            raise AppealSyntaxError(
                f"opens {self.opens}, clicks {self.clicks} and scanned {self.scanned} are no shares of readers",
                source=f"{self.opens}, {self.clicks}, {self.scanned}",
                next_step="Give numbers from 0 to 1, with no more clicks than opens.",
            )


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as its reader's program shows it. ``pixel`` is the image that tells of an open, empty where there is none;
    ``links`` are in document order. ``links`` and ``pages`` (unsubscribing and the like, and a link that no reader
    sees) are all that is linked."""

    mailbox: str
    subject: str
    received_at: Microseconds
    pixel: str = ""
    links: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """Something fetched from a mail: by whom, from where, and whether a person wanted it."""

    at: Microseconds
    mailbox: str
    method: str
    url: str
    agent: str
    address: str
    by_person: bool


def read_mail(mailbox: str, subject: str, received_at: int, raw: bytes) -> Mail:
    """What is to be fetched in a mail: https alone, told apart by the paths that our tracking hosts answer to."""
    found: dict[TokenKind | None, list[str]] = {}
    text = _html_of(raw)
    hidden = {html.unescape(written) for written in _HIDDEN_IN_HTML.findall(text)}
    for written in _ADDRESS_IN_HTML.findall(text):
        url = html.unescape(written)
        asked = read_path(urlsplit(url).path)
        urls = found.setdefault(asked[0] if asked else None, [])
        if url not in urls:
            urls.append(url)
    pixel = found.pop(TokenKind.PIXEL, [""])[0]
    clickable = found.pop(TokenKind.CLICK, [])
    links = tuple(url for url in clickable if url not in hidden)
    found.pop(None, None)  # pictures and links that nobody counts; there is no web in the sandbox
    pages = (*(url for urls in found.values() for url in urls), *(url for url in clickable if url in hidden))
    return Mail(mailbox, subject, Microseconds(received_at), pixel, links, pages)


def _html_of(raw: bytes) -> str:
    # The old policy: it leaves headers alone, which takes a third of the time.
    for part in email.message_from_bytes(raw).walk():
        if part.get_content_type() == "text/html":
            octets = part.get_payload(decode=True)
            return octets.decode("utf-8", "replace") if isinstance(octets, bytes) else ""
    return ""


class People:
    """Everybody who has a mailbox in the sandbox. ``appeals`` are tried in order by a text in the subject; what none
    fits is left unread."""

    def __init__(self, seed: int, appeals: Sequence[tuple[str, Appeal]]) -> None:
        self._seed = seed
        self._appeals = tuple(appeals)

    def appeal_of(self, subject: str) -> tuple[str, Appeal] | None:
        """The text that fits a subject, with its appeal."""
        return next(((text, appeal) for text, appeal in self._appeals if text in subject), None)

    def requests(self, mail: Mail) -> list[Request]:
        """All that will be fetched from a mail, in the order of time."""
        found = self.appeal_of(mail.subject)
        if found is None:
            return []
        text, appeal = found
        # By the text alone, so that the name of the reader in a subject makes no difference.
        chance = random.Random(f"{self._seed}\0{mail.mailbox}\0{text}")  # noqa: S311  # nothing secret
        made = [*self._reader(mail, appeal, chance), *self._gateway(mail, appeal, chance)]
        return sorted(one for one in made if one.url)

    def _reader(self, mail: Mail, appeal: Appeal, chance: random.Random) -> Iterator[Request]:
        """One person: by their own device, through a proxy that loads images, or with images blocked."""
        program = chance.choices(("own", "gmail", "apple", "no_images"), (45, 25, 22, 8))[0]
        wants = chance.random()  # one draw for both: whoever clicks has opened
        opened = min(reading_time(chance) * SECOND, _LONGEST_WAIT)
        fetched = chance.uniform(5, 7_200) * SECOND
        home = _address(NetworkClass.OTHER, mail.mailbox)
        is_reader = wants < appeal.opens
        if program == "apple":  # loaded for everybody, before anybody looks
            yield _request(mail, (fetched, mail.pixel), (AgentFamily.APPLE_MAIL_PRIVACY, home), by_person=False)
            opened = max(opened, fetched)
        elif is_reader and program == "gmail":
            proxy = _address(NetworkClass.GOOGLE, mail.mailbox)
            yield _request(mail, (opened, mail.pixel), (AgentFamily.GMAIL_PROXY, proxy), by_person=True)
        elif is_reader and program == "own":
            yield _request(mail, (opened, mail.pixel), (AgentFamily.BROWSER, home), by_person=True)
        if wants < appeal.clicks and mail.links:
            for _ in range(chance.choices((1, 2, 3), (75, 20, 5))[0]):
                opened += (12 + chance.expovariate(1 / 40)) * SECOND
                yield _request(mail, (opened, chance.choice(mail.links)), (AgentFamily.BROWSER, home), by_person=True)

    def _gateway(self, mail: Mail, appeal: Appeal, chance: random.Random) -> Iterator[Request]:
        """A machine in front of the mailbox that follows what it finds, each link once."""
        if chance.random() >= appeal.scanned:
            return
        habit = chance.choices([one for one, _ in _GATEWAYS], [weight for _, weight in _GATEWAYS])[0]
        targets = [*mail.links, *mail.pages]
        seen: set[tuple[str, str]] = set()
        for labelled in habit(chance):
            fetch: Fetch = labelled.fetch
            method, url = "GET", mail.pixel
            if fetch.kind is not FetchKind.OPEN:
                method = "HEAD" if fetch.kind is FetchKind.LOOK else "GET"
                url = targets[(fetch.link - 1) % len(targets)] if targets else ""
            if (method, url) not in seen:
                seen.add((method, url))
                after = fetch.at - SENT_AT
                who = (fetch.agent, _address(fetch.network, f"gateway of {mail.mailbox}"))
                yield _request(mail, (after, url), who, by_person=False, method=method)


def _request(
    mail: Mail, what: tuple[float, str], who: tuple[AgentFamily, str], *, by_person: bool, method: str = "GET"
) -> Request:
    (after, url), (family, address) = what, who
    at = Microseconds(mail.received_at + round(after))
    return Request(at, mail.mailbox, method, url, AGENTS[family], address, by_person)


def _address(network: NetworkClass, whose: str) -> str:
    """The same address for the same mailbox, within its network's block."""
    first, second, third, _ = ADDRESSES[network].split(".")
    lot = sha256(whose.encode()).digest()
    middle = third if network in _NARROW else str(lot[0])
    return f"{first}.{second}.{middle}.{1 + lot[1] % 254}"
