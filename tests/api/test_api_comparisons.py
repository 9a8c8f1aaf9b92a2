"""Over HTTP: a campaign against one's own last ones, best hours, several senders, the expected end, segments."""

from types import SimpleNamespace
from typing import Any

from mailtypes.clock import DAY
from postwright.api.campaigns import CAMPAIGN
from postwright.api.representations import outward
from tests.services.test_campaign_history import Past, add_past, ten


async def test_a_campaign_is_compared_and_too_few_say_so(world: Any) -> None:
    started = await world.sent()
    few = await world.admin.good("GET", f"/v1/campaigns/{started}/comparison")
    assert {one["place"] for one in few["measures"]} == {"unknown"}
    assert few["earlier"] == []
    database, workspace = world.services.database, 1
    (first, *_) = await world.services.campaigns.list(workspace)
    made = SimpleNamespace(database=database, clock=world.clock)
    *_, newest = await add_past(made, first, [*ten(), Past(19 * DAY, 120)])
    campaign = await world.services.campaigns.get(workspace, newest)
    address = outward(CAMPAIGN, campaign.created_at, campaign.id)
    found = await world.admin.good("GET", f"/v1/campaigns/{address}/comparison")
    (click,) = [one for one in found["measures"] if one["measure"] == "click"]
    assert (click["place"], click["found"]["higher_than"], len(click["earlier"])) == ("above", 10, 10)
    assert (found["age_hours"], len(found["earlier"])) == (None, 10)
    assert [one["provider"] for one in found["by_provider"]] == ["gmail"]
    segment = await world.admin.good("POST", "/v1/segments", json={"name": "All", "tree": {"all": []}})
    of_segment = await world.admin.good("GET", f"/v1/campaigns/{address}/comparison", params={"segment": segment["id"]})
    assert of_segment["segment"]["name"] == "All"
    counted = await world.admin.good("GET", "/v1/statistics", params={"by": "segment", "segment": segment["id"]})
    assert [row["label"] for row in counted["rows"]] == ["All"]
    assert (await world.admin("GET", "/v1/statistics", params={"segment": segment["id"]})).status_code == 422
    hours = await world.admin.good("GET", "/v1/statistics/best-hours", params={"zone": "Asia/Jerusalem"})
    assert (hours["verdict"], hours["best"]) == ("too_few", [])
    assert (await world.admin("GET", "/v1/statistics/best-hours", params={"zone": "Mars"})).status_code == 422


async def test_a_campaign_under_way_tells_its_end_and_a_draft_its_senders(world: Any) -> None:
    started = await world.sent()
    shown = await world.admin.good("GET", f"/v1/campaigns/{started}")
    assert shown["expected_end"]["hangs_on"] == "not_known"
    assert shown["expected_end"]["at"] is None
    others = [{"address": "dana@news.acme.test", "name": "Dana", "share": 2.0}]
    draft = await world.draft(name="From two", other_senders=others)
    made = await world.admin.good("POST", "/v1/campaigns", json=draft)
    assert made["other_senders"] == [{**others[0], "reply_to": None}]
    assert made["expected_end"] is None
    wrong = [{"address": "dana@elsewhere.test"}]
    answer = await world.admin("POST", "/v1/campaigns", json=await world.draft(name="Two", other_senders=wrong))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "other_senders"
