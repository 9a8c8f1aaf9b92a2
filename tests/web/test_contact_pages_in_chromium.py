"""The pages of contacts in a real browser: the count that follows the builder, an import by hand and eye."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(serve: Any, tmp_path_factory: pytest.TempPathFactory, full: tuple[Path, Any]) -> Iterator[str]:
    """The address of a filled install."""
    folder = tmp_path_factory.mktemp("served") / "install"
    shutil.copytree(full[0], folder)
    with serve(folder) as server:
        yield server.url


@pytest.fixture
def page(chromium: Browser, url: str, install_in: Any) -> Iterator[Page]:
    """A page that is signed in as a marketer; nothing may be complained of."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=url)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/campaigns")
    page.get_by_label("Address").fill("marketer@main.test")
    page.get_by_label("Password").fill(install_in.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()
    yield page
    context.close()
    assert complaints == []


def test_the_count_follows_the_conditions(page: Page) -> None:
    page.goto("/segments/new")
    expect(page.locator("[data-count]")).not_to_be_empty()
    first = page.locator("[data-condition]").first
    expect(first.get_by_label("Days")).to_be_hidden()
    first.get_by_label("What").select_option("tag")
    first.get_by_label("Name").fill("vip")
    expect(page.locator("[data-count]")).to_have_text("3 contacts")
    expect(page.locator("[data-sentence]")).to_contain_text("vip")
    first.get_by_label("What").select_option("opened")
    expect(first.get_by_label("Days")).to_be_visible()
    first.get_by_label("What").select_option("list")
    first.get_by_label("Name").fill("nowhere")
    expect(page.locator("[data-problem]")).to_contain_text("nowhere")
    page.get_by_role("button", name="More conditions").click()
    expect(page.locator("[data-condition]")).to_have_count(4)


def test_a_file_is_looked_at_and_imported(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("כתובת;עיר\nnoa@mailhub.test;חיפה\n".encode("cp1255"))
    page.goto("/imports")
    page.get_by_label("List").fill("Newcomers")
    page.get_by_label("CSV, TSV or NDJSON file").set_input_files(file)
    page.get_by_role("button", name="Look at the columns").click()
    expect(page.get_by_text("this is a guess")).to_be_visible()
    expect(page.get_by_text("חיפה")).to_be_visible()
    page.get_by_label("Field for עיר").fill("city")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("The file was stored.")).to_be_visible()
    expect(page.get_by_text("Waiting")).to_be_visible()
