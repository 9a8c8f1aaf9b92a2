"""A run that cannot be sent from this machine waits with its cause, and the worker serves the others."""

from typing import Any

import pytest

from postwright.services.signing_keys import StoredKeys


@pytest.fixture
async def campaign(world: Any) -> Any:
    await world.verified()
    return await world.sending("a@example.test,A,en\nb@example.test,B,en\n")


async def test_a_return_path_key_that_is_missing_defers_the_run(world: Any, campaign: Any) -> None:
    await world.change("UPDATE run SET feedback_key_id = 99")
    assert await world.leased() == []
    assert await world.states(campaign) == {"deferred": 2}
    ((reply,),) = set(world.rows("SELECT DISTINCT reply_text FROM delivery"))
    assert "return-path key 99" in reply
    assert await world.leased() == []  # it waits, and is not asked for again at once


async def test_a_private_key_that_does_not_open_defers_the_run(
    world: Any, campaign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredKeys, "signing_keys", lambda *_: pytest.fail("nothing may be signed"))
    await world.change("UPDATE dkim_key SET private_key_sealed = :sealed", sealed=b"x" * 60)
    assert await world.leased() == []
    assert await world.states(campaign) == {"deferred": 2}
    ((reply,),) = set(world.rows("SELECT DISTINCT reply_text FROM delivery"))
    assert "does not open" in reply
