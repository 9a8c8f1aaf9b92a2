"""A campaign is made, changed, scheduled, copied and archived on its pages; the report shows rates with bounds."""

from typing import Any

import pytest

from postwright.services.accounts import Role


async def form(install: Any, **changes: str) -> dict[str, str]:
    template = await install.application.templates.list(install.workspace)
    return {
        "name": "Autumn letter",
        "list": str(await install.list_id()),
        "template": str(template[0].template.id),
        "subject": "Autumn is here",
        "from_name": "Acme Garden",
        "from_address": "hello@news.acme.test",
        "zone": "Asia/Jerusalem",
        **changes,
    }


async def made(browser: Any, install: Any, **changes: str) -> Any:
    await browser.sign_in(Role.MARKETER)
    return await browser.submit("/campaigns", **await form(install, **changes))


async def test_a_draft_is_made_and_changed(browser: Any, install: Any, pages: Any) -> None:
    answer = await made(browser, install, mails="3", days="7", first_hour="9", last_hour="18")
    assert answer.status_code == 303
    address = answer.headers["location"]
    shown = await browser.get(address + "/edit")
    assert 'value="Autumn letter"' in shown.text
    assert 'value="9"' in shown.text
    answer = await browser.submit(address + "/edit", **await form(install, name="Autumn letter 2"))
    assert answer.status_code == 303
    assert "Autumn letter 2" in (await browser.get(address)).text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "1 to 200 characters"),
        ({"from_address": "hello@elsewhere.test"}, "not a sender domain"),
        ({"mails": "many", "days": "7"}, "no whole number"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"starts_at": "tomorrow"}, "no moment"),
        ({"tests": "yes", "vary": "subject", "other": "x", "share": "0"}, "above 0"),
        ({"list": ""}, "needs a list"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_is_lost(
    browser: Any, install: Any, pages: Any, changes: dict[str, str], told: str
) -> None:
    answer = await made(browser, install, **changes)
    assert answer.status_code == 409
    assert told in answer.text
    assert 'value="Autumn is here"' in answer.text  # the person's input is kept


async def test_it_is_scheduled_and_taken_back(browser: Any, install: Any, pages: Any) -> None:
    address = (await made(browser, install, starts_at="2027-01-01T09:00")).headers["location"]
    assert (await browser.submit(address + "/send")).status_code == 303
    assert "Scheduled" in (await browser.get(address)).text
    assert (await browser.submit(address + "/unschedule")).status_code == 303
    assert "Draft" in (await browser.get(address)).text


async def test_a_copy_is_a_draft_of_its_own(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    answer = await browser.submit(pages["finished"] + "/copy")
    assert answer.status_code == 303
    assert "(copy 2)" in (await browser.get(answer.headers["location"])).text


async def test_viewers_change_nothing(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    assert (await browser.submit("/campaigns", **await form(install))).status_code == 403
    assert (await browser.submit(pages["finished"] + "/archive")).status_code == 403


async def test_a_test_of_two_subjects_stands_on_its_page(browser: Any, install: Any, pages: Any) -> None:
    test = {"tests": "yes", "vary": "subject", "other": "Leaves fall", "share": "50"}
    address = (await made(browser, install, **test)).headers["location"]
    assert (await browser.submit(address + "/send")).status_code == 303
    shown = (await browser.get(address)).text
    assert "Leaves fall" in shown
    assert "The sample is being drawn." in shown


async def test_the_report_has_rates_charts_and_their_numbers(browser: Any, pages: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    shown = await browser.get(pages["report"])
    assert shown.status_code == 200
    assert "Gmail and Yahoo want less than" in shown.text
    for name in ("providers", "reasons"):
        chart = await browser.get(pages["finished"] + f"/charts/{name}.svg?theme=dark")
        assert chart.status_code == 200, name
        assert chart.headers["content-type"] == "image/svg+xml"
        assert chart.text.lstrip().startswith("<?xml") or "<svg" in chart.text[:400]
    for name in ("nothing", "hours"):  # everything was within one hour
        assert (await browser.get(pages["finished"] + f"/charts/{name}.svg")).status_code == 404
    table = await browser.get(pages["finished"] + "/report.csv?by=hour")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[0].startswith("part,label,accepted")
