"""Takes messages from API clients and SMTP submitters: all or nothing of a request, durable before the answer.

Requests that come while others are being stored go together into the next transaction, whoever brings them. Inside it
the suppression list is asked, the quota is taken, messages, deliveries and events are written, what need not wait for
the scheduler is made ready, and the answer is kept under its idempotency key.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import DAY, Clock, Microseconds
from postwright.services.accounts import Client
from postwright.services.errors import ServiceError
from postwright.services.immediate_release import ImmediateRelease
from postwright.store import budgets, idempotency, messages, suppressions
from postwright.store.database import Database
from postwright.store.idempotency import KeptAnswer
from postwright.store.messages import NewMessage, NewRecipient, Placement

_MOST_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message ready to be stored, with its stream and how its deliveries begin."""

    new: NewMessage
    stream_id: int
    placement: Placement


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What became of a prepared message: ``refused`` gives the reason by address key; stored where one is accepted.

    ``stored_at`` is the moment that its public id carries.
    """

    id: int
    stored_at: Microseconds
    accepted: tuple[NewRecipient, ...]
    refused: dict[str, str]
    over_quota: bool = False


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request that may be asked twice. ``render`` turns what was stored into the answer: status and body.

    It gives ``None`` where the answer is not to be kept, since nothing was stored.
    """

    key: str
    request_sha256: str
    render: Callable[[Sequence[StoredMessage]], tuple[int, str] | None]


@dataclass(frozen=True, slots=True)
class Answered:
    """The request had been answered before; here is that answer."""

    status: int
    body: str


class KeyReusedError(ServiceError):
    """The idempotency key was used for another request."""

    def __init__(self) -> None:
        super().__init__("The idempotency key was used for another request within 24 hours.")


class KeyInFlightError(ServiceError):
    """The first request with this idempotency key is still being worked on."""

    def __init__(self) -> None:
        super().__init__("The first request with this idempotency key is still being worked on.")


@dataclass(slots=True)
class _Request:
    """One request on its way into the database."""

    client: Client
    prepared: Sequence[PreparedMessage]
    idempotency: Idempotency | None
    future: "asyncio.Future[Sequence[StoredMessage] | Answered]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Submissions:
    """Stores requests in groups. One for each process. Without ``release`` all new mail waits for the scheduler."""

    def __init__(self, database: Database, clock: Clock, release: ImmediateRelease | None = None) -> None:
        self._database = database
        self._clock = clock
        self._release = release
        self._waiting: list[_Request] = []
        self._storing: asyncio.Task[None] | None = None
        self._in_flight: set[tuple[int, str]] = set()

    async def answered_before(self, client: Client, key: str, request_sha256: str) -> Answered | None:
        """The answer kept for this idempotency key; raises ``KeyReusedError`` and ``KeyInFlightError``.

        Asked before anything else is done for a request, so that a repetition costs nothing.
        """
        place = (client.family_id, key)
        if place in self._in_flight:
            raise KeyInFlightError
        find = partial(idempotency.find_answers, wanted=[place], now=self._clock.now())
        kept = (await self._database.read(find)).get(place)
        return None if kept is None else same_request(kept, request_sha256)

    @contextmanager
    def working_on(self, client: Client, key: str) -> Iterator[None]:
        """Keep other requests with this idempotency key away meanwhile; raises ``KeyInFlightError``."""
        place = (client.family_id, key)
        if place in self._in_flight:
            raise KeyInFlightError
        self._in_flight.add(place)
        try:
            yield
        finally:
            self._in_flight.discard(place)

    async def store(
        self, client: Client, prepared: Sequence[PreparedMessage], once: Idempotency | None = None
    ) -> Sequence[StoredMessage] | Answered:
        """Store the messages of one request; returns when they are durable.

        Raises ``KeyReusedError``, ``KeyInFlightError`` and ``StorageError``; then nothing of it was stored.
        """
        with self.working_on(client, once.key) if once else nullcontext():
            request = _Request(client, prepared, once)
            self._waiting.append(request)
            if self._storing is None:
                self._storing = asyncio.ensure_future(self._store_waiting())
            # Shielded: a client that goes away must not take back what others wait for.
            return await asyncio.shield(request.future)

    async def _store_waiting(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._take_group()
                await self._store_group(group)
        finally:
            self._storing = None

    def _take_group(self) -> tuple[list[_Request], list[_Request]]:
        count = together = 0
        for request in self._waiting:
            if together and together + len(request.prepared) > _MOST_TOGETHER:
                break
            together += len(request.prepared)
            count += 1
        return self._waiting[:count], self._waiting[count:]

    async def _store_group(self, group: list[_Request]) -> None:
        now = self._clock.now()
        try:
            results = await self._database.write(lambda connection: _store(connection, group, self._release, now))
        except BaseException as error:  # each waiting request is told, whatever it was
            for request in group:
                if not request.future.done():
                    request.future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for request, result in zip(group, results, strict=True):
            if request.future.done():
                continue
            if isinstance(result, ServiceError):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)


