"""A small population that reads mail, and the machines between: labelled fetches, drawn by a seed.

The habits are assumptions, but for what is cited: bursts of scanners 20 to 60 seconds after the mail, median 43
(content rules, tracking), the User-Agent headers of the proxies. What is drawn from them says whether rules hold
together, not what share of mail is opened anywhere.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailtypes.clock import SECOND
from tracking.verdicts import AgentFamily, Fetch, FetchKind, NetworkClass
from tracking.verdicts.features import HONEYPOT_LINK

SENT_AT: Final = 1_700_000_000 * SECOND
LINKS: Final = 6


@dataclass(frozen=True, slots=True)
class Labelled:
    """A fetch, and whether a person caused it."""

    fetch: Fetch
    by_person: bool


@dataclass(frozen=True, slots=True)
class SimulatedDelivery:
    """One recipient's mail with all that was fetched from it, in the order of time; ``habit`` names who did."""

    habit: str
    sent_at: int
    fetches: tuple[Labelled, ...]


_Habit = Callable[[random.Random], Iterator[Labelled]]


def _open(at: float, agent: AgentFamily, network: NetworkClass, *, by_person: bool) -> Labelled:
    return Labelled(Fetch(FetchKind.OPEN, SENT_AT + int(at * SECOND), agent, network), by_person)


def _click(at: float, link: int, agent: AgentFamily, network: NetworkClass, *, by_person: bool) -> Labelled:
    return Labelled(Fetch(FetchKind.CLICK, SENT_AT + int(at * SECOND), agent, network, link), by_person)


def reading_time(chance: random.Random) -> float:
    """Seconds until somebody looks: half an hour in the median, seldom within a minute."""
    return 15 + chance.lognormvariate(7.5, 1.6)


def _clicks_of_a_person(chance: random.Random, opened: float, network: NetworkClass) -> Iterator[Labelled]:
    at = opened
    for _ in range(chance.choices((0, 1, 2, 3), (70, 22, 6, 2))[0]):
        at += 3 + chance.expovariate(1 / 25)
        yield _click(at, chance.randint(1, LINKS), AgentFamily.BROWSER, network, by_person=True)


def _direct_reader(chance: random.Random) -> Iterator[Labelled]:
    opened = reading_time(chance)
    yield _open(opened, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=True)
    if chance.random() < 0.2:
        yield _open(opened + chance.uniform(60, 86_400), AgentFamily.BROWSER, NetworkClass.OTHER, by_person=True)
    yield from _clicks_of_a_person(chance, opened, NetworkClass.OTHER)


def _reader_without_images(chance: random.Random) -> Iterator[Labelled]:
    at = reading_time(chance) + chance.expovariate(1 / 20)
    yield _click(at, chance.randint(1, LINKS), AgentFamily.BROWSER, NetworkClass.OTHER, by_person=True)


def _quick_reader(chance: random.Random) -> Iterator[Labelled]:
    """Somebody who waits for the mail and follows a link in it at once."""
    opened = chance.uniform(4, 40)
    yield _open(opened, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=True)
    at = opened + chance.uniform(2, 15)
    yield _click(at, 1, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=True)


def _reader_in_a_vpn(chance: random.Random) -> Iterator[Labelled]:
    opened = reading_time(chance)
    yield _open(opened, AgentFamily.BROWSER, NetworkClass.DATACENTER, by_person=True)
    yield from _clicks_of_a_person(chance, opened, NetworkClass.DATACENTER)


def _desktop_reader(chance: random.Random) -> Iterator[Labelled]:
    opened = reading_time(chance)
    looked = chance.random() < 0.6
    yield _open(opened, AgentFamily.DESKTOP_CLIENT, NetworkClass.OTHER, by_person=looked)
    if looked:
        yield from _clicks_of_a_person(chance, opened, NetworkClass.OTHER)


