"""Which new deliveries need not wait for the scheduler: those that it would make ready at once.

Decided in the transaction that stores them, by the scheduler's own conditions. Whatever is not plain here (a route that
is not known or too old, hours for sending, a warm-up, a suspended domain, a moment that is still to come) is held for
it as before. What may have changed by the time of sending is asked again there: suppressions, suspensions and whether
the run still goes on by the lease, what a warm-up begun meanwhile takes back by itself.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from mailtypes.clock import Microseconds
from postwright.services.warm_up_release import EgressPlace
from postwright.store import campaigns, routes, suspensions, warm_ups
from postwright.store.campaigns import Run
from postwright.store.messages import NewMessage, Placement
from postwright.store.warm_ups import domain_subject, egress_subject

Destinations: TypeAlias = Mapping[tuple[int, str], int]
"""The destination of a run's mail to a recipient domain, where it may go at once."""


class ImmediateRelease:
    """``places`` are those of this install, as its workers have them; a warm-up of any of them lets nothing by."""

    def __init__(self, places: Sequence[EgressPlace] = ()) -> None:
        self._subjects = tuple(egress_subject(place.name) for place in places)

    def destinations(
        self,
        connection: Connection,
        messages: Sequence[NewMessage],
        placements: Mapping[int, Placement],
        now: Microseconds,
    ) -> Destinations:
        """Where the recipients of ``messages`` may go now; ``placements`` is by run id."""
        wanted: dict[int, set[str]] = {}
        for message in messages:
            placement = placements[message.run_id]
            if placement.destination_id is None and placement.due_at <= now:
                wanted.setdefault(message.run_id, set()).update(each.domain for each in message.recipients)
        found: dict[tuple[int, str], int] = {}
        for run_id in sorted(wanted):  # in one order, since rows are locked
            run = campaigns.get_run(connection, run_id)
            if run is not None and self._is_plain(connection, run):
                places = _routed(connection, run, sorted(wanted[run_id]), now)
                found |= {(run_id, domain): destination_id for domain, destination_id in places.items()}
        return found

    def _is_plain(self, connection: Connection, run: Run) -> bool:
        """Whether nothing but the routes decides when the run's mail goes out."""
        if run.state != "sending" or run.plan != "{}" or run.expiry is not None:
            return False
        warm_ups.hold_senders(connection, run.domain_id, run.stream_id)
        return not warm_ups.any_active(connection, [domain_subject(run.domain_id), *self._subjects])


def _routed(connection: Connection, run: Run, domains: list[str], now: Microseconds) -> dict[str, int]:
    known = routes.fresh_routes(connection, run.workspace_id, domains, now)
    scopes = [suspensions.domain_scope(domain) for domain in known]
    resting = {one.scope for one in suspensions.in_force(connection, run.workspace_id, now, scopes)} if known else set()
    return {
        domain: route.destination_id
        for domain, route in known.items()
        if route.destination_id is not None and suspensions.domain_scope(domain) not in resting
    }
