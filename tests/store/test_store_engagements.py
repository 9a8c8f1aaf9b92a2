"""Opens and clicks in detail: one contract over both databases."""

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from mailtypes.clock import DAY, MINUTE, SECOND
from mta.delivery import Happening
from postwright.services.engagement_records import Criteria, Visit, VisitKind, record_visits
from postwright.services.verdicts import settle_due
from postwright.store import contact_activity, engagements, events
from tracking.verdicts import SETTLE_AFTER

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
PERSON = ("203.0.113.7", CHROME)


class Mail:
    """A run to a few people, delivered at ``world.now + 1 s``, and what is fetched from it."""

    def __init__(self, world: Any, run: Any, ids: list[int]) -> None:
        self.world, self.run, self.ids = world, run, ids
        self.sent = world.now + SECOND

    async def visit(self, *visits: Visit, now: int | None = None) -> int:
        dropped: int = await self.world.write(record_visits, visits, Criteria(), now or self.world.now + MINUTE)
        return dropped

    def opened(self, at: float, who: int = 0, origin: tuple[str, str] = PERSON) -> Visit:
        return Visit(VisitKind.OPEN, self.ids[who], self.sent + int(at * SECOND), 0, *origin)

    def clicked(self, at: float, link: int = 1, who: int = 0, origin: tuple[str, str] = PERSON) -> Visit:
        return Visit(VisitKind.CLICK, self.ids[who], self.sent + int(at * SECOND), link, *origin)

    async def settle(self, at: float) -> int:
        settled: int = await self.world.write(settle_due, Criteria(), self.sent + int(at * SECOND))
        return settled

    async def rows(self, columns: str = "kind, verdict, rule") -> list[tuple]:
        statement = text(f"SELECT {columns} FROM engagement ORDER BY occurred_at, id")
        return [tuple(row) for row in await self.world.read(lambda connection: connection.execute(statement).all())]

    async def told(self) -> list[tuple[str, Any]]:
        """Kinds and data of the events that engagement makes."""
        kinds = ("opened", "clicked", "opened_revised", "clicked_revised")
        return [(one.kind, json.loads(one.data)) for one in await self.world.events() if one.kind in kinds]


@pytest.fixture
async def mail(world: Any) -> Mail:
    run = await world.released(8)
    held = await world.lease()
    await world.mark(held)
    await world.write(
        engagements_outcomes, [world.outcome(one, Happening.ACCEPTED) for one in held], world.now + SECOND
    )
    return Mail(world, run, sorted(one.id for one in held))


def engagements_outcomes(connection: Any, outcomes: Any, now: int) -> None:
    from postwright.store import leases  # noqa: PLC0415

    leases.record(connection, outcomes, now)


async def test_a_person_opens_and_clicks(mail: Mail) -> None:
    assert await mail.visit(mail.opened(900), mail.clicked(930, 4)) == 0
    assert await mail.told() == [
        ("opened", {"verdict": "human", "rule": "person_opened"}),
        ("clicked", {"link": 4, "verdict": "human", "rule": "person_clicked"}),
    ]
    (first, _) = await mail.rows(
        "delivery_id, run_id, workspace_id, sent_at, address, user_agent, settled_at, event_id"
    )
    assert first[:6] == (mail.ids[0], mail.run.id, mail.world.workspace, mail.sent, *PERSON)
    assert first[6] is None
    assert first[7] == (await mail.world.events("opened"))[0].id


async def test_settling_revises_and_throws_address_and_header_away(mail: Mail) -> None:
    burst = [mail.clicked(43, 1), mail.clicked(44, 2), mail.clicked(45, 3)]
    await mail.visit(mail.opened(20))
    for one in burst:  # as they come, one by one
        await mail.visit(one)
    assert [row[1] for row in await mail.rows()] == ["human", "human", "machine", "machine"]
    assert await mail.settle(20 + 299) == 0
    assert await mail.settle(20 + 300) == 1
    assert await mail.settle(45 + 300) == 3
    assert await mail.settle(45 + 300) == 0
    assert [row[1:] for row in await mail.rows()] == [
        ("machine", "among_machines"),
        ("machine", "many_links_at_once"),
        ("machine", "many_links_at_once"),
        ("machine", "many_links_at_once"),
    ]
    revised = [(kind, data) for kind, data in await mail.told() if kind.endswith("revised")]
    first_events = [one.id for kind in ("opened", "clicked") for one in await mail.world.events(kind)]
    assert revised == [
        ("opened_revised", {"event": first_events[0], "verdict": "machine", "was": "human", "rule": "among_machines"}),
        (
            "clicked_revised",
            {"event": first_events[1], "verdict": "machine", "was": "human", "rule": "many_links_at_once", "link": 1},
        ),
    ]
    assert set(await mail.rows("address, user_agent, neighbourhood")) == {(None, None, None)}
    features = json.loads((await mail.rows("features"))[1][0])
    assert (features["links_near"], features["since_sent"], features["network"]) == (3, 43.0, "other")


