"""One sender domain in a real browser: a draft is tried, a key is rotated, a report is uploaded, a logo is shown."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mailtypes.clock import DAY
from mailtypes.questions import HttpFetched

pytestmark = pytest.mark.browser

NAME = "news.acme.test"
HERE = f"/domains/{NAME}"
LOGO = Path(__file__).parents[1] / "dns_checks" / "bimi" / "svg" / "good_shapes.svg"
BIMI = f'default._bimi.{NAME}. 300 IN TXT "v=BIMI1; l=https://acme.test/logo.svg;"\n'
REPORT = """<feedback><report_metadata><org_name>Mailhub</org_name><report_id>r-1</report_id><date_range>
<begin>{begin}</begin><end>{end}</end></date_range></report_metadata><policy_published><domain>news.acme.test</domain>
<p>none</p></policy_published><record><row><source_ip>192.0.2.99</source_ip><count>41</count><policy_evaluated>
<disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers>
<header_from>news.acme.test</header_from></identifiers><auth_results><spf><domain>x.test</domain><result>fail</result>
</spf></auth_results></record></feedback>"""


async def with_a_domain(install: Any) -> None:
    install.live("")
    domains = install.application.sender_domains
    domain = await domains.add(1, NAME)
    install.live(
        await install.zone_of(domain) + BIMI,
        {"https://acme.test/logo.svg": HttpFetched(200, "image/svg+xml", LOGO.read_bytes())},
    )
    await domains.verify(1, NAME)


@pytest.fixture(scope="module")
def served(serve: Any, tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[Any]:
    """An install with one verified domain."""
    folder = tmp_path_factory.mktemp("domain") / "install"
    shutil.copytree(begun, folder)
    with serve(folder, prepare=with_a_domain) as server:
        yield server


@pytest.fixture
def page(chromium: Browser, served: Any) -> Iterator[Page]:
    """A page that is signed in as an admin; at its end nobody has complained on the console (a 409 is no complaint)."""
    context = chromium.new_context(base_url=served.url)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda one: complaints.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(HERE)
    page.get_by_label("Address").fill("admin@main.test")
    page.get_by_label("Password").fill(served.install.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=NAME, level=1)).to_be_visible()
    yield page
    assert [one for one in complaints if "409 (Conflict)" not in one] == []
    context.close()


def test_a_draft_is_tried_mended_and_understood(page: Page) -> None:
    page.get_by_role("link", name="What if").click()
    draft = page.get_by_label("Records as in a zone file")
    draft.fill(f"bounce.{NAME}. 300 IN TXT unclosed ( \n")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("alert")).to_contain_text("line 1")
    expect(draft).to_have_value(f"bounce.{NAME}. 300 IN TXT unclosed ( \n")
    draft.fill(f'bounce.{NAME}. 300 IN TXT "v=spf1 -all"')
    page.get_by_role("button", name="Show what would change").click()
    answer = page.get_by_role("region", name="What the draft would change")
    expect(answer).to_contain_text("Verified →becomes not verified")
    expect(answer).to_contain_text("does not let 127.0.0.2 send")
    expect(answer.get_by_role("row", name="Gmail SPF passes Pass Fail")).to_be_visible()


def test_a_line_of_the_requirement_table_opens_by_the_keyboard(page: Page) -> None:
    line = page.locator(".matrix summary").filter(has_text="SPF or DKIM passes")
    line.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".matrix details[open]")).to_contain_text("SPF lets 127.0.0.2 send")


def test_a_rotation_is_started_once(page: Page) -> None:
    page.get_by_role("link", name="DKIM keys").click()
    page.get_by_role("checkbox", name="Also an Ed25519 key").check()
    page.get_by_role("button", name="Start a rotation").click()
    expect(page.get_by_role("status")).to_contain_text("The next key is made.")
    expect(page.get_by_role("heading", name="pw2-ed25519 Ed25519")).to_be_visible()
    expect(page.get_by_role("list", name="The life of pw1").locator("[aria-current]")).to_contain_text("Active")
    expect(page.get_by_role("list", name="The life of pw2", exact=True).locator("[aria-current]")).to_contain_text(
        "Made"
    )
    expect(page.get_by_role("button", name="Start a rotation")).to_have_count(0)
    expect(page.get_by_role("note")).to_contain_text("pw2 and pw2-ed25519 wait to take over")


def test_a_report_is_uploaded_and_a_broken_one_is_kept(page: Page, served: Any) -> None:
    page.get_by_role("link", name="DMARC and reports").click()
    expect(page.get_by_role("heading", name="No aggregate report in these 28 days")).to_be_visible()
    end = served.install.application.clock.now() // DAY * 86_400 - 1
    report = REPORT.format(begin=end - 86_399, end=end).encode()
    for content, name in ((report, "mailhub.xml"), (b"no report", "broken.xml")):
        file = {"name": name, "mimeType": "text/xml", "buffer": content}
        page.get_by_label("A report file").set_input_files(file)  # type: ignore[arg-type]
        page.get_by_role("button", name="Add the report").click()
        if name == "mailhub.xml":
            expect(page.get_by_role("status")).to_have_text("The report was read and stored.")
            row = page.get_by_role("row", name="192.0.2.99")
            expect(row).to_contain_text("Not yours")
            expect(row).to_contain_text("Failing")
    expect(page.get_by_role("alert")).to_contain_text("“broken.xml” could not be read")
    expect(page.get_by_role("region", name="Could not be read")).to_contain_text("broken.xml")


def test_the_logo_is_drawn_at_its_sizes_and_shut_in(page: Page, served: Any) -> None:
    page.get_by_role("link", name="Logo").click()
    pictures = page.locator(".logos img")
    expect(pictures).to_have_count(16)
    # drawn: a picture that the policy stops has no size of its own
    assert all(pictures.nth(n).evaluate("image => image.complete && image.naturalWidth > 0") for n in range(16))
    answer = page.context.request.get(f"{served.url}{HERE}/logo.svg")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("tab", ["", "/what-if", "/keys", "/reports", "/logo", "/history"])
def test_every_tab_fits_a_phone_in_both_directions(page: Page, tab: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(HERE + tab)
    for direction in ("ltr", "rtl"):
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
