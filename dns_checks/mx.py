"""Where mail for a domain goes (RFC 5321 section 5.1, RFC 7505), and the addresses of a host."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import groupby
from random import Random

from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import (
    Absence,
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Found,
    MxRecord,
    RecordType,
    Unanswered,
)
from mailtypes.saying import say

_MAX_HOSTS = 50  # no real domain comes near; a hostile one could name thousands


class RouteResult(StrEnum):
    """What is known about a domain's mail hosts."""

    HOSTS = "hosts"
    NULL_MX = "null_mx"  # RFC 7505: takes no mail, and says so; permanent
    NO_MAIL_HOST = "no_mail_host"  # exists, but nothing that could take mail; permanent
    NO_SUCH_DOMAIN = "no_such_domain"  # permanent
    UNKNOWN = "unknown"  # could not find out; try again later


@dataclass(frozen=True, slots=True)
class MailRoute:
    """The mail hosts of ``domain``, best group first; the hosts of one group are equal and their order is chance's.

    ``host_groups`` is empty unless ``result`` is ``hosts``. ``implicit`` tells that there is no MX record and the
    domain is its own mail host. ``cause`` says why there are no hosts. ``ttl`` (seconds) is how long this holds.
    """

    domain: DomainName
    result: RouteResult
    host_groups: tuple[tuple[str, ...], ...] = ()
    implicit: bool = False
    cause: str = ""
    ttl: int = 0

    def draw_order(self, random: Random) -> tuple[str, ...]:
        """The hosts in the order to try them in: equal ones at random, to spread the load (section 5.1)."""
        return tuple(host for group in self.host_groups for host in random.sample(group, len(group)))


class HostResult(StrEnum):
    """What is known about a host's addresses."""

    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """The addresses of ``host``, IPv6 and IPv4 as they come; ``cause`` tells what is absent or could not be found out.

    With ``found`` there is at least one address; where one of the families could not be found out, ``cause`` says so.
    """

    host: str
    result: HostResult
    ip6: tuple[IPv6Address, ...] = ()
    ip4: tuple[IPv4Address, ...] = ()
    cause: str = ""
    ttl: int = 0

    @property
    def addresses(self) -> tuple[IPv6Address | IPv4Address, ...]:
        """All addresses, IPv6 first."""
        return (*self.ip6, *self.ip4)


def find_mail_hosts(domain: DomainName) -> DnsEvaluation[MailRoute]:
    """Find where mail for ``domain`` goes; asks for MX, and for addresses only where there is no MX.

    Names in MX records that cannot be host names (addresses, for instance) are left out. Where none is left, that
    is ``no_mail_host``: section 5.1 forbids to fall back to the domain's own address then.
    """
    answer = yield DnsQuestion(domain.ascii, RecordType.MX)
    match answer:
        case Unanswered(cause):
            return MailRoute(
                domain, RouteResult.UNKNOWN, cause=say("%(domain)s MX: %(cause)s", domain=domain, cause=cause)
            )
        case Absent(Absence.NO_SUCH_NAME, ttl):
            return MailRoute(
                domain, RouteResult.NO_SUCH_DOMAIN, cause=say("%(domain)s does not exist", domain=domain), ttl=ttl
            )
        case Absent(_, ttl):
            return (yield from _implicit_route(domain, ttl))
        case Found():
            return _route_of(domain, answer)


def _route_of(domain: DomainName, found: Found) -> MailRoute:
    records = [record for record in found.records if isinstance(record, MxRecord)]
    if records and all(not record.exchange for record in records):
        return MailRoute(
            domain, RouteResult.NULL_MX, cause=say("%(domain)s takes no mail (null MX)", domain=domain), ttl=found.ttl
        )
    preferences: dict[str, int] = {}
    for record in sorted(records, key=lambda one: one.preference):
        host = _as_host_name(record.exchange)
        if host is not None:
            preferences.setdefault(host, record.preference)
    if not preferences:
        return MailRoute(
            domain,
            RouteResult.NO_MAIL_HOST,
            cause=say("no MX record of %(domain)s names a host", domain=domain),
            ttl=found.ttl,
        )
    best = list(preferences.items())[:_MAX_HOSTS]
    groups = tuple(tuple(host for host, _ in group) for _, group in groupby(best, key=lambda pair: pair[1]))
    return MailRoute(domain, RouteResult.HOSTS, groups, ttl=found.ttl)


def _implicit_route(domain: DomainName, mx_ttl: int) -> DnsEvaluation[MailRoute]:
    """Section 5.1: without an MX record, the domain is its own mail host, if it has an address."""
    host = yield from resolve_host(domain.ascii)
    ttl = min(mx_ttl, host.ttl)
    match host.result:
        case HostResult.FOUND:
            return MailRoute(domain, RouteResult.HOSTS, ((domain.ascii,),), implicit=True, ttl=ttl)
        case HostResult.ABSENT:
            return MailRoute(
                domain,
                RouteResult.NO_MAIL_HOST,
                cause=say("%(domain)s has neither MX nor address records", domain=domain),
                ttl=ttl,
            )
        case HostResult.UNKNOWN:
            return MailRoute(domain, RouteResult.UNKNOWN, cause=host.cause)


def _as_host_name(exchange: str) -> str | None:
    """``exchange`` in lower case, or ``None`` where it can be no host name, or is an IPv4 address."""
    try:
        name = DomainName.parse(exchange).ascii
    except DomainSyntaxError:
        return None
    # What people may type (blanks around a name, U-labels) is no host name where it stands in the DNS.
    return None if name != exchange.lower() or name.rpartition(".")[2].isdigit() else name


def resolve_host(host: str) -> DnsEvaluation[HostAddresses]:
    """Find the addresses of ``host``, of both families."""
    answer6 = yield DnsQuestion(host, RecordType.AAAA)
    answer4 = yield DnsQuestion(host, RecordType.A)
    ip6 = tuple(address for address in _addresses(answer6) if isinstance(address, IPv6Address))
    ip4 = tuple(address for address in _addresses(answer4) if isinstance(address, IPv4Address))
    answers = {RecordType.AAAA: answer6, RecordType.A: answer4}
    failures = "; ".join(
        say("%(host)s %(record_type)s: %(cause)s", host=host, record_type=record_type, cause=answer.cause)
        for record_type, answer in answers.items()
        if isinstance(answer, Unanswered)
    )
    ttl = min(0 if isinstance(answer, Unanswered) else answer.ttl for answer in answers.values())
    if ip6 or ip4:
        return HostAddresses(host, HostResult.FOUND, ip6, ip4, failures, ttl)
    if failures:
        return HostAddresses(host, HostResult.UNKNOWN, cause=failures)
    return HostAddresses(host, HostResult.ABSENT, cause=say("%(host)s has no address", host=host), ttl=ttl)


def _addresses(answer: DnsAnswer) -> tuple[IPv4Address | IPv6Address, ...]:
    records = answer.records if isinstance(answer, Found) else ()
    return tuple(record.address for record in records if isinstance(record, AddressRecord))
