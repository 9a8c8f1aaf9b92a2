"""What one person may ask for (GDPR articles 15, 17 and 20): everything that is kept of them, and that it goes."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock
from postwright.store import erasure
from postwright.store.database import Database
from postwright.store.erased import is_erased
from postwright.store.erasure import Erasure
from postwright.store.person_records import person_records


class PeopleRights:
    """Export and erasure of one person, told by the address; both raise ``AddressSyntaxError``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def export(self, workspace_id: int, address_text: str) -> dict[str, Any]:
        """Everything that is kept of the person, as it would be written to JSON; ``erased`` where nothing may be."""
        address = EmailAddress.parse(address_text)

        def work(connection: Connection) -> dict[str, Any]:
            found = person_records(connection, workspace_id, address.key)
            return {"address": address.text, "erased": is_erased(connection, workspace_id, address.key), **found}

        return await self._database.read(work)

    async def erase(self, workspace_id: int, address_text: str) -> Erasure:
        """Forget the person for good, stop what is queued, and keep them suppressed by a keyed hash.

        It works for whoever is no contact, too: from then on nothing is sent to the address, by any path.
        """
        address = EmailAddress.parse(address_text)
        mentioned = await self._database.read(
            partial(erasure.mentions, workspace_id=workspace_id, address_key=address.key)
        )
        now = self._clock.now()
        return await self._database.write(
            partial(erasure.erase, workspace_id=workspace_id, address_key=address.key, mentioned=mentioned, now=now)
        )
