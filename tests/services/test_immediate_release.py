"""New mail whose way is known is ready as it is stored; whatever else decides when it may go keeps it waiting."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from mailtypes.clock import HOUR, MINUTE
from postwright.services.message_intake import MessageWanted
from postwright.store import suspensions
from postwright.store.suspensions import By, Suspended
from rendering.whole import Mailbox

AUTHOR = EmailAddress.parse("shop@news.acme.test")
FIRST = "first@example.test"
SECOND = "second@example.test"


async def send(world: Any, *to: str, **changes: Any) -> None:
    boxes = tuple(Mailbox(EmailAddress.parse(one), "") for one in to)
    wanted = MessageWanted(AUTHOR, "Acme", boxes, subject="Your order", text="It is on its way.\n", **changes)
    client = await world.client()
    await world.submissions.store(client, [await world.intake.prepare(client, wanted)])


def states(world: Any) -> dict[str, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in world.rows("SELECT address, state, waits_for FROM delivery")}


@pytest.fixture
async def known(world: Any) -> Any:
    """A world that has sent to example.test before, and has nothing on its way."""
    await world.verified()
    await send(world, FIRST)
    assert states(world) == {FIRST: ("held", "route")}, "nobody knows yet where its mail goes"
    await world.scheduler.step()
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries, "250 2.0.0 fine")
    return world


async def test_mail_to_a_known_domain_is_leased_without_the_scheduler(known: Any) -> None:
    await send(known, SECOND, "new@other.test")
    assert states(known) == {
        FIRST: ("delivered", ""),
        SECOND: ("ready", ""),
        "new@other.test": ("held", "route"),
    }
    (delivery,) = await known.leased()
    assert await known.transmit([delivery]) == {delivery.id}
    assert len(known.messages([delivery])) == 1


async def suspended(world: Any) -> None:
    (workspace,) = world.rows("SELECT id FROM workspace")[0]
    what = Suspended(workspace, suspensions.domain_scope("example.test"))
    now = world.clock.now()
    await world.database.write(
        partial(suspensions.suspend, what=what, by=By.PERSON, reason="full", until=now + HOUR, now=now)
    )


async def warmed_up(world: Any) -> None:
    await world.warmed_up()


async def warming_place(world: Any) -> None:
    place = world.rows("SELECT egress FROM delivery")[0][0]
    await world.warmed_up(subject=place)


async def paused(world: Any) -> None:
    await world.change("UPDATE run SET state = 'paused'")


async def outside_of_its_hours(world: Any) -> None:
    await world.change("""UPDATE run SET plan = '{"hours": 1}'""")


async def old_route(world: Any) -> None:
    world.clock.advance(timedelta(hours=2))


@pytest.mark.parametrize(
    "change",
    [suspended, warmed_up, warming_place, paused, outside_of_its_hours, old_route],
    ids=lambda one: one.__name__,
)
async def test_what_else_decides_when_mail_goes_keeps_it_waiting(
    known: Any, change: Callable[[Any], Awaitable[None]]
) -> None:
    await change(known)
    await send(known, SECOND)
    assert states(known)[SECOND] == ("held", "route")
    assert not await known.leased()


async def test_scheduled_mail_waits_for_its_moment(known: Any) -> None:
    await send(known, SECOND, send_at=known.clock.now() + 10 * MINUTE)
    assert states(known)[SECOND] == ("held", "route")


async def test_who_is_suppressed_after_all_gets_nothing(known: Any) -> None:
    await send(known, SECOND)
    await known.suppression_list.add(known.workspace, SECOND, "manual")
    assert not await known.leased()
    assert states(known)[SECOND][0] == "suppressed"


async def test_a_warm_up_that_begins_takes_back_what_was_let_out(known: Any) -> None:
    await send(known, SECOND)
    assert states(known)[SECOND] == ("ready", "")
    await known.warmed_up()
    assert not await known.leased()
    for _ in range(3):
        await known.scheduler.step()
    (delivery,) = await known.leased()
    granted = known.rows("SELECT granted_until FROM delivery WHERE id = :id", id=delivery.id)
    assert granted[0][0] > known.clock.now(), "within the budget now"
