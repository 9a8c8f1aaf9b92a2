"""The pages in a real browser: progress that moves, mails in their frame, nothing that the policy has to stop."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from mta.delivery import Happening

pytestmark = pytest.mark.browser

WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
"""


@pytest.fixture(scope="module")
def served(serve: Any, tmp_path_factory: pytest.TempPathFactory, full: tuple[Path, Any]) -> Iterator[Any]:
    source, addresses = full
    folder = tmp_path_factory.mktemp("served") / "install"
    shutil.copytree(source, folder)
    with serve(folder, addresses=addresses) as server:
        yield server


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(chromium: Browser, served: Any, complaints: list[str]) -> Iterator[Page]:
    """A page that is signed in as a marketer, with every complaint of the console kept."""
    context = chromium.new_context(base_url=served.url)
    context.add_init_script(WATCH_POLICY)
    page = context.new_page()

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda request: complaints.append(request.url) if _is_outside(request.url, served) else None)
    page.goto("/campaigns")
    page.get_by_label("Address").fill("marketer@main.test")
    page.get_by_label("Password").fill(served.install.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()
    yield page
    context.close()


def _is_outside(url: str, served: Any) -> bool:
    return not url.startswith((served.url, "data:"))


def test_signing_in_leads_back_to_the_page_that_was_asked_for(page: Page) -> None:
    assert page.url.endswith("/campaigns")


def test_no_page_troubles_the_console_or_the_policy(page: Page, served: Any, complaints: list[str]) -> None:
    for name, address in served.addresses.items():
        if address.startswith(("/settings/", "/webhooks")):  # an admin's, and refused here
            continue
        if name == "hostile-mail":
            continue  # its frame is meant to be stopped; see below
        page.goto(address)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        assert page.evaluate("window.violations") == [], name
    expected = [one for one in complaints if "404" in one and "/no-such-page" in one]
    assert [one for one in complaints if one not in expected] == []


def test_every_page_fits_a_phone(page: Page, served: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name, address in served.addresses.items():
        page.goto(address)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is {overflow} px too wide"


def test_progress_moves_and_the_page_notices_the_end(page: Page, served: Any, complaints: list[str]) -> None:
    page.goto(served.addresses["running"])
    settled = page.locator('[data-live="settled"]')
    before = int(settled.inner_text().replace(",", ""))
    width = page.locator('rect[data-bar="delivered"]').get_attribute("width")
    page.evaluate("window.sameDocument = true")
    assert served.run(lambda install: install.deliver(Happening.ACCEPTED, 5)) == 5
    expect(settled).to_have_text(str(before + 5), timeout=5000)
    assert page.locator('rect[data-bar="delivered"]').get_attribute("width") != width
    assert page.evaluate("window.sameDocument"), "the page was loaded again instead of moving"
    expect(page.locator(".recent li")).to_have_count(12, timeout=10_000)

    served.run(lambda install: install.application.campaigns.pause(1, 2))
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=5000)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert complaints == []


def test_cancel_asks_in_place_and_can_be_left_with_escape(page: Page, served: Any) -> None:
    page.goto(served.addresses["running"])
    page.get_by_text("Cancel…").click()
    final = page.get_by_role("button", name="Cancel for good")
    expect(final).to_be_visible()
    page.keyboard.press("Escape")
    expect(final).to_be_hidden()


def test_hebrew_mail_runs_from_right_to_left(page: Page, served: Any, complaints: list[str]) -> None:
    page.goto("/sandbox")
    page.get_by_role("link", name=served.install.hebrew_subject).click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(served.install.hebrew_subject)
    assert heading.evaluate("element => getComputedStyle(element).direction") == "rtl"
    frame = page.frame_locator("iframe")
    expect(frame.locator("#greeting")).to_be_visible()
    assert page.locator("iframe").get_attribute("sandbox") == ""
    page.get_by_role("link", name="Plain text").click()
    assert page.locator("pre.plain").evaluate("element => getComputedStyle(element).direction") == "rtl"
    assert complaints == []


def test_hostile_mail_can_do_nothing(page: Page, served: Any) -> None:
    outside: list[str] = []

    def on_failure(request: Request) -> None:
        # "csp": the policy stopped it before anybody was asked. Anything else was on its way.
        if _is_outside(request.url, served) and request.failure != "csp":
            outside.append(f"{request.url} {request.failure}")

    page.on("requestfailed", on_failure)
    page.on("response", lambda answer: outside.append(answer.url) if _is_outside(answer.url, served) else None)
    page.on("dialog", lambda dialog: outside.append(dialog.message))
    page.on("popup", lambda popup: outside.append(popup.url))
    hostile = (
        '<p id="seen">Hi</p><script>top.location = "https://evil.test/"</script>'
        '<meta http-equiv="refresh" content="0;url=https://evil.test/refreshed">'
        '<img src="https://evil.test/pixel.png"><link rel="stylesheet" href="https://evil.test/a.css">'
        '<form action="/sign-out" method="post"><button id="go">Go</button></form>'
        '<a id="out" href="https://evil.test/clicked" target="_top">Out</a><iframe src="https://evil.test/frame"></iframe>'
    )
    served.run(lambda install: install.receive(install.mail("ruby@mailhub.test", "Trap", hostile)))
    page.goto("/sandbox")
    page.get_by_role("link", name="Trap").click()
    frame = page.frame_locator("iframe").first
    expect(frame.locator("#seen")).to_be_visible()
    address = page.url
    frame.locator("#go").click()
    frame.locator("#out").click()
    time.sleep(0.5)  # for what must not happen there is nothing to wait for
    assert page.url == address
    assert outside == []
    page.goto("/")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()


def test_copy_puts_the_record_on_the_clipboard(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/domains/news.acme.test")
    page.locator("button[data-copy]").nth(1).click()
    assert page.evaluate("navigator.clipboard.readText()") == "v=spf1 ip4:127.0.0.2 -all"
    expect(page.get_by_text("Copied")).to_be_visible()


def test_right_to_left_is_the_same_sheet_mirrored(page: Page, served: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(served.addresses["finished"])
    before = page.locator(".rail").bounding_box()
    page.evaluate("document.documentElement.dir = 'rtl'")
    after = page.locator(".rail").bounding_box()
    assert before is not None
    assert after is not None
    assert before["x"] == 0
    assert after["x"] + after["width"] >= 1280 - 20
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_everything_is_there_without_scripts(chromium: Browser, page: Page, served: Any) -> None:
    context = chromium.new_context(base_url=served.url, java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    plain = context.new_page()
    plain.goto(served.addresses["finished"])
    assert "Where the recipients stand" in plain.content()
    assert plain.locator("progress").first.get_attribute("value") != "0"
    context.close()
