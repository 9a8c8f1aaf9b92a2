"""Destinations: what waits where, how fast it goes and why; suspend, resume, flush and fail."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from mailtypes.clock import from_datetime
from mailtypes.domain import DomainName
from mta.shaping.pace import Limits
from postwright.api.callers import Admin, Caller, Reader
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    CAMPAIGN,
    Answer,
    Kind,
    Moment,
    Page,
    PageWanted,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.api.sender_checks import check_all_senders
from postwright.services.destinations import (
    LONGEST_NOTE,
    Destinations,
    DestinationState,
    DestinationStatus,
    Note,
    QueueTarget,
    SlowedPace,
)
from postwright.store.suspensions import Suspension

DESTINATION = Kind("dst", "destination")


class DestinationsWanted(PageWanted):
    """Which destinations."""

    everything: bool = Field(False, description="Those that are open and have nothing waiting, too.")


class TargetWanted(Wanted):
    """What an action is about: exactly one of destination, domain and campaign."""

    destination: Text | None = Field(None, max_length=100, description="A destination's id.")
    domain: Text | None = Field(None, max_length=300, description="A recipient domain.")
    campaign: Text | None = Field(None, max_length=100, description="A campaign's id.")
    note: Text = Field("", max_length=LONGEST_NOTE, description="Why; it is kept in the event log.")


class SuspensionWanted(TargetWanted):
    """What is to be sent nothing, and until when."""

    until: AwareDatetime | None = Field(
        None, strict=False, description="RFC 3339; none: until it is resumed. A campaign has no end."
    )


class FailureWanted(TargetWanted):
    """What is to be given up, and why: the note becomes the reason that stands with each delivery."""

    note: Text = Field(min_length=1, max_length=LONGEST_NOTE, description="The reason that stands with each delivery.")


class LimitsShown(Answer):
    """What replies have taken off the configured limits; `null`: as configured."""

    connections: int | None
    messages_per_connection: int | None
    rate: float | None = Field(description="Messages a second.")

    @classmethod
    def of(cls, limits: Limits) -> "LimitsShown":
        """The limits for the outside."""
        return cls(
            connections=limits.connections,
            messages_per_connection=limits.messages_per_connection,
            rate=limits.rate,
        )


class SlowedShown(Answer):
    """A pace below what is configured: by which rule, on what reply, and when it is raised if all stays quiet."""

    scope: str = Field(description="destination:<number> or provider:<name>")
    egress: str = Field(description="The address that the mail leaves from.")
    limits: LimitsShown
    rule: str
    evidence: str
    since: Moment | None
    raised_at: Moment | None

    @classmethod
    def of(cls, slow: SlowedPace) -> "SlowedShown":
        """A slowed pace for the outside."""
        return cls(
            scope=slow.scope,
            egress=slow.egress,
            limits=LimitsShown.of(slow.limits),
            rule=slow.rule,
            evidence=slow.evidence,
            since=optional_moment(slow.since),
            raised_at=optional_moment(slow.raised_at),
        )


class SuspensionShown(Answer):
    """Nothing is sent within the scope until `until`; without it, until somebody resumes it."""

    scope: str
    egress: str = Field(description="Only for mail that leaves from this address; empty: for all.")
    by: str = Field(description="rule or person")
    reason: str
    since: Moment
    until: Moment | None

    @classmethod
    def of(cls, stop: Suspension) -> "SuspensionShown":
        """A suspension for the outside."""
        return cls(
            scope=stop.scope,
            egress=stop.egress,
            by=stop.kind,
            reason=stop.reason,
            since=moment(stop.created_at),
            until=optional_moment(stop.until),
        )


class DestinationSummary(Answer):
    """A destination (a set of mail hosts): what waits, the connections in use, and what keeps it from its pace."""

    id: str
    site: str
    provider: str
    hosts: list[str]
    state: DestinationState
    reason: str | None
    until: Moment | None = Field(
        description="When it goes on, or is raised a step; `null`: open, or waits for a person."
    )
    ready: int
    deferred: int
    under_way: int
    oldest_at: Moment | None
    next_at: Moment | None
    connections: int
    slowed: list[SlowedShown]
    suspensions: list[SuspensionShown]


class DomainWaiting(Answer):
    """How much waits for a recipient domain."""

    domain: str
    waiting: int


class DestinationShown(DestinationSummary):
    """A destination with the recipient domains that wait most, and its last word to what is deferred."""

    domains: list[DomainWaiting]
    last_word: str | None


class QueueChanged(Answer):
    """What an action did."""

    deliveries: int = Field(description="How many deliveries were moved.")


async def list_destinations(caller: Reader, query: Annotated[DestinationsWanted, Query()]) -> Page[DestinationSummary]:
    """Destinations where something waits or that are not open, in the order of their ids."""
    (after,) = read_cursor("destinations", query.cursor)
    found = await _service(caller).list(caller.workspace_id, everything=query.everything)
    rows = page_of(list(found), lambda one: one.destination.id, after, query.limit)
    return make_page("destinations", rows, query.limit, _summary, lambda one: (one.destination.id,), query.cursor)


async def get_destination(destination_id: str, caller: Reader) -> DestinationShown:
    """One destination: why it is slow, and when it goes on."""
    details = await _service(caller).get(caller.workspace_id, inward(DESTINATION, destination_id))
    return DestinationShown(
        **dict(_summary(details.status)),
        domains=[DomainWaiting(domain=name, waiting=number) for name, number in details.domains],
        last_word=details.last_word or None,
    )


async def suspend_queue(wanted: SuspensionWanted, caller: Admin) -> QueueChanged:
    """Send nothing there until `until`. What goes to a domain is held, a campaign is paused."""
    check_all_senders(caller)
    until = None if wanted.until is None else from_datetime(wanted.until)
    held = await _service(caller).suspend(caller.workspace_id, _target(wanted), _note(caller, wanted), until)
    return QueueChanged(deliveries=held)


async def resume_queue(wanted: TargetWanted, caller: Admin) -> QueueChanged:
    """End a suspension, whoever began it. The pace stays slow where it was and recovers by itself."""
    check_all_senders(caller)
    await _service(caller).resume(caller.workspace_id, _target(wanted), _note(caller, wanted))
    return QueueChanged(deliveries=0)


async def flush_queue(wanted: TargetWanted, caller: Admin) -> QueueChanged:
    """Try what is deferred at once."""
    check_all_senders(caller)
    moved = await _service(caller).flush(caller.workspace_id, _target(wanted), _note(caller, wanted))
    return QueueChanged(deliveries=moved)


async def fail_queue(wanted: FailureWanted, caller: Admin) -> QueueChanged:
    """Give up what waits: each delivery fails with the note as its reason. It cannot be taken back."""
    check_all_senders(caller)
    failed = await _service(caller).fail(caller.workspace_id, _target(wanted), _note(caller, wanted))
    return QueueChanged(deliveries=failed)


def add_destination_routes(router: APIRouter) -> None:
    """The routes of destinations."""
    router.add_api_route("/destinations", list_destinations, methods=["GET"])
    router.add_api_route("/destinations/suspend", suspend_queue, methods=["POST"])
    router.add_api_route("/destinations/resume", resume_queue, methods=["POST"])
    router.add_api_route("/destinations/flush", flush_queue, methods=["POST"])
    router.add_api_route("/destinations/fail", fail_queue, methods=["POST"])
    router.add_api_route("/destinations/{destination_id}", get_destination, methods=["GET"])


def _service(caller: Caller) -> Destinations:
    services = caller.services
    return Destinations(services.database, services.clock, services.campaigns)


def _target(wanted: TargetWanted) -> QueueTarget:
    return QueueTarget(
        None if wanted.destination is None else inward_field(DESTINATION, wanted.destination, "destination"),
        None if wanted.domain is None else DomainName.parse(wanted.domain),
        None if wanted.campaign is None else inward_field(CAMPAIGN, wanted.campaign, "campaign"),
    )


def _note(caller: Caller, wanted: TargetWanted) -> Note:
    return Note(f"API key '{caller.client.name}'", wanted.note)


def _summary(one: DestinationStatus) -> DestinationSummary:
    return DestinationSummary(
        # Destinations come and go with routes and keep no moment of creation.
        id=outward(DESTINATION, 0, one.destination.id),
        site=one.destination.site,
        provider=one.destination.provider,
        hosts=[host for group in one.destination.host_groups for host in group],
        state=one.state,
        reason=one.reason or None,
        until=optional_moment(one.until),
        ready=one.waiting.ready,
        deferred=one.waiting.deferred,
        under_way=one.waiting.under_way,
        oldest_at=optional_moment(one.waiting.oldest_at),
        next_at=optional_moment(one.waiting.next_at),
        connections=one.connections,
        slowed=[SlowedShown.of(slow) for slow in one.slowed],
        suspensions=[SuspensionShown.of(stop) for stop in one.suspensions],
    )