_Result = Sequence[StoredMessage] | Answered | ServiceError
_Barred = Mapping[tuple[int, int], Mapping[str, str]]
"""By workspace and stream: the reason by address key."""


def _store(
    connection: Connection, group: Sequence[_Request], release: ImmediateRelease | None, now: Microseconds
) -> list[_Result]:
    places = [(request.client.family_id, request.idempotency.key) for request in group if request.idempotency]
    kept = idempotency.find_answers(connection, places, now)
    barred = _barred(connection, group, now)
    results: list[_Result] = []
    fresh: list[PreparedMessage] = []
    answers: list[KeptAnswer] = []
    for request in group:
        once = request.idempotency
        before = kept.get((request.client.family_id, once.key)) if once else None
        if once is not None and before is not None:
            results.append(_answer_or_error(before, once))
            continue
        stored = _admit(connection, request, barred, fresh, now)
        results.append(stored)
        answer = _kept(request.client, once, stored, now) if once is not None else None
        if answer is not None:
            answers.append(answer)
            kept[answer.key_id, answer.idempotency_key] = answer
    placements = {item.new.run_id: item.placement for item in fresh}
    new = [item.new for item in fresh]
    at_once = release.destinations(connection, new, placements, now) if release else {}
    messages.store_messages(connection, new, placements, now, at_once)
    idempotency.keep_answers(connection, answers)
    return results


def _admit(
    connection: Connection, request: _Request, barred: _Barred, fresh: list[PreparedMessage], now: Microseconds
) -> list[StoredMessage]:
    """Decide who of a request's recipients gets it; what is to be written is added to ``fresh``."""
    stored: list[StoredMessage] = []
    for item in request.prepared:
        reasons = barred[request.client.workspace_id, item.stream_id]
        keys = [each.address_key for each in item.new.recipients]
        refused = {key: reasons[key] for key in keys if key in reasons}
        accepted = tuple(each for each in item.new.recipients if each.address_key not in refused)
        if accepted and not _within_quota(connection, request.client, len(accepted), now):
            stored.append(StoredMessage(item.new.id, now, (), refused, over_quota=True))
            continue
        stored.append(StoredMessage(item.new.id, now, accepted, refused))
        if accepted:
            fresh.append(replace(item, new=replace(item.new, recipients=accepted)) if refused else item)
    return stored


def _barred(connection: Connection, group: Sequence[_Request], now: Microseconds) -> _Barred:
    """Who may not be written to, asked once for all requests that go into the transaction."""
    keys: dict[tuple[int, int], set[str]] = {}
    for request in group:
        for item in request.prepared:
            wanted = keys.setdefault((request.client.workspace_id, item.stream_id), set())
            wanted.update(each.address_key for each in item.new.recipients)
    return {
        (workspace_id, stream_id): suppressions.reasons(
            connection, workspace_id, sorted(wanted), (stream_id, None), now
        )
        for (workspace_id, stream_id), wanted in keys.items()
    }


def _within_quota(connection: Connection, client: Client, recipients: int, now: Microseconds) -> bool:
    """Take from the key's quota of the day (UTC); a message goes to all of its recipients or to none."""
    if client.terms.daily_quota is None:
        return True
    budget, window = quota_of(client), now // DAY * DAY
    granted = budgets.reserve(connection, client.workspace_id, budget, (window, client.terms.daily_quota), recipients)
    if granted < recipients:
        budgets.give_back(connection, client.workspace_id, budget, window, granted)
    return granted == recipients


def quota_of(client: Client) -> str:
    """The budget that counts what a key sends in a day."""
    return f"api-key:{client.family_id}"


def _kept(client: Client, once: Idempotency, stored: Sequence[StoredMessage], now: Microseconds) -> KeptAnswer | None:
    rendered = once.render(stored)
    if rendered is None:
        return None
    status, body = rendered
    return KeptAnswer(client.workspace_id, client.family_id, once.key, once.request_sha256, status, body, now)


def same_request(kept: KeptAnswer, request_sha256: str) -> Answered:
    """The kept answer for a repetition; raises ``KeyReusedError`` for another request."""
    if kept.request_sha256 != request_sha256:
        raise KeyReusedError
    return Answered(kept.status, kept.body)


def _answer_or_error(kept: KeptAnswer, once: Idempotency) -> _Result:
    try:
        return same_request(kept, once.request_sha256)
    except KeyReusedError as error:
        return error
