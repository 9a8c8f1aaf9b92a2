"""A campaign against one's own last ten, hours of sending compared, and statistics by segment and sender."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from experiments.comparison import Place
from mailtypes.clock import DAY, HOUR
from postwright.services.comparison import CampaignComparisons, Measure
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.segments import Segments
from postwright.services.sending_hours import BestSendingHours, HoursWanted, HourVerdict
from postwright.services.statistics import By, Statistics
from postwright.store.records import table
from postwright.store.statistics import RunFilter

SIZE = 2_000
RATES = (0.020, 0.022, 0.019, 0.021, 0.018, 0.023, 0.020, 0.021, 0.019, 0.022)


@dataclass(frozen=True)
class Past:
    """A campaign that is over: how long ago it began, how many clicked, when (hours later), and where they are."""

    ago: int
    clicked: int
    clicks_after: int = 2
    provider: str = "gmail"
    plan: str = "{}"
    state: str = "finished"
    delivered: int = SIZE
    spread: int = 1


async def add_past(world: Any, campaign: Any, past: list[Past]) -> list[int]:
    """Copies of a campaign, each with one run and its counts; returns the campaigns' ids."""
    kept: dict[str, Any] = {}

    def work(connection: Connection) -> list[int]:
        for name in ("campaign", "run"):
            source = table(name)
            row = connection.execute(select(source).where(source.c.id == (campaign.id if name == "campaign" else 1)))
            kept[name] = dict(row.mappings().one())
        return [_add(connection, kept, one, world.clock.now()) for one in past]

    made: list[int] = await world.database.write(work)
    return made


