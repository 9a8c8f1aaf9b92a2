"""Rate limits, keys as resources, and what a process holds at once."""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from mailtypes.clock import ManualClock
from postwright.api import create_router, install_error_handlers
from postwright.api.edge import InFlight, OverloadedError
from postwright.api.limits import RateLimitedError, RateLimits
from postwright.services.accounts import Client, KeyScope, KeyTerms


def client(limit: int | None, key_id: int = 1) -> Client:
    return Client(key_id, 1, frozenset(KeyScope), "k", KeyTerms(rate_limit=limit))


def test_a_bucket_holds_a_second_and_fills_steadily() -> None:
    limits, clock = RateLimits(), ManualClock()
    assert [limits.take(client(3), clock.now()) for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RateLimitedError):
        limits.take(client(3), clock.now())
    assert limits.take(client(3, 2), clock.now()) == 2, "another key has a bucket of its own"
    clock.advance(timedelta(milliseconds=334))
    assert limits.take(client(3), clock.now()) == 0
    clock.advance(timedelta(hours=1))
    assert limits.take(client(3), clock.now()) == 2
    assert limits.take(client(None), clock.now()) is None
    assert RateLimits(5).take(client(None), clock.now()) == 4


async def test_too_many_requests(world: Any) -> None:
    made = await world.admin.good("POST", "/v1/api-keys", json={"name": "a", "scopes": ["read"], "rate_limit": 2})
    world.keys["slow"] = made["key"]
    slow = world.client("slow")
    first = await slow("GET", "/v1/domains")
    assert first.headers["RateLimit-Policy"] == '"requests";q=2;w=1'
    assert first.headers["RateLimit"] == '"requests";r=1;t=1'
    assert (await slow("GET", "/v1/nothing")).status_code == 404
    await slow("GET", "/v1/domains/other.test")
    over = await slow("GET", "/v1/domains")
    assert (over.status_code, over.json()["type"]) == (429, "/problems/rate-limited")
    assert (over.headers["Retry-After"], over.headers["RateLimit"]) == ("1", '"requests";r=0;t=1')
    world.clock.advance(timedelta(seconds=1))
    assert (await slow("GET", "/v1/domains")).status_code == 200
    assert "RateLimit" not in (await world.admin("GET", "/v1/domains")).headers


async def test_keys_have_limits_and_are_rotated(world: Any) -> None:
    wanted = {
        "name": "shop",
        "scopes": ["send"],
        "domains": ["News.acme.test"],
        "addresses": ["orders@news.acme.test"],
        "rate_limit": 5,
        "daily_quota": 100,
        "expires_at": "2027-01-01T00:00:00Z",
    }
    made = await world.admin.good("POST", "/v1/api-keys", json=wanted)
    assert (made["domains"], made["addresses"]) == (["news.acme.test"], ["orders@news.acme.test"])
    assert made["expires_at"] == "2027-01-01T00:00:00.000000Z"
    new = await world.admin.good("POST", f"/v1/api-keys/{made['id']}/rotate", json={"overlap_hours": 2})
    assert new["key"] != made["key"]
    assert {name: new[name] for name in ("name", "rate_limit", "daily_quota", "domains", "expires_at")} == {
        "name": "shop", "rate_limit": 5, "daily_quota": 100, "domains": ["news.acme.test"],
        "expires_at": made["expires_at"],
    }  # fmt: skip
    world.keys |= {"old": made["key"], "new": new["key"]}
    assert (await world.client("old")("GET", "/v1/domains")).status_code == 200
    world.clock.advance(timedelta(hours=2, seconds=1))
    assert (await world.client("old")("GET", "/v1/domains")).status_code == 401
    assert (await world.client("new")("GET", "/v1/domains")).status_code == 200
    assert (await world.admin("POST", f"/v1/api-keys/{made['id']}/rotate")).status_code == 404
    assert (await world.admin("DELETE", f"/v1/api-keys/{new['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"domains": ["a..b"]}, "domains[0]"),
        ({"addresses": ["a@b.test", "nobody"]}, "addresses[1]"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"daily_quota": -1}, "daily_quota"),
    ],
)
async def test_bad_limits(world: Any, changes: Any, field: str) -> None:
    answer = await world.admin("POST", "/v1/api-keys", json={"name": "a", "scopes": ["read"]} | changes)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_what_is_in_flight_is_counted() -> None:
    in_flight = InFlight(10)
    in_flight.take(8)
    with pytest.raises(OverloadedError):
        in_flight.take(3)
    in_flight.give_back(8)
    in_flight.take(10)


