"""Every error status as problem details, request ids, and bodies that are too long."""

import json
import sqlite3
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from mailtypes.errors import StorageError, StorageFullError
from postwright.api import create_router, install_error_handlers
from postwright.api.edge import MAX_JSON
from postwright.services.errors import RefusedError, TooManyTriesError


async def test_unknown_path_and_method(world: Any) -> None:
    missing = await world.admin("GET", "/v1/nothing")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/unknown-path")
    wrong = await world.admin("PUT", "/v1/domains")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "/problems/method-not-allowed")
    assert wrong.headers["Allow"]
    assert (await world.admin("GET", "/v1")).status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "kind", "retry"),
    [
        (StorageFullError("the disk is full: /var/secret"), 503, "storage-full", "60"),
        (StorageError("locked: /var/secret"), 503, "storage-unavailable", "5"),
        (TooManyTriesError(timedelta(seconds=90)), 429, "too-many-tries", "90"),
        (RuntimeError("password is secret"), 500, "internal-error", None),
        (sqlite3.OperationalError("secret"), 500, "internal-error", None),
    ],
)
async def test_what_services_raise(
    world: Any, monkeypatch: Any, error: Exception, status: int, kind: str, retry: str | None
) -> None:
    async def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(world.services.sender_domains, "list", broken)
    answer = await world.admin("GET", "/v1/domains")
    assert answer.status_code == status
    assert answer.json()["type"] == f"/problems/{kind}"
    assert answer.headers.get("Retry-After") == retry
    assert "secret" not in answer.text


async def test_several_reasons_are_a_conflict_only_if_all_are(world: Any) -> None:
    draft = await world.draft()
    await world.admin.good("POST", "/v1/campaigns", json=draft)
    taken = await world.admin("POST", "/v1/campaigns", json=draft)
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/name-taken")
    both = await world.admin("POST", "/v1/campaigns", json=draft | {"stream": "none"})
    assert both.status_code == 422
    assert {item["code"] for item in both.json()["errors"]} == {"name_taken", "unknown_stream"}


async def test_invalid_requests_name_their_places_and_repeat_nothing(world: Any) -> None:
    body = {"name": 5, "scopes": ["read", "write-secret"], "more": 1}
    answer = await world.admin("POST", "/v1/api-keys", json=body)
    assert answer.status_code == 422
    assert {item["pointer"] for item in answer.json()["errors"]} == {"#/name", "#/scopes/1", "#/more"}
    assert "write-secret" not in answer.text
    query = await world.admin("GET", "/v1/events?limit=0&knid=opened&kind=a'b")
    assert {item["field"] for item in query.json()["errors"]} == {"limit", "knid", "kind"}


async def test_text_that_is_not_json_is_shown_its_place(world: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await world.admin("POST", "/v1/templates", content='{"name": "a",\n "body": }', headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["place"] == "line 2, column 10"
    form = await world.admin("POST", "/v1/templates", content="name=a", headers={"Content-Type": "text/plain"})
    assert form.status_code == 422


@pytest.mark.parametrize("content", ["[" * 200_000, '{"name": ' + "9" * 10_000 + "}", b'{"name": "\xff"}', b"\xff\xfe"])
async def test_json_made_to_hurt_is_only_refused(world: Any, content: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await world.admin("POST", "/v1/templates", content=content, headers=headers)
    assert answer.status_code in {400, 422}


async def test_a_client_that_goes_away_is_not_an_error(world: Any, caplog: Any) -> None:
    sent: list[Any] = []

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {world.keys['admin']}".encode()), (b"content-type", b"text/csv")]
    scope = {"type": "http", "method": "POST", "path": "/v1/imports", "query_string": b"list=a", "headers": headers}
    await world.app(scope, gone, send)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await world.admin.all_of("/v1/lists", 10) == []


async def test_texts_that_cannot_be_stored(world: Any) -> None:
    nul = await world.admin("POST", "/v1/suppressions", json={"address": "a@example.test", "reason": "a\x00b"})
    assert (nul.status_code, nul.json()["errors"][0]["pointer"]) == (422, "#/reason")
    half = json.dumps({"address": "a@example.test", "reason": "\ud800"})
    answer = await world.admin("POST", "/v1/suppressions", content=half, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize("given", ["abc-1", "A" * 100])
async def test_a_sane_request_id_comes_back(world: Any, given: str) -> None:
    for path in ("/v1/domains", "/v1/nothing"):
        answer = await world.admin("GET", path, headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "A" * 101, "a;b", "é".encode("latin-1")])
async def test_another_request_id_is_replaced(world: Any, given: Any) -> None:
    answer = await world.admin("GET", "/v1/domains", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert len(answer.headers["X-Request-Id"]) == 36


async def test_answers_are_not_kept_by_caches(world: Any) -> None:
    assert (await world.admin("GET", "/v1/domains")).headers["Cache-Control"] == "no-store"


async def test_a_json_body_is_bounded_by_what_it_says_and_by_what_it_is(world: Any) -> None:
    headers = {"Content-Type": "application/json"}
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 64 * 1024
            yield b" " * (64 * 1024)

    told = headers | {"Content-Length": str(MAX_JSON + 1)}
    said = await world.admin("POST", "/v1/templates", content=endless(), headers=told)
    assert (said.status_code, said.headers["Connection"], sent) == (413, "close", 0)
    answer = await world.admin("POST", "/v1/templates", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= MAX_JSON + 2 * 64 * 1024
    small = await world.admin("POST", "/v1/templates", content=b" " * MAX_JSON, headers=headers)
    assert small.status_code == 422


async def test_other_paths_of_the_app_keep_their_own_errors(world: Any) -> None:
    app = FastAPI()

    @app.exception_handler(RefusedError)
    async def page(_request: object, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"page: {error}", 400)

    @app.get("/page")
    async def refuse() -> None:
        raise RefusedError("no", "not now")

    @app.get("/broken")
    async def broken() -> None:
        raise StorageError("away")

    app.include_router(create_router(world.services))
    install_error_handlers(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        refused = await http.get("/page")
        assert (refused.status_code, refused.text) == (400, "page: not now")
        assert "X-Request-Id" not in refused.headers
        missing = await http.get("/nothing")
        assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
        assert (await http.get("/broken")).status_code == 500
        inside = await http.post("/v1/domains", headers={"Authorization": f"Bearer {world.keys['admin']}"})
        assert inside.headers["content-type"] == "application/problem+json"
