"""Single messages and batches: accepted is durable, partly wrong is told exactly, twice is once."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from postwright.api.received import MAX_FILES, MAX_JSON
from postwright.services.accounts import KeyScope, KeyTerms
from postwright.store.messages import capture, read_content
from postwright.store.public_ids import read_public_id

MESSAGE = {
    "from": "Shop <orders@news.acme.test>",
    "to": ["Ada <ada@example.test>"],
    "subject": "Your order",
    "html": "<p>Thank you</p>",
}


async def rows(world: Any, statement: str) -> Sequence[Any]:
    def read(connection: Connection) -> Sequence[Any]:
        return connection.execute(text(statement)).all()

    found: Sequence[Any] = await world.services.database.read(read)
    return found


async def count(world: Any, table: str) -> int:
    return int((await rows(world, f"SELECT count(*) FROM {table}"))[0][0])


async def content_of(world: Any, submission: str) -> str:
    message_id = read_public_id(submission, "sub")
    octets = await world.services.database.read(lambda connection: read_content(connection, message_id))
    return str(octets.decode("ascii"))


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified_domain()
    return world


async def send(world: Any, **changes: Any) -> Any:
    return await world.admin("POST", "/v1/messages", json=MESSAGE | changes)


async def test_a_message_is_stored_before_it_is_accepted(ready: Any) -> None:
    answer = await send(ready, cc=[{"address": "bob@example.test", "name": "Bob"}], tags=["order"], metadata={"n": 7})
    assert answer.status_code == 202
    told = answer.json()
    assert told["refused"] == []
    assert [one["address"] for one in told["messages"]] == ["ada@example.test", "bob@example.test"]
    whole = await ready.admin.good("GET", f"/v1/messages/{told['id']}")
    assert (whole["subject"], whole["tags"], whole["metadata"]) == ("Your order", ["order"], {"n": 7})
    assert [one["id"] for one in whole["messages"]] == [one["id"] for one in told["messages"]]
    shown = await ready.admin.good("GET", f"/v1/messages/{told['messages'][1]['id']}")
    assert (shown["submission"], shown["source"], shown["state"]) == (told["id"], "api", "held")
    assert [event["kind"] for event in shown["events"]] == ["accepted"]
    octets = await content_of(ready, told["id"])
    assert "From: Shop <orders@news.acme.test>" in octets
    assert "Cc: Bob <bob@example.test>" in octets


async def test_whoever_cannot_be_sent_to_is_named_and_the_others_get_it(ready: Any) -> None:
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "grace@example.test", "reason": "asked"})
    told = (
        await send(
            ready,
            to=["ada@example.test", "nobody", "Grace <GRACE@example.test>"],
            cc=["Ada Again <ADA@example.test>"],
            bcc=["häns@example.test", "last@example.test"],
        )
    ).json()
    assert [one["address"] for one in told["messages"]] == ["ada@example.test", "last@example.test"]
    assert [(item["index"], item["field"], item["code"]) for item in told["refused"]] == [
        (1, "to[1]", "invalid"),
        (2, "to[2]", "suppressed"),
        (3, "cc[0]", "duplicate"),
        (4, "bcc[0]", "smtputf8_needed"),
    ]
    assert "asked" in told["refused"][1]["reason"]
    octets = await content_of(ready, told["id"])
    assert "nobody" not in octets
    assert "last@example.test" not in octets


async def test_nobody_accepted_is_a_problem_with_the_list(ready: Any) -> None:
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "grace@example.test"})
    answer = await send(ready, to=["grace@example.test", "nobody"])
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/nobody-accepted")
    assert [item["code"] for item in answer.json()["refused"]] == ["suppressed", "invalid"]
    assert (await send(ready, to=["nobody"])).json()["errors"][0]["field"] == "to[0]"
    assert await count(ready, "message") == 0


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"from": "orders@other.test"}, "from", "unknown_domain"),
        ({"from": "nobody"}, "from", "invalid"),
        ({"stream": "none such"}, "stream", "unknown_stream"),
        ({"html": None}, None, "value_error"),
        ({"mjml": "<mjml>"}, None, "value_error"),
        ({"html": None, "mjml": "<mjml><mj-body><mj-text></mj-body></mjml>"}, "mjml", "bad_mjml"),
        ({"html": None, "template": "tpl_1"}, "template", "bad_id"),
        ({"headers": {"Subject": "twice"}}, "Subject", "bad_content"),
        ({"headers": {"X-A": "b\r\nBcc: c@d.test"}}, "X-A", "bad_content"),
        ({"subject": "a\r\nBcc: c@d.test"}, "Subject", "bad_content"),
        ({"subject": None}, None, "value_error"),
        ({"to": []}, "to", "no_recipient"),
        ({"send_at": "2026-03-02T09:00:00"}, "send_at", "value_error"),
        ({"send_at": 1772442000}, "send_at", "datetime_type"),
        ({"send_at": "2027-03-02T09:00:00Z"}, "send_at", "send_at_too_far"),
        ({"attachments": [{"name": "a", "content": "%%%"}]}, "attachments[0].content", "not_base64"),
        ({"attachments": [{"name": "a", "part": "b"}]}, "attachments[0].part", "no_such_part"),
        ({"attachments": [{"name": "a"}]}, "attachments.0", "value_error"),
        ({"metadata": {"a": ["b"]}}, None, None),
        ({"nonsense": 1}, "nonsense", "extra_forbidden"),
    ],
)
async def test_what_makes_a_message_impossible_is_named(ready: Any, changes: Any, field: Any, code: Any) -> None:
    wanted = {name: value for name, value in (MESSAGE | changes).items() if value is not None}
    answer = await ready.admin("POST", "/v1/messages", json=wanted)
    assert answer.status_code == 422, answer.text
    first = answer.json()["errors"][0]
    if code is not None:
        assert (first.get("field"), first["code"]) == (field, code), answer.text
    assert await count(ready, "message") == 0
    assert await count(ready, "blob") == 0, "an attachment stayed behind"


async def test_an_unverified_domain_sends_nothing(world: Any) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": "news.acme.test"})
    answer = await send(world)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/domain-not-verified")


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"from": NaN}', b'{"from": "\\ud800"}', b"[" * 100_000])
async def test_what_is_no_json_is_told(ready: Any, body: bytes) -> None:
    answer = await ready.admin("POST", "/v1/messages", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/json-syntax")
    other = await ready.admin("POST", "/v1/messages", content=b"a=b", headers={"Content-Type": "text/plain"})
    assert other.status_code == 415


async def test_templates_mjml_and_send_at(ready: Any) -> None:
    template = await ready.template()
    wanted = {"from": "orders@news.acme.test", "to": ["ada@example.test"], "template": template}
    answer = await ready.admin("POST", "/v1/messages", json=wanted | {"data": {"first_name": "Ada"}})
    assert answer.status_code == 202, answer.text
    shown = await ready.admin.good("GET", f"/v1/messages/{answer.json()['id']}")
    assert shown["subject"] == "Hello Ada"
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"
    later = {**MESSAGE, "mjml": mjml, "send_at": "2026-03-02T12:00:00+01:00"}
    del later["html"]
    told = await ready.admin.good("POST", "/v1/messages", json=later)
    shown = await ready.admin.good("GET", f"/v1/messages/{told['messages'][0]['id']}")
    assert shown["next_attempt_at"] == "2026-03-02T11:00:00.000000Z"
    assert "<mj-" not in await content_of(ready, told["id"])


async def test_attachments_are_stored_once_and_let_go_with_the_message(ready: Any) -> None:
    octets = bytes(range(256)) * 40
    file = {"name": "a.bin", "content": base64.b64encode(octets).decode()}
    told = (await send(ready, attachments=[file, file | {"name": "b.bin"}])).json()
    kept = await rows(ready, "SELECT sha256, reference_count FROM blob WHERE size = 10240")
    assert [tuple(row) for row in kept] == [(hashlib.sha256(octets).hexdigest(), 1)]
    assert "a.bin" in await content_of(ready, told["id"])


async def test_a_form_brings_files_as_parts(ready: Any) -> None:
    image = b"\x89PNG\r\n\x1a\n" + b"x" * 3_000_000
    wanted = MESSAGE | {
        "html": '<img src="cid:logo">',
        "attachments": [{"name": "logo.png", "type": "image/png", "content_id": "logo", "part": "picture"}],
    }
    files = {"message": (None, json.dumps(wanted), "application/json"), "picture": ("logo.png", image, "image/png")}
    answer = await ready.admin("POST", "/v1/messages", files=files)
    assert answer.status_code == 202, answer.text
    assert await count(ready, "message_attachment") == 1
    kept = await rows(ready, "SELECT reference_count FROM blob WHERE size > 3000000")
    assert [row[0] for row in kept] == [1]
    missing = await ready.admin("POST", "/v1/messages", files={"picture": ("logo.png", b"a")})
    assert missing.json()["type"] == "/problems/no-message"


async def test_bodies_that_are_too_large(ready: Any) -> None:
    long = await ready.admin("POST", "/v1/messages", json=MESSAGE | {"html": "a" * MAX_JSON})
    assert long.status_code == 413
    assert "multipart/form-data" in long.json()["errors"][0]["next_step"]
    wanted = MESSAGE | {"attachments": [{"name": "a", "part": "a"}, {"name": "b", "part": "b"}]}
    half = b"x" * (MAX_FILES // 2 + 1)
    files = {"message": (None, json.dumps(wanted)), "a": ("a", half), "b": ("b", half)}
    answer = await ready.admin("POST", "/v1/messages", files=files)
    assert (answer.status_code, await count(ready, "blob")) == (413, 0)


async def test_the_same_key_does_it_once(ready: Any) -> None:
    key = {"Idempotency-Key": "order-7"}
    first = await ready.admin("POST", "/v1/messages", json=MESSAGE, headers=key)
    again = await ready.admin("POST", "/v1/messages", json=dict(reversed(MESSAGE.items())), headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await ready.admin("POST", "/v1/messages", json=MESSAGE | {"subject": "Another"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert await count(ready, "message") == 1
    ready.clock.advance(timedelta(hours=25))
    assert "Idempotent-Replayed" not in (await ready.admin("POST", "/v1/messages", json=MESSAGE, headers=key)).headers


async def test_requests_at_the_same_moment_do_it_once(ready: Any) -> None:
    key = {"Idempotency-Key": "order-8"}
    answers = await asyncio.gather(
        *(ready.admin("POST", "/v1/messages", json=MESSAGE, headers=key) for _ in range(8)),
    )
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
    assert await count(ready, "message") == 1


async def test_what_was_refused_may_be_tried_again_under_the_same_key(ready: Any) -> None:
    key = {"Idempotency-Key": "order-9"}
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "ada@example.test"})
    assert (await ready.admin("POST", "/v1/messages", json=MESSAGE, headers=key)).status_code == 422
    (suppression,) = await ready.admin.all_of("/v1/suppressions", 10)
    assert (await ready.admin("DELETE", f"/v1/suppressions/{suppression['id']}")).status_code == 204
    assert (await ready.admin("POST", "/v1/messages", json=MESSAGE, headers=key)).status_code == 202
    assert (await ready.admin("DELETE", f"/v1/suppressions/{suppression['id']}")).status_code == 404


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "h\u00e9"])
async def test_bad_idempotency_keys(ready: Any, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = await ready.admin("POST", "/v1/messages", json=MESSAGE, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_a_batch_keeps_the_good_ones(ready: Any) -> None:
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "grace@example.test"})
    messages = [
        MESSAGE,
        MESSAGE | {"from": "orders@other.test"},
        MESSAGE | {"to": ["grace@example.test"]},
        "nonsense",
        MESSAGE | {"to": ["bob@example.test", "nobody"]},
        {"to": []},
    ]
    key = {"Idempotency-Key": "batch"}
    answer = await ready.admin("POST", "/v1/messages/batch", json={"messages": messages}, headers=key)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert [item["index"] for item in told["accepted"]] == [0, 4]
    assert told["accepted"][1]["refused"][0]["index"] == 1
    assert [(item["index"], item["code"]) for item in told["refused"]] == [
        (1, "unknown_domain"),
        (2, "suppressed"),
        (3, "model_type"),
        (5, "missing"),
    ]
    assert await count(ready, "message") == 2
    again = await ready.admin("POST", "/v1/messages/batch", json={"messages": messages}, headers=key)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    none = await ready.admin("POST", "/v1/messages/batch", json={"messages": messages[1:4]})
    assert (none.status_code, [item["index"] for item in none.json()["refused"]]) == (422, [0, 1, 2])
    assert none.json()["errors"][0]["field"] == "messages[0].from"
    many = await ready.admin("POST", "/v1/messages/batch", json={"messages": [MESSAGE] * 501})
    assert (many.status_code, many.json()["errors"][0]["field"]) == (422, "messages")


async def test_a_large_batch_is_stored_together(ready: Any) -> None:
    messages = [MESSAGE | {"to": [f"reader{number}@example.test"]} for number in range(500)]
    told = await ready.admin.good("POST", "/v1/messages/batch", json={"messages": messages})
    assert len(told["accepted"]) == 500
    assert len({item["id"] for item in told["accepted"]}) == 500
    assert await count(ready, "delivery") == 500


async def test_a_quota_is_for_all_recipients_of_a_message(ready: Any) -> None:
    terms = KeyTerms(daily_quota=2)
    _, ready.keys["few"] = await ready.services.accounts.create_key(
        ready.workspaces[0], "few", frozenset({KeyScope.SEND}), terms
    )
    few = ready.client("few")
    answer = await few("POST", "/v1/messages", json=MESSAGE)
    assert answer.headers["RateLimit-Policy"] == '"recipients";q=2;w=86400'
    assert answer.headers["RateLimit"].startswith('"recipients";r=1;t=')
    over = await few("POST", "/v1/messages", json=MESSAGE | {"to": ["b@example.test", "c@example.test"]})
    assert [item["code"] for item in over.json()["refused"]] == ["over_quota", "over_quota"]
    assert (await few("POST", "/v1/messages", json=MESSAGE | {"to": ["b@example.test"]})).status_code == 202
    ready.clock.advance(timedelta(days=1))
    assert (await few("POST", "/v1/messages", json=MESSAGE)).status_code == 202


async def test_keys_are_for_their_senders(ready: Any) -> None:
    made = await ready.admin.good(
        "POST", "/v1/api-keys", json={"name": "a", "scopes": ["send"], "addresses": ["orders@news.acme.test"]}
    )
    ready.keys["bound"] = made["key"]
    assert (await ready.client("bound")("POST", "/v1/messages", json=MESSAGE)).status_code == 202
    other = MESSAGE | {"from": "other@news.acme.test"}
    answer = await ready.client("bound")("POST", "/v1/messages", json=other)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/sender-not-allowed")


async def test_a_message_is_cancelled_while_it_waits(ready: Any) -> None:
    told = (await send(ready, cc=["bob@example.test", "eve@example.test"])).json()
    first, second, third = (one["id"] for one in told["messages"])
    done = await ready.admin.good("POST", f"/v1/messages/{first}/cancel")
    assert (done["cancelled"], [one["state"] for one in done["messages"]]) == (1, ["cancelled"])

    def transmit(connection: Connection) -> None:
        connection.execute(
            text("UPDATE delivery SET state = 'transmitting' WHERE id = :id"), {"id": read_public_id(second, "msg")}
        )

    await ready.services.database.write(transmit)
    rest = await ready.admin.good("POST", f"/v1/messages/{told['id']}/cancel")
    assert rest["cancelled"] == 1
    assert [one["state"] for one in rest["messages"]] == ["cancelled", "transmitting", "cancelled"]
    shown = await ready.admin.good("GET", f"/v1/messages/{third}")
    assert [event["kind"] for event in shown["events"]] == ["accepted", "cancelled"]
    assert (await ready.admin.good("POST", f"/v1/messages/{told['id']}/cancel"))["cancelled"] == 0


async def test_other_workspaces_see_nothing(ready: Any, keys: dict[str, str]) -> None:
    told = (await send(ready)).json()
    for path in (told["id"], told["messages"][0]["id"]):
        assert (await ready.client("other")("GET", f"/v1/messages/{path}")).status_code == 404
        assert (await ready.client("other")("POST", f"/v1/messages/{path}/cancel")).status_code == 404
        assert (await ready.client("read")("POST", f"/v1/messages/{path}/cancel")).status_code == 403
    assert (await ready.client("read")("POST", "/v1/messages", json=MESSAGE)).status_code == 403


async def test_what_a_test_key_sent_can_be_read(ready: Any, keys: dict[str, str]) -> None:
    made = await ready.admin.good("POST", "/v1/api-keys", json={"name": "t", "scopes": ["send"], "test": True})
    assert made["key"].startswith("pw_test_")
    ready.keys["test"] = made["key"]
    told = await ready.client("test").good("POST", "/v1/messages", json=MESSAGE)
    message = told["messages"][0]["id"]
    path = f"/v1/messages/{message}/content"
    assert (await ready.admin("GET", path)).status_code == 404

    def store(connection: Connection) -> None:
        ids = connection.execute(text("SELECT workspace_id, id FROM delivery")).one()
        blob = connection.execute(text("SELECT blob_id FROM message")).scalar_one()
        capture(connection, (ids[0], ids[1]), ("bounce@a.test", "ada@example.test"), blob, ready.clock.now())

    await ready.services.database.write(store)
    content = await ready.client("read")("GET", path)
    assert content.headers["content-type"] == "message/rfc822"
    assert b"Subject: Your order" in content.content
    assert (await ready.client("other")("GET", path)).status_code == 404
