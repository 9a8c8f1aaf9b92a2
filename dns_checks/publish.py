"""What to put into the DNS for a sender domain: the exact records, as a list and as zone text (RFC 1035)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from dns_checks.audit.report import ExpectedKey
from dns_checks.dkim.keys import key_record_text
from dns_checks.spf import parse_record
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.questions import RecordType

_STRING_OCTETS = 255  # RFC 1035 section 3.3: one character-string
_MX_PREFERENCE = 10
_TTL = 3600


class PublishError(InputSyntaxError):
    """An existing record that cannot be built upon; it has to be mended first."""


@dataclass(frozen=True, slots=True)
class RecordToPublish:
    """One record. ``value`` is what a DNS provider's form wants: names without the final dot, TXT unquoted, whole.

    ``topic`` is the first part of the codes of the audit's findings about it.
    """

    name: DomainName
    record_type: RecordType
    value: str
    purpose: str
    topic: str


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A sender domain, what we send with, and what is published already.

    ``existing_spf`` is the SPF record of ``return_path_host`` as published: our terms are merged into it. With
    ``has_dmarc`` (a policy applies to the domain already) no DMARC record is proposed, since two would count as none.
    ``report_address`` gets aggregate reports (a ``mailto:`` URI is made of it).
    """

    domain: DomainName
    return_path_host: DomainName
    egress_addresses: tuple[IPv4Address | IPv6Address, ...]
    keys: tuple[ExpectedKey, ...]
    mail_hosts: tuple[DomainName, ...]
    tracking_host: DomainName | None = None
    tracking_target: DomainName | None = None
    existing_spf: str | None = None
    has_dmarc: bool = False
    report_address: str | None = None


def records_to_publish(request: PublishRequest) -> tuple[RecordToPublish, ...]:
    """All records for ``request``, in the order in which they matter. Raises ``PublishError`` (existing SPF)."""
    host = request.return_path_host
    spf = merged_spf(request.existing_spf, request.egress_addresses)
    records = [RecordToPublish(host, RecordType.TXT, spf, "SPF: lets our addresses send", "spf")]
    for key in request.keys:
        name = DomainName.parse(f"{key.selector}._domainkey.{request.domain.ascii}")
        records.append(
            RecordToPublish(name, RecordType.TXT, key_record_text(key.public_key), "DKIM: our public key", "dkim")
        )
    if not request.has_dmarc:
        name = DomainName.parse(f"_dmarc.{request.domain.ascii}")
        policy = dmarc_start_record(request.report_address)
        records.append(RecordToPublish(name, RecordType.TXT, policy, "DMARC: first only watch (p=none)", "dmarc"))
    for mail_host in request.mail_hosts:
        value = f"{_MX_PREFERENCE} {mail_host.ascii}"
        records.append(RecordToPublish(host, RecordType.MX, value, "Return path: bounces come to us", "return_path"))
    if request.tracking_host is not None and request.tracking_target is not None:
        target = request.tracking_target.ascii
        records.append(
            RecordToPublish(request.tracking_host, RecordType.CNAME, target, "Links, pixel, unsubscribe", "tracking")
        )
    return tuple(records)


def merged_spf(existing: str | None, addresses: tuple[IPv4Address | IPv6Address, ...]) -> str:
    """The SPF record that lets ``addresses`` send: ``existing`` with what it lacks, or a new one.

    New terms go to the front: nothing earlier can match first, and they cost no DNS lookup (RFC 7208 section 4.6.4).
    Raises ``PublishError`` where ``existing`` is not a valid SPF record.
    """
    if existing is None:
        return " ".join(["v=spf1", *_terms(addresses), "-all"])
    try:
        parse_record(existing)
    except InputSyntaxError as error:
        raise PublishError(
            f"the existing SPF record is not valid: {error.message}",
            source=error.source or existing,
            span=error.span or Span(0, len(existing)),
            next_step=error.next_step or "Mend it first; receivers treat it as an error.",
        ) from error
    version, *terms = existing.split()
    missing = [address for address in addresses if not _is_covered(address, terms)]
    return " ".join([version, *_terms(tuple(missing)), *terms])


def _terms(addresses: tuple[IPv4Address | IPv6Address, ...]) -> list[str]:
    return list(dict.fromkeys(f"ip{address.version}:{address}" for address in addresses))


def _is_covered(address: IPv4Address | IPv6Address, terms: list[str]) -> bool:
    """Whether the first terms that name addresses let ``address`` pass; any other term may decide earlier."""
    for term in terms:
        mechanism, colon, network = term.lower().removeprefix("+").partition(":")
        if mechanism not in ("ip4", "ip6") or not colon:
            return False
        if address in ip_network(network, strict=False):
            return True
    return False


def dmarc_start_record(report_address: str | None = None) -> str:
    """The policy to begin with: nothing is asked of receivers but reports (RFC 9989 section 5.1.4)."""
    if report_address is None:
        return "v=DMARC1; p=none"
    # RFC 9989 section 4.8: commas, exclamation points and semicolons would end the URI.
    uri = report_address
    for octet in "%,!;?# ":
        uri = uri.replace(octet, f"%{ord(octet):02X}")
    return f"v=DMARC1; p=none; rua=mailto:{uri}"


def as_zone_text(records: tuple[RecordToPublish, ...], ttl: int = _TTL) -> str:
    """The records as lines of an RFC 1035 master file: absolute names, TXT in strings of at most 255 octets."""
    return "".join(f"{r.name.ascii}. {ttl} IN {r.record_type} {_rdata(r)}\n" for r in records)


def _rdata(record: RecordToPublish) -> str:
    if record.record_type is not RecordType.TXT:
        return f"{record.value}."
    octets = record.value.encode()
    strings = [octets[at : at + _STRING_OCTETS] for at in range(0, len(octets), _STRING_OCTETS)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, string))}"' for string in strings)


def _escaped(octet: int) -> str:
    # RFC 1035 section 5.1: a quote and a backslash are escaped, what cannot be printed is \DDD.
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
