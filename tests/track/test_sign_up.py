"""Signing up by a form: one answer for everybody, a mail that asks, a page that confirms by its button alone."""

import json
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import urlencode

import pytest

from postwright.services.confirmations import Confirmations, LinkMeans
from postwright.services.errors import RefusedError
from postwright.services.forms import Forms, FormWanted
from postwright.services.sign_ups import network_of
from postwright.store.templates import TemplateText
from tracking.tokens import TokenKeys, TokenKind, make

FORM = "application/x-www-form-urlencoded"
WORDING = "Yes, send me the letter <monthly>."


@pytest.fixture
async def shop(visit: Any) -> Any:
    world = visit.world
    links = LinkMeans(world.token_keys, 443)
    visit.forms = Forms(world.database, world.clock, links)
    visit.confirmations = Confirmations(world.database, world.clock, world.intake, links)
    visit.wanted = FormWanted(
        name="footer", title="Garden letter", wording=WORDING, list_ids=(await world.list_id(),),
        from_address="letter@news.acme.test", from_name="Acme", language="en", fields=("first_name",),
        return_url="https://acme.test/thanks",
    )  # fmt: skip
    visit.form = await visit.forms.create(world.workspace, visit.wanted)
    visit.url = await visit.forms.url(visit.form)
    visit.path = visit.url.removeprefix("https://links.news.acme.test")
    return visit


async def fill(shop: Any, address: str, *, ip: str = "198.51.100.7", **fields: str) -> Any:
    body = urlencode({"email": address, "first_name": "Rina", **fields}).encode()
    return await shop("POST", shop.path, (body,), FORM, client=(ip, 5))


async def mails(shop: Any) -> list[Any]:
    """What goes out now to whoever signed up."""
    await shop.confirmations.step()
    for _ in range(3):
        await shop.world.scheduler.step()
    leased = [one for one in await shop.world.leased() if not one.rcpt_to.startswith("dana")]
    found = [message_from_bytes(one, policy=default) for one in shop.world.messages(leased)]
    if leased:
        await shop.world.transmit(leased)
        await shop.world.answer(leased, "250 ok")
    return found


def link_in(mail: Any) -> str:
    text = mail.get_body(("plain",)).get_content()
    found = re.search(r"https://links\.news\.acme\.test(/v/\S+)", text)
    assert found
    return found[1]


def contact(shop: Any, address: str = "rina@example.test") -> Any:
    rows = shop.world.rows("SELECT id, fields, locale FROM contact WHERE address_key = :a", a=address)
    return rows[0] if rows else None


async def test_from_the_form_to_the_list(shop: Any) -> None:
    page = (await shop("GET", shop.path)).body.decode()
    assert "Yes, send me the letter &lt;monthly&gt;." in page
    assert 'name="first_name"' in page
    assert (await fill(shop, "Rina@example.test")).status == 200
    assert contact(shop) is None
    (mail,) = await mails(shop)
    assert (mail["To"], mail["Subject"]) == ("Rina@example.test", "Please confirm: Garden letter")
    assert WORDING in mail.get_body(("plain",)).get_content()
    link = link_in(mail)
    assert link in mail.get_body(("html",)).get_content()
    assert "List-Unsubscribe" not in mail
    for method in ("GET", "HEAD"):
        assert (await shop(method, link)).status == 200
    assert (await shop("POST", link, (b"",), FORM)).status == 400
    assert contact(shop) is None
    done = await shop("POST", link, (b"confirm=yes",), FORM, client=("203.0.113.5", 1))
    assert done.status == 200
    assert b'href="https://acme.test/thanks"' in done.body
    found = contact(shop)
    assert (json.loads(found.fields), found.locale) == ({"first_name": "Rina"}, "en")
    rows = shop.world.rows(
        "SELECT state, source, wording, client_ip, occurred_at FROM consent WHERE contact_id = :id ORDER BY id",
        id=found.id,
    )
    now = shop.world.clock.now()
    assert [tuple(row) for row in rows] == [
        ("pending", "form:footer", WORDING, "198.51.100.7", now),
        ("given", "form:footer", WORDING, "203.0.113.5", now),
    ]
    assert (await shop("POST", link, (b"confirm=yes",), FORM)).body == done.body
    assert len(shop.world.rows("SELECT 1 FROM consent")) == 2
    joined = shop.world.rows("SELECT source FROM list_membership WHERE contact_id = :id", id=found.id)
    assert [row[0] for row in joined] == ["form:footer"]


