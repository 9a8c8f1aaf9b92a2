"""The suppression list and a plan, from sign-in to the way back, in a real browser and both languages."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.web.test_visitors_in_chromium import _enter, site  # noqa: F401  the last is a fixture

pytestmark = pytest.mark.browser


def test_a_plan_is_applied_and_undone(
    chromium: Browser,
    site: tuple[str, Any],  # noqa: F811
    install_in: Any,
) -> None:
    page = _enter(chromium, site[0], "en", "marketer", install_in.password)
    page.goto("/hygiene")
    page.locator('td a[href="/hygiene/1"]').click()
    if page.locator('form[action="/hygiene/1/apply"]').count() == 0:
        pytest.fail("the plan of the install has nothing to do")
    page.locator('form[action="/hygiene/1/apply"] button').click()
    page.locator("[data-undo] button").click()
    expect(page.locator("h1 + .state")).to_contain_text("Undone")
    page.context.close()


@pytest.mark.parametrize("language", ["en", "he"])
def test_what_was_done_is_taken_back(
    chromium: Browser,
    site: tuple[str, Any],  # noqa: F811
    install_in: Any,
    language: str,
) -> None:
    page = _enter(chromium, site[0], language, "marketer", install_in.password)
    page.goto("/suppressions")
    page.locator("#address").fill(f"{language}@example.com")
    page.locator('form[action="/suppressions"] button.primary').click()
    row = page.locator("tr", has_text=f"{language}@example.com")
    row.locator("button").click()
    expect(row).to_have_count(0)
    page.locator("[data-undo] button").click()
    expect(row).to_have_count(1)
    page.goto("/hygiene")
    page.locator("#preset").select_option("weekly")
    page.locator('form[action="/hygiene/plans"] button.primary').click()
    page.wait_for_url("**/hygiene/*")
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.context.close()
