"""The delivery workers of a process: one for each address that mail leaves from.

A worker has a queue, a pace and an engine of its own, so that what a provider holds against one address slows down
that address alone. All addresses of a pool take from the same mail.
"""

import os
import random
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

from mailtypes.errors import ConfigurationError
from mta.client import EgressSource, SessionTerms, opportunistic_context
from mta.connector import OrderedHostConnector
from mta.engine import DeliveryEngine, EnginePolicy, EnginePorts
from mta.ports import ConnectionPolicy, RetryPolicy
from mta.shaping.pace import Limits
from mta.shaping.rules import RuleBook, ShapingRulesError, built_in_rules, read_rules
from postwright.services.composition import StoredComposer
from postwright.services.delivery_queue import StoredQueue, WorkerIdentity
from postwright.services.frozen_runs import FrozenRuns
from postwright.services.host_addresses import HostAddressResolver
from postwright.services.shaping import ShapingIdentity, ShapingPolicy, StoredShaping
from postwright.services.test_mailbox import TestMailboxConnector
from postwright.services.whole_messages import StoredMessages
from postwright.settings import DEFAULT_POOL, DeliverSettings, Settings
from postwright.wiring.foundation import Foundation


@dataclass(frozen=True, slots=True)
class EgressUnit:
    """A name said in EHLO with its addresses, at most one a family, and the pool that they are in."""

    pool: str
    source: EgressSource

    @property
    def name(self) -> str:
        """What limits and suspensions for this place go by."""
        return ",".join(self.source.addresses)


def egress_units(settings: Settings) -> tuple[EgressUnit, ...]:
    """The places that mail leaves from; ``ConfigurationError`` where there is none, or a stream has none."""
    if not settings.deliver.egress:
        raise ConfigurationError("deliver.egress names no address to send from")
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for egress in settings.deliver.egress:
        found.setdefault((egress.pool, egress.ehlo), []).append((egress.ip.version, str(egress.ip)))
    units: list[EgressUnit] = []
    for (pool, ehlo), addresses in found.items():
        by_family = {version: [ip for family, ip in addresses if family == version] for version in (4, 6)}
        pairs = max(len(each) for each in by_family.values())
        for number in range(pairs):
            members = tuple(each[number] for each in by_family.values() if number < len(each))
            units.append(EgressUnit(pool, EgressSource(ehlo, members)))
    _check_pools(settings.deliver.pools, {unit.pool for unit in units})
    return tuple(units)


def _check_pools(streams: Mapping[str, str], pools: set[str]) -> None:
    for stream, pool in {"every other stream": DEFAULT_POOL, **streams}.items():
        if pool not in pools:
            raise ConfigurationError(f"deliver.pools: no address of deliver.egress is in the pool '{pool}' ({stream})")


@dataclass(frozen=True)
class DeliveryWorker:
    """Queue, pace and engine for one place that mail leaves from."""

    foundation: Foundation
    unit: EgressUnit

    @cached_property
    def _name(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}:{random.SystemRandom().getrandbits(32):08x}"

    @property
    def _deliver(self) -> DeliverSettings:
        return self.foundation.settings.deliver

    @cached_property
    def queue(self) -> StoredQueue:
        """The queue as this worker sees it; ``keep_leases`` has to run beside the engine."""
        foundation = self.foundation
        pools = {unit.pool for unit in egress_units(foundation.settings)}
        pool = self.unit.pool if len(pools) > 1 else None
        identity = WorkerIdentity(self._name, self._deliver.lease, self.unit.name, pool)
        runs = FrozenRuns(foundation.database, foundation.settings.track.public_port)
        chance = random.SystemRandom()
        keys = foundation.stored_keys
        return StoredQueue(foundation.database, runs, keys, foundation.feedback_keys, chance, identity)

    @cached_property
    def shaping(self) -> StoredShaping:
        """The pace of destinations as this worker shares it; ``keep`` has to run beside the engine."""
        deliver, foundation = self._deliver, self.foundation
        limits = Limits(deliver.connections_per_destination, deliver.messages_per_connection)
        identity = ShapingIdentity(self._name, self.unit.name, deliver.lease)
        policy = ShapingPolicy(limits, shaping_rules(deliver))
        return StoredShaping(foundation.database, foundation.clock, random.SystemRandom(), identity, policy)

    @property
    def composer(self) -> StoredComposer:
        """What makes messages at the moment they are sent."""
        foundation = self.foundation
        return StoredComposer(
            foundation.token_keys,
            foundation.feedback_keys,
            StoredMessages(foundation.database),
            honeypots=foundation.settings.track.honeypots,
        )

    def engine(self, executor: Executor, *, is_shaped: bool = True) -> DeliveryEngine:
        """An engine; ``executor`` composes and signs. Not shaped, the configured limits are fixed."""
        foundation, deliver = self.foundation, self._deliver
        policy = ConnectionPolicy(
            connections=deliver.connections_per_destination,
            messages_per_connection=deliver.messages_per_connection,
            batch=deliver.batch,
        )
        feedback_keys = foundation.feedback_keys
        connector = TestMailboxConnector(
            self._connector(policy), foundation.database, foundation.clock, feedback_keys.values()
        )
        ports = EnginePorts(
            queue=self.queue,
            composer=self.composer,
            keys=foundation.stored_keys,
            connector=connector,
            clock=foundation.clock,
            random=random.SystemRandom(),
            shaping=self.shaping if is_shaped else None,
        )
        return DeliveryEngine(ports, EnginePolicy(connection=policy, retry=_retry(deliver)), executor)

    def _connector(self, policy: ConnectionPolicy) -> OrderedHostConnector:
        deliver = self._deliver
        context = ssl.create_default_context() if deliver.verify_tls else opportunistic_context()
        return OrderedHostConnector(
            HostAddressResolver(self.foundation.resolver, deliver.smtp_port),
            SessionTerms(self.unit.source, policy, context),
            allow_private=deliver.allow_private_destinations,
        )


def shaping_rules(deliver: DeliverSettings) -> RuleBook:
    """The operator's rules before ours; ``ConfigurationError`` where the file cannot be used."""
    if deliver.shaping_rules_file is None:
        return built_in_rules()
    try:
        text = deliver.shaping_rules_file.read_text(encoding="utf-8")
        return read_rules(text).before(built_in_rules())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"deliver.shaping_rules_file cannot be read: {error}") from error
    except ShapingRulesError as error:
        raise ConfigurationError(f"deliver.shaping_rules_file: {error.message}") from error


def _retry(deliver: DeliverSettings) -> RetryPolicy:
    return RetryPolicy(
        first=deliver.retry_first,
        factor=deliver.retry_factor,
        longest=deliver.retry_longest,
        greylisted=min(deliver.retry_first, RetryPolicy().greylisted),
    )