async def test_a_process_that_holds_enough_asks_to_wait(world: Any) -> None:
    app = FastAPI()
    app.include_router(create_router(world.services))
    install_error_handlers(app, max_in_flight=50_000)
    await world.verified_domain()
    world.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test")
    message = {"from": "a@news.acme.test", "to": ["b@c.test"], "subject": "s"}
    over = await world.admin("POST", "/v1/messages", json=message | {"text": "x" * 60_000})
    assert (over.status_code, over.json()["type"], over.headers["Retry-After"]) == (503, "/problems/overloaded", "5")
    small = message | {"text": "x" * 10_000}
    answers = await asyncio.gather(*(world.admin("POST", "/v1/messages", json=small) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {202, 503}
    again = await world.admin("POST", "/v1/messages", json=message | {"text": "x" * 45_000})
    assert again.status_code == 202, "what is done no longer counts"
    await world.http.aclose()


async def test_requests_are_logged_with_their_id_and_no_secret(world: Any, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, "postwright.api.edge"):
        await world.admin("GET", "/v1/domains", headers={"X-Request-Id": "mine-7"})
    (line,) = [record.getMessage() for record in caplog.records if "mine-7" in record.getMessage()]
    assert "GET '/v1/domains', 200" in line
    assert world.keys["admin"] not in line
    assert world.keys["admin"][:12] in line


async def test_lists_are_made_and_read(world: Any) -> None:
    made = await world.admin("POST", "/v1/lists", json={"name": " Friends "})
    assert (made.status_code, made.json()["name"], made.json()["contacts"]) == (201, "Friends", 0)
    again = await world.admin("POST", "/v1/lists", json={"name": "Friends"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert (await world.admin.good("GET", made.headers["Location"])) == made.json()
    assert (await world.admin("POST", "/v1/lists", json={"name": "a\nb"})).status_code == 422
    assert (await world.admin("GET", "/v1/lists/lst_1")).status_code == 404


async def test_a_lifted_suppression_leaves_a_trace(world: Any, keys: dict[str, str]) -> None:
    made = await world.admin.good("POST", "/v1/suppressions", json={"address": "a@b.test", "reason": "typo"})
    path = f"/v1/suppressions/{made['id']}"
    assert (await world.client("send")("DELETE", path)).status_code == 403
    assert (await world.client("other")("DELETE", path)).status_code == 404
    bare = await world.admin("DELETE", path)
    assert (bare.status_code, bare.json()["errors"][0]["code"]) == (422, "note_needed")
    assert (await world.admin("DELETE", f"{path}?note=a+slip")).status_code == 204
    await world.events_shown()
    (event,) = (await world.admin.good("GET", "/v1/events?kind=suppression_lifted"))["data"]
    assert event["data"].pop("by").startswith("pw_live_")
    assert event["data"] == {"address": "a@b.test", "scope": "all", "reason": "typo", "note": "a slip"}
    assert json.dumps(await world.admin.all_of("/v1/suppressions", 10)) == "[]"


@pytest.mark.parametrize("size", [0, 200])
async def test_a_body_that_trickles_is_given_up(world: Any, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("postwright.api.edge.PATIENCE", 0.3)
    monkeypatch.setattr("postwright.api.edge.SLOWEST", 1000)
    sent: list[float] = []

    async def body() -> Any:
        for _ in range(100):
            sent.append(asyncio.get_running_loop().time())
            yield b" " * size
            await asyncio.sleep(0.05 if size == 0 else 0.4)

    headers = {"Content-Type": "application/json", "Content-Length": "8000000"}
    answer = await world.admin("POST", "/v1/messages", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["type"], answer.headers["Connection"]) == (
        408,
        "/problems/request-timeout",
        "close",
    )
    assert sent[-1] - sent[0] < 2
    await world.verified_domain()
    good = {"from": "a@news.acme.test", "to": ["b@c.test"], "subject": "s", "text": "t"}
    assert (await world.admin("POST", "/v1/messages", json=good)).status_code == 202


async def test_what_is_no_number_or_not_for_this_is_refused(world: Any) -> None:
    await world.verified_domain()
    message = b'{"from": "a@news.acme.test", "to": ["b@c.test"], "subject": "s", "text": "t", %s}'
    for part, field in ((b'"metadata": {"a": 1e999}', "metadata"), (b'"headers": {"X-Postwright-Tag": "a"}', "X-Post")):
        headers = {"Content-Type": "application/json"}
        answer = await world.admin("POST", "/v1/messages", content=message % part, headers=headers)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"].startswith(field)
