"""Keys, scopes, and the walls between workspaces."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from postwright.api.representations import EVENT, IMPORT, outward
from postwright.services.accounts import KeyScope

READ = ["/v1/domains", "/v1/lists", "/v1/suppressions", "/v1/templates", "/v1/campaigns", "/v1/events"]
CAMPAIGN = "/v1/campaigns/cmp_x"
SEND: list[tuple[str, dict[str, Any]]] = [
    ("/v1/imports?list=a", {"content": "email\na@example.test\n", "headers": {"Content-Type": "text/csv"}}),
    ("/v1/suppressions", {"json": {"address": "a@example.test"}}),
    ("/v1/suppressions/import", {"content": "email\n", "headers": {"Content-Type": "text/csv"}}),
    ("/v1/templates", {"json": {"name": "a", "subject": "b", "body": "c"}}),
    ("/v1/campaigns", {"json": {"name": "a", "list": "b", "template": "c", "from_address": "d"}}),
    *((f"{CAMPAIGN}/{action}", {}) for action in ("preflight", "send", "pause", "resume", "cancel")),
]
ADMIN: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/domains", {"json": {"name": "a.test"}}),
    ("POST", "/v1/domains/a.test/verify", {}),
    ("POST", "/v1/api-keys", {"json": {"name": "a", "scopes": ["read"]}}),
    ("GET", "/v1/api-keys", {}),
    ("DELETE", "/v1/api-keys/key_x", {}),
]


async def test_every_operation_wants_a_key(world: Any) -> None:
    paths = world.app.openapi()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method in methods:
            answer = await world.client(None)(method.upper(), path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="postwright"'


@pytest.mark.parametrize(
    "header",
    ["Bearer pw_live_wrong", "Bearer " + "x" * 5000, "bearer é".encode("latin-1")],
)
async def test_a_key_that_is_not_known(world: Any, header: str) -> None:
    answer = await world.client(None)("GET", "/v1/domains", headers={"Authorization": header})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic cHc6bGl2ZQ=="])
async def test_another_scheme_is_no_key(world: Any, header: str) -> None:
    answer = await world.client(None)("GET", "/v1/domains", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "invalid_token" not in answer.headers["WWW-Authenticate"]


async def test_the_key_is_checked_before_the_body_is_read(world: Any) -> None:
    read = []

    async def body() -> Any:
        read.append(1)
        yield b"{"

    answer = await world.client(None)("POST", "/v1/templates", content=body())
    assert answer.status_code == 401
    assert not read


async def test_read_may_only_read(world: Any, keys: dict[str, str]) -> None:
    reader = world.client("read")
    for path in READ:
        assert (await reader("GET", path)).status_code == 200
    for path, options in SEND:
        answer = await reader("POST", path, **options)
        assert answer.status_code == 403, path
        assert "'send'" in answer.json()["detail"]
        assert 'scope="send"' in answer.headers["WWW-Authenticate"]


async def test_send_may_not_do_what_admins_do(world: Any, keys: dict[str, str]) -> None:
    for path in READ:
        assert (await world.client("send")("GET", path)).status_code == 200
    for name in ("send", "read"):
        for method, path, options in ADMIN:
            answer = await world.client(name)(method, path, **options)
            assert answer.status_code == 403, path
            assert "'admin'" in answer.json()["detail"]


async def test_send_may_send(world: Any, keys: dict[str, str]) -> None:
    for path, options in SEND:
        assert (await world.client("send")("POST", path, **options)).status_code != 403


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/api-keys", json={"name": "shop", "scopes": ["send", "read"]})
    assert made["key"].startswith(made["prefix"])
    listed = await world.admin.all_of("/v1/api-keys", 1)
    assert [item["name"] for item in listed] == ["all", "shop"]
    assert all("key" not in item for item in listed)
    rows = await world.services.database.read(
        lambda connection: [tuple(row) for row in connection.execute(text("SELECT * FROM api_key"))]
    )
    assert made["key"] not in str(rows)
    assert hashlib.sha256(made["key"].encode()).hexdigest() in str(rows)


async def test_a_revoked_key_is_worth_nothing(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/api-keys", json={"name": "shop", "scopes": ["read"]})
    world.keys["shop"] = made["key"]
    await world.client("shop").good("GET", "/v1/domains")
    await world.admin.good("DELETE", f"/v1/api-keys/{made['id']}")
    assert (await world.client("shop")("GET", "/v1/domains")).status_code == 401
    assert (await world.admin("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 404
    assert (await world.admin.all_of("/v1/api-keys", 10))[1]["revoked_at"]


async def test_another_workspace_sees_nothing(world: Any, keys: dict[str, str]) -> None:
    campaign = await world.sent()
    shown = await world.admin.good("GET", f"/v1/campaigns/{campaign}")
    message = (await world.admin.all_of(f"/v1/messages?campaign={campaign}", 100))[0]["id"]
    await world.admin.good("POST", "/v1/suppressions", json={"address": "a@example.test"})
    job = outward(IMPORT, world.clock.now(), 1)
    key = (await world.admin.all_of("/v1/api-keys", 100))[0]["id"]
    other = world.client("other")
    gets = [
        "/v1/domains/news.acme.test",
        "/v1/domains/news.acme.test/records",
        f"/v1/imports/{job}",
        f"/v1/imports/{job}/refusals",
        f"/v1/templates/{shown['template']['id']}",
        f"/v1/campaigns/{campaign}",
        f"/v1/messages/{message}",
        f"/v1/messages?campaign={campaign}",
        f"/v1/messages?run={shown['run']['id']}",
        f"/v1/events?message={message}",
        f"/v1/events?run={shown['run']['id']}",
    ]
    actions = ("preflight", "send", "pause", "resume", "cancel")
    posts = ["/v1/domains/news.acme.test/verify", *(f"/v1/campaigns/{campaign}/{action}" for action in actions)]
    for method, paths in (("GET", gets), ("POST", posts), ("DELETE", [f"/v1/api-keys/{key}"])):
        for path in paths:
            assert (await other(method, path)).status_code == 404, path
    for path in [*READ, "/v1/messages?address=reader0@example.test"]:
        assert await other.all_of(path, 100) == [], path
    assert len(await other.all_of("/v1/api-keys", 100)) == 1
    assert (await world.admin.good("GET", f"/v1/campaigns/{campaign}"))["state"] == "sending"
    for path in gets:  # the same requests find everything in their own workspace
        assert (await world.admin("GET", path)).status_code == 200, path


async def test_a_campaign_cannot_be_made_of_another_workspaces_things(world: Any, keys: dict[str, str]) -> None:
    draft = await world.draft()
    answer = await world.client("other")("POST", "/v1/campaigns", json=draft)
    assert answer.status_code == 422
    codes = {item["code"] for item in answer.json()["errors"]}
    assert codes == {"unknown_list", "unknown_template", "unknown_domain"}


async def test_ids_of_another_kind_name_nothing(world: Any) -> None:
    campaign = await world.campaign()
    row = outward(EVENT, world.clock.now(), 1)
    for path in (f"/v1/templates/{campaign}", f"/v1/campaigns/{row}", "/v1/campaigns/1", "/v1/messages/x%00"):
        assert (await world.admin("GET", path)).status_code == 404, path


async def test_a_key_that_has_expired(world: Any) -> None:
    key_id, world.keys["old"] = await world.services.accounts.create_key(
        world.workspaces[0], "old", frozenset({KeyScope.READ})
    )
    expires = world.clock.now() + 1_000_000
    await world.services.database.write(
        lambda c: c.execute(text("UPDATE api_key SET expires_at = :at WHERE id = :id"), {"at": expires, "id": key_id})
    )
    await world.client("old").good("GET", "/v1/lists")
    world.clock.advance(timedelta(seconds=1))
    assert (await world.client("old")("GET", "/v1/lists")).status_code == 401
