"""Asks mail hosts, on demand, whether they offer STARTTLS and whose certificate they show (RFC 3207).

A session ends before any transaction: EHLO, STARTTLS, QUIT. Opportunistic senders take any certificate; MTA-STS
(RFC 8461 section 4.2) wants one that is valid for the host, and that is what is judged here.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509

from dns_checks.evaluation import Asker, evaluate
from dns_checks.findings import CheckFinding, Evidence, unknown, warning
from dns_checks.findings import present as found_present
from dns_checks.mta_sts import matches_any
from dns_checks.mx import HostResult, RouteResult, find_mail_hosts, resolve_host
from mailtypes.auth import Finding
from mailtypes.clock import Clock, Microseconds, as_datetime, from_datetime
from mailtypes.domain import DomainName
from mta.conversation import Conversation, Ended, Ready, StartTls, Write
from mta.destination_guard import is_public

_READ = 4_096
_QUIT_SECONDS = 2.0
_MAX_READS = 500
_MAX_HOSTS = 10
_MAX_NAMES = 100
_BLOCKED = "Many networks block port 25 outward; run the check from where mail is sent."


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """How the probe is held. ``ca_file``, ``port`` and ``allow_private`` differ in the sandbox alone."""

    ehlo_name: str
    session: timedelta = timedelta(seconds=30)
    at_once: int = 5
    expires_soon: timedelta = timedelta(days=14)
    port: int = 25
    ca_file: str | None = None
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a host showed: DNS names (subjectAltName), the end of its life, why its chain is not good (empty if it is).

    ``is_named`` tells whether one of the names is the host's.
    """

    names: tuple[str, ...]
    expires_at: Microseconds
    chain_fault: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class HostTls:
    """What one mail host does. ``starttls`` is ``unknown`` where it could not be spoken to."""

    host: str
    starttls: Finding
    findings: tuple[CheckFinding, ...]
    tls_version: str = ""
    certificate: Certificate | None = None


@dataclass(slots=True)
class _Session:
    """What one session showed."""

    offered: bool | None = None
    certificate: bytes | None = None
    tls_version: str = ""
    fault: str = ""
    is_certificate_refused: bool = field(default=False)


