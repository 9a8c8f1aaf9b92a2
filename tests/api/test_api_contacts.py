"""Contacts, lists, fields, tags and imports with options over HTTP."""

import csv
import io
import json
from typing import Any

import pytest

PEOPLE = (
    "email,first_name,points,labels,joined\n"
    "ada@example.test,Ada,3,vip;new,2026-01-05\n"
    "bob@example.test,Bob,many,,2026-01-06\n"
    "info@example.test,Desk,,,\n"
    "nobody,X,,,\n"
    "ADA@example.test,Ada again,9,,\n"
)
MAP = ["first_name=field:first_name", "points=field:points", "labels=tag", "joined=consent_at"]


async def _import(world: Any, content: str | bytes = PEOPLE, **query: Any) -> Any:
    octets = content.encode() if isinstance(content, str) else content
    parameters = {"list": "Gardeners", "file_name": "people.csv", **query}
    answer = await world.admin(
        "POST", "/v1/imports", params=parameters, content=octets, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 202, answer.text
    await world.services.imports.run_jobs()
    return await world.admin.good("GET", f"/v1/imports/{answer.json()['id']}")


async def _all(world: Any) -> dict[str, Any]:
    return {one["address"]: one for one in await world.admin.all_of("/v1/contacts", 2)}


async def test_an_import_with_a_mapping_tells_of_every_row_that_did_not_come_in_as_it_stood(world: Any) -> None:
    await world.admin.good("POST", "/v1/fields", json={"name": "points", "kind": "number"})
    done = await _import(world, map=MAP, tag=["fair"], refuse=["role_address"])
    assert (done["state"], done["created"], done["refused"], done["flagged"]) == ("finished", 2, 3, 1)
    report = await world.admin("GET", f"/v1/imports/{done['id']}/report")
    rows = list(csv.DictReader(io.StringIO(report.text)))
    assert [(row["line"], row["outcome"], row["code"]) for row in rows] == [
        ("3", "changed", "bad_value"),
        ("4", "refused", "role_address"),
        ("5", "refused", "no_at_sign"),
        ("6", "refused", "duplicate"),
    ]
    people = await _all(world)
    assert people["ada@example.test"]["tags"] == ["fair", "new", "vip"]
    assert people["ada@example.test"]["fields"] == {"first_name": "Ada", "points": 3}
    assert people["bob@example.test"]["fields"] == {"first_name": "Bob"}
    timeline = await world.admin.good("GET", f"/v1/contacts/{people['ada@example.test']['id']}/timeline")
    kinds = [(one["kind"], one["event"], one["what"]) for one in timeline["data"]]
    assert ("consent", "given", "Gardeners") in kinds
    assert ("joined_list", "", "Gardeners") in kinds
    assert kinds.index(("consent", "given", "Gardeners")) == len(kinds) - 1  # given in January, before the import


async def test_the_same_import_is_done_once(world: Any) -> None:
    first, second = await _import(world), await _import(world)
    assert first == second
    again = await _import(world, again=True)
    assert again["id"] != first["id"]
    assert (again["created"], again["updated"], again["refused"]) == (0, 3, 2)
    other = await _import(world, existing="keep")
    assert other["id"] not in {first["id"], again["id"]}


async def test_an_encoding_is_never_guessed_silently(world: Any) -> None:
    content = "email,city\na@example.test,ירושלים\n".encode("cp1255")
    headers = {"Content-Type": "text/csv"}
    refused = await world.admin("POST", "/v1/imports", params={"list": "L"}, content=content, headers=headers)
    assert refused.status_code in {409, 422}
    assert "windows-1255" in refused.json()["errors"][0]["next_step"]
    preview = await world.admin.good("POST", "/v1/imports/preview", content=content, headers=headers)
    assert (preview["encoding"], preview["certain"]) == ("windows-1255", False)
    assert preview["rows"] == [["a@example.test", "ירושלים"]]
    await _import(world, content, encoding="windows-1255")
    assert (await _all(world))["a@example.test"]["fields"] == {"city": "ירושלים"}


async def test_the_life_of_a_contact(world: Any) -> None:
    body = {"address": "Ada@example.test", "fields": {"city": "York"}, "lists": ["Friends"], "tags": ["vip"]}
    made = await world.admin.good("POST", "/v1/contacts", json=body)
    path = f"/v1/contacts/{made['id']}"
    assert [one["list"]["name"] for one in made["lists"]] == ["Friends"]
    same = await world.admin("POST", "/v1/contacts", json={"address": "ada@EXAMPLE.test", "fields": {"age": "30"}})
    assert (same.status_code, same.json()["id"]) == (200, made["id"])
    change = {"fields": {"city": None, "job": "baker"}, "locale": "en-gb", "time_zone": "Europe/London"}
    changed = await world.admin.good("PATCH", path, json=change)
    assert changed["fields"] == {"age": "30", "job": "baker"}
    assert (changed["locale"], changed["time_zone"]) == ("en-GB", "Europe/London")
    tagged = await world.admin.good("POST", f"{path}/tags", json={"add": ["new"], "remove": ["vip"]})
    assert tagged["tags"] == ["new"]
    assert (await world.admin.good("POST", f"{path}/archive"))["archived_at"] is not None
    assert await world.admin.all_of("/v1/contacts", 5) == []
    gone = await world.admin.good("GET", "/v1/contacts", params={"archived": True})
    assert [one["id"] for one in gone["data"]] == [made["id"]]
    assert (await world.admin.good("POST", f"{path}/restore"))["archived_at"] is None
    await world.admin.good("POST", "/v1/fields", json={"name": "visits", "kind": "number"})
    for value in (1, 2):
        assert await world.admin.good("POST", f"{path}/fields/visits/count", json={"by": 1}) == {"value": value}


async def test_who_is_tracked_again_has_the_date_and_who_said_so(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/contacts", json={"address": "ada@example.test"})
    path = f"/v1/contacts/{made['id']}"
    never_opened = {"tree": {"activity": "opened", "op": "none", "within_days": 30}}
    assert (await world.admin.good("POST", "/v1/segments/count", json=never_opened))["contacts"] == 1
    # Of these the first is no change, and the third tells no more than the one before.
    for mode in ("full", "off", "aggregate", "full", "full"):
        said = {"tracking": mode, "tracking_wording": f"Signed on paper: {mode}"}
        assert (await world.admin.good("PATCH", path, json=said))["tracking"] == mode
        await world.admin.good("PATCH", path, json={"fields": {"city": "York"}})
    timeline = (await world.admin.good("GET", f"{path}/timeline"))["data"]
    key = f"api:{world.keys['admin'][:12]}"
    told = {(one["event"], one["why"]) for one in timeline if one["kind"] == "consent"}
    assert told == {("withdrawn", key), ("given", key)}
    kept = await world.admin.good("POST", "/v1/people/export", json={"address": "ada@example.test"})
    assert [(one["scope"], one["state"], one["wording"]) for one in kept["records"]["consents"]] == [
        ("tracking", "withdrawn", "Signed on paper: off"),
        ("tracking", "given", "Signed on paper: full"),
    ]
    # Whether the mails before that date were opened is unknown: nobody is told to have opened none.
    assert (await world.admin.good("POST", "/v1/segments/count", json=never_opened))["contacts"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"address": "nobody"}, "address"),
        ({"address": "a@example.test", "locale": "english please"}, "locale"),
        ({"address": "a@example.test", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"address": "a@example.test", "fields": {"pts": "x"}}, "fields"),
        ({"address": "a@example.test", "tags": ["two\nlines"]}, "tag"),
    ],
)
async def test_a_contact_that_cannot_be(world: Any, body: Any, field: str) -> None:
    await world.admin.good("POST", "/v1/fields", json={"name": "pts", "kind": "number"})
    answer = await world.admin("POST", "/v1/contacts", json=body)
    assert answer.status_code in {409, 422}
    assert answer.json()["errors"][0]["field"] == field
    assert await world.admin.all_of("/v1/contacts", 5) == []


