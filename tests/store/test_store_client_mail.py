"""What API clients hand over: whole messages, bulks, kept answers, cancelling, lifting; on both databases."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from mailtypes.clock import DAY, HOUR, SECOND
from postwright.store import (
    blobs,
    client_runs,
    idempotency,
    messages,
    people,
    recipients,
    retention,
    suppressions,
    workspaces,
)
from postwright.store.campaigns import FrozenSender, Run
from postwright.store.client_runs import BulkRecipient, ClientRun
from postwright.store.idempotency import KeptAnswer
from postwright.store.messages import NewMessage, NewRecipient, Placement
from postwright.store.public_ids import delivery_id
from postwright.store.suppressions import NewSuppression, Scope

HELD = {"state": "held", "waits_for": "route", "destination_id": None}


async def client_run(world: Any, **changes: Any) -> Run:
    """A run of a client, beside a campaign that makes its domain and stream."""
    beside = await world.start(["p1"])
    terms = ClientRun(
        workspace_id=world.workspace,
        kind="messages",
        state="sending",
        stream_id=beside.stream_id,
        domain_id=beside.domain_id,
        sender=FrozenSender("sender.test", "bounce.sender.test", "track.sender.test"),
        expires_at=world.now + DAY,
        standing_key="day:1",
    )
    wanted = replace(terms, **changes)
    if wanted.standing_key is not None:
        found: Run = await world.write(client_runs.standing_run, wanted, world.now)
        assert (await world.write(client_runs.standing_run, wanted, world.now)).id == found.id
        return found
    run_id = await world.write(client_runs.add_run, wanted, world.now)
    collecting: Run = await world.write(client_runs.lock_collecting, world.workspace, run_id)
    return collecting


def message(world: Any, run: Run, number: int, content: bytes, *names: str, **changes: Any) -> NewMessage:
    people_of = tuple(
        NewRecipient(delivery_id(run.id, number + at), f"{name}@a.test", f"{name}@a.test", "a.test")
        for at, name in enumerate(names)
    )
    new = NewMessage(
        id=people_of[0].delivery_id,
        workspace_id=world.workspace,
        run_id=run.id,
        source="api",
        key_id=None,
        content=content,
        header_message_id=f"<{number}@a.test>",
        from_address="news@sender.test",
        subject="Hello",
        tags='["a"]',
        client_metadata="{}",
        mail_from="",
        notify=None,
        recipients=people_of,
    )
    return replace(new, **changes)


async def test_messages_with_one_content_share_a_blob(world: Any) -> None:
    run = await client_run(world)
    attachment = await world.write(blobs.put_blob, world.workspace, b"file", world.now)
    group = [
        message(world, run, 1, b"same", "ada", "bob", attachments=(attachment,), links=((1, "https://a.test/"),)),
        message(world, run, 3, b"other", "eve"),
        message(world, run, 4, b"same", "ada"),
    ]
    placements = {run.id: Placement(world.now, world.now + HOUR)}
    await world.write(messages.store_messages, group, placements, world.now)
    found = await world.read(messages.get_messages, [one.id for one in group])
    assert found[group[0].id].blob_id == found[group[2].id].blob_id != found[group[1].id].blob_id
    assert await world.read(messages.read_content, group[1].id) == b"other"
    ids = [one.id for one in group] + [1 << 40]
    assert await world.read(messages.read_contents, ids, 5) == dict(
        zip(ids[:3], [b"same", b"other", b"same"], strict=True)
    )
    assert await world.read(messages.read_contents, ids, 4) == {group[0].id: b"same", group[2].id: b"same"}
    assert await world.read(messages.link_target, group[0].id, 1) == "https://a.test/"
    rows = await world.read(recipients.deliveries_of_message, world.workspace, run.id, group[0].id)
    assert [row.address for row in rows] == ["ada@a.test", "bob@a.test"]
    assert len(await world.events("accepted")) == 4
    await world.write(blobs.release_blob, attachment)
    assert await world.read(blobs.get_blob, attachment) == b"file", "the message keeps it"


async def test_mail_whose_destination_is_known_is_ready_and_the_rest_waits_for_its_route(world: Any) -> None:
    run = await client_run(world)
    group = [message(world, run, 1, b"x", "ada"), message(world, run, 2, b"y", "bob")]
    elsewhere = replace(group[1].recipients[0], domain="b.test")
    group[1] = replace(group[1], recipients=(elsewhere,))
    placements = {run.id: Placement(world.now, world.now + HOUR)}
    known = {(run.id, "a.test"): world.destination, (run.id + 1, "b.test"): world.destination}
    await world.write(messages.store_messages, group, placements, world.now, known)
    rows = await world.rows(run)
    found = {key: (row.state, row.waits_for, row.destination_id) for key, row in rows.items()}
    assert found == {
        group[0].id: ("ready", "", world.destination),
        group[1].id: ("held", "route", None),
    }


async def test_messages_are_settled_when_nobody_is_on_the_way_and_tell_who_failed(world: Any) -> None:
    run = await client_run(world)
    wish = '{"recipients": {}}'
    group = [
        message(world, run, 1, b"a", "ada", "bob", notify=wish),
        message(world, run, 3, b"b", "eve", notify=wish),
        message(world, run, 4, b"c", "may", notify=wish),
        message(world, run, 5, b"d", "joe"),
    ]
    await world.write(messages.store_messages, group, {run.id: Placement(world.now, world.now + HOUR)}, world.now)
    ends = {1: "delivered", 2: "failed", 3: "held", 4: "delivered", 5: "failed"}
    for number, state in ends.items():
        where = {"run": run.id, "id": delivery_id(run.id, number), "state": state}
        statement = text("UPDATE delivery SET state = :state WHERE run_id = :run AND id = :id")
        await world.write(Connection.execute, statement, where)

    async def settled(limit: int = 10) -> list[int]:
        return [one.id for one in await world.read(messages.settled_with_notice, limit=limit)]

    assert await settled() == [group[0].id, group[2].id]
    assert await settled(1) == [group[0].id]
    found = await world.read(messages.settled_with_notice, limit=10)
    failed = await world.read(messages.recipients_that_ended, found, {"failed", "expired"})
    assert {key: [one.address for one in rows] for key, rows in failed.items()} == {group[0].id: ["bob@a.test"]}
    assert await world.write(messages.forget_notices, [group[0].id, group[3].id]) == 1
    assert await settled() == [group[2].id]


async def test_only_what_is_not_on_the_wire_is_cancelled(world: Any) -> None:
    run = await client_run(world)
    states = ["held", "ready", "transmitting", "delivered", "deferred", "held"]
    leases = await world.put(run, states)
    chosen = [one.id for one in leases[:5]]
    assert await world.write(recipients.cancel_chosen, run, chosen, world.now) == 3
    assert await world.states(run) == {"cancelled": 3, "transmitting": 1, "delivered": 1, "held": 1}
    assert {event.delivery_id for event in await world.events("cancelled")} == {chosen[0], chosen[1], chosen[4]}
    assert await world.write(recipients.cancel_chosen, run, chosen, world.now) == 0


async def test_a_bulk_takes_each_address_once(world: Any) -> None:
    run = await client_run(world, kind="bulk", state="collecting", standing_key=None)
    people_of = [BulkRecipient(f"k{n}", f"R{n}@a.test", f"r{n}@a.test", "a.test", '{"n":"é\\u0000"}') for n in range(5)]
    first = await world.write(client_runs.add_recipients, run, people_of[:3], HELD, world.now)
    again = await world.write(client_runs.add_recipients, run, people_of, HELD, world.now)
    assert (set(first), set(again)) == ({"r0@a.test", "r1@a.test", "r2@a.test"}, {"r3@a.test", "r4@a.test"})
    assert len({*first.values(), *again.values()}) == 5
    row = (await world.rows(run))[first["r1@a.test"]]
    assert (row.record_key, row.merge_data, row.state) == ("k1", '{"n":"é\\u0000"}', "held")
    await world.write(client_runs.commit_bulk, run, world.now)
    assert await world.write(client_runs.lock_collecting, world.workspace, run.id) is None


async def test_a_bulk_that_nobody_commits_is_given_up(world: Any) -> None:
    run = await client_run(world, kind="bulk", state="collecting", standing_key=None)
    assert await world.write(client_runs.abandon_collecting, world.now + DAY - SECOND) == 0
    assert await world.write(client_runs.abandon_collecting, world.now + DAY) == 1
    assert (await world.again(run)).state == "cancelled"


async def test_an_answer_is_kept_for_a_day(world: Any) -> None:
    secret = ("pw_live_abcd", "0" * 64, "send")
    key = await world.write(people.add_api_key, world.workspace, "k", secret, world.now)
    kept = KeptAnswer(world.workspace, key, "order-1", "f" * 64, 202, '{"id":"é"}', world.now)
    await world.write(idempotency.keep_answers, [kept])
    place = (key, "order-1")
    assert (await world.read(idempotency.find_answers, [place, (key, "other")], world.now))[place] == kept
    assert await world.read(idempotency.find_answers, [place], world.now + DAY) == {}
    await world.write(idempotency.keep_answers, [replace(kept, status=200, created_at=world.now + DAY)])
    assert (await world.read(idempotency.find_answers, [place], world.now + DAY))[place].status == 200


async def test_an_answer_that_another_process_has_just_kept_is_not_replaced(world: Any) -> None:
    key = await world.write(people.add_api_key, world.workspace, "k", ("pw_live_abcd", "0" * 64, "send"), world.now)
    mine = KeptAnswer(world.workspace, key, "order-1", "f" * 64, 202, "{}", world.now)
    other = replace(mine, idempotency_key="order-2", created_at=world.now - 2 * DAY)
    await world.write(idempotency.keep_answers, [mine, other])
    with pytest.raises(IntegrityError):  # nothing of what was sent twice stays
        await world.write(idempotency.keep_answers, [replace(mine, body="{2}"), replace(other, created_at=world.now)])
    found = await world.read(idempotency.find_answers, [(key, "order-1"), (key, "order-2")], world.now)
    assert list(found.values()) == [mine]


async def test_answers_are_told_apart_by_key_and_workspace(world: Any) -> None:
    second = await world.write(workspaces.create_workspace, "second", world.now)
    kept = []
    for number, workspace in enumerate((world.workspace, world.workspace, second)):
        secret = ("pw_live_abcd", f"{number:064}", "send")
        key = await world.write(people.add_api_key, workspace, f"k{number}", secret, world.now)
        kept += [KeptAnswer(workspace, key, name, "f" * 64, 202, f"{key}", world.now) for name in ("a", "ä'\"]")]
    await world.write(idempotency.keep_answers, kept)
    places = [(one.key_id, one.idempotency_key) for one in kept]
    assert await world.read(idempotency.find_answers, [*places, (0, "a")], world.now) == dict(
        zip(places, kept, strict=True)
    )
    again = replace(kept[0], created_at=world.now + DAY)
    await world.write(idempotency.keep_answers, [again])
    found = await world.read(idempotency.find_answers, places, world.now + DAY - 1)
    assert found == dict(zip(places, [again, *kept[1:]], strict=True))


async def test_contents_go_once_all_are_settled_the_oldest_first(world: Any) -> None:
    run = await client_run(world)
    placements = {run.id: Placement(world.now, world.now + HOUR)}
    shared = await world.write(blobs.put_blob, world.workspace, b"file", world.now)
    group = [
        message(world, run, 1, b"a", "ada", "bob", attachments=(shared,)),
        message(world, run, 3, b"b", "eve"),
        message(world, run, 4, b"b", "joe"),
    ]
    for later, one in zip((2, 1, 0), group, strict=True):
        await world.write(messages.store_messages, [one], placements, world.now + later)
    await world.write(Connection.execute, text("UPDATE delivery SET state = 'delivered' WHERE domain = 'a.test'"))
    waits = {"id": delivery_id(run.id, 2)}
    await world.write(Connection.execute, text("UPDATE delivery SET state = 'deferred' WHERE id = :id"), waits)

    async def left() -> list[int]:
        found = await world.read(messages.get_messages, [one.id for one in group])
        return [one.id for one in group if found[one.id].blob_id is not None]

    assert await world.write(retention.forget_contents, world.now + 2, limit=1) == 1
    assert await left() == [group[0].id, group[1].id]
    assert await world.read(messages.read_content, group[1].id) == b"b", "the other message keeps it"
    assert await world.write(retention.forget_contents, world.now + HOUR) == 1
    assert await left() == [group[0].id], "somebody is still on the way"
    await world.write(Connection.execute, text("UPDATE delivery SET state = 'failed' WHERE id = :id"), waits)
    assert await world.write(retention.forget_contents, world.now + HOUR) == 1
    assert await world.write(retention.forget_contents, world.now + HOUR) == 0
    count = text("SELECT count(*) FROM blob")
    assert await world.read(lambda connection: connection.execute(count).scalar_one()) == 1
    await world.write(blobs.release_blob, shared)
    assert await world.read(lambda connection: connection.execute(count).scalar_one()) == 0


async def test_what_was_captured_is_found(world: Any) -> None:
    place = (world.workspace, delivery_id(1, 1))
    for content in (b"first", b"second"):
        blob = await world.write(blobs.put_blob, world.workspace, content, world.now)
        await world.write(messages.capture, place, ("", "ada@a.test"), blob, world.now)
    assert await world.read(messages.captured_content, *place) == b"second"
    assert await world.read(messages.captured_content, world.workspace, 7) is None


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.STREAM])
async def test_a_suppression_is_lifted_with_a_trace(world: Any, scope: Scope) -> None:
    await world.write(
        suppressions.suppress, world.workspace, [NewSuppression("a@b.test", "a@b.test", scope, 1, "typo")], world.now
    )
    (found,) = await world.read(suppressions.list_suppressions, world.workspace)
    assert not await world.write(suppressions.lift, world.workspace + 1, found.id, world.now)
    assert await world.write(suppressions.lift, world.workspace, found.id, world.now)
    assert not await world.write(suppressions.lift, world.workspace, found.id, world.now)
    (event,) = await world.events("suppression_lifted")
    assert '"reason":"typo"' in event.data
