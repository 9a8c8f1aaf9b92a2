"""The pages of contacts in a real browser: the count that follows the builder, an import by hand and eye."""

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = pytest.mark.browser
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def url(install_in: Any, tmp_path_factory: pytest.TempPathFactory, full: tuple[Path, Any]) -> Iterator[str]:
    """The address of a filled install behind uvicorn, in a thread with an event loop of its own."""
    folder = tmp_path_factory.mktemp("served") / "install"
    shutil.copytree(full[0], folder)
    listener = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []
    ready = threading.Event()

    async def serve() -> None:
        install = install_in(folder)
        servers.append(uvicorn.Server(uvicorn.Config(install.app(), log_level="warning", lifespan="off")))
        ready.set()
        await servers[0].serve([listener])
        await install.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    servers[0].should_exit = True
    thread.join(30)


@pytest.fixture
def page(url: str, install_in: Any) -> Iterator[Page]:
    """A page that is signed in as a marketer; nothing may be complained of."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: nobody would see the pages")
        pytest.skip("chromium is not installed")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_context(base_url=url).new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/campaigns")
        page.get_by_label("Address").fill("marketer@main.test")
        page.get_by_label("Password").fill(install_in.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()
        yield page
        browser.close()
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
