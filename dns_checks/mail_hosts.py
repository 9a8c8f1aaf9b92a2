"""Lint of the MX records of a domain and of the hosts they name (RFC 5321 section 5.1, RFC 7505, RFC 2181)."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from dns_checks.findings import CheckFinding, Evidence, absent, info, present, printable, unknown, warning
from dns_checks.mx import HostAddresses, HostResult, resolve_host
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import (
    Absence,
    Absent,
    DnsEvaluation,
    DnsQuestion,
    Found,
    MxRecord,
    NameRecord,
    RecordType,
    Unanswered,
)
from mailtypes.saying import say

_DOCUMENTATION = tuple(
    map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"))
)  # RFC 5737, RFC 3849, RFC 9637: somebody copied an example, or it is one
_MAX_HOSTS = 20  # each costs three queries; no real domain has more


@dataclass(frozen=True, slots=True)
class MailHostsCheck:
    """What was found; ``hosts`` are those that have an address, best first."""

    domain: DomainName
    findings: tuple[CheckFinding, ...]
    hosts: tuple[HostAddresses, ...] = ()


@dataclass(frozen=True, slots=True)
class _Host:
    """One host: the name its CNAME points to (empty for none), its addresses, the queries as evidence."""

    name: str
    alias: str
    addresses: HostAddresses
    evidence: tuple[Evidence, ...]


def check_mail_hosts(domain: DomainName) -> DnsEvaluation[MailHostsCheck]:
    """Whether mail to ``domain`` finds a host: no null MX, real host names, no aliases, public addresses."""
    question = DnsQuestion(domain.ascii, RecordType.MX)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    match answer:
        case Unanswered():
            sentence = say("The mail hosts of %(domain)s could not be looked up.", domain=domain)
            return MailHostsCheck(domain, (unknown("mx.unknown", evidence, sentence),))
        case Absent(Absence.NO_SUCH_NAME):
            sentence = say("The domain %(domain)s does not exist.", domain=domain)
            step = say("Check the spelling; register the domain or publish its zone.")
            return MailHostsCheck(domain, (absent("mx.no_such_domain", evidence, sentence, step),))
        case Absent():
            return (yield from _check_implicit(domain, evidence))
        case Found(records):
            exchanges = [record for record in records if isinstance(record, MxRecord)]
            exchanges.sort(key=lambda record: record.preference)
            return (yield from _check_records(domain, exchanges, evidence))


def _check_implicit(domain: DomainName, evidence: tuple[Evidence, ...]) -> DnsEvaluation[MailHostsCheck]:
    """RFC 5321 section 5.1: without an MX record the domain is its own mail host, if it has an address."""
    addresses = yield from resolve_host(domain.ascii)
    evidence = (*evidence, _address_evidence(addresses))
    step = say("Publish an MX record that names the mail host, or a null MX ('0 .') if the domain takes no mail.")
    match addresses.result:
        case HostResult.UNKNOWN:
            sentence = say("%(domain)s has no MX record, and its addresses could not be looked up.", domain=domain)
            return MailHostsCheck(domain, (unknown("mx.unknown", evidence, sentence),))
        case HostResult.ABSENT:
            sentence = say(
                "%(domain)s has neither MX nor address records: replies and bounces to it are lost.", domain=domain
            )
            return MailHostsCheck(domain, (absent("mx.missing", evidence, sentence, step),))
        case HostResult.FOUND:
            sentence = say("%(domain)s has no MX record; senders fall back to its own address.", domain=domain)
            findings = (warning("mx.implicit", evidence, sentence, step), *_address_findings(addresses, evidence))
            return MailHostsCheck(domain, findings, (addresses,))


def _check_records(
    domain: DomainName, records: Sequence[MxRecord], evidence: tuple[Evidence, ...]
) -> DnsEvaluation[MailHostsCheck]:
    findings: list[CheckFinding] = []
    if any(not record.exchange for record in records):
        findings.append(_judge_null(domain, records, evidence))
    names = list(dict.fromkeys(record.exchange.lower() for record in records if record.exchange))
    if len(names) > _MAX_HOSTS:
        sentence = say(
            "%(domain)s names %(count)s mail hosts; only the first %(max_hosts)s were looked at.",
            domain=domain,
            count=len(names),
            max_hosts=_MAX_HOSTS,
        )
        findings.append(
            warning("mx.many", evidence, sentence, say("Name fewer hosts; senders try only a few of them."))
        )
    hosts: list[_Host] = []
    for name in names[:_MAX_HOSTS]:
        fault = _name_fault(domain, name, evidence)
        if fault is not None:
            findings.append(fault)
        else:
            hosts.append((yield from _look_at(name)))
    findings += [finding for host in hosts for finding in _host_findings(host)]
    usable = tuple(host.addresses for host in hosts if host.addresses.result is HostResult.FOUND)
    if names:
        findings.insert(0, _summary(domain, hosts, evidence))
    return MailHostsCheck(domain, tuple(findings), usable)


def _judge_null(domain: DomainName, records: Sequence[MxRecord], evidence: tuple[Evidence, ...]) -> CheckFinding:
    if len(records) > 1:
        # RFC 7505 section 3: a domain with a null MX must have no other MX record.
        sentence = say("%(domain)s has a null MX beside other MX records.", domain=domain)
        return absent("mx.null_beside_others", evidence, sentence, say("Remove the null MX ('0 .') or the others."))
    sentence = say(
        "%(domain)s takes no mail (null MX); receivers may refuse mail that comes from it (RFC 7505 section 4.2).",
        domain=domain,
    )
    return warning("mx.null", evidence, sentence, say("Publish an MX record if the domain sends mail or gets replies."))


def _name_fault(domain: DomainName, name: str, evidence: tuple[Evidence, ...]) -> CheckFinding | None:
    if _is_address(name):
        sentence = say(
            "An MX record of %(domain)s names the address %(name)s; only host names are allowed.",
            domain=domain,
            name=name,
        )
        return absent(
            "mx.address_literal", evidence, sentence, say("Give the address a name and put that into the MX.")
        )
    try:
        is_name = DomainName.parse(name).ascii == name
    except DomainSyntaxError:
        is_name = False
    if is_name:
        return None
    sentence = say(
        "An MX record of %(domain)s names something that is no host name: %(name)s.",
        domain=domain,
        name=printable(name),
    )
    return absent("mx.bad_name", evidence, sentence, say("Put the name of the mail host into the MX record."))


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]").removeprefix("ipv6:"))
    except ValueError:
        return False
    return True


def _look_at(name: str) -> DnsEvaluation[_Host]:
    question = DnsQuestion(name, RecordType.CNAME)
    answer = yield question
    records = answer.records if isinstance(answer, Found) else ()
    alias = next((record.target for record in records if isinstance(record, NameRecord)), "")
    addresses = yield from resolve_host(name)
    evidence = (_address_evidence(addresses),)
    return _Host(name, alias, addresses, (Evidence.of(question, answer), *evidence) if alias else evidence)


def _address_evidence(addresses: HostAddresses) -> Evidence:
    shown = ", ".join(map(str, addresses.addresses[:10])) or addresses.cause
    return Evidence(f"{addresses.host} AAAA, A", shown)


def _host_findings(host: _Host) -> list[CheckFinding]:
    findings = []
    if host.alias:
        # RFC 2181 section 10.3: the name in an MX record must not be an alias.
        sentence = say(
            "The mail host %(host)s is an alias (CNAME) of %(alias)s; some senders refuse that.",
            host=host.name,
            alias=printable(host.alias),
        )
        step = say("Name %(alias)s in the MX record itself.", alias=printable(host.alias))
        findings.append(warning("mx.alias", host.evidence, sentence, step))
    match host.addresses.result:
        case HostResult.ABSENT:
            sentence = say("The mail host %(host)s has no address.", host=host.name)
            step = say("Publish its A or AAAA record, or remove it from the MX records.")
            findings.append(warning("mx.host_without_address", host.evidence, sentence, step))
        case HostResult.UNKNOWN:
            sentence = say("The addresses of the mail host %(host)s could not be looked up.", host=host.name)
            findings.append(unknown("mx.host_unknown", host.evidence, sentence))
        case HostResult.FOUND:
            findings += _address_findings(host.addresses, host.evidence)
    return findings


def _address_findings(addresses: HostAddresses, evidence: tuple[Evidence, ...]) -> list[CheckFinding]:
    hidden = [address for address in addresses.addresses if not address.is_global or address.is_multicast]
    examples = [address for address in hidden if any(address in network for network in _DOCUMENTATION)]
    private = [str(address) for address in hidden if address not in examples]
    findings = []
    if private:
        sentence = say(
            "%(host)s has addresses that nobody outside can reach: %(private)s.",
            host=addresses.host,
            private=", ".join(private[:5]),
        )
        judged = absent if len(hidden) == len(addresses.addresses) else warning
        findings.append(
            judged("mx.private_address", evidence, sentence, say("Publish the public address of the mail host."))
        )
    if examples:
        shown = ", ".join(map(str, examples[:5]))
        sentence = say(
            "%(host)s has addresses that are reserved for documentation: %(shown)s.", host=addresses.host, shown=shown
        )
        step = say("If it is to be reached, publish its public address in their place.")
        findings.append(warning("mx.documentation_address", evidence, sentence, step))
    if not addresses.ip4 and not addresses.cause:
        sentence = say("%(host)s has no IPv4 address; senders without IPv6 cannot reach it.", host=addresses.host)
        findings.append(info("mx.no_ipv4", evidence, sentence, say("Give the mail host an A record too.")))
    return findings


def _summary(domain: DomainName, hosts: Sequence[_Host], evidence: tuple[Evidence, ...]) -> CheckFinding:
    results = {host.addresses.result for host in hosts}
    if HostResult.FOUND in results:
        return present("mx.hosts", evidence, say("%(domain)s names mail hosts that have addresses.", domain=domain))
    if HostResult.UNKNOWN in results:
        sentence = say("Whether a mail host of %(domain)s has an address could not be found out.", domain=domain)
        return unknown("mx.hosts_unknown", evidence, sentence)
    sentence = say("No mail host of %(domain)s can be reached: replies and bounces to it are lost.", domain=domain)
    return absent("mx.no_usable_host", evidence, sentence, say("Publish an MX record with a host that has an address."))
