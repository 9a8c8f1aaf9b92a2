"""Every page as people meet it: axe finds nothing serious, and the tasks of each role go from sign-in to result."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

GRAVE = {"serious", "critical"}
SKIPPED = {"hostile-mail", "mail"}
"""Their frame holds somebody else's mail, which is not ours to mend."""


@pytest.fixture(scope="module")
def site(serve: Any, tmp_path_factory: pytest.TempPathFactory, full: tuple[Path, Any]) -> Iterator[tuple[str, Any]]:
    source, addresses = full
    folder = tmp_path_factory.mktemp("axe") / "install"
    shutil.copytree(source, folder)
    with serve(folder) as server:
        yield server.url, addresses


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("he", "dark")])
def test_axe_finds_nothing_serious(
    chromium: Browser, site: tuple[str, Any], install_in: Any, language: str, theme: str
) -> None:
    url, addresses = site
    # The pages' policy lets no script in that is not theirs; axe is one, so the policy is switched off here.
    context = chromium.new_context(base_url=url, bypass_csp=True)
    cookies = {"language": language, "theme": theme}
    context.add_cookies(
        [{"name": f"postwright-{n}", "value": v, "domain": "127.0.0.1", "path": "/"} for n, v in cookies.items()]
    )
    page, axe, found = context.new_page(), Axe(), []

    def look(name: str, address: str) -> None:
        page.goto(address)
        for fault in axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if fault["impact"] in GRAVE:
                places = [node["html"][:160] for node in fault["nodes"][:3]]
                found.append(f"{name}: {fault['id']}: {fault['help']}: {places}")

    look("sign-in", "/sign-in")
    look("welcome", "/welcome")
    page.goto("/sign-in")
    page.locator("#address").fill("admin@main.test")
    page.locator("#password").fill(install_in.password)
    page.locator("button.primary").click()
    page.wait_for_url(f"{url}/")
    for name, address in addresses.items():
        if name not in SKIPPED:
            look(name, address)
    context.close()
    assert found == []


def _enter(chromium: Browser, url: str, language: str, role: str, password: str) -> Page:
    context = chromium.new_context(base_url=url)
    cookie = {"name": "postwright-language", "value": language, "domain": "127.0.0.1", "path": "/"}
    context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    page.goto("/sign-in")
    page.locator("#address").fill(f"{role}@main.test")
    page.locator("#password").fill(password)
    page.locator("button.primary").click()
    page.wait_for_url(f"{url}/")
    return page


@pytest.mark.parametrize("language", ["en", "he"])
def test_a_viewer_finds_a_message_and_reads_its_story(
    chromium: Browser, site: tuple[str, Any], install_in: Any, language: str
) -> None:
    page = _enter(chromium, site[0], language, "viewer", install_in.password)
    page.locator('.rail nav a[href="/events"]').click()
    page.locator('.tabs a[href="/messages"]').click()
    page.locator("#query").fill("person0@mailhub.test")
    page.keyboard.press("Enter")
    page.locator('a[href^="/messages/msg_"]').first.click()
    expect(page.locator(".timeline")).to_contain_text("550 5.1.1 No such user here")
    assert page.locator("main form").count() == 0
    page.context.close()


@pytest.mark.parametrize("language", ["en", "he"])
def test_a_marketer_suspends_a_destination_and_takes_it_back(
    chromium: Browser, site: tuple[str, Any], install_in: Any, language: str
) -> None:
    page = _enter(chromium, site[0], language, "marketer", install_in.password)
    page.locator('.rail nav a[href="/queue"]').click()
    page.locator('a[href="/queue/1"]').first.click()
    page.locator("details.ask summary").first.click()
    page.locator("#suspend-note").fill("maintenance")
    page.locator('form[action="/queue/1/suspend"] button').click()
    expect(page.locator("main .state.bad").first).to_be_visible()
    page.locator("[data-undo] button").click()
    expect(page.locator("h1 + .state.good")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("language", ["en", "he"])
def test_an_admin_invites_somebody_who_chooses_a_password(
    chromium: Browser, site: tuple[str, Any], install_in: Any, language: str
) -> None:
    page = _enter(chromium, site[0], language, "admin", install_in.password)
    page.locator('.rail nav a[href="/settings"]').click()
    page.locator('.tabs a[href="/settings/people"]').click()
    page.locator("#address").fill(f"new-{language}@main.test")
    page.locator('form[action="/settings/people"] button.primary').click()
    link = page.locator(".secret code").inner_text()
    guest = chromium.new_context().new_page()
    guest.goto(link)
    guest.locator("#password").fill("a password of my own")
    guest.locator("button.primary").click()
    guest.locator("#address").fill(f"new-{language}@main.test")
    guest.locator("#password").fill("a password of my own")
    guest.locator("button.primary").click()
    guest.wait_for_url(f"{site[0]}/")
    guest.context.close()
    page.context.close()


def test_light_and_dark_are_a_choice_that_stays(chromium: Browser, site: tuple[str, Any], install_in: Any) -> None:
    page = _enter(chromium, site[0], "en", "viewer", install_in.password)
    ground = "getComputedStyle(document.body).backgroundColor"
    page.locator('.looks button[value="light"]').click()
    expect(page.locator('.looks button[value="light"]')).to_have_attribute("aria-pressed", "true")
    light = page.evaluate(ground)
    page.locator('.looks button[value="dark"]').click()
    expect(page.locator('.looks button[value="dark"]')).to_have_attribute("aria-pressed", "true")
    page.goto("/queue")
    assert page.evaluate(ground) != light
    expect(page.locator('.looks button[value="dark"]')).to_have_attribute("aria-pressed", "true")
    page.context.close()
