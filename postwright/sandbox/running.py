"""A whole sandbox on the running event loop: name server, authority, judges, mailboxes, MX hosts."""

import asyncio
import fcntl
import logging
import os
import ssl
from dataclasses import replace
from pathlib import Path

from mailtypes.clock import Clock, SystemClock
from mailtypes.errors import ConfigurationError
from postwright.sandbox.authority import Authority
from postwright.sandbox.judging import JudgePool
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes, MailboxWriter
from postwright.sandbox.nameserver import NameServer
from postwright.sandbox.providers import Provider, built_in_zones, sandbox_providers
from postwright.sandbox.receiving import MxHost, ReceivingParts
from postwright.sandbox.zones import Zone, ZoneDirectory

_LOG = logging.getLogger(__name__)
_PORT_TRIES = 20


class Sandbox:
    """One running sandbox. ``start`` writes the layout down once everything listens, ``close`` ends it cleanly."""

    def __init__(self, layout: SandboxLayout, clock: Clock | None = None) -> None:
        self.layout = layout
        self._clock = clock or SystemClock()
        self._lock: int | None = None
        self._mailboxes = MailboxWriter(layout.mailboxes_path)
        self._name_server: NameServer | None = None
        self._judges: JudgePool | None = None
        self._hosts: list[MxHost] = []

    async def start(self) -> SandboxLayout:
        """Bring everything up; returns the layout with the ports in use.

        Raises ``ConfigurationError`` where the directory is another sandbox's or a port is taken.
        """
        self.layout.zones_directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.layout.directory)
        try:
            self._mailboxes.start()
            first_seen = Mailboxes(self.layout.mailboxes_path).greylist()
            providers = sandbox_providers(self.layout.provider_addresses, self.layout.greylist_delay, first_seen)
            await self._start_name_server(providers)
            await self._start_receiving(providers)
        except OSError as error:
            await self.close()
            raise ConfigurationError(f"the sandbox cannot listen: {error}") from error
        except BaseException:
            await self.close()
            raise
        self.layout.save()
        return self.layout

    async def close(self) -> None:
        """Stop listening, end sessions with 421, commit what was received, end the judges."""
        await asyncio.gather(*(host.close() for host in self._hosts))
        if self._name_server is not None:
            await self._name_server.close()
        await self._mailboxes.close()
        if self._judges is not None:
            await asyncio.to_thread(self._judges.close)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _start_name_server(self, providers: tuple[Provider, ...]) -> None:
        texts = built_in_zones(providers, self.layout.dns_address)
        zones = [Zone.parse(origin, text) for origin, text in texts.items()]
        directory = ZoneDirectory(self.layout.zones_directory, zones, self._clock)
        self._name_server = NameServer(directory, self.layout.dns_address, self.layout.dns_port)
        self.layout = replace(self.layout, dns_port=await self._name_server.start())

    async def _start_receiving(self, providers: tuple[Provider, ...]) -> None:
        if self.layout.judge:
            self._judges = JudgePool(self.layout.dns_address, self.layout.dns_port, self.layout.judge_processes)
            await self._judges.start()
        parts = ReceivingParts(self._mailboxes, self._judges, self._clock, self.layout.keep_bodies)
        authority = Authority(self.layout.authority_directory, self._clock)
        hosts = [MxHost(provider, parts, _tls_context(authority, provider)) for provider in providers]
        self.layout = replace(self.layout, smtp_port=await self._listen(hosts))

    async def _listen(self, hosts: list[MxHost]) -> int:
        """All hosts on one port; where it was to be picked, a port that is free at every address."""
        self._hosts = hosts
        for attempt in range(_PORT_TRIES):
            port = self.layout.smtp_port
            try:
                for host in hosts:
                    port = await host.start(port)
            except OSError:
                if self.layout.smtp_port or attempt == _PORT_TRIES - 1:
                    raise
                for host in hosts:
                    await host.close()
            else:
                return port
        raise AssertionError("unreachable")


def _tls_context(authority: Authority, provider: Provider) -> ssl.SSLContext:
    issued = authority.issue(provider.mx_hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(issued.certificate_path, issued.key_path)
    return context


def _lock(directory: Path) -> int:
    """Hold the directory for this process; the kernel lets go of it however the process ends."""
    descriptor = os.open(directory / "sandbox.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(f"a sandbox is already running in {directory}") from error
    return descriptor
