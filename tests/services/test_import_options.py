"""Imports with options: formats, encodings, known contacts, consent, doubts, and files in pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.services.errors import RefusedError
from postwright.services.import_encodings import check_encoding
from postwright.services.import_files import StoredFile
from postwright.services.import_options import Column, ColumnUse, ExistingRule, ImportConsent, ImportOptions, Judgement
from postwright.store.contact_facts import NewConsent, append_consents


async def _import(world: Any, content: str | bytes, name: str = "c.csv", **options: Any) -> tuple[Any, list[Any]]:
    octets = content.encode() if isinstance(content, str) else content
    job_id = await world.imports.start(world.workspace, "Readers", name, octets, ImportOptions(**options))
    await world.imports.run_jobs()
    job = await world.imports.job(world.workspace, job_id)
    return job, await world.imports.report(world.workspace, job_id)


def _fields(world: Any) -> list[Any]:
    return [json.loads(row[0]) for row in world.rows("SELECT fields FROM contact ORDER BY id")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "email,n\na@example.test,שלום\n".encode("utf-16")),
        ("a.csv", "email,n\na@example.test,שלום\n".encode("utf-8-sig")),
        ("a.tsv", "email\tn\na@example.test\tשלום\n".encode()),
        ("a.csv", "email;n\na@example.test;שלום\n".encode()),
        ("a.ndjson", '{"email": "a@example.test", "n": "שלום"}\n\n'.encode()),
        ("a.json", '{"address": "a@example.test", "fields": {"n": "שלום"}}\n'.encode()),
    ],
)
async def test_formats_and_certain_encodings_are_found(world: Any, name: str, content: bytes) -> None:
    job, report = await _import(world, content, name)
    assert (job.state, job.created, report) == ("finished", 1, [])
    assert _fields(world) == [{"n": "שלום"}]


@pytest.mark.parametrize("encoding", ["windows-1255", "utf-16-le", "windows-1252", "koi8-r"])
async def test_what_can_only_be_guessed_has_to_be_said(world: Any, encoding: str) -> None:
    words = {"windows-1255": "תל אביב יפו", "utf-16-le": "Leeds", "windows-1252": "Orléans", "koi8-r": "Москва город"}
    word = words[encoding]
    content = f"email,city\n{''.join(f'a{n}@example.test,{word}{chr(10)}' for n in range(20))}".encode(encoding)
    with pytest.raises(RefusedError) as caught:
        await _import(world, content)
    assert caught.value.problems[0].code == "encoding"
    job, _ = await _import(world, content, encoding=encoding)
    assert job.created == 20
    assert _fields(world)[0] == {"city": word}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ExistingRule.OVERWRITE, {"city": "York", "job": "baker", "age": "30"}),
        (ExistingRule.FILL, {"city": "Leeds", "job": "baker", "age": "30"}),
        (ExistingRule.KEEP, {"city": "Leeds", "job": "baker"}),
    ],
)
async def test_known_contacts_by_rule(world: Any, rule: ExistingRule, expected: dict[str, str]) -> None:
    await _import(world, "email,city,job\na@example.test,Leeds,baker\n")
    job, _ = await _import(world, "email,city,job,age\nA@example.test,York,,30\n", existing=rule)
    assert (job.created, job.updated) == (0, 1)
    assert _fields(world) == [expected]


async def test_consent_is_given_once_and_not_to_who_took_it_back(world: Any) -> None:
    content = "email,agreed\na@example.test,2026-01-02\nb@example.test,\n"
    options = {"columns": {"agreed": Column(ColumnUse.CONSENT_AT)}, "consent": ImportConsent("list", "fair", "Yes!", 5)}
    await _import(world, content, **options)
    assert world.rows("SELECT occurred_at FROM consent ORDER BY id") == [(1767312000000000,), (5,)]
    await _import(world, content, **options, again=True)
    assert world.rows("SELECT count(*) FROM consent")[0][0] == 2
    contact, scope_id = world.rows("SELECT contact_id, scope_id FROM consent WHERE occurred_at = 5")[0]
    left = NewConsent(contact, "list", scope_id, "withdrawn", "page", "", 6)
    await world.database.write(lambda connection: append_consents(connection, world.workspace, [left]))
    _, report = await _import(world, content, **options, tags=("x",))
    assert [(one.row_number, one.code, one.outcome) for one in report] == [(3, "consent_withdrawn", "flagged")]
    assert world.rows("SELECT state FROM consent_state WHERE contact_id = :c", c=contact) == [("withdrawn",)]


async def test_the_same_import_is_one_job_and_a_failed_file_leaves_nothing(world: Any) -> None:
    first, _ = await _import(world, "email\na@example.test\n")
    second, _ = await _import(world, "email\na@example.test\n")
    other, _ = await _import(world, "email\na@example.test\n", tags=("x",))
    assert (first.id, second.id != other.id) == (second.id, True)
    assert world.rows("SELECT count(*) FROM blob_piece")[0][0] == 0
    assert world.rows("SELECT count(*) FROM import_job")[0][0] == 2


async def test_an_archived_contact_stays_so(world: Any) -> None:
    await _import(world, "email\na@example.test\n")
    await world.database.write(lambda connection: connection.exec_driver_sql("UPDATE contact SET archived_at = 5"))
    _, report = await _import(world, "email,n\na@example.test,1\n")
    assert [(one.code, one.outcome) for one in report] == [("archived", "flagged")]
    assert world.rows("SELECT archived_at FROM contact") == [(5,)]


async def test_doubts_are_judged(world: Any) -> None:
    content = "email\ninfo@example.test\nada@gmial.com\n"
    judgements = {"likely_typo": Judgement.REFUSE, "role_address": Judgement.ACCEPT}
    job, report = await _import(world, content, judgements=judgements)
    assert (job.created, job.refused, job.flagged) == (1, 1, 0)
    assert [(one.code, one.suggestion) for one in report] == [("likely_typo", "ada@gmail.com")]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"columns": {"nowhere": Column(ColumnUse.TAG)}}, "no_such_column"),
        ({"columns": {"n": Column(ColumnUse.ADDRESS), "email": Column(ColumnUse.ADDRESS)}}, "column_twice"),
        ({"columns": {"email": Column(ColumnUse.IGNORE)}}, "no_address_column"),
        ({"columns": {"n": Column(ColumnUse.FIELD, 'a"b')}}, "field_name"),
        ({"encoding": "rot13"}, "unknown_encoding"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"judgements": {"empty": Judgement.ACCEPT}}, "unknown_code"),
        ({"tags": ("a\nb",)}, "tag_name"),
        ({"consent": ImportConsent("list", " ", "")}, "consent_source"),
    ],
)
async def test_options_that_make_no_sense_store_nothing(world: Any, options: Any, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await _import(world, "email,n\na@example.test,1\n", **options)
    assert caught.value.problems[0].code == code
    assert world.rows("SELECT count(*) FROM import_job")[0][0] == 0


async def test_a_file_of_several_pieces(world: Any) -> None:
    rows = "".join(f"p{n}@example.test,{'x' * 200}\n" for n in range(4000))
    job, report = await _import(world, "email,note\n" + rows)
    assert (job.created, report, job.rows_total) == (4000, [], 4000)


@given(
    st.lists(st.binary(min_size=1, max_size=9), max_size=6), st.integers(0, 60), st.integers(0, 60), st.integers(1, 20)
)
def test_a_stored_file_reads_as_the_octets_do(pieces: list[bytes], first: int, second: int, size: int) -> None:
    whole = b"".join(pieces)
    file = StoredFile(lambda number: pieces[number] if number < len(pieces) else None)
    for place in (first, second, 0):
        assert file.seek(place) == min(place, len(whole))
        found = b""
        while len(found) < size and (part := file.read(size - len(found))):
            found += part
        assert found == whole[place : place + size]


def test_names_of_encodings() -> None:
    found = [check_encoding(name) for name in ("CP1255", "UTF_8", "Windows-1252")]
    assert found == ["windows-1255", "utf-8", "windows-1252"]
