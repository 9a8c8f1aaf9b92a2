"""How fast a key may ask: one token bucket for each key in each process, told in the RateLimit headers.

The headers follow draft-ietf-httpapi-ratelimit-headers: ``RateLimit-Policy`` has what is allowed, ``RateLimit`` what is
left. ``requests`` are counted here, ``recipients`` are the key's quota of the day, which the database counts.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from mailtypes.clock import DAY, SECOND, Clock, Microseconds
from postwright.services.accounts import Client
from postwright.services.errors import ServiceError
from postwright.services.submissions import quota_of
from postwright.store import budgets
from postwright.store.database import Database

_MOST_KEYS = 10_000
_DAY_SECONDS = DAY // SECOND


class RateLimitedError(ServiceError):
    """The key has asked too often; it may again after ``wait`` seconds."""

    def __init__(self, limit: int, wait: int) -> None:
        super().__init__(f"The API key may send {limit} requests a second.")
        self.wait = wait


@dataclass(slots=True)
class _Bucket:
    """Tokens as they were at a moment; a second's worth at most."""

    tokens: float
    at: Microseconds


@dataclass(slots=True)
class RateLimits:
    """The buckets of a process; ``default`` is for keys without a limit of their own, ``None`` for no limit."""

    default: int | None = None
    _buckets: OrderedDict[int, _Bucket] = field(default_factory=OrderedDict)

    def limit_of(self, client: Client) -> int | None:
        """How many requests a second a client may send."""
        return self.default if client.terms.rate_limit is None else client.terms.rate_limit

    def take(self, client: Client, now: Microseconds) -> int | None:
        """Count one request; returns how many are left at once, ``None`` without a limit.

        Raises ``RateLimitedError``.
        """
        limit = self.limit_of(client)
        if limit is None:
            return None
        # Keys that take over from each other share one, as they share quotas.
        bucket = self._buckets.setdefault(client.family_id, _Bucket(float(limit), now))
        self._buckets.move_to_end(client.family_id)
        while len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        earned = max(0, now - bucket.at) * limit / SECOND
        bucket.tokens, bucket.at = min(float(limit), bucket.tokens + earned), now
        if bucket.tokens < 1:
            raise RateLimitedError(limit, 1)
        bucket.tokens -= 1
        return int(bucket.tokens)


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """What the headers of an answer tell."""

    limits: RateLimits
    clock: Clock
    database: Database

    async def of(self, client: Client, left: int | None) -> dict[str, str]:
        """The headers for a client who has ``left`` requests left; empty without limits."""
        policies: list[str] = []
        states: list[str] = []
        limit = self.limits.limit_of(client)
        if limit is not None:
            policies.append(f'"requests";q={limit};w=1')
            states.append(f'"requests";r={left or 0};t=1')
        quota = client.terms.daily_quota
        if quota is not None:
            now = self.clock.now()
            window = now // DAY * DAY
            used = await self.database.read(
                lambda connection: budgets.reserved(connection, client.workspace_id, quota_of(client), window)
            )
            policies.append(f'"recipients";q={quota};w={_DAY_SECONDS}')
            states.append(f'"recipients";r={max(0, quota - used)};t={-(-(window + DAY - now) // SECOND)}')
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)} if policies else {}
