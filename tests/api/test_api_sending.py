"""The way of a campaign: domain, contacts, template, draft, run, messages, events."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import from_datetime
from postwright.api.cursors import read_cursor, write_cursor
from postwright.api.representations import moment
from postwright.services.errors import RefusedError

CSV = {"Content-Type": "text/csv"}


async def test_a_domain_is_verified_when_its_records_are_published(world: Any) -> None:
    made = await world.admin("POST", "/v1/domains", json={"name": "News.Acme.test"})
    assert made.headers["Location"] == "/v1/domains/news.acme.test"
    assert made.json()["state"] == "pending"
    await world.publish(but=["DKIM"])
    found = await world.admin.good("POST", "/v1/domains/news.acme.test/verify")
    assert (found["state"], found["audit"]["verdict"]) == ("pending", "not_verified")
    missing = next(item for item in found["audit"]["findings"] if item["code"] == "dkim.missing")
    assert missing["state"] == "absent"
    assert missing["next_step"]
    assert missing["evidence"][0]["question"] == "pw1._domainkey.news.acme.test TXT"
    await world.publish()
    await world.admin.good("POST", "/v1/domains/news.acme.test/verify")
    shown = await world.admin.good("GET", "/v1/domains/news.acme.test")
    assert (shown["state"], shown["audit"]["verdict"]) == ("verified", "verified")
    assert [key["state"] for key in shown["dkim_keys"]] == ["active"]
    assert "private key" not in str(shown).lower()
    assert "private_key" not in str(shown).lower()


@pytest.mark.parametrize(
    ("accept", "is_zone"),
    [
        ("text/dns", True),
        ("application/json, text/dns;q=0.5", False),
        ("text/dns;q=0", False),
        ("*/*", False),
        ("text/dns;q=x", False),
    ],
)
async def test_records_as_zone_text(world: Any, accept: str, is_zone: bool) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": "news.acme.test"})
    answer = await world.admin("GET", "/v1/domains/news.acme.test/records", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/dns") is is_zone


async def test_bad_domains(world: Any) -> None:
    bad = await world.admin("POST", "/v1/domains", json={"name": "news..acme.test"})
    assert bad.status_code == 422
    single = await world.admin("POST", "/v1/domains", json={"name": "localhost"})
    assert (single.status_code, single.json()["errors"][0]["field"]) == (422, "name")
    assert (await world.admin("GET", "/v1/domains/other.test")).status_code == 404


async def test_an_import_tells_how_far_it_is_and_names_every_bad_row(world: Any) -> None:
    rows = ["ada@example.test", "nobody", "ADA@example.test", "grace@example.test", "a b@example.test", "@"]
    options = {"content": "email\n" + "\n".join(rows) + "\n", "headers": CSV}
    started = await world.admin("POST", "/v1/imports?list=Gardeners&file_name=c.csv", **options)
    job = started.json()
    assert (started.status_code, started.headers["Location"]) == (202, f"/v1/imports/{job['id']}")
    assert (job["state"], job["rows_total"], job["progress"]) == ("waiting", 6, 0)
    await world.services.imports.run_jobs()
    done = await world.admin.good("GET", started.headers["Location"])
    assert (done["state"], done["progress"], done["created"], done["refused"]) == ("finished", 1, 2, 4)
    refused = await world.admin.all_of(f"{started.headers['Location']}/refusals", 2)
    assert [item["row"] for item in refused] == [3, 4, 6, 7]
    assert all(item["code"] and item["reason"] for item in refused)
    assert done["refused_by_code"]["duplicate"] == 1
    (shown,) = await world.admin.all_of("/v1/lists", 10)
    assert (shown["id"], shown["name"], shown["contacts"]) == (job["list"]["id"], "Gardeners", 2)


async def test_an_import_as_a_form(world: Any) -> None:
    files = {"file": ("spring\r\n.csv", b"email\nada@example.test\n", "text/csv")}
    job = await world.admin.good("POST", "/v1/imports?list=Gardeners", files=files)
    assert "\n" not in job["file_name"]
    assert job["file_name"].endswith(".csv")
    without = await world.admin("POST", "/v1/imports?list=a", data={"x": "y"}, files={"other": ("a", b"b")})
    assert without.json()["type"] == "/problems/no-file"
    broken = {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}}
    assert (await world.admin("POST", "/v1/imports?list=a", **broken)).status_code == 400


async def test_bad_imports(world: Any) -> None:
    no_list = await world.admin("POST", "/v1/imports", content="email\n", headers=CSV)
    assert (no_list.status_code, no_list.json()["errors"][0]["field"]) == (422, "list")
    other = await world.admin("POST", "/v1/imports?list=a", json=[])
    assert other.status_code == 415
    empty = await world.admin("POST", "/v1/imports?list=a", content="", headers=CSV)
    assert empty.json()["type"] == "/problems/empty-file"
    column = await world.admin("POST", "/v1/imports?list=a", content="name\nAda\n", headers=CSV)
    assert column.json()["errors"][0]["next_step"]
    assert (await world.admin("GET", "/v1/imports/imp_x")).status_code == 404
    assert await world.admin.all_of("/v1/lists", 10) == []


@pytest.mark.parametrize("path", ["/v1/imports?list=a", "/v1/suppressions/import"])
async def test_an_upload_that_is_too_large_is_cut_while_it_streams(world: Any, path: str) -> None:
    limit = world.services.max_upload
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b"a@example.test,x\n" * 625

    answer = await world.admin("POST", path, content=endless(), headers=CSV)
    assert answer.status_code == 413
    assert sent < limit * 2
    form = await world.admin("POST", path, files={"file": ("a.csv", b"x" * (limit * 2))})
    assert form.status_code == 413
    # One row takes the list of suppressions about as long as a thousand take an import.
    if "suppressions" in path:
        return
    fits = b"email\n" + b"a@example.test\n" * ((limit - 6) // 15)
    assert (await world.admin("POST", path, content=fits, headers=CSV)).is_success
    assert (await world.admin("POST", path, content=fits + b"\n" * 15, headers=CSV)).status_code == 413


async def test_suppressions(world: Any) -> None:
    first = await world.admin("POST", "/v1/suppressions", json={"address": "Ada@Example.test"})
    again = await world.admin("POST", "/v1/suppressions", json={"address": "ada@example.test"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (await world.admin("POST", "/v1/suppressions", json={"address": "ada"})).status_code == 422
    content = "email,reason\ngrace@example.test,left\nnobody,x\nalan@example.test,\n"
    done = await world.admin.good("POST", "/v1/suppressions/import", content=content, headers=CSV)
    assert (done["added"], done["refused"], done["errors"][0]["place"]) == (2, 1, "line 3")
    found = await world.admin.all_of("/v1/suppressions", 2)
    assert [item["address"] for item in found] == ["Ada@Example.test", "grace@example.test", "alan@example.test"]
    assert [item["reason"] for item in found] == ["manual", "left", "imported"]
    one = await world.admin.all_of("/v1/suppressions?address=GRACE@example.test", 10)
    assert [item["address"] for item in one] == ["grace@example.test"]


async def test_a_suppressed_reader_is_told_apart_in_the_run(world: Any) -> None:
    await world.admin.good("POST", "/v1/suppressions", json={"address": "reader1@example.test", "reason": "asked"})
    campaign = await world.sent()
    status = await world.admin.good("GET", f"/v1/campaigns/{campaign}")
    assert status["counts"]["by_state"] == {"held": 2, "suppressed": 1}
    assert status["rates"]["settled"] == pytest.approx(1 / 3, abs=1e-6)
    (message,) = await world.admin.all_of(f"/v1/messages?campaign={campaign}&state=suppressed", 10)
    assert (message["address"], message["reply_text"]) == ("reader1@example.test", "asked")
    whole = await world.admin.good("GET", f"/v1/messages/{message['id']}")
    assert [(event["kind"], event["data"]) for event in whole["events"]] == [("suppressed", {"reason": "asked"})]


async def test_a_template_that_does_not_compile_is_refused_with_its_place(world: Any) -> None:
    wanted = {"name": "a", "subject": "b", "body": "<mjml><mj-body>\n{{ contact.x | shout }}\n</mj-body></mjml>"}
    answer = await world.admin("POST", "/v1/templates", json=wanted)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "template_syntax", "body")
    assert error["place"].startswith("line 2")
    assert await world.admin.all_of("/v1/templates", 10) == []


async def test_templates_have_versions(world: Any) -> None:
    first = await world.template()
    assert await world.template() == first
    await world.template(subject="Changed")
    shown = await world.admin.good("GET", f"/v1/templates/{first}")
    assert (shown["version"], shown["subject"]) == (2, "Changed")
    (summary,) = await world.admin.all_of("/v1/templates", 10)
    assert "body" not in summary


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("subject", "Hello\r\nBcc: all@example.test", "column 6"),
        ("from_name", "Acme\nX-Evil: 1", "column 5"),
        ("from_name", "\tAcme", "column 1"),
        ("reply_to", "a@acme.test\r\nBcc: b@c.test", None),
        ("from_address", "letter@news.acme.test\nBcc: b@c.test", None),
    ],
)
async def test_a_line_break_in_a_header_is_refused_with_its_place(
    world: Any, field: str, value: str, place: str | None
) -> None:
    answer = await world.admin("POST", "/v1/campaigns", json=await world.draft(**{field: value}))
    assert answer.status_code == 422
    error = next(item for item in answer.json()["errors"] if item["field"] == field)
    assert error["next_step"]
    assert place is None or error["place"] == place
    assert await world.admin.all_of("/v1/campaigns", 10) == []


async def test_ids_in_a_body_that_are_none(world: Any) -> None:
    draft = await world.draft()
    answer = await world.admin("POST", "/v1/campaigns", json=draft | {"list": draft["template"]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "list")


async def test_an_unknown_merge_field_is_refused_at_send_with_line_and_column(world: Any) -> None:
    template = await world.template(name="Bad", body_format="html", body="<p>Hi</p>\n<p>{{ contact.frist_name }}</p>")
    campaign = await world.campaign(template=template)
    answer = await world.admin("POST", f"/v1/campaigns/{campaign}/send")
    error = next(item for item in answer.json()["errors"] if item["code"] == "unknown_merge_field")
    assert (answer.status_code, error["field"], error["place"]) == (422, "body", "line 2, column 7")
    assert "contact.first_name" in error["next_step"]
    assert (await world.admin.good("GET", f"/v1/campaigns/{campaign}"))["run"] is None
    checked = await world.admin.good("POST", f"/v1/campaigns/{campaign}/preflight")
    assert checked["may_send"] is False
    assert error["code"] in {item["code"] for item in checked["blocking"]}


async def test_a_domain_that_is_not_verified_blocks_the_send(world: Any) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": "acme.test"})
    campaign = await world.campaign(from_address="letter@acme.test")
    answer = await world.admin("POST", f"/v1/campaigns/{campaign}/send")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/domain-not-verified")


async def test_the_way_of_a_campaign(world: Any) -> None:
    campaign = await world.campaign()
    one = f"/v1/campaigns/{campaign}"
    for action in ("pause", "resume", "cancel"):
        early = await world.admin("POST", f"{one}/{action}")
        assert (early.status_code, early.json()["type"]) == (409, "/problems/wrong-state")
    assert (await world.admin.good("POST", f"{one}/preflight"))["may_send"] is True
    sent = await world.admin("POST", f"{one}/send")
    assert (sent.status_code, sent.json()["run"]["state"]) == (202, "preparing")
    twice = await world.admin("POST", f"{one}/send")
    assert (twice.status_code, twice.json()["type"]) == (409, "/problems/not-a-draft")
    await world.prepare()
    assert (await world.admin.good("POST", f"{one}/pause"))["state"] == "paused"
    assert (await world.admin.good("POST", f"{one}/resume"))["state"] == "sending"
    ended = await world.admin.good("POST", f"{one}/cancel")
    assert (ended["state"], ended["counts"]["by_state"], ended["counts"]["settled"]) == (
        "cancelled",
        {"cancelled": 3},
        3,
    )
    await world.events_shown()
    kinds = [event["kind"] for event in await world.admin.all_of(f"/v1/events?run={ended['run']['id']}", 2)]
    assert kinds == ["run_started", "run_paused", "run_preparing", "run_cancelled", *["cancelled"] * 3]


async def test_messages_need_a_filter(world: Any) -> None:
    assert (await world.admin("GET", "/v1/messages?state=held")).json()["type"] == "/problems/filter-needed"
    assert (await world.admin("GET", "/v1/messages?address=nobody")).status_code == 422
    assert (await world.admin("GET", "/v1/messages?address=a@b.test&state=lost")).status_code == 422
    draft = await world.campaign()
    assert await world.admin.all_of(f"/v1/messages?campaign={draft}", 10) == []


async def test_events_are_filtered_and_come_late_enough(world: Any) -> None:
    await world.admin.good("POST", "/v1/suppressions", json={"address": "reader0@example.test"})
    campaign = await world.sent()
    everything = await world.admin.all_of("/v1/events", 3)
    assert {"domain_state_changed", "run_started", "suppressed"} == {event["kind"] for event in everything}
    (one,) = await world.admin.all_of("/v1/events?kind=suppressed", 10)
    assert one["address"] == "reader0@example.test"
    assert await world.admin.all_of(f"/v1/events?message={one['message']}", 10) == [one]
    page = await world.admin.good("GET", "/v1/events", params={"limit": 500})
    cursor = {"cursor": page["next_cursor"]}
    await world.admin.good("POST", f"/v1/campaigns/{campaign}/pause")
    assert (await world.admin.good("GET", "/v1/events", params=cursor)) == {
        "data": [],
        "has_more": False,
        "next_cursor": page["next_cursor"],
    }
    await world.events_shown()
    later = await world.admin.good("GET", "/v1/events", params=cursor)
    assert [event["kind"] for event in later["data"]] == ["run_paused"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
async def test_pages_are_complete_and_repeat_nothing(world: Any, limit: int) -> None:
    campaign = await world.sent(7)
    run = (await world.admin.good("GET", f"/v1/campaigns/{campaign}"))["run"]["id"]
    for number in range(6):
        await world.admin.good("POST", "/v1/suppressions", json={"address": f"reader{number}@example.test"})
        await world.template(name=f"t{number}")
        await world.imported(1, f"l{number}")
    await world.events_shown()
    lists = {
        f"/v1/messages?campaign={campaign}": 7,
        f"/v1/messages?run={run}": 7,
        "/v1/suppressions": 6,
        "/v1/events?kind=suppressed": 6,
        "/v1/templates": 7,
        "/v1/lists": 7,
    }
    for path, size in lists.items():
        ids = [item["id"] for item in await world.admin.all_of(path, limit)]
        assert (len(ids), len(set(ids))) == (size, size), path


async def test_cursors_of_another_list_are_refused(world: Any) -> None:
    for cursor in (write_cursor("domains", 1), "", "%%%", "x" * 200, write_cursor("templates", 1) + "="):
        answer = await world.admin("GET", "/v1/templates", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor"), cursor


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        (position,) = read_cursor("messages", text)
    except RefusedError:
        return
    assert write_cursor("messages", position) == text


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_cursor_gives_back_its_position(first: int, second: int) -> None:
    assert read_cursor("events", write_cursor("events", first, second), 2) == (first, second)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1970))
def test_moments_are_rfc_3339_with_microseconds(at: Any) -> None:
    text = moment(from_datetime(at))
    assert len(text) == len("2026-01-02T03:04:05.000006Z")
    assert type(at).fromisoformat(text) == at
    assert timedelta(0) == at - type(at).fromisoformat(text)


async def test_a_key_overrules_a_finding_with_a_reason(world: Any) -> None:
    body = '<mjml><mj-body><mj-section><mj-column><mj-text colour="red">Hi</mj-text>'
    body += '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>'
    body += "</mj-column></mj-section></mj-body></mjml>"
    template = await world.template(name="Strange", body=body)
    one = f"/v1/campaigns/{await world.campaign(template=template)}"
    found = await world.admin.good("POST", f"{one}/preflight")
    assert (found["may_send"], found["overridable"]) == (False, ["mjml-unknown-attribute"])
    wanted = {"codes": ["mjml-unknown-attribute"], "note": "It does no harm."}
    without = await world.admin("POST", f"{one}/overrides", json=wanted | {"note": " "})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "note")
    found = await world.admin.good("POST", f"{one}/overrides", json=wanted)
    assert found["may_send"] is True
    (kept,) = found["overruled"]
    assert kept["override"]["note"] == "It does no harm."
    assert kept["override"]["who"].startswith("API key ")
    assert (await world.admin.good("DELETE", f"{one}/overrides/mjml-unknown-attribute"))["may_send"] is False
    (kept,) = (await world.admin.good("GET", f"{one}/overrides"))["items"]
    assert kept["withdrawn_by"].startswith("API key ")
    assert (await world.admin("DELETE", f"{one}/overrides/mjml-unknown-attribute")).status_code == 404
    assert (await world.admin.good("POST", f"{one}/overrides", json=wanted))["may_send"] is True
    assert (await world.admin("POST", f"{one}/send")).status_code == 202
