"""The mailbox providers of the sandbox as pure models: who has a mailbox, what is refused and why.

Three invented houses, each with a temper of its own: ``mailhub`` is big and strict about authentication,
``postbox`` greylists, ``doar`` is Israeli and does what DMARC policies ask.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.clock import DAY, Microseconds, microseconds
from mailtypes.domain import DomainName
from mailtypes.smtp import SmtpReply
from postwright.sandbox.judgement import AuthResult, DmarcPolicy, Judgement

_ABSENT_PREFIXES = ("nobody", "gone")
_ABSENT_LOCAL_PARTS = frozenset({"unknown", "no-such-user", "left-the-company", "לא-קיים"})
_MAX_GREYLISTED = 200_000
_GREYLIST_LIFE = 36 * DAY


class RefusalKind(StrEnum):
    """Why a provider said no."""

    GREYLISTED = "greylisted"
    UNKNOWN_USER = "unknown_user"
    NOT_OUR_DOMAIN = "not_our_domain"
    BAD_ADDRESS = "bad_address"
    UNAUTHENTICATED = "unauthenticated"
    DMARC_POLICY = "dmarc_policy"
    MALFORMED = "malformed"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no: its kind for our own log, and the reply that the client is given."""

    kind: RefusalKind
    reply: SmtpReply


class Folder(StrEnum):
    """Where accepted mail lands."""

    INBOX = "inbox"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Approach:
    """One RCPT: who asks, for whom, on whose behalf. ``mail_from`` is empty for the null reverse path."""

    client_ip: str
    mail_from: str
    rcpt_to: str


