"""The preference page: what it shows, what it stores, and that every change is a consent in the words read."""

import json
import re
from typing import Any

import pytest

from mailtypes.clock import DAY
from postwright.services.engagement import Visitor
from postwright.services.preferences import Preferences
from tracking.tokens import TokenKind, make

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def choosing(visit: Any) -> Any:
    world = visit.world
    await world.imported("email\nelse@example.test\n", "Cooks")
    await world.imported("email\nelse@example.test\n", "Secret")
    preferences = Preferences(world.database, world.clock)
    for name, title in (("Gardeners", "Garden <letters>"), ("Cooks", "Recipes")):
        await preferences.publish(world.workspace, await world.list_id(name), title, "Once a month")
    visit.path = f"/p/{visit.tokens['p']}"
    visit.gardeners, visit.cooks, visit.secret = [await world.list_id(one) for one in ("Gardeners", "Cooks", "Secret")]
    return visit


def form(visit: Any, **changes: Any) -> tuple[bytes, ...]:
    fields = {"confirm": "yes", "frequency": "any", "tracking": "yes", "language": "he", **changes}
    lists = "".join(f"&list={one}" for one in fields.pop("lists", [visit.gardeners]))
    return (("&".join(f"{name}={value}" for name, value in fields.items()) + lists).encode(),)


def said(visit: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in visit.world.rows("SELECT scope, scope_id, state, source FROM consent ORDER BY id")]


async def test_it_shows_public_lists_and_nothing_about_the_person(choosing: Any) -> None:
    page = (await choosing("GET", choosing.path)).body.decode()
    assert "Garden &lt;letters&gt;" in page
    assert "Recipes" in page
    assert "Secret" not in page
    assert "dana" not in page
    checked = re.findall(r'name="list" value="(\d+)"( checked)?', page)
    assert dict(checked) == {str(choosing.gardeners): " checked", str(choosing.cooks): ""}
    assert "script" not in page


async def test_the_form_as_it_stands_changes_nothing(choosing: Any) -> None:
    answer = await choosing("POST", choosing.path, form(choosing), FORM)
    assert (answer.status, said(choosing), choosing.happened()) == (200, [], [])


async def test_lists_are_left_and_joined(choosing: Any) -> None:
    await choosing("POST", choosing.path, form(choosing, lists=[choosing.cooks, choosing.secret]), FORM)
    world = choosing.world
    dana = world.rows("SELECT id FROM contact WHERE address_key = 'dana@example.test'")[0][0]
    assert set(said(choosing)) == {
        ("list", choosing.gardeners, "withdrawn", "preferences"),
        ("list", choosing.cooks, "given", "preferences"),
    }
    joined = world.rows("SELECT list_id FROM list_membership WHERE contact_id = :id ORDER BY list_id", id=dana)
    assert [row[0] for row in joined] == [choosing.gardeners, choosing.cooks]
    assert world.rows("SELECT scope, scope_id FROM suppression") == [("list", choosing.gardeners)]
    assert await world.leased() == []
    await choosing("POST", choosing.path, form(choosing, lists=[choosing.gardeners, choosing.cooks]), FORM)
    assert world.rows("SELECT 1 FROM suppression") == []
    assert said(choosing)[-1] == ("list", choosing.gardeners, "given", "preferences")


async def test_no_marketing_at_all_and_back(choosing: Any) -> None:
    await choosing("POST", choosing.path, form(choosing, none="yes"), FORM)
    assert choosing.world.rows("SELECT scope, reason FROM suppression") == [("stream", "unsubscribed")]
    assert 'name="none" value="yes" checked' in (await choosing("GET", choosing.path)).body.decode()
    await choosing("POST", choosing.path, form(choosing), FORM)
    assert choosing.world.rows("SELECT 1 FROM suppression") == []
    assert [row[2] for row in said(choosing)] == ["withdrawn", "given"]