def _apple_reader(chance: random.Random) -> Iterator[Labelled]:
    fetched = chance.uniform(5, 7_200)
    yield _open(fetched, AgentFamily.APPLE_MAIL_PRIVACY, NetworkClass.OTHER, by_person=False)
    if chance.random() < 0.35:
        yield from _clicks_of_a_person(chance, max(fetched, reading_time(chance)), NetworkClass.OTHER)


def _gmail_reader(chance: random.Random) -> Iterator[Labelled]:
    if chance.random() < 0.1:
        yield _open(chance.uniform(0.5, 20), AgentFamily.GMAIL_PREFETCH, NetworkClass.GOOGLE, by_person=False)
    opened = reading_time(chance)
    yield _open(opened, AgentFamily.GMAIL_PROXY, NetworkClass.GOOGLE, by_person=True)
    yield from _clicks_of_a_person(chance, opened, NetworkClass.OTHER)


def _yahoo_reader(chance: random.Random) -> Iterator[Labelled]:
    opened = reading_time(chance)
    yield _open(opened, AgentFamily.YAHOO_PROXY, NetworkClass.YAHOO, by_person=True)
    yield from _clicks_of_a_person(chance, opened, NetworkClass.OTHER)


def _outlook_reader(chance: random.Random) -> Iterator[Labelled]:
    opened = reading_time(chance)
    yield _open(opened, AgentFamily.BROWSER, NetworkClass.MICROSOFT, by_person=True)
    yield from _clicks_of_a_person(chance, opened, NetworkClass.OTHER)


def _burst_at(chance: random.Random) -> float:
    """When a scanner comes: 0.5 % within 10 s, 66 % from 20 to 60, the rest around."""
    drawn = chance.random()
    if drawn < 0.005:
        return chance.uniform(0.5, 10)
    if drawn < 0.665:
        return chance.triangular(20, 60, 43)
    return chance.uniform(10, 20) if drawn < 0.8 else 60 + chance.expovariate(1 / 90)


def _burst(chance: random.Random, agent: AgentFamily, network: NetworkClass, spacing: float) -> Iterator[Labelled]:
    at = _burst_at(chance)
    links = list(range(1, LINKS + 1))
    if chance.random() < 0.4:
        chance.shuffle(links)
    if chance.random() < 0.5:
        yield _open(at, agent, network, by_person=False)
    for link in links[: chance.randint(2, LINKS)]:
        at += chance.expovariate(1 / spacing)
        yield _click(at, link, agent, network, by_person=False)


def _named_scanner(chance: random.Random) -> Iterator[Labelled]:
    yield from _burst(chance, chance.choice((AgentFamily.SCANNER, AgentFamily.TOOL)), NetworkClass.OTHER, 0.5)


def _vendor_scanner(chance: random.Random) -> Iterator[Labelled]:
    yield from _burst(chance, AgentFamily.BROWSER, NetworkClass.SCANNER, 0.5)


def _hidden_scanner(chance: random.Random) -> Iterator[Labelled]:
    """Looks like a browser, comes from nowhere in particular."""
    yield from _burst(chance, AgentFamily.BROWSER, NetworkClass.OTHER, 0.7)


def _slow_scanner(chance: random.Random) -> Iterator[Labelled]:
    """From the top to the bottom, with pauses in which nothing else shows."""
    yield from _burst(chance, AgentFamily.BROWSER, NetworkClass.OTHER, 9)


def _hosted_scanner(chance: random.Random) -> Iterator[Labelled]:
    yield from _burst(chance, AgentFamily.BROWSER, NetworkClass.DATACENTER, 0.7)


def _defender(chance: random.Random) -> Iterator[Labelled]:
    """One link, from a data centre, with a browser's header."""
    at = _burst_at(chance)
    yield _click(at, chance.randint(1, LINKS), AgentFamily.BROWSER, NetworkClass.MICROSOFT, by_person=False)


def _head_scanner(chance: random.Random) -> Iterator[Labelled]:
    at = _burst_at(chance)
    for link in chance.sample(range(1, LINKS + 1), 2):
        look = Fetch(FetchKind.LOOK, SENT_AT + int(at * SECOND), AgentFamily.BROWSER, NetworkClass.OTHER, link)
        yield Labelled(look, by_person=False)
        at += chance.uniform(0.1, 1)
        yield _click(at, link, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=False)
        at += chance.uniform(15, 40)