class Greylist:
    """Remembers when each triplet (network of the client, domain of the sender, recipient) was first seen.

    RFC 6647 section 2.4; the domain stands for the sender, since VERP makes every mail_from another one. Bounded:
    the oldest triplet makes room for a new one.
    """

    def __init__(self, delay: timedelta, first_seen: Mapping[str, int] | None = None) -> None:
        self._delay = microseconds(delay)
        self._first_seen: OrderedDict[str, int] = OrderedDict(first_seen or {})

    @staticmethod
    def triplet(approach: Approach, rcpt_key: str) -> str:
        """The key under which ``approach`` is remembered."""
        prefix = 24 if ":" not in approach.client_ip else 64
        network = ip_network(f"{approach.client_ip}/{prefix}", strict=False)
        return f"{network} {approach.mail_from.rpartition('@')[2].lower()} {rcpt_key}"

    def wait(self, triplet: str, now: Microseconds) -> int:
        """Microseconds that are still to wait; 0 lets the mail in. An unknown triplet is remembered."""
        first = self._first_seen.get(triplet)
        if first is None or now - first > _GREYLIST_LIFE:
            self._first_seen[triplet] = first = now
            self._first_seen.move_to_end(triplet)
            if len(self._first_seen) > _MAX_GREYLISTED:
                self._first_seen.popitem(last=False)
        return max(0, first + self._delay - now)

    def first_seen(self, triplet: str) -> int | None:
        """When the triplet was first seen, for whoever keeps it across restarts."""
        return self._first_seen.get(triplet)


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: its hosts, the domains whose mail it takes, and its rules.

    ``greylist`` is the only part with a memory; whoever runs the model keeps it across restarts.
    """

    name: str
    address: str
    mx_hosts: tuple[str, ...]
    domains: tuple[DomainName, ...]
    requires_authentication: bool = False
    enforces_dmarc: bool = False
    greylist: Greylist | None = None

    def answer_rcpt(self, approach: Approach, now: Microseconds) -> Refusal | EmailAddress:
        """The recipient where it may have the mail, else the refusal."""
        try:
            rcpt_to = EmailAddress.parse(approach.rcpt_to)
        except AddressSyntaxError as error:
            return _refuse(RefusalKind.BAD_ADDRESS, 553, f"5.1.3 {error.message.splitlines()[0]}")
        if rcpt_to.domain not in self.domains:
            return _refuse(RefusalKind.NOT_OUR_DOMAIN, 550, f"5.7.1 {rcpt_to.domain} is not served here")
        if not has_mailbox(rcpt_to):
            return _refuse(RefusalKind.UNKNOWN_USER, 550, "5.1.1 No such user here")
        if self.greylist is not None:
            wait = self.greylist.wait(self.greylist.triplet(approach, rcpt_to.key), now)
            if wait:
                seconds = -(-wait // 1_000_000)
                return _refuse(RefusalKind.GREYLISTED, 451, f"4.7.1 Greylisted, come again in {seconds} s")
        return rcpt_to

    def answer_data(self, judgement: Judgement) -> Refusal | Folder:
        """The folder that the judged message goes to, or the refusal."""
        if self.requires_authentication and (refusal := _unauthenticated(judgement)):
            return refusal
        if self.enforces_dmarc and judgement.dmarc == AuthResult.FAIL:
            if judgement.policy == DmarcPolicy.REJECT:
                return _refuse(
                    RefusalKind.DMARC_POLICY,
                    550,
                    f"5.7.1 Rejected by the DMARC policy of {judgement.author_domain}",
                )
            if judgement.policy == DmarcPolicy.QUARANTINE:
                return Folder.SPAM
        if self.enforces_dmarc and judgement.dmarc == AuthResult.TEMPERROR:
            return _refuse(RefusalKind.TEMPORARY, 451, "4.7.0 Could not check the authentication, try later")
        return Folder.INBOX


def has_mailbox(address: EmailAddress) -> bool:
    """Whether somebody lives there: everybody but ``nobody...``, ``gone...`` and a few names."""
    local_part = address.key.rpartition("@")[0]
    return not local_part.startswith(_ABSENT_PREFIXES) and local_part not in _ABSENT_LOCAL_PARTS


def sandbox_providers(
    addresses: Mapping[str, str], greylist_delay: timedelta, first_seen: Mapping[str, int] | None = None
) -> tuple[Provider, ...]:
    """The three providers at their loopback ``addresses``; ``first_seen`` is what the greylist knew before."""
    return (
        Provider(
            "mailhub",
            addresses["mailhub"],
            ("mx1.mailhub.test", "mx2.mailhub.test"),
            _domains("mailhub.test", "bakery.test", "studio-levi.test", "gardenclub.test"),
            requires_authentication=True,
        ),
        Provider(
            "postbox",
            addresses["postbox"],
            ("mx1.postbox.test", "mx2.postbox.test"),
            _domains("postbox.test", "fernmail.test", "riverside-school.test", "harbour.test"),
            greylist=Greylist(greylist_delay, first_seen),
        ),
        Provider(
            "doar",
            addresses["doar"],
            ("mx1.doar.test", "mx2.doar.test"),
            _domains("doar.test", "דואר.test", "kibbutz.test", "kfar-saba.test", "sfarim.test"),
            enforces_dmarc=True,
        ),
    )


def built_in_zones(providers: tuple[Provider, ...], dns_address: str) -> dict[str, str]:
    """The zones that the providers and the sandbox itself publish, as master files by origin."""
    zones = {
        "sandbox.test": f"@ A {dns_address}\nns A {dns_address}\n",
        # RFC 7505: a domain that says it takes no mail.
        "nomail.test": '@ MX 0 .\n@ TXT "v=spf1 -all"\n',
    }
    for provider in providers:
        exchanges = "".join(f"@ MX {10 * (n + 1)} {host}.\n" for n, host in enumerate(provider.mx_hosts))
        for domain in provider.domains:
            zones[domain.ascii] = (
                exchanges + f'@ A {provider.address}\n@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'
            )
        home = provider.domains[0].ascii
        zones[home] += "".join(f"{host}. A {provider.address}\n" for host in provider.mx_hosts)
        reverse = ".".join(reversed(provider.address.split("."))) + ".in-addr.arpa"
        zones[reverse] = f"@ PTR {provider.mx_hosts[0]}.\n"
    return zones


def _unauthenticated(judgement: Judgement) -> Refusal | None:
    """Mail has to pass SPF or DKIM, and DMARC where the author domain enforces it."""
    results = (judgement.spf, judgement.dkim, judgement.dmarc)
    if AuthResult.UNJUDGED in results:
        return None
    enforced = judgement.policy in (DmarcPolicy.QUARANTINE, DmarcPolicy.REJECT)
    passes = AuthResult.PASS in (judgement.spf, judgement.dkim)
    if judgement.dmarc == AuthResult.PASS or (passes and not (enforced and judgement.dmarc == AuthResult.FAIL)):
        return None
    if AuthResult.TEMPERROR in results:
        return _refuse(RefusalKind.TEMPORARY, 451, "4.7.0 Could not check the authentication, try later")
    found = f"spf={judgement.spf} dkim={judgement.dkim} dmarc={judgement.dmarc}"
    return _refuse(RefusalKind.UNAUTHENTICATED, 550, f"5.7.26 The mail is not authenticated: {found}")


def _refuse(kind: RefusalKind, code: int, text: str) -> Refusal:
    # A reply is one line of US-ASCII (RFC 5321 section 4.2), whatever the client wrote that is told back.
    readable = "".join(letter if " " <= letter <= "~" else "?" for letter in text[:400])
    return Refusal(kind, SmtpReply.of(code, readable))


def _domains(*names: str) -> tuple[DomainName, ...]:
    return tuple(DomainName.parse(name) for name in names)
