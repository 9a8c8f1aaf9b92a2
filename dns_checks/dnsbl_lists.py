"""The block lists that we ask, as data: what each lists, what its return codes mean, and where that is documented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from mailtypes.saying import say

LISTING_NETWORK = IPv4Network("127.0.0.0/8")  # RFC 5782 section 2.3: an answer outside of it is no listing
ERROR_NETWORK = IPv4Network("127.255.255.0/24")

ERROR_CODES: Mapping[IPv4Address, str] = {
    IPv4Address("127.255.255.252"): say("the name of the list is misspelt"),
    IPv4Address("127.255.255.254"): say(
        "the query came through a public or open resolver, which the list does not serve"
    ),
    IPv4Address("127.255.255.255"): say("too many queries came from this resolver"),
}
"""Spamhaus' error codes (https://www.spamhaus.org/faqs/dnsbl-usage/); others have taken up the same range."""


class Subject(StrEnum):
    """What a list lists."""

    ADDRESS = "address"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class BlockList:
    """One list.

    ``codes`` gives the meaning of whole answers, ``bits`` of single bits of the last octet (a list has one or the
    other). ``refusals`` are answers that are no listings, beside 127.255.255.0/24. ``listed_entry`` is the name, below
    the zone, of a test entry that is always listed, where the list documents one; ``unlisted_entry`` can never be
    (RFC 5782 section 5: 127.0.0.1, and INVALID for domains). ``weighs`` tells whether large receivers refuse mail
    because of it. ``source`` documents the codes.
    """

    name: str
    zone: str
    subject: Subject
    source: str
    codes: Mapping[IPv4Address, str] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    refusals: Mapping[IPv4Address, str] = field(default_factory=dict)
    listed_entry: str | None = "2.0.0.127"
    has_ip6: bool = False
    weighs: bool = False
    removal: str = ""

    @property
    def unlisted_entry(self) -> str:
        """The name below the zone that must not be listed."""
        return "1.0.0.127" if self.subject is Subject.ADDRESS else "invalid"


def _codes(meanings: Mapping[str, str]) -> dict[IPv4Address, str]:
    return {IPv4Address(code): meaning for code, meaning in meanings.items()}


SPAMHAUS_ZEN = BlockList(
    name="Spamhaus ZEN",
    zone="zen.spamhaus.org",
    subject=Subject.ADDRESS,
    source="https://docs.spamhaus.com/datasets/docs/source/10-data-type-documentation/datasets/040-zones.html",
    codes=_codes(
        {
            "127.0.0.2": say("SBL: a source of spam"),
            "127.0.0.3": say("CSS: a source of low-reputation mail, found automatically"),
            "127.0.0.4": say("XBL: a hijacked or infected machine"),
            "127.0.0.9": say("DROP: a hijacked network, or one run by criminals"),
            "127.0.0.10": say("PBL: the provider says that this address sends no mail by itself"),
            "127.0.0.11": say("PBL: Spamhaus says that this address sends no mail by itself"),
            "127.0.0.30": say("BCL: a botnet controller"),
        }
    ),
    has_ip6=True,
    weighs=True,
    removal="https://check.spamhaus.org/",
)

SPAMHAUS_DBL = BlockList(
    name="Spamhaus DBL",
    zone="dbl.spamhaus.org",
    subject=Subject.DOMAIN,
    source="https://docs.spamhaus.com/datasets/docs/source/10-data-type-documentation/datasets/040-zones.html",
    codes=_codes(
        {
            "127.0.1.2": say("a domain of low reputation"),
            "127.0.1.4": "phishing",
            "127.0.1.5": "malware",
            "127.0.1.6": say("a botnet controller"),
            "127.0.1.102": say("a legitimate domain that is abused for spam"),
            "127.0.1.103": say("a redirector that is abused for spam"),
            "127.0.1.104": say("a legitimate domain that is abused for phishing"),
            "127.0.1.105": say("a legitimate domain that is abused for malware"),
            "127.0.1.106": say("a legitimate domain that is abused by a botnet controller"),
        }
    ),
    refusals=_codes({"127.0.1.255": say("the list takes domains only, not addresses")}),
    listed_entry="dbltest.com",
    weighs=True,
    removal="https://check.spamhaus.org/",
)

SPAMCOP = BlockList(
    name="SpamCop",
    zone="bl.spamcop.net",
    subject=Subject.ADDRESS,
    source="https://www.spamcop.net/bl.shtml",
    codes=_codes({"127.0.0.2": say("a source of mail that people reported as spam")}),
    removal="https://www.spamcop.net/bl.shtml",
)

BARRACUDA = BlockList(
    name="Barracuda",
    zone="b.barracudacentral.org",
    subject=Subject.ADDRESS,
    source="https://www.barracudacentral.org/rbl/how-to-use",
    codes=_codes({"127.0.0.2": say("a source of spam")}),
    removal="https://www.barracudacentral.org/rbl/removal-request",
)

PSBL = BlockList(
    name="Passive Spam Block List",
    zone="psbl.surriel.com",
    subject=Subject.ADDRESS,
    source="https://psbl.org/",
    codes=_codes({"127.0.0.2": say("a source of mail to spam traps")}),
    removal="https://psbl.org/remove",
)

UCEPROTECT = BlockList(
    name="UCEPROTECT level 1",
    zone="dnsbl-1.uceprotect.net",
    subject=Subject.ADDRESS,
    source="https://www.uceprotect.net/en/index.php?m=3&s=3",
    codes=_codes({"127.0.0.2": say("a source of mail to spam traps in the last seven days")}),
    removal="https://www.uceprotect.net/en/rblcheck.php",
)

SURBL = BlockList(
    name="SURBL multi",
    zone="multi.surbl.org",
    subject=Subject.DOMAIN,
    source="https://www.surbl.org/lists",
    bits={8: "phishing", 16: "malware", 64: say("abuse (spam)"), 128: say("a cracked site")},
    refusals=_codes({"127.0.0.1": say("the list refuses queries of this resolver")}),
    listed_entry=None,
    removal="https://www.surbl.org/surbl-analysis",
)

URIBL = BlockList(
    name="URIBL multi",
    zone="multi.uribl.com",
    subject=Subject.DOMAIN,
    source="https://uribl.com/about.shtml#implementation",
    bits={
        2: say("black: spammers' own"),
        4: say("grey: bulk mail that people may not want"),
        8: say("red: very new or hidden"),
    },
    refusals=_codes({"127.0.0.1": say("the list refuses queries of this resolver (https://uribl.com/refused.shtml)")}),
    removal="https://admin.uribl.com/",
)

DEFAULT_LISTS: tuple[BlockList, ...] = (
    SPAMHAUS_ZEN,
    SPAMHAUS_DBL,
    SPAMCOP,
    BARRACUDA,
    PSBL,
    UCEPROTECT,
    SURBL,
    URIBL,
)
