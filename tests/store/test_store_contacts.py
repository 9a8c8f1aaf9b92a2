"""Contacts and lists, the imports that bring them, and the blobs that the files lie in."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import NoResultFound

from postwright.store import blobs, contacts, imports, workspaces
from postwright.store.database import Database
from postwright.store.records import table

# --- contacts -----------------------------------------------------------------------------------------------------


async def _put(world: Any, target: contacts.ContactList, *new: contacts.NewContact, now: int = 0) -> tuple[int, int]:
    counts: tuple[int, int] = await world.write(contacts.put_on_list, target, new, "import", now or world.now)
    return counts


async def test_new_and_known_contacts_are_counted(world: Any) -> None:
    target, other = await world.contact_list("one", []), await world.contact_list("two", [])
    assert await _put(world, target, world.contact("a"), world.contact("b")) == (2, 0)
    assert await _put(world, target, world.contact("b"), world.contact("c")) == (1, 1)
    assert await _put(world, other, world.contact("a"), world.contact("d")) == (1, 1)
    assert await world.read(contacts.count_list, target.id) == 3
    assert await world.read(contacts.count_list, other.id) == 2
    assert len(await world.read(contacts.list_contacts, world.workspace)) == 4


async def test_putting_the_same_again_changes_nothing(world: Any) -> None:
    target = await world.contact_list("one", [])
    new = [world.contact("a", name="Ann", city="Köln"), world.contact("b")]
    await _put(world, target, *new)
    before = await world.read(contacts.contacts_of_list, target.id, after=0, limit=10)
    assert await _put(world, target, *new) == (0, 2)
    after = await world.read(contacts.contacts_of_list, target.id, after=0, limit=10)
    assert [(one.id, json.loads(one.fields)) for one in after] == [(one.id, json.loads(one.fields)) for one in before]


async def test_fields_are_merged(world: Any) -> None:
    target = await world.contact_list("one", [])
    await _put(world, target, world.contact("a", name="Ann", city="Rome"))
    await _put(world, target, world.contact("a", city="שלום", plan='gold "plus" \\'))
    (found,) = await world.read(contacts.contacts_of_list, target.id, after=0, limit=10)
    assert json.loads(found.fields) == {"name": "Ann", "city": "שלום", "plan": 'gold "plus" \\'}
    assert await world.read(contacts.field_names, target.id) == {"name", "city", "plan"}


@pytest.mark.parametrize("value", ["", "null", "{}", "0", "a\x00b", "half \ud800 pair", "'; DROP TABLE contact; --"])
async def test_any_field_value_survives_a_second_import(world: Any, value: str) -> None:
    target = await world.contact_list("one", [])
    await _put(world, target, world.contact("a", odd=value))
    await _put(world, target, world.contact("a", odd=value, more="x"))
    (found,) = await world.read(contacts.contacts_of_list, target.id, after=0, limit=10)
    shown = value.replace("\x00", "\ufffd").replace("\ud800", "?")
    assert json.loads(found.fields) == {"odd": shown, "more": "x"}


async def test_a_list_is_read_by_pages_in_the_order_of_ids(world: Any) -> None:
    target = await world.contact_list("one", [f"c{number}" for number in range(7)])
    await world.contact_list("two", ["x"])
    pages: list[contacts.Contact] = []
    for _ in range(3):
        pages += await world.read(contacts.contacts_of_list, target.id, after=pages[-1].id if pages else 0, limit=3)
    assert [one.id for one in pages] == sorted(one.id for one in pages)
    assert sorted(one.address for one in pages) == [f"c{number}@example.test" for number in range(7)]
    assert await world.read(contacts.contacts_of_list, target.id, after=pages[-1].id, limit=3) == []


async def test_workspaces_do_not_share_contacts_or_lists(world: Any) -> None:
    await world.contact_list("one", ["a"])
    second = await world.write(workspaces.create_workspace, "second", world.now)
    theirs = await world.write(contacts.ensure_list, second, "one", world.now)
    assert await _put(world, theirs, world.contact("a")) == (1, 0)
    assert await world.read(contacts.get_list, world.workspace, theirs.id) is None
    assert [item.id for item, _ in await world.read(contacts.list_lists, second)] == [theirs.id]


async def test_lists_are_found_and_sized(world: Any) -> None:
    two, one = await world.contact_list("two", ["a", "b"]), await world.contact_list("one", [])
    assert await world.write(contacts.ensure_list, world.workspace, "two", world.now + 1) == two
    assert await world.read(contacts.list_lists, world.workspace) == [(one, 0), (two, 2)]


async def test_processes_that_import_the_same_people_in_another_order(
    world: Any, open_database: Callable[[], Database]
) -> None:
    """PostgreSQL resolves the deadlock by ending one of them; its job has to run again."""
    target = await world.contact_list("one", [])
    new = [world.contact(f"c{number}", n=str(number)) for number in range(150)]

    async def import_all(database: Database, rows: list[contacts.NewContact]) -> None:
        for _ in range(4):
            await database.write(lambda connection: contacts.put_on_list(connection, target, rows, "import", world.now))

    await asyncio.gather(import_all(open_database(), new), import_all(open_database(), new[::-1]))
    assert await world.read(contacts.count_list, target.id) == 150
    assert len(await world.read(contacts.list_contacts, world.workspace, limit=1000)) == 150


# --- imports ------------------------------------------------------------------------------------------------------


async def _job(world: Any) -> imports.ImportJob:
    target = await world.contact_list("imported", [])
    blob = await world.write(blobs.put_blob, world.workspace, b"a,b\n", world.now)
    job = await world.write(imports.add_job, world.workspace, target.id, ("people.csv", blob), world.now)
    await world.write(imports.make_draft, job, blob)
    assert await world.write(imports.begin_job, job, "{}", "print", 10) is True
    assert await world.write(imports.begin_job, job, "{}", "print", 10) is False
    found: imports.ImportJob = await world.read(imports.get_job, world.workspace, job)
    return found


async def test_a_chunk_is_counted_once_whoever_brings_it(world: Any, open_database: Callable[[], Database]) -> None:
    job = await _job(world)
    assert (job.state, job.rows_read, job.rows_total) == ("waiting", 0, 10)
    progress = imports.Progress(4, 2, 1, [imports.Refusal(3, "x@", "syntax", "no domain")])
    databases = [open_database() for _ in range(3)]
    moved = await asyncio.gather(
        *(one.write(lambda connection: imports.advance(connection, job, progress)) for one in databases)
    )
    assert sorted(moved) == [False, False, True]
    after = await world.read(imports.get_job, world.workspace, job.id)
    assert (after.state, after.rows_read, after.created, after.updated, after.refused) == ("running", 4, 2, 1, 1)
    assert len(await world.read(imports.list_refusals, job.id)) == 1
    assert await world.write(imports.advance, after, replace(progress, refusals=[])) is True


async def test_an_ended_import_does_not_move(world: Any) -> None:
    job = await _job(world)
    assert await world.read(imports.unfinished_jobs) == [job]
    await world.write(imports.finish_job, job.id, world.now, cause="not a CSV file")
    assert await world.write(imports.advance, job, imports.Progress(1, 1, 0, [])) is False
    after = await world.read(imports.get_job, world.workspace, job.id)
    assert (after.state, after.cause, after.finished_at, after.rows_read) == ("failed", "not a CSV file", world.now, 0)
    assert await world.read(imports.unfinished_jobs) == []


async def test_refused_rows_by_page_and_by_code(world: Any) -> None:
    job = await _job(world)
    refusals = [imports.Refusal(line, "a\x00@b", "syntax" if line % 2 else "duplicate", "no") for line in range(2, 9)]
    await world.write(imports.advance, job, imports.Progress(7, 0, 0, refusals))
    first = await world.read(imports.list_refusals, job.id, limit=4)
    rest = await world.read(imports.list_refusals, job.id, after=first[-1].row_number)
    assert [one.row_number for one in first + rest] == list(range(2, 9))
    assert await world.read(imports.refusals_by_code, job.id) == {"duplicate": 4, "syntax": 3}
    assert await world.read(imports.get_job, world.workspace + 1, job.id) is None


# --- blobs --------------------------------------------------------------------------------------------------------


def _stored(connection: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table("blob"))).scalar_one())


async def test_the_last_reference_takes_the_bytes_along(world: Any) -> None:
    first = await world.write(blobs.put_blob, world.workspace, b"\x00\xff", world.now)
    assert await world.write(blobs.put_blob, world.workspace, b"\x00\xff", world.now) == first
    assert await world.write(blobs.put_blob, world.workspace, b"other", world.now) != first
    await world.write(blobs.release_blob, first)
    assert await world.read(blobs.get_blob, first) == b"\x00\xff"
    await world.write(blobs.release_blob, first)
    with pytest.raises(NoResultFound):
        await world.read(blobs.get_blob, first)
    assert await world.read(_stored) == 1


async def test_processes_that_store_the_same_bytes(world: Any, open_database: Callable[[], Database]) -> None:
    databases = [open_database() for _ in range(3)]
    for number in range(10):
        put = partial(blobs.put_blob, workspace_id=world.workspace, content=f"content {number}".encode(), now=world.now)
        ids = await asyncio.gather(*(one.write(put) for one in databases))
        assert len(set(ids)) == 1
        for left in (2, 1, 0):
            await world.write(blobs.release_blob, ids[0])
            assert await world.read(_stored) == (1 if left else 0)
