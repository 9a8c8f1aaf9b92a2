"""How often somebody may try to sign in, so that nobody guesses passwords and nobody is kept out by who tries.

A network that fails too often is barred, for one person sooner than for all. What many networks together try at one
person bars nobody, since anybody could keep a named person out that way: it only makes each of those tries slow. A
browser that once signed in as that person is counted by itself, so a crowd behind the same proxy does not bar it.

What failed is kept in the database, so that all processes count together and a restart forgets nothing. A process has
its own counts in memory as well: of tries whose answer is not known yet, so that those that arrive together do not slip
past. Only a password that was checked and found wrong is written down: as often as hashes can be computed, never for
a try that is barred.
"""

import asyncio
import hashlib
import hmac
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from mailtypes.clock import Clock, Microseconds, microseconds
from postwright.services.errors import TooManyTriesError
from postwright.store import sign_in_failures
from postwright.store.database import Database
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
    """Failed sign-ins, bounded."""

    def __init__(self, database: Database, clock: Clock, pause: Pause = asyncio.sleep) -> None:
        """``pause`` waits for seconds."""
        self._database = database
        self._clock = clock
        self._counter = _TryCounter(clock)
        self._pause = pause
        self._slowed = 0

    @asynccontextmanager
    async def attempt(self, address_key: str, origin: str, known_user: int | None) -> AsyncIterator["Try"]:
        """Count a try, which may wait some seconds first; it failed unless it is forgiven inside.

        ``known_user`` is whose browser it is known to be, ``None`` where it is nobody's. Raises ``TooManyTriesError``.
        """
        tried = await self._begin(address_key, origin, known_user)
        try:
            yield tried
        finally:
            try:
                if not tried.is_forgiven:
                    await self._keep(tried.names)
            finally:
                self._counter.end(*tried.names)

    async def _keep(self, names: tuple[str, ...]) -> None:
        now = self._clock.now()
        hashes = [_hashed(name) for name in names]
        before = Microseconds(now - microseconds(WINDOW))
        await self._database.write(
            partial(sign_in_failures.add_failure, name_hashes=hashes, now=now, forget_before=before)
        )

    async def _kept(self, names: tuple[str, ...]) -> dict[str, int]:
        """How often each failed within the window, in whichever process."""
        hashes = {_hashed(name): name for name in names}
        since = Microseconds(self._clock.now() - microseconds(WINDOW))
        work = partial(sign_in_failures.failures_since, name_hashes=hashes, since=since, most=NETWORK_TRIES)
        found = await self._database.read(work)
        return {name: found[one] for one, name in hashes.items()}

    async def _begin(self, address_key: str, origin: str, known_user: int | None) -> "Try":
        network = network_of(origin)
        if known_user is not None:
            limits, everywhere = {f"browser of {known_user}": TRIES}, ""
        else:
            everywhere = f"address {address_key}"
            limits = {f"address {address_key} network {network}": TRIES, f"network {network}": NETWORK_TRIES}
        names = (*limits, everywhere) if everywhere else tuple(limits)
        kept = await self._kept(names)
        self._counter.check(limits, kept)
        is_slow = bool(everywhere) and self._counter.is_reached(everywhere, TRIES, kept)
        # Counted before the answer is known: tries that arrive together may not slip past the limit together.
        tried = Try(self._counter, names)
        if is_slow and self._slowed < _MOST_SLOWED:
            self._slowed += 1
            try:
                await self._pause(_SLOW_SECONDS)
            except BaseException:
                self._counter.end(*names)
                raise
            finally:
                self._slowed -= 1
        return tried


class Try:
    """A try that counts as a failure until it is ``forgive``n."""

    def __init__(self, counter: "_TryCounter", names: tuple[str, ...]) -> None:
        self._counter, self.names, self.is_forgiven = counter, names, False
        self._moment = counter.count(*names)

    def forgive(self) -> None:
        """It turned out right."""
        self.is_forgiven = True
        self._counter.forget(self._moment, *self.names)


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


def _hashed(name: str) -> str:
    """What a name is kept as: whoever tries may have typed anything, a password among the addresses too."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


class _TryCounter:
    """Moments of failures of this process by name, and how many tries of each are under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, list[int]] = {}
        self._under_way: Counter[str] = Counter()

    def check(self, limits: Mapping[str, int], kept: Mapping[str, int]) -> None:
        if any(self.is_reached(name, limit, kept) for name, limit in limits.items()):
            raise TooManyTriesError(WINDOW)

    def is_reached(self, name: str, limit: int, kept: Mapping[str, int]) -> bool:
        """Whether this process alone, or all together by what is ``kept``, have come so far."""
        since = self._clock.now() - microseconds(WINDOW)
        here = sum(moment > since for moment in self._failures.get(name, ()))
        return max(here, kept[name] + self._under_way[name]) >= limit

    def count(self, *names: str) -> int:
        """Count a try as a failure that is under way; returns its moment, by which ``forget`` takes it back."""
        now = self._clock.now()
        for name in names:
            if len(self._failures) >= _MAX_TRACKED and name not in self._failures:
                self._failures.pop(next(iter(self._failures)))
            self._failures[name] = [*self._failures.get(name, []), now][-NETWORK_TRIES:]
        self._under_way.update(names)
        return now

    def end(self, *names: str) -> None:
        """What came of a try is known."""
        for name in names:
            self._under_way[name] -= 1
            if self._under_way[name] <= 0:
                del self._under_way[name]

    def forget(self, moment: int, *names: str) -> None:
        """Take a try back that turned out right."""
        for name in names:
            kept = self._failures.get(name, [])
            if moment in kept:
                kept.remove(moment)
            if not kept:
                self._failures.pop(name, None)