def _add(connection: Connection, kept: dict[str, Any], past: Past, now: int) -> int:
    began = now - past.ago
    own = {name: value for name, value in kept["campaign"].items() if name != "id"}
    name = f"Letter of {began} {past.clicked} {past.provider}"
    campaign_id = connection.execute(
        insert(table("campaign")).values(**own | {"name": name, "state": "finished", "created_at": began})
    ).inserted_primary_key[0]
    own = {name: value for name, value in kept["run"].items() if name != "id"}
    own |= {"campaign_id": campaign_id, "state": past.state, "created_at": began, "plan": past.plan}
    run_id = connection.execute(insert(table("run")).values(**own)).inserted_primary_key[0]
    each = past.delivered // past.spread
    rows = [(began // HOUR + hour, "delivered", "", each) for hour in range(past.spread)]
    rows.append((began // HOUR + past.clicks_after, "clicked", "human", past.clicked))
    rows.append((began // HOUR + 2, "failed", "hard_bounce:user_unknown", 20))
    for at, kind, detail, number in rows:
        for cut, value in (("hour", str(at)), ("provider", past.provider)):
            common = {"run_id": run_id, "cut": cut, "value": value, "variant": 0, "kind": kind, "detail": detail}
            same = [table("statistic").c[key] == one for key, one in common.items()]
            known = connection.execute(select(table("statistic").c.recipients).where(*same)).scalar()
            if known is None:
                counts = {"workspace_id": own["workspace_id"], "events": number, "recipients": number}
                connection.execute(insert(table("statistic")).values(**common, **counts))
            else:
                change = table("statistic").update().where(*same).values(recipients=known + number)
                connection.execute(change)
    return int(campaign_id)


def ten(**options: Any) -> list[Past]:
    return [Past((40 - at) * DAY, round(rate * SIZE), **options) for at, rate in enumerate(RATES)]


async def compared(world: Any, campaign_id: int, segment: int | None = None) -> Any:
    return await CampaignComparisons(world.database, world.clock).compare(world.workspace, campaign_id, segment)


async def test_a_campaign_is_told_from_the_last_ten_by_what_people_did(world: Any) -> None:
    campaign = await world.sending()
    *_, usual, high = await add_past(world, campaign, [*ten(), Past(20 * DAY, 42), Past(19 * DAY, 120)])
    found = await compared(world, high)
    places = {one.measure: one.place for one in found.measures}
    assert places[Measure.CLICK] is Place.ABOVE
    assert places[Measure.DELIVERY] is places[Measure.BOUNCE] is Place.WITHIN
    assert (len(found.earlier), found.hours) == (10, None)
    assert [one.found.higher_than for one in found.measures if one.measure is Measure.CLICK] == [10]
    assert found.earlier[-1].campaign_id == usual, "the newest before it is the last"
    (of_gmail,) = found.by_provider.values()
    assert {one.measure: one.place for one in of_gmail}[Measure.CLICK] is Place.ABOVE
    within = await compared(world, usual)
    assert {one.measure: one.place for one in within.measures}[Measure.CLICK] is Place.WITHIN


async def test_a_young_campaign_is_compared_as_the_others_stood_at_its_age(world: Any) -> None:
    """Five hours after the beginning nobody has clicked yet; the others' clicks came on the next day, too."""
    campaign = await world.sending()
    *_, young = await add_past(world, campaign, [*ten(clicks_after=30), Past(5 * HOUR, 0, provider="gmail")])
    found = await compared(world, young)
    (click,) = [one for one in found.measures if one.measure is Measure.CLICK]
    assert (found.hours, click.found.usual is not None and click.found.usual < 0.001) == (5, True)
    assert click.place is Place.WITHIN
    (at_provider,) = [one for one in found.by_provider["gmail"] if one.measure is Measure.CLICK]
    assert (at_provider.place, at_provider.cause[:9]) == (Place.UNKNOWN, "Too early")


async def test_few_small_and_cancelled_campaigns_are_nothing_to_compare_with(world: Any) -> None:
    campaign = await world.sending()
    past = [*ten()[:4], *(Past(30 * DAY, 40, state="cancelled") for _ in range(1)), Past(29 * DAY, 3, delivered=20)]
    *_, last = await add_past(world, campaign, [*past, Past(20 * DAY, 120)])
    found = await compared(world, last)
    assert {one.place for one in found.measures} == {Place.UNKNOWN}
    assert all("five are needed" in one.cause for one in found.measures)
    assert len(found.earlier) == 4
    with pytest.raises(RefusedError) as caught:
        await compared(world, (await world.draft(name="Another")).id)
    assert caught.value.problems[0].code == "not_sent"
    with pytest.raises(NotFoundError):
        await CampaignComparisons(world.database, world.clock).compare(world.workspace + 1, last)


async def test_hours_are_told_apart_only_where_the_campaigns_say_so(world: Any) -> None:
    campaign = await world.sending()
    midnight = world.clock.now() % DAY  # so long ago

    def at(hour: int, day: int, clicked: int, **options: Any) -> Past:
        return Past(midnight - hour * HOUR + day * DAY, clicked, **options)

    good = [at(9, day, 100 + day % 5) for day in range(10, 20)]
    other = [at(hour, day, 40 + day % 5) for hour in (14, 20) for day in range(10, 20)]
    await add_past(world, campaign, [*good, *other, at(3, 50, 60, spread=10)])
    service = BestSendingHours(world.database, world.clock)
    found = await service.find(world.workspace, HoursWanted())
    assert (found.verdict, found.found.best, found.campaigns, found.spread) == (HourVerdict.DIFFER, (9,), 30, 1)
    there = await service.find(world.workspace, HoursWanted(zone="Asia/Kolkata"))
    assert there.found.best == (14,), "half past two in the afternoon"
    await world.change("UPDATE statistic SET recipients = 50 WHERE kind = 'clicked'")
    found = await service.find(world.workspace, HoursWanted())
    assert found.verdict is HourVerdict.NO_DIFFERENCE_KNOWN
    assert "No hour is better" in found.sentence
    with pytest.raises(RefusedError):
        await service.find(world.workspace, HoursWanted(zone="Mars/Olympus"))
    empty = await service.find(world.workspace + 1, HoursWanted())
    assert (empty.verdict, empty.campaigns) == (HourVerdict.TOO_FEW, 0)


async def test_mail_by_the_recipients_clocks_counts_for_the_hour_on_those(world: Any) -> None:
    campaign = await world.sending()
    plan = '{"starts_at": null, "zone": "Asia/Jerusalem", "window": null, "local_time": true}'
    midnight = world.clock.now() % DAY
    past = [Past(midnight - 9 * HOUR + day * DAY, 50, plan=plan, spread=20) for day in range(10, 24)]
    await add_past(world, campaign, past)
    found = await BestSendingHours(world.database, world.clock).find(world.workspace, HoursWanted())
    assert (found.campaigns, found.spread) == (14, 0)


async def test_a_segment_has_those_of_its_recipients_who_are_in_it_now(world: Any) -> None:
    people = "dana@example.test,Dana,he\nada@example.test,Ada,en\ngrace@other.test,Grace,en\n"
    campaign = await world.sending(people)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    at_example = [one for one in deliveries if "example" in one.payload.lease.address]
    await world.answer(at_example, "250 2.0.0 taken")
    await world.answer([one for one in deliveries if one not in at_example], "550 5.1.1 nobody")
    segments = Segments(world.database, world.clock)
    english = await segments.create(world.workspace, "English", {"field": "language", "op": "is", "value": "en"})
    await segments.create(world.workspace, "Of Example", {"domain": "example.test"})
    statistics = Statistics(world.database, world.clock)
    status = await world.campaigns.status(world.workspace, campaign.id)
    found = await statistics.table(world.workspace, RunFilter(run_id=status.run.id), By.SEGMENT)
    told = {one.label: (one.measures.counts["delivered"], one.measures.counts["failed"]) for one in found.rows}
    assert told == {"English": (1, 1), "Of Example": (2, 0)}
    assert {one.label: dict(one.measures.reasons) for one in found.rows}["English"] == {"user_unknown": 1}
    await world.change("UPDATE contact SET fields = json_set(fields, '$.language', 'en')")
    one = await statistics.table(world.workspace, RunFilter(), By.SEGMENT, english.id)
    assert [(row.label, row.measures.counts["delivered"]) for row in one.rows] == [("English", 2)]
    with pytest.raises(RefusedError):
        await statistics.table(world.workspace, RunFilter(), By.TOTAL, english.id)
    with pytest.raises(NotFoundError):
        await statistics.table(world.workspace, RunFilter(), By.SEGMENT, 999)
    young = await compared(world, campaign.id, english.id)
    assert (young.segment.name, {one.place for one in young.measures}) == ("English", {Place.UNKNOWN})


async def test_what_is_too_much_to_go_over_is_refused(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.services.statistic_groups.MOST_LOOKED_AT", 5)
    await world.sending()
    segments = Segments(world.database, world.clock)
    for name in ("One", "Two"):
        await segments.create(world.workspace, name, {"list": "Gardeners"})
    statistics = Statistics(world.database, world.clock)
    with pytest.raises(RefusedError) as caught:
        await statistics.table(world.workspace, RunFilter(), By.SEGMENT)
    assert caught.value.problems[0].code == "too_much"
    one = await statistics.table(world.workspace, RunFilter(), By.SEGMENT, 1)
    assert one.runs == 1
