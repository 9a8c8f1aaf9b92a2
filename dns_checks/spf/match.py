"""Whether a mechanism matches the client (RFC 7208 section 5), all but ``include``."""

from dataclasses import dataclass
from ipaddress import ip_network

from dns_checks.spf.macros import MacroString
from dns_checks.spf.session import Session, is_within
from dns_checks.spf.terms import A, All, DualPrefix, Exists, Ip4, Ip6, Mx, Ptr
from mailtypes.questions import AddressRecord, DnsEvaluation, DnsRecord, MxRecord, RecordType


@dataclass(frozen=True, slots=True)
class Match:
    """Whether it matches, the name it led to, and what matched or why nothing did."""

    matched: bool
    target: str = ""
    detail: str = ""


def match_mechanism(
    mechanism: All | A | Mx | Ptr | Ip4 | Ip6 | Exists, session: Session, domain: str
) -> DnsEvaluation[Match]:
    """Evaluate ``mechanism`` in the record of ``domain``."""
    match mechanism:
        case All():
            return Match(True, detail="all matches always")
        case Ip4(network) | Ip6(network):
            # An address of the other family is in no network of this one.
            return Match(session.client in network, str(network))
        case A(spec, prefix):
            return (yield from _match_a(session, spec, prefix, domain))
        case Mx(spec, prefix):
            return (yield from _match_mx(session, spec, prefix, domain))
        case Ptr(spec):
            return (yield from _match_ptr(session, spec, domain))
        case Exists(spec):
            return (yield from _match_exists(session, spec, domain))


def _target(session: Session, spec: MacroString | None, domain: str) -> DnsEvaluation[str]:
    if spec is None:
        return domain
    return (yield from session.expand_name(spec, domain))


def _match_a(session: Session, spec: MacroString | None, prefix: DualPrefix, domain: str) -> DnsEvaluation[Match]:
    session.budget.spend_term()
    target = yield from _target(session, spec, domain)
    records = yield from session.look_up(target, session.address_type)
    return _match_addresses(session, records, prefix, target, target)


def _match_mx(session: Session, spec: MacroString | None, prefix: DualPrefix, domain: str) -> DnsEvaluation[Match]:
    session.budget.spend_term()
    target = yield from _target(session, spec, domain)
    records = yield from session.look_up(target, RecordType.MX)
    exchanges = [record for record in records if isinstance(record, MxRecord)]
    session.budget.check_mx_names(len(exchanges))
    for record in sorted(exchanges, key=lambda exchange: exchange.preference):
        addresses = yield from session.look_up(record.exchange, session.address_type)
        match = _match_addresses(session, addresses, prefix, target, record.exchange)
        if match.matched:
            return match
    return Match(False, target, "no address of a mail host matches" if exchanges else "no MX record")


def _match_addresses(
    session: Session, records: tuple[DnsRecord, ...], prefix: DualPrefix, target: str, host: str
) -> Match:
    bits = prefix.ip4 if session.client.version == 4 else prefix.ip6
    for record in records:
        if isinstance(record, AddressRecord):
            network = ip_network((record.address, bits), strict=False)
            if session.client in network:
                return Match(True, target, f"{host} has {network}")
    return Match(False, target, f"no address of {host} matches" if records else f"{host} has no address")


def _match_ptr(session: Session, spec: MacroString | None, domain: str) -> DnsEvaluation[Match]:
    session.budget.spend_term()
    target = yield from _target(session, spec, domain)
    names = yield from session.validated_names()
    for name in names:
        if is_within(name, target):
            return Match(True, target, f"the client's name is {name}")
    return Match(False, target, f"the client has no validated name within {target}")


def _match_exists(session: Session, spec: MacroString, domain: str) -> DnsEvaluation[Match]:
    session.budget.spend_term()
    target = yield from session.expand_name(spec, domain)
    # Section 5.7: an A record, even where the client has an IPv6 address.
    records = yield from session.look_up(target, RecordType.A)
    return Match(bool(records), target, f"{target} has an A record" if records else f"{target} has no A record")
