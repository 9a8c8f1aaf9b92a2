"""Typed contact fields: what a merge field holds, and values that fit."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from hygiene.segments.errors import FieldValueError
from hygiene.segments.fields import FieldDefinition, FieldKind, Value, check_definition, coerce
from mailtypes.clock import Clock
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import contact_fields
from postwright.store.database import Database

_MOST_FIELDS = 200
_CHUNK = 1000

Coercer = Callable[[Mapping[str, object]], tuple[dict[str, Value], list[FieldValueError]]]


class ContactFields:
    """The fields of a workspace that have a kind; all others are text."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def definitions(self, workspace_id: int) -> list[FieldDefinition]:
        """All definitions by name."""
        return await self._database.read(partial(contact_fields.list_fields, workspace_id=workspace_id))

    async def define(self, workspace_id: int, definition: FieldDefinition) -> int:
        """Define a field, and bring over what contacts have in it already; returns how many values were brought over.

        Values that do not fit stay, and count as none. Raises ``FieldValueError``, and ``RefusedError`` where the
        field has a kind already.
        """
        check_definition(definition)
        now = self._clock.now()

        def store(connection: Connection) -> None:
            known = contact_fields.list_fields(connection, workspace_id)
            if any(one.name == definition.name for one in known):
                raise RefusedError(
                    "name_taken", say("The field '%(name)s' is defined already.", name=definition.name), field="name"
                )
            if len(known) >= _MOST_FIELDS:
                raise RefusedError(
                    "too_many_fields",
                    say("There are %(most_fields)s defined fields already.", most_fields=_MOST_FIELDS),
                )
            contact_fields.add_field(connection, workspace_id, definition, now)

        await self._database.write(store)
        return await self.bring_over(workspace_id, definition)

    async def bring_over(self, workspace_id: int, definition: FieldDefinition) -> int:
        """Coerce what is stored, a thousand contacts at a time; safe to repeat. Returns how many values changed."""
        if definition.kind is FieldKind.TEXT:
            return 0
        after = changed = 0
        while True:
            work = partial(
                contact_fields.coerce_stored,
                workspace_id=workspace_id,
                definition=definition,
                after=after,
                limit=_CHUNK,
            )
            after, some = await self._database.write(work)
            changed += some
            if after == 0:
                return changed

    async def change_choices(self, workspace_id: int, name: str, choices: Sequence[str]) -> FieldDefinition:
        """Give a choice field other choices; raises ``NotFoundError`` and ``FieldValueError``."""

        def store(connection: Connection) -> FieldDefinition:
            found = contact_fields.find_field(connection, workspace_id, name)
            if found is None:
                raise NotFoundError("contact field")
            changed = FieldDefinition(name, found.kind, tuple(choices))
            check_definition(changed)
            contact_fields.change_choices(connection, workspace_id, name, choices)
            return changed

        return await self._database.write(store)

    async def delete(self, workspace_id: int, name: str) -> None:
        """Forget a definition: the field is text again, and what is stored stays. Raises ``NotFoundError``."""

        def store(connection: Connection) -> None:
            if contact_fields.find_field(connection, workspace_id, name) is None:
                raise NotFoundError("contact field")
            contact_fields.delete_field(connection, workspace_id, name)

        await self._database.write(store)

    async def count(self, workspace_id: int, contact_id: int, name: str, by: object) -> Value:
        """Move a number of one contact on; two who do so at once both count.

        Raises ``NotFoundError`` and ``FieldValueError``.
        """
        now = self._clock.now()

        def store(connection: Connection) -> Value:
            definition = contact_fields.find_field(connection, workspace_id, name)
            if definition is None:
                raise NotFoundError("contact field")
            moved = contact_fields.move_counter(connection, workspace_id, contact_id, (definition, by), now)
            if moved is None:
                raise NotFoundError("contact")
            return moved

        return await self._database.write(store)

    async def coercer(self, workspace_id: int) -> Coercer:
        """What fits values to the fields of the workspace: for imports, forms and the API."""
        return make_coercer(await self.definitions(workspace_id))


def make_coercer(definitions: Sequence[FieldDefinition]) -> Coercer:
    """Values by field name in; those that fit (empty ones left out) and what is wrong with the others out."""
    by_name = {one.name: one for one in definitions}

    def fit(values: Mapping[str, object]) -> tuple[dict[str, Value], list[FieldValueError]]:
        fitting: dict[str, Value] = {}
        faults: list[FieldValueError] = []
        for name, value in values.items():
            definition = by_name.get(name) or FieldDefinition(name, FieldKind.TEXT)
            try:
                found = coerce(definition, value)
            except FieldValueError as fault:
                faults.append(fault)
                continue
            if found is not None:
                fitting[name] = found
        return fitting, faults

    return fit
