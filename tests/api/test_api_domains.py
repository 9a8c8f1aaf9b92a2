"""Checks, reports, sources, and what is published for a domain, over HTTP."""

import gzip
from typing import Any

import pytest

from dns_checks.testing import Zone
from postwright.api.examples import EXAMPLES

REPORT = str(EXAMPLES["create_report"].body)
NAME = "news.acme.test"
XML = {"Content-Type": "application/xml"}


async def handed_in(world: Any, octets: bytes | str, status: int = 201, **options: Any) -> dict[str, Any]:
    answer = await world.admin("POST", "/v1/reports", content=octets, **options)
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/reports/{shown['id']}"
    return shown


async def test_a_check_needs_no_more_than_a_key_that_may_read(world: Any, keys: dict[str, str]) -> None:
    world.resolver.zone = Zone.parse('stranger.test. TXT "v=spf1 ip4:20.1.2.3 ip4:1.2.3.400 -all"\n')
    wanted = {"name": "Stranger.test", "ips": ["20.1.2.3"]}
    found = await world.client("read").good("POST", "/v1/checks/domain", json=wanted)
    assert (found["domain"], found["verdict"], found["starttls"]) == ("stranger.test", "not_verified", None)
    marks = [one["mark"] for one in found["findings"] if one["mark"]]
    assert "1.2.3.400" in {mark["text"][mark["start"] : mark["end"]] for mark in marks}
    assert {one["provider"] for one in found["requirements"]} >= {"gmail", "yahoo"}
    world.resolver.zone = Zone()
    cached = await world.client("read").good("POST", "/v1/checks/domain", json=wanted | {"fresh": False})
    assert cached == found
    assert (await world.client("read").good("POST", "/v1/checks/domain", json=wanted)) != found


async def test_a_check_names_what_is_wrong_with_it(world: Any) -> None:
    wanted = {"name": "a..b", "selectors": ["-"], "ips": ["x"]}
    answer = await world.admin("POST", "/v1/checks/domain", json=wanted)
    assert answer.status_code == 422
    found = [(one["code"], one["field"]) for one in answer.json()["errors"]]
    assert found == [("domain_syntax", "name"), ("domain_syntax", "selectors.0"), ("address_syntax", "ips.0")]
    answer = await world.admin("POST", "/v1/checks/domain", json={"name": "a.test", "zone": "a.test. A x"})
    (problem,) = answer.json()["errors"]
    assert (problem["code"], problem["place"]) == ("zone_syntax", "line 1, column 1")
    assert problem["next_step"]
    for wrong in ({"starttls": True}, {"ips": ["1.2.3.4"] * 21}, {"zone": "x" * 300_000}, {"extra": 1}):
        answer = await world.admin("POST", "/v1/checks/domain", json={"name": "a.test", **wrong})
        assert answer.status_code == 422, wrong


async def test_a_report_is_taken_once(world: Any) -> None:
    first = await handed_in(world, REPORT, headers=XML)
    again = await handed_in(world, gzip.compress(REPORT.encode()), 200)
    assert again == first
    assert (first["kind"], first["domain"], first["fault"]) == ("aggregate", "acme.test", None)
    shown = await world.admin.good("GET", f"/v1/reports/{first['id']}")
    assert shown["content"]["policy"]["p"] == "none"
    assert [(one["source_ip"], one["messages"], one["is_ours"]) for one in shown["sources"]] == [
        ("192.0.2.7", 120, True)
    ]


@pytest.mark.parametrize(
    ("octets", "place"), [(b"<feedback>\n <report_meta", "line 2, column 2"), (b"\x1f\x8b\x08junk", None), (b"x", None)]
)
async def test_a_report_that_cannot_be_read_is_kept_with_its_fault(world: Any, octets: bytes, place: str) -> None:
    shown = await handed_in(world, octets)
    assert shown["kind"] == "unread"
    assert shown["fault"]["detail"]
    assert shown["fault"]["next_step"]
    if place is not None:
        assert shown["fault"]["place"].startswith("line 2")
    assert await handed_in(world, octets, 200) == shown
    assert (await world.admin.good("GET", f"/v1/reports/{shown['id']}"))["content"] == {}
    assert [one["id"] for one in await world.admin.all_of("/v1/reports?kind=unread", 10)] == [shown["id"]]
    assert await world.admin.all_of("/v1/reports?kind=tls", 10) == []


async def test_reports_come_in_pages_and_go_by_domain(world: Any) -> None:
    for number in range(5):
        text = REPORT.replace("2026-02-28.1", f"r-{number}")
        await handed_in(world, text.replace("acme.test", "other.test") if number == 3 else text)
    found = await world.admin.all_of("/v1/reports?domain=Acme.test", 2)
    assert [one["report_id"] for one in found] == ["r-0", "r-1", "r-2", "r-4"]
    assert (await world.admin("GET", "/v1/reports?domain=a..b")).status_code == 422
    assert (await world.admin("GET", "/v1/reports?kind=spam")).status_code == 422


