"""The role that takes mail: return paths, reports, and submission by clients."""

import asyncio
import ssl
from datetime import timedelta

from dns_checks.reports import MAX_OCTETS
from mailtypes.errors import ConfigurationError
from mta.inbound import InboundLimits, ReturnPathHandler, ReturnPathServer
from mta.strict_smtp import StrictServer
from mta.submission.limits import SubmissionLimits
from mta.submission.server import SubmissionGate, SubmissionServer, TlsSubmissionServer
from postwright.settings import SubmissionSettings
from postwright.wiring.application import Application

_GRACE = timedelta(seconds=10)


async def run_smtp(application: Application, stop: asyncio.Event) -> None:
    """Listen until ``stop``; then connections get 421, and what was accepted is kept."""
    settings, incoming = application.settings.smtp, application.incoming_mail
    await application.bounces.refresh_hosts()
    # Whatever is accepted has to be storable as a report as well.
    limits = InboundLimits(message_octets=min(settings.max_size, MAX_OCTETS))
    handler = ReturnPathHandler(incoming.take, incoming.decide, limits)
    server = ReturnPathServer(handler, settings.hostname)
    servers: list[StrictServer] = [server]
    try:
        await server.start(settings.host, settings.port)
        await _start_submission(application, servers)
        await stop.wait()
    finally:
        await asyncio.gather(*(each.close_with_421(_GRACE) for each in servers))


async def _start_submission(application: Application, servers: list[StrictServer]) -> None:
    """Add the listeners for clients to ``servers`` as they start."""
    settings, hostname = application.settings.submission, application.settings.smtp.hostname
    limits = SubmissionLimits(connections=settings.connections, octets_in_flight=settings.octets_in_flight)
    gate = SubmissionGate(application.smtp_submissions, hostname, limits)
    context = _submission_tls(settings)
    plain = SubmissionServer(gate, context)
    servers.append(plain)
    await plain.start(settings.host, settings.port)
    if settings.tls_port is not None:
        if context is None:
            raise ConfigurationError("submission.tls_port needs submission.certificate_file")
        encrypted = TlsSubmissionServer(gate, context)
        servers.append(encrypted)
        await encrypted.start(settings.host, settings.tls_port)


def _submission_tls(settings: SubmissionSettings) -> ssl.SSLContext | None:
    if settings.certificate_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"submission.certificate_file cannot be used: {error}") from error
    return context
