"""Rows of an import into contacts: one chunk, in the transaction that counts it.

A contact remembers which import wrote it last and from which line, so a second row of the file with the same address
is found by the unique key, whatever the size of the file, and after a restart too.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, text

from mailtypes.clock import Microseconds
from postwright.store.contact_facts import NewConsent, append_consents, ensure_tag, tag_contacts
from postwright.store.contacts import FieldValue, ensure_list, fields_json
from postwright.store.erased import erased_among
from postwright.store.records import table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset

_contact, _consent_state = table("contact"), table("consent_state")
_COLUMNS = {
    "address": TEXT,
    "address_key": TEXT,
    "domain": TEXT,
    "fields": TEXT,
    "locale": TEXT,
    "time_zone": TEXT,
    "import_line": BIGINT,
}
_LOOKED_UP = 500


class ImportedContact(NamedTuple):
    """A row; ``domain`` in A-labels, ``line`` in the file from 1, ``consent_at`` in microseconds."""

    address: str
    address_key: str
    domain: str
    fields: Mapping[str, FieldValue]
    line: int
    locale: str | None = None
    time_zone: str | None = None
    tags: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    consent_at: int | None = None


@dataclass(frozen=True, slots=True)
class BatchConsent:
    """What the rows agreed to; ``given_at`` where a row has no moment of its own."""

    scope: str
    scope_id: int
    source: str
    wording: str
    given_at: int


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """Where the rows go. ``rule`` is overwrite, fill or keep: what becomes of fields that a contact has already."""

    workspace_id: int
    list_id: int
    job_id: int
    source: str
    rule: str = "overwrite"
    tags: tuple[str, ...] = ()
    consent: BatchConsent | None = None


@dataclass(frozen=True, slots=True)
class PutRows:
    """``duplicates`` with the line where the address came first; ``archived`` and ``withdrawn`` are in all the same.

    ``erased`` asked to be forgotten: nothing of these rows is kept, the address least of all.
    """

    created: int
    updated: int
    duplicates: Sequence[tuple[ImportedContact, int]] = ()
    archived: Sequence[ImportedContact] = ()
    withdrawn: Sequence[ImportedContact] = ()
    erased: Sequence[ImportedContact] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A contact who was there before the chunk."""

    id: int
    fields: str
    locale: str | None
    time_zone: str | None
    archived_at: int | None
    import_id: int | None
    import_line: int | None


def put_imported(
    connection: Connection, batch: ImportBatch, contacts: Sequence[ImportedContact], now: Microseconds
) -> PutRows:
    """Add new contacts and bring known ones up to date, all of them on the list. The keys differ from each other."""
    gone = erased_among(connection, batch.workspace_id, (one.address_key for one in contacts))
    erased = [one for one in contacts if one.address_key in gone]
    contacts = [one for one in contacts if one.address_key not in gone] if gone else contacts
    if not contacts:
        return PutRows(0, 0, erased=erased)
    is_postgresql = connection.dialect.name == "postgresql"
    insert = _insert_into_postgresql if is_postgresql else _insert_into_sqlite
    created, ids = insert(connection, batch, contacts, now)
    known = _known(connection, batch, contacts, ids) if created < len(contacts) else {}
    repeated = {key for key, one in known.items() if one.import_id == batch.job_id}
    by_key = {one.address_key: one for one in contacts if one.address_key not in repeated}
    updated = {key: one for key, one in known.items() if key not in repeated}
    _update(connection, batch, [(by_key[key], one) for key, one in updated.items()], now)
    ids |= {key: one.id for key, one in updated.items()}
    withdrawn = _give(connection, batch, by_key, ids, now)
    return PutRows(
        created,
        len(updated),
        [(one, known[one.address_key].import_line or 0) for one in contacts if one.address_key in repeated],
        [by_key[key] for key, one in updated.items() if one.archived_at is not None],
        withdrawn,
        erased,
    )


_INSERT = (
    "INSERT INTO contact (workspace_id, address, address_key, domain, fields, locale, time_zone, import_line,"
    " import_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (workspace_id, address_key) DO NOTHING"
)
_JOIN_NEW = (
    "INSERT INTO list_membership (workspace_id, list_id, contact_id, joined_at, source)"
    " SELECT ?, ?, id, ?, ? FROM contact WHERE id > ?"
)