async def test_contacts_are_found_by_list_segment_tree_and_words(world: Any) -> None:
    await world.imported(6)
    lists = {one["name"]: one["id"] for one in (await world.admin.good("GET", "/v1/lists"))["data"]}
    name = next(iter(lists))
    tree = {"field": "first_name", "op": "is", "value": "reader 1"}
    segment = await world.admin.good("POST", "/v1/segments", json={"name": "One", "tree": tree})

    async def found(**query: Any) -> list[str]:
        page = await world.admin.good("GET", "/v1/contacts", params=query)
        return [one["address"] for one in page["data"]]

    assert len(await found(list=lists[name])) == 6
    assert await found(segment=segment["id"]) == ["reader1@example.test"]
    assert await found(tree=json.dumps({"not": tree}), list=lists[name], limit=2) == [
        "reader0@example.test",
        "reader2@example.test",
    ]
    assert await found(search="READER3") == ["reader3@example.test"]
    assert await found(search="Reader 4") == ["reader4@example.test"]
    assert await found(search="%") == []
    assert len((await world.admin.good("GET", f"/v1/lists/{lists[name]}/contacts"))["data"]) == 6


async def test_many_are_changed_at_once(world: Any) -> None:
    await world.imported(5)
    people = await world.admin.all_of("/v1/contacts", 10)
    ids = [one["id"] for one in people[:2]]
    body = {"contacts": ids, "add_tags": ["vip"], "fields": {"city": "Ely"}, "add_lists": ["Second"]}
    assert await world.admin.good("POST", "/v1/contacts/changes", json=body) == {"contacts": 2}
    vip = {"tree": {"tag": "vip"}, "archive": True}
    assert await world.admin.good("POST", "/v1/contacts/changes", json=vip) == {"contacts": 2}
    assert len(await world.admin.all_of("/v1/contacts", 10)) == 3
    back = {"archived": True, "archive": False, "remove_tags": ["vip"]}
    assert await world.admin.good("POST", "/v1/contacts/changes", json=back) == {"contacts": 2}
    assert (await _all(world))[people[0]["address"]]["tags"] == []
    assert (await world.admin("POST", "/v1/contacts/changes", json={"add_tags": ["x"]})).status_code in {409, 422}


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
@pytest.mark.usefixtures("keys")
async def test_an_export_comes_back_the_same_by_an_import(world: Any, format_: str) -> None:
    fields = {"city": 'Say "hi"; now', "formula": "=1+1"}
    body = {"address": "ada@example.test", "fields": fields, "lists": ["A"], "tags": ["t1", "t2"], "locale": "he"}
    await world.admin.good("POST", "/v1/contacts", json=body)
    whole = await world.admin("GET", "/v1/contacts/export", params={"format": format_})
    assert whole.status_code == 200
    answer = await world.client("other")(
        "POST",
        "/v1/imports",
        params={"list": "B", "file_name": f"x.{format_}"},
        content=whole.content,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    await world.services.imports.run_jobs()
    (one,) = await world.client("other").all_of("/v1/contacts", 5)
    expected = fields if format_ == "ndjson" else {**fields, "formula": "'=1+1"}
    assert (one["address"], one["fields"], one["tags"], one["locale"]) == (
        "ada@example.test",
        expected,
        ["t1", "t2"],
        "he",
    )
    assert {member["list"]["name"] for member in one["lists"]} == {"A", "B"}


async def test_lists_are_renamed_tracked_and_deleted_when_unused(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/lists", json={"name": "Friends"})
    path = f"/v1/lists/{made['id']}"
    changed = await world.admin.good("PATCH", path, json={"name": "Old friends", "tracking": "last_open"})
    assert (changed["name"], changed["tracking"]) == ("Old friends", "last_open")
    segment = await world.admin.good("POST", "/v1/segments", json={"name": "S", "tree": {"list": "Old friends"}})
    for answer in (await world.admin("DELETE", path), await world.admin("PATCH", path, json={"name": "New"})):
        assert "segment" in answer.json()["detail"]
    await world.admin("DELETE", f"/v1/segments/{segment['id']}")
    assert (await world.admin("DELETE", path)).status_code == 204
    await world.imported(1)
    used = (await world.admin.good("GET", "/v1/lists"))["data"][0]
    assert "import job" in (await world.admin("DELETE", f"/v1/lists/{used['id']}")).json()["detail"]


async def test_fields_and_tags(world: Any) -> None:
    plan = {"name": "plan", "kind": "choice", "choices": ["basic", "club"]}
    await world.admin.good("POST", "/v1/contacts", json={"address": "a@example.test", "fields": {"plan": "CLUB"}})
    made = await world.admin.good("POST", "/v1/fields", json=plan)
    assert made["brought_over"] == 1
    assert (await _all(world))["a@example.test"]["fields"] == {"plan": "club"}
    changed = await world.admin.good("PATCH", "/v1/fields/plan", json={"choices": ["basic", "club", "gold"]})
    assert changed["choices"][-1] == "gold"
    assert (await world.admin("DELETE", "/v1/fields/plan")).status_code == 204
    assert (await world.admin("GET", "/v1/fields/plan")).status_code == 404
    assert (await world.admin.good("POST", "/v1/tags", json={"name": "vip"}))["data"][0]["contacts"] == 0
    assert (await world.admin("DELETE", "/v1/tags/vip")).status_code == 204
    assert (await world.admin("DELETE", "/v1/tags/vip")).status_code == 404


@pytest.mark.usefixtures("keys")
async def test_contacts_are_seen_by_their_workspace_alone(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/contacts", json={"address": "ada@example.test"})
    assert (await world.client("other")("GET", f"/v1/contacts/{made['id']}")).status_code == 404
    assert (await world.client("other")("GET", f"/v1/contacts/{made['id']}/timeline")).status_code == 404
    assert await world.client("other").all_of("/v1/contacts", 5) == []
    change = {"contacts": [made["id"]], "archive": True}
    assert await world.client("other").good("POST", "/v1/contacts/changes", json=change) == {"contacts": 0}
