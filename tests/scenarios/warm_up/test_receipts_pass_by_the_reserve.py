"""The campaign has used its budget up; a receipt goes out at once all the same, by the reserve, and no further."""

from typing import Any

from mailtypes.address import EmailAddress
from postwright.services.accounts import KeyScope
from postwright.services.message_intake import MessageWanted
from rendering.whole import Mailbox
from tests.scenarios.warm_up.conftest import SENDER


async def test_transactional_mail_has_the_reserve_for_itself(stage: Any) -> None:
    await stage.warm_up((20, 40), reserve="1/4")
    campaign = await stage.campaign(await stage.people("Gardeners", 30))
    await stage.settle()
    assert await stage.states(campaign) == {"delivered": 15, "held": 15}
    (reason,) = await stage.waits()
    assert reason == (
        "google budget of news.acme.test: 15 of 15 used by marketing mail, the rest is kept for transactional mail;"
        " next at 00:00 UTC"
    )
    await send_receipts(stage, 7)
    await stage.settle()
    receipts = [one for one in stage.received(0) if one.startswith("buyer")]
    assert (len(receipts), len(stage.received(0))) == (5, 20)
    assert await stage.states(campaign) == {"delivered": 15, "held": 15}
    budget = (await stage.ramp()).budget
    assert (budget.day_used.total, budget.day_used.marketing, budget.caps.day.limit) == (20, 15, 20)
    await stage.next_day()
    assert len([one for one in stage.received() if one.startswith("buyer")]) == 7
    assert await stage.states(campaign) == {"delivered": 30}


async def send_receipts(stage: Any, number: int) -> None:
    """As a shop does, with its API key."""
    application = stage.application
    _, key = await application.accounts.create_key(stage.workspace, "shop", frozenset({KeyScope.SEND}), None)
    client = await application.accounts.client(key)
    author = EmailAddress.parse(f"shop@{SENDER}")
    wanted = [
        MessageWanted(
            author,
            "Acme",
            (Mailbox(EmailAddress.parse(f"buyer{n}@google.test"), ""),),
            subject="Your order",
            text="It is on its way.\n",
        )
        for n in range(number)
    ]
    prepared = [await application.message_intake.prepare(client, one) for one in wanted]
    await application.submissions.store(client, prepared, None)