def _gateway(chance: random.Random) -> Iterator[Labelled]:
    """A company's gateway that looks at one link of each of its people's mails."""
    at = _burst_at(chance)
    opened = _open(at, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=False)
    clicked = _click(at + 1, 1, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=False)
    for one in (opened, clicked):
        yield replace(one, fetch=replace(one.fetch, recipients_near=chance.randint(5, 40)))


def _single_look(chance: random.Random) -> Iterator[Labelled]:
    """One link much later, with a browser's header: nothing tells it from a person."""
    yield _click(chance.uniform(200, 3_600), 1, AgentFamily.BROWSER, NetworkClass.OTHER, by_person=False)


HABITS: Final[Mapping[str, tuple[_Habit, int]]] = {
    "reader, own device": (_direct_reader, 18),
    "reader, no images": (_reader_without_images, 3),
    "reader, at once": (_quick_reader, 1),
    "reader, VPN": (_reader_in_a_vpn, 1),
    "reader, desktop program": (_desktop_reader, 5),
    "Apple Mail": (_apple_reader, 28),
    "Gmail": (_gmail_reader, 20),
    "Yahoo": (_yahoo_reader, 4),
    "Outlook on the web": (_outlook_reader, 4),
    "scanner, named": (_named_scanner, 2),
    "scanner, vendor's network": (_vendor_scanner, 3),
    "scanner, disguised": (_hidden_scanner, 3),
    "scanner, slow": (_slow_scanner, 1),
    "scanner, hosted": (_hosted_scanner, 3),
    "scanner, one link": (_defender, 1),
    "scanner, HEAD": (_head_scanner, 1),
    "scanner, gateway": (_gateway, 1),
    "scanner, late and single": (_single_look, 1),
}
"""Who reads, with how many in a hundred; assumptions, see above."""
_SCANNED: Final = 0.05
"""The share of readers' mails that a gateway in front of them looks through as well."""


def population(size: int, chance: random.Random) -> list[SimulatedDelivery]:
    """``size`` deliveries whose mail was fetched, drawn from the habits."""
    names, weights = list(HABITS), [weight for _, weight in HABITS.values()]
    found = []
    for name in chance.choices(names, weights, k=size):
        fetches = list(HABITS[name][0](chance))
        if not name.startswith("scanner") and chance.random() < _SCANNED:
            fetches += _hidden_scanner(chance)
        ordered = sorted(fetches, key=lambda one: one.fetch.at)
        found.append(SimulatedDelivery(name, SENT_AT, tuple(ordered)))
    return found


FOLLOWED: Final = 0.7
"""The share of gateways that follow the link that no reader sees; the others read the styles. An assumption."""
_SHUFFLED: Final = 0.4


def with_honeypots(deliveries: Sequence[SimulatedDelivery], chance: random.Random) -> list[SimulatedDelivery]:
    """The same deliveries, had their mail a link at its end that no reader sees.

    Machines that follow several links follow it, too (``FOLLOWED``): as the last one, or anywhere among the others.
    """
    found = []
    for delivery in deliveries:
        clicks = [one.fetch for one in delivery.fetches if not one.by_person and one.fetch.kind is FetchKind.CLICK]
        fetches = list(delivery.fetches)
        if len({click.link for click in clicks}) >= 2 and chance.random() < FOLLOWED:
            after = chance.expovariate(1 / 2)
            at = clicks[-1].at + int(after * SECOND)
            if chance.random() < _SHUFFLED:
                at = chance.randint(clicks[0].at, clicks[-1].at)
            caught = replace(clicks[-1], kind=FetchKind.HONEYPOT, at=at, link=HONEYPOT_LINK)
            fetches.append(Labelled(caught, by_person=False))
        ordered = sorted(fetches, key=lambda one: one.fetch.at)
        found.append(replace(delivery, fetches=tuple(ordered)))
    return found
