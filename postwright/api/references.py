"""What answers refer to: the ids and names of lists, templates, domains, streams, runs and messages, read together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from postwright.api.representations import LIST, MESSAGE, RUN, TEMPLATE, Reference, outward
from postwright.services.errors import NotFoundError
from postwright.store import campaigns, contacts, domains, recipients, suppressions, templates, workspaces
from postwright.store.campaigns import Campaign, Run
from postwright.store.contacts import ContactList
from postwright.store.database import Database
from postwright.store.public_ids import run_of_delivery
from postwright.store.suppressions import Suppression


@dataclass(frozen=True, slots=True)
class CampaignParts:
    """What a campaign is made of, for its readers."""

    contact_list: Reference | None
    template: Reference
    domain: str
    stream: str


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """A message and its run as outsiders see them."""

    id: str
    run: str
    address: str


class References:
    """Reads that only the API needs, since only it shows public ids; everything stays within a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lists(self, workspace_id: int) -> list[tuple[ContactList, int]]:
        """All lists with their numbers of contacts."""
        return await self._database.read(lambda connection: contacts.list_lists(connection, workspace_id))

    async def list_of(self, workspace_id: int, list_id: int) -> Reference:
        """A list; raises ``NotFoundError``."""
        found = await self._database.read(lambda connection: contacts.get_list(connection, workspace_id, list_id))
        if found is None:
            raise NotFoundError("list")
        return Reference(id=outward(LIST, found.created_at, found.id), name=found.name)

    async def list_with_count(self, workspace_id: int, list_id: int) -> tuple[ContactList, int]:
        """A list with its number of contacts; raises ``NotFoundError``."""

        def read(connection: Connection) -> tuple[ContactList, int]:
            found = contacts.get_list(connection, workspace_id, list_id)
            if found is None:
                raise NotFoundError("list")
            return found, contacts.count_list(connection, list_id)

        return await self._database.read(read)

    async def list_ids(self, workspace_id: int, list_ids: Iterable[int]) -> Mapping[int, str]:
        """The public ids of lists."""

        def read(connection: Connection) -> dict[int, str]:
            found = (contacts.get_list(connection, workspace_id, list_id) for list_id in set(list_ids))
            return {item.id: outward(LIST, item.created_at, item.id) for item in found if item is not None}

        return await self._database.read(read)

    async def suppressions(self, workspace_id: int, address_text: str) -> list[Suppression]:
        """The suppressions of one address; raises ``AddressSyntaxError``."""
        key = EmailAddress.parse(address_text).key
        return await self._database.read(
            lambda connection: suppressions.list_suppressions(connection, workspace_id, address_key=key, limit=1000)
        )

    async def run(self, workspace_id: int, run_id: int) -> Run:
        """A run; raises ``NotFoundError``."""
        found = await self._database.read(lambda connection: campaigns.get_run(connection, run_id))
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("run")
        return found

    async def parts_of(self, drafts: Sequence[Campaign]) -> Mapping[int, CampaignParts]:
        """What each of these campaigns is made of, by campaign id."""
        return await self._database.read(lambda connection: {draft.id: _parts(connection, draft) for draft in drafts})

    async def runs(self, run_ids: Iterable[int]) -> Mapping[int, str]:
        """The public ids of runs."""

        def read(connection: Connection) -> dict[int, str]:
            found = (campaigns.get_run(connection, run_id) for run_id in set(run_ids))
            return {run.id: outward(RUN, run.created_at, run.id) for run in found if run is not None}

        return await self._database.read(read)

    async def messages(self, delivery_ids: Iterable[int]) -> Mapping[int, MessagePlace]:
        """Messages by their delivery's id."""

        def read(connection: Connection) -> dict[int, MessagePlace]:
            places: dict[int, MessagePlace] = {}
            runs: dict[int, str] = {}
            for delivery_id in set(delivery_ids):
                run_id = run_of_delivery(delivery_id)
                found = recipients.get_delivery(connection, run_id, delivery_id)
                if found is None:
                    continue
                if run_id not in runs:
                    run = campaigns.get_run(connection, run_id)
                    runs[run_id] = outward(RUN, run.created_at, run.id) if run else ""
                message = outward(MESSAGE, found.queued_at, found.id)
                places[delivery_id] = MessagePlace(message, runs[run_id], found.address)
            return places

        return await self._database.read(read)


def _parts(connection: Connection, campaign: Campaign) -> CampaignParts:
    list_id = campaign.list_id
    contact_list = None if list_id is None else contacts.get_list(connection, campaign.workspace_id, list_id)
    template = templates.get_template(connection, campaign.workspace_id, campaign.template_id)
    domain = domains.get_domain(connection, campaign.domain_id)
    stream = workspaces.get_stream(connection, campaign.stream_id)
    assert template is not None  # foreign keys
    assert domain is not None
    assert stream is not None
    return CampaignParts(
        None
        if contact_list is None
        else Reference(id=outward(LIST, contact_list.created_at, contact_list.id), name=contact_list.name),
        Reference(id=outward(TEMPLATE, template.created_at, template.id), name=template.name),
        domain.name,
        stream.name,
    )
