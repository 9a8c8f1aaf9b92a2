"""The queue by destination: what waits where, how fast it goes and why, and what an admin does about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from mailtypes.domain import DomainName
from mailtypes.saying import say
from mta.shaping.adaptation import AdaptationPolicy, raised_at, resume
from mta.shaping.pace import Limits, Pace, PaceChange
from postwright.services.campaigns import Campaigns
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.state_words import state_word
from postwright.store import campaigns, events, routes, shaping, suspensions, waiting
from postwright.store.database import Database
from postwright.store.routes import Destination
from postwright.store.shaping import PaceKey
from postwright.store.suspensions import By, Suspended, Suspension
from postwright.store.waiting import Selection, Waiting

LONGEST_NOTE = 500
_MOST_DOMAINS = 10


class DestinationState(StrEnum):
    """How a destination is sent to."""

    OPEN = "open"
    SLOWED = "slowed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class SlowedPace:
    """What replies have taken off the configured limits, for one scope and address (``None`` in ``limits``: nothing).

    ``raised_at`` is when the next step up is due if all stays quiet.
    """

    scope: str
    egress: str
    limits: Limits
    rule: str
    evidence: str
    since: Microseconds | None
    raised_at: Microseconds | None


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """One destination: what waits, the connections in use, and whatever keeps it from its configured pace."""

    destination: Destination
    waiting: Waiting
    connections: int
    slowed: Sequence[SlowedPace]
    suspensions: Sequence[Suspension]

    @property
    def state(self) -> DestinationState:
        """The gravest of what is true of it."""
        if self.suspensions:
            return DestinationState.SUSPENDED
        return DestinationState.SLOWED if self.slowed else DestinationState.OPEN

    @property
    def reason(self) -> str:
        """Why it is not open, in one sentence; empty where it is."""
        if self.suspensions:
            return self.suspensions[-1].reason
        return f"{self.slowed[0].rule}: {self.slowed[0].evidence}" if self.slowed else ""

    @property
    def until(self) -> Microseconds | None:
        """When it goes on, or when it is raised a step; ``None`` where it is open or waits for a person."""
        if self.suspensions:
            ends = [one.until for one in self.suspensions]
            return None if None in ends else Microseconds(max(end for end in ends if end is not None))
        moments = [one.raised_at for one in self.slowed if one.raised_at is not None]
        return min(moments) if moments else None

    @property
    def is_notable(self) -> bool:
        """Whether there is anything to tell of it."""
        waits = self.waiting.ready + self.waiting.deferred + self.waiting.under_way
        return bool(waits) or self.state is not DestinationState.OPEN


@dataclass(frozen=True, slots=True)
class DestinationDetails:
    """A destination with the recipient domains that wait most, and what it said last to what is deferred."""

    status: DestinationStatus
    domains: Sequence[tuple[str, int]]
    last_word: str


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """What an action is about: exactly one of a destination's id, a recipient domain, a campaign's id."""

    destination_id: int | None = None
    domain: DomainName | None = None
    campaign_id: int | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.destination_id, self.domain, self.campaign_id)) != 1:
            raise RefusedError(
                "one_target",
                say("Name exactly one of destination, domain and campaign."),
                next_step=say("Leave the others out."),
            )


@dataclass(frozen=True, slots=True)
class Note:
    """Who acts, and why; control characters and blanks at the ends are taken off the text."""

    by: str
    text: str = ""

    @property
    def clean(self) -> str:
        """The text as it is kept."""
        return "".join(one if one.isprintable() else " " for one in self.text)[:LONGEST_NOTE].strip()


@dataclass(frozen=True, slots=True)
class _Found:
    """A target that exists: its name for people and the deliveries that it stands for."""

    name: str
    selection: Selection
    scope: str = ""
    provider: str = ""


class Destinations:
    """The destinations of all workspaces."""

    def __init__(self, database: Database, clock: Clock, campaign_service: Campaigns) -> None:
        self._database = database
        self._clock = clock
        self._campaigns = campaign_service

    async def list(self, workspace_id: int, *, everything: bool = False) -> Sequence[DestinationStatus]:
        """Destinations where something waits or that are not open, by id; ``everything``: the idle ones too."""
        now = self._clock.now()
        found = await self._database.read(partial(_statuses, workspace_id=workspace_id, now=now))
        return [one for one in found if everything or one.is_notable]

    async def get(self, workspace_id: int, destination_id: int) -> DestinationDetails:
        """One destination with all that is known; raises ``NotFoundError``."""
        now = self._clock.now()

        def look(connection: Connection) -> DestinationDetails | None:
            statuses = _statuses(connection, workspace_id, now)
            status = next((one for one in statuses if one.destination.id == destination_id), None)
            if status is None:
                return None
            domains = waiting.domains_at(connection, destination_id, limit=_MOST_DOMAINS)
            return DestinationDetails(status, domains, waiting.last_word(connection, destination_id))

        found = await self._database.read(look)
        if found is None:
            raise NotFoundError("destination")
        return found

    async def find(self, workspace_id: int, site: str) -> Destination:
        """The destination of that site; raises ``NotFoundError``."""
        found = await self._database.read(lambda one: routes.find_destination(one, workspace_id, site))
        if found is None:
            raise NotFoundError("destination")
        return found

    async def suspend(
        self, workspace_id: int, target: QueueTarget, note: Note, until: Microseconds | None = None
    ) -> int:
        """Send nothing more there until ``until`` or until it is resumed; returns how many deliveries were held.

        A destination keeps what waits in its queue; what goes to a domain is held; a campaign is paused. What is being
        transmitted ends by itself.
        """
        found, now = await self._found(workspace_id, target), self._clock.now()
        if until is not None and until <= now:
            raise RefusedError("until_past", say("The end of a suspension lies in the future."), field="until")
        if target.campaign_id is not None:
            if until is not None:
                raise RefusedError(
                    "until_not_possible", say("A paused campaign waits until it is resumed."), field="until"
                )
            await self._campaigns.pause(workspace_id, target.campaign_id)
        reason = note.clean or say("suspended by %(by)s", by=note.by)

        def store(connection: Connection) -> None:
            if found.scope:
                suspensions.suspend(connection, Suspended(workspace_id, found.scope), By.PERSON, reason, until, now)
            _log(connection, "suspended", found, note, now, until=until)

        await self._database.write(store)
        if target.domain is None:
            return 0
        return await self._all(
            partial(waiting.hold_back, which=found.selection, reason=say("Suspended: %(reason)s", reason=reason))
        )

    async def resume(self, workspace_id: int, target: QueueTarget, note: Note) -> None:
        """End what suspends the target, whoever began it; the pace stays slow where it was and recovers by itself.

        Raises ``RefusedError`` where nothing is suspended. What replies have suspended for the provider of a
        destination ends for all destinations of that provider.
        """
        found, now = await self._found(workspace_id, target), self._clock.now()
        if target.campaign_id is not None:
            await self._campaigns.resume(workspace_id, target.campaign_id)

        def store(connection: Connection) -> bool:
            ended = target.campaign_id is not None or _end(connection, workspace_id, found, now)
            if ended:
                _log(connection, "resumed", found, note, now)
            return ended

        if not await self._database.write(store):
            raise RefusedError("wrong_state", say("%(name)s is not suspended.", name=found.name))

    async def flush(self, workspace_id: int, target: QueueTarget, note: Note) -> int:
        """Try what is deferred at once; returns how many. Raises ``RefusedError`` while the target is suspended."""
        found, now = await self._found(workspace_id, target), self._clock.now()
        scopes = [scope for scope in (found.scope, found.provider) if scope]
        stopped = await self._database.read(
            partial(suspensions.in_force, workspace_id=workspace_id, now=now, scopes=scopes)
        )
        if stopped:
            sentence = say("%(name)s is suspended, so nothing of it would be tried.", name=found.name)
            raise RefusedError("wrong_state", sentence, next_step=say("Resume it first."))
        moved = await self._all(partial(waiting.make_due, which=found.selection, now=now))
        await self._database.write(partial(_log, action="flushed", found=found, note=note, now=now, deliveries=moved))
        return moved

    async def fail(self, workspace_id: int, target: QueueTarget, note: Note) -> int:
        """Settle what waits as failed with the note as its reason; returns how many. It cannot be taken back.

        Raises ``RefusedError`` without a note.
        """
        if not note.clean:
            raise RefusedError(
                "note_required",
                say("Failing a queue needs a note: it becomes the reason that stands with each delivery."),
                field="note",
                next_step=say("Say why."),
            )
        found, now = await self._found(workspace_id, target), self._clock.now()
        failed = await self._all(partial(waiting.fail, which=found.selection, reason=note.clean, by=note.by, now=now))
        await self._database.write(partial(_log, action="failed", found=found, note=note, now=now, deliveries=failed))
        return failed

    async def _all(self, work: Callable[[Connection], int]) -> int:
        total = 0
        while moved := await self._database.write(work):
            total += moved
        return total

    async def _found(self, workspace_id: int, target: QueueTarget) -> _Found:
        if target.domain is not None:
            name = target.domain.ascii
            return _Found(
                say("Mail to %(name)s", name=name), Selection(workspace_id, domain=name), suspensions.domain_scope(name)
            )
        if target.campaign_id is not None:
            campaign = await self._campaigns.get(workspace_id, target.campaign_id)
            run = await self._database.read(lambda connection: campaigns.latest_run(connection, campaign.id))
            if run is None:
                raise RefusedError(
                    "wrong_state",
                    say("The campaign is %(state)s; nothing of it is queued.", state=state_word(campaign.state)),
                )
            return _Found(say("The campaign '%(name)s'", name=campaign.name), Selection(workspace_id, run_id=run.id))
        assert target.destination_id is not None  # one of the three, see QueueTarget
        wanted = target.destination_id
        (destination,) = await self._database.read(lambda one: routes.list_destinations(one, [wanted])) or (None,)
        if destination is None or destination.workspace_id != workspace_id:
            raise NotFoundError("destination")
        return _Found(
            say("The destination %(site)s", site=destination.site),
            Selection(workspace_id, destination_id=wanted),
            suspensions.destination_scope(wanted),
            suspensions.provider_scope(destination.provider),
        )


def end_suspensions(connection: Connection, now: Microseconds) -> int:
    """End what people suspended until a moment that has passed, with an event each; returns how many."""
    ended = suspensions.ended(connection, now)
    for workspace_id, one in ended:
        if suspensions.resume(connection, Suspended(workspace_id, one.scope, one.egress), By.PERSON):
            kind = "destination_resumed" if one.scope.startswith("destination:") else "queue_resumed"
            data = {"scope": one.scope, "by": "time", "note": one.reason}
            events.append(connection, [events.NewEvent(workspace_id, kind, now, data=data)], now)
    return len(ended)


def suspended_domains(connection: Connection, workspace_id: int, now: Microseconds) -> dict[str, str]:
    """Recipient domains that a person has suspended, with the reason."""
    found = suspensions.in_force(connection, workspace_id, now)
    prefix = suspensions.domain_scope("")
    return {one.scope.removeprefix(prefix): one.reason for one in found if one.scope.startswith(prefix)}


def _statuses(connection: Connection, workspace_id: int, now: Microseconds) -> Sequence[DestinationStatus]:
    waits = waiting.by_destination(connection, workspace_id)
    held = shaping.connections_held(connection, workspace_id)
    slowed: dict[str, list[SlowedPace]] = {}
    for key, pace in shaping.list_paces(connection, workspace_id).items():
        if pace.is_slowed:
            slowed.setdefault(key.scope, []).append(_slowed(key, pace))
    stopped: dict[str, list[Suspension]] = {}
    for one in suspensions.in_force(connection, workspace_id, now):
        stopped.setdefault(one.scope, []).append(one)
    found: list[DestinationStatus] = []
    for destination in routes.destinations_of(connection, workspace_id):
        scopes = (
            suspensions.provider_scope(destination.provider),
            suspensions.destination_scope(destination.id),
        )
        found.append(
            DestinationStatus(
                destination,
                waits.get(destination.id, Waiting(destination.id)),
                held.get(destination.id, 0),
                tuple(one for scope in scopes for one in slowed.get(scope, ())),
                tuple(one for scope in scopes for one in stopped.get(scope, ())),
            )
        )
    return found


def _slowed(key: PaceKey, pace: Pace) -> SlowedPace:
    due = raised_at(pace, AdaptationPolicy())
    return SlowedPace(key.scope, key.egress, pace.limits, pace.rule, pace.evidence, pace.changed_at, due)


def _end(connection: Connection, workspace_id: int, found: _Found, now: Microseconds) -> bool:
    """End the suspensions of a destination (with its provider's by rules) or of a domain."""
    ended = suspensions.resume(connection, Suspended(workspace_id, found.scope), By.PERSON)
    for key in shaping.list_paces(connection, workspace_id):
        if key.scope in (found.scope, found.provider):
            change = shaping.change_pace(connection, key, partial(_resumed, now=now), {}, now)
            ended = ended or change is not None
    return ended


def _resumed(pace: Pace, now: Microseconds) -> PaceChange | None:
    return resume(pace, now) if pace.is_suspended(now) else None


def _log(
    connection: Connection,
    action: str,
    found: _Found,
    note: Note,
    now: Microseconds,
    **more: int | None,
) -> None:
    kind = "destination" if found.selection.destination_id is not None and action in _PACE_ACTIONS else "queue"
    data = {
        "target": found.name,
        "scope": found.scope,
        "by": note.by,
        "note": note.clean,
        "destination_id": found.selection.destination_id,
        "domain": found.selection.domain,
        **more,
    }
    workspace_id, run_id = found.selection.workspace_id, found.selection.run_id
    events.append(connection, [events.NewEvent(workspace_id, f"{kind}_{action}", now, run_id, data=data)], now)


_PACE_ACTIONS = frozenset({"suspended", "resumed"})
