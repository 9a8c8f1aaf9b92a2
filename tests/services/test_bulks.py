"""Bulks: recipients with their own data, chunk by chunk, each once, sent when committed."""

import email.policy
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from postwright.services.accounts import KeyTerms
from postwright.services.bulks import BulkRow, BulkWanted
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store.client_runs import COLLECTING_FOR
from postwright.store.templates import TemplateText

BODY = '<p>Hello {{ contact.name | default: "you" }}</p><a href="https://acme.test/">See</a>'


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    saved = await world.templates.save(world.workspace, "Spring", TemplateText(BODY, "html", "Hi {{ contact.name }}"))
    world.template = saved.template.id
    return world


def wanted(world: Any, **changes: Any) -> BulkWanted:
    return BulkWanted(EmailAddress.parse("shop@news.acme.test"), "Acme", world.template, **changes)


def rows(*names: str) -> list[BulkRow]:
    return [BulkRow(f"{name}@example.test", {"name": name.title()}, f"key-{name}") for name in names]


async def test_a_bulk_goes_the_whole_way(ready: Any) -> None:
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    await ready.bulks.add(client, run.id, rows("ann", "ben"))
    await ready.bulks.add(client, run.id, rows("cid"))
    await ready.scheduler.step()
    assert await ready.leased() == [], "nothing goes before the commit"
    await ready.bulks.commit(client, run.id)
    for _ in range(2):
        await ready.scheduler.step()
    parsed = [
        email.message_from_bytes(one, policy=email.policy.default) for one in ready.messages(await ready.leased())
    ]
    assert sorted(one["Subject"] for one in parsed) == ["Hi Ann", "Hi Ben", "Hi Cid"]
    assert (
        "Hello Ann" in next(one for one in parsed if one["To"] == "ann@example.test").get_body(("html",)).get_content()
    )
    assert all(one["List-Unsubscribe-Post"] for one in parsed)


async def test_each_address_once_whatever_is_sent_again(ready: Any) -> None:
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    first = await ready.bulks.add(client, run.id, rows("ann", "ben", "ann"))
    again = await ready.bulks.add(client, run.id, [*rows("ben", "ann"), BulkRow("ANN@example.test", {})])
    assert (sorted(first.accepted), first.repeated) == ([0, 1], 1)
    assert (dict(again.accepted), again.repeated) == ({}, 3)
    assert ready.rows("SELECT record_key FROM delivery ORDER BY id") == [("key-ann",), ("key-ben",)]


async def test_who_is_refused_is_named_and_keeps_nobody_away(ready: Any) -> None:
    await ready.suppression_list.add(ready.workspace, "gone@example.test", "manual")
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    bad = [BulkRow("no address", {}, "x"), *rows("gone"), BulkRow("a@example.test", {"t": "x" * 70_000}), *rows("ann")]
    chunk = await ready.bulks.add(client, run.id, bad)
    assert [(row.index, row.problem.code) for row in chunk.refused] == [
        (0, "invalid"),
        (1, "suppressed"),
        (2, "data_too_large"),
    ]
    assert chunk.refused[0].key == "x"
    assert sorted(chunk.accepted) == [3]


async def test_the_quota_ends_in_the_middle_of_a_chunk(ready: Any) -> None:
    client = await ready.client(KeyTerms(daily_quota=2))
    run = await ready.bulks.open(client, wanted(ready))
    chunk = await ready.bulks.add(client, run.id, rows("ann", "ben", "cid"))
    assert (sorted(chunk.accepted), [row.problem.code for row in chunk.refused]) == ([0, 1], ["over_quota"])
    again = await ready.bulks.add(client, run.id, rows("ann"))
    assert [row.problem.code for row in again.refused] == ["over_quota"]


async def test_a_committed_bulk_takes_nobody_more(ready: Any) -> None:
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    await ready.bulks.add(client, run.id, rows("ann"))
    assert (await ready.bulks.commit(client, run.id)).run.state == "sending"
    assert (await ready.bulks.commit(client, run.id)).run.state == "sending"
    with pytest.raises(RefusedError, match="no more recipients"):
        await ready.bulks.add(client, run.id, rows("ben"))


async def test_a_bulk_nobody_commits_is_cancelled_after_a_day(ready: Any) -> None:
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    await ready.bulks.add(client, run.id, rows("ann"))
    ready.clock.advance(timedelta(microseconds=COLLECTING_FOR + 1))
    for _ in range(2):
        await ready.scheduler.step()
    assert ready.rows("SELECT state FROM delivery") == [("cancelled",)]
    with pytest.raises(RefusedError):
        await ready.bulks.commit(client, run.id)


async def test_a_cancelled_bulk_sends_nothing(ready: Any) -> None:
    client = await ready.client()
    run = await ready.bulks.open(client, wanted(ready))
    await ready.bulks.add(client, run.id, rows("ann", "ben"))
    await ready.bulks.commit(client, run.id)
    status = await ready.bulks.cancel(client, run.id)
    assert status.counts.by_state == {"cancelled": 2}


async def test_a_bulk_is_nobody_elses(ready: Any) -> None:
    run = await ready.bulks.open(await ready.client(), wanted(ready))
    stranger = await ready.client()
    object.__setattr__(stranger, "workspace_id", 99)
    with pytest.raises(NotFoundError):
        await ready.bulks.status(stranger, run.id)


async def test_a_scheduled_bulk_waits_for_its_moment(ready: Any) -> None:
    client = await ready.client()
    later = ready.clock.now() + 3_600_000_000
    run = await ready.bulks.open(client, wanted(ready, send_at=later))
    await ready.bulks.add(client, run.id, rows("ann"))
    assert (await ready.bulks.commit(client, run.id)).run.state == "scheduled"
    await ready.scheduler.step()
    assert await ready.leased() == []
    ready.clock.advance(timedelta(hours=1, seconds=1))
    for _ in range(2):
        await ready.scheduler.step()
    assert len(await ready.leased()) == 1


@pytest.mark.parametrize("name", ["line\nbreak", "nul\x00"])
async def test_a_name_that_cannot_stand_in_a_header_is_refused(ready: Any, name: str) -> None:
    bad = BulkWanted(EmailAddress.parse("shop@news.acme.test"), name, ready.template)
    with pytest.raises(RefusedError):
        await ready.bulks.open(await ready.client(), bad)