async def test_nobody_learns_who_is_known(shop: Any) -> None:
    world = shop.world
    await world.suppression_list.add(world.workspace, "gone@example.test", "complained")
    answers = [await fill(shop, one) for one in ("dana@example.test", "gone@example.test", "new@example.test")]
    answers.append(await fill(shop, "robot@example.test", website="https://spam.test"))
    assert len({(one.status, one.body) for one in answers}) == 1
    assert sorted(mail["To"] for mail in await mails(shop)) == ["new@example.test"]
    states = world.rows("SELECT address_key, state, cause FROM sign_up ORDER BY id")
    assert [tuple(row) for row in states] == [
        ("dana@example.test", "asked", ""), ("gone@example.test", "refused", "complained"),
        ("new@example.test", "asked", ""),
    ]  # fmt: skip
    assert world.rows("SELECT state FROM consent") == [("pending",)]


async def test_a_machine_in_the_trap_stores_nothing(shop: Any) -> None:
    await fill(shop, "robot@example.test", website="x")
    assert shop.world.rows("SELECT 1 FROM sign_up") == []


async def test_limits_by_address_are_silent_and_by_network_are_told(shop: Any) -> None:
    answers = [await fill(shop, "rina@example.test", ip=f"203.0.113.{n}") for n in range(6)]
    assert len({(one.status, one.body) for one in answers}) == 1
    assert shop.world.rows("SELECT count(*) FROM sign_up") == [(3,)]
    statuses = [(await fill(shop, f"r{n}@example.test", ip=f"2001:db8::{n:x}")).status for n in range(22)]
    assert statuses == [200] * 20 + [429] * 2
    assert (await fill(shop, "r@example.test", ip="2001:db8:0:1::1")).status == 200
    shop.world.clock.advance(timedelta(hours=1))
    assert (await fill(shop, "late@example.test", ip="2001:db8::1")).status == 200


def test_networks() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1" == network_of("::ffff:192.0.2.1")
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1:2:3")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("") == network_of("nonsense") == "unknown"


async def test_what_is_incomplete_is_told(shop: Any) -> None:
    for body in ({"email": "rina"}, {"email": "rina@example.test"}, {"first_name": "Rina"}, {}):
        answer = await shop("POST", shop.path, (urlencode(body).encode(),), FORM)
        assert answer.status == 422, body
    assert shop.world.rows("SELECT 1 FROM sign_up") == []


async def test_json_is_answered_in_json(shop: Any) -> None:
    async def send(document: Any) -> tuple[int, Any]:
        answer = await shop("POST", shop.path, (json.dumps(document).encode(),), "application/json; charset=utf-8")
        assert answer.headers["access-control-allow-origin"] == "*"
        return answer.status, json.loads(answer.body)

    assert await send({"email": "rina@example.test", "first_name": "Rina", "language": "he"}) == (
        200,
        {"status": "taken"},
    )
    for bad in ([], "x", 5, None, {"email": 5}, {"email": "\ud800@example.test", "first_name": "\x00"}):
        assert await send(bad) == (422, {"status": "incomplete"})
    answer = await shop("POST", shop.path, (b"[" * 16_000,), "application/json")
    assert answer.status == 422
    preflight = await shop("OPTIONS", shop.path)
    assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (204, "content-type")
    (mail,) = await mails(shop)
    assert mail["Subject"] == "נא לאשר: Garden letter"
    assert 'dir="rtl"' in mail.get_body(("html",)).get_content()
    page = (await shop("GET", link_in(mail))).body.decode()
    assert '<html lang="he" dir="rtl">' in page


async def test_a_confirmation_is_late_after_seven_days_and_the_sign_up_is_forgotten(shop: Any) -> None:
    await fill(shop, "rina@example.test")
    (mail,) = await mails(shop)
    shop.world.clock.advance(timedelta(days=7))
    for method in ("GET", "POST"):
        assert (await shop(method, link_in(mail), (b"confirm=yes",), FORM)).status == 410
    assert contact(shop) is None
    await shop.confirmations.step()
    assert shop.world.rows("SELECT 1 FROM sign_up") == []
    assert (await shop("GET", link_in(mail))).status == 404


async def test_forged_cut_and_swapped_tokens_get_a_plain_page(shop: Any) -> None:
    await fill(shop, "rina@example.test")
    (mail,) = await mails(shop)
    genuine, forged = link_in(mail)[3:], TokenKeys(1, {1: b"forged" * 6})
    keys = shop.world.token_keys
    tokens = [make(TokenKind.CONFIRM, 1, 0, forged), genuine[:-1], shop.path[3:], make(TokenKind.CONFIRM, 99, 0, keys)]
    for path in [*(f"/v/{one}" for one in tokens), f"/s/{genuine}", f"/s/{make(TokenKind.FORM, 99, 0, keys)}"]:
        for method in ("GET", "POST"):
            answer = await shop(method, path, (b"confirm=yes&email=x@example.test",), FORM)
            assert (answer.status, b"does not work" in answer.body) == (404, True), path
    assert contact(shop) is None


