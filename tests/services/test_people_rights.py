"""Everything about one person, out and gone; who was erased is never written to again, by any path."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.errors import ConfigurationError
from postwright.keyrings import KeyRing
from postwright.services.bulks import BulkRow, BulkWanted
from postwright.services.confirmations import Confirmations, LinkMeans
from postwright.services.engagement import Visitor
from postwright.services.forms import Forms, FormWanted
from postwright.services.message_intake import MessageWanted
from postwright.services.people_rights import PeopleRights
from postwright.services.sign_ups import SignUps
from postwright.services.withdrawals import Breadth, Withdrawal
from postwright.store import consents, contact_facts, contacts, erased, suppressions
from postwright.store.consents import Preference
from postwright.store.contact_facts import NewConsent
from postwright.store.contacts import NewContact
from postwright.store.templates import TemplateText
from rendering.whole import Mailbox
from tests.services.conftest import SENDER
from tracking.tokens import TokenClaims, TokenKind

DANA = "Dana.Levi@example.test"
KEY = "dana.levi@example.test"
ROWS = f"{DANA},Danuta,he\nben@example.test,Ben,en\n"


@pytest.fixture
def rights(world: Any) -> PeopleRights:
    return PeopleRights(world.database, world.clock)


def message(*to: str) -> MessageWanted:
    boxes = tuple(Mailbox(EmailAddress.parse(one)) for one in to)
    return MessageWanted(EmailAddress.parse(f"shop@{SENDER}"), "Acme", boxes, subject="Danuta, your order", text="Hi\n")


async def submit(world: Any, *to: str) -> Sequence[Any]:
    client = await world.client()
    stored: Sequence[Any] = await world.submissions.store(client, [await world.intake.prepare(client, message(*to))])
    return stored


async def make_form(world: Any) -> tuple[Any, SignUps, Confirmations]:
    links = LinkMeans(world.token_keys, 443)
    list_ids = (await world.list_id(),)
    wanted = FormWanted("footer", "Letter", "Yes", list_ids, f"letter@{SENDER}")
    form = await Forms(world.database, world.clock, links).create(world.workspace, wanted)
    sign_ups = SignUps(world.database, world.clock, world.token_keys, test_environment=True)
    return form, sign_ups, Confirmations(world.database, world.clock, world.intake, links)


async def live(world: Any) -> None:
    """Dana gets mail, clicks, unsubscribes, is suppressed and tagged, signs up: all that leaves something behind."""
    await world.sending(ROWS)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer([one for one in deliveries if "ben" in one.rcpt_to], "250 ok")
    await world.answer([one for one in deliveries if "Dana" in one.rcpt_to], "250 ok, Dana.Levi@example.test")
    (hers,) = [one for one in deliveries if "Dana" in one.rcpt_to]
    clicked = TokenClaims(TokenKind.CLICK, hers.id, 1)
    await world.engagement.clicked(clicked, Visitor("192.0.2.9", "Firefox"), is_fetch=True)
    asked = Withdrawal("page", world.clock.now(), Breadth.LIST, "List, Danuta", "192.0.2.9")
    await world.engagement.unsubscribe(TokenClaims(TokenKind.UNSUBSCRIBE, hers.id, 0), asked)
    await submit(world, DANA)
    await submit(world, DANA, "ben@example.test")
    await world.imported(f"email,note\n{DANA} {DANA},x\n", "Doubtful")
    lifted = await world.suppression_list.add(world.workspace, DANA, "manual")
    assert lifted
    everywhere = [one for one in await world.suppression_list.list(world.workspace) if one.scope == "all"]
    await world.suppression_list.lift(world.workspace, everywhere[0].id)
    form, sign_ups, _ = await make_form(world)
    await sign_ups.sign_up(form, {"email": DANA}, "192.0.2.9")

    def mark(connection: Connection) -> None:
        person = consents.person_of(connection, world.workspace, KEY)
        assert person is not None
        tag = contact_facts.ensure_tag(connection, world.workspace, "vip", world.clock.now())
        contact_facts.tag_contacts(connection, world.workspace, tag, [person.id], world.clock.now())
        said = NewConsent(person.id, "all", 0, "given", "Danuta's word", "Yes", world.clock.now(), "192.0.2.9")
        contact_facts.append_consents(connection, world.workspace, [said])
        consents.set_preference(connection, person, Preference(1, 7), world.clock.now())

    await world.database.write(mark)


def found_in_database(world: Any, *words: str) -> list[str]:
    """The columns of all tables in which one of these words stands, whatever the case."""
    found: list[str] = []
    for (name,) in world.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        for row in world.rows(f'SELECT * FROM "{name}"'):
            for column, value in row._mapping.items():
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                if any(word.lower() in text.lower() for word in words):
                    found.append(f"{name}.{column}: {text[:200]}")
    return found


async def test_the_export_has_everything(world: Any, rights: PeopleRights) -> None:
    await live(world)
    found = await rights.export(world.workspace, DANA.upper())
    assert json.loads(json.dumps(found)) == found
    assert found["contact"]["fields"] == {"first_name": "Danuta", "language": "he"}
    assert [one["name"] for one in found["lists"]] == ["Gardeners"]
    assert [one["name"] for one in found["tags"]] == ["vip"]
    assert [(one["scope"], one["state"]) for one in found["consents"]] == [("list", "withdrawn"), ("all", "given")]
    assert found["preferences"][0]["most_mails"] == 1
    assert [one["reason"] for one in found["suppressions"]] == ["unsubscribed"]
    assert [one["form"] for one in found["sign_ups"]] == ["footer"]
    assert [one["subject"] for one in found["messages"]] == [None, "Danuta, your order", "Danuta, your order"]
    kinds = {one["kind"] for one in found["events"]}
    assert {"delivered", "clicked", "unsubscribed", "accepted"} <= kinds
    assert [one["kind"] for one in found["opens_and_clicks"]] == ["click"]
    assert "ben@" not in json.dumps(found)
    assert found["erased"] is False


async def test_nothing_of_an_erased_person_is_left_in_any_table(world: Any, rights: PeopleRights) -> None:
    await live(world)
    before = world.rows("SELECT kind, count(*) FROM event GROUP BY kind ORDER BY kind")
    assert found_in_database(world, "dana", "danuta")
    erasure = await rights.erase(world.workspace, DANA)
    assert (erasure.had_contact, erasure.deliveries, erasure.messages, erasure.engagements) == (True, 3, 1, 1)
    left = found_in_database(world, "dana", "danuta")
    # A message to others, too, keeps its words until the retention takes them; nobody else's mail is touched.
    assert {one.partition(":")[0] for one in left} == {"message.subject", "blob.content"}
    after = dict(tuple(row) for row in world.rows("SELECT kind, count(*) FROM event GROUP BY kind"))
    stopped = {"person_erased", "suppressed"}
    counted = {kind: count for kind, count in map(tuple, before) if kind not in stopped}
    assert {kind: count for kind, count in after.items() if kind not in stopped} == counted
    assert world.rows("SELECT count(*) FROM event WHERE contact_id NOT IN (SELECT id FROM contact)") == [(0,)]
    states = world.rows("SELECT state FROM delivery WHERE domain = 'erased.invalid' ORDER BY id")
    assert [row[0] for row in states] == ["delivered", "suppressed", "suppressed"]
    assert world.rows("SELECT count(*) FROM delivery WHERE address = 'ben@example.test'") == [(2,)]
    again = await rights.erase(world.workspace, DANA)
    assert (again.had_contact, again.deliveries) == (False, 0)
    assert world.rows("SELECT count(*) FROM erased_address") == [(1,)]
    exported = await rights.export(world.workspace, DANA)
    assert (exported["erased"], exported["contact"], exported["messages"]) == (True, None, [])


async def test_an_erased_address_is_not_written_to_by_any_path(world: Any, rights: PeopleRights) -> None:
    await world.verified()
    await world.imported(f"email\n{DANA}\nben@example.test\n")
    await rights.erase(world.workspace, DANA)
    # By an import: refused, and the refusal says no address.
    job, refusals = await world.imported(f"email,first_name\nben@example.test,Ben\n{DANA.upper()},Danuta\n")
    assert (job.updated, [(one.code, one.value) for one in refusals]) == (1, [("erased", "")])
    # By a suppression list, an unsubscribe or a bounce: it does not come back by that either.
    assert not await world.suppression_list.add(world.workspace, DANA, "manual")
    # By a form: the same answer, and no mail.
    form, sign_ups, confirmations = await make_form(world)
    assert await sign_ups.sign_up(form, {"email": DANA}, "192.0.2.9") == "taken"
    await confirmations.step()
    assert world.rows("SELECT count(*) FROM delivery") == [(0,)]
    assert found_in_database(world, "dana") == []
    # By an API client, alone and beside others.
    (stored,) = await submit(world, DANA, "ben@example.test")
    assert (stored.refused, [one.address for one in stored.accepted]) == ({KEY: "erased"}, ["ben@example.test"])
    # By a bulk.
    saved = await world.templates.save(world.workspace, "Spring", TemplateText("<p>Hi</p>", "html", "Hi"))
    client = await world.client()
    run = await world.bulks.open(client, BulkWanted(EmailAddress.parse(f"shop@{SENDER}"), "Acme", saved.template.id))
    chunk = await world.bulks.add(client, run.id, [BulkRow(DANA, {}), BulkRow("cid@example.test", {})])
    assert [one.problem.code for one in chunk.refused] == ["suppressed"]
    # By a contact that got around the import, in a campaign.
    target = await world.database.read(lambda c: contacts.find_list(c, world.workspace, "Gardeners"))
    new = NewContact(DANA, KEY, "example.test", {})
    await world.database.write(lambda c: contacts.put_on_list(c, target, [new], "elsewhere", world.clock.now()))
    campaign = await world.sending("ben@example.test,Ben,en\n")
    assert await world.states(campaign) == {"ready": 1, "suppressed": 1}
    # By a delivery that got around that as well: at the moment of sending.
    await world.change("UPDATE delivery SET state = 'held', waits_for = 'route', settled_at = NULL, reply_text = ''")
    for _ in range(3):
        await world.scheduler.step()
    assert {one.rcpt_to for one in await world.leased()} <= {"ben@example.test", "cid@example.test"}
    assert world.rows("SELECT state FROM delivery WHERE address_key = :key", key=KEY) == [("suppressed",)]


async def test_what_is_on_its_way_is_stopped_wherever_it_stands(world: Any, rights: PeopleRights) -> None:
    await world.sending(ROWS, steps=1)
    await rights.erase(world.workspace, DANA)
    for _ in range(3):
        await world.scheduler.step()
    assert [one.rcpt_to for one in await world.leased()] == ["ben@example.test"]
    await rights.erase(world.workspace, "ben@example.test")  # while a worker holds it
    (held,) = world.rows("SELECT state FROM delivery WHERE state <> 'suppressed'") or [("suppressed",)]
    assert held[0] == "suppressed"


async def test_a_delivery_that_was_transmitting_is_not_tried_again(world: Any, rights: PeopleRights) -> None:
    await world.sending(ROWS)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await rights.erase(world.workspace, DANA)
    await world.answer(deliveries, "451 later")
    world.clock.advance(timedelta(hours=2))
    assert [one.rcpt_to for one in await world.leased()] == ["ben@example.test"]
    assert found_in_database(world, "dana.levi") == []


async def test_without_the_key_nothing_is_sent_to_anybody(world: Any, rights: PeopleRights) -> None:
    await world.verified()
    await rights.erase(world.workspace, DANA)
    world.erasure = KeyRing("2", {"2": b"x" * 32})
    with pytest.raises(ConfigurationError, match="erasure key '1'"):
        await submit(world, "ben@example.test")
    assert world.rows("SELECT count(*) FROM delivery") == [(0,)]


async def test_the_key_can_change(world: Any, rights: PeopleRights) -> None:
    old = world.erasure
    await rights.erase(world.workspace, DANA)
    world.erasure = KeyRing("2", {"2": b"x" * 32, **old.keys})
    await rights.erase(world.workspace, "ben@example.test")
    assert world.rows("SELECT hash_key_id FROM erased_address ORDER BY id") == [("1",), ("2",)]
    asked = [KEY, "ben@example.test", "cid@example.test"]
    found = await world.database.read(lambda c: erased.erased_among(c, world.workspace, asked))
    assert found == {KEY, "ben@example.test"}


async def test_a_hash_says_nothing_in_another_workspace_and_nothing_without_the_key(
    world: Any, rights: PeopleRights
) -> None:
    import hashlib  # noqa: PLC0415

    await rights.erase(world.workspace, DANA)
    ((kept,),) = world.rows("SELECT address_hash FROM erased_address")
    assert kept != hashlib.sha256(KEY.encode()).digest()
    await world.change("INSERT INTO workspace (name, created_at) VALUES ('other', 0)")
    assert await world.database.read(lambda c: erased.erased_among(c, world.workspace + 1, [KEY])) == set()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.from_regex(r"[a-z]{1,3}@[a-z]{1,3}\.test", fullmatch=True), unique=True, min_size=1, max_size=12),
    st.data(),
)
def test_reasons_name_exactly_the_erased(tmp_path_factory: Any, addresses: list[str], data: Any) -> None:
    import asyncio  # noqa: PLC0415

    from mailtypes.clock import ManualClock  # noqa: PLC0415
    from tests.services.conftest import World  # noqa: PLC0415

    gone = data.draw(st.sets(st.sampled_from(addresses)))

    async def work() -> None:
        world = await World(tmp_path_factory.mktemp("erased"), ManualClock()).begin()
        try:
            service = PeopleRights(world.database, world.clock)
            for one in gone:
                await service.erase(world.workspace, one)
            place = (1, None)
            found = await world.database.read(
                lambda c: suppressions.reasons(c, world.workspace, addresses, place, world.clock.now())
            )
            assert found == dict.fromkeys(gone, "erased")
        finally:
            await world.database.close()

    asyncio.run(work())


async def test_what_is_no_address_is_refused(world: Any, rights: PeopleRights) -> None:
    for text in ("", "dana", "@example.test"):
        with pytest.raises(AddressSyntaxError):
            await rights.erase(world.workspace, text)
    assert world.rows("SELECT 1 FROM erased_address") == []
