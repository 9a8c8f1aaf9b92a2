"""MTA-STS policies of recipient domains, held until they expire."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from mailtypes.clock import Microseconds
from postwright.store.records import insert_row, table

_policy = table("tls_policy")


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy as it was fetched; ``mode`` is enforce, testing or none, ``patterns`` name mail hosts."""

    domain: str
    policy_id: str
    mode: str
    patterns: tuple[str, ...]
    expires_at: int


def held_policies(
    connection: Connection, workspace_id: int, domains: Sequence[str], now: Microseconds
) -> dict[str, HeldPolicy]:
    """The policies of these domains that have not expired."""
    columns = (_policy.c.domain, _policy.c.policy_id, _policy.c.mode, _policy.c.patterns, _policy.c.expires_at)
    statement = select(*columns).where(
        _policy.c.workspace_id == workspace_id, _policy.c.domain.in_(domains), _policy.c.expires_at > now
    )
    rows = connection.execute(statement)
    return {row[0]: HeldPolicy(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4]) for row in rows}


def hold_policy(connection: Connection, workspace_id: int, policy: HeldPolicy) -> None:
    """Hold a policy in place of the one before."""
    connection.execute(delete(_policy).where(_policy.c.workspace_id == workspace_id, _policy.c.domain == policy.domain))
    insert_row(
        connection,
        _policy,
        workspace_id=workspace_id,
        domain=policy.domain,
        policy_id=policy.policy_id,
        mode=policy.mode,
        patterns=json.dumps(policy.patterns),
        expires_at=policy.expires_at,
    )
