"""How long marketing mail may wait while its sender is being warmed up: the end of a run is put off meanwhile."""

from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import DAY
from postwright.services.warm_up_plans import stored_plan
from postwright.store import warm_ups
from postwright.store.warm_ups import domain_subject
from warmup.caps import Purpose
from warmup.terms import Overflow

PATIENCE: Final = 30 * DAY
"""Within a month every published schedule has passed a hundred times its first day; what is older is no news."""


def patience(connection: Connection, kind: str, domain_id: int) -> int:
    """How long a run of this sender domain may take if nobody said so, in microseconds; 0 where nothing has to wait.

    ``kind`` is that of the stream: marketing mail waits, where the plan of the domain or of an address says so.
    """
    if kind != Purpose.MARKETING:
        return 0
    own = domain_subject(domain_id)
    for one in warm_ups.all_active(connection):
        is_meant = one.subject == own or not one.is_of_domain
        if is_meant and stored_plan(one.plan).overflow == Overflow.WAITS:
            return PATIENCE
    return 0
