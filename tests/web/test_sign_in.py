"""Signing in and out, the session's token, and who may what."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from postwright.services.accounts import Role
from postwright.web.hrefs import campaign_href

ORIGIN = {"Origin": "http://127.0.0.1:8025"}


async def test_without_a_session_every_page_leads_to_the_form_and_back(browser: Any) -> None:
    answer = await browser.get("/campaigns")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/campaigns"
    form = await browser.get(answer.headers["Location"])
    assert 'name="next" value="/campaigns"' in form.text


async def test_sign_in_sets_a_cookie_that_scripts_cannot_read(browser: Any, install: Any) -> None:
    answer = await browser.post(
        "/sign-in",
        data={"address": "admin@main.test", "password": install.password, "next": "/domains"},
        headers=ORIGIN,
    )
    assert answer.headers["Location"] == "/domains"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("postwright=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_is_bound_to_the_host(install: Any, open_browser: Any) -> None:
    async with open_browser(install.app(secure=True)) as client:
        answer = await client.post(
            "/sign-in",
            data={"address": "admin@main.test", "password": install.password},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
    cookie = answer.headers["Set-Cookie"]
    # RFC 6265bis section 4.1.3.2: Secure, Path=/, no Domain
    assert cookie.startswith("__Host-postwright=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("address", "password"),
    [("admin@main.test", "wrong password"), ("nobody@main.test", "wrong password"), ("no address", "x"), ("", "")],
)
async def test_the_same_words_whatever_was_wrong(browser: Any, address: str, password: str) -> None:
    answer = await browser.post("/sign-in", data={"address": address, "password": password}, headers=ORIGIN)
    assert answer.status_code == 403
    assert "The address or the password is not right." in answer.text
    assert "Set-Cookie" not in answer.headers


async def test_the_password_is_never_written_back(browser: Any) -> None:
    answer = await browser.post(
        "/sign-in", data={"address": "admin@main.test", "password": "s3cret-but-wrong"}, headers=ORIGIN
    )
    assert "admin@main.test" in answer.text
    assert "s3cret-but-wrong" not in answer.text


async def test_too_many_tries_are_told_to_wait(browser: Any) -> None:
    for _ in range(10):
        await browser.post("/sign-in", data={"address": "viewer@main.test", "password": "wrong"}, headers=ORIGIN)
    answer = await browser.post("/sign-in", data={"address": "viewer@main.test", "password": "wrong"}, headers=ORIGIN)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many tries" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8025", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_nobody_else_may_sign_somebody_in(browser: Any, install: Any, headers: dict[str, str]) -> None:
    data = {"address": "admin@main.test", "password": install.password}
    answer = await browser.post("/sign-in", data=data, headers=headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("wanted", ["https://evil.test/", "//evil.test", "/\\evil.test", "evil", "/a\r\nX: y"])
async def test_nobody_is_led_elsewhere_after_signing_in(browser: Any, install: Any, wanted: str) -> None:
    data = {"address": "admin@main.test", "password": install.password, "next": wanted}
    answer = await browser.post("/sign-in", data=data, headers=ORIGIN)
    assert answer.headers["Location"] == "/"


async def test_sign_out_ends_the_session_on_the_server(browser: Any, open_browser: Any, install: Any) -> None:
    await browser.sign_in()
    stolen = browser.cookies["postwright"]
    assert (await browser.submit("/sign-out")).status_code == 303
    async with open_browser(install.app()) as other:
        other.cookies.set("postwright", stolen)
        assert (await other.get("/")).status_code == 303


@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
async def test_a_form_without_the_sessions_token_changes_nothing(browser: Any, install: Any, token: str | None) -> None:
    await install.domain()
    await install.contacts(3)
    campaign = await install.draft()
    await browser.sign_in()
    data = {} if token is None else {"csrf_token": token}
    answer = await browser.post(f"{campaign_href(campaign)}/send", data=data)
    assert answer.status_code == 403
    assert (await install.application.campaigns.get(install.workspace, campaign.id)).state == "draft"


async def test_a_token_of_another_session_is_refused(browser: Any, install: Any, open_browser: Any) -> None:
    await browser.sign_in()
    async with open_browser(install.app()) as other:
        await other.sign_in(Role.MARKETER)
        answer = await other.post("/sign-out", data={"csrf_token": await browser.token()})
    assert answer.status_code == 403


@pytest.mark.parametrize("action", ["send", "pause", "resume", "cancel"])
async def test_a_viewer_looks_and_changes_nothing(browser: Any, install: Any, action: str) -> None:
    await install.domain()
    await install.contacts(3)
    campaign = await install.draft()
    if action != "send":
        await install.send(campaign)
    await browser.sign_in(Role.VIEWER)
    page = await browser.get(campaign_href(campaign))
    assert page.status_code == 200
    assert f'action="{campaign_href(campaign)}/' not in page.text
    before = await install.application.campaigns.status(install.workspace, campaign.id)
    answer = await browser.submit(f"{campaign_href(campaign)}/{action}")
    assert answer.status_code == 403
    assert "viewer" in answer.text
    after = await install.application.campaigns.status(install.workspace, campaign.id)
    assert (after.campaign, after.run) == (before.campaign, before.run)


async def test_a_viewer_may_sign_out(browser: Any) -> None:
    await browser.sign_in(Role.VIEWER)
    assert (await browser.submit("/sign-out")).headers["Location"] == "/sign-in"


async def test_only_an_admin_adds_a_domain(browser: Any, install: Any) -> None:
    await browser.sign_in(Role.MARKETER)
    assert 'action="/domains"' not in (await browser.get("/domains")).text
    assert (await browser.submit("/domains", name="x.acme.test")).status_code == 403
    assert await install.application.sender_domains.list(install.workspace) == []


async def test_a_form_without_a_length_is_not_read(browser: Any) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"csrf_token=x"

    await browser.sign_in()
    answer = await browser.post("/sign-out", content=endless())
    assert answer.status_code == 411


async def test_what_is_too_large_is_not_read(browser: Any) -> None:
    await browser.sign_in()
    answer = await browser.post("/sign-out", data={"csrf_token": "x" * 100_000})
    assert answer.status_code == 413
