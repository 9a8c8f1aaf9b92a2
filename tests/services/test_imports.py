import time
from typing import Any

import pytest

from postwright.services import imports as module
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import imports as stored


def told(refusals: list[Any]) -> list[tuple[int, str]]:
    return [(one.row_number, one.code) for one in refusals]


BAD_ROWS = [
    ("", "empty"),
    ("nobody", "no_at_sign"),
    ("a b@example.test", "bad_local_part"),
    ("a..b@example.test", "bad_local_part"),
    ("a@", "bad_domain"),
    ("a@b", "bad_domain"),
    ("a@exa mple.test", "bad_domain"),
    ("a@-example.test", "bad_domain"),
    ("a@example..test", "bad_domain"),
    (f"{'x' * 65}@example.test", "bad_local_part"),
    (f"{'x' * 600}@example.test", "too_long"),
    ("a@xn--0.test", "unregistrable"),
    ("a\u200b@example.test", "bad_local_part"),
    ("a@example.test\x00", "bad_domain"),
]


async def test_an_address_that_is_none_is_refused_with_line_and_reason(world: Any) -> None:
    lines = [f"{address},Bad\ngood{number}@example.test,Good" for number, (address, _) in enumerate(BAD_ROWS)]
    job, refusals = await world.imported("email,name\n" + "\n".join(lines))
    assert (job.state, job.created, job.refused) == ("finished", len(BAD_ROWS), len(BAD_ROWS))
    assert told(refusals) == [(2 + 2 * number, code) for number, (_, code) in enumerate(BAD_ROWS)]
    for refusal, (address, _) in zip(refusals, BAD_ROWS, strict=True):
        assert refusal.reason.endswith((".", "!"))
        assert refusal.value.rstrip("\x00\ufffd") == address[:200].rstrip("\x00")


@pytest.mark.parametrize(
    ("row", "code", "part"),
    [
        ("a@example.test", "columns", "1 cells, the header has 2"),
        ("a@example.test,b,c", "columns", "3 cells, the header has 2"),
        (f"a@example.test,{'x' * 4097}", "too_long", "4096"),
        ("a@example.test,b\x07", "control_character", "name"),
        ("a@example.test,\x1b[31mred", "control_character", "name"),
        ('a@example.test,"' + "x" * 140_000 + '"', "not_csv", "quotation mark"),
    ],
)
async def test_a_row_of_the_wrong_shape_is_refused(world: Any, row: str, code: str, part: str) -> None:
    job, refusals = await world.imported(f"email,name\n{row}\nlast@example.test,Last\n")
    assert told(refusals) == [(2, code)]
    assert part in refusals[0].reason
    assert (job.created, job.rows_read, job.rows_total) == (1, 2, 2)


async def test_quoted_cells_may_have_lines_and_the_numbers_stay_those_of_the_file(world: Any) -> None:
    content = 'email,name\n"a@example.test","two\nlines"\n\nnobody,x\n"b@example.test","three\r\n\r\nlines"\nnobody,y\n'
    job, refusals = await world.imported(content)
    assert told(refusals) == [(5, "no_at_sign"), (9, "no_at_sign")]
    assert job.created == 2
    assert "two\\nlines" in world.rows("SELECT fields FROM contact ORDER BY id")[0][0]


async def test_an_open_quotation_mark_is_named_as_such(world: Any) -> None:
    _, refusals = await world.imported('email,a,b\nx@example.test,"open,1\ny@example.test,2,3\nz@example.test,4,5\n')
    assert told(refusals) == [(2, "columns")]
    assert "quotation mark" in refusals[0].reason


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_every_line_end_and_a_byte_order_mark(world: Any, end: str) -> None:
    content = end.join(["email,name", "a@example.test,דנה", "nobody,x"])
    job, refusals = await world.imported(b"\xef\xbb\xbf" + content.encode())
    assert (job.created, told(refusals)) == (1, [(3, "no_at_sign")])
    assert "דנה" in world.rows("SELECT fields FROM contact")[0][0]


@pytest.mark.parametrize("name", ["email", "E-Mail", " EMAIL ", "Address", "דואל", 'דוא"ל'])
async def test_names_of_the_address_column(world: Any, name: str) -> None:
    quoted = name.replace('"', '""')
    job, _ = await world.imported(f'name,"{quoted}"\nDana,dana@example.test\n')
    assert job.created == 1
    assert world.rows("SELECT address, fields FROM contact")[0] == ("dana@example.test", '{"name": "Dana"}')


