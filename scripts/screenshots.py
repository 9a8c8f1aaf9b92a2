"""Pictures of every page: two widths, light, dark and right to left, from an install with seeded data.

``make screenshots`` writes them into ``build/screenshots`` and prints how long each page took and how large it was;
a page over 150 ms or 300 KiB (before charts) is marked.
"""

import argparse
import asyncio
import importlib.util
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WIDTHS = {"wide": 1280, "narrow": 390}
LOOKS = {"light": ("en", "light"), "dark": ("en", "dark"), "rtl": ("he", "light")}
LONGEST, LARGEST = 150, 300 * 1024
_ROUNDS = 3
_ALL_PICTURES = """Promise.race([
  Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.complete || new Promise((done) => { image.onload = image.onerror = done; });
  })),
  new Promise((done) => setTimeout(done, 5000)),
]).then(() => null)"""


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a page took (median, milliseconds) and its octets."""

    name: str
    milliseconds: float
    octets: int

    @property
    def is_within(self) -> bool:
        """Whether it keeps to the budget."""
        return self.milliseconds <= LONGEST and self.octets <= LARGEST


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, dict[str, str], str]]:
    """A filled install behind a free loopback port: its address, the addresses of its pages, and the password."""
    stage = _stage()
    stage.schema.upgrade(f"sqlite:///{folder / 'postwright.db'}")

    async def fill() -> dict[str, str]:
        install = await stage.Install(folder).begin()
        try:
            pages: dict[str, str] = await install.filled()
            return pages
        finally:
            await install.close()

    pages = asyncio.run(fill())
    listener = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        install = stage.Install(folder)
        servers.append(uvicorn.Server(uvicorn.Config(install.app(), log_level="warning", lifespan="off")))
        await servers[0].serve([listener])
        await install.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", pages, stage.PASSWORD
    finally:
        servers[0].should_exit = True
        thread.join(30)


def _stage() -> Any:
    """The stage of the pages' tests: the same data in the pictures as under test."""
    spec = importlib.util.spec_from_file_location("postwright_web_stage", ROOT / "tests" / "web" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def shoot(browser: Browser, url: str, pages: dict[str, str], password: str, target: Path) -> int:
    """Write all pictures; returns how many."""
    count = 0
    for width_name, width in WIDTHS.items():
        for look, (language, theme) in LOOKS.items():
            context = _signed_in(browser, url, password, width, (language, theme))
            folder = target / f"{width_name}-{look}"
            folder.mkdir(parents=True, exist_ok=True)
            page = context.new_page()
            for name, address in pages.items():
                page.goto(url + address)
                # Pictures further down are fetched when they are scrolled to; a photographer does not scroll.
                page.evaluate(_ALL_PICTURES)
                page.screenshot(path=folder / f"{name}.png", full_page=True)
                count += 1
            context.close()
    return count


def measure(browser: Browser, url: str, pages: dict[str, str], password: str) -> list[Measured]:
    """Ask for every page a few times, without its pictures and scripts."""
    context = _signed_in(browser, url, password, 1280, ("en", "light"))
    found = []
    for name, address in pages.items():
        times, octets = [], 0
        for _ in range(_ROUNDS):
            before = perf_counter()
            octets = len(context.request.get(url + address).body())
            times.append(1000 * (perf_counter() - before))
        found.append(Measured(name, median(times), octets))
    context.close()
    return found


def _signed_in(browser: Browser, url: str, password: str, width: int, look: tuple[str, str]) -> BrowserContext:
    context = browser.new_context(viewport={"width": width, "height": 900}, timezone_id="Asia/Jerusalem")
    names = zip(("language", "theme", "zone"), (*look, "Asia%2FJerusalem"), strict=True)
    host = urlsplit(url).hostname or ""
    context.add_cookies([{"name": f"postwright-{n}", "value": v, "domain": host, "path": "/"} for n, v in names])
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.locator("#address").fill("admin@main.test")
    page.locator("#password").fill(password)
    page.locator("button.primary").click()
    page.wait_for_url(f"{url}/")
    page.close()
    return context


def main() -> int:
    """Shoot and measure."""
    parser = argparse.ArgumentParser(description="Pictures of every page, and how long each takes.")
    parser.add_argument("--target", type=Path, default=ROOT / "build" / "screenshots")
    parser.add_argument("--only", default="", help="names of pages, separated by commas")
    parser.add_argument("--measure", action="store_true", help="only measure")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is missing")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as (url, all_pages, password),
        sync_playwright() as play,
    ):
        wanted = set(options.only.split(",")) - {""}
        pages = {name: address for name, address in all_pages.items() if not wanted or name in wanted}
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        measured = measure(browser, url, pages, password)
        if not options.measure:
            print(f"{shoot(browser, url, pages, password, options.target)} pictures in {options.target}")
        browser.close()
    print(f"{'page':24}{'ms':>8}{'KiB':>8}")
    for one in sorted(measured, key=lambda one: -one.milliseconds):
        remark = "" if one.is_within else "  over the budget"
        print(f"{one.name:24}{one.milliseconds:8.0f}{one.octets / 1024:8.1f}{remark}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
