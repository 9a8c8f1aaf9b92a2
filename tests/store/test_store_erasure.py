"""Erased people on both databases: stopped wherever they stand, without name everywhere, known by a hash alone."""

from typing import Any

from sqlalchemy import Connection, text

from mailtypes.clock import DAY, MINUTE, Microseconds
from postwright.store import consents, contact_facts, erased, erasure, person_records, sign_ups, suppressions
from postwright.store.consents import Preference, PublicList
from postwright.store.contact_facts import NewConsent
from postwright.store.sign_ups import NewForm, NewSignUp
from postwright.store.suppressions import NewSuppression, Scope

NOW = Microseconds(1_700_000_000_000_000)
KEY = "p1@example.test"


async def erase(world: Any, key: str = KEY) -> erasure.Erasure:
    mentioned = await world.read(erasure.mentions, world.workspace, key)
    done: erasure.Erasure = await world.write(erasure.erase, world.workspace, key, mentioned, NOW)
    return done


async def asked(world: Any, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(row) for row in await world.read(lambda connection: connection.execute(text(statement), values).all())
    ]


async def test_erasing_stops_what_is_queued_and_takes_the_name_away(world: Any) -> None:
    run = await world.released(3)
    (held,) = [one for one in await world.lease() if one.address_key == KEY]
    person = await world.read(consents.person_of, world.workspace, KEY)
    said = NewConsent(person.id, "all", 0, "given", "form", "Yes", NOW, "192.0.2.1")
    await world.write(contact_facts.append_consents, world.workspace, [said])
    await world.write(consents.set_preference, person, Preference(1, 7), NOW)
    wanted = [NewSuppression(KEY, KEY, Scope.LIST, 77, "unsubscribed")]
    await world.write(suppressions.suppress, world.workspace, wanted, NOW)
    found = await world.read(person_records.person_records, world.workspace, KEY)
    assert (len(found["consents"]), len(found["messages"]), len(found["suppressions"])) == (1, 1, 1)
    done = await erase(world)
    assert (done.had_contact, done.deliveries) == (True, 1)
    assert await world.mark([held]) == set()
    assert await world.states(run) == {"suppressed": 1, "leased": 2}
    row = (await world.rows(run))[held.id]
    assert (row.address, row.domain, row.contact_id) == (f"erased-{held.id}@erased.invalid", "erased.invalid", None)
    for name in ("contact", "suppression", "sign_up"):
        assert await asked(world, f"SELECT count(*) FROM {name} WHERE address_key = :key", key=KEY) == [(0,)]
    for name in ("consent", "consent_state", "contact_preference", "list_membership"):
        assert await asked(world, f"SELECT count(*) FROM {name} WHERE contact_id = :id", id=person.id) == [(0,)]
    assert (await world.read(erased.erased_among, world.workspace, [KEY, "p2@example.test"])) == {KEY}
    again = await erase(world)
    assert (again.had_contact, again.deliveries) == (False, 0)
    assert await asked(world, "SELECT count(*) FROM erased_address") == [(1,)]


async def test_a_lease_of_an_erased_address_is_stopped_and_others_are_not(world: Any) -> None:
    run = await world.released(2)
    await world.write(lambda c: erased.remember(c, world.workspace, KEY, NOW))
    leased = await world.lease()
    mine = {one.id for one in leased if one.address_key == KEY}
    assert len(leased) == 2
    assert await world.write(suppressions.stop_leased, leased, NOW) == mine
    assert await world.states(run) == {"suppressed": 1, "leased": 1}
    assert await world.write(suppressions.stop_leased, leased, NOW) == set()


async def test_many_addresses_are_told_apart_at_once(world: Any) -> None:
    keys = [f"p{number}@example.test" for number in range(1201)]
    gone = set(keys[::7])

    def remember(connection: Connection) -> None:
        for key in [*gone, *list(gone)[:5]]:
            erased.remember(connection, world.workspace, key, NOW)

    await world.write(remember)
    assert await world.read(erased.erased_among, world.workspace, keys) == gone
    nobody = "erased-5@erased.invalid"
    found = await world.read(suppressions.reasons, world.workspace, [*keys, nobody], (1, None), NOW)
    assert found == dict.fromkeys(gone | {nobody}, "erased")
    wanted = [NewSuppression(key, key, Scope.ALL, 0, "manual") for key in keys[:7]]
    assert await world.write(suppressions.suppress, world.workspace, wanted, NOW) == 6


async def test_only_an_unsubscribe_is_taken_back(world: Any) -> None:
    for reason, place in (("unsubscribed", (Scope.LIST, 1)), ("complained", (Scope.LIST, 2))):
        new = NewSuppression(KEY, KEY, *place, reason)
        await world.write(suppressions.suppress, world.workspace, [new], NOW)
    assert (await world.read(consents.barred, world.workspace, KEY, (Scope.LIST, 1), NOW)).reason == "unsubscribed"
    assert await world.write(consents.take_back, world.workspace, KEY, (Scope.LIST, 1))
    assert not await world.write(consents.take_back, world.workspace, KEY, (Scope.LIST, 1))
    assert not await world.write(consents.take_back, world.workspace, KEY, (Scope.LIST, 2))
    assert not await world.write(consents.take_back, world.workspace + 1, KEY, (Scope.LIST, 2))


async def test_forms_and_sign_ups(world: Any) -> None:
    new = NewForm("footer", "Letter", "Yes", "he", (1, 2), ("עיר",), "a@sender.test", "", None, "")
    form_id = await world.write(sign_ups.add_form, world.workspace, new, NOW)
    form = await world.read(sign_ups.get_form, form_id)
    assert (form.lists, form.field_names) == ((1, 2), ("עיר",))
    one = NewSignUp(KEY, KEY, "example.test", "{}", "he", "192.0.2.1", "192.0.2.1")
    first = await world.write(sign_ups.add_sign_up, form, one, "waiting", NOW)
    await world.write(sign_ups.add_sign_up, form, one, "waiting", NOW + MINUTE)
    assert await world.read(sign_ups.count_since, form, one, NOW - 1) == (2, 2)
    assert await world.read(sign_ups.count_since, form, one, NOW) == (1, 1)
    assert await world.write(sign_ups.move, first, ("waiting",), "asked", asked_at=NOW)
    assert not await world.write(sign_ups.move, first, ("waiting",), "asked")
    assert [one.state for one in await world.read(sign_ups.list_sign_ups, form_id)] == ["asked", "waiting"]
    assert await world.write(sign_ups.move, first, ("asked",), "confirmed", confirmed_at=NOW)
    assert await world.read(sign_ups.has_before, NOW + DAY)
    assert await world.write(sign_ups.end_before, NOW + DAY, 10) == 1
    assert [one.state for one in await world.read(sign_ups.list_sign_ups, form_id)] == ["confirmed"]


async def test_lists_are_shown_and_hidden(world: Any) -> None:
    await world.released(1)
    ((list_id,),) = await asked(world, "SELECT id FROM contact_list")
    for title in ("News", "Letters"):
        await world.write(consents.publish_list, world.workspace, PublicList(list_id, title, ""))
    assert [one.title for one in await world.read(consents.public_lists, world.workspace)] == ["Letters"]
    assert await world.write(consents.hide_list, world.workspace, list_id)
    assert not await world.write(consents.hide_list, world.workspace, list_id)
