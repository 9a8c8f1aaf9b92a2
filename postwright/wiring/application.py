"""Joins the rooms: builds every service from the settings. With ``postwright.settings``, the only reader of them."""

import os
import random
import socket
import ssl
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509

from dns_checks.cache import CachePolicy
from dns_checks.dnsbl_lists import DEFAULT_LISTS
from dns_checks.driver import Resolver, ResolverPolicy
from mailtypes.clock import Clock, SystemClock, microseconds
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import ConfigurationError
from mta.client import EgressSource, SessionTerms, opportunistic_context
from mta.connector import OrderedHostConnector
from mta.engine import DeliveryEngine, EnginePolicy, EnginePorts
from mta.feedback_token import FeedbackKey
from mta.ports import ConnectionPolicy, RetryPolicy
from mta.shaping.pace import Limits
from postwright.keyrings import KeyRing, read_key_ring
from postwright.outbound_http import OutboundHttp
from postwright.sandbox.layout import SandboxLayout
from postwright.services.accounts import Accounts
from postwright.services.bounces import Bounces
from postwright.services.bulks import Bulks
from postwright.services.campaigns import Campaigns
from postwright.services.composition import StoredComposer
from postwright.services.delivery_queue import StoredQueue, WorkerIdentity
from postwright.services.destinations import Destinations
from postwright.services.domain_checks import DomainChecks
from postwright.services.domain_watch import DomainWatch
from postwright.services.engagement import Engagement
from postwright.services.failure_notices import FailureNotices
from postwright.services.frozen_runs import FrozenRuns
from postwright.services.host_addresses import HostAddressResolver
from postwright.services.imports import ContactImports
from postwright.services.incoming_mail import IncomingMail
from postwright.services.log import Log
from postwright.services.message_intake import MessageIntake
from postwright.services.name_servers import EachNameServer, OneNameServer
from postwright.services.preflight import PreflightCheck
from postwright.services.reports import Reports
from postwright.services.retention import Retention, RetentionTerms
from postwright.services.routing import Router
from postwright.services.scheduling import Scheduler, SideWork
from postwright.services.sender_domains import AuditMeans, PublicHosts, SenderDomains
from postwright.services.sending_places import SendingPlaces
from postwright.services.shaping import ShapingIdentity, ShapingPolicy, StoredShaping
from postwright.services.signing_keys import KeyRotation, StoredKeys
from postwright.services.smtp_submissions import SmtpSubmissions
from postwright.services.submissions import Submissions
from postwright.services.suppression_list import SuppressionList
from postwright.services.templates import Templates
from postwright.services.test_mailbox import TestMailboxConnector
from postwright.services.whole_messages import StoredMessages
from postwright.settings import Settings
from postwright.starttls_probe import ProbePolicy, StartTlsProbe
from postwright.store.database import Database
from tracking.tokens import TokenKeys

_NO_CACHE = CachePolicy(longest_ttl=timedelta(0), longest_negative_ttl=timedelta(0), failure_ttl=timedelta(0))


