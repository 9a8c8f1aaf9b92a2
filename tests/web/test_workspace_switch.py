"""Changing to another workspace of one's own: from the head of the page, to its home page, with nothing left behind."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from postwright.chart_spec import NARROW_WIDTH
from postwright.services.accounts import Role
from postwright.store import workspaces
from postwright.web.hrefs import campaign_href

ORIGIN = {"Origin": "http://127.0.0.1:8025"}
SECOND = "Sister & <b>Söhne</b>"


async def second_workspace(install: Any, role: Role = Role.VIEWER, password: str = "") -> int:
    """Another workspace that the admin of the first is a person of."""
    application = install.application
    now = application.clock.now()
    made = await application.database.write(lambda c: workspaces.create_workspace(c, SECOND, now))
    await application.accounts.save_user(made, "admin@main.test", password or install.password, role)
    return int(made)


async def enter(browser: Any, install: Any, workspace: int) -> None:
    data = {"address": "admin@main.test", "password": install.password, "workspace": str(workspace)}
    answer = await browser.post("/sign-in", data=data, headers=ORIGIN)
    assert answer.status_code == 303, answer.text


async def actions(install: Any, workspace: int) -> list[tuple[str, str, int]]:
    found = await install.application.audit_log.newest(workspace)
    return [(one.who, one.action, one.status) for one in reversed(found)]


async def test_one_workspace_has_nothing_to_choose(browser: Any, install: Any) -> None:
    await browser.sign_in()
    assert "/workspace" not in (await browser.get("/")).text
    before = dict(browser.cookies)
    assert (await browser.submit("/workspace", workspace=str(install.workspace))).status_code == 404
    assert dict(browser.cookies) == before


async def test_the_head_names_the_workspaces_and_marks_the_present_one(browser: Any, install: Any) -> None:
    second = await second_workspace(install)
    await enter(browser, install, install.workspace)
    page = (await browser.get("/")).text
    menu = page.partition('<details class="workspaces">')[2].partition("</details>")[0]
    assert '<span aria-current="true">' in menu
    assert "<bdi>main</bdi></span>" in menu
    assert f'name="workspace" value="{second}"><bdi>Sister &amp; &lt;b&gt;Söhne&lt;/b&gt;</bdi></button>' in menu
    assert 'name="csrf_token"' in menu
    browser.cookies.set("postwright-language", "he")
    assert "סביבות העבודה שלכם" in (await browser.get("/")).text


async def test_after_the_change_everything_is_the_other_workspaces(
    browser: Any, install: Any, open_browser: Any
) -> None:
    second = await second_workspace(install)
    await install.domain()
    await install.contacts(3)
    campaign = await install.draft("Harvest of 2031")
    await enter(browser, install, install.workspace)
    old, form = browser.cookies["postwright"], await browser.token()
    answer = await browser.submit("/workspace", workspace=str(second), next="/campaigns", back="/campaigns")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert browser.cookies["postwright"] != old
    for path in ("/", "/campaigns", "/contacts", "/domains", "/templates"):
        shown = (await browser.get(path)).text
        assert "Harvest of 2031" not in shown
        assert "news.acme.test" not in shown
    for path in (campaign_href(campaign), "/domains/news.acme.test"):
        assert (await browser.get(path)).status_code == 404
    # A viewer here, though an admin there; and a form of a page that was open before goes nowhere.
    assert (await browser.submit("/domains", name="x.acme.test")).status_code == 403
    assert (await browser.post("/workspace", data={"csrf_token": form, "workspace": "1"})).status_code == 403
    async with open_browser(install.app()) as other:
        other.cookies.set("postwright", old)
        assert (await other.get("/")).headers["Location"].startswith("/sign-in")
    assert (await browser.submit("/workspace", workspace=str(install.workspace))).status_code == 303
    assert "Harvest of 2031" in (await browser.get("/campaigns")).text


async def test_each_log_tells_what_concerns_its_workspace(browser: Any, install: Any) -> None:
    second = await second_workspace(install)
    await enter(browser, install, install.workspace)
    await browser.submit("/workspace", workspace=str(second))
    came = ("admin@main.test", "POST /sign-in", 303)
    assert await actions(install, install.workspace) == [came, ("admin@main.test", "POST /workspace", 303)]
    assert await actions(install, second) == [("admin@main.test", "POST /workspace", 303)]


@pytest.mark.parametrize("wanted", ["stranger", "other password", "٢"])
async def test_nobody_changes_to_a_workspace_of_others(browser: Any, install: Any, wanted: str) -> None:
    second = await second_workspace(install)
    application, now = install.application, install.application.clock.now()
    stranger = await application.database.write(lambda c: workspaces.create_workspace(c, "Undisclosed", now))
    if wanted == "other password":  # whoever is an admin there could have made up the address and the password
        await application.accounts.save_user(stranger, "admin@main.test", "quite another one", Role.ADMIN)
    number = str(stranger) if wanted in ("stranger", "other password") else wanted
    await enter(browser, install, install.workspace)
    before = dict(browser.cookies)
    answer = await browser.submit("/workspace", workspace=number)
    assert answer.status_code == 404
    assert dict(browser.cookies) == before
    page = (await browser.get("/")).text
    assert "Undisclosed" not in page
    assert f'value="{second}"' in page
    assert await actions(install, stranger) == []


async def test_without_the_sessions_token_nothing_changes(browser: Any, install: Any) -> None:
    second = await second_workspace(install)
    await enter(browser, install, install.workspace)
    before = browser.cookies["postwright"]
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "wrong"}):
        answer = await browser.post("/workspace", data={"workspace": str(second), **token})
        assert answer.status_code == 403
    assert (await browser.get("/workspace")).status_code == 405
    assert browser.cookies["postwright"] == before


async def test_a_viewer_may_change_to_another_workspace(browser: Any, install: Any) -> None:
    second = await second_workspace(install, Role.VIEWER)
    await enter(browser, install, second)
    assert (await browser.submit("/workspace", workspace=str(install.workspace))).headers["Location"] == "/"
    assert "Admin" in (await browser.get("/")).text


async def test_a_kept_chart_is_not_shown_to_another_session(browser: Any, install: Any, pages: Any) -> None:
    await browser.sign_in()
    for width in ("", "&width=narrow"):
        answer = await browser.get(f"/domains/letters.acme.test/warm-up.svg?theme=dark{width}")
        assert answer.headers["Cache-Control"] == "private, max-age=30"
        assert answer.headers["Vary"] == "Cookie"
        assert (f'viewBox="0 0 {NARROW_WIDTH} ' in answer.text) is bool(width)
    page = (await browser.get(pages["warm-up"])).text
    assert 'theme=dark&amp;width=narrow" media="(max-width: 720px) and (prefers-color-scheme: dark)"' in page
    assert 'theme=light&amp;width=narrow" media="(max-width: 720px)"' in page


@pytest.mark.browser
def test_by_keyboard_with_nothing_grave(chromium: Browser, serve: Any, begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "install")
    with serve(tmp_path / "install", prepare=second_workspace) as server:
        for language, theme, width in (("en", "light", 1280), ("he", "dark", 390)):
            view: Any = {"width": width, "height": 800}
            context = chromium.new_context(base_url=server.url, bypass_csp=True, viewport=view)
            looks: Any = {"language": language, "theme": theme}
            context.add_cookies(
                [{"name": f"postwright-{n}", "value": v, "domain": "127.0.0.1", "path": "/"} for n, v in looks.items()]
            )
            page = context.new_page()
            _sign_in_to_main(page, server)
            _change_by_keyboard(page, width)
            assert page.url == f"{server.url}/"
            context.close()


def _sign_in_to_main(page: Page, server: Any) -> None:
    page.goto("/sign-in")
    page.locator("#address").fill("admin@main.test")
    page.locator("#password").fill(server.install.password)
    page.locator("button.primary").click()
    page.locator("#workspace").select_option(label="main")
    page.locator("#password").fill(server.install.password)
    page.locator("button.primary").click()
    page.wait_for_url(f"{server.url}/")


def _change_by_keyboard(page: Page, width: int) -> None:
    summary, button = page.locator(".workspaces summary"), page.locator(".workspaces button")
    expect(summary).to_contain_text("main")
    for _ in range(3):  # over what skips to the content, and the mark
        page.keyboard.press("Tab")
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    expect(button).to_be_visible()
    box = page.locator(".workspaces form").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    faults = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [one["id"] for one in faults if one["impact"] in ("serious", "critical")] == []
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(button).to_be_hidden()
    for key in ("Enter", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(summary).to_contain_text(SECOND)
    expect(page.locator(".workspaces [aria-current]")).to_have_text(SECOND)
