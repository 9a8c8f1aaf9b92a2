"""Contents are kept while they are needed and for a while after, then let go; the story of a message stays."""

from datetime import timedelta
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from postwright.services.message_intake import MessageWanted
from postwright.services.retention import Retention, RetentionTerms
from rendering.whole import Mailbox

TERMS = RetentionTerms(messages=timedelta(days=30), test_mailbox=timedelta(days=7))


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    client = await world.client()
    author, to = EmailAddress.parse("shop@news.acme.test"), Mailbox(EmailAddress.parse("a@example.test"))
    prepared = await world.intake.prepare(client, MessageWanted(author, "", (to,), subject="x", text="y"))
    await world.submissions.store(client, [prepared])
    return world


async def test_what_is_on_its_way_is_kept_however_old(ready: Any) -> None:
    ready.clock.advance(timedelta(days=40))
    assert await Retention(ready.database, ready.clock, TERMS).step() == 0
    assert ready.rows("SELECT count(*) FROM blob") == [(1,)]


async def test_what_is_settled_goes_after_a_month_and_its_story_stays(ready: Any) -> None:
    await ready.change("UPDATE delivery SET state = 'delivered'")
    retention = Retention(ready.database, ready.clock, TERMS)
    ready.clock.advance(timedelta(days=29))
    assert await retention.step() == 0
    ready.clock.advance(timedelta(days=2))
    assert await retention.step() == 1
    assert ready.rows("SELECT count(*) FROM blob") == [(0,)]
    assert ready.rows("SELECT blob_id, subject FROM message") == [(None, "x")]
    assert ready.rows("SELECT kind FROM event WHERE delivery_id IS NOT NULL") == [("accepted",)]