async def test_reports_are_bounded_and_never_empty(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await world.admin("POST", "/v1/reports", content=b"")).json()["errors"][0]["code"] == "no_report"
    monkeypatch.setattr("postwright.api.reports.MAX_OCTETS", 1_000)
    assert (await world.admin("POST", "/v1/reports", content=b"x" * 1_001)).status_code == 413
    assert await world.admin.all_of("/v1/reports", 10) == []


async def test_sources_of_a_time(world: Any) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": NAME})
    await handed_in(world, REPORT)
    found = await world.admin.good("GET", f"/v1/domains/{NAME}/sources")
    assert (found["messages"], found["passing"], found["sources"]) == (120, 120, 1)
    assert found["data"][0]["sentence"] == "SPF or DKIM passes for the author domain."
    early = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00+02:00"}
    nothing = await world.admin.good("GET", f"/v1/domains/{NAME}/sources", params=early)
    assert (nothing["messages"], nothing["until"]) == (0, "2026-01-31T22:00:00.000000Z")
    for wrong in ({"since": "2026-05-01T00:00:00Z"}, {"since": "2026-01-01T00:00:00"}, {"until": "soon"}):
        assert (await world.admin("GET", f"/v1/domains/{NAME}/sources", params=wrong)).status_code == 422, wrong
    assert (await world.admin("GET", "/v1/domains/other.test/sources")).status_code == 404


async def test_reports_stay_in_their_workspace(world: Any, keys: dict[str, str]) -> None:
    shown = await handed_in(world, REPORT)
    await world.admin.good("POST", "/v1/domains", json={"name": NAME})
    other = world.client("other")
    assert (await other("GET", f"/v1/reports/{shown['id']}")).status_code == 404
    assert (await other("GET", f"/v1/domains/{NAME}/sources")).status_code == 404
    assert (await other("PATCH", f"/v1/domains/{NAME}", json={"dmarc_policy": "reject"})).status_code == 404
    assert await other.all_of("/v1/reports", 10) == []
    assert (await other("POST", "/v1/reports", content=REPORT)).status_code == 201  # theirs, though it says the same


async def test_who_may_do_what(world: Any, keys: dict[str, str]) -> None:
    assert (await world.client("read")("POST", "/v1/reports", content=REPORT)).status_code == 403
    assert (await world.client("send")("POST", "/v1/reports", content=REPORT)).status_code == 201
    for name in ("read", "send"):
        answer = await world.client(name)("PATCH", f"/v1/domains/{NAME}", json={"dmarc_policy": "none"})
        assert answer.status_code == 403, name
        assert (await world.client(name)("GET", "/v1/reports")).status_code == 200


async def test_what_is_published_is_changed_field_by_field(world: Any) -> None:
    await world.admin.good("POST", "/v1/domains", json={"name": NAME})
    path = f"/v1/domains/{NAME}"
    await world.admin.good("PATCH", path, json={"mta_sts_mode": "enforce", "mta_sts_hosts": ["mx.acme.test"]})
    shown = await world.admin.good("PATCH", path, json={"logo_url": "https://acme.test/l.svg", "dmarc_policy": "none"})
    wanted = shown["publication"]
    assert (wanted["mta_sts_mode"], wanted["mta_sts_hosts"], wanted["dmarc_policy"]) == (
        "enforce",
        ["mx.acme.test"],
        "none",
    )
    policy = wanted["mta_sts_policy"]
    assert policy["url"] == f"https://mta-sts.{NAME}/.well-known/mta-sts.txt"
    assert policy["file"] == "version: STSv1\r\nmode: enforce\r\nmx: mx.acme.test\r\nmax_age: 604800\r\n"
    records = {record["name"]: record["value"] for record in shown["records"]}
    assert records[f"_mta-sts.{NAME}"] == f"v=STSv1; id={policy['id']}"
    assert records[f"default._bimi.{NAME}"] == "v=BIMI1; l=https://acme.test/l.svg; a=;"
    assert [step["policy"] for step in wanted["dmarc_plan"]] == ["none", "quarantine", "reject"]
    taken_back = await world.admin.good("PATCH", path, json={"mta_sts_mode": None, "mta_sts_hosts": None})
    assert taken_back["publication"]["mta_sts_policy"] is None
    assert taken_back["publication"]["logo_url"]
    assert await world.admin.good("GET", path) == taken_back
    answer = await world.admin("PATCH", path, json={"certificate_url": "http://x", "report_address": "x"})
    assert {one["field"] for one in answer.json()["errors"]} == {"report_address"}
    for wrong in ({"dmarc_policy": "strict"}, {"under_platform": None}, {"name": "x.test"}):
        assert (await world.admin("PATCH", path, json=wrong)).status_code == 422, wrong