@dataclass(frozen=True)
class Application:
    """Everything that a process may need, built when it is first asked for. ``close`` when done."""

    settings: Settings
    clock: Clock

    @classmethod
    def open(cls, settings: Settings) -> "Application":
        """An application on the machine's clock."""
        return cls(settings, SystemClock())

    async def close(self) -> None:
        """Let go of what was opened."""
        for name in ("domain_watch", "outbound_http", "resolver", "fresh_resolver"):
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
        return Database(self.settings.database.url, self.clock)

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
    def platform_name(self) -> str:
        """The domain that unverified ones may be sent under, in A-labels; empty where there is none."""
        try:
            return DomainName.parse(self.settings.platform.domain).ascii if self.settings.platform.domain else ""
        except DomainSyntaxError as error:
            raise ConfigurationError(f"platform.domain: {error.message}") from error

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
    def imports(self) -> ContactImports:
        """Contact imports."""
        return ContactImports(self.database, self.clock, test_environment=self.is_sandbox)

    @cached_property
    def suppression_list(self) -> SuppressionList:
        """The suppression list."""
        return SuppressionList(self.database, self.clock, test_environment=self.is_sandbox)

    @cached_property
    def templates(self) -> Templates:
        """The template library."""
        return Templates(self.database, self.clock)

    @cached_property
    def campaigns(self) -> Campaigns:
        """Campaigns."""
        preflight = PreflightCheck(self.database, self.clock, self.settings.track.public_port, self.platform_name)
        return Campaigns(self.database, self.clock, preflight, next(iter(self.feedback_keys)))

    @cached_property
    def sending_places(self) -> SendingPlaces:
        """Where messages of API clients are queued."""
        return SendingPlaces(self.database, self.clock, next(iter(self.feedback_keys)))

    @cached_property
    def message_intake(self) -> MessageIntake:
        """Prepares messages of API clients."""
        return MessageIntake(self.database, self.clock, self.sending_places, self.feedback_keys)

    @cached_property
    def submissions(self) -> Submissions:
        """Stores what API clients and SMTP submitters hand over."""
        return Submissions(self.database, self.clock)

    @cached_property
    def bulks(self) -> Bulks:
        """Bulks of API clients."""
        return Bulks(self.database, self.clock, self.sending_places, self.message_intake)

    @cached_property
    def smtp_submissions(self) -> SmtpSubmissions:
        """What comes in by SMTP submission."""
        parts = (self.accounts, self.clock, self.sending_places, self.message_intake, self.submissions)
        return SmtpSubmissions(*parts, self.settings.smtp.hostname)

    @cached_property
    def log(self) -> Log:
        """Events and deliveries."""
        return Log(self.database)

    @cached_property
    def engagement(self) -> Engagement:
        """Opens, clicks, unsubscribes."""
        return Engagement(self.database, self.clock, self.token_keys)

    @cached_property
    def bounces(self) -> Bounces:
        """Mail to return paths."""
        return Bounces(self.database, self.clock, self.feedback_keys.values())

    @cached_property
    def reports(self) -> Reports:
        """Reports that others send about our mail."""
        return Reports(self.database, self.clock)

    @cached_property
    def incoming_mail(self) -> IncomingMail:
        """Mail to our return-path hosts."""
        return IncomingMail(self.bounces, self.reports, self.settings.smtp.report_localpart)

    @cached_property
    def scheduler(self) -> Scheduler:
        """The scheduler's steps."""
        # The sandbox has no web; its policies could not be fetched.
        web = None if self.is_sandbox else self.outbound_http
        router = Router(self.database, self.resolver, self.clock, self.settings.schedule.route_lifetime, web)
        # A worker that was only slow gets one more lease to tell its outcome before anybody sends again.
        wait = microseconds(self.settings.deliver.lease)
        notices = FailureNotices(
            self.database, self.clock, self.sending_places, self.message_intake, self.settings.smtp.hostname
        )
        kept = RetentionTerms(self.settings.retention.messages, self.settings.retention.test_mailbox)
        beside = SideWork(self.domain_watch, notices, Retention(self.database, self.clock, kept))
        return Scheduler(self.database, self.clock, router, self.imports, wait, beside)

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

    def stored_queue(self) -> StoredQueue:
        """The queue as a new worker of this process sees it."""
        chance = random.SystemRandom()
        name = f"{socket.gethostname()}:{os.getpid()}:{chance.getrandbits(32):08x}"
        identity = WorkerIdentity(name, self.settings.deliver.lease, self._egress_name)
        runs = FrozenRuns(self.database, self.settings.track.public_port)
        return StoredQueue(self.database, runs, self.stored_keys, self.feedback_keys, chance, identity)

    @cached_property
    def stored_keys(self) -> StoredKeys:
        """The signing keys."""
        return StoredKeys(self.database, self.master_keys, self.clock, self.platform_name)

    @property
    def _egress_name(self) -> str:
        """What limits for one address go by: the addresses that this process sends from."""
        return ",".join(str(egress.ip) for egress in self.settings.deliver.egress)

    def stored_shaping(self) -> StoredShaping:
        """The pace of destinations as a new worker of this process shares it; ``keep`` has to run beside it."""
        deliver, chance = self.settings.deliver, random.SystemRandom()
        name = f"{socket.gethostname()}:{os.getpid()}:{chance.getrandbits(32):08x}"
        limits = Limits(deliver.connections_per_destination, deliver.messages_per_connection)
        identity = ShapingIdentity(name, self._egress_name, deliver.lease)
        return StoredShaping(self.database, self.clock, chance, identity, ShapingPolicy(limits))

    @cached_property
    def destinations(self) -> Destinations:
        """The queue by destination."""
        return Destinations(self.database, self.clock, self.campaigns)

    def delivery_engine(
        self, queue: StoredQueue, executor: Executor, shaping: StoredShaping | None = None
    ) -> DeliveryEngine:
        """An engine over ``queue``; ``executor`` composes and signs. Without ``shaping`` the limits are fixed."""
        deliver = self.settings.deliver
        if not deliver.egress:
            raise ConfigurationError("deliver.egress names no address to send from")
        policy = ConnectionPolicy(
            connections=deliver.connections_per_destination,
            messages_per_connection=deliver.messages_per_connection,
            batch=deliver.batch,
        )
        source = EgressSource(deliver.egress[0].ehlo, tuple(str(egress.ip) for egress in deliver.egress))
        context = ssl.create_default_context() if deliver.verify_tls else opportunistic_context()
        addresses = HostAddressResolver(self.resolver, deliver.smtp_port)
        connector = OrderedHostConnector(
            addresses, SessionTerms(source, policy, context), allow_private=deliver.allow_private_destinations
        )
        ports = EnginePorts(
            queue=queue,
            composer=StoredComposer(self.token_keys, self.feedback_keys, StoredMessages(self.database)),
            keys=self.stored_keys,
            connector=TestMailboxConnector(connector, self.database, self.clock, self.feedback_keys.values()),
            clock=self.clock,
            random=random.SystemRandom(),
            shaping=shaping,
        )
        retry = RetryPolicy(
            first=deliver.retry_first,
            factor=deliver.retry_factor,
            longest=deliver.retry_longest,
            greylisted=min(deliver.retry_first, RetryPolicy().greylisted),
        )
        return DeliveryEngine(ports, EnginePolicy(connection=policy, retry=retry), executor)


def probe_policy(settings: Settings) -> ProbePolicy:
    """How mail hosts are asked about STARTTLS: strangers' at public addresses alone, or the sandbox's."""
    egress = settings.deliver.egress
    name, session = egress[0].ehlo if egress else settings.smtp.hostname, timedelta(seconds=10)
    if settings.sandbox.dir is None:
        return ProbePolicy(name, session)
    layout = SandboxLayout.load(settings.sandbox.dir)
    root = str(layout.root_certificate_path)
    return ProbePolicy(name, session, port=layout.smtp_port, ca_file=root, allow_private=True)


def _certificates(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"audit.mark_roots_file cannot be read: {error}") from error


def _number(key_id: str) -> int:
    try:
        return int(key_id)
    except ValueError as error:
        raise ConfigurationError(f"the key id '{key_id}' is not a number from 0 to 255") from error
