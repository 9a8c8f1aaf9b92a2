"""AUTH PLAIN and LOGIN (RFC 4954, RFC 4616): what the client's answers say, and whether the key is a good one."""

import asyncio
import binascii
import logging
import math
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailtypes.errors import SurroundingsError
from mta.strict_smtp import peer_site
from mta.submission.faults import CommandError
from mta.submission.ports import Submissions, Submitter
from mta.submission.tries import TryLimiter, TryLimits

_LOG = logging.getLogger(__name__)
_LONGEST = 1000
_USERNAME = b"334 " + b64encode(b"Username:")
_PASSWORD = b"334 " + b64encode(b"Password:")
MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name, which may be anything, and an API key."""

    username: str
    secret: str = field(repr=False)


async def read_credentials(argument: str, challenge: Callable[[bytes], Awaitable[bytes]]) -> Credentials:
    """Carry the exchange through; ``challenge`` sends one and returns the client's line. Raises ``CommandError``."""
    mechanism, _, initial = argument.partition(" ")
    initial = initial.strip()
    match mechanism.upper():
        case "PLAIN":
            return _plain(_decoded(initial.encode()) if initial else _decoded(await challenge(b"334 ")))
        case "LOGIN":
            username = _decoded(initial.encode()) if initial else _decoded(await challenge(_USERNAME))
            return Credentials(_text(username), _text(_decoded(await challenge(_PASSWORD))))
        case _:
            raise CommandError(504, "5.5.4", f"there are {' and '.join(MECHANISMS)}")


def _decoded(line: bytes) -> bytes:
    if line == b"*":
        raise CommandError(501, "5.7.0", "authentication given up")  # RFC 4954 section 4
    if line == b"=":
        return b""  # RFC 4954 section 4: an empty initial response
    if len(line) > _LONGEST:
        raise CommandError(500, "5.5.6", "the line is too long")
    try:
        return b64decode(line, validate=True)
    except binascii.Error as error:
        raise CommandError(501, "5.5.2", "not base64") from error


def _plain(message: bytes) -> Credentials:
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise CommandError(501, "5.5.2", "PLAIN has three parts with NUL between them (RFC 4616)")
    authorization, username, secret = (_text(part) for part in parts)
    if authorization not in ("", username):
        raise CommandError(535, "5.7.8", "nobody may act for another here")
    return Credentials(username, secret)


def _text(octets: bytes) -> str:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(501, "5.5.2", "not UTF-8") from error
    if not text.isprintable():
        raise CommandError(501, "5.5.2", "a control character")
    return text


class KeyCheck:
    """Asks the owner who a key belongs to, as often as the limits allow; one for all sessions of a listener."""

    def __init__(self, submissions: Submissions, limits: TryLimits | None = None) -> None:
        self._submissions = submissions
        self._tries = TryLimiter(limits or TryLimits())

    async def submitter(self, credentials: Credentials, peer: str) -> Submitter:
        """Who it is; raises ``CommandError``."""
        now = asyncio.get_running_loop().time
        site = peer_site(peer)
        wait = self._tries.begin(site, credentials.secret, now())
        if wait:
            _LOG.warning("tries to sign in from %s are held off", site)
            raise CommandError(454, "4.7.0", f"too many tries, try again in {math.ceil(wait)} s")
        try:
            found = await self._submissions.authenticate(credentials.username, credentials.secret, peer)
        except SurroundingsError as error:
            self._tries.succeeded(site, credentials.secret, now())  # not a try that the client lost
            _LOG.exception("a key could not be looked up")
            raise CommandError(454, "4.7.0", "could not look the key up, try again later") from error
        if found is None:
            raise CommandError(535, "5.7.8", "not a key that may send")
        self._tries.succeeded(site, credentials.secret, now())
        return found
