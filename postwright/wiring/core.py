"""What every service stands on, built when it is first asked for."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from dns_checks.cache import CachePolicy
from dns_checks.driver import Resolver, ResolverPolicy
from postwright.outbound_http import OutboundHttp
from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Accounts
from postwright.services.audit_log import AuditLog
from postwright.services.event_search import EventSearch
from postwright.services.log import Log
from postwright.services.overview import Overview
from postwright.wiring.foundation import Foundation

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class Core(Foundation):
    """What every service stands on: the foundation, accounts, log, and the ways to strangers."""

    @cached_property
    def fresh_resolver(self) -> Resolver:
        """The resolver for people who have just changed a record: it keeps no answers."""
        policy = ResolverPolicy(cache=_NO_CACHE, trust_authenticated_data=self.settings.dns.trusted)
        return self._resolver(policy)

    @cached_property
    def outbound_http(self) -> OutboundHttp:
        """The HTTPS client toward strangers."""
        return OutboundHttp(self.resolver)

    @cached_property
    def accounts(self) -> Accounts:
        """Users, sessions, API keys."""
        return Accounts(self.database, self.clock, self.settings.http.session_lifetime)

    @cached_property
    def account_changes(self) -> AccountChanges:
        """What admins do about people, and people about themselves."""
        return AccountChanges(self.database, self.clock, self.accounts)

    @cached_property
    def audit_log(self) -> AuditLog:
        """Who changed what."""
        return AuditLog(self.database, self.clock)

    @cached_property
    def overview(self) -> Overview:
        """The front page's numbers."""
        return Overview(self.database, self.clock)

    @cached_property
    def event_search(self) -> EventSearch:
        """Events read backwards, and messages by what somebody has of them."""
        return EventSearch(self.database, self.feedback_keys.values())

    @cached_property
    def log(self) -> Log:
        """Events and deliveries."""
        return Log(self.database)
