"""Pre-flight on its pages: a finding is overruled with a reason in one's own name, seen, and taken back."""

from typing import Any

import pytest

from postwright.services.accounts import Role
from postwright.store.templates import TemplateText

BODY = """<mjml><mj-body><mj-section><mj-column><mj-text colour="red">Autumn is here.</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
CODE = "mjml-unknown-attribute"


@pytest.fixture
async def strange(browser: Any, install: Any, pages: Any) -> str:
    """The page of a draft that an unknown attribute keeps from being sent."""
    text = TemplateText(BODY, "mjml", "Autumn is here")
    saved = await install.application.templates.save(install.workspace, "Autumn", text)
    await browser.sign_in(Role.MARKETER)
    form = {
        "name": "Autumn letter",
        "list": str(await install.list_id()),
        "template": str(saved.template.id),
        "subject": "Autumn is here",
        "from_address": "hello@news.acme.test",
        "zone": "UTC",
    }
    return str((await browser.submit("/campaigns", **form)).headers["location"])


async def test_a_finding_is_overruled_and_that_is_taken_back(browser: Any, strange: str) -> None:
    shown = (await browser.get(strange)).text
    assert f"Send against {CODE}" in shown
    assert "Send now" not in shown
    answer = await browser.submit(strange + "/overrides", code=CODE, note="No client looks at <colour>.")
    assert (answer.status_code, answer.headers["location"]) == (303, strange + "?done=overruled")
    shown = (await browser.get(strange)).text
    assert "No client looks at &lt;colour&gt;." in shown
    assert "Send now" in shown
    assert (await browser.submit(strange + "/overrides/withdraw", code=CODE)).status_code == 303
    assert "Send now" not in (await browser.get(strange)).text
    record = (await browser.get(strange + "/preflight")).text
    assert "Withdrawn by" in record
    assert "No client looks at &lt;colour&gt;." in record


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"code": CODE, "note": "  "}, "says why"),
        ({"code": "domain_not_verified", "note": "x"}, "blocks the campaign"),
        ({"note": "x"}, "names the codes"),
    ],
)
async def test_what_is_refused_is_said(browser: Any, strange: str, form: dict[str, str], told: str) -> None:
    answer = await browser.submit(strange + "/overrides", **form)
    assert (answer.status_code, told in answer.text) == (409, True)


async def test_viewers_overrule_nothing(browser: Any, strange: str) -> None:
    await browser.sign_in(Role.VIEWER)
    assert "Send against" not in (await browser.get(strange)).text
    assert (await browser.submit(strange + "/overrides", code=CODE, note="x")).status_code == 403
