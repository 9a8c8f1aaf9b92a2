"""Templates looked at by API clients: rendered, linted, scored, previewed, sent to oneself."""

import shutil
from typing import Any

import pytest


@pytest.fixture
async def template(world: Any) -> str:
    return str(await world.template())


async def test_a_template_is_rendered_for_a_contact_or_for_given_data(world: Any, template: str) -> None:
    await world.imported()
    one = f"/v1/templates/{template}/render"
    shown = await world.admin.good("POST", one, json={"contact": "reader1@example.test"})
    assert "Reader 1" in shown["subject"]
    assert "pw-at-" not in shown["html"]
    assert "data-pw-at" not in shown["html"]
    assert shown["sizes"]["html"] > 1000
    given = await world.admin.good("POST", one, json={"data": {"contact": {"first_name": "Zoë"}}})
    assert "Zoë" in given["subject"]
    answer = await world.admin("POST", one, json={"contact": "nobody@example.test"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown_contact")
    assert (await world.admin("POST", "/v1/templates/tpl_x/render", json={})).status_code == 404


async def test_a_template_is_linted_and_scored(world: Any, template: str) -> None:
    linted = await world.admin.good("POST", f"/v1/templates/{template}/lint", json={})
    assert all({"code", "severity", "line", "why", "next_step"} <= set(one) for one in linted["findings"])
    scored = await world.admin.good("POST", f"/v1/templates/{template}/score", json={})
    assert 0 <= scored["score"] <= 10
    assert scored["band"] in {"low", "medium", "high"}
    assert (scored["changes"], scored["second_opinions"]) == (None, [])


async def test_a_text_that_is_not_stored_is_previewed(world: Any) -> None:
    body = '<p>Hello {{ contact.first_name }}</p><img src="https://acme.test/a.png">'
    shown = await world.admin.good("POST", "/v1/preview", json={"body": body, "body_format": "html", "subject": "Hi"})
    assert "Hello Dana" in shown["html"]
    assert {"required.unsubscribe_missing", "image.alt_missing"} <= {one["code"] for one in shown["findings"]}
    assert shown["risk"]["unknown"]
    broken = await world.admin("POST", "/v1/preview", json={"body": "{{ x", "body_format": "html"})
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "body")


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
async def test_a_preview_is_a_picture_where_one_is_asked_for(world: Any) -> None:
    wanted = {"body": "<p>Hello</p>", "body_format": "html", "width": 375, "dark": True}
    answer = await world.admin("POST", "/v1/preview", json=wanted, headers={"Accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


async def test_starters_versions_and_contacts_to_look_at(world: Any, template: str) -> None:
    await world.imported()
    starters = (await world.admin.good("GET", "/v1/starters"))["data"]
    made = await world.admin.good("POST", f"/v1/starters/{starters[0]['key']}", json={"name": "Mine"})
    assert made["name"] == "Mine"
    again = await world.admin("POST", f"/v1/starters/{starters[0]['key']}", json={"name": "Mine"})
    assert again.json()["errors"][0]["code"] == "name_taken"
    versions = await world.admin.good("GET", f"/v1/templates/{template}/versions")
    assert [one["version"] for one in versions["data"]] == [1]
    contacts = (await world.admin.good("GET", "/v1/preview-contacts"))["data"]
    assert {one["kind"] for one in contacts} & {"longest-name", "emptiest", "typical"}


async def test_a_test_is_queued_to_an_own_address_alone(world: Any, template: str) -> None:
    await world.verified_domain()
    one = f"/v1/templates/{template}/test"
    sent = await world.admin.good("POST", one, json={"to": "editor@news.acme.test"})
    message = await world.admin.good("GET", f"/v1/messages/{sent['id']}")
    assert message["address"] == "editor@news.acme.test"
    refused = await world.admin("POST", one, json={"to": "stranger@example.com"})
    assert refused.json()["errors"][0]["code"] == "not_an_own_address"
