"""Several senders of one campaign: people at one sender domain, each for a share of the recipients.

Who gets it from whom is drawn by weighted rendezvous hashing (Thaler and Ravishankar, IEEE/ACM Transactions on
Networking 6, 1998; with weights: Schindelhauer and Schomaker, SPAA 2005): every sender draws a number for the
contact's address, and the highest wins. So somebody hears from the same person in every campaign that this person
sends, and a sender who comes or goes moves nobody between the others.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Final

from mailtypes.address import EmailAddress
from mailtypes.saying import say
from postwright.services.errors import Problem
from postwright.services.platform_sender import rewritten
from postwright.store.campaigns import Campaign, Run
from postwright.store.domains import SenderDomain

MOST_SENDERS: Final = 10
_LARGEST_SHARE: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class CampaignSender:
    """Somebody who sends a part of a campaign. ``share`` is relative to the campaign's own sender, who has 1.

    Without ``reply_to`` answers go where the campaign says, or to ``address``.
    """

    address: str
    name: str = ""
    reply_to: str | None = None
    share: float = 1.0


def as_json(senders: Sequence[CampaignSender]) -> str:
    """For the store."""
    return json.dumps([asdict(one) for one in senders], ensure_ascii=False)


def from_json(written: str) -> tuple[CampaignSender, ...]:
    """What ``as_json`` wrote."""
    return tuple(CampaignSender(**one) for one in json.loads(written))


def all_senders(campaign: Campaign) -> tuple[CampaignSender, ...]:
    """The campaign's own sender, number 0, and the others in their order."""
    own = CampaignSender(campaign.from_address, campaign.from_name, campaign.reply_to)
    return own, *from_json(campaign.other_senders)


def check_senders(own: EmailAddress | None, others: Sequence[CampaignSender]) -> list[Problem]:
    """What is wrong with the senders beside ``own``, whose addresses are known to be addresses."""
    found: list[Problem] = []
    if len(others) >= MOST_SENDERS:
        sentence = say("A campaign has at most %(count)s senders.", count=MOST_SENDERS)
        found.append(_problem(sentence, say("Leave some out.")))
    seen = set() if own is None else {own.key}
    for one in others:
        address = EmailAddress.parse(one.address)
        if address.key in seen:
            sentence = say("%(address)s is named twice.", address=address)
            found.append(_problem(sentence, say("Name each sender once, with a share.")))
        seen.add(address.key)
        if own is not None and address.domain != own.domain:
            sentence = say(
                "%(address)s is not at %(domain)s: all senders of a campaign are at one sender domain.",
                address=address,
                domain=own.domain,
            )
            # One mail spread over several domains is what filters know from spam (snowshoe).
            found.append(_problem(sentence, say("Send a campaign of its own from the other domain.")))
        if not 0 < one.share <= _LARGEST_SHARE:
            sentence = say("The share of %(address)s is no part.", address=address)
            found.append(_problem(sentence, say("A share is above 0 and at most 1,000.")))
    return found


def sent_in_the_name_of(campaign: Campaign, domain: SenderDomain, platform: str | None) -> str:
    """The other senders as they go out, for the run; ``platform`` is the domain that stands in for theirs, if any."""
    others = from_json(campaign.other_senders)
    if platform is not None:
        others = tuple(_under(campaign, one, domain, platform) for one in others)
    return as_json(others)


def _under(campaign: Campaign, one: CampaignSender, domain: SenderDomain, platform: str) -> CampaignSender:
    own = replace(campaign, from_address=one.address, from_name=one.name, reply_to=one.reply_to or campaign.reply_to)
    sent = rewritten(own, domain, platform)
    # Where all addresses of a domain become one, their names still tell them apart.
    return CampaignSender(sent.from_address, sent.from_name, sent.reply_to, one.share)


def shares_of(run: Run) -> list[tuple[str, float]]:
    """Address and share of each sender of a run, its own first."""
    return [(run.from_address, 1.0), *((one.address, one.share) for one in from_json(run.other_senders))]


def drawing(shares: Sequence[tuple[str, float]], seed: int) -> Callable[[str], int]:
    """The number of the sender for an address key; ``shares``: address and share of each, in their order."""
    if len(shares) == 1:
        return lambda _: 0
    written = [(f"{seed} {EmailAddress.parse(address).key} ".encode(), share) for address, share in shares]

    def draw(key: str) -> int:
        octets = key.encode()
        scores = [share / -math.log(_unit(name + octets)) for name, share in written]
        return scores.index(max(scores))

    return draw


def _unit(octets: bytes) -> float:
    """A number between 0 and 1, neither of them, from the octets alone."""
    number = int.from_bytes(blake2b(octets, digest_size=8).digest(), "big") >> 12
    return (number + 0.5) / (1 << 52)


def _problem(sentence: str, next_step: str) -> Problem:
    return Problem("senders", sentence, "other_senders", "", next_step)