def _insert_into_sqlite(
    connection: Connection, batch: ImportBatch, contacts: Sequence[ImportedContact], now: Microseconds
) -> tuple[int, dict[str, int]]:
    """There is one writer, and ids go up: whoever has a higher id than anybody before is new. Ids only if needed."""
    newest = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM contact").scalar_one()
    workspace, job = batch.workspace_id, batch.job_id
    rows = [
        (
            workspace,
            one.address,
            one.address_key,
            one.domain,
            fields_json(one.fields),
            one.locale,
            one.time_zone,
            one.line,
            job,
            now,
            now,
        )
        for one in contacts
    ]
    connection.exec_driver_sql(_INSERT, rows)
    joined = (workspace, batch.list_id, now, batch.source, newest)
    created = connection.exec_driver_sql(_JOIN_NEW, joined).rowcount
    if created == len(contacts) and not _gives_more(batch, contacts):
        return created, {}
    found = connection.exec_driver_sql("SELECT address_key, id FROM contact WHERE id > ?", (newest,))
    return created, {row[0]: row[1] for row in found}


def _insert_into_postgresql(
    connection: Connection, batch: ImportBatch, contacts: Sequence[ImportedContact], now: Microseconds
) -> tuple[int, dict[str, int]]:
    given = rowset(connection, "given", _COLUMNS)
    rows = [
        {
            "address": one.address,
            "address_key": one.address_key,
            "domain": one.domain,
            "fields": fields_json(one.fields),
            "locale": one.locale,
            "time_zone": one.time_zone,
            "import_line": one.line,
        }
        for one in contacts
    ]
    values = {"rows": rows_json(rows), "workspace": batch.workspace_id, "job": batch.job_id, "now": now}
    names = ", ".join(_COLUMNS)
    found = connection.execute(
        text(
            f"INSERT INTO contact (workspace_id, {names}, import_id, created_at, updated_at)"  # noqa: S608
            f" SELECT :workspace, {names}, :job, :now, :now FROM {given}"
            # In one order, so that two imports wait for each other rather than lock each other out.
            " ORDER BY address_key ON CONFLICT (workspace_id, address_key) DO NOTHING RETURNING address_key, id"
        ),
        values,
    )
    ids = {row[0]: row[1] for row in found}
    join_lists(connection, batch.workspace_id, [(batch.list_id, one) for one in ids.values()], batch.source, now)
    return len(ids), ids


def join_lists(
    connection: Connection, workspace_id: int, places: Sequence[tuple[int, int]], source: str, now: Microseconds
) -> None:
    """Put contacts on lists, as pairs of list id and contact id; who is there stays as they came."""
    if not places:
        return
    statement = text(
        "INSERT INTO list_membership (workspace_id, list_id, contact_id, joined_at, source)"
        " VALUES (:workspace, :list, :contact, :now, :source) ON CONFLICT DO NOTHING"
    )
    common = {"workspace": workspace_id, "now": now, "source": source}
    connection.execute(statement, [common | {"list": one[0], "contact": one[1]} for one in sorted(set(places))])


def _known(
    connection: Connection, batch: ImportBatch, contacts: Sequence[ImportedContact], ids: Mapping[str, int]
) -> dict[str, _Known]:
    """Who was there before, locked, so that what is merged into has not changed meanwhile."""
    keys = sorted(one.address_key for one in contacts if one.address_key not in ids)
    columns = (_contact.c[name] for name in ("address_key", *_Known.__slots__))
    statement = (
        select(*columns)
        .where(
            _contact.c.workspace_id == batch.workspace_id, _contact.c.address_key.in_(bindparam("keys", expanding=True))
        )
        .order_by(_contact.c.id)
        .with_for_update()
    )
    found: dict[str, _Known] = {}
    for start in range(0, len(keys), _LOOKED_UP):
        for row in connection.execute(statement, {"keys": keys[start : start + _LOOKED_UP]}):
            found[row[0]] = _Known(*row[1:])
    return found


