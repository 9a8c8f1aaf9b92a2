"""The main task of each role from sign-in to its result, in both languages: what the product is bought for."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from mta.delivery import Happening

pytestmark = pytest.mark.browser

LETTERS = 9


async def publish(install: Any) -> None:
    """Put what all sender domains ask for into the DNS."""
    install.live("\n".join([await install.zone_of(one) for one in await install.application.sender_domains.list(1)]))


async def with_a_domain(install: Any) -> None:
    install.live("")
    await install.domain()
    await publish(install)


@pytest.fixture(scope="module")
def served(serve: Any, tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[Any]:
    """An install with a verified domain and a DNS around it."""
    folder = tmp_path_factory.mktemp("tasks") / "install"
    shutil.copytree(begun, folder)
    with serve(folder, prepare=with_a_domain) as server:
        yield server


@pytest.fixture(params=["en", "he"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def enter(chromium: Browser, served: Any, language: str) -> Iterator[Callable[[str], Page]]:
    """Sign in as somebody with that role."""
    # The pages' policy lets no script in that is not theirs; axe is one, so the policy is switched off here.
    context = chromium.new_context(base_url=served.url, bypass_csp=True)
    context.add_cookies([{"name": "postwright-language", "value": language, "domain": "127.0.0.1", "path": "/"}])

    def sign_in(role: str) -> Page:
        page = context.new_page()
        page.goto("/sign-in")
        page.locator("#address").fill(f"{role}@main.test")
        page.locator("#password").fill(served.install.password)
        page.locator("button.primary").click()
        page.wait_for_url(f"{served.url}/")
        return page

    yield sign_in
    context.close()


def nothing_serious(page: Page) -> None:
    faults = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [one["help"] for one in faults if one["impact"] in {"serious", "critical"}] == []


def test_an_admin_adds_a_domain_publishes_its_records_and_verifies_it(
    enter: Callable[[str], Page], served: Any, language: str
) -> None:
    name = f"{language}.acme.test"
    page = enter("admin")
    page.locator('.rail nav a[href="/domains"]').click()
    page.locator("#name").fill(name)
    page.locator('form[action="/domains"] button.primary').click()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("main")).to_contain_text(f"_domainkey.{name}")
    served.run(publish)
    page.locator(f'form[action="/domains/{name}/verify"] button').click()
    expect(page.locator("h1 + .state")).to_have_class("state good")
    nothing_serious(page)
    page.locator('.rail nav a[href="/domains"]').click()
    row = page.locator("tr", has_text=name)
    expect(row.locator(".state.good").first).to_be_visible()


def test_a_marketer_brings_contacts_writes_a_letter_sends_it_and_reads_the_report(
    enter: Callable[[str], Page], served: Any, language: str, tmp_path: Path
) -> None:
    readers, letter = f"Readers {language}", f"spring-{language}"
    file = tmp_path / "people.csv"
    people = (f"{language}{number}@{('mailhub', 'postbox', 'doar')[number % 3]}.test,Noa" for number in range(LETTERS))
    file.write_text("\n".join(["email,first_name", *people, "no address,Nobody"]))
    page = enter("marketer")

    page.locator('.rail nav a[href="/contacts"]').click()
    page.locator('a[href="/imports"]').first.click()
    page.locator("#list").fill(readers)
    page.locator("#file").set_input_files(file)
    page.locator('button[value="at_once"]').click()
    served.run(lambda install: install.application.imports.run_jobs())
    page.reload()
    expect(page.locator("h1 + .state.good")).to_be_visible()
    expect(page.locator("main")).to_contain_text("no address")

    page.locator('.rail nav a[href="/templates"]').click()
    page.locator("#name").fill(letter)
    page.locator("#starter").select_option(index=0 if language == "en" else 1)
    page.locator('form[action="/templates/begin"] button').click()
    expect(page.locator("h1")).to_have_text(letter)
    page.locator("#subject").fill("{{ contact.first_name }}, the garden in spring")
    page.locator('button[formaction$="/save"]').click()
    expect(page.locator("#subject")).to_have_value("{{ contact.first_name }}, the garden in spring")

    page.locator('.rail nav a[href="/campaigns"]').click()
    page.locator('a[href="/campaigns/new"]').click()
    page.locator("#name").fill(f"Spring {language}")
    page.locator("#list").select_option(label=f"{readers} ({LETTERS})")
    page.locator("#template").select_option(label=letter)
    page.locator("#from_name").fill("Acme Garden")
    page.locator("#from_address").fill("hello@news.acme.test")
    page.locator('main form[action="/campaigns"] button.primary').click()
    expect(page.locator("h1")).to_have_text(f"Spring {language}")
    nothing_serious(page)
    page.locator("details.ask summary.primary").click()
    page.locator('form[action$="/send"] button').click()
    expect(page.locator("h1 + .state.active")).to_be_visible()

    async def deliver(install: Any) -> int:
        run = (await install.application.campaigns.list(1))[-1]
        status = await install.application.campaigns.status(1, run.id)
        await install.release(status.run)
        done = await install.deliver(Happening.ACCEPTED, LETTERS)
        for _ in range(3):
            await install.application.scheduler.step()
        return int(done)

    assert served.run(deliver) == LETTERS
    page.reload()
    expect(page.locator("h1 + .state.good")).to_be_visible()
    page.locator('a[href$="/report"]').first.click()
    delivered = page.locator(".metrics dd").first
    for _ in range(60):  # the counts come a few seconds behind
        if "100.00" in delivered.inner_text():
            break
        served.run(lambda install: install.application.scheduler.step())
        page.wait_for_timeout(500)
        page.reload()
    expect(delivered).to_contain_text("100.00 %")
    for picture in page.locator("figure.chart img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True, timeout=60_000)  # the first chart brings matplotlib
        assert picture.evaluate("image => image.naturalWidth") > 0
    nothing_serious(page)


def test_a_viewer_sees_how_it_went_and_changes_nothing(enter: Callable[[str], Page]) -> None:
    page = enter("viewer")
    page.locator('.rail nav a[href="/campaigns"]').click()
    page.locator("td a.subject").first.click()
    expect(page.locator("main .card").first).to_be_visible()
    assert page.locator("main form").count() == 0
    page.goto("/campaigns/new")
    expect(page.locator("h1")).not_to_have_text("New campaign")
    nothing_serious(page)
