"""What a key is for holds everywhere: bulks, campaigns and keys that others have made, not only its own messages."""

from typing import Any

import pytest

from mailtypes.address import EmailAddress
from mailtypes.domain import DomainName
from postwright.services.accounts import KeyScope, KeyTerms

NDJSON = {"Content-Type": "application/x-ndjson"}
TERMS = {
    "domain": KeyTerms(domains=frozenset({DomainName("other.test")})),
    "address": KeyTerms(addresses=frozenset({EmailAddress.parse("shop@news.acme.test")})),
    "test": KeyTerms(is_test=True),
}


@pytest.fixture(params=TERMS)
async def bounded(request: Any, world: Any) -> Any:
    """A client with all scopes whose key is for less than ``letter@news.acme.test``, live."""
    await world.verified_domain()
    made = await world.services.accounts.create_key(
        world.workspaces[0], "bounded", frozenset({KeyScope.ADMIN}), TERMS[request.param]
    )
    world.keys["bounded"] = made[1]
    return world.client("bounded")


async def open_bulk(world: Any, client: Any, **changes: Any) -> str:
    wanted = {"from": "letter@news.acme.test", "template": await world.template()} | changes
    return f"/v1/bulk/{(await client.good('POST', '/v1/bulk', json=wanted))['id']}"


async def test_a_bulk_is_only_for_keys_that_could_have_opened_it(world: Any, bounded: Any) -> None:
    path = await open_bulk(world, world.admin)
    people = [{"address": "ada@example.test"}]
    await world.admin.good("POST", f"{path}/recipients", json=people)
    for answer in (
        await bounded("POST", f"{path}/recipients", json=[{"address": "grace@example.test"}]),
        await bounded("POST", f"{path}/recipients", content=b'{"address": "eli@example.test"}\n', headers=NDJSON),
        await bounded("POST", f"{path}/commit"),
        await bounded("POST", f"{path}/cancel"),
    ):
        assert answer.is_client_error, answer.text
        assert answer.json()["errors"][0]["code"] in {"sender_not_allowed", "bulk_of_other_kind"}
    shown = await world.admin.good("GET", path)
    assert (shown["state"], shown["recipients"]) == ("collecting", 1)


async def test_what_a_test_key_opened_is_not_filled_by_others(world: Any) -> None:
    await world.verified_domain()
    _, world.keys["trial"] = await world.services.accounts.create_key(
        world.workspaces[0], "trial", frozenset({KeyScope.SEND}), TERMS["test"]
    )
    path = await open_bulk(world, world.client("trial"))
    answer = await world.admin("POST", f"{path}/recipients", json=[{"address": "ada@example.test"}])
    assert answer.json()["errors"][0]["code"] == "bulk_of_other_kind"
    await world.client("trial").good("POST", f"{path}/recipients", json=[{"address": "ada@example.test"}])


async def test_campaigns_are_for_keys_that_are_for_their_sender(world: Any, bounded: Any) -> None:
    draft = {"name": "A", "list": await world.imported(), "template": await world.template()}
    draft["from_address"] = "letter@news.acme.test"
    made = await world.admin.good("POST", "/v1/campaigns", json=draft)
    path = f"/v1/campaigns/{made['id']}"
    answers = [await bounded("POST", "/v1/campaigns", json=draft | {"name": "B"})]
    beside = {"from_address": "shop@news.acme.test", "other_senders": [{"address": "letter@news.acme.test"}]}
    answers.append(await bounded("POST", "/v1/campaigns", json=draft | {"name": "C"} | beside))
    answers += [await bounded("POST", f"{path}/{action}") for action in ("send", "pause", "resume", "cancel")]
    assert {answer.json()["errors"][0]["code"] for answer in answers} <= {"sender_not_allowed", "test_key"}
    assert (await world.admin.good("GET", path))["state"] == "draft"


async def test_what_others_sent_is_not_cancelled(world: Any, bounded: Any) -> None:
    message = {"from": "letter@news.acme.test", "to": ["ada@example.test"], "subject": "S", "text": "T"}
    made = await world.admin.good("POST", "/v1/messages", json=message)
    for one in (made["id"], made["messages"][0]["id"]):
        answer = await bounded("POST", f"/v1/messages/{one}/cancel")
        assert answer.json()["errors"][0]["code"] in {"sender_not_allowed", "test_key"}
    assert (await world.admin.good("POST", f"/v1/messages/{made['id']}/cancel"))["cancelled"] == 1


async def test_a_key_makes_no_key_that_is_for_more(world: Any, bounded: Any) -> None:
    answer = await bounded("POST", "/v1/api-keys", json={"name": "wide", "scopes": ["admin"]})
    assert answer.json()["errors"][0]["code"] == "key_too_wide"
    wide = next(item["id"] for item in await world.admin.all_of("/v1/api-keys", 10) if item["name"] == "all")
    answer = await bounded("POST", f"/v1/api-keys/{wide}/rotate")
    assert answer.json()["errors"][0]["code"] == "key_too_wide"
    own = next(item for item in await world.admin.all_of("/v1/api-keys", 10) if item["name"] == "bounded")
    same = {name: own[name] for name in ("domains", "addresses", "test")}
    await bounded.good("POST", "/v1/api-keys", json={"name": "same", "scopes": ["send"], **same})
    await bounded.good("POST", f"/v1/api-keys/{own['id']}/rotate")


@pytest.mark.parametrize(
    ("senders", "is_within"),
    [
        ({"addresses": ["a@other.test"]}, True),
        ({"addresses": ["a@other.test", "a@news.acme.test"]}, False),
        ({"domains": ["other.test", "news.acme.test"]}, False),
        ({"domains": ["news.acme.test"], "addresses": ["a@other.test"]}, True),  # for nobody: both have to hold
    ],
)
async def test_senders_within_those_of_the_maker(world: Any, senders: Any, is_within: bool) -> None:
    _, world.keys["narrow"] = await world.services.accounts.create_key(
        world.workspaces[0], "narrow", frozenset({KeyScope.ADMIN}), TERMS["domain"]
    )
    wanted = {"name": "a", "scopes": ["send"], **senders}
    answer = await world.client("narrow")("POST", "/v1/api-keys", json=wanted)
    assert answer.is_success == is_within, answer.text


async def test_a_form_with_two_messages_is_refused(world: Any) -> None:
    await world.verified_domain()
    message = '{"from": "a@news.acme.test", "to": ["ada@example.test"], "subject": "S", "text": "T"}'
    parts = [("message", (None, message)), ("message", (None, message.replace("ada", "eli")))]
    answer = await world.admin("POST", "/v1/messages", files=parts)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "bad_part")
