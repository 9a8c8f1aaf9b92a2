"""The report against one's own last ten, the best hours, several senders on the form, the expected end."""

from types import SimpleNamespace
from typing import Any

import pytest

from mailtypes.clock import DAY, HOUR
from postwright.services.accounts import Role
from postwright.store.public_ids import public_id
from tests.services.test_campaign_history import Past, add_past, ten
from tests.web.test_campaign_editing import form


async def with_history(install: Any, past: list[Past]) -> str:
    """The address of the newest of some campaigns that were finished."""
    application = install.application
    (first, *_) = await application.campaigns.list(install.workspace)
    world = SimpleNamespace(database=application.database, clock=application.clock)
    *_, newest = await add_past(world, first, past)
    made = await application.campaigns.get(install.workspace, newest)
    return f"/campaigns/{public_id('cmp', made.created_at, made.id)}"


async def test_the_report_says_where_a_campaign_lies(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    few = (await browser.get(pages["report"])).text
    assert "Too few earlier campaigns to say" in few
    assert (await browser.get(f"{pages['finished']}/charts/own.svg")).status_code == 404
    address = await with_history(install, [*ten(), Past(19 * DAY, 120)])
    shown = (await browser.get(f"{address}/report")).text
    assert "Clicked, surely people: higher than usual" in shown
    assert "higher than 10 of 10" in shown
    chart = await browser.get(f"{address}/charts/own.svg")
    assert chart.headers["content-type"] == "image/svg+xml"
    assert "this one" in chart.text
    segment = pages["segment"].rpartition("/")[2]
    of_segment = await browser.get(f"{address}/report?segment={segment}")
    assert f'value="{segment}" selected' in of_segment.text
    assert (await browser.get(f"{address}/report?segment=seg_nothing")).status_code == 404


async def test_hours_say_that_nothing_is_known_or_which_did_better(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    assert "Too little is known to compare hours." in (await browser.get("/campaigns/hours")).text
    assert (await browser.get("/campaigns/hours.svg")).status_code == 404
    midnight = install.application.clock.now() % DAY
    past = [
        Past(midnight - hour * HOUR + day * DAY, clicked + day % 5)
        for hour, clicked in ((9, 100), (14, 40), (20, 40))
        for day in range(10, 20)
    ]
    await with_history(install, past)
    shown = (await browser.get("/campaigns/hours")).text
    assert "The best hour is one of these: 9:00 (UTC)." in shown
    assert "<svg" in (await browser.get("/campaigns/hours.svg?theme=dark")).text
    assert "Nothing to draw yet." in (await browser.get("/campaigns/hours?metric=open")).text
    assert (await browser.get("/campaigns/hours?list=lst_nothing")).status_code == 404


async def test_several_senders_are_made_shown_and_kept(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    lines = "dana@news.acme.test, 2, Dana\nnoa@news.acme.test"
    answer = await browser.submit("/campaigns", **await form(install, other_senders=lines))
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert "dana@news.acme.test" in (await browser.get(address)).text
    kept = (await browser.get(f"{address}/edit")).text
    assert "dana@news.acme.test, 2, Dana\nnoa@news.acme.test, 1</textarea>" in kept


@pytest.mark.parametrize(
    ("line", "told"),
    [("dana@news.acme.test, much", "is no share"), ("dana@other.test", "one sender domain"), (", 1, x", "address")],
)
async def test_a_wrong_sender_is_told_and_kept(browser: Any, install: Any, pages: Any, line: str, told: str) -> None:
    await browser.sign_in(Role.MARKETER)
    answer = await browser.submit("/campaigns", **await form(install, other_senders=line))
    assert answer.status_code == 409
    assert told in answer.text
    assert line in answer.text


async def test_a_campaign_under_way_says_when_it_ends(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    assert "Expected end" in (await browser.get(pages["running"])).text
    assert "Expected end" not in (await browser.get(pages["draft"])).text
    told = (await browser.get(f"{pages['running']}/progress.json")).json()
    assert told["expected"]
    assert told["expected_why"]
