"""Whom a campaign goes to and when: segments, hours, local time, limits, once more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mailtypes.clock import DAY, HOUR, SECOND, Microseconds
from postwright.services.audiences import AudienceDraft
from postwright.services.campaign_drafts import FrequencyLimit
from postwright.services.campaign_plan import CampaignPlan, SendWindow
from postwright.services.errors import RefusedError
from postwright.services.segments import Segments


def at(text: str) -> Microseconds:
    return Microseconds(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * SECOND))


async def prepared(world: Any, **changes: Any) -> Any:
    campaign = await world.sending(
        "ann@example.test,Ann,en\nbob@other.test,Bob,en\ncara@example.test,Cara,he\n", **changes
    )
    for _ in range(3):
        await world.scheduler.step()
    return campaign


def people(world: Any, state: str = "ready") -> set[str]:
    return {row[0].split("@")[0] for row in world.rows("SELECT address FROM delivery WHERE state = :s", s=state)}


@pytest.mark.parametrize(
    ("tree", "without", "expected"),
    [
        ({"domain": "example.test"}, (), {"ann", "cara"}),
        ({"field": "language", "op": "is", "value": "he"}, (), {"cara"}),
        (None, ({"domain": "example.test"},), {"bob"}),
        ({"domain": "example.test"}, ({"field": "first_name", "op": "is", "value": "Ann"},), {"cara"}),
    ],
)
async def test_an_audience_narrows_the_list(world: Any, tree: Any, without: Any, expected: set[str]) -> None:
    await world.verified()
    await world.imported("email,first_name,language\nzoe@example.test,Zoe,he\n", "Another list")
    await world.imported("email,first_name,language\nann@example.test,Ann,en\n", "Gardeners")
    list_id = await world.list_id("Gardeners")
    await prepared(world, audience=AudienceDraft(list_id, tree, without))
    assert people(world) == expected


async def test_a_segment_changed_later_changes_nothing_of_a_run(world: Any) -> None:
    await world.verified()
    segments = Segments(world.database, world.clock)
    made = await segments.create(world.workspace, "hebrew", {"field": "language", "op": "is", "value": "he"})
    people_rows = "ann@example.test,Ann,en\ncara@example.test,Cara,he\n"
    campaign = await world.draft(people_rows, audience=AudienceDraft(None, {"segment": "hebrew"}))
    await world.campaigns.send(world.workspace, campaign.id)
    await segments.change(world.workspace, made.id, document={"field": "language", "op": "is", "value": "en"})
    for _ in range(4):
        await world.scheduler.step()
    assert people(world) == {"cara"}
    # Without a list, what one unsubscribes from is the stream.
    assert world.rows("SELECT list_id FROM run") == [(None,)]


async def test_archived_contacts_get_nothing(world: Any) -> None:
    await world.verified()
    campaign = await world.draft("ann@example.test,Ann,en\nbob@other.test,Bob,en\n")
    archive = text("UPDATE contact SET archived_at = 1 WHERE address_key = 'ann@example.test'")
    await world.database.write(lambda connection: connection.execute(archive))
    await world.campaigns.send(world.workspace, campaign.id)
    for _ in range(4):
        await world.scheduler.step()
    assert people(world) == {"bob"}


async def test_it_begins_by_itself_at_its_time(world: Any) -> None:
    start = Microseconds(world.clock.now() + 3 * HOUR)
    campaign = await world.draft(plan=CampaignPlan(start))
    status = await world.campaigns.send(world.workspace, campaign.id)
    assert (status.campaign.state, status.run) == ("scheduled", None)
    assert await world.campaigns.step() == 0
    world.clock.advance(timedelta(hours=3))
    assert await world.campaigns.step() == 1
    assert (await world.campaigns.status(world.workspace, campaign.id)).campaign.state == "sending"
    assert await world.campaigns.step() == 0


async def test_what_blocks_it_then_is_kept_and_told_once(world: Any) -> None:
    start = Microseconds(world.clock.now() + HOUR)
    campaign = await world.draft(plan=CampaignPlan(start))
    await world.campaigns.send(world.workspace, campaign.id)
    world.clock.advance(timedelta(hours=1))
    await world.database.write(lambda c: c.execute(text("UPDATE sender_domain SET state = 'pending'")))
    for _ in range(3):
        assert await world.campaigns.step() == 0
    found = await world.campaigns.get(world.workspace, campaign.id)
    assert found.state == "scheduled"
    assert found.blocked_by
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'campaign_blocked'") == [(1,)]
    back = await world.campaigns.unschedule(world.workspace, campaign.id)
    assert (back.state, back.blocked_by) == ("draft", "")


async def test_outside_of_the_hours_nobody_is_released_and_told_why(world: Any) -> None:
    now = datetime.fromtimestamp(world.clock.now() / SECOND, UTC)
    window = SendWindow((now.hour + 2) % 24, (now.hour + 2) % 24 + 1)
    await prepared(world, plan=CampaignPlan(window=window))
    assert people(world) == set()
    (reason,) = {row[0] for row in world.rows("SELECT waits_for FROM delivery")}
    assert reason.startswith("Outside of the hours for sending; goes on at ")
    world.clock.advance(timedelta(hours=2, minutes=1 - now.minute))
    await world.scheduler.step()
    assert people(world) == {"ann", "bob", "cara"}


async def test_everybody_by_their_own_clock(world: Any) -> None:
    campaign = await world.draft(
        "ann@example.test,Ann,en\nbob@example.test,Bob,en\ncara@example.test,Cara,he\n",
        plan=CampaignPlan(zone="UTC", local_time=True),
    )

    def zones(connection: Any) -> None:
        for name, zone in (("ann", "Asia/Tokyo"), ("bob", "America/New_York")):
            statement = text("UPDATE contact SET time_zone = :zone WHERE address_key = :key")
            connection.execute(statement, {"zone": zone, "key": f"{name}@example.test"})

    await world.database.write(zones)
    await world.campaigns.send(world.workspace, campaign.id)
    for _ in range(4):
        await world.scheduler.step()
    assert people(world) == {"cara"}  # whose zone nobody knows goes by the sender's
    due = dict(world.rows("SELECT address_key, next_attempt_at FROM delivery"))
    begun = due["cara@example.test"]
    # The clock of Tokyo showed that time hours ago: tomorrow. New York's shows it in a few hours.
    assert due["ann@example.test"] - begun == pytest.approx(15 * HOUR, abs=HOUR)
    assert due["bob@example.test"] - begun == pytest.approx(5 * HOUR, abs=HOUR)
    world.clock.advance(timedelta(hours=6))
    await world.scheduler.step()
    assert people(world) == {"cara", "bob"}


async def test_whoever_had_enough_mail_is_left_out(world: Any) -> None:
    campaign = await world.draft(frequency_limit=FrequencyLimit(2, 7))
    today = world.clock.now() // DAY

    def received(connection: Any) -> None:
        insert = text(
            "INSERT INTO contact_day (contact_id, day, workspace_id, received, opened, clicked, acted)"
            " VALUES (:contact, :day, 1, :number, 0, 0, 0)"
        )
        for contact, day, number in ((1, today - 1, 2), (2, today - 1, 1), (3, today - 7, 9)):
            connection.execute(insert, {"contact": contact, "day": day, "number": number})

    await world.database.write(received)
    await world.campaigns.send(world.workspace, campaign.id)
    for _ in range(4):
        await world.scheduler.step()
    left_out = world.rows("SELECT contact_id, reply_text FROM delivery WHERE state = 'suppressed'")
    assert left_out == [(1, "frequency_cap")]
    assert len(people(world)) == 2


async def test_a_finished_campaign_is_sent_once_more_to_whoever_is_there_then(world: Any) -> None:
    campaign = await prepared(world)
    leased = await world.leased()
    await world.transmit(leased)
    await world.answer(leased, "250 2.0.0 ok")
    while leased := await world.leased():
        await world.transmit(leased)
        await world.answer(leased, "250 2.0.0 ok")
    await world.scheduler.step()
    with pytest.raises(RefusedError):
        await world.campaigns.send(world.workspace, campaign.id)
    await world.imported("email,first_name,language\ndan@example.test,Dan,en\n", "Gardeners")
    again = await world.campaigns.repeat(world.workspace, campaign.id)
    assert again.run.number == 2
    for _ in range(4):
        await world.scheduler.step()
    assert people(world) == {"ann", "bob", "cara", "dan"}


async def test_the_most_engaged_go_first(world: Any) -> None:
    rows = "".join(f"p{number}@example.test,P{number},en\n" for number in range(40))
    campaign = await world.draft(rows)
    now = world.clock.now()

    def engaged(connection: Any) -> None:
        age = text("UPDATE contact SET created_at = :long")
        connection.execute(age, {"long": now - 400 * DAY})
        insert = text(
            "INSERT INTO contact_activity (contact_id, workspace_id, received, opened, clicked, acted,"
            " received_since_opened, received_since_clicked, opened_in_a_row, soft_bounces, last_clicked_at)"
            " VALUES (:contact, 1, 5, 0, 1, 0, 0, 0, 0, 0, :clicked)"
        )
        for contact, days in ((40, 3), (39, 60), (38, 170)):
            connection.execute(insert, {"contact": contact, "clicked": now - days * DAY})

    await world.database.write(engaged)
    await world.campaigns.send(world.workspace, campaign.id)
    for _ in range(3):
        await world.scheduler.step()
    ordered = [row[0] for row in world.rows("SELECT contact_id FROM delivery ORDER BY priority DESC, id")]
    assert ordered[:3] == [40, 39, 38]


PLAN_AT_NOON = CampaignPlan(zone="Asia/Jerusalem", window=SendWindow(9, 18, (6, 0, 1, 2, 3)))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-22T10:00", None),  # Sunday noon
        ("2026-11-22T16:00", "2026-11-23T07:00"),  # 18:00 there: Monday at nine
        ("2026-11-26T16:30", "2026-11-29T07:00"),  # Thursday evening: no mail on the weekend
        ("2026-10-24T23:30", "2026-10-25T07:00"),  # the night in which the clock goes back
    ],
)
def test_when_the_window_opens(now: str, opens: str | None) -> None:
    assert PLAN_AT_NOON.closed_until(at(now)) == (None if opens is None else at(opens))
