"""Segments over HTTP: stored, changed, counted, read page by page; what is wrong is told with its path."""

from typing import Any

import pytest

NEWS = {"list": "Gardeners"}
ADA = {"field": "first_name", "op": "is", "value": "reader 1"}


async def _create(world: Any, name: str, tree: Any) -> Any:
    return await world.admin.good("POST", "/v1/segments", json={"name": name, "tree": tree})


async def test_the_life_of_a_segment(world: Any) -> None:
    await world.imported(7)
    made = await _create(world, "Readers", {"all": [NEWS, {"not": ADA}]})
    path = f"/v1/segments/{made['id']}"
    assert made["tree"] == {"all": [NEWS, {"not": ADA}]}
    assert 'are on the list "Gardeners"' in made["sentence"]
    assert await world.admin.good("GET", path) == made
    assert (await world.admin.good("GET", f"{path}/count"))["contacts"] == 6
    people = await world.admin.all_of(f"{path}/contacts", 2)
    assert [one["address"] for one in people] == [f"reader{n}@example.test" for n in range(7) if n != 1]
    assert people[0]["fields"] == {"first_name": "Reader 0"}
    changed = await world.admin.good("PATCH", path, json={"tree": ADA})
    assert (changed["name"], changed["tree"]) == ("Readers", ADA)
    assert (await world.admin.good("GET", f"{path}/count"))["contacts"] == 1
    assert await world.admin.all_of("/v1/segments", 1) == [changed]
    assert (await world.admin("DELETE", path)).status_code == 204
    assert (await world.admin("GET", path)).status_code == 404


async def test_a_tree_that_is_not_stored_is_counted(world: Any) -> None:
    await world.imported(3)
    answer = await world.admin.good("POST", "/v1/segments/count", json={"tree": ADA})
    assert answer == {"contacts": 1, "sentence": 'Contacts who have a first_name that is "reader 1".'}


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"all": [NEWS, {"lists": "x"}]}, "$.all[1]"),
        ({"all": [NEWS, {"list": "nowhere"}]}, "$.all[1].list"),
        ({"not": {"activity": "opened", "op": "at_least", "value": -1}}, "$.not.value"),
        ({"field": "points", "op": "at_least", "value": 5}, "$.op"),
        ({"segment": "nowhere"}, "$.segment"),
        ({"any": [{"all": [{"tag": "unknown"}]}]}, "$.any[0].all[0].tag"),
    ],
)
async def test_what_is_wrong_is_told_with_its_path_and_the_next_step(world: Any, tree: Any, place: str) -> None:
    await world.imported(1)
    for path, body in (("/v1/segments", {"name": "x", "tree": tree}), ("/v1/segments/count", {"tree": tree})):
        answer = await world.admin("POST", path, json=body)
        assert answer.status_code == 422
        problem = answer.json()
        assert problem["detail"].startswith(f"{place}: ")
        assert problem["errors"][0]["next_step"]
    assert await world.admin.all_of("/v1/segments", 10) == []


async def test_segments_within_segments(world: Any) -> None:
    await world.imported(3)
    inner = await _create(world, "Inner", ADA)
    outer = await _create(world, "Outer", {"not": {"segment": "Inner"}})
    assert (await world.admin.good("GET", f"/v1/segments/{outer['id']}/count"))["contacts"] == 2
    cycle = await world.admin("PATCH", f"/v1/segments/{inner['id']}", json={"tree": {"segment": "Outer"}})
    assert cycle.status_code == 422
    assert "Inner > Outer > Inner" in cycle.json()["detail"]
    for answer in (
        await world.admin("DELETE", f"/v1/segments/{inner['id']}"),
        await world.admin("PATCH", f"/v1/segments/{inner['id']}", json={"name": "Other"}),
    ):
        assert answer.json()["errors"][0]["code"] == "segment_in_use"
    taken = await world.admin("POST", "/v1/segments", json={"name": "Outer", "tree": ADA})
    assert taken.status_code == 409


async def test_segments_stay_within_their_workspace_and_scope(world: Any, keys: Any) -> None:
    made = await _create(world, "Mine", {"all": []})
    other = world.client("other")
    assert (await other("GET", f"/v1/segments/{made['id']}")).status_code == 404
    assert (await other.good("POST", "/v1/segments/count", json={"tree": {"all": []}}))["contacts"] == 0
    reader = world.client("read")
    assert (await reader("POST", "/v1/segments", json={"name": "x", "tree": {"all": []}})).status_code == 403
    assert (await reader.good("GET", f"/v1/segments/{made['id']}"))["name"] == "Mine"


@pytest.mark.parametrize(
    "change",
    [
        {"audience": {"list": "nowhere"}},
        {"audience": {"any": [NEWS, {"not": {"tag": "nobody's"}}]}},
        {"without": [{"list": "nowhere"}]},
        {"list": None, "audience": {"list": "nowhere"}},
    ],
)
async def test_an_audience_of_what_is_not_there_is_refused_when_it_is_written(world: Any, change: Any) -> None:
    """It would be blocked when it is sent, which may be at night."""
    draft = await world.draft()
    answer = await world.admin("POST", "/v1/campaigns", json=draft | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "audience"), answer.text
    await world.admin.good("POST", "/v1/campaigns", json=draft | {"audience": NEWS})
