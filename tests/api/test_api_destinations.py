"""Destinations over HTTP: seen by readers, changed by admins alone."""

from typing import Any

import pytest

from mailtypes.clock import HOUR, SECOND
from mta.shaping.adaptation import Finding, Terms, react
from mta.shaping.pace import Limits
from mta.shaping.rules import ShapingRule, Slowing
from postwright.api.destinations import DESTINATION
from postwright.api.representations import moment, outward
from postwright.store import recipients, routes, shaping
from postwright.store.campaigns import runs_in_state

ACTIONS = ("suspend", "resume", "flush", "fail")


class Chance:
    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


async def destination(world: Any, site: str = "mx.example.test", workspace: int = 0) -> tuple[int, str]:
    owner = world.workspaces[workspace]
    found: int = await world.services.database.write(
        lambda connection: routes.save_destination(connection, owner, site, "example.test", ((site,),))
    )
    return found, outward(DESTINATION, 0, found)


async def waiting(world: Any) -> tuple[str, str]:
    """A campaign whose recipients are ready at a destination; ids of both."""
    campaign = await world.sent(3)
    number, outside = await destination(world)

    def release(connection: Any) -> int:
        runs = runs_in_state(connection, "sending")
        now = world.clock.now()
        return sum(recipients.release(connection, run.id, "example.test", number, now, limit=10) for run in runs)

    assert await world.services.database.write(release) == 3
    return campaign, outside


async def slow(world: Any, number: int) -> None:
    rule = ShapingRule("too-fast", codes=(450,), slow=Slowing(0.5, 1.0))
    key = shaping.PaceKey(f"destination:{number}", world.workspaces[0], "192.0.2.7")
    now = world.clock.now()
    finding = Finding(rule, "450 4.7.1 slower, please", 8.0)
    await world.services.database.write(
        lambda connection: shaping.change_pace(
            connection, key, lambda pace: react(pace, finding, Terms(Limits(10, 100)), now, Chance()), {}, now
        )
    )


async def test_what_waits_is_listed_with_pace_reason_and_end(world: Any, keys: dict[str, str]) -> None:
    _, outside = await waiting(world)
    (item,) = (await world.client("read").good("GET", "/v1/destinations"))["data"]
    assert (item["id"], item["state"], item["ready"], item["reason"]) == (outside, "open", 3, None)
    await slow(world, 1)
    shown = await world.client("read").good("GET", f"/v1/destinations/{outside}")
    assert shown["state"] == "slowed"
    assert shown["reason"] == "too-fast: 450 4.7.1 slower, please"
    assert shown["until"] == moment(world.clock.now() + 600 * SECOND)
    assert shown["slowed"][0]["limits"] == {"connections": None, "messages_per_connection": None, "rate": 4.0}
    assert shown["domains"] == [{"domain": "example.test", "waiting": 3}]


async def test_idle_destinations_are_listed_when_asked_for_page_by_page(world: Any) -> None:
    ids = [(await destination(world, f"mx{number}.test"))[1] for number in range(5)]
    await destination(world, "mx.elsewhere.test", workspace=1)
    assert (await world.admin.good("GET", "/v1/destinations"))["data"] == []
    found = await world.admin.all_of("/v1/destinations?everything=true", 2)
    assert [item["id"] for item in found] == ids


async def test_suspend_and_resume_a_destination(world: Any) -> None:
    _, outside = await waiting(world)
    until = moment(world.clock.now() + HOUR)
    wanted = {"destination": outside, "until": until, "note": "as agreed"}
    assert await world.admin.good("POST", "/v1/destinations/suspend", json=wanted) == {"deliveries": 0}
    shown = await world.admin.good("GET", f"/v1/destinations/{outside}")
    assert (shown["state"], shown["reason"], shown["until"]) == ("suspended", "as agreed", until)
    assert shown["suspensions"][0]["by"] == "person"
    flushed = await world.admin("POST", "/v1/destinations/flush", json={"destination": outside})
    assert flushed.status_code == 409
    await world.admin.good("POST", "/v1/destinations/resume", json={"destination": outside})
    again = await world.admin("POST", "/v1/destinations/resume", json={"destination": outside})
    assert again.status_code == 409
    await world.events_shown()
    seen = (await world.admin.good("GET", "/v1/events?kind=destination_suspended"))["data"]
    assert [event["data"]["note"] for event in seen] == ["as agreed"]
    assert seen[0]["data"]["by"].startswith("API key '")


async def test_a_domain_and_a_campaign_can_be_suspended_flushed_and_failed(world: Any) -> None:
    campaign, _ = await waiting(world)
    domain = {"domain": "Example.test"}
    assert (await world.admin.good("POST", "/v1/destinations/suspend", json=domain))["deliveries"] == 3
    await world.admin.good("POST", "/v1/destinations/resume", json=domain)
    assert (await world.admin.good("POST", "/v1/destinations/flush", json={"campaign": campaign}))["deliveries"] == 0
    failed = await world.admin.good(
        "POST", "/v1/destinations/fail", json={"campaign": campaign, "note": "wrong price in it"}
    )
    assert failed == {"deliveries": 3}
    counts = (await world.admin.good("GET", f"/v1/campaigns/{campaign}"))["counts"]
    assert counts["by_state"] == {"failed": 3}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("key", ["read", "send"])
async def test_only_admins_change_the_queue(world: Any, keys: dict[str, str], action: str, key: str) -> None:
    _, outside = await destination(world)
    answer = await world.client(key)(
        "POST", f"/v1/destinations/{action}", json={"destination": outside, "note": "let me"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_target_is_one_thing_of_this_workspace(world: Any, action: str) -> None:
    _, outside = await destination(world)
    _, elsewhere = await destination(world, "mx.other.test", workspace=1)
    cases = [
        ({}, 422),
        ({"destination": outside, "domain": "example.test"}, 422),
        ({"destination": "dst_nonsense"}, 422),
        ({"domain": "not a domain"}, 422),
        ({"destination": elsewhere}, 404),
        ({"destination": outside, "surprise": 1}, 422),
    ]
    for wanted, status in cases:
        answer = await world.admin("POST", f"/v1/destinations/{action}", json=wanted | {"note": "why"})
        assert answer.status_code == status, (wanted, answer.text)


@pytest.mark.parametrize("note", [None, "", "   "])
async def test_failing_needs_a_note(world: Any, note: str | None) -> None:
    _, outside = await waiting(world)
    wanted = {"destination": outside} | ({} if note is None else {"note": note})
    answer = await world.admin("POST", "/v1/destinations/fail", json=wanted)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "note"
    assert (await world.admin.good("GET", f"/v1/destinations/{outside}"))["ready"] == 3


async def test_an_end_is_a_moment_to_come(world: Any) -> None:
    _, outside = await destination(world)
    for until in ("tomorrow", "2020-01-01T00:00:00", "2020-01-01T00:00:00Z", 7):
        answer = await world.admin("POST", "/v1/destinations/suspend", json={"destination": outside, "until": until})
        assert answer.status_code == 422, until


async def test_a_destination_of_another_workspace_is_not_there(world: Any) -> None:
    _, elsewhere = await destination(world, workspace=1)
    assert (await world.admin("GET", f"/v1/destinations/{elsewhere}")).status_code == 404
