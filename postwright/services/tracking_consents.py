"""When somebody who keeps contacts changes how one is tracked: the date, who said so, and in which words.

What was not recorded before that date is unknown, not "did not open": segments and hygiene go by the date
(``store.segment_sql``, ``store.hygiene_people``). The preference page keeps its own (``services.preferences``).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import Microseconds
from postwright.store import contact_book
from postwright.store.contact_activity import count_anew
from postwright.store.contact_facts import NewConsent, append_consents
from tracking.privacy import PrivacyMode, effective_mode

_TELLS: Final = {PrivacyMode.OFF: 0, PrivacyMode.AGGREGATE: 0, PrivacyMode.LAST_OPEN: 1, PrivacyMode.FULL: 2}
"""How much each mode tells of the person."""


@dataclass(frozen=True, slots=True)
class SaidBy:
    """Who hands a change in, and what the contact had read.

    ``source`` is ``api:`` with the name of a key, or ``page:`` with the address of a user.
    """

    source: str
    wording: str = ""


def keep_tracking_consent(
    connection: Connection, workspace_id: int, contact_id: int, tracking: str, said: SaidBy, now: Microseconds
) -> None:
    """Keep what a contact's new mode says of its consent, in the transaction that stores it and before it does.

    More that is told of the person is a consent given now, nothing any more is one withdrawn; what was recorded stays,
    since only the person's own "no" works backwards. The same said again keeps nothing.
    """
    before = _TELLS[effective_mode(None, contact_book.lock_tracking(connection, workspace_id, contact_id))]
    after = _TELLS[effective_mode(None, tracking or None)]
    if after > before:
        state = "given"
        count_anew(connection, contact_id)
    elif after == 0 < before:
        state = "withdrawn"
    else:
        return
    entry = NewConsent(contact_id, "tracking", 0, state, said.source, said.wording, now)
    append_consents(connection, workspace_id, [entry])
