"""The page of a template: editing, checks that follow the typing, versions, tests to oneself; without a script too."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from postwright.services.accounts import Role
from postwright.store.templates import TemplateText
from postwright.web.hrefs import template_href

BODY = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.first_name | default: "you" }}</mj-text>
<mj-image src="https://www.acme.test/a.png" />
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


@pytest.fixture
async def one(install: Any) -> str:
    stored = await install.application.templates.save(
        install.workspace, "letter", TemplateText(BODY, "mjml", "A letter about the garden")
    )
    return template_href(stored.template)


@pytest.fixture
async def marketer(install: Any, open_browser: Any) -> Any:
    return await open_browser(install.app()).sign_in(Role.MARKETER)


def draft(body: str = BODY, **fields: str) -> dict[str, str]:
    return {"subject": "A letter about the garden", "preheader": "", "body_format": "mjml", "body": body, **fields}


async def test_the_page_shows_editor_mail_and_findings(one: str, marketer: Any) -> None:
    page = await marketer.get(one)
    assert page.status_code == 200
    assert "frame-src &#39;self&#39;" not in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert re.search(r'data-line="3"[^>]*data-mark="\d+"', page.text)
    frame = await marketer.get(f"{one}/frame")
    assert frame.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"
    assert "Hello Dana" in frame.text


async def test_a_draft_is_checked_and_drawn_without_being_stored(one: str, marketer: Any, install: Any) -> None:
    changed = draft(BODY.replace("\n", "\r\n").replace("Hello", "Good morning"))
    found = (await marketer.submit(f"{one}/check.json", **changed)).json()
    assert set(found) == {"meters", "report", "lines", "is_rtl"}
    assert [3, "attention"] in found["lines"]
    assert "Good morning Dana" in (await marketer.submit(f"{one}/frame", **changed)).text
    page = await marketer.submit(f"{one}/check", **changed)
    assert page.status_code == 200
    assert "Good morning" in page.text
    stored = await install.application.templates.list(install.workspace)
    assert stored[0].version.number == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MARKETER])
async def test_an_address_brings_no_text(one: str, install: Any, open_browser: Any, role: Role) -> None:
    reader = await open_browser(install.app()).sign_in(role)
    query = urlencode(draft(BODY.replace("Hello", "Pay here"), subject="Overdue", preheader="Now", plain_text="Hurry"))
    page = (await reader.get(f"{one}?{query}&width=phone")).text
    frame = (await reader.get(f"{one}/frame?{query}")).text
    assert "Hello Dana" in frame
    assert "A letter about the garden" in page
    for brought in ("Pay here", "Overdue", "Hurry"):
        assert brought not in page
        assert brought not in frame


async def test_an_address_says_how_the_mail_is_looked_at(one: str, marketer: Any) -> None:
    await marketer.submit(f"{one}/save", **draft(BODY.replace("Hello", "Good morning")))
    assert "Good morning Dana" in (await marketer.get(f"{one}/frame?contact=0&width=phone")).text
    assert "Hello Dana" in (await marketer.get(f"{one}/frame?version=1")).text
    assert "<mj-" not in (await marketer.get(f"{one}/frame?view=text")).text


async def test_what_does_not_compile_is_told_with_its_line(one: str, marketer: Any) -> None:
    broken = draft(BODY.replace("| default", "| nofilter"))
    found = (await marketer.submit(f"{one}/check.json", **broken)).json()
    assert found["lines"] == [[2, "bad"]]
    refused = await marketer.submit(f"{one}/save", **broken)
    assert refused.status_code == 409
    assert "nofilter" in refused.text  # nothing that was typed is lost


async def test_saving_makes_a_version_and_an_old_one_comes_back(one: str, marketer: Any) -> None:
    saved = await marketer.submit(f"{one}/save", **draft(BODY.replace("Hello", "Good morning")))
    assert saved.status_code == 303
    assert "Good morning" in (await marketer.get(saved.headers["location"])).text
    old = await marketer.get(f"{one}?version=1")
    assert "readonly" in old.text
    restored = await marketer.submit(f"{one}/restore", version="1")
    assert restored.status_code == 303
    page = (await marketer.get(one)).text
    assert "Version 3" in page
    assert "Good morning" not in page
    assert (await marketer.get(f"{one}?version=9")).status_code == 404


async def test_a_new_template_begins_with_a_starter(marketer: Any) -> None:
    made = await marketer.submit("/templates/begin", name="Our letter", starter="newsletter.he")
    assert made.status_code == 303
    assert "Our letter" in (await marketer.get(made.headers["location"])).text
    again = await marketer.submit("/templates/begin", name="Our letter", starter="newsletter.he")
    assert again.status_code == 409
    empty = await marketer.submit("/templates/begin", name="Blank", starter="")
    assert empty.status_code == 303


async def test_viewers_look_and_change_nothing(one: str, install: Any, open_browser: Any) -> None:
    viewer = await open_browser(install.app()).sign_in(Role.VIEWER)
    page = await viewer.get(f"{one}?dark=1&view=text")
    assert "readonly" in page.text
    assert "Save version" not in page.text
    assert (await viewer.submit(f"{one}/save", **draft())).status_code == 403


async def test_a_test_goes_to_own_addresses_alone(one: str, marketer: Any, install: Any) -> None:
    await install.domain()
    refused = await marketer.submit(f"{one}/test", to="stranger@example.com", **draft())
    assert refused.status_code == 409
    sent = await marketer.submit(f"{one}/test", to="editor@news.acme.test", **draft())
    assert sent.status_code == 200
    assert "editor@news.acme.test" in sent.text


async def test_a_contact_of_another_workspace_is_not_shown(one: str, marketer: Any, install: Any) -> None:
    await install.contacts(3)
    found = (await marketer.submit(f"{one}/frame", **draft(address="person1@postbox.test"))).text
    assert "נועה" in found
    for contact in ("999", "-1", "x" * 50):
        shown = await marketer.submit(f"{one}/frame", **draft(contact=contact))
        assert "Hello Dana" in shown.text