def _update(
    connection: Connection, batch: ImportBatch, pairs: Iterable[tuple[ImportedContact, _Known]], now: Microseconds
) -> None:
    changed, seen = [], []
    places = []
    for given, known in pairs:
        places.append((batch.list_id, known.id))
        mark = {"row": known.id, "job": batch.job_id, "line": given.line}
        new = _merged(batch.rule, given, known)
        if new is None:
            seen.append(mark)
        else:
            changed.append(mark | new | {"now": now})
    mark_sql = "UPDATE contact SET import_id = :job, import_line = :line"
    if changed:
        write = f"{mark_sql}, fields = :fields, locale = :locale, time_zone = :time_zone, updated_at = :now"
        connection.execute(text(f"{write} WHERE id = :row"), changed)
    if seen:
        connection.execute(text(f"{mark_sql} WHERE id = :row"), seen)
    join_lists(connection, batch.workspace_id, places, batch.source, now)


def _merged(rule: str, given: ImportedContact, known: _Known) -> dict[str, str | None] | None:
    """The new columns of a known contact; ``None`` where nothing changes."""
    if rule == "keep":
        return None
    old = json.loads(known.fields)
    told = {name: value for name, value in given.fields.items() if value is not None}
    wins = rule == "overwrite"
    new = old | told if wins else told | {name: one for name, one in old.items() if one not in (None, "")}
    locale = (given.locale or known.locale) if wins else (known.locale or given.locale)
    zone = (given.time_zone or known.time_zone) if wins else (known.time_zone or given.time_zone)
    if new == old and (locale, zone) == (known.locale, known.time_zone):
        return None
    ordered = {name: new[name] for name in (*old, *(one for one in new if one not in old)) if name in new}
    return {"fields": fields_json(ordered), "locale": locale, "time_zone": zone}


def _gives_more(batch: ImportBatch, contacts: Iterable[ImportedContact]) -> bool:
    return bool(batch.tags or batch.consent or any(one.tags or one.lists for one in contacts))


def _give(
    connection: Connection,
    batch: ImportBatch,
    contacts: Mapping[str, ImportedContact],
    ids: Mapping[str, int],
    now: Microseconds,
) -> list[ImportedContact]:
    """Tags, further lists and consent; returns who took consent back and so was not given it."""
    if not _gives_more(batch, contacts.values()):
        return []
    mine = {key: ids[key] for key in contacts}
    tagged: dict[str, list[int]] = {name: list(mine.values()) for name in batch.tags}
    listed: dict[str, list[int]] = {}
    for key, one in contacts.items():
        for name in one.tags:
            tagged.setdefault(name, []).append(mine[key])
        for name in one.lists:
            listed.setdefault(name, []).append(mine[key])
    for name, members in tagged.items():
        tag_contacts(
            connection, batch.workspace_id, ensure_tag(connection, batch.workspace_id, name, now), members, now
        )
    for name, members in listed.items():
        target = ensure_list(connection, batch.workspace_id, name, now).id
        join_lists(connection, batch.workspace_id, [(target, one) for one in members], batch.source, now)
    return _consent(connection, batch, contacts, mine) if batch.consent else []


def _consent(
    connection: Connection, batch: ImportBatch, contacts: Mapping[str, ImportedContact], ids: Mapping[str, int]
) -> list[ImportedContact]:
    consent = batch.consent
    assert consent is not None  # asked by the caller
    states = _consent_states(connection, batch.workspace_id, consent, list(ids.values()))
    new, withdrawn = [], []
    for key, one in contacts.items():
        at = one.consent_at or consent.given_at
        state = states.get(ids[key])
        if state is not None and state[0] == "withdrawn":
            withdrawn.append(one)
        elif state != ("given", at):
            scope = (ids[key], consent.scope, consent.scope_id)
            new.append(NewConsent(*scope, "given", consent.source, consent.wording, at))
    append_consents(connection, batch.workspace_id, new)
    return withdrawn


def _consent_states(
    connection: Connection, workspace_id: int, consent: BatchConsent, ids: Sequence[int]
) -> dict[int, tuple[str, int]]:
    found: dict[int, tuple[str, int]] = {}
    state = _consent_state.c
    for start in range(0, len(ids), _LOOKED_UP):
        statement = select(state.contact_id, state.state, state.occurred_at).where(
            state.workspace_id == workspace_id,
            state.scope == consent.scope,
            state.scope_id == consent.scope_id,
            state.contact_id.in_(ids[start : start + _LOOKED_UP]),
        )
        found |= {row[0]: (row[1], row[2]) for row in connection.execute(statement)}
    return found
