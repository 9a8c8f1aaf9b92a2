"""The warm-up of a sender domain in the pages: started behind its gate, drawn, paused and resumed with a note."""

from typing import Any

from postwright.services.accounts import Role
from postwright.services.hygiene_terms import PlanTerms
from postwright.services.warm_ups import Start

NAME = "news.acme.test"
HERE = f"/domains/{NAME}/warm-up"


async def started(install: Any) -> None:
    await install.domain(NAME)
    plan = {"preset": "postmark", "providers": {"google": {"first": 50}}}
    await install.application.warm_ups.start(install.workspace, Start(NAME, plan, "a test", "<b>bold</b> words"))


async def test_what_stands_in_the_way_is_said_and_a_note_starts_it(browser: Any, install: Any) -> None:
    await install.domain(NAME, "pending")
    await browser.sign_in()
    page = (await browser.get(HERE)).text
    assert "The audit of the sender domain found errors." in page
    assert "not known whether the lists have been through hygiene" in page
    refused = await browser.submit(f"{HERE}/start", plan="postmark", zone="", note="")
    assert refused.status_code == 409
    assert "The audit of the sender domain found errors." in refused.text
    done = await browser.submit(f"{HERE}/start", plan="postmark", zone="Asia/Jerusalem", note="known to them")
    assert done.status_code == 303
    page = (await browser.get(done.headers["location"])).text
    assert "days of Asia/Jerusalem" in page
    assert "The ramp of a provider begins with the first mail to it." in page


async def test_with_clean_lists_no_note_is_needed(browser: Any, install: Any) -> None:
    await install.domain(NAME)
    await install.contacts(3)
    await browser.sign_in()
    page = (await browser.get(HERE)).text
    assert "Hygiene of the last 30 days has looked at 0 of 3 contacts; 90 % are asked for." in page
    plans = install.application.hygiene_plans
    await plans.finish(install.workspace, await plans.make(install.workspace, PlanTerms(), None))
    assert "Hygiene of the last" not in (await browser.get(HERE)).text
    done = await browser.submit(f"{HERE}/start", plan="postmark", zone="", note="")
    assert done.status_code == 303


async def test_the_chart_the_table_and_the_decisions(browser: Any, install: Any) -> None:
    await started(install)
    await browser.sign_in()
    page = (await browser.get(f"{HERE}?provider=google")).text
    assert f"{HERE}.svg?provider=google" in page
    assert "advance, 0 -&gt; 50 a day" in page
    picture = await browser.get(f"{HERE}.svg?provider=google&theme=dark")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in picture.content
    assert NAME in (await browser.get("/warm-up")).text


async def test_a_pause_and_a_resumption_need_a_reason(browser: Any, install: Any) -> None:
    await started(install)
    await browser.sign_in()
    assert (await browser.submit(f"{HERE}/pause", provider="google", note=" ")).status_code == 409
    done = await browser.submit(f"{HERE}/pause", provider="google", note="<i>wait</i>")
    assert done.status_code == 303
    page = (await browser.get(HERE)).text
    assert "It sends nothing until somebody resumes it." in page
    assert "&lt;i&gt;wait&lt;/i&gt;" in page
    assert "<i>wait" not in page
    assert (await browser.submit(f"{HERE}/resume", provider="google", note="go on")).status_code == 303
    assert "Growing" in (await browser.get(HERE)).text


async def test_viewers_look_and_decide_nothing(browser: Any, install: Any) -> None:
    await started(install)
    await browser.sign_in(Role.VIEWER)
    page = (await browser.get(HERE)).text
    assert f"{HERE}/pause" not in page
    assert (await browser.submit(f"{HERE}/pause", provider="google", note="x")).status_code == 403
