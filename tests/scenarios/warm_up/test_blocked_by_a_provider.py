"""A provider refuses us for who we are: the ramp pauses with an alarm, and goes on when a person says so."""

from typing import Any

import httpx

from postwright.services.accounts import KeyScope
from postwright.serving.http import create_app
from tests.scenarios.warm_up.conftest import SENDER
from warmup.ramp import Phase

BLOCKED = "550 5.7.1 [127.0.0.2 12] Our system has detected that this message is likely unsolicited mail, blocked."
NOTE = {"note": "the bought list is gone"}


async def test_a_block_pauses_and_a_person_resumes(stage: Any) -> None:
    google = stage.receivers.tempers["google"]
    google.blocks_with = BLOCKED
    await stage.warm_up((40, 80, 160, 320))
    list_id = await stage.people("Gardeners", 60)
    campaign = await stage.campaign(list_id)
    await stage.next_day()
    assert (await stage.ramp()).state.phase == Phase.PAUSED
    (paused,) = await stage.events("warmup_paused")
    assert paused["evidence"][0]["measure"] == "blocks"
    (alarm,) = await stage.events("warmup_alarm")
    assert alarm["subject"] == SENDER
    assert await stage.states(campaign) == {"failed": 40, "held": 20}
    (reason,) = await stage.waits()
    assert reason.startswith("The warm-up is paused, google budget of news.acme.test: blocks 40 of 40, 100.00 %")
    assert reason.endswith("it goes on when somebody resumes it")

    google.blocks_with = ""
    await stage.next_day()
    assert (stage.received(), (await stage.states(campaign))["held"]) == ([], 20)  # nothing goes by itself
    async with await person(stage) as http:
        refused = await http.post(f"/v1/warmup/{SENDER}/resume", json={"provider": "google", "note": " "})
        assert refused.is_client_error
        answer = await http.post(f"/v1/warmup/{SENDER}/resume", json={"provider": "google", **NOTE})
        assert answer.json()["ramps"][0]["phase"] == "recovering", answer.text
    await stage.settle()
    assert len(stage.received()) == 20
    (overridden,) = [one for one in await stage.events("warmup_overridden") if one["note"] == NOTE["note"]]
    (entry,) = await stage.application.audit_log.newest(stage.workspace)
    assert overridden["by"].startswith("API key ")
    assert (entry.way, entry.action, entry.status) == ("api", "POST /v1/warmup/{subject}/resume", 200)


async def person(stage: Any) -> httpx.AsyncClient:
    """An admin who calls the API as it is served."""
    scopes = frozenset({KeyScope.ADMIN})
    _, key = await stage.application.accounts.create_key(stage.workspace, "boss", scopes, None)
    transport = httpx.ASGITransport(app=create_app(stage.application))
    return httpx.AsyncClient(
        transport=transport, base_url="http://postwright.test", headers={"Authorization": f"Bearer {key}"}
    )