async def test_a_crowd_from_one_network_is_a_gateway(mail: Mail) -> None:
    visits = [mail.clicked(40 + who, 1, who, (f"198.51.100.{who}", CHROME)) for who in range(6)]
    for one in visits:
        await mail.visit(mail.opened(30 + (one.at - visits[0].at) / SECOND, mail.ids.index(one.delivery_id)), one)
    before = [row[1] for row in await mail.rows() if row[0] == "click"]
    assert before == ["human"] * 4 + ["machine"] * 2
    while await mail.settle(400):
        pass
    clicks = [row for row in await mail.rows() if row[0] == "click"]
    assert [row[1:] for row in clicks] == [("machine", "many_recipients_at_once")] * 6


async def test_one_person_who_fetches_without_end_is_bounded(mail: Mail) -> None:
    visits = [mail.opened(900 + number / 100) for number in range(700)]
    assert await mail.visit(*visits) == 200
    assert len(await mail.rows()) == 500
    assert await mail.visit(mail.opened(910)) == 1
    assert await mail.visit(mail.clicked(911)) == 0  # a click was promised to be kept
    assert (await mail.told())[-1] == ("clicked", {"link": 1, "verdict": "machine", "rule": "flood"})


@pytest.mark.parametrize("place", ["contact_list", "contact"])
@pytest.mark.parametrize(
    ("mode", "kinds", "rows", "has_day"),
    [
        ("off", [], 0, False),
        ("aggregate", ["opened", "clicked"], 0, False),
        ("last_open", [], 0, True),
        ("full", ["opened", "clicked"], 3, True),
    ],
)
async def test_privacy_modes(mail: Mail, place: str, mode: str, kinds: list[str], rows: int, has_day: bool) -> None:
    await mail.world.write(lambda connection: connection.execute(text(f"UPDATE {place} SET tracking = '{mode}'")))
    look = Visit(VisitKind.LOOK, mail.ids[0], mail.sent + 901 * SECOND, 1, *PERSON)
    await mail.visit(mail.opened(900), look, mail.clicked(970))
    assert [kind for kind, _ in await mail.told()] == kinds
    assert len(await mail.rows()) == rows
    for event in await mail.world.events():
        if event.kind in ("opened", "clicked"):
            assert (event.delivery_id is None) == (event.contact_id is None) == (mode == "aggregate")
            assert event.run_id == mail.run.id
    days = await mail.world.read(
        lambda connection: connection.execute(
            text("SELECT DISTINCT last_open_day FROM contact WHERE last_open_day IS NOT NULL")
        ).all()
    )
    assert [row[0] for row in days] == ([(mail.sent + 900 * SECOND) // DAY] if has_day else [])


async def test_the_last_open_is_a_persons_and_never_goes_back(mail: Mail) -> None:
    async def day() -> int | None:
        statement = text("SELECT max(last_open_day) FROM contact")
        found = await mail.world.read(lambda connection: connection.execute(statement).scalar_one())
        return None if found is None else int(found)

    await mail.visit(mail.opened(900, origin=("203.0.113.7", "Mozilla/5.0")))
    assert await day() is None
    await mail.visit(mail.opened(3 * 86_400))
    first = await day()
    assert first == (mail.sent + 3 * DAY) // DAY
    await mail.visit(mail.opened(900))
    assert await day() == first


async def test_withdrawal_works_backwards(mail: Mail) -> None:
    await mail.visit(mail.opened(900), mail.clicked(930), mail.opened(950, who=1))
    await mail.settle(4000)
    (contact,) = {row[0] for row in await mail.rows("contact_id, delivery_id") if row[1] == mail.ids[0]}
    before = await mail.world.events()
    assert await mail.world.write(engagements.erase_engagement, mail.world.workspace + 1, contact) == 0
    assert await mail.world.write(engagements.erase_engagement, mail.world.workspace, contact) == 2
    assert [row[0] for row in await mail.rows("delivery_id")] == [mail.ids[1]]
    after = await mail.world.events()
    assert [(one.id, one.kind, one.run_id) for one in after] == [(one.id, one.kind, one.run_id) for one in before]
    for one in after:
        if one.kind in ("opened", "clicked") and one.delivery_id is not None:
            assert one.delivery_id == mail.ids[1]
        if one.kind == "delivered":  # that a mail was sent stays known
            assert one.delivery_id is not None
    statement = text("SELECT last_open_day FROM contact WHERE id = :id")
    counted = text("SELECT 1 FROM statistic_recipient WHERE delivery_id = :id")
    assert (await mail.world.read(lambda c: c.execute(counted, {"id": mail.ids[0]}).first())) is None
    assert (await mail.world.read(lambda c: c.execute(statement, {"id": contact}).scalar_one())) is None
    assert await mail.world.write(engagements.erase_engagement, mail.world.workspace, contact) == 0


async def test_withdrawal_reaches_what_was_rolled_up(mail: Mail) -> None:
    """Segments and exports are made of it; another contact's, and what was received, stay."""
    await mail.visit(mail.opened(900), mail.clicked(930), mail.opened(950, who=1))
    await mail.settle(4000)
    workspace = mail.world.workspace
    await mail.world.write(events.roll_up, workspace, mail.world.now + DAY)
    while await mail.world.write(contact_activity.roll_up, workspace):
        pass
    asked = "SELECT a.contact_id, a.opened + a.clicked, a.last_opened_at, a.last_clicked_at, a.opened_in_a_row,"
    asked += " (SELECT sum(opened + clicked) FROM contact_day AS d WHERE d.contact_id = a.contact_id),"
    asked += " (SELECT mails FROM contact_recent_mail AS m WHERE m.contact_id = a.contact_id)"
    asked += " FROM contact_activity AS a ORDER BY a.contact_id"

    async def known() -> list[Any]:
        return list(await mail.world.read(lambda connection: connection.execute(text(asked)).all()))

    (contact,) = {row[0] for row in await mail.rows("contact_id, delivery_id") if row[1] == mail.ids[0]}
    before = {row[0]: row for row in await known()}
    assert before[contact][1] == 2
    await mail.world.write(engagements.erase_engagement, workspace, contact)
    after = {row[0]: row for row in await known()}
    assert tuple(after[contact][1:]) == (0, None, None, 0, 0, None)
    assert {key: row for key, row in after.items() if key != contact} == {
        key: row for key, row in before.items() if key != contact
    }
    while await mail.world.write(contact_activity.roll_up, workspace):
        pass
    assert {row[0]: row for row in await known()} == after


async def test_what_is_gone_leaves_nothing(mail: Mail) -> None:
    nobody = Visit(VisitKind.OPEN, mail.ids[-1] + 1, mail.sent, 0, *PERSON)
    assert await mail.visit(nobody, Visit(VisitKind.CLICK, 2**62, mail.sent)) == 0
    assert (await mail.rows(), await mail.told()) == ([], [])


async def test_counts_of_a_run_are_of_recipients_by_their_most_human_verdict(mail: Mail) -> None:
    apple = ("17.1.1.1", "Mozilla/5.0")
    await mail.visit(
        mail.opened(900, 0, apple), mail.opened(901, 0), mail.opened(900, 1, apple), mail.opened(950, 2, ("", "x")),
        mail.clicked(990, 1, 0),
    )  # fmt: skip
    workspace = mail.world.workspace
    counts = await mail.world.read(engagements.verdict_counts, workspace, mail.run.id, "open")
    assert counts == {"human": 1, "machine": 1, "probable": 1}
    assert await mail.world.read(engagements.verdict_counts, workspace, mail.run.id, "click") == {"human": 1}
    assert await mail.world.read(engagements.verdict_counts, workspace + 1, mail.run.id, "open") == {}


async def test_a_journal_is_taken_once(mail: Mail) -> None:
    take = partial(mail.world.write, engagements.take_of_journal, "a" * 32)
    assert await take((0, 100), 1)
    assert not await take((0, 100), 2)
    assert not await take((50, 120), 2)
    assert await take((100, 150), 3)
    assert not await take((100, 150), 3)
    assert await mail.world.read(engagements.taken_of_journal, "a" * 32) == 150
    await mail.world.write(engagements.forget_journal, "a" * 32)
    assert await mail.world.read(engagements.taken_of_journal, "a" * 32) == 0


async def test_two_processes_settle_each_fetch_once(mail: Mail, open_database: Any) -> None:
    import asyncio  # noqa: PLC0415

    visits = [mail.clicked(43 + number / 10, number % 5, number % 8) for number in range(80)]
    for one in visits:
        await mail.visit(one)
    other = open_database()
    work = partial(settle_due, criteria=Criteria(), now=mail.sent + SETTLE_AFTER + 60 * SECOND)
    numbers = await asyncio.gather(*(one.write(work) for one in (mail.world.database, other) for _ in range(3)))
    assert sum(numbers) == 80
    revised = await mail.world.events("clicked_revised")
    about = [json.loads(one.data)["event"] for one in revised]
    assert len(about) == len(set(about))
