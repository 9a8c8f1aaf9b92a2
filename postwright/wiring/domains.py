"""The services of sender domains."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509

from dns_checks.cache import CachePolicy
from dns_checks.dnsbl_lists import DEFAULT_LISTS
from dns_checks.driver import Resolver, ResolverPolicy
from mailtypes.domain import DomainName
from mailtypes.errors import ConfigurationError
from postwright.services.domain_checks import DomainChecks
from postwright.services.domain_watch import DomainWatch
from postwright.services.name_servers import EachNameServer, OneNameServer
from postwright.services.reports import Reports
from postwright.services.sender_domains import AuditMeans, PublicHosts, SenderDomains
from postwright.services.signing_keys import KeyRotation
from postwright.starttls_probe import StartTlsProbe
from postwright.wiring.core import Core
from postwright.wiring.probing import probe_policy

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class DomainServices(Core):
    """Sender domains: what is checked, published, watched and reported."""

    @cached_property
    def sender_domains(self) -> SenderDomains:
        """Sender domains and their keys."""
        hosts = PublicHosts(
            DomainName.parse(self.settings.smtp.hostname),
            DomainName.parse(self.settings.track.hostname),
            self.settings.smtp.report_localpart,
        )
        means = self.audit_means
        return SenderDomains(self.database, self.fresh_resolver, self.clock, self.master_keys, hosts, means)

    @cached_property
    def audit_means(self) -> AuditMeans:
        """What audits have at hand; in the sandbox neither the web nor block lists, which are not of its world."""
        audit, is_real = self.settings.audit, not self.is_sandbox
        return AuditMeans(
            http=self.outbound_http if audit.web and is_real else None,
            mark_roots=_certificates(audit.mark_roots_file) if audit.mark_roots_file is not None else (),
            trusts_resolver=self.settings.dns.trusted,
            block_lists=DEFAULT_LISTS if audit.block_lists and is_real else (),
        )

    @cached_property
    def domain_checks(self) -> DomainChecks:
        """Checks of any domain."""
        policy = probe_policy(self.settings)
        return DomainChecks(
            self.fresh_resolver, self.clock, self.audit_means, lambda asker: StartTlsProbe(asker, policy, self.clock)
        )

    @cached_property
    def reports(self) -> Reports:
        """Reports that others send about our mail."""
        return Reports(self.database, self.clock)

    @cached_property
    def key_rotation(self) -> KeyRotation:
        """Makes the DKIM keys that replace others."""
        return KeyRotation(self.database, self.clock, self.master_keys)

    @cached_property
    def domain_watch(self) -> DomainWatch:
        """Looks at sender domains again and again; in the sandbox there is one name server for everything."""
        fresh = self.fresh_resolver
        name_servers = OneNameServer(fresh) if self.is_sandbox else EachNameServer(fresh, self._at_name_server)
        return DomainWatch(self.database, self.clock, self.sender_domains, name_servers)

    def _at_name_server(self, address: str) -> Resolver:
        timeout = self.settings.dns.timeout.total_seconds()
        return Resolver([address], timeout=timeout, clock=self.clock, policy=ResolverPolicy(cache=_NO_CACHE))


def _certificates(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"audit.mark_roots_file cannot be read: {error}") from error
