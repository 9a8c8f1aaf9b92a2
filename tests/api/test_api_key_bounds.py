"""What a key is for holds everywhere: bulks, campaigns and keys that others have made, not only its own messages."""

from typing import Any

import pytest
from sqlalchemy import text as sql

from mailtypes.address import EmailAddress
from mailtypes.clock import HOUR
from mailtypes.domain import DomainName
from postwright.api.representations import KEY, inward
from postwright.api.representations import moment as outside
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


FORM = {"name": "F", "title": "t", "wording": "w", "from_address": "letter@news.acme.test"}
NO_MAIL = {
    # what is known of people, what mail is made of, and how things stand: no mail leaves by it
    *("create_domain", "change_domain", "verify_domain", "check_domain", "create_report"),
    *("create_import", "preview_import", "create_list", "change_list", "delete_list", "publish_list", "hide_list"),
    *("create_contact", "change_contacts", "change_contact", "archive_contact", "restore_contact", "tag_contact"),
    *("count_contact_field", "create_tag", "delete_tag", "create_field", "change_field", "delete_field"),
    *("create_segment", "count_segment", "change_segment", "delete_segment", "export_person", "erase_person"),
    *("create_suppression", "lift_suppression", "import_suppressions", "tell_goals", "list_clickers"),
    *("create_hygiene_plan", "discard_hygiene_plan", "apply_hygiene_plan", "undo_hygiene_plan"),
    *("change_hygiene_settings", "create_template", "begin_template", "render_template", "lint_template"),
    *("score_template", "preview", "preflight_campaign", "plan_experiment"),
    # keys: test_a_key_makes_no_key_that_is_for_more
    *("create_key", "rotate_key", "revoke_key"),
    # webhooks tell of events, and send no mail
    *("create_webhook", "change_webhook", "remove_webhook", "rotate_webhook_secret", "disable_webhook"),
    *("enable_webhook", "skip_webhook", "try_webhook", "replay_webhook"),
}


async def wishes(world: Any) -> dict[str, tuple[str, str, Any]]:
    """For each operation that can cause mail, or stop it: a request about ``letter@news.acme.test`` that would."""
    test: dict[str, Any] = {
        "share": 0.5,
        "on_winner": "ask",
        "at_deadline": "ask",
        "variants": [{"name": "A"}, {"name": "B"}],
    }
    test["variants"][1]["subject"] = "Other"
    draft = await world.draft(list=await world.imported(300, "Many"), experiment=test)
    made = await world.admin.good("POST", "/v1/campaigns", json=draft)
    campaign = f"/v1/campaigns/{made['id']}"
    run = (await world.admin.good("POST", f"{campaign}/send"))["run"]["id"]
    form = await world.admin.good("POST", "/v1/forms", json=FORM | {"lists": [draft["list"]]})
    message = {"from": "letter@news.acme.test", "to": ["ada@example.test"], "subject": "S", "text": "T"}
    sent = await world.admin.good("POST", "/v1/messages", json=message)
    bulk = await open_bulk(world, world.admin)
    people = [{"address": "eli@example.test"}]
    await world.admin.good("POST", f"{bulk}/recipients", json=people)
    note = {"code": "x", "note": "n"}
    target, subject = {"domain": "example.test", "note": "n"}, "/v1/warmup/news.acme.test"
    plan = {"subject": "news.acme.test", "plan": {}}
    override = {"codes": ["x"], "note": note["note"]}
    trial = {"to": "ada@news.acme.test", "from_address": "letter@news.acme.test"}
    return {
        "create_campaign": ("POST", "/v1/campaigns", draft | {"name": "B"}),
        "change_campaign": ("PUT", campaign, draft),
        "copy_campaign": ("POST", f"{campaign}/copy", {"name": "C"}),
        "archive_campaign": ("POST", f"{campaign}/archive", {}),
        **{
            f"{one}_campaign": ("POST", f"{campaign}/{one}", None)
            for one in ("unschedule", "repeat", "send", "pause", "resume", "cancel")
        },
        "overrule_preflight": ("POST", f"{campaign}/overrides", override),
        "withdraw_preflight_override": ("DELETE", f"{campaign}/overrides/x", None),
        "choose_variant": ("POST", f"/v1/experiments/{run}/choose", {"variant": "B"}),
        "create_form": ("POST", "/v1/forms", FORM | {"name": "G", "lists": [draft["list"]]}),
        "change_form": ("PATCH", f"/v1/forms/{form['id']}", {"title": "u"}),
        "close_form": ("POST", f"/v1/forms/{form['id']}/close", None),
        "send_test": ("POST", f"/v1/templates/{draft['template']}/test", trial),
        "send_message": ("POST", "/v1/messages", message),
        "send_batch": ("POST", "/v1/messages/batch", {"messages": [message]}),
        "cancel_message": ("POST", f"/v1/messages/{sent['id']}/cancel", None),
        "create_bulk": ("POST", "/v1/bulk", {"from": message["from"], "template": draft["template"]}),
        "add_bulk_recipients": ("POST", f"{bulk}/recipients", people),
        "commit_bulk": ("POST", f"{bulk}/commit", None),
        "cancel_bulk": ("POST", f"{bulk}/cancel", None),
        **{f"{one}_queue": ("POST", f"/v1/destinations/{one}", target) for one in ("resume", "flush", "fail")},
        "suspend_queue": ("POST", "/v1/destinations/suspend", target),
        "start_warm_up": ("POST", "/v1/warmup", plan),
        "pause_warm_up": ("POST", f"{subject}/pause", {"note": "n"}),
        "resume_warm_up": ("POST", f"{subject}/resume", {"note": "n"}),
        "set_warm_up_level": ("POST", f"{subject}/level", {"note": "n", "level": 1, "provider": "google"}),
        "import_warm_up_figures": ("POST", f"{subject}/figures", {"provider": "gmail", "day": "2026-01-01"}),
        "end_warm_up": ("POST", f"{subject}/end", {"note": "n"}),
    }


