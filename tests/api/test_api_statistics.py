"""Statistics over HTTP: what a campaign came to, told apart in every way, as JSON and CSV; a list of who clicked."""

import csv
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from mailtypes.clock import SECOND, Microseconds
from postwright.services.statistic_terms import DEFINITIONS, measures_of
from postwright.services.statistics import By, StatisticRow, Statistics, statistics_csv
from postwright.store import events
from postwright.store.events import NewEvent
from postwright.store.statistics import CountRow

DELIVERED, OPENS, CLICKS = 10, ("human", "human", "probable", "machine"), ("human", "probable", "human")


async def counted(world: Any) -> dict[str, str]:
    """A run of one campaign with ten recipients, four openers, three clickers, one complaint and a bounce."""
    database, now = world.services.database, world.clock.now()

    def store(connection: Connection) -> None:
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        names = "signing_domain, return_path_host, tracking_host, feedback_key_id, from_address, from_name"
        connection.execute(
            text(
                f"INSERT INTO run (id, workspace_id, kind, number, state, stream_id, domain_id, {names},"
                " last_contact_id, recipients, duplicates, expires_at, created_at, is_test, tags, plan)"
                " SELECT 1, 1, 'bulk', 0, 'sending', min(stream.id), (SELECT min(id) FROM sender_domain),"
                " 'x', 'x', 'x', 0, 'x', 'x', 0, 0, 0, :now, :now, 0, '[]', '{}' FROM stream WHERE workspace_id = 1"
            ),
            {"now": now},
        )
        made = [NewEvent(1, "delivered", now, 1, 100 + who) for who in range(DELIVERED)]
        made += [NewEvent(1, "opened", now, 1, 100 + at, data={"verdict": one}) for at, one in enumerate(OPENS)]
        made += [
            NewEvent(1, "clicked", now, 1, 100 + at, data={"link": at % 2, "verdict": one})
            for at, one in enumerate(CLICKS)
        ]
        made.append(NewEvent(1, "complained", now, 1, 109))
        made.append(NewEvent(1, "bounced", now, 1, 108, data={"kind": "hard_bounce", "reason": "user_unknown"}))
        made += [NewEvent(1, "failed", now, 1, 120, data={"kind": "none", "reason": "blocked"})]
        events.append(connection, made, now)
        events.roll_up(connection, 1, Microseconds(now + 10 * SECOND))

    await world.admin.good("POST", "/v1/domains", json={"name": "news.acme.test"})
    await database.write(store)
    while await Statistics(database, world.clock).step():
        continue
    answer = await world.admin.good("GET", "/v1/statistics", params={"by": "run"})
    return {"run": answer["rows"][0]["part"]}


async def test_what_a_run_came_to(world: Any) -> None:
    where = await counted(world)
    answer = await world.admin.good("GET", "/v1/statistics", params=where)
    assert (answer["by"], answer["runs"], answer["is_cut"]) == ("total", 1, False)
    (row,) = answer["rows"]
    assert row["counts"]["delivered"] == DELIVERED
    assert (row["counts"]["hard_bounced"], row["counts"]["soft_bounced"]) == (1, 0)
    assert row["openers"] == {"human": 2, "probable": 1, "machine": 1}
    assert row["reasons"] == {"blocked": 1, "user_unknown": 1}
    assert row["rates"] == {
        "delivery_rate": pytest.approx(9 / 11),
        "bounce_rate": pytest.approx(2 / 11),
        "hard_bounce_rate": pytest.approx(1 / 11),
        "complaint_rate": 0.1,
        "unsubscribe_rate": 0.0,
    }
    assert row["ranges"]["open_rate"] == {"at_least": 0.2, "at_most": 0.3}
    assert row["ranges"]["click_rate"] == {"at_least": 0.2, "at_most": 0.3}
    assert row["ranges"]["click_to_open_rate"] == {"at_least": pytest.approx(2 / 3), "at_most": 1.0}
    said = {
        "by segment",
        "by sender",
        *row["counts"],
        *row["rates"],
        *row["ranges"],
        "opens",
        "clicks",
        "openers",
        "clickers",
        "settled",
    }
    assert said == set(answer["definitions"]) == set(DEFINITIONS)


