"""Whom a mail is looked at for before it goes out: real contacts that break templates, or an invented one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.saying import say
from postwright.services.composition import contact_data
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import contacts
from postwright.store.contacts import Contact
from postwright.store.database import Database
from rendering.sample_contacts import SampleContact, SampleKind, choose_samples

LOOKED_AT = 2000
"""Among how many contacts the telling ones are looked for; the first of the list or of the workspace."""
SAMPLE_DATA: Mapping[str, object] = MappingProxyType(
    {
        "contact": {
            "first_name": "Dana",
            "last_name": "Levi",
            "name": "Dana Levi",
            "email": "dana@example.com",
            "city": "Haifa",
            "company": "Acme",
            "language": "en",
            "locale": "en",
        }
    }
)
"""The invented contact."""


@dataclass(frozen=True, slots=True)
class PreviewContact:
    """A contact to look at a mail for. ``row_id`` 0 is the invented one; ``detail`` says why it was chosen."""

    row_id: int
    kind: SampleKind | None
    address: str
    detail: str
    data: Mapping[str, object]

    @property
    def locale(self) -> str:
        """The contact's language, where it tells."""
        fields = self.data.get("contact")
        told = fields.get("locale") or fields.get("language") if isinstance(fields, Mapping) else ""
        return str(told or "")


INVENTED = PreviewContact(0, None, "dana@example.com", "", SAMPLE_DATA)


class PreviewContacts:
    """Contacts of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def choose(self, workspace_id: int, list_id: int | None = None) -> tuple[PreviewContact, ...]:
        """A typical one, the longest name, the emptiest record, one in a right-to-left script.

        Empty where there is no contact; raises ``NotFoundError`` for the list.
        """
        rows = await self._database.read(partial(_first, workspace_id=workspace_id, list_id=list_id))
        records = [_fields(row) for row in rows]
        return tuple(_chosen(rows[sample.index], sample) for sample in choose_samples(records))

    async def by_id(self, workspace_id: int, row_id: int) -> PreviewContact:
        """The contact of that row; 0 is the invented one. Raises ``NotFoundError``."""
        if not row_id:
            return INVENTED
        rows = await self._database.read(
            lambda connection: contacts.list_contacts(connection, workspace_id, after=row_id - 1, limit=1)
        )
        if not rows or rows[0].id != row_id:
            raise NotFoundError("contact")
        return _contact(rows[0], None, "")

    async def by_address(self, workspace_id: int, address_text: str) -> PreviewContact:
        """The contact of that address; raises ``RefusedError`` where there is none."""
        try:
            key = EmailAddress.parse(address_text.strip()).key
        except AddressSyntaxError as error:
            raise RefusedError(
                "bad_address", error.message, field="contact", next_step=say("Write the address of a contact.")
            ) from error
        found = await self._database.read(partial(contacts.find_contact, workspace_id=workspace_id, address_key=key))
        if found is None:
            raise RefusedError(
                "unknown_contact",
                say("There is no contact with the address %(address)s.", address=address_text.strip()[:100]),
                field="contact",
                next_step=say("Import it first, or look at the mail for another contact."),
            )
        return _contact(found, SampleKind.ADDRESS, found.address)


def _first(connection: Connection, workspace_id: int, list_id: int | None) -> Sequence[Contact]:
    if list_id is None:
        return contacts.list_contacts(connection, workspace_id, limit=LOOKED_AT)
    if contacts.get_list(connection, workspace_id, list_id) is None:
        raise NotFoundError("list")
    return contacts.contacts_of_list(connection, list_id, after=0, limit=LOOKED_AT)


def _fields(row: Contact) -> dict[str, Any]:
    found = json.loads(row.fields)
    return {**found, "email": row.address}


def _chosen(row: Contact, sample: SampleContact) -> PreviewContact:
    return _contact(row, sample.kind, sample.detail)


def _contact(row: Contact, kind: SampleKind | None, detail: str) -> PreviewContact:
    return PreviewContact(row.id, kind, row.address, detail, contact_data(row.address, row.fields))