IN_A_TEST = {"send_test", "send_message", "send_batch", "create_bulk"}
"""What a test key does without reaching anybody."""
MEANT = {"sender_not_allowed", "test_key", "bulk_of_other_kind"}


async def test_no_operation_that_causes_mail_forgets_whose_key_it_is(world: Any) -> None:
    """Walks the whole description, so that an operation that is added has to say which of both it is."""
    writing = {
        operation["operationId"]
        for methods in world.app.openapi()["paths"].values()
        for method, operation in methods.items()
        if method != "get"
    }
    wanted = await wishes(world)
    assert writing == NO_MAIL | set(wanted)
    assert not NO_MAIL & set(wanted)
    for kind, terms in TERMS.items():
        _, world.keys[kind] = await world.services.accounts.create_key(
            world.workspaces[0], kind, frozenset({KeyScope.ADMIN}), terms
        )
        for operation, (method, path, body) in wanted.items():
            answer = await world.client(kind)(method, path, **({} if body is None else {"json": body}))
            if kind == "test" and operation in IN_A_TEST:
                assert answer.is_success, (operation, answer.text)
                continue
            text = answer.text  # a batch is answered whole, with what was refused in it
            assert any(f'"code":"{code}"' in text for code in MEANT), (kind, operation, text)
    runs = await world.services.database.read(lambda one: one.execute(sql("SELECT is_test, kind FROM run")).all())
    assert sum(not is_test for is_test, _ in runs) == 3, "the campaign, the message and the bulk of the beginning"


async def test_a_form_keeps_to_the_senders_of_its_keys(world: Any) -> None:
    await world.verified_domain()
    terms = KeyTerms(addresses=frozenset({EmailAddress.parse("shop@news.acme.test")}))
    _, world.keys["shop"] = await world.services.accounts.create_key(
        world.workspaces[0], "shop", frozenset({KeyScope.SEND}), terms
    )
    wanted = FORM | {"from_address": "shop@news.acme.test", "lists": [await world.imported()]}
    made = await world.client("shop").good("POST", "/v1/forms", json=wanted)
    path = f"/v1/forms/{made['id']}"
    moved = await world.client("shop")("PATCH", path, json={"from_address": "ceo@news.acme.test"})
    assert moved.json()["errors"][0]["code"] == "sender_not_allowed"
    await world.client("shop").good("PATCH", path, json={"title": "u"})
    assert (await world.client("shop")("POST", f"{path}/close")).status_code == 204


async def test_a_limited_key_makes_none_without_its_limits(world: Any) -> None:
    ends = world.clock.now() + HOUR
    _, world.keys["short"] = await world.services.accounts.create_key(
        world.workspaces[0], "short", frozenset({KeyScope.ADMIN}), KeyTerms(expires_at=ends)
    )
    wanted = {"name": "a", "scopes": ["read"]}
    for end in (None, outside(ends + 1)):
        answer = await world.client("short")("POST", "/v1/api-keys", json=wanted | {"expires_at": end})
        assert answer.json()["errors"][0]["field"] == "expires_at"
    made = await world.client("short").good("POST", "/v1/api-keys", json=wanted | {"expires_at": outside(ends)})
    again = await world.client("short").good("POST", f"/v1/api-keys/{made['id']}/rotate")
    assert again["expires_at"] == made["expires_at"]

    limits: tuple[dict[str, Any], ...] = ({"daily_quota": 1}, {"rate_limit": 50})
    for limit in limits:
        key_id, world.keys["counted"] = await world.services.accounts.create_key(
            world.workspaces[0], "counted", frozenset({KeyScope.ADMIN}), KeyTerms(**limit)
        )
        counted = world.client("counted")
        own = next(one for one in await counted.all_of("/v1/api-keys", 50) if inward(KEY, one["id"]) == key_id)
        for path, body in (("", wanted | limit), (f"/{made['id']}/rotate", {})):
            answer = await counted("POST", f"/v1/api-keys{path}", json=body)
            assert answer.json()["errors"][0]["field"] == next(iter(limit)), answer.text
        taken_over = await counted.good("POST", f"/v1/api-keys/{own['id']}/rotate")
        assert {name: taken_over[name] for name in limit} == limit
