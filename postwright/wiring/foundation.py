"""What a process that delivers stands on, and every other: built from the settings when it is first asked for."""

from dataclasses import dataclass
from functools import cached_property

from dns_checks.driver import Resolver, ResolverPolicy
from mailtypes.clock import Clock
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import ConfigurationError
from mta.feedback_token import FeedbackKey
from postwright.keyrings import KeyRing, read_key_ring
from postwright.services.signing_keys import StoredKeys
from postwright.settings import Settings
from postwright.store.database import WIDE_CACHE_KIB, Database
from tracking.tokens import TokenKeys

_CLOSED = ("domain_watch", "webhook_deliveries", "webhook_http", "outbound_http", "resolver", "fresh_resolver")
"""What holds something open, in the order of letting go."""


@dataclass(frozen=True)
class Foundation:
    """Settings, database, resolver and keys; little to import. ``close`` when done."""

    settings: Settings
    clock: Clock
    cache_kib: int = WIDE_CACHE_KIB

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
        return Database(self.settings.database.url, self.clock, lambda: self.erasure_keys, cache_kib=self.cache_kib)

    @cached_property
    def resolver(self) -> Resolver:
        """The resolver for sending."""
        return self._resolver(ResolverPolicy(trust_authenticated_data=self.settings.dns.trusted))

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
    def platform_name(self) -> str:
        """The domain that unverified ones may be sent under, in A-labels; empty where there is none."""
        try:
            return DomainName.parse(self.settings.platform.domain).ascii if self.settings.platform.domain else ""
        except DomainSyntaxError as error:
            raise ConfigurationError(f"platform.domain: {error.message}") from error

    @cached_property
    def stored_keys(self) -> StoredKeys:
        """The signing keys."""
        return StoredKeys(self.database, self.master_keys, self.clock, self.platform_name)


def _number(key_id: str) -> int:
    try:
        return int(key_id)
    except ValueError as error:
        raise ConfigurationError(f"the key id '{key_id}' is not a number from 0 to 255") from error