async def test_duplicates_are_found_by_key(world: Any) -> None:
    content = "email\nDana@example.test\ndana@EXAMPLE.test\nd@דוגמה.test\nd@xn--8dbcjh4a.test\nDANA@example.test.\n"
    alabel = "דוגמה".encode("idna").decode()
    job, refusals = await world.imported(content.replace("xn--8dbcjh4a", alabel))
    assert told(refusals) == [(3, "duplicate"), (5, "duplicate"), (6, "duplicate")]
    assert ["line 2" in refusals[0].reason, "line 4" in refusals[1].reason] == [True, True]
    assert job.created == 2
    assert world.rows("SELECT address FROM contact ORDER BY id")[0][0] == "Dana@example.test"


async def test_duplicates_are_found_across_chunks(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    _, refusals = await world.imported("email\na@example.test\nb@example.test\nc@example.test\nA@example.test\n")
    assert told(refusals) == [(5, "duplicate")]


async def test_a_second_import_merges_fields_and_adds_nobody(world: Any) -> None:
    await world.imported("email,city,name\na@example.test,Haifa,Dana\nb@example.test,Jaffa,Beni\n")
    job, _ = await world.imported("email,city,age\nA@example.test,Acre,30\nb@example.test,,\n", "Other")
    assert (job.created, job.updated) == (0, 2)
    found = world.rows("SELECT address, fields FROM contact ORDER BY id")
    assert found[0] == ("a@example.test", '{"city": "Acre", "name": "Dana", "age": "30"}')
    assert '"city": "Jaffa"' in found[1][1]
    assert world.rows("SELECT count(*) FROM list_membership")[0][0] == 4
    await world.imported("email,city,age\nA@example.test,Acre,30\n", "Other")
    assert world.rows("SELECT count(*) FROM list_membership")[0][0] == 4


FILE = "email,n\n" + "".join(f"p{n}@example.test,{n}\n" + ("nobody,x\n" if n % 3 == 0 else "") for n in range(10))


@pytest.mark.parametrize("cut", [0, 1, 2, 4, 6])
async def test_a_cut_anywhere_is_resumed_without_loss_or_double(
    world: Any, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    advance, done = stored.advance, 0

    def advance_and_die(connection: Any, job: Any, progress: Any) -> bool:
        nonlocal done
        moved = advance(connection, job, progress)
        if done == cut:
            raise InterruptedError  # after the change, before the commit
        done += 1
        return moved

    job_id = await world.imports.start(world.workspace, "Gardeners", "c.csv", FILE.encode())
    monkeypatch.setattr(stored, "advance", advance_and_die)
    with pytest.raises(InterruptedError):
        await world.imports.run_jobs()
    monkeypatch.setattr(stored, "advance", advance)
    job = await world.imports.job(world.workspace, job_id)
    assert (job.rows_read, job.state) == (2 * cut, "running" if cut else "waiting")
    assert await world.imports.run_jobs() == 1
    job = await world.imports.job(world.workspace, job_id)
    assert (job.state, job.rows_read, job.created, job.updated, job.refused) == ("finished", 14, 10, 0, 4)
    refusals = await world.imports.refusals(world.workspace, job_id)
    assert told(refusals) == [(3, "no_at_sign"), (7, "no_at_sign"), (11, "no_at_sign"), (15, "no_at_sign")]
    assert world.rows("SELECT count(*) FROM contact")[0][0] == 10
    assert await world.imports.run_jobs() == 0


async def test_a_cut_before_the_end_is_finished_and_the_file_let_go(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise InterruptedError

    job_id = await world.imports.start(world.workspace, "Gardeners", "c.csv", FILE.encode())
    with monkeypatch.context() as patched:
        patched.setattr(stored, "finish_job", die)
        with pytest.raises(InterruptedError):
            await world.imports.run_jobs()
    assert (await world.imports.job(world.workspace, job_id)).state == "running"
    await world.imports.run_jobs()
    job = await world.imports.job(world.workspace, job_id)
    assert (job.state, job.created, job.updated, job.blob_id) == ("finished", 10, 0, None)
    assert world.rows("SELECT count(*) FROM blob")[0][0] == 0
    await world.imports.run_job(job)  # once more does nothing


async def test_duplicates_are_known_after_a_cut(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 1)
    job_id = await world.imports.start(world.workspace, "L", "c.csv", b"email\na@example.test\nA@example.test\n")
    advance, left = stored.advance, [True, False]

    def advance_once(connection: Any, job: Any, progress: Any) -> bool:
        if not left.pop(0):
            raise InterruptedError
        return advance(connection, job, progress)

    with monkeypatch.context() as patched:
        patched.setattr(stored, "advance", advance_once)
        with pytest.raises(InterruptedError):
            await world.imports.run_jobs()
    assert (await world.imports.job(world.workspace, job_id)).rows_read == 1
    await world.imports.run_jobs()
    assert told(await world.imports.refusals(world.workspace, job_id)) == [(3, "duplicate")]


async def test_the_file_of_another_job_outlives_this_one(world: Any) -> None:
    first = await world.imports.start(world.workspace, "One", "c.csv", FILE.encode())
    second = await world.imports.start(world.workspace, "Two", "c.csv", FILE.encode())
    stale = await world.imports.job(world.workspace, first)
    await world.imports.run_job(stale)
    await world.imports.run_job(stale)
    assert world.rows("SELECT count(*) FROM blob")[0][0] == 1
    await world.imports.run_jobs()
    assert (await world.imports.job(world.workspace, second)).updated == 10


async def test_two_processes_do_one_job_once(world: Any) -> None:
    job_id = await world.imports.start(world.workspace, "Gardeners", "c.csv", FILE.encode())
    stale = await world.imports.job(world.workspace, job_id)
    await world.imports.run_job(stale)
    await world.imports.run_job(stale)  # what a second process would do that had read the job as well
    job = await world.imports.job(world.workspace, job_id)
    assert (job.rows_read, job.created, job.updated, job.refused) == (14, 10, 0, 4)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b" \n\n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"name,city\nDana,Haifa\n", "no_address_column"),
        (b"email,name,name\na@example.test,b,c\n", "header"),
        (b"email,,name\na@example.test,b,c\n", "header"),
        (("email," + ",".join(f"c{n}" for n in range(100)) + "\n").encode(), "header"),
        (b"x" * 200_000, "header"),
        ("email,name\na@example.test,דנה\n".encode("cp1255"), "encoding"),
    ],
)
async def test_what_is_no_table_is_refused_at_once(world: Any, content: bytes, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await world.imports.start(world.workspace, "Gardeners", "c.csv", content)
    assert caught.value.problems[0].code == code
    assert caught.value.problems[0].field == "file"
    assert world.rows("SELECT count(*) FROM import_job")[0][0] == 0
    assert world.rows("SELECT count(*) FROM contact_list")[0][0] == 0


async def test_the_line_that_is_not_utf8_is_named(world: Any) -> None:
    content = b"email,name\na@example.test,Ann\nb@example.test,Ren\xe9\n"
    with pytest.raises(RefusedError, match="Line 3 is not UTF-8") as caught:
        await world.imports.start(world.workspace, "Gardeners", "c.csv", content)
    assert "UTF-8" in caught.value.problems[0].next_step


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "two\nlines", "bell\x07", "line\u2028separator"])
async def test_a_list_name_that_could_not_stand_in_a_header_is_refused(world: Any, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await world.imports.start(world.workspace, name, "c.csv", b"email\na@example.test\n")
    assert caught.value.problems[0].field == "list"


async def test_a_job_is_seen_by_its_workspace_alone(world: Any) -> None:
    job_id = await world.imports.start(world.workspace, "Gardeners", "c.csv", b"email\na@example.test\n")
    with pytest.raises(NotFoundError):
        await world.imports.job(world.workspace + 1, job_id)
    with pytest.raises(NotFoundError):
        await world.imports.refusals(world.workspace + 1, job_id)


async def test_a_file_of_a_header_alone_is_finished(world: Any) -> None:
    job, refusals = await world.imported("email,name")
    assert (job.state, job.created, refusals) == ("finished", 0, [])


async def test_ten_thousand_rows_take_seconds_and_not_the_square(world: Any) -> None:
    def rows(first: int, last: int) -> str:
        return "email,name\n" + "".join(f"p{n}@example.test,Person {n}\n" for n in range(first, last))

    started = time.process_time()
    job, _ = await world.imported(rows(0, 2_500))
    small = time.process_time() - started
    started = time.process_time()
    job, _ = await world.imported(rows(2_500, 12_500))
    large = time.process_time() - started
    assert job.created == 10_000
    assert large < 8 * small + 1  # four times the rows; a square would be sixteen and more
