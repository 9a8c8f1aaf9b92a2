"""Warm-ups over the API: the examples of the document in their order, and what is refused."""

from typing import Any

import pytest

from postwright.api.examples import EXAMPLES

_PATHS = {
    "start_warm_up": ("POST", "/v1/warmup"),
    "list_warm_ups": ("GET", "/v1/warmup"),
    "pause_warm_up": ("POST", "/v1/warmup/{subject}/pause"),
    "resume_warm_up": ("POST", "/v1/warmup/{subject}/resume"),
    "set_warm_up_level": ("POST", "/v1/warmup/{subject}/level"),
    "import_warm_up_figures": ("POST", "/v1/warmup/{subject}/figures"),
    "get_warm_up": ("GET", "/v1/warmup/{subject}"),
    "list_warm_up_days": ("GET", "/v1/warmup/{subject}/days"),
    "list_warm_up_decisions": ("GET", "/v1/warmup/{subject}/decisions"),
    "end_warm_up": ("POST", "/v1/warmup/{subject}/end"),
}
SUBJECT = "/v1/warmup/news.acme.test"
NOTE = {"note": "for a test"}


async def play(world: Any, name: str) -> Any:
    method, path = _PATHS[name]
    example = EXAMPLES[name]
    parameters = dict(example.parameters)
    path = path.replace("{subject}", str(parameters.pop("subject", "")))
    options = {"json": example.body} if example.body is not None else {}
    answer = await world.admin(method, path, params=parameters, **options)
    assert answer.status_code == example.status, answer.text
    return answer.json() if answer.content else None


async def test_the_examples_tell_one_story(world: Any) -> None:
    await world.verified_domain()
    started = await play(world, "start_warm_up")
    assert (started["subject"], started["of"]) == ("news.acme.test", "domain")
    assert started["started_by"].startswith("API key ")
    (ramp,) = started["ramps"]
    assert (ramp["provider"], ramp["phase"], ramp["level"], ramp["day"]["limit"]) == ("google", "ramping", 1, 50)
    assert started["plan"]["zone"] == "Asia/Jerusalem"
    page = await play(world, "list_warm_ups")
    assert [one["id"] for one in page["data"]] == [started["id"]]
    paused = await play(world, "pause_warm_up")
    assert (paused["ramps"][0]["phase"], paused["ramps"][0]["day"]["limit"]) == ("paused", 0)
    assert (await play(world, "resume_warm_up"))["ramps"][0]["phase"] == "ramping"
    assert (await play(world, "set_warm_up_level"))["ramps"][0]["day"]["limit"] == 200
    await play(world, "import_warm_up_figures")
    assert (await play(world, "get_warm_up"))["ramps"][0]["level"] == 3
    assert isinstance((await play(world, "list_warm_up_days"))["data"], list)
    decisions = (await play(world, "list_warm_up_decisions"))["data"]
    assert [one["decision"]["action"] for one in decisions] == ["advance", "pause", "hold", "advance"]
    assert [one["decided_by"] for one in decisions] == ["", *[started["started_by"]] * 3]
    assert len(await world.admin.all_of(f"{SUBJECT}/decisions", 2)) == 4
    days = await world.admin.good("GET", f"{SUBJECT}/days", params={"days": 400})
    assert [(one["day"], one["reputation"], one["reported_spam_rate"]) for one in days["data"]] == [
        ("2026-03-01", "high", 0.0004)
    ]
    await play(world, "end_warm_up")
    assert (await world.admin("GET", SUBJECT)).status_code == 404


async def test_without_a_note_all_that_stands_in_the_way_is_named(world: Any) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": "news.acme.test"})
    answer = await world.admin("POST", "/v1/warmup", json={"subject": "news.acme.test", "plan": {"preset": "ipost"}})
    assert answer.status_code in (409, 422)
    assert [one["code"] for one in answer.json()["errors"]] == ["audit_passed", "hygiene_done"]
    assert (await world.admin.good("GET", "/v1/warmup"))["data"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/warmup", {"subject": "news.acme.test", "plan": {"preset": "overnight"}, **NOTE}),
        ("/v1/warmup", {"subject": "news.acme.test", "plan": {"preset": "ipost", "quiet": [1, 77]}, **NOTE}),
        ("/v1/warmup", {"subject": "news.acme.test", "plan": {"preset": "ipost", "overflow": "warm_pool"}, **NOTE}),
        ("/v1/warmup", {"subject": "nobody.test", "plan": {"preset": "ipost"}, **NOTE}),
        (f"{SUBJECT}/pause", NOTE),
        (f"{SUBJECT}/resume", {"provider": "google", **NOTE}),
        (f"{SUBJECT}/level", {"provider": "google", "level": 900, **NOTE}),
        (f"{SUBJECT}/figures", {"provider": "google", "day": "2026-03-01", "spam_rate": 7}),
    ],
)
async def test_what_cannot_be_done_is_said(world: Any, path: str, body: dict[str, Any]) -> None:
    await world.verified_domain()
    if path != "/v1/warmup":
        plan = {"preset": "postmark", "providers": {"google": {}}} if "pause" not in path else {"preset": "postmark"}
        await world.admin.good("POST", "/v1/warmup", json={"subject": "news.acme.test", "plan": plan, **NOTE})
    answer = await world.admin("POST", path, json=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["errors"][0]["detail"]


async def test_only_admins_decide_and_strangers_see_nothing(world: Any, keys: Any) -> None:
    await world.verified_domain()
    body = {"subject": "news.acme.test", "plan": {"preset": "postmark"}, **NOTE}
    assert (await world.client("send")("POST", "/v1/warmup", json=body)).status_code == 403
    await world.admin.good("POST", "/v1/warmup", json=body)
    assert (await world.client("read")("GET", SUBJECT)).status_code == 200
    assert (await world.client("other")("GET", SUBJECT)).status_code == 404