async def test_less_is_one_mail_a_week_of_marketing(choosing: Any) -> None:
    world = choosing.world
    await choosing("POST", choosing.path, form(choosing, frequency="less"), FORM)
    assert world.rows("SELECT most_mails, within_days FROM contact_preference") == [(1, 7)]
    dana = world.rows("SELECT id FROM contact WHERE address_key = 'dana@example.test'")[0][0]
    day = world.clock.now() // DAY
    insert = "INSERT INTO contact_day VALUES (:id, :day, 1, 1, 0, 0, 0)"
    columns = [row[1] for row in world.rows("PRAGMA table_info(contact_day)")]
    assert columns[:4] == ["contact_id", "day", "workspace_id", "received"]
    await world.change(insert, id=dana, day=day - 6)
    capped = await world.sending("dana@example.test,Dana,he\n", name="Second")
    receipt = await world.sending("dana@example.test,Dana,he\n", name="Receipt", stream="transactional")
    assert (await world.states(capped), await world.states(receipt)) == ({"suppressed": 1}, {"ready": 1})
    reasons = world.rows("SELECT data FROM event WHERE kind = 'suppressed'")
    assert [json.loads(row[0])["reason"] for row in reasons] == ["frequency_cap"]
    await world.change("UPDATE contact_day SET day = :day", day=day - 7)
    assert await world.states(await world.sending("dana@example.test,Dana,he\n", name="Third")) == {"ready": 1}
    await choosing("POST", choosing.path, form(choosing), FORM)
    assert world.rows("SELECT 1 FROM contact_preference") == []


async def test_withdrawing_the_consent_to_tracking_works_backwards(choosing: Any) -> None:
    world = choosing.world
    click = make(TokenKind.CLICK, choosing.delivery.id, 1, world.token_keys)
    claims = world.engagement.claims(click, TokenKind.CLICK)
    await world.engagement.clicked(claims, Visitor("192.0.2.9", "Firefox"), is_fetch=True)
    assert world.rows("SELECT count(*) FROM engagement") == [(1,)]
    await choosing("POST", choosing.path, form(choosing, tracking="no"), FORM)
    assert world.rows("SELECT count(*) FROM engagement") == [(0,)]
    assert world.rows("SELECT delivery_id, contact_id FROM event WHERE kind = 'clicked'") == [(None, None)]
    assert world.rows("SELECT tracking FROM contact WHERE address_key = 'dana@example.test'") == [("off",)]
    await world.engagement.clicked(claims, is_fetch=True)
    assert world.rows("SELECT count(*) FROM engagement") == [(0,)]
    assert said(choosing) == [("tracking", 0, "withdrawn", "preferences")]


async def test_the_language_changes_at_once(choosing: Any) -> None:
    answer = await choosing("POST", choosing.path, form(choosing, language="en"), FORM)
    assert b'<html lang="en" dir="ltr">' in answer.body
    assert choosing.world.rows("SELECT locale FROM contact WHERE address_key = 'dana@example.test'") == [("en",)]


async def test_wordings_are_the_ones_on_the_page(choosing: Any) -> None:
    page = (await choosing("GET", choosing.path)).body.decode()
    await choosing("POST", choosing.path, form(choosing, lists=[], none="yes", frequency="less", tracking="no"), FORM)
    for (wording,) in choosing.world.rows("SELECT wording FROM consent"):
        assert wording.replace("<", "&lt;").replace(">", "&gt;") in page


@pytest.mark.parametrize(
    "body", [b"", b"confirm=yes", b"tracking=no", b"confirm=yes&frequency=any&tracking=maybe&language=he",
             b"confirm=yes&frequency=any&tracking=no&language=xx",
             b"confirm=yes&frequency=any&frequency=less&tracking=no&language=he"]
)  # fmt: skip
async def test_half_a_form_changes_nothing(choosing: Any, body: bytes) -> None:
    assert (await choosing("POST", choosing.path, (body,), FORM)).status == 400
    assert said(choosing) == []


async def test_looking_changes_nothing_and_strangers_see_nothing(choosing: Any) -> None:
    for method in ("GET", "HEAD"):
        answer = await choosing(method, choosing.path, form(choosing, lists=[]), FORM, query_string=form(choosing)[0])
        assert answer.status == 200
    assert said(choosing) == []
    await choosing.world.change("UPDATE delivery SET address_key = 'stranger@example.test'")
    assert b"/p/" not in (await choosing("GET", f"/u/{choosing.tokens['u']}")).body


async def test_somebody_who_is_no_contact_can_only_unsubscribe(choosing: Any) -> None:
    """Mail of an API client goes to strangers; its link to the preferences leads on all the same."""
    world = choosing.world
    await world.change("UPDATE delivery SET address_key = 'stranger@example.test'")
    page = (await choosing("GET", choosing.path)).body.decode()
    (action,) = re.findall(r'<form method="post" action="([^"]+)">', page)
    assert "/p/" not in page
    assert (await choosing("POST", choosing.path, form(choosing), FORM)).status == 404
    assert not choosing.is_suppressed()
    assert (await choosing("POST", action, (b"confirm=yes&from=list",), FORM)).status == 200
    assert choosing.is_suppressed()
