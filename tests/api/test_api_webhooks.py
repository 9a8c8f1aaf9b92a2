"""Webhooks over HTTP: made, listed, changed, rotated, told again; secrets shown once; other workspaces see nothing."""

from typing import Any

import pytest

URL = "https://shop.acme.test/hooks"


async def _made(world: Any, **changes: Any) -> Any:
    return await world.admin.good("POST", "/v1/webhooks", json={"url": URL} | changes)


async def test_the_life_of_an_endpoint(world: Any) -> None:
    made = await _made(world, kinds=["clicked", "delivered"], description="orders")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["kinds"] == ["delivered", "clicked"]
    assert (made["state"], made["failures"], made["replays"]) == ("enabled", 0, [])
    path = f"/v1/webhooks/{made['id']}"
    assert await world.admin.good("GET", path) == made
    changed = await world.admin.good("PATCH", path, json={"kinds": [], "description": ""})
    assert (changed["kinds"], changed["url"]) == ([], URL)
    rotated = await world.admin.good("POST", f"{path}/secret", json={"overlap_hours": 1})
    assert rotated["secret"] != secret
    assert secret not in (await world.admin("GET", path)).text
    disabled = await world.admin.good("POST", f"{path}/disable")
    assert (disabled["state"], disabled["reason"]) == ("disabled", "Disabled over the API.")
    enabled = await world.admin.good("POST", f"{path}/enable", json={"skip_missed": True})
    assert (enabled["state"], enabled["reason"]) == ("enabled", None)
    await world.events_shown()
    kinds = [one["kind"] for one in await world.admin.all_of("/v1/events", 50)]
    assert kinds == ["webhook_disabled", "webhook_enabled"]
    assert await world.admin.good("POST", f"{path}/skip") == {"skipped": False}
    tried = await world.admin.good("POST", f"{path}/test")
    assert (tried["taken"], tried["status"], tried["answer"]) == (True, 200, "thanks")
    replay = await world.admin("POST", f"{path}/replay", json={"since": "2026-01-01T00:00:00Z"})
    assert replay.status_code == 202
    assert len((await world.admin.good("GET", path))["replays"]) == 1
    assert await world.admin.all_of(f"{path}/deliveries", 5) == []
    await _made(world)
    assert len(await world.admin.all_of("/v1/webhooks", 1)) == 2
    assert (await world.admin("DELETE", path)).status_code == 204
    assert (await world.admin("GET", path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://shop.acme.test/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://a:b@shop.acme.test/"}, "url"),
        ({"url": "https://shop.acme.test:25/"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"url": URL, "kinds": ["delivered", "nothing"]}, "kinds"),
    ],
)
async def test_what_cannot_be_told_is_refused_with_its_field(world: Any, body: Any, field: str) -> None:
    answer = await world.admin("POST", "/v1/webhooks", json=body)
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == [field]
    assert await world.admin.all_of("/v1/webhooks", 10) == []


async def test_nobody_else_sees_or_moves_it(world: Any, keys: dict[str, str]) -> None:
    path = f"/v1/webhooks/{(await _made(world))['id']}"
    other = world.client("other")
    for method, end, body in (
        ("GET", "", None),
        ("PATCH", "", {"description": "mine"}),
        ("DELETE", "", None),
        ("POST", "/secret", {}),
        ("POST", "/enable", {}),
        ("POST", "/disable", None),
        ("POST", "/skip", None),
        ("POST", "/test", None),
        ("POST", "/replay", {"since": "2026-01-01T00:00:00Z"}),
        ("GET", "/deliveries", None),
    ):
        options = {} if body is None else {"json": body}
        assert (await other(method, path + end, **options)).status_code == 404, (method, end)
        assert (await world.client("send")(method, path + end, **options)).status_code == 403, (method, end)


@pytest.mark.parametrize("body", [{}, {"since": "2026-01-01T00:00:00Z", "delivery": "whd_x"}, {"delivery": "evt_1"}])
async def test_a_replay_is_of_a_range_or_of_one(world: Any, body: Any) -> None:
    made = await _made(world)
    assert (await world.admin("POST", f"/v1/webhooks/{made['id']}/replay", json=body)).status_code == 422
