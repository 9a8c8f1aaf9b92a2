"""What every process stands on, built from the settings when it is first asked for."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from dns_checks.cache import CachePolicy
from dns_checks.driver import Resolver, ResolverPolicy
from mailtypes.clock import Clock
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import ConfigurationError
from mta.feedback_token import FeedbackKey
from postwright.keyrings import KeyRing, read_key_ring
from postwright.outbound_http import OutboundHttp
from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Accounts
from postwright.services.audit_log import AuditLog
from postwright.services.event_search import EventSearch
from postwright.services.log import Log
from postwright.services.overview import Overview
from postwright.settings import Settings
from postwright.store.database import Database
from tracking.tokens import TokenKeys

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))

_CLOSED = ("domain_watch", "webhook_deliveries", "webhook_http", "outbound_http", "resolver", "fresh_resolver")
"""What holds something open, in the order of letting go."""


@dataclass(frozen=True)
class Core:
    """What everything stands on: settings, database, resolvers, keys, accounts, log. ``close`` when done."""

    settings: Settings
    clock: Clock

    async def close(self) -> None:
        """Let go of what was opened."""
        for name in _CLOSED:
            if name in self.__dict__:
                await self.__dict__[name].aclose()
        if "database" in self.__dict__:
            await self.database.close()

    @property
    def is_sandbox(self) -> bool:
        """Whether mail goes to the sandbox, where ``.test`` domains and loopback addresses are right."""
        return self.settings.sandbox.dir is not None

    @cached_property
    def database(self) -> Database:
        """The database."""
        return Database(self.settings.database.url, self.clock, lambda: self.erasure_keys)

    @cached_property
    def resolver(self) -> Resolver:
        """The resolver for sending."""
        return self._resolver(ResolverPolicy(trust_authenticated_data=self.settings.dns.trusted))

    @cached_property
    def fresh_resolver(self) -> Resolver:
        """The resolver for people who have just changed a record: it keeps no answers."""
        policy = ResolverPolicy(cache=_NO_CACHE, trust_authenticated_data=self.settings.dns.trusted)
        return self._resolver(policy)

    @cached_property
    def outbound_http(self) -> OutboundHttp:
        """The HTTPS client toward strangers."""
        return OutboundHttp(self.resolver)

    def _resolver(self, policy: ResolverPolicy) -> Resolver:
        dns = self.settings.dns
        servers = [str(address) for address in dns.nameservers] or None
        return Resolver(servers, dns.port, dns.timeout.total_seconds(), clock=self.clock, policy=policy)

    @cached_property
    def master_keys(self) -> KeyRing:
        """What private keys are sealed with."""
        return read_key_ring(self.settings.keys.master_file)

    @cached_property
    def erasure_keys(self) -> KeyRing:
        """What the addresses of erased people are hashed with."""
        return read_key_ring(self.settings.keys.erasure_file)

    @cached_property
    def token_keys(self) -> TokenKeys:
        """What tracking tokens are signed with."""
        ring = read_key_ring(self.settings.keys.token_file)
        return TokenKeys(_number(ring.active), {_number(name): key for name, key in ring.keys.items()})

    @cached_property
    def feedback_keys(self) -> dict[int, FeedbackKey]:
        """What return paths and Message-IDs are signed with; the first is in use."""
        ring = read_key_ring(self.settings.keys.return_path_file)
        return {_number(name): FeedbackKey(_number(name), key) for name, key in ring.keys.items()}

    @cached_property
    def accounts(self) -> Accounts:
        """Users, sessions, API keys."""
        return Accounts(self.database, self.clock, self.settings.http.session_lifetime)

    @cached_property
    def account_changes(self) -> AccountChanges:
        """What admins do about people, and people about themselves."""
        return AccountChanges(self.database, self.clock, self.accounts)

    @cached_property
    def platform_name(self) -> str:
        """The domain that unverified ones may be sent under, in A-labels; empty where there is none."""
        try:
            return DomainName.parse(self.settings.platform.domain).ascii if self.settings.platform.domain else ""
        except DomainSyntaxError as error:
            raise ConfigurationError(f"platform.domain: {error.message}") from error

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


def _number(key_id: str) -> int:
    try:
        return int(key_id)
    except ValueError as error:
        raise ConfigurationError(f"the key id '{key_id}' is not a number from 0 to 255") from error
