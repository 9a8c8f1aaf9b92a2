"""The page of a template in a real browser: what is typed is checked, findings lead to places, the mail is inert."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from postwright.store.templates import TemplateText
from postwright.web.hrefs import template_href

pytestmark = pytest.mark.browser
BODY = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.first_name | default: "you" }}</mj-text>
<mj-image src="https://www.acme.test/a.png" width="300px" />
<mj-raw><script>document.title = "broken out"; fetch("/templates")</script></mj-raw>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


@pytest.fixture(scope="module")
def served(serve: Any, tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[tuple[str, str]]:
    """An install with one template: where it is, and the address of the template's page."""
    folder = tmp_path_factory.mktemp("served") / "install"
    shutil.copytree(begun, folder)

    async def save(install: Any) -> str:
        text = TemplateText(BODY, "mjml", "A letter about the garden")
        return template_href((await install.application.templates.save(1, "letter", text)).template)

    with serve(folder) as server:
        yield server.url, server.run(save)


@pytest.fixture
def page(chromium: Browser, served: tuple[str, str], install_in: Any) -> Iterator[Page]:
    """The template's page, seen by a marketer."""
    context = chromium.new_context(base_url=served[0], viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(served[1])
    page.get_by_label("Address").fill("marketer@main.test")
    page.get_by_label("Password").fill(install_in.password)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("heading", name="letter", level=1)).to_be_visible()
    yield page
    context.close()


def mail(page: Page) -> Any:
    return page.frame_locator("[data-ground] iframe:not(.coming)")


def test_what_is_typed_is_checked_and_drawn(page: Page) -> None:
    expect(mail(page).get_by_text("Hello Dana")).to_be_visible()
    area = page.locator("#body")
    area.fill(BODY.replace("Hello", "Good morning").replace('width="300px" />', 'alt="A tree" width="300px" />'))
    expect(mail(page).get_by_text("Good morning Dana")).to_be_visible()
    expect(page.get_by_text("An image has no alternative text")).to_have_count(0)
    area.fill(BODY.replace("| default", "| nofilter"))
    expect(page.locator(".gutter li.bad")).to_have_text("2")


def test_a_finding_leads_to_the_line_and_marks_the_place_in_the_mail(page: Page) -> None:
    page.locator(".finding", has_text="An image has no alternative text").get_by_role("button", name="line 3").click()
    selected = page.evaluate("(() => { const b = document.getElementById('body');"
                             " return b.value.slice(b.selectionStart, b.selectionEnd); })()")  # fmt: skip
    assert selected.startswith("<mj-image")
    marked = mail(page).locator("#pw-mark")
    expect(marked).to_be_visible()
    assert "solid" in marked.evaluate("element => getComputedStyle(element).outlineStyle")


def test_the_switches_show_the_phones_width_and_the_plain_text(page: Page) -> None:
    frame = page.locator("[data-ground] iframe:not(.coming)")
    assert (frame.bounding_box() or {})["width"] == 602
    page.get_by_text("Phone", exact=True).click()
    expect(frame).to_have_css("inline-size", "377px")
    page.get_by_text("Plain text", exact=True).first.click()
    expect(mail(page).locator("pre")).to_contain_text("Hello Dana")


def test_the_mail_runs_nothing(page: Page) -> None:
    expect(mail(page).get_by_text("Hello Dana")).to_be_visible()
    assert page.title().startswith("letter")
    assert page.evaluate("document.querySelector('[data-ground] iframe').getAttribute('sandbox')") == ""


def test_what_was_typed_before_the_script_came_is_looked_at(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/templates*.js*", hold)
    page.reload(wait_until="commit")
    page.locator("#subject").fill("Written early")
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    expect(page.locator(".inbox")).to_contain_text("Written early")


def test_drawing_leaves_no_trace_in_history(page: Page) -> None:
    before = page.evaluate("history.length")
    for number in range(3):
        page.locator("#subject").fill(f"Another letter {number}")
        expect(page.locator(".inbox")).to_contain_text(f"Another letter {number}")
    assert page.evaluate("history.length") == before