class StartTlsProbe:
    """Probes the mail hosts of domains; bounded in time, hosts and sessions at once.

    ``ValueError`` where the policy's ``ehlo_name`` cannot be said in EHLO.
    """

    def __init__(self, resolver: Asker, policy: ProbePolicy, clock: Clock) -> None:
        self._resolver = resolver
        self._policy = policy
        self._clock = clock
        Conversation(policy.ehlo_name, wants_tls=True)  # a bad name is the caller's fault, not each host's
        self._slots = asyncio.Semaphore(policy.at_once)
        self._checking = ssl.create_default_context(cafile=policy.ca_file)
        self._checking.check_hostname = False  # names are judged apart from the chain, so that each fault is told
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE

    async def probe_domain(self, domain: DomainName) -> tuple[HostTls, ...]:
        """Probe each mail host of ``domain`` (at most ten, best first); empty where it has none."""
        route = await evaluate(find_mail_hosts(domain), self._resolver)
        if route.result is RouteResult.UNKNOWN:
            evidence = (Evidence(f"{domain} MX", route.cause),)
            finding = unknown("starttls.mx_unknown", evidence, f"The mail hosts of {domain} could not be looked up.")
            return (HostTls(domain.ascii, Finding.UNKNOWN, (finding,)),)
        hosts = [host for group in route.host_groups for host in group][:_MAX_HOSTS]
        return tuple(await asyncio.gather(*(self.probe_host(host) for host in hosts)))

    async def probe_host(self, host: str) -> HostTls:
        """Probe one host at its first address that may be spoken to."""
        found = await evaluate(resolve_host(host), self._resolver)
        addresses = [str(address) for address in (*found.ip4, *found.ip6)]
        usable = [address for address in addresses if self._policy.allow_private or is_public(address)]
        if not usable:
            cause = "no public address" if found.result is HostResult.FOUND else found.cause
            evidence = (Evidence(f"{host} A, AAAA", cause),)
            finding = unknown("starttls.unknown", evidence, f"{host} could not be spoken to: {cause}.")
            return HostTls(host, Finding.UNKNOWN, (finding,))
        async with self._slots:
            session = await self._hold(usable[0], self._checking)
            fault = session.fault
            if session.is_certificate_refused:
                session = await self._hold(usable[0], self._trusting)
        return self._judge(host, usable[0], session, fault)

    async def _hold(self, address: str, context: ssl.SSLContext) -> _Session:
        """One session; every fault ends in ``fault``, nothing is raised."""
        session = _Session()
        plain: asyncio.WriteTransport | None = None
        try:
            async with asyncio.timeout(self._policy.session.total_seconds()):
                reader, writer = await asyncio.open_connection(address, self._policy.port)
                plain = writer.transport
                await self._converse(session, reader, writer, context)
        except ssl.SSLCertVerificationError as error:
            session.fault, session.is_certificate_refused = error.verify_message, True
        except TimeoutError:
            session.fault = "timeout"
        except (OSError, EOFError, ValueError) as error:
            session.fault = (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
        finally:
            if plain is not None:
                plain.abort()
        return session

    async def _converse(
        self,
        session: _Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext,
    ) -> None:
        conversation = Conversation(self._policy.ehlo_name, wants_tls=True)
        for _ in range(_MAX_READS):
            data = await reader.read(_READ)
            if not data:
                raise EOFError("the host hung up")
            events = conversation.receive(data)
            if conversation.extensions.starttls:
                session.offered = True
            while events:
                event = events.pop(0)
                match event:
                    case Write(octets):
                        writer.write(octets)
                        await writer.drain()
                    case StartTls():
                        await _start_tls(session, writer, context)
                        events += conversation.tls_started()
                    case Ready():
                        session.offered = bool(session.offered)
                        await _quit(reader, writer)
                        return
                    case Ended(cause, reply):
                        raise EOFError(f"{cause}: {reply}" if reply else cause)
        raise EOFError("the host talks without end")

    def _judge(self, host: str, address: str, session: _Session, checked_fault: str) -> HostTls:
        place = f"{host} [{address}]:{self._policy.port} STARTTLS"
        if session.certificate is None:
            return _without_certificate(host, place, session)
        certificate = _read_certificate(host, session.certificate, checked_fault)
        if certificate is None:
            evidence = (Evidence(place, "a certificate that cannot be read"),)
            sentence = f"The certificate of {host} cannot be read."
            step = "Install a certificate of a public authority."
            finding = warning("starttls.certificate_unreadable", evidence, sentence, step)
            return HostTls(host, Finding.PRESENT, (finding,), session.tls_version)
        shown = f"{session.tls_version}; names: {', '.join(certificate.names[:10]) or 'none'}; until "
        evidence = (Evidence(place, shown + as_datetime(certificate.expires_at).isoformat()),)
        findings = [found_present("starttls.offered", evidence, f"{host} offers STARTTLS ({session.tls_version}).")]
        findings += self._certificate_findings(host, certificate, evidence)
        return HostTls(host, Finding.PRESENT, tuple(findings), session.tls_version, certificate)

    def _certificate_findings(
        self, host: str, certificate: Certificate, evidence: tuple[Evidence, ...]
    ) -> Sequence[CheckFinding]:
        now = self._clock.now()
        findings = []
        if certificate.expires_at <= now:
            sentence = f"The certificate of {host} has expired."
            findings.append(warning("starttls.certificate_expired", evidence, sentence, "Renew it."))
        elif certificate.chain_fault:
            sentence = f"The certificate of {host} is not one that senders trust: {certificate.chain_fault}."
            step = "Install a certificate of a public authority together with the intermediate ones."
            findings.append(warning("starttls.certificate_chain", evidence, sentence, step))
        if not certificate.is_named:
            sentence = f"The certificate of {host} does not name it."
            step = f"Get a certificate with {host} among its names (subjectAltName)."
            findings.append(warning("starttls.certificate_name", evidence, sentence, step))
        if findings:
            return findings
        soon = as_datetime(now) + self._policy.expires_soon
        if as_datetime(certificate.expires_at) < soon:
            sentence = f"The certificate of {host} expires in less than {self._policy.expires_soon.days} days."
            findings.append(warning("starttls.certificate_expires_soon", evidence, sentence, "Renew it in time."))
        sentence = f"The certificate of {host} is valid."
        return [found_present("starttls.certificate_valid", evidence, sentence), *findings]


async def _start_tls(session: _Session, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    try:
        await writer.start_tls(context)
    except (AttributeError, RuntimeError) as error:
        # Where the connection is lost meanwhile, the loop hands back no transport, and asyncio stumbles over that.
        raise EOFError("the connection was lost in the TLS handshake") from error
    tls = writer.get_extra_info("ssl_object")
    session.certificate, session.tls_version = tls.getpeercert(True), tls.version() or ""


async def _quit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say QUIT and wait a moment for the answer; nothing depends on it."""
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(_QUIT_SECONDS):
            writer.write(b"QUIT\r\n")
            await writer.drain()
            await reader.read(_READ)


def _without_certificate(host: str, place: str, session: _Session) -> HostTls:
    evidence = (Evidence(place, session.fault or "not offered"),)
    if session.offered is False:
        sentence = f"{host} does not offer STARTTLS: mail to it travels in clear text."
        finding = warning("starttls.not_offered", evidence, sentence, "Install a certificate and switch STARTTLS on.")
        return HostTls(host, Finding.ABSENT, (finding,))
    if session.offered:
        cause = session.fault or "the host refused to begin"
        sentence = f"{host} offers STARTTLS, but no TLS came about: {cause}."
        finding = warning("starttls.failed", evidence, sentence, "Look into the mail host's TLS settings and log.")
        return HostTls(host, Finding.UNKNOWN, (finding,))
    finding = unknown("starttls.unknown", evidence, f"{host} could not be spoken to: {session.fault}.", _BLOCKED)
    return HostTls(host, Finding.UNKNOWN, (finding,))


def _read_certificate(host: str, encoded: bytes, chain_fault: str) -> Certificate | None:
    """The leaf certificate; ``None`` where it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        expires_at = from_datetime(certificate.not_valid_after_utc)
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = tuple(extension.value.get_values_for_type(x509.DNSName))[:_MAX_NAMES]
        except x509.ExtensionNotFound:
            names = ()  # RFC 8461 section 4.2 does not look at the common name
    except Exception:  # whatever a stranger's certificate makes the reader stumble over
        return None
    return Certificate(names, expires_at, chain_fault, matches_any(host, names))
