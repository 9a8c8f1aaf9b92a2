"""Whether a domain takes mail at all, by its DNS alone; nobody's mail host is spoken to.

"Takes none" and "could not find out" are different values: only the first may keep an address from a list.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dns_checks.mx import RouteResult, find_mail_hosts
from mailtypes.clock import Clock, Microseconds, microseconds
from mailtypes.domain import DomainName
from mailtypes.questions import DnsEvaluation


class DomainMail(StrEnum):
    """What is known about a domain; ``null_mx``, ``no_mail_host`` and ``no_such_domain`` take no mail."""

    TAKES_MAIL = "takes_mail"
    NULL_MX = "null_mx"  # RFC 7505: it says so itself
    NO_MAIL_HOST = "no_mail_host"  # neither a usable MX record nor an address
    NO_SUCH_DOMAIN = "no_such_domain"
    UNKNOWN = "unknown"


_OF_ROUTE = {
    RouteResult.HOSTS: DomainMail.TAKES_MAIL,
    RouteResult.NULL_MX: DomainMail.NULL_MX,
    RouteResult.NO_MAIL_HOST: DomainMail.NO_MAIL_HOST,
    RouteResult.NO_SUCH_DOMAIN: DomainMail.NO_SUCH_DOMAIN,
    RouteResult.UNKNOWN: DomainMail.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class DomainMailVerdict:
    """``cause`` says why there is no mail, or why it could not be found out; ``ttl`` in seconds, how long it holds."""

    domain: DomainName
    mail: DomainMail
    cause: str = ""
    ttl: int = 0

    @property
    def takes_mail(self) -> bool | None:
        """``None`` where it could not be found out."""
        return None if self.mail is DomainMail.UNKNOWN else self.mail is DomainMail.TAKES_MAIL


@dataclass(frozen=True, slots=True)
class DomainMailPolicy:
    """How long answers are kept: their TTL within bounds, and failures briefly; and how many at most."""

    shortest: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(days=1)
    unknown: timedelta = timedelta(minutes=5)
    size: int = 100_000


class DomainMailCache:
    """Verdicts by domain; the one used longest ago goes first when it is full."""

    def __init__(self, clock: Clock, policy: DomainMailPolicy | None = None) -> None:
        self._clock = clock
        self._policy = policy or DomainMailPolicy()
        self._kept: OrderedDict[DomainName, tuple[Microseconds, DomainMailVerdict]] = OrderedDict()

    def get(self, domain: DomainName) -> DomainMailVerdict | None:
        """The verdict, while it holds."""
        found = self._kept.get(domain)
        if found is None:
            return None
        until, verdict = found
        if self._clock.now() >= until:
            del self._kept[domain]
            return None
        self._kept.move_to_end(domain)
        return verdict

    def put(self, verdict: DomainMailVerdict) -> None:
        """Keep ``verdict``."""
        policy = self._policy
        if verdict.mail is DomainMail.UNKNOWN:
            held = policy.unknown
        else:
            held = min(max(timedelta(seconds=verdict.ttl), policy.shortest), policy.longest)
        self._kept[verdict.domain] = (Microseconds(self._clock.now() + microseconds(held)), verdict)
        self._kept.move_to_end(verdict.domain)
        while len(self._kept) > policy.size:
            self._kept.popitem(last=False)


def find_domain_mail(domain: DomainName, cache: DomainMailCache | None = None) -> DnsEvaluation[DomainMailVerdict]:
    """Find out whether ``domain`` takes mail; asks nothing where ``cache`` knows."""
    known = None if cache is None else cache.get(domain)
    if known is not None:
        return known
    route = yield from find_mail_hosts(domain)
    verdict = DomainMailVerdict(domain, _OF_ROUTE[route.result], route.cause, route.ttl)
    if cache is not None:
        cache.put(verdict)
    return verdict
