"""Hygiene and suppression over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Connection

from mailtypes.clock import DAY
from postwright.store.records import table


async def _quiet(world: Any, number: int) -> None:
    """Contacts who have read nothing for years."""
    await world.imported(number)
    now = world.clock.now()

    def write(connection: Connection) -> None:
        contact, activity = table("contact"), table("contact_activity")
        connection.execute(contact.update().values(created_at=now - 900 * DAY))
        for row in connection.execute(contact.select()).all():
            if row.address != "reader0@example.test":
                connection.execute(
                    activity.insert().values(
                        contact_id=row.id, workspace_id=row.workspace_id, received=20, last_received_at=now - DAY,
                        opened=0, clicked=0, acted=0, received_since_opened=20, received_since_clicked=20,
                        opened_in_a_row=0, soft_bounces=0,
                    )
                )  # fmt: skip

    await world.services.database.write(write)


async def test_the_life_of_a_plan(world: Any) -> None:
    await _quiet(world, 5)
    (found,) = await world.admin.all_of("/v1/lists", 10)
    plan = await world.admin.good("POST", "/v1/hygiene/plans", json={"list": found["id"], "ask_first": False})
    path = f"/v1/hygiene/plans/{plan['id']}"
    assert (plan["state"], plan["list"], plan["moves"]) == ("ready", found["id"], {"archive": 4})
    assert (plan["before"]["contacts"], plan["after"]["contacts"]) == (5, 1)
    assert "make sure that opens and clicks were recorded" in plan["doubt"]
    steps = await world.admin.all_of(f"{path}/steps", 3)
    assert [one["address"] for one in steps] == [f"reader{n}@example.test" for n in range(1, 5)]
    assert {one["state"] for one in steps} == {"planned"}
    assert "no click in 180 days" in steps[0]["why"]
    for _ in range(2):
        assert (await world.admin.good("POST", f"{path}/apply"))["steps"] == {"done": 4}
    assert (await world.admin.good("POST", "/v1/segments/count", json={"tree": {"all": []}}))["contacts"] == 1
    assert (await world.admin("DELETE", path)).status_code == 409
    undone = await world.admin.good("POST", f"{path}/undo")
    assert (undone["state"], undone["steps"]) == ("undone", {"undone": 4})
    assert (await world.admin("POST", f"{path}/apply")).status_code == 409
    assert (await world.admin.good("POST", "/v1/segments/count", json={"tree": {"all": []}}))["contacts"] == 5
    assert [one["id"] for one in await world.admin.all_of("/v1/hygiene/plans", 1)] == [plan["id"]]
    assert (await world.admin("DELETE", path)).status_code == 204
    assert (await world.admin("GET", path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"preset": "sometimes"}, "preset"),
        ({"list": "lst_nothing"}, "list"),
        ({"mails": 4}, "mails"),
        ({"tree": {"list": "nowhere"}}, None),
        ({"removal": "tag"}, "removal"),
    ],
)
async def test_what_is_wrong_with_a_plan(world: Any, body: Any, field: str | None) -> None:
    answer = await world.admin("POST", "/v1/hygiene/plans", json=body)
    assert answer.status_code == 422
    assert field is None or field in str(answer.json()["errors"][0])
    assert await world.admin.all_of("/v1/hygiene/plans", 10) == []


async def test_settings(world: Any) -> None:
    usual = await world.admin.good("GET", "/v1/hygiene/settings")
    assert (usual["soft_bounces"], usual["is_scheduled"], usual["next_at"]) == ("seven_in_a_row", False, None)
    wanted = {"is_scheduled": True, "plan": {"preset": "weekly", "removal": "suppress"}, "time_zone": "Asia/Jerusalem"}
    changed = await world.admin.good("PATCH", "/v1/hygiene/settings", json=wanted)
    assert (changed["next_chore"], changed["plan"]["removal"]) == ("look", "suppress")
    assert await world.admin.good("GET", "/v1/hygiene/settings") == changed
    for wrong in ({"soft_bounces": "often"}, {"time_zone": "Mars/Base"}, {"look_every": 4, "prune_every": 2}):
        assert (await world.admin("PATCH", "/v1/hygiene/settings", json=wrong)).status_code == 422
    assert await world.admin.good("GET", "/v1/hygiene/settings") == changed


async def test_health_of_a_list(world: Any) -> None:
    await world.imported(1)
    (found,) = await world.admin.all_of("/v1/lists", 10)
    health = await world.admin.good("GET", f"/v1/lists/{found['id']}/health")
    assert (health["name"], health["health"], health["bounces"]["count"]) == ("Gardeners", "unknown", 0)


async def test_suppressions_by_scope_with_note_search_and_end(world: Any) -> None:
    await world.imported(1)
    (found,) = await world.admin.all_of("/v1/lists", 10)
    on_list = {"address": "Ada@example.test", "scope": "list", "list": found["id"], "note": "by phone"}
    made = await world.admin.good("POST", "/v1/suppressions", json=on_list)
    assert (made["scope"], made["list"], made["note"]) == ("list", found["id"], "by phone")
    ends = {"address": "grace@example.test", "scope": "stream", "expires_at": "2040-01-01T00:00:00Z"}
    assert (await world.admin.good("POST", "/v1/suppressions", json=ends))["expires_at"].startswith("2040-01-01")
    past = await world.admin("POST", "/v1/suppressions", json=ends | {"expires_at": "2001-01-01T00:00:00Z"})
    assert past.status_code == 422
    assert [one["address"] for one in await world.admin.all_of("/v1/suppressions?search=ADA", 1)] == [
        "Ada@example.test"
    ]
    assert [one["scope"] for one in await world.admin.all_of("/v1/suppressions?scope=stream", 1)] == ["stream"]
    assert (await world.admin("DELETE", f"/v1/suppressions/{made['id']}?note=a+mistake")).status_code == 204
    (event,) = [
        one
        for one in (await world.events_shown() or await world.admin.all_of("/v1/events", 100))
        if one["kind"] == "suppression_lifted"
    ]
    assert (event["data"]["note"], event["data"]["reason"]) == ("a mistake", "manual")


async def test_files_of_providers_in_and_out(world: Any) -> None:
    content = (
        "EmailAddress,SuppressionReason,Origin,CreatedAt\na@example.test,HardBounce,Recipient,2024-01-01T00:00:00Z\n"
    )
    content += "b@example.test,SpamComplaint,Recipient,2024-01-01T00:00:00Z\nnobody,HardBounce,,\n"
    headers = {"Content-Type": "text/csv"}
    came = await world.admin.good("POST", "/v1/suppressions/import", content=content, headers=headers)
    assert (came["form"], came["rows"], came["added"], came["refused"]) == ("postmark", 3, 2, 1)
    stored = {one["address"]: (one["reason"], one["scope"]) for one in await world.admin.all_of("/v1/suppressions", 9)}
    assert stored == {"a@example.test": ("hard_bounce", "all"), "b@example.test": ("complaint", "stream")}
    answer = await world.admin("GET", "/v1/suppressions/export?form=ses")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == "a@example.test,BOUNCE\r\nb@example.test,COMPLAINT\r\n"
