"""The pages that recipients see, in a real browser: narrow, light and dark, both directions, nothing for axe to say."""

import asyncio
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from mailtypes.clock import ManualClock
from postwright.services.confirmations import LinkMeans
from postwright.services.forms import Forms, FormWanted
from postwright.services.preferences import Preferences
from postwright.services.sign_ups import Answer, Asked, SignUps
from postwright.services.withdrawals import Breadth, TakenBack
from postwright.store import sign_ups
from postwright.track import sign_up_pages, unsubscribe_pages
from postwright.track.pages import Page, invalid_page
from postwright.track.preference_pages import preference_page
from tests.services.conftest import World, make_cheap
from tracking.tokens import TokenClaims, TokenKind

pytestmark = pytest.mark.browser


async def _pages(folder: Path) -> dict[str, Page]:
    """Every page in both languages, with names that are long and of the other direction."""
    world = await World(folder, ManualClock()).begin()
    try:
        await world.sending("dana@example.test,דנה,he\n", from_name="Acme Gartenbaubetriebsgesellschaftsverwaltung")
        (delivery,) = await world.leased()
        preferences = Preferences(world.database, world.clock)
        await preferences.publish(world.workspace, await world.list_id(), "מכתב הגינה", "Once a month, in spring")
        place = await world.engagement.place(TokenClaims(TokenKind.UNSUBSCRIBE, delivery.id, 0))
        found: dict[str, Page] = {"invalid": invalid_page()}
        for language in ("en", "he"):
            found |= await _pages_in(world, preferences, place, language, delivery.id)
        return found
    finally:
        await world.database.close()


async def _pages_in(world: Any, preferences: Any, place: Any, language: str, delivery_id: int) -> dict[str, Page]:
    await world.change("UPDATE contact SET locale = :locale", locale=language)
    shown = await preferences.page(delivery_id)
    words = shown.words
    wanted = FormWanted(
        f"form-{language}", "Letter & מכתב", "Yes,\nonce a month", (await world.list_id(),), "letter@news.acme.test",
        "Acme", language, ("first_name", "city"), None, "https://acme.test/thanks",
    )  # fmt: skip
    form = await Forms(world.database, world.clock, LinkMeans(world.token_keys, 443)).create(world.workspace, wanted)
    service = SignUps(world.database, world.clock, world.token_keys, test_environment=True)
    given = {"email": f"{language}@example.test", "first_name": "Rina", "city": "Haifa"}
    assert await service.sign_up(form, given, "192.0.2.1") is Answer.TAKEN
    (stored,) = await world.database.read(lambda c: sign_ups.list_sign_ups(c, form.id))
    asked = Asked(stored, form)
    pages = {
        "unsubscribe": unsubscribe_pages.unsubscribe_page(place, words, "/p/x"),
        "unsubscribed": unsubscribe_pages.unsubscribed_page(place, words, Breadth.ALL, ("/b/x", "/p/x")),
        "undone": unsubscribe_pages.undone_page(place, words, TakenBack.DONE),
        "preferences": preference_page(shown, words, words.saved),
        "form": sign_up_pages.form_page(form),
        "taken": sign_up_pages.answer_page(words, Answer.TAKEN),
        "confirm": sign_up_pages.confirm_page(asked),
        "confirmed": sign_up_pages.confirmed_page(asked),
    }
    return {f"{name}-{language}": page for name, page in pages.items()}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    made: list[dict[str, Page]] = []
    with pytest.MonkeyPatch.context() as patch:
        make_cheap(patch)
        folder = tmp_path_factory.mktemp("pages")
        thread = threading.Thread(target=lambda: made.append(asyncio.run(_pages(folder))))
        thread.start()
        thread.join(60)
    return made[0]


def _answer(html: str, headers: dict[str, str], route: Any) -> None:
    route.fulfill(body=html, headers=headers)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable_narrow_and_has_nothing_for_axe(
    chromium: Browser, pages: dict[str, Page], scheme: Any, tmp_path: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415

    axe, shots = Axe(), os.environ.get("POSTWRIGHT_SHOTS")
    # The policy is held to in a page of its own: axe is a script, which the policy would stop.
    context = chromium.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    strict, lax = context.new_page(), context.new_page()
    complaints: list[str] = []
    strict.on("console", lambda message: complaints.append(message.text))
    for name, page in pages.items():
        policy = {"content-security-policy": page.policy, "content-type": "text/html; charset=utf-8"}
        strict.route("**/*", partial(_answer, page.html, policy))
        strict.goto("https://links.news.acme.test/")
        size = "[document.documentElement.scrollWidth, document.querySelector('main').getBoundingClientRect().width]"
        assert strict.evaluate(size)[0] <= 320, name
        assert strict.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "8px", name
        boxes = "[...document.querySelectorAll('button, a.button, .choice')].map(e => e.getBoundingClientRect().height)"
        assert all(height >= 44 for height in strict.evaluate(boxes)), name
        if shots:
            strict.screenshot(path=f"{shots}/{name}-{scheme}.png", full_page=True)
        strict.unroute("**/*")
        lax.set_content(page.html)
        found = axe.run(lax).response["violations"]
        told = [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found]
        assert [one for one in told if one[1] in {"serious", "critical"}] == [], name
    assert complaints == []
    context.close()
