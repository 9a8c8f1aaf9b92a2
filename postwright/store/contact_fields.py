"""The definitions of typed contact fields, and writing their values."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select, text

from hygiene.segments.errors import FieldValueError
from hygiene.segments.fields import FieldDefinition, FieldKind, Value, coerce, increment
from mailtypes.clock import Microseconds
from postwright.store.records import BY_ID, insert_row, table
from postwright.store.rowsets import storable

_field, _contact = table("contact_field"), table("contact")


def list_fields(connection: Connection, workspace_id: int) -> list[FieldDefinition]:
    """All fields that were defined, by name."""
    statement = (
        select(_field.c.name, _field.c.kind, _field.c.choices)
        .where(_field.c.workspace_id == workspace_id)
        .order_by(_field.c.name)
    )
    return [
        FieldDefinition(row[0], FieldKind(row[1]), tuple(json.loads(row[2]))) for row in connection.execute(statement)
    ]


def find_field(connection: Connection, workspace_id: int, name: str) -> FieldDefinition | None:
    """The definition of that name."""
    return next((one for one in list_fields(connection, workspace_id) if one.name == name), None)


def add_field(connection: Connection, workspace_id: int, definition: FieldDefinition, now: Microseconds) -> int:
    """Define a field; returns its id. The name must be free."""
    return insert_row(
        connection,
        _field,
        workspace_id=workspace_id,
        name=definition.name,
        kind=str(definition.kind),
        choices=json.dumps(definition.choices, ensure_ascii=False),
        created_at=now,
    )


def change_choices(connection: Connection, workspace_id: int, name: str, choices: Sequence[str]) -> None:
    """Give a field of the kind choice other choices; what contacts have stays."""
    connection.execute(
        _field.update()
        .where(_field.c.workspace_id == workspace_id, _field.c.name == name)
        .values(choices=json.dumps(list(choices), ensure_ascii=False))
    )


def delete_field(connection: Connection, workspace_id: int, name: str) -> None:
    """Forget a definition; what contacts have stays."""
    connection.execute(delete(_field).where(_field.c.workspace_id == workspace_id, _field.c.name == name))


def coerce_stored(
    connection: Connection, workspace_id: int, definition: FieldDefinition, *, after: int = 0, limit: int = 1000
) -> tuple[int, int]:
    """Bring what ``limit`` contacts behind the id ``after`` have in a field over to its kind.

    What does not fit stays as it is. Returns the last id that was looked at (0 at the end) and how many were changed.
    """
    rows = connection.execute(
        select(_contact.c.id, _contact.c.fields)
        .with_hint(_contact, BY_ID, "sqlite")  # else it sorts all contacts each time
        .where(_contact.c.workspace_id == workspace_id, _contact.c.id > after)
        .order_by(_contact.c.id)
        .limit(limit)
        .with_for_update()
    ).all()
    changed = []
    for row in rows:
        fields = json.loads(row[1])
        if definition.name not in fields:
            continue
        fitting = _fitting(definition, fields[definition.name])
        if fitting is not None and (type(fitting), fitting) != (type(fields[definition.name]), fields[definition.name]):
            changed.append({"row": row[0], "fields": _written({**fields, definition.name: fitting})})
    if changed:
        connection.execute(text("UPDATE contact SET fields = :fields WHERE id = :row"), changed)
    return (rows[-1][0] if rows else 0), len(changed)


def _fitting(definition: FieldDefinition, value: object) -> Value | None:
    try:
        return coerce(definition, value)
    except FieldValueError:
        return None


def move_counter(
    connection: Connection,
    workspace_id: int,
    contact_id: int,
    counter: tuple[FieldDefinition, object],
    now: Microseconds,
) -> Value | None:
    """Move a number of one contact on by ``counter = (field, by)``; returns what it is now, ``None`` for no contact.

    The row is locked, so that two who count at once both count. Raises ``FieldValueError``.
    """
    definition, by = counter
    row = connection.execute(
        select(_contact.c.fields)
        .where(_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    fields = json.loads(row[0])
    moved = increment(definition, fields.get(definition.name), by)
    connection.execute(
        _contact.update()
        .where(_contact.c.id == contact_id)
        .values(fields=_written({**fields, definition.name: moved}), updated_at=now)
    )
    return moved


def _written(fields: Mapping[str, object]) -> str:
    return storable(json.dumps(fields, ensure_ascii=False))
