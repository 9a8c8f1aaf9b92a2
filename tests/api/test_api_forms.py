"""Sign-up forms and people's rights over HTTP."""

from typing import Any

LETTER: dict[str, Any] = {
    "name": "footer",
    "title": "The letter",
    "wording": "Yes, once a month.",
    "from_address": "letter@news.acme.test",
}


async def test_the_life_of_a_form(world: Any) -> None:
    await world.imported(2)
    await world.admin("POST", "/v1/domains", json={"name": "news.acme.test"})
    (target,) = await world.admin.all_of("/v1/lists", 10)
    made = await world.admin.good("POST", "/v1/forms", json={**LETTER, "lists": [target["id"]]})
    path = f"/v1/forms/{made['id']}"
    assert made["url"].startswith("https://links.news.acme.test/s/")
    assert await world.admin.good("GET", path) == made
    changed = await world.admin.good("PATCH", path, json={"title": "Another", "fields": ["city"]})
    assert changed == {**made, "title": "Another", "fields": ["city"]}
    html = (await world.admin.good("GET", f"{path}/embed"))["html"]
    assert made["url"] in html
    assert "<script" not in html
    assert await world.admin.all_of("/v1/forms", 1) == [changed]
    assert await world.admin.all_of(f"{path}/sign-ups", 1) == []
    assert (await world.admin("POST", f"{path}/close")).status_code == 204
    assert (await world.admin.good("GET", path))["closed_at"]
    again = await world.admin("POST", "/v1/forms", json={**LETTER, "lists": [target["id"]]})
    assert [one["code"] for one in again.json()["errors"]] == ["form_exists"]
    strange = await world.admin("POST", "/v1/forms", json={**LETTER, "name": "x", "lists": ["lst_x"]})
    assert strange.status_code == 422
    public = f"/v1/lists/{target['id']}/public"
    assert (await world.admin("PUT", public, json={"title": "Letters"})).status_code == 204
    assert (await world.admin("PUT", public, json={"title": "a\nb"})).status_code == 422
    assert (await world.admin("DELETE", public)).status_code == 204


async def test_a_form_is_the_workspaces_own(world: Any, keys: dict[str, str]) -> None:
    await world.imported(1)
    await world.admin("POST", "/v1/domains", json={"name": "news.acme.test"})
    (target,) = await world.admin.all_of("/v1/lists", 10)
    made = await world.admin.good("POST", "/v1/forms", json={**LETTER, "lists": [target["id"]]})
    stranger = {"Authorization": f"Bearer {keys['other']}"}
    for method, end in (("GET", ""), ("PATCH", ""), ("GET", "/embed"), ("POST", "/close"), ("GET", "/sign-ups")):
        options = {"json": {}} if method == "PATCH" else {}
        answer = await world.http.request(method, f"/v1/forms/{made['id']}{end}", headers=stranger, **options)
        assert answer.status_code == 404, end
    for end in ("export", "erase"):
        answer = await world.http.post(
            f"/v1/people/{end}",
            json={"address": "reader0@example.test"},
            headers={"Authorization": f"Bearer {keys['send']}"},
        )
        assert answer.status_code == 403, "it takes an admin"


async def test_one_person_out_and_gone(world: Any) -> None:
    await world.imported(2)
    address = {"address": "Reader0@example.test"}
    found = await world.admin.good("POST", "/v1/people/export", json=address)
    assert found["records"]["contact"]["fields"] == {"first_name": "Reader 0"}
    done = await world.admin.good("POST", "/v1/people/erase", json=address)
    assert done["had_contact"]
    after = await world.admin.good("POST", "/v1/people/export", json=address)
    assert (after["erased"], after["records"]["contact"]) == (True, None)
    bad = await world.admin("POST", "/v1/people/erase", json={"address": "nobody"})
    assert bad.status_code == 422