async def test_confirming_brings_back_who_had_unsubscribed_but_nobody_who_complained(shop: Any) -> None:
    world = shop.world
    await world.imported("email\nrina@example.test\n")
    queued = await world.sending("rina@example.test,Rina,en\n", name="Second", list_name="Cooks")
    (delivery,) = [one for one in await world.leased() if one.rcpt_to == "rina@example.test"]
    token = make(TokenKind.UNSUBSCRIBE, delivery.id, 0, world.token_keys)
    await shop("POST", f"/u/{token}", (b"confirm=yes&from=stream",), FORM)
    assert await world.states(queued) == {"suppressed": 1}
    columns = "workspace_id, address, address_key, scope_id, scope, reason, created_at"
    copied = columns.replace("scope, reason", "'list', 'complained'").replace("scope_id", "999")
    await world.change(f"INSERT INTO suppression ({columns}) SELECT {copied} FROM suppression")
    await fill(shop, "rina@example.test")
    (mail,) = await mails(shop)
    assert (await shop("POST", link_in(mail), (b"confirm=yes",), FORM)).status == 200
    assert world.rows("SELECT reason FROM suppression") == [("complained",)]


async def test_a_closed_form_takes_nobody_and_its_mails_still_confirm(shop: Any) -> None:
    await fill(shop, "rina@example.test")
    (mail,) = await mails(shop)
    await shop.forms.close(shop.world.workspace, shop.form.id)
    assert (await shop("GET", shop.path)).status == 410
    assert (await fill(shop, "late@example.test")).status == 410
    assert (await shop("POST", link_in(mail), (b"confirm=yes",), FORM)).status == 200


async def test_a_template_of_ones_own(shop: Any) -> None:
    world = shop.world
    button = '<mj-button href="{{ confirm_url }}">Go</mj-button>'
    body = f"<mjml><mj-body><mj-section><mj-column>{button}</mj-column></mj-section></mj-body></mjml>"
    saved = await world.templates.save(world.workspace, "Confirm", TemplateText(body, "mjml", "Own: {{ title }}"))
    await shop.forms.change(world.workspace, shop.form.id, {"template_id": saved.template.id})
    await fill(shop, "rina@example.test")
    (mail,) = await mails(shop)
    assert mail["Subject"] == "Own: Garden letter"
    assert "/v/" in mail.get_body(("html",)).get_content()
    without = await world.templates.save(
        world.workspace, "Without", TemplateText(body.replace("confirm_url", "x"), "mjml", "S")
    )
    with pytest.raises(RefusedError, match="no link to confirm by"):
        await shop.forms.change(world.workspace, shop.form.id, {"template_id": without.template.id})


async def test_who_waits_goes_on_waiting_while_the_domain_is_not_verified(shop: Any) -> None:
    world = shop.world
    await world.change("UPDATE sender_domain SET state = 'failing'")
    await fill(shop, "rina@example.test")
    assert await mails(shop) == []
    assert world.rows("SELECT state FROM sign_up") == [("waiting",)]
    assert "not verified" in world.rows("SELECT cause FROM sign_up")[0][0]
    await world.change("UPDATE sender_domain SET state = 'verified'")
    world.clock.advance(timedelta(minutes=5))
    assert len(await mails(shop)) == 1


async def test_the_embedded_form_is_plain_html_that_posts_to_us(shop: Any) -> None:
    html = await shop.forms.embed(shop.form)
    assert f'action="{shop.url}"' in html
    assert "<script" not in html
    assert "&lt;monthly&gt;" in html
    names = re.findall(r' name="(\w+)"', html)
    assert names == ["email", "first_name", "website", "language"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("title", "a\nb"), ("wording", " "), ("list_ids", ()), ("list_ids", (99,)), ("from_address", "x"),
     ("from_address", "a@other.test"), ("language", "fr"), ("fields", ("email",)), ("fields", ("a b",)),
     ("fields", ('x"><script>',)), ("template_id", 99), ("return_url", "javascript:alert(1)"),
     ("return_url", "//evil.test"),
     ("return_url", "https://a@evil.test/")],
)  # fmt: skip
async def test_forms_that_cannot_work_are_refused(shop: Any, field: str, value: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        await shop.forms.change(shop.world.workspace, shop.form.id, {field: value})
    expected = {"list_ids": "lists", "template_id": "template"}.get(field, field)
    assert [one.field for one in refused.value.problems] == [expected]
