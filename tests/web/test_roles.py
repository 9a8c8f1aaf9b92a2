"""What only admins do and see, in the pages as in the API; and signing in where somebody is in two workspaces."""

import re
from typing import Any

import pytest

from postwright.services.accounts import Role
from postwright.store import events, workspaces
from postwright.store.suppressions import SuppressionFilter

ORIGIN = {"Origin": "http://127.0.0.1:8025"}


async def test_what_people_asked_for_is_lifted_by_an_admin_with_a_note(
    browser: Any, install: Any, open_browser: Any
) -> None:
    suppressions = install.application.suppression_list
    await suppressions.add(install.workspace, "angry@example.test", "complaint")
    await suppressions.add(install.workspace, "typo@example.test", "manual")
    rows = {one.address: one.id for one in await suppressions.find(install.workspace, SuppressionFilter())}
    angry, typo = (f"/suppressions/{rows[name]}/remove" for name in ("angry@example.test", "typo@example.test"))
    async with open_browser(install.app()) as marketer:
        await marketer.sign_in(Role.MARKETER)
        page = (await marketer.get("/suppressions")).text
        assert typo in page
        assert angry not in page
        assert (await marketer.submit(angry, note="because")).status_code == 403
        assert (await marketer.submit(typo)).status_code == 200
    await browser.sign_in()
    assert angry in (await browser.get("/suppressions")).text
    refused = await browser.submit(angry, note=" ")
    assert refused.status_code == 409
    assert "takes a note" in refused.text
    assert [one.address for one in await suppressions.find(install.workspace, SuppressionFilter())] == [
        "angry@example.test"
    ]
    assert (await browser.submit(angry, note="it was our test")).status_code == 200
    assert await suppressions.find(install.workspace, SuppressionFilter()) == []


async def test_only_an_admin_gives_up_what_waits(browser: Any, install: Any, open_browser: Any) -> None:
    await install.domain()
    await install.contacts(3)
    await install.send(await install.draft())
    (first, *_) = await install.application.destinations.list(install.workspace)
    href = f"/queue/{first.destination.id}"
    async with open_browser(install.app()) as marketer:
        await marketer.sign_in(Role.MARKETER)
        page = (await marketer.get(href)).text
        assert f'action="{href}/fail"' not in page
        assert f'action="{href}/suspend"' in page
        assert (await marketer.submit(f"{href}/fail", note="because")).status_code == 403
        assert (await marketer.submit(f"{href}/suspend", note="because")).status_code == 303
    await browser.sign_in()
    assert f'action="{href}/fail"' in (await browser.get(href)).text
    assert (await browser.submit(f"{href}/fail", note="because")).status_code == 303


async def test_the_log_tells_no_more_of_an_endpoint_than_its_host(browser: Any, install: Any) -> None:
    """What older versions wrote down as well."""
    now = install.application.clock.now() - 60_000_000
    data = {"endpoint": "whk_1", "url": "https://me:secret@hooks.acme.test/T0/SECRET", "reason": "It is gone."}
    event = events.NewEvent(install.workspace, "webhook_disabled", now, data=data)
    await install.write(lambda connection: events.append(connection, [event], now))
    await browser.sign_in(Role.VIEWER)
    for path in ("/events", "/events?kind=webhook_disabled", "/events.csv", "/"):
        page = (await browser.get(path)).text
        assert "SECRET" not in page, path
        assert "secret@" not in page, path
    assert "https://hooks.acme.test" in (await browser.get("/events")).text


async def test_who_is_in_two_workspaces_chooses(browser: Any, install: Any) -> None:
    now = install.application.clock.now()
    second = await install.write(lambda connection: workspaces.create_workspace(connection, "second", now))
    await install.application.accounts.save_user(second, "admin@main.test", install.password, Role.VIEWER)
    data = {"address": "admin@main.test", "password": install.password, "next": "/domains"}
    asked = await browser.post("/sign-in", data=data, headers=ORIGIN)
    assert asked.status_code == 200
    assert "Set-Cookie" not in asked.headers
    assert install.password not in asked.text
    options = dict(re.findall(r'<option value="(\d+)">(\w+)</option>', asked.text.partition("<select id=")[2]))
    assert options[str(second)] == "second"
    answer = await browser.post("/sign-in", data=data | {"workspace": str(second)}, headers=ORIGIN)
    assert answer.headers["Location"] == "/domains"
    signed_in = await install.application.accounts.session(browser.cookies["postwright"])
    assert (signed_in.workspace_id, signed_in.role) == (second, Role.VIEWER)


async def test_a_known_browser_is_not_kept_out_by_its_neighbours(
    browser: Any, install: Any, open_browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postwright.services.sign_in_tries.TRIES", 1)  # each costs a hash
    await browser.sign_in(Role.VIEWER)
    cookies = {cookie.name: cookie for cookie in browser.cookies.jar}
    assert cookies["postwright-known"].has_nonstandard_attr("HttpOnly")
    await browser.submit("/sign-out")
    app = install.app()
    async with open_browser(app) as other:
        for _ in range(2):
            wrong = {"address": "viewer@main.test", "password": "wrong"}
            answer = await other.post("/sign-in", data=wrong, headers=ORIGIN)
        assert answer.status_code == 429
    await browser.sign_in(Role.VIEWER)
