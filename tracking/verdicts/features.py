"""What is known of an open or a click, without the address and the User-Agent header that it was derived from.

Features are kept for good: rules that come later can be run over them again (``Features.as_dict``, ``from_dict``).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from mailtypes.clock import SECOND
from tracking.verdicts.agents import AgentFamily
from tracking.verdicts.networks import NetworkClass

NEAR: Final = 10 * SECOND
"""Requests at most this far apart are near each other."""
CHAIN: Final = 60 * SECOND
"""How far back a HEAD of the same link is looked for, and how long a walk through the links may take."""
IMAGE_GRACE: Final = 5 * SECOND
"""A mail program may load the images a moment after the click that opened the mail."""
HONEYPOT_LINK: Final = 65_535
"""The number of the link that no reader can see; it is in mail where an admin has turned that on."""
_MOST_LOOKED_AT: Final = 256


class FetchKind(StrEnum):
    """What was fetched: the pixel, a link, a link by HEAD (a look), or the link that no reader sees (the honeypot).

    Only machines fetch the last two. Neither is an event nor counts as anything; they tell of what came beside them.
    """

    OPEN = "open"
    CLICK = "click"
    LOOK = "look"
    HONEYPOT = "honeypot"


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request of one delivery's pixel or link. ``at`` in microseconds; ``link`` in document order, 0 for the pixel.

    ``recipients_near`` counts the recipients, this one among them, whose mail was fetched from the same network at
    nearly the same time; whoever sees more than one delivery counts them.
    """

    kind: FetchKind
    at: int
    agent: AgentFamily
    network: NetworkClass
    link: int = 0
    recipients_near: int = 1


@dataclass(frozen=True, slots=True)
class Features:
    """What the rules see of an open or a click.

    ``since_sent`` seconds since the receiving server took the mail, ``None`` where unknown; ``requests_near`` and
    ``links_near`` requests and distinct links of this delivery within ten seconds, this one among them; ``in_order``:
    at least three links were fetched within a minute, each once and in document order; ``head_before``: the same link
    was looked at by HEAD; ``image_before``: the pixel was fetched before; ``honeypot``: this is the link that no reader
    sees; ``among_machines``: something of the same family and network clicked within a minute and was a machine;
    ``clicked_by_human``: a person clicked in this mail.
    """

    kind: FetchKind
    agent: AgentFamily
    network: NetworkClass
    since_sent: float | None = None
    requests_near: int = 1
    links_near: int = 0
    in_order: bool = False
    head_before: bool = False
    image_before: bool = False
    recipients_near: int = 1
    honeypot: bool = False
    among_machines: bool = False
    clicked_by_human: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Features":
        """The features that ``as_dict`` wrote; what a later release has added keeps its default."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        values["kind"] = FetchKind(values["kind"])
        values["agent"] = AgentFamily(values["agent"])
        values["network"] = NetworkClass(values["network"])
        return cls(**values)


def derive(fetches: Sequence[Fetch], sent_at: int | None) -> list[Features | None]:
    """The features of each fetch of one delivery, ``None`` for looks.

    ``fetches`` are all that is known of the delivery in the order of time. Linear but for requests that lie near each
    other, of which at most 256 are looked at.
    """
    times = [fetch.at for fetch in fetches]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise ValueError("the fetches are not in the order of time")
    first_image = next((fetch.at for fetch in fetches if fetch.kind is FetchKind.OPEN), None)
    return [
        None if fetch.kind is FetchKind.LOOK else _derive_one(fetches, times, place, (sent_at, first_image))
        for place, fetch in enumerate(fetches)
    ]


def _derive_one(
    fetches: Sequence[Fetch], times: Sequence[int], place: int, moments: tuple[int | None, int | None]
) -> Features:
    fetch, (sent_at, first_image) = fetches[place], moments
    near = _within(fetches, times, place, NEAR, NEAR)
    before = _within(fetches, times, place, CHAIN, 0)
    is_click = fetch.kind is FetchKind.CLICK
    return Features(
        kind=fetch.kind,
        agent=fetch.agent,
        network=fetch.network,
        since_sent=None if sent_at is None else round((fetch.at - sent_at) / SECOND, 3),
        requests_near=len(near),
        links_near=len({one.link for one in near if one.kind is not FetchKind.OPEN}),
        in_order=is_click and _is_in_order(_within(fetches, times, place, CHAIN, CHAIN)),
        head_before=is_click and any(one.kind is FetchKind.LOOK and one.link == fetch.link for one in before),
        image_before=first_image is not None and first_image <= fetch.at + (IMAGE_GRACE if is_click else -1),
        recipients_near=fetch.recipients_near,
        honeypot=fetch.kind is FetchKind.HONEYPOT,
    )


def _within(fetches: Sequence[Fetch], times: Sequence[int], place: int, before: int, after: int) -> Sequence[Fetch]:
    """The fetches around one, at most 256: who sends more in seconds has told enough."""
    half = _MOST_LOOKED_AT // 2
    first = max(bisect_left(times, times[place] - before), place - half)
    last = min(bisect_right(times, times[place] + after), place + half)
    return fetches[first:last]


def _is_in_order(around: Sequence[Fetch]) -> bool:
    links = [one.link for one in around if one.kind is FetchKind.CLICK]
    return len(links) >= 3 and all(later > earlier for earlier, later in pairwise(links))
