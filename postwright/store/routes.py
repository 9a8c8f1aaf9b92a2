"""Where mail for a recipient domain goes: destinations (MX sites) and routes with a lifetime."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table

_destination, _route = table("destination"), table("route")
_VERIFIED = "mta-sts:"


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one domain: ``result`` is hosts, or why there is no destination (with ``cause``)."""

    domain: str
    result: str
    cause: str
    destination_id: int | None
    expires_at: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A site that takes mail; ``hosts`` is JSON: groups of MX host names, the best group first."""

    id: int
    workspace_id: int
    site: str
    provider: str
    hosts: str
    verified_tls: bool = False

    @property
    def host_groups(self) -> tuple[tuple[str, ...], ...]:
        """The MX host names by preference; those of a group are equal."""
        return tuple(tuple(group) for group in json.loads(self.hosts))


def save_destination(
    connection: Connection,
    workspace_id: int,
    site: str,
    provider: str,
    host_groups: tuple[tuple[str, ...], ...],
    *,
    verified_tls: bool = False,
) -> int:
    """The id of the destination of that site, made or brought up to date; one of its own for ``verified_tls``."""
    site = f"{_VERIFIED}{site}" if verified_tls else site
    values = {"provider": provider, "hosts": json.dumps(host_groups), "verified_tls": verified_tls}
    found = connection.execute(
        update(_destination)
        .where(_destination.c.workspace_id == workspace_id, _destination.c.site == site)
        .values(**values)
        .returning(_destination.c.id)
    ).scalar_one_or_none()
    return int(found) if found else insert_row(connection, _destination, workspace_id=workspace_id, site=site, **values)


def save_route(connection: Connection, workspace_id: int, route: Route) -> None:
    """Set the route of a domain."""
    values = {"result": route.result, "cause": route.cause, "destination_id": route.destination_id}
    changed = connection.execute(
        update(_route)
        .where(_route.c.workspace_id == workspace_id, _route.c.domain == route.domain)
        .values(expires_at=route.expires_at, **values)
    ).rowcount
    if not changed:
        insert_row(
            connection, _route, workspace_id=workspace_id, domain=route.domain, expires_at=route.expires_at, **values
        )


def fresh_routes(connection: Connection, workspace_id: int, domains: list[str], now: Microseconds) -> dict[str, Route]:
    """The routes of these domains that have not expired."""
    statement = select_as(Route, _route).where(
        _route.c.workspace_id == workspace_id, _route.c.domain.in_(domains), _route.c.expires_at > now
    )
    return {route.domain: route for route in fetch_all(connection, Route, statement)}


def list_destinations(connection: Connection, ids: list[int]) -> list[Destination]:
    """The destinations with these ids."""
    return fetch_all(connection, Destination, select_as(Destination, _destination).where(_destination.c.id.in_(ids)))


def destinations_of(connection: Connection, workspace_id: int) -> list[Destination]:
    """Every destination of a workspace in the order of their ids."""
    statement = select_as(Destination, _destination).where(_destination.c.workspace_id == workspace_id)
    return fetch_all(connection, Destination, statement.order_by(_destination.c.id))


def find_destination(connection: Connection, workspace_id: int, site: str) -> Destination | None:
    """The destination of that site."""
    return fetch_one(
        connection, Destination, _destination, _destination.c.workspace_id == workspace_id, _destination.c.site == site
    )


def providers(connection: Connection, workspace_id: int) -> dict[int, str]:
    """The provider of each destination."""
    statement = select(_destination.c.id, _destination.c.provider).where(_destination.c.workspace_id == workspace_id)
    return {int(row[0]): str(row[1]) for row in connection.execute(statement)}
