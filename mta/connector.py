"""Opens a session with the first host of a destination that will have one (RFC 5321 section 5.1)."""

import ssl
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from mailtypes.bounce import Stage
from mailtypes.errors import PeerError
from mailtypes.smtp import SmtpReply
from mta.client import Connection, Remote, SessionTerms, TlsFailedError, UnusableHostError
from mta.destination_guard import is_public
from mta.ports import HostResolver
from mta.sessions import Session

_MAX_ADDRESSES = 8  # RFC 5321 section 5.1 asks for at least two; the lease has to outlive the tries


class NoHostError(PeerError):
    """No host of the destination could be spoken to; ``reply`` is the last that was heard, if any, at ``stage``."""

    def __init__(self, failures: Sequence[UnusableHostError], cause: str = "") -> None:
        last = next((each for each in reversed(failures) if each.reply), None)
        self.reply: SmtpReply | None = last.reply if last else None
        self.stage = last.stage if last else Stage.UNKNOWN
        self.remote = failures[-1].remote if failures else ""
        self.cause = cause or "; ".join(str(failure) for failure in failures)[:1000]
        super().__init__(self.cause)


class HostConnector(Protocol):
    """Where the engine gets its connections."""

    async def open(self, hosts: Sequence[str], *, verified_tls: bool = False) -> Session:
        """A session with the first of ``hosts`` that will have one; ``NoHostError`` where none will.

        With ``verified_tls`` only an encrypted one with a host whose certificate names it (RFC 8461 section 4.2).
        """
        ...


class OrderedHostConnector:
    """Tries the addresses of each host in order; a refusing greeting moves on to the next, like no connection."""

    def __init__(
        self,
        resolver: HostResolver,
        terms: SessionTerms,
        *,
        verifying: ssl.SSLContext | None = None,
        allow_private: bool = False,
    ) -> None:
        """``verifying`` is the context where a policy demands a certificate; the system's roots by default.

        ``allow_private`` opens the destination guard: for the sandbox and tests alone.
        """
        self._verifying = verifying or ssl.create_default_context()
        self._resolver = resolver
        self._terms = terms
        self._allow_private = allow_private

    async def open(self, hosts: Sequence[str], *, verified_tls: bool = False) -> Connection:
        """See ``HostConnector.open``; at most eight addresses are tried."""
        failures: list[UnusableHostError] = []
        for host in hosts:
            remotes = await self._remotes(host)
            if not remotes:
                failures.append(UnusableHostError("the host has no address that we may send to", remote=host))
            for remote in remotes:
                if len(failures) >= _MAX_ADDRESSES:
                    raise NoHostError(failures)
                try:
                    return await (self._open_verified(remote) if verified_tls else self._open(remote))
                except UnusableHostError as failure:
                    failures.append(failure)
        raise NoHostError(failures, "" if failures else "the destination has no hosts")

    async def _remotes(self, host: str) -> list[Remote]:
        return [
            Remote(host, address, port)
            for address, port in await self._resolver.addresses(host)
            if (self._allow_private or is_public(address)) and self._terms.source.can_reach(address)
        ]

    async def _open_verified(self, remote: Remote) -> Connection:
        connection = await Connection.open(remote, replace(self._terms, tls=self._verifying))
        if not connection.tls_version:
            await connection.quit()
            raise UnusableHostError("the domain's MTA-STS policy demands TLS, which is not offered", remote=str(remote))
        return connection

    async def _open(self, remote: Remote) -> Connection:
        try:
            return await Connection.open(remote, self._terms)
        except TlsFailedError:
            # RFC 7435 section 3: without a policy, clear text is better than no mail.
            return await Connection.open(remote, replace(self._terms, tls=None))
