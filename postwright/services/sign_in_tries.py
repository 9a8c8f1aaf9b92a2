"""How often somebody may try to sign in, so that nobody guesses passwords and nobody is kept out by who tries.

A network that fails too often is barred, for one person sooner than for all. What many networks together try at one
person bars nobody, since anybody could keep a named person out that way: it only makes each of those tries slow. A
browser that once signed in as that person is counted by itself, so a crowd behind the same proxy does not bar it.
"""

import asyncio
import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from datetime import timedelta

from mailtypes.clock import Clock, microseconds
from postwright.services.errors import TooManyTriesError
from postwright.store.people import User

TRIES = 10
"""Failed tries in ``WINDOW`` of one network at one person, or of one known browser."""
NETWORK_TRIES = 30
"""Failed tries in ``WINDOW`` of one network, whoever they were at."""
WINDOW = timedelta(minutes=15)
_SLOW_SECONDS = 2.0
_MOST_SLOWED = 100
"""So many tries wait at once; each keeps a connection open, so what is beyond does not wait."""
_MAX_TRACKED = 10_000
_IPV6_CUSTOMER_BITS = 64  # RFC 6177: what one end site has at least

Pause = Callable[[float], Awaitable[None]]


class SignInTries:
    """Failed sign-ins, kept in memory, bounded."""

    def __init__(self, clock: Clock, pause: Pause = asyncio.sleep) -> None:
        """``pause`` waits for seconds."""
        self._counter = _TryCounter(clock)
        self._pause = pause
        self._slowed = 0

    async def begin(self, address_key: str, origin: str, known_user: int | None) -> "Try":
        """Count a try; it may wait some seconds. Raises ``TooManyTriesError``.

        ``known_user`` is whose browser it is known to be, ``None`` where it is nobody's.
        """
        network = network_of(origin)
        if known_user is not None:
            limits, everywhere = {f"browser of {known_user}": TRIES}, ""
        else:
            everywhere = f"address {address_key}"
            limits = {f"address {address_key} network {network}": TRIES, f"network {network}": NETWORK_TRIES}
        self._counter.check(limits)
        is_slow = bool(everywhere) and self._counter.is_reached(everywhere, TRIES)
        # Counted before the answer is known: tries that arrive together may not slip past the limit together.
        tried = Try(self._counter, (*limits, everywhere) if everywhere else tuple(limits))
        if is_slow and self._slowed < _MOST_SLOWED:
            self._slowed += 1
            try:
                await self._pause(_SLOW_SECONDS)
            finally:
                self._slowed -= 1
        return tried


class Try:
    """A try that counts as a failure until it is ``forgive``n."""

    def __init__(self, counter: "_TryCounter", names: tuple[str, ...]) -> None:
        self._counter, self._names = counter, names
        self._moment = counter.count(*names)

    def forgive(self) -> None:
        """It turned out right."""
        self._counter.forget(self._moment, *self._names)


def browser_mark(user: User) -> str:
    """What a browser keeps of a good sign-in: it shows that somebody there knew the password that holds now.

    It opens nothing, and a new password makes it worthless.
    """
    return f"{user.id}-{_signature(user)}"


def is_mark_of(user: User, mark: str) -> bool:
    """Whether a browser shows the mark of that person."""
    return hmac.compare_digest(browser_mark(user).encode(), mark[:200].encode("utf-8", "replace"))


def _signature(user: User) -> str:
    # The hash of the password is a secret of the person that never leaves the server, and salted by chance.
    return hmac.new(user.password_hash.encode(), f"browser of {user.id}".encode(), hashlib.sha256).hexdigest()


def network_of(origin: str) -> str:
    """The network that counts as one place: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(origin)
    except ValueError:
        return origin
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address), _IPV6_CUSTOMER_BITS), strict=False))
    return str(address)


class _TryCounter:
    """Moments of failures by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, list[int]] = {}

    def check(self, limits: dict[str, int]) -> None:
        if any(self.is_reached(name, limit) for name, limit in limits.items()):
            raise TooManyTriesError(WINDOW)

    def is_reached(self, name: str, limit: int) -> bool:
        since = self._clock.now() - microseconds(WINDOW)
        return sum(moment > since for moment in self._failures.get(name, ())) >= limit

    def count(self, *names: str) -> int:
        """Count a try as a failure; returns its moment, by which ``forget`` takes it back."""
        now = self._clock.now()
        for name in names:
            if len(self._failures) >= _MAX_TRACKED and name not in self._failures:
                self._failures.pop(next(iter(self._failures)))
            self._failures[name] = [*self._failures.get(name, []), now][-NETWORK_TRIES:]
        return now

    def forget(self, moment: int, *names: str) -> None:
        """Take a try back that turned out right."""
        for name in names:
            kept = self._failures.get(name, [])
            if moment in kept:
                kept.remove(moment)
            if not kept:
                self._failures.pop(name, None)
