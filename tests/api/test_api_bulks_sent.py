"""Bulks: in one call, in arrays, and in streams of any length that can be cut off and sent again."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, text

from postwright.api.record_streams import CHUNK_LINES, MAX_LINE, Lines, LongLineError, SilentClientError
from postwright.services.accounts import KeyScope, KeyTerms

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified_domain()
    world.bulk_template = await world.template()
    return world


def bulk(world: Any, *people: Any, **changes: Any) -> dict[str, Any]:
    recipients = [{"address": one} if isinstance(one, str) else one for one in people]
    wanted = {"from": "letter@news.acme.test", "template": world.bulk_template, "recipients": recipients}
    return {name: value for name, value in (wanted | changes).items() if value is not None}


async def opened(world: Any) -> str:
    made = await world.admin.good("POST", "/v1/bulk", json=bulk(world))
    assert (made["state"], made["accepted"]) == ("collecting", 0)
    return f"/v1/bulk/{made['id']}"


def records(count: int, first: int = 0) -> bytes:
    lines = (
        json.dumps({"address": f"reader{n}@example.test", "data": {"first_name": f"R {n}"}, "key": f"k{n}"})
        for n in range(first, first + count)
    )
    return "".join(line + "\n" for line in lines).encode()


def lines_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def deliveries(world: Any) -> Sequence[Any]:
    def read(connection: Connection) -> Sequence[Any]:
        return connection.execute(text("SELECT address, record_key, merge_data, state FROM delivery")).all()

    found: Sequence[Any] = await world.services.database.read(read)
    return found


async def test_a_bulk_in_one_call(ready: Any) -> None:
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "grace@example.test"})
    people = [
        {"address": "ada@example.test", "data": {"first_name": "Ada"}, "key": "a"},
        "grace@example.test",
        "nobody",
        "ADA@example.test",
        {"address": "bob@example.test", "nonsense": 1},
        7,
    ]
    answer = await ready.admin("POST", "/v1/bulk", json=bulk(ready, *people, tags=["spring"]))
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["state"], told["accepted"], told["repeated"]) == ("sending", 1, 1)
    assert [(item["index"], item["code"]) for item in told["refused"]] == [
        (1, "suppressed"),
        (2, "invalid"),
        (4, "invalid"),
        (5, "invalid"),
    ]
    ((address, key, data, state),) = await deliveries(ready)
    assert (address, key, json.loads(data), state) == ("ada@example.test", "a", {"first_name": "Ada"}, "held")
    shown = await ready.admin.good("GET", f"/v1/bulk/{told['id']}")
    assert (shown["recipients"], shown["by_state"], shown["tags"]) == (1, {"held": 1}, ["spring"])
    (message,) = (await ready.admin.good("GET", f"/v1/messages?run={told['id']}"))["data"]
    assert (message["source"], message["key"], message["tags"]) == ("bulk", "a", ["spring"])


async def test_a_bulk_that_reaches_nobody_is_not_sent(ready: Any) -> None:
    answer = await ready.admin("POST", "/v1/bulk", json=bulk(ready, "nobody"))
    assert (answer.status_code, answer.json()["refused"][0]["code"]) == (422, "invalid")
    await ready.admin.good("POST", "/v1/suppressions", json={"address": "grace@example.test"})
    answer = await ready.admin("POST", "/v1/bulk", json=bulk(ready, "grace@example.test"))
    assert (answer.status_code, answer.json()["refused"][0]["code"]) == (422, "suppressed")
    assert (await ready.admin("POST", "/v1/bulk", json=bulk(ready, commit=True))).status_code == 422


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"template": "tpl_1"}, "template"),
        ({"from": "a@other.test"}, "from"),
        ({"from": '"a\r\nb" <letter@news.acme.test>'}, "From"),
        ({"stream": "none such"}, "stream"),
        ({"recipients": ["a"] * 10_001}, "recipients"),
        ({"commit": "yes"}, "commit"),
    ],
)
async def test_bad_bulks(ready: Any, changes: Any, field: str) -> None:
    answer = await ready.admin("POST", "/v1/bulk", json=bulk(ready, "ada@example.test", **changes))
    assert (answer.status_code, answer.json()["errors"][0].get("field")) == (422, field), answer.text


async def test_a_bulk_is_sent_once_under_one_key(ready: Any) -> None:
    key = {"Idempotency-Key": "letter-1"}
    wanted = bulk(ready, *(f"reader{n}@example.test" for n in range(2500)))
    answers = await asyncio.gather(*(ready.admin("POST", "/v1/bulk", json=wanted, headers=key) for _ in range(3)))
    good = [answer for answer in answers if answer.status_code == 202]
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.content for answer in good}) == 1
    again = await ready.admin("POST", "/v1/bulk", json=wanted, headers=key)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (good[0].content, "true")
    assert len(await deliveries(ready)) == 2500
    other = await ready.admin("POST", "/v1/bulk", json=wanted | {"tags": ["a"]}, headers=key)
    assert other.json()["type"] == "/problems/idempotency-key-reused"


async def test_an_open_bulk_is_filled_and_committed(ready: Any) -> None:
    path = await opened(ready)
    people = [{"address": f"reader{n}@example.test"} for n in range(2300)] + [{"address": "nobody"}]
    added = await ready.admin.good("POST", f"{path}/recipients", json=people)
    assert (added["offset"], added["accepted"], added["repeated"]) == (2301, 2300, 0)
    assert [item["index"] for item in added["refused"]] == [2300]
    again = await ready.admin.good("POST", f"{path}/recipients", json=people[:10])
    assert (again["accepted"], again["repeated"]) == (0, 10)
    sent = await ready.admin("POST", f"{path}/commit")
    assert (sent.status_code, sent.json()["state"], sent.json()["recipients"]) == (202, "sending", 2300)
    assert (await ready.admin("POST", f"{path}/commit")).json()["state"] == "sending"
    closed = await ready.admin("POST", f"{path}/recipients", json=people[:1])
    assert (closed.status_code, closed.json()["type"]) == (409, "/problems/bulk-closed")
    stopped = await ready.admin.good("POST", f"{path}/cancel")
    assert (stopped["state"], stopped["by_state"]) == ("cancelled", {"cancelled": 2300})
    assert (await ready.admin("POST", f"{path}/commit")).status_code == 409


async def test_a_stream_tells_how_far_it_is(ready: Any) -> None:
    path = await opened(ready)
    body = records(2500) + b"\n" + b'{"address": "nobody", "key": "x"}\n' + records(5) + b'{"address": "end@a.test"}'
    told = lines_of(await ready.admin("POST", f"{path}/recipients", content=body, headers=NDJSON))
    assert [line["offset"] for line in told] == [1000, 2000, 2508]
    assert sum(line["accepted"] for line in told) == 2501
    assert told[-1]["repeated"] == 5
    assert told[-1]["refused"][0] | {"reason": ""} == {
        "index": 2501, "address": "nobody", "code": "invalid", "reason": "", "field": "address", "key": "x",
        "next_step": "Write it as name@example.com.",
    }  # fmt: skip
    assert (await ready.admin.good("GET", path))["recipients"] == 2501


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [(b"{\n", "not JSON"), (b'"' + b"x" * MAX_LINE + b'"\n', "octets"), (b'{"address": NaN}\n', "not JSON")],
)
async def test_a_broken_line_ends_a_stream_and_what_came_before_is_kept(
    ready: Any, broken: bytes, sentence: str
) -> None:
    path = await opened(ready)
    body = records(1200) + broken + records(10, 5000)
    told = lines_of(await ready.admin("POST", f"{path}/recipients", content=body, headers=NDJSON))
    assert [line.get("offset") for line in told] == [1000, 1200, None]
    assert (told[-1]["error"]["line"], told[-1]["error"]["code"]) == (1201, "bad_line")
    assert sentence in told[-1]["error"]["detail"]
    assert len(await deliveries(ready)) == 1200


async def test_records_of_a_wrong_form_are_refused_by_themselves(ready: Any) -> None:
    path = await opened(ready)
    wrong = [
        {"address": 7},
        {"data": {}},
        {"address": "a@example.test", "data": []},
        {"address": "a@example.test", "key": "\x00"},
        {"address": "a@example.test", "key": ""},
        {"address": "a" * 1000},
        [],
        {"address": "a@example.test", "data": {"a": "x" * 70_000}},
    ]
    body = "".join(json.dumps(one) + "\n" for one in wrong).encode()
    (told,) = lines_of(await ready.admin("POST", f"{path}/recipients", content=body, headers=NDJSON))
    assert [item["index"] for item in told["refused"]] == list(range(8))
    assert told["refused"][-1]["code"] == "data_too_large"


async def test_empty_streams_and_other_types(ready: Any) -> None:
    path = await opened(ready)
    (told,) = lines_of(await ready.admin("POST", f"{path}/recipients", content=b"", headers=NDJSON))
    assert told == {"offset": 0, "accepted": 0, "repeated": 0, "refused": []}
    other = await ready.admin("POST", f"{path}/recipients", content=b"a", headers={"Content-Type": "text/csv"})
    assert other.status_code == 415
    missing = await ready.admin("POST", "/v1/bulk/run_1/recipients", content=b"", headers=NDJSON)
    assert missing.status_code == 404


async def test_a_quota_refuses_what_is_beyond_it(ready: Any) -> None:
    _, ready.keys["few"] = await ready.services.accounts.create_key(
        ready.workspaces[0], "few", frozenset({KeyScope.SEND}), KeyTerms(daily_quota=3)
    )
    made = await ready.client("few").good("POST", "/v1/bulk", json=bulk(ready, *(f"r{n}@a.test" for n in range(5))))
    assert made["accepted"] == 3
    assert [(item["index"], item["code"]) for item in made["refused"]] == [(3, "over_quota"), (4, "over_quota")]


async def test_other_workspaces_cannot_touch_a_bulk(ready: Any, keys: dict[str, str]) -> None:
    path = await opened(ready)
    other = ready.client("other")
    assert (await other("GET", path)).status_code == 404
    for action in ("commit", "cancel"):
        assert (await other("POST", f"{path}/{action}")).status_code == 404
    answer = await other("POST", f"{path}/recipients", content=records(1), headers=NDJSON)
    assert answer.status_code == 404


class Pieces:
    """A body that comes in pieces; ``None`` is silence."""

    def __init__(self, *pieces: bytes | None, cut: bool = False) -> None:
        self.pieces, self.cut = list(pieces), cut

    async def __call__(self) -> Any:
        if not self.pieces:
            if self.cut:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}
        piece = self.pieces.pop(0)
        if piece is None:
            await asyncio.sleep(0.05)
            piece = b""
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or self.cut}


async def gathered(lines: Lines) -> AsyncIterator[list[bytes]]:
    async for chunk in lines.chunks():
        yield chunk


async def test_lines_are_cut_wherever_the_pieces_end() -> None:
    body = b"".join(b"%d\n" % n for n in range(2500)) + b"last"
    for size in (1, 7, 5000, 100_000):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = [chunk async for chunk in gathered(Lines(Pieces(*pieces)))]
        assert [len(chunk) for chunk in chunks] == [CHUNK_LINES, CHUNK_LINES, 501]
        assert b"\n".join(line for chunk in chunks for line in chunk) == body


async def test_what_has_come_is_stored_while_the_client_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.api.record_streams._FLUSH_AFTER", 0.01)
    chunks = [chunk async for chunk in gathered(Lines(Pieces(b"a\nb", None, b"\nc\n")))]
    assert chunks == [[b"a"], [b"b", b"c"]]
    monkeypatch.setattr("postwright.api.record_streams._SILENT_AFTER", 0.01)
    with pytest.raises(SilentClientError):
        [chunk async for chunk in gathered(Lines(Pieces(None, b"a\n")))]


async def test_a_line_without_end_is_not_held() -> None:
    pieces = Pieces(b"a\n", *([b"x" * 65_536] * 100), cut=True)
    chunks = Lines(pieces).chunks()
    assert await anext(chunks) == [b"a"]
    assert len(pieces.pieces) > 90
    with pytest.raises(LongLineError) as caught:
        await anext(chunks)
    assert caught.value.number == 2
