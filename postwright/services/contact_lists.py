"""The lists that contacts are on and the tags that they carry: made, renamed, deleted, told apart by tracking."""

from functools import partial

from sqlalchemy import Connection

from mailtypes.clock import Clock
from mailtypes.saying import say
from postwright.services.contacts import checked_tracking
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.import_options import check_tag
from postwright.store import contact_book, contact_facts, contacts
from postwright.store.contacts import ContactList
from postwright.store.database import Database
from postwright.store.segments import segments_naming_list


class ContactLists:
    """The lists and tags of a workspace."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tags(self, workspace_id: int) -> list[tuple[contact_facts.Tag, int]]:
        """All tags by name, each with its number of contacts."""
        return await self._database.read(partial(contact_facts.list_tags, workspace_id=workspace_id))

    async def make_tag(self, workspace_id: int, name: str) -> None:
        """Make a tag that nobody carries yet; raises ``RefusedError``."""
        kept, now = check_tag(name), self._clock.now()
        await self._database.write(partial(contact_facts.ensure_tag, workspace_id=workspace_id, name=kept, now=now))

    async def delete_tag(self, workspace_id: int, name: str) -> None:
        """Delete a tag; raises ``NotFoundError``. Segments that name it say so when they are asked."""

        def work(connection: Connection) -> None:
            tag_id = contact_book.find_tag(connection, workspace_id, name)
            if tag_id is None:
                raise NotFoundError("tag")
            contact_book.delete_tag(connection, workspace_id, tag_id)

        await self._database.write(work)

    async def change_list(
        self, workspace_id: int, list_id: int, *, name: str | None = None, tracking: str | None = None
    ) -> ContactList:
        """Give a list another name or tracking (empty: none of its own); raises ``RefusedError``, ``NotFoundError``."""
        wanted = checked_tracking(tracking)

        def work(connection: Connection) -> ContactList:
            found = _list(connection, workspace_id, list_id)
            if name is not None and name.strip() != found.name:
                if contacts.find_list(connection, workspace_id, check_tag(name)) is not None:
                    raise RefusedError(
                        "name_taken", say("There is a list '%(name)s' already.", name=name.strip()), field="name"
                    )
                _refuse_where_named(connection, workspace_id, found.name, say("renamed"))
                contact_book.rename_list(connection, workspace_id, list_id, check_tag(name))
            if wanted is not None:
                contact_book.set_list_tracking(connection, workspace_id, list_id, wanted or None)
            return _list(connection, workspace_id, list_id)

        return await self._database.write(work)

    async def delete_list(self, workspace_id: int, list_id: int) -> None:
        """Delete a list that nothing uses; its contacts stay. Raises ``RefusedError`` with what uses it."""

        def work(connection: Connection) -> None:
            found = _list(connection, workspace_id, list_id)
            _refuse_where_named(connection, workspace_id, found.name, say("deleted"))
            users = contact_book.users_of_list(connection, workspace_id, list_id)
            if users:
                named = ", ".join(one.replace("_", " ") for one in users)
                raise RefusedError(
                    "list_in_use",
                    say("The list is used (%(named)s) and cannot be deleted.", named=named),
                    next_step=say("Take its contacts off it, if nobody is to get its mail any more."),
                )
            contact_book.delete_list(connection, workspace_id, list_id)

        await self._database.write(work)

    async def list_tracking(self, workspace_id: int) -> dict[int, str]:
        """The tracking of the lists that say it, by list id."""
        return await self._database.read(partial(contact_book.list_tracking, workspace_id=workspace_id))

    async def lists(self, workspace_id: int) -> list[tuple[ContactList, int]]:
        """All lists by name, each with its number of contacts."""
        return await self._database.read(partial(contacts.list_lists, workspace_id=workspace_id))


def _list(connection: Connection, workspace_id: int, list_id: int) -> ContactList:
    found = contacts.get_list(connection, workspace_id, list_id)
    if found is None:
        raise NotFoundError("list")
    return found


def _refuse_where_named(connection: Connection, workspace_id: int, name: str, done: str) -> None:
    users = segments_naming_list(connection, workspace_id, name)
    if users:
        shown = ", ".join(repr(one) for one in users[:5])
        sentence = say("The list is part of the segment %(shown)s and cannot be %(done)s.", shown=shown, done=done)
        raise RefusedError("list_in_use", sentence, next_step=say("Take it out of the segment first."))
