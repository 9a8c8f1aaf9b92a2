"""What to put into the DNS for a sender domain: the exact records, and the policy file of MTA-STS."""

from collections.abc import Iterator
from dataclasses import dataclass

from dns_checks.audit.report import Address, ExpectedKey
from dns_checks.dkim.keys import key_record_text
from dns_checks.publish.dmarc_plan import dmarc_start_record, kept_record, uri_address
from dns_checks.publish.logo import LogoPublication
from dns_checks.publish.mta_sts import TlsPolicyPublication
from dns_checks.publish.spf import merged_spf
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType
from mailtypes.saying import say

_MX_PREFERENCE = 10


@dataclass(frozen=True, slots=True)
class RecordToPublish:
    """One record. ``value`` is what a DNS provider's form wants: names without the final dot, TXT unquoted, whole.

    ``topic`` is the first part of the codes of the audit's findings about it. ``is_required`` tells whether a domain is
    verified only with it.
    """

    name: DomainName
    record_type: RecordType
    value: str
    purpose: str
    topic: str
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A sender domain, what we send with, and what is published already.

    ``existing_spf`` is the SPF record of ``return_path_host`` as published: our terms are merged into it. A valid
    ``existing_dmarc``, the record of the domain itself, is proposed as it stands. With ``has_dmarc`` (a policy of the
    organization applies to the domain already) no DMARC record is proposed. ``report_address`` gets aggregate and TLS
    reports (a ``mailto:`` URI is made of it). ``logo`` and ``tls_policy`` are proposed where they are given.
    """

    domain: DomainName
    return_path_host: DomainName
    egress_addresses: tuple[Address, ...]
    keys: tuple[ExpectedKey, ...]
    mail_hosts: tuple[DomainName, ...]
    tracking_host: DomainName | None = None
    tracking_target: DomainName | None = None
    existing_spf: str | None = None
    has_dmarc: bool = False
    report_address: str | None = None
    existing_dmarc: str | None = None
    logo: LogoPublication | None = None
    tls_policy: TlsPolicyPublication | None = None


def records_to_publish(request: PublishRequest) -> tuple[RecordToPublish, ...]:
    """All records for ``request``, in the order in which they matter. Raises ``PublishError`` (existing SPF)."""
    return (*_authentication(request), *_hosts(request), *_beyond(request))


def _authentication(request: PublishRequest) -> Iterator[RecordToPublish]:
    """SPF, DKIM, DMARC."""
    host = request.return_path_host
    spf = merged_spf(request.existing_spf, request.egress_addresses)
    yield RecordToPublish(host, RecordType.TXT, spf, say("SPF: lets our addresses send"), "spf")
    for key in request.keys:
        name = _below(f"{key.selector}._domainkey", request.domain)
        yield RecordToPublish(
            name, RecordType.TXT, key_record_text(key.public_key), say("DKIM: our public key"), "dkim"
        )
    if request.has_dmarc:
        return
    kept = kept_record(request.existing_dmarc)
    policy = kept or dmarc_start_record(request.report_address)
    purpose = say("DMARC: stays as it is") if kept else say("DMARC: first only watch (p=none)")
    yield RecordToPublish(_below("_dmarc", request.domain), RecordType.TXT, policy, purpose, "dmarc")


def _hosts(request: PublishRequest) -> Iterator[RecordToPublish]:
    """The return path and the tracking host."""
    for mail_host in request.mail_hosts:
        value = f"{_MX_PREFERENCE} {mail_host.ascii}"
        yield RecordToPublish(
            request.return_path_host, RecordType.MX, value, say("Return path: bounces come to us"), "return_path"
        )
    if request.tracking_host is not None and request.tracking_target is not None:
        target = request.tracking_target.ascii
        yield RecordToPublish(
            request.tracking_host,
            RecordType.CNAME,
            target,
            say("Links, pixel, unsubscribe"),
            "tracking",
            is_required=False,
        )


def _beyond(request: PublishRequest) -> Iterator[RecordToPublish]:
    """What a domain is well advised to have: reports, TLS policy, logo."""
    address = request.report_address
    if address is not None:
        yield from _report_consent(request.domain, address)
        value = f"v=TLSRPTv1; rua=mailto:{uri_address(address)}"
        purpose = say("TLS reports: where senders tell of failures")
        yield _advised(_below("_smtp._tls", request.domain), RecordType.TXT, value, purpose, "tls_rpt")
    if request.tls_policy is not None:
        purpose = say("MTA-STS: announces the policy file; its id changes with the file")
        value = request.tls_policy.record
        yield _advised(_below("_mta-sts", request.domain), RecordType.TXT, value, purpose, "mta_sts")
        if request.tls_policy.web_host is not None:
            target, purpose = request.tls_policy.web_host.ascii, say("MTA-STS: the web host of the policy file")
            yield _advised(_below("mta-sts", request.domain), RecordType.CNAME, target, purpose, "mta_sts")
    if request.logo is not None:
        name = _below(f"{request.logo.selector}._bimi", request.domain)
        yield _advised(name, RecordType.TXT, request.logo.record, say("BIMI: the logo and its certificate"), "bimi")


def _report_consent(domain: DomainName, address: str) -> Iterator[RecordToPublish]:
    """RFC 9990 section 4: whoever gets reports on another organization's domain has to agree.

    By the tree walk of RFC 9989, a domain with a record of its own may well be an organization of its own: the domain
    above agrees as well, which does no harm where it need not.
    """
    receiver = DomainName.parse(address.rpartition("@")[2])
    if not receiver.is_within(domain):
        name = _below(f"{domain.ascii}._report._dmarc", receiver)
        purpose = say("DMARC: %(receiver)s agrees to get reports on %(domain)s", receiver=receiver, domain=domain)
        yield _advised(name, RecordType.TXT, "v=DMARC1;", purpose, "dmarc")


def _advised(name: DomainName, record_type: RecordType, value: str, purpose: str, topic: str) -> RecordToPublish:
    return RecordToPublish(name, record_type, value, purpose, topic, is_required=False)


def _below(labels: str, domain: DomainName) -> DomainName:
    return DomainName.parse(f"{labels}.{domain.ascii}")