@pytest.mark.parametrize("by", [one for one in By if one is not By.SEGMENT])  # has only contacts: test_campaign_history
async def test_every_way_of_telling_apart_adds_up_and_is_csv_too(world: Any, by: str) -> None:
    where = await counted(world)
    options = {"params": {**where, "by": str(by)}}
    answer = await world.admin.good("GET", "/v1/statistics", **options)
    delivered = sum(row["counts"]["delivered"] for row in answer["rows"])
    clicks = sum(sum(row["clicks"].values()) for row in answer["rows"])
    assert (delivered, clicks) == (0 if by == "link" else DELIVERED, 3)
    told = await world.admin("GET", "/v1/statistics", headers={"Accept": "text/csv"}, **options)
    assert told.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(told.text.splitlines()))
    assert sum(int(row["delivered"]) for row in rows) == delivered
    assert len(rows) == len(answer["rows"])
    if by == "link":
        assert [row["part"].rpartition("#")[2] for row in answer["rows"]] == ["0", "1"]


async def test_what_is_not_there_and_what_is_nobody_elses(world: Any, keys: dict[str, str]) -> None:
    where = await counted(world)
    other = world.client("other")
    assert (await other("GET", "/v1/statistics", params=where)).status_code == 404
    body = {"json": {"list": "x"}}
    assert (await other("POST", f"/v1/statistics/runs/{where['run']}/clicked", **body)).status_code == 404
    assert (await other.good("GET", "/v1/statistics"))["rows"][0]["counts"]["delivered"] == 0
    reader = world.client("read")
    assert (await reader("POST", f"/v1/statistics/runs/{where['run']}/clicked", **body)).status_code == 403
    for params in ({"campaign": "cmp_1"}, {"by": "week"}, {"since": "soon"}, {"nothing": "1"}):
        assert (await world.admin("GET", "/v1/statistics", params=params)).status_code == 422
    later = {"since": "2030-01-01T00:00:00Z"}
    assert (await world.admin.good("GET", "/v1/statistics", params=later))["runs"] == 0


async def test_who_clicked_is_put_on_a_list(world: Any) -> None:
    where = await counted(world)
    await world.imported(3)
    add = text(
        "INSERT INTO delivery (run_id, id, workspace_id, message_id, contact_id, address, address_key, domain, variant,"
        " merge_data, state, waits_for, epoch, attempts, deferrals, ambiguities, queued_at, expires_at,"
        " next_attempt_at, reply_text, priority) SELECT 1, 99 + id, 1, 0, id, address, address_key, domain, 0, '{}',"
        " 'delivered', '', 0, 0, 0, 0, 0, 0, 0, '', 0 FROM contact"
    )
    await world.services.database.write(lambda connection: connection.execute(add).rowcount)
    path = f"/v1/statistics/runs/{where['run']}/clicked"
    first = await world.admin.good("POST", path, json={"list": "Clickers"})
    assert (first["name"], first["added"]) == ("Clickers", 2)
    again = await world.admin.good("POST", path, json={"list": "Clickers", "with_probable": True})
    assert (again["list"], again["added"]) == (first["list"], 1)
    one = await world.admin.good("POST", path, json={"list": "Second link", "link": 1, "with_probable": True})
    assert one["added"] == 1
    assert (await world.admin.good("GET", f"/v1/lists/{first['list']}"))["contacts"] == 3


def test_a_rate_without_a_divisor_is_none_and_none_is_above_one() -> None:
    nothing = measures_of(())
    assert set(nothing.rates.values()) == {None}
    assert {(one.at_least, one.at_most) for one in nothing.ranges.values()} == {(None, None)}
    row = partial(CountRow, 0, "", 0)
    late = measures_of([row("delivered", "", 1, 1), row("complained", "", 5, 5), row("opened", "human", 9, 9)])
    assert late.rates["complaint_rate"] == 1.0
    assert late.ranges["open_rate"].at_most == 1.0


def test_a_cell_is_no_formula() -> None:
    (_, line) = statistics_csv([StatisticRow("=cmd()", "+1", measures_of(()))]).splitlines()
    assert line.startswith("'=cmd(),'+1,")
