"""Where mail of API clients is queued: the run of its sender, stream, day and moment, and the ids of its deliveries."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import DAY, MINUTE, SECOND, Clock, Microseconds
from mailtypes.saying import say
from postwright.services.accounts import Client
from postwright.services.errors import RefusedError
from postwright.services.state_words import state_word
from postwright.store import client_runs, domains, routes, workspaces
from postwright.store.campaigns import FrozenSender, Run
from postwright.store.client_runs import ClientRun
from postwright.store.database import Database
from postwright.store.domains import SenderDomain
from postwright.store.messages import Placement
from postwright.store.public_ids import delivery_id
from postwright.store.workspaces import Stream

_NUMBERS_AT_ONCE = 256
_LOOKED_UP_FOR = 5 * SECOND
_KEPT_RUNS = 1000
_STILL_COMING = 5 * MINUTE  # what is just being accepted joins the run at its end
LONGEST_DELAY = 30 * DAY
"""How far ahead a message may be scheduled."""
TEST_MAILBOX = "test-mailbox"
"""The host of the destination that takes what test keys send (no DNS name: it has no dot)."""


@dataclass(frozen=True, slots=True)
class SenderPlace:
    """A sender that a client may use: its domain and its stream."""

    domain: SenderDomain
    stream: Stream


class SendingPlaces:
    """Runs and numbers for messages of API clients; ``feedback_key_id`` as in ``Campaigns``."""

    def __init__(self, database: Database, clock: Clock, feedback_key_id: int) -> None:
        self._database = database
        self._clock = clock
        self._feedback_key_id = feedback_key_id
        self._senders: dict[tuple[int, str, str], tuple[Microseconds, SenderPlace]] = {}
        self._runs: dict[str, Run] = {}
        self._numbers: dict[int, list[int]] = {}
        self._drawing = asyncio.Lock()
        self._test_destinations: dict[int, int] = {}

    async def sender(self, client: Client, author: EmailAddress, stream_name: str) -> SenderPlace:
        """The domain and the stream to send by; raises ``RefusedError`` where this client may not."""
        if not client.may_send_from(author):
            raise RefusedError(
                "sender_not_allowed",
                say("This API key may not send from %(author)s.", author=author),
                field="from",
                next_step=say("Take a sender that the key is for, or a key for this sender."),
            )
        now = self._clock.now()
        asked = (client.workspace_id, author.domain.ascii, stream_name)
        known = self._senders.get(asked)
        if known is None or known[0] < now - _LOOKED_UP_FOR:
            if len(self._senders) >= _KEPT_RUNS:
                self._senders.clear()
            known = self._senders[asked] = (now, await self._find_sender(*asked))
        return known[1]

    async def _find_sender(self, workspace_id: int, domain_name: str, stream_name: str) -> SenderPlace:
        stream = await self._database.read(partial(workspaces.find_stream, workspace_id=workspace_id, name=stream_name))
        if stream is None:
            raise RefusedError(
                "unknown_stream", say("There is no stream '%(stream)s'.", stream=stream_name), field="stream"
            )
        domain = await self._database.read(partial(domains.find_domain, workspace_id=workspace_id, name=domain_name))
        if domain is None:
            raise RefusedError(
                "unknown_domain",
                say("%(domain)s is not a sender domain of this workspace.", domain=domain_name),
                field="from",
                next_step=say("Add it first: postwright domain add %(domain)s.", domain=domain_name),
            )
        if domain.state != "verified":
            raise RefusedError(
                "domain_not_verified",
                say(
                    "The sender domain %(domain)s is %(state)s, not verified.",
                    domain=domain_name,
                    state=state_word(domain.state),
                ),
                field="from",
                next_step=say("Publish its records and run: postwright domain verify %(domain)s", domain=domain_name),
            )
        return SenderPlace(domain, stream)

    def moment(self, send_at: Microseconds | None) -> Microseconds | None:
        """When to send, ``None`` for now; raises ``RefusedError`` where that is too far ahead."""
        now = self._clock.now()
        if send_at is None or send_at <= now:
            return None
        if send_at > now + LONGEST_DELAY:
            raise RefusedError(
                "send_at_too_far",
                say(
                    "A message can be scheduled %(longest_delay)s days ahead at most.",
                    longest_delay=LONGEST_DELAY // DAY,
                ),
                field="send_at",
            )
        return Microseconds(-(-send_at // SECOND) * SECOND)

    def run_terms(self, place: SenderPlace, kind: str, starts_at: Microseconds | None, *, is_test: bool) -> ClientRun:
        """What a run by this sender is made from."""
        now, domain = self._clock.now(), place.domain
        return ClientRun(
            workspace_id=domain.workspace_id,
            kind=kind,
            state="scheduled" if starts_at else "sending",
            stream_id=place.stream.id,
            domain_id=domain.id,
            sender=FrozenSender(domain.name, domain.return_path_host, domain.tracking_host, self._feedback_key_id),
            expires_at=(starts_at or now) + place.stream.expiry,
            starts_at=starts_at,
            is_test=is_test,
        )

    async def standing_run(
        self, place: SenderPlace, starts_at: Microseconds | None = None, *, is_test: bool = False
    ) -> Run:
        """The run that a single message joins. One for each sender, stream and day, or scheduled second."""
        now = self._clock.now()
        day = now // DAY
        when = f"at:{starts_at // SECOND}" if starts_at else f"day:{day}"
        kind = "test" if is_test else "live"
        key = f"{kind}:{place.stream.id}:{place.domain.id}:{self._feedback_key_id}:{when}"
        found = self._runs.get(key)
        if found is None:
            terms = self.run_terms(place, "messages", starts_at, is_test=is_test)
            until = starts_at or Microseconds((day + 1) * DAY)
            new = replace(terms, standing_key=key, open_until=until + _STILL_COMING)
            found = await self._database.write(lambda connection: client_runs.standing_run(connection, new, now))
            if len(self._runs) >= _KEPT_RUNS:
                self._runs.clear()
            self._runs[key] = found
        return found

    async def delivery_ids(self, run: Run, count: int) -> list[int]:
        """Ids for ``count`` new deliveries of a run."""
        async with self._drawing:
            kept = self._numbers.setdefault(run.id, [])
            if len(kept) < count:
                wanted = max(count - len(kept), _NUMBERS_AT_ONCE)
                kept += await self._database.write(
                    lambda connection: list(client_runs.take_numbers(connection, run.id, wanted))
                )
            taken, self._numbers[run.id] = kept[:count], kept[count:]
            while len(self._numbers) > _KEPT_RUNS:
                self._numbers.pop(next(iter(self._numbers)))
        return [delivery_id(run.id, number) for number in taken]

    async def placement(self, run: Run, stream: Stream) -> Placement:
        """How new deliveries of a run begin: held until they are routed, or on the way to the test mailbox."""
        begins = max(self._clock.now(), run.starts_at or 0)
        destination_id = await self.test_destination(run.workspace_id) if run.is_test else None
        return Placement(begins, begins + stream.expiry, destination_id)

    async def test_destination(self, workspace_id: int) -> int:
        """The destination of what test keys send."""

        def save(connection: Connection) -> int:
            return routes.save_destination(connection, workspace_id, TEST_MAILBOX, TEST_MAILBOX, ((TEST_MAILBOX,),))

        found = self._test_destinations.get(workspace_id)
        if found is None:
            found = self._test_destinations[workspace_id] = await self._database.write(save)
        return found
