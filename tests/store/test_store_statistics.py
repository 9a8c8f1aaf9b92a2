"""Statistics are what a brute-force count over the whole log comes to, however the roll-up was cut into batches."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from mailtypes.clock import HOUR, SECOND, Microseconds
from postwright.store import events, statistics
from postwright.store.events import NewEvent
from postwright.store.records import table
from tests.store.conftest import NOW, World

VERDICTS = ("human", "probable", "machine")
KINDS = ("accepted", "delivered", "deferred", "bounced", "unsubscribed", "opened", "clicked", "complained", "failed")
_delivery = table("delivery")


class Recipients:
    """A run whose recipients are at three domains and in two variants, some of whom nobody knows."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.ids: list[int] = []
        self.fetches: list[tuple[int, str, int | None, Any]] = []
        self.now = NOW

    async def begin(self) -> "Recipients":
        self.run = await self.world.start(["x"])
        self.ids = [one.id for one in await self.world.put(self.run, ["delivered"] * 6)]

        def place(connection: Connection) -> None:
            for number, one in enumerate(self.ids):
                values: dict[str, Any] = {"domain": f"d{number % 3}.test", "variant": number % 2}
                if number == 5:
                    values["destination_id"] = None
                connection.execute(update(_delivery).where(_delivery.c.id == one).values(**values))

        await self.world.write(place)
        return self

    async def happen(self, count: int) -> None:
        """Some events, recorded together."""
        self.now += self.chance.choice((0, 1, SECOND, HOUR // 3, HOUR))
        made = [self._event() for _ in range(count)]
        ids = await self.world.write(events.append, made, Microseconds(self.now))
        for one, event_id in zip(made, ids, strict=True):
            if one.kind in ("opened", "clicked"):
                self.fetches.append((event_id, one.kind, one.delivery_id, dict(one.data)))

    def _event(self) -> NewEvent:
        chance = self.chance
        if self.fetches and chance.random() < 0.3:
            return self._revision()
        kind, who = chance.choice(KINDS), chance.choice([*self.ids, None])
        data: dict[str, Any] = {}
        if kind in ("opened", "clicked"):
            data["verdict"] = chance.choice(VERDICTS)
        if kind == "clicked":
            data["link"] = chance.randrange(2)
        if kind in ("bounced", "failed", "deferred"):
            data |= {"kind": chance.choice(("hard_bounce", "")), "reason": chance.choice(("user_unknown", "blocked"))}
        if kind == "unsubscribed":
            data["way"] = "page"
        return NewEvent(self.world.workspace, kind, self.now - chance.randrange(HOUR), self.run.id, who, None, data)

    def _revision(self) -> NewEvent:
        place = self.chance.randrange(len(self.fetches))
        event_id, kind, who, data = self.fetches[place]
        verdict = self.chance.choice([one for one in VERDICTS if one != data["verdict"]])
        self.fetches[place] = (event_id, kind, who, data | {"verdict": verdict})
        said = data | {"event": event_id, "verdict": verdict, "was": data["verdict"]}
        return NewEvent(self.world.workspace, f"{kind}_revised", self.now, self.run.id, who, None, said)


def brute_force(  # noqa: C901  one plain loop is what makes it worth comparing with
    rows: list[Any], places: dict[int, tuple[int, str, str]]
) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Every count from the whole log at once, by another way than the roll-up's."""
    total: Counter[Any] = Counter()
    people: Counter[Any] = Counter()
    verdict = {row.id: json.loads(row.data)["verdict"] for row in rows if row.kind in ("opened", "clicked")}
    for row in rows:
        if row.kind.endswith("_revised"):
            verdict[json.loads(row.data)["event"]] = json.loads(row.data)["verdict"]
    firsts: dict[Any, Any] = {}
    fetched: dict[Any, list[Any]] = {}
    for row in rows:
        data, hour = json.loads(row.data), row.occurred_at // HOUR
        variant, domain, provider = places.get(row.delivery_id, (-1, "", ""))
        if row.kind.endswith("_revised"):
            continue
        detail = {"unsubscribed": "page"}.get(row.kind, "")
        if row.kind in ("bounced", "failed", "deferred"):
            detail = f"{data['kind'] or 'none'}:{data['reason']}"
        cuts = (("hour", str(hour)), ("domain", domain), ("provider", provider))
        if row.kind in ("opened", "clicked"):
            detail = verdict[row.id]
            names = [None] + ([data["link"]] if row.kind == "clicked" else [])
            if row.kind == "clicked":
                total["link", str(data["link"]), variant, row.kind, detail] += 1
            for name in names if row.delivery_id else ():
                fetched.setdefault((row.kind, row.delivery_id, name), []).append((hour, detail))
        elif row.kind in ("accepted", "delivered", "failed") or (
            row.delivery_id and firsts.setdefault((row.delivery_id, row.kind), row.id) == row.id
        ):
            people.update((cut, value, variant, row.kind, detail) for cut, value in cuts)
        total.update((cut, value, variant, row.kind, detail) for cut, value in cuts)
    for (kind, who, link), all_of_them in fetched.items():
        best = min((one[1] for one in all_of_them), key=VERDICTS.index)
        variant, domain, provider = places[who]
        if link is not None:
            people["link", str(link), variant, kind, best] += 1
        else:
            hour = all_of_them[0][0]
            for cut, value in (("hour", str(hour)), ("domain", domain), ("provider", provider)):
                people[cut, value, variant, kind, best] += 1
    return {key: (total[key], people[key]) for key in total.keys() | people.keys() if total[key] or people[key]}


async def _stored(world: World) -> dict[tuple[Any, ...], tuple[int, int]]:
    statistic = table("statistic")
    rows = await world.read(lambda connection: connection.execute(select(statistic)).all())
    return {
        (row.cut, row.value, row.variant, row.kind, row.detail): (row.events, row.recipients)
        for row in rows
        if row.events or row.recipients
    }


@pytest.mark.parametrize("seed", range(12))
async def test_the_roll_up_is_a_brute_force_count_in_any_batches(world: World, seed: int) -> None:
    chance = random.Random(seed)
    recipients = await Recipients(world, chance).begin()
    counted = 0
    for _ in range(12):
        await recipients.happen(chance.randrange(1, 25))
        if chance.random() < 0.6:
            await world.write(events.roll_up, world.workspace, Microseconds(recipients.now + chance.choice((0, HOUR))))
        for _ in range(chance.randrange(3)):
            counted += await world.write(statistics.roll_up, world.workspace, limit=chance.choice((1, 2, 7, 50)))
    await world.write(events.roll_up, world.workspace, Microseconds(recipients.now + 3 * HOUR))
    while more := await world.write(statistics.roll_up, world.workspace, limit=chance.choice((3, 1000))):
        counted += more
    assert not await world.read(statistics.needs_roll_up, world.workspace)
    rows = await world.events()
    assert counted == len(rows)
    places = {
        one: (number % 2, f"d{number % 3}.test", "" if number == 5 else "example")
        for number, one in enumerate(recipients.ids)
    }
    assert await _stored(world) == brute_force(rows, places)
    assert await world.write(statistics.roll_up, world.workspace) == 0


async def test_two_processes_count_every_event_once(world: World, open_database: Any) -> None:
    recipients = await Recipients(world, random.Random(5)).begin()
    for _ in range(10):
        await recipients.happen(20)
    await world.write(events.roll_up, world.workspace, Microseconds(recipients.now + HOUR))
    others = [open_database() for _ in range(2)]
    done = 0
    for turn in range(200):
        counted = await others[turn % 2].write(lambda c: statistics.roll_up(c, world.workspace, limit=3))
        done += counted
        if not counted:
            break
    assert done == 200
    totals = await world.read(statistics.counts, world.workspace, [recipients.run.id], "hour")
    assert sum(one.events for one in totals) == sum(not row.kind.endswith("_revised") for row in await world.events())


async def test_a_run_has_rows_for_a_thousand_domains_and_the_others_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MOST_DOMAINS", 2)
    recipients = await Recipients(world, random.Random(1)).begin()
    for turn, (number, limit) in enumerate(((0, 1), (3, 1), (1, 5), (2, 5), (4, 5), (0, 5)), start=1):
        event = NewEvent(world.workspace, "delivered", NOW, recipients.run.id, recipients.ids[number])
        await world.write(events.append, [event], Microseconds(NOW))
        await world.write(events.roll_up, world.workspace, Microseconds(NOW + turn * HOUR))
        while await world.write(statistics.roll_up, world.workspace, limit=limit):
            continue
    found = await world.read(statistics.counts, world.workspace, [recipients.run.id], "domain", ["value"])
    assert {one.value: one.events for one in found} == {"d0.test": 3, "d1.test": 2, "": 1}


async def test_who_clicked_and_who_is_forgotten(world: World) -> None:
    recipients = await Recipients(world, random.Random(1)).begin()
    run = recipients.run.id
    said = [(0, 0, "human"), (1, 0, "machine"), (2, 1, "probable"), (3, 1, "human")]
    clicks = [
        NewEvent(world.workspace, "clicked", NOW, run, recipients.ids[who], None, {"link": link, "verdict": verdict})
        for who, link, verdict in said
    ]
    await world.write(events.append, clicks, Microseconds(NOW))
    await world.write(events.roll_up, world.workspace, Microseconds(NOW + HOUR))
    await world.write(statistics.roll_up, world.workspace)

    def known(connection: Connection) -> None:
        for number, one in enumerate(recipients.ids):
            connection.execute(update(_delivery).where(_delivery.c.id == one).values(contact_id=number + 100))

    await world.write(known)
    for link, verdicts, expected in (
        (None, ("human",), [100, 103]),
        (None, ("human", "probable"), [100, 102, 103]),
        (0, VERDICTS, [100, 101]),
        (1, ("human",), [103]),
        (7, VERDICTS, []),
    ):
        found: list[int] = []
        after: int | None = 0
        while after is not None:
            more, after = await world.read(statistics.who_clicked, run, link, verdicts, (after, 2))
            found += more
        assert sorted(found) == expected
    assert await world.write(statistics.forget_recipients, recipients.ids[:2]) == 2
    found, _ = await world.read(statistics.who_clicked, run, None, VERDICTS, (0, 10))
    assert sorted(found) == [102, 103]
