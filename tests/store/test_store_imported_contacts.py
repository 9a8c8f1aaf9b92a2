"""Chunks of an import, contacts looked up and changed, blobs in pieces: on both databases."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from postwright.store import blobs, contact_book
from postwright.store.contact_book import ContactChange, ContactQuery
from postwright.store.imported_contacts import BatchConsent, ImportBatch, ImportedContact, put_imported


def _one(name: str, line: int, **more: Any) -> ImportedContact:
    fields = more.pop("fields", {"name": name})
    return ImportedContact(f"{name}@example.test", f"{name}@example.test", "example.test", fields, line, **more)


async def _batch(world: Any, job: int = 7) -> ImportBatch:
    target = await world.contact_list("one", [])
    return ImportBatch(world.workspace, target.id, job, "import:x")


async def test_a_chunk_tells_new_known_and_repeated_rows_apart(world: Any) -> None:
    batch = await _batch(world)
    first = await world.write(put_imported, batch, [_one("a", 2), _one("b", 3)], world.now)
    assert (first.created, first.updated) == (2, 0)
    second = await world.write(put_imported, batch, [_one("b", 9), _one("c", 10)], world.now)
    assert (second.created, second.updated) == (1, 0)
    assert [(one.address, line) for one, line in second.duplicates] == [("b@example.test", 3)]
    again = replace(batch, job_id=8)
    third = await world.write(put_imported, again, [_one("a", 2, fields={"age": "5"}, locale="he")], world.now)
    assert (third.created, third.updated, third.duplicates) == (0, 1, [])
    cards = await world.read(contact_book.list_cards, world.workspace, ContactQuery(), world.now)
    assert [(one.address, json.loads(one.fields), one.locale) for one in cards] == [
        ("a@example.test", {"name": "a", "age": "5"}, "he"),
        ("b@example.test", {"name": "b"}, None),
        ("c@example.test", {"name": "c"}, None),
    ]


async def test_tags_lists_and_consent_come_along(world: Any) -> None:
    batch = await _batch(world)
    consent = BatchConsent("list", batch.list_id, "fair", "Yes", 5)
    batch = replace(batch, tags=("all",), consent=consent)
    rows = [_one("a", 2, tags=("vip",), lists=("two",)), _one("b", 3, consent_at=9)]
    await world.write(put_imported, batch, rows, world.now)
    await world.write(put_imported, replace(batch, job_id=8), rows, world.now)
    ids = await world.read(contact_book.list_ids, world.workspace, ContactQuery(), world.now, after=0, limit=10)
    tags = await world.read(contact_book.tags_of, world.workspace, ids)
    assert [[name for name, _ in tags[one]] for one in ids] == [["all", "vip"], ["all"]]
    lists = await world.read(contact_book.memberships, world.workspace, ids)
    assert [sorted(one.name for one in lists[row]) for row in ids] == [["one", "two"], ["one"]]


async def test_contacts_are_changed_archived_and_found(world: Any) -> None:
    batch = await _batch(world)
    await world.write(put_imported, batch, [_one("a", 2, fields={"q": 'say "hi" 50%'}), _one("b", 3)], world.now)
    find = partial(world.read, contact_book.list_ids, world.workspace)
    everybody = await find(ContactQuery(), world.now, after=0, limit=9)
    assert await find(ContactQuery(search='"hi" 50%'), world.now, after=0, limit=9) == everybody[:1]
    assert await find(ContactQuery(search="50_"), world.now, after=0, limit=9) == []
    change = ContactChange({"q": None, "n": 3}, locale="he", tracking="off")
    assert await world.write(contact_book.change_contact, world.workspace, everybody[0], change, world.now) is True
    card = await world.read(contact_book.get_card, world.workspace, everybody[0])
    assert (json.loads(card.fields), card.locale, card.tracking) == ({"n": 3}, "he", "off")
    assert await world.write(contact_book.change_contact, world.workspace + 1, everybody[0], change, 1) is False
    assert await world.write(contact_book.archive, world.workspace, everybody, world.now) == 2
    assert await world.write(contact_book.archive, world.workspace, everybody[:1], world.now) == 0
    assert await find(ContactQuery(), world.now, after=0, limit=9) == []
    assert await world.write(contact_book.restore, world.workspace, everybody) == 2
    assert await world.write(contact_book.leave_list, world.workspace, batch.list_id, everybody) == 2
    assert await world.read(contact_book.users_of_list, world.workspace, batch.list_id) == []
    await world.write(contact_book.delete_list, world.workspace, batch.list_id)


async def test_a_blob_in_pieces_is_one_with_the_same_bytes(world: Any) -> None:
    async def store(name: str) -> tuple[int, int]:
        own = await world.write(blobs.open_blob, world.workspace, name, world.now)
        for number, piece in enumerate((b"ab", b"c")):
            await world.write(blobs.add_piece, world.workspace, own, number, piece)
            await world.write(blobs.add_piece, world.workspace, own, number, piece)
        return own, await world.write(blobs.close_blob, world.workspace, own, "hash", 3)

    first, kept = await store("x")
    assert first == kept
    second, shared = await store("y")
    assert shared == first != second
    await world.write(blobs.release_blob, second)
    assert [await world.read(blobs.get_piece, first, number) for number in range(3)] == [b"ab", b"c", None]
    await world.write(blobs.release_blob, first)
    assert await world.read(blobs.get_piece, first, 1) == b"c"
    await world.write(blobs.release_blob, first)
