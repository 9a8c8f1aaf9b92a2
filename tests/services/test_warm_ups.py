"""Weeks of warm-up by hand: campaigns, a provider that answers, days that pass, and people who decide."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.clock import DAY, HOUR, as_datetime
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.warm_ups import Order, Start
from postwright.store.provider_days import Figures
from tests.services.conftest import EGRESS, SENDER
from warmup.plans import PRESETS
from warmup.ramp import Phase

FIRST, SECOND = (PRESETS["postmark"].cap_on(day) or 0 for day in (1, 2))
OTHER = "192.0.2.8"
PROVIDER = "example.test"


def people(number: int, domain: str = "example.test", name: str = "p") -> str:
    return "".join(f"{name}{n}@{domain},P{n},en\n" for n in range(number))


def waits(world: Any) -> set[str]:
    return {row[0] for row in world.rows("SELECT DISTINCT waits_for FROM delivery WHERE state = 'held'")}


def events(world: Any, kind: str) -> list[Any]:
    rows = world.rows("SELECT data FROM event WHERE kind = :kind ORDER BY recorded_at, id", kind=kind)
    return [json.loads(row[0]) for row in rows]


async def midnight(world: Any, after: int = 5) -> None:
    """Go to the next day, and let yesterday be judged."""
    now = world.clock.now()
    world.clock.advance(timedelta(microseconds=(now // DAY + 1) * DAY - now + after * 1_000_000))
    for _ in range(4):
        await world.scheduler.step()


async def deliver(world: Any, reply: str = "250 2.0.0 ok", queue: Any = None) -> Sequence[Any]:
    """Send whatever is due; everybody answers ``reply``."""
    deliveries = await world.leased(10_000, queue)
    if deliveries:
        await world.transmit(deliveries)
        await world.answer(deliveries, reply)
    return deliveries


async def ramp(world: Any, subject: str = SENDER, provider: str = PROVIDER) -> Any:
    status = await world.warm_ups.status(world.workspace, subject)
    return next(one for one in status.ramps if one.provider == provider)


async def test_a_used_and_quiet_day_advances_the_ramp_and_the_campaign_goes_on(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(FIRST + SECOND + 7), steps=5)
    assert len(await deliver(world)) == FIRST
    await midnight(world)
    found = await ramp(world)
    assert (found.state.level, found.cap, found.state.phase) == (2, SECOND, Phase.RAMPING)
    assert await world.states(campaign) == {"delivered": FIRST, "ready": SECOND, "held": 7}
    (told,) = events(world, "warmup_advanced")
    assert (told["provider"], told["from_cap"], told["to_cap"]) == (PROVIDER, FIRST, SECOND)
    history = await world.warm_ups.history(world.workspace, SENDER)
    (day,) = history.days[PROVIDER]
    assert (day.attempts, day.sent, day.untracked) == (FIRST, FIRST, 0)
    assert [one.action for one in history.decisions] == ["advance", "advance"]


async def test_until_yesterday_is_judged_nothing_more_leaves(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(FIRST + 20), steps=5)
    await deliver(world)
    now = world.clock.now()
    world.clock.advance(timedelta(microseconds=(now // DAY + 1) * DAY - now + 1))
    await world.scheduler.step()
    assert await world.states(campaign) == {"delivered": FIRST, "held": 20}
    assert waits(world) == {f"{PROVIDER}: Yesterday's answers are being judged; it goes on in a moment"}
    world.clock.advance(timedelta(seconds=5))
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"delivered": FIRST, "ready": 20}


async def test_a_provider_that_blocks_pauses_its_ramp_with_an_alarm_and_what_is_out_comes_back(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(FIRST + 30) + people(5, "other.test"), steps=5)
    assert len(await deliver(world, "550 5.7.1 [TSS09] blocked due to poor reputation of your ip")) == FIRST + 5
    await midnight(world)
    assert (await ramp(world)).state.phase == Phase.PAUSED
    (paused, *_) = events(world, "warmup_paused")
    assert paused["evidence"][0]["measure"] == "blocks"
    assert paused["evidence"][0]["events"] == FIRST
    assert events(world, "warmup_alarm")
    assert (await world.states(campaign))["held"] == 30
    (reason,) = waits(world)
    assert reason.startswith("The warm-up is paused")
    await midnight(world)
    assert (await world.states(campaign))["held"] == 30
    await world.warm_ups.resume(world.workspace, Order(SENDER, PROVIDER, "admin@acme.test", "the list is mended"))
    for _ in range(3):
        await world.scheduler.step()
    states = await world.states(campaign)
    assert states.get("held", 0) < 30
    assert [one["note"] for one in events(world, "warmup_overridden")][-1] == "the list is mended"


async def test_a_pause_by_hand_stops_what_is_ready_and_a_resumption_lets_it_go(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(40), steps=5)
    assert await world.states(campaign) == {"ready": 40}
    order = Order(SENDER, None, "admin@acme.test", "wait for the lawyer")
    await world.warm_ups.pause(world.workspace, order)
    assert await world.leased() == []
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"held": 40}
    assert "wait for the lawyer" in waits(world).pop()
    await world.warm_ups.resume(world.workspace, Order(SENDER, None, "admin@acme.test", "she agreed"))
    for _ in range(3):
        await world.scheduler.step()
    # They were counted once when they were let out first; a new lease of life is counted again.
    assert await world.states(campaign) == {"ready": 40}
    kinds = [row[0] for row in world.rows("SELECT kind FROM event WHERE kind LIKE 'warmup%' ORDER BY recorded_at, id")]
    assert kinds[-4:] == ["warmup_paused", "warmup_overridden", "warmup_resumed", "warmup_overridden"]


async def test_a_start_takes_what_is_out_already_into_its_budget(world: Any) -> None:
    campaign = await world.sending(people(FIRST + 50), steps=5)
    assert await world.states(campaign) == {"ready": FIRST + 50}
    await world.warmed_up()
    assert await world.leased() == []
    for _ in range(4):
        await world.scheduler.step()
    assert await world.states(campaign) == {"ready": FIRST, "held": 50}


async def test_an_hours_share_holds_and_what_did_not_leave_is_counted_anew(world: Any) -> None:
    await world.verified()
    await world.warmed_up(hourly_share="1/10")
    campaign = await world.sending(people(FIRST), steps=5)
    hourly = FIRST // 10
    assert await world.states(campaign) == {"ready": hourly, "held": FIRST - hourly}
    assert "of this hour used" in waits(world).pop()
    world.clock.advance(timedelta(hours=1))
    assert await world.leased() == []  # they were let out for the hour that is over
    for _ in range(3):
        await world.scheduler.step()
    assert await world.states(campaign) == {"ready": hourly, "held": FIRST - hourly}
    assert len(await deliver(world)) == hourly
    used = world.rows("SELECT reserved FROM budget_use WHERE budget LIKE '%:hour:all' ORDER BY window_start")
    assert [row[0] for row in used] == [hourly, hourly]


async def test_the_reserve_is_for_transactional_mail_alone(world: Any) -> None:
    await world.verified()
    await world.warmed_up(reserve="1/5")
    campaign = await world.sending(people(FIRST), steps=5)
    assert await world.states(campaign) == {"ready": FIRST * 4 // 5, "held": FIRST // 5}
    receipts = await world.sending(
        people(FIRST, name="r"), name="Receipts", list_name="Others", stream="transactional", steps=5
    )
    assert await world.states(receipts) == {"ready": FIRST // 5, "held": FIRST * 4 // 5}


async def test_quiet_hours_hold_marketing_and_not_receipts(world: Any) -> None:
    await world.verified()
    hour = world.clock.now() // HOUR % 24
    await world.warmed_up(quiet=[hour, (hour + 2) % 24])
    campaign = await world.sending(people(5), steps=4)
    assert await world.states(campaign) == {"held": 5}
    assert waits(world).pop().startswith("Quiet hours or a day of rest")
    receipts = await world.sending(people(5), name="R", list_name="O", stream="transactional", steps=4)
    assert await world.states(receipts) == {"ready": 5}


async def test_the_most_engaged_of_all_domains_of_a_provider_go_first(world: Any) -> None:
    await world.verified()
    await world.warmed_up(table={"daily_caps": [4, 8]}, preset=None)
    campaign = await world.draft(people(4) + people(4, "other.test"))
    await world.campaigns.send(world.workspace, campaign.id)
    await world.change("UPDATE destination SET provider = 'big'")
    for _ in range(2):
        await world.scheduler.step()
    await world.change("UPDATE destination SET provider = 'big'")
    await world.change("UPDATE delivery SET state = 'held', destination_id = NULL, egress = NULL, granted_until = NULL")
    await world.change("DELETE FROM budget_use")
    await world.change(
        "UPDATE delivery SET priority = CASE WHEN address IN"
        " ('p1@example.test', 'p2@other.test', 'p3@other.test') THEN 9"
        " WHEN address = 'p0@other.test' THEN -1 ELSE 1 END"
    )
    await world.scheduler.step()
    ready = {row[0] for row in world.rows("SELECT address FROM delivery WHERE state = 'ready'")}
    assert len(ready) == 4
    assert {"p1@example.test", "p2@other.test", "p3@other.test"} < ready
    assert "p0@other.test" not in ready


async def test_beyond_the_cap_is_cut_where_the_admin_said_so(world: Any) -> None:
    await world.verified()
    await world.warmed_up(overflow="cut")
    campaign = await world.sending(people(FIRST + 25), steps=6)
    assert await world.states(campaign) == {"ready": FIRST, "cancelled": 25}
    causes = {one["cause"] for one in events(world, "cancelled")}
    assert len(causes) == 1
    assert causes.pop().startswith("left out by the warm-up: ")


async def test_a_new_address_takes_its_share_and_the_warm_one_of_its_pool_the_rest(world: Any) -> None:
    await world.verified()
    status = await world.warmed_up(subject=OTHER)
    assert str(status.plan.overflow) == "warm_pool"
    campaign = await world.sending(people(FIRST + 40), steps=6)
    assert await world.states(campaign) == {"ready": FIRST + 40}
    places = dict(world.rows("SELECT egress, count(*) FROM delivery GROUP BY egress"))
    assert places == {OTHER: FIRST, EGRESS: 40}
    second = world.make_queue("two", OTHER)
    assert len(await world.leased(1000, second)) == FIRST
    assert len(await world.leased(1000)) == 40


async def test_a_message_fits_the_domain_and_the_address_or_it_waits(world: Any) -> None:
    await world.verified()
    await world.warmed_up(subject=OTHER, table={"daily_caps": [30, 60]}, preset=None, overflow="waits")
    await world.warmed_up(table={"daily_caps": [50, 60]}, preset=None)
    campaign = await world.sending(people(80), steps=6)
    assert await world.states(campaign) == {"ready": 30, "held": 50}
    assert waits(world) == {f"{PROVIDER} budget of {OTHER} of today used: 30 of 30; next at 00:00 UTC"}
    used = dict(world.rows("SELECT budget, reserved FROM budget_use WHERE budget LIKE '%:day:all'"))
    assert sorted(used.values()) == [30, 30]


async def test_what_is_bound_to_an_address_leaves_from_no_other(world: Any) -> None:
    await world.verified()
    await world.warmed_up(subject=OTHER, overflow="waits")
    await world.sending(people(10), steps=5)
    assert await world.queue.due_destinations(world.clock.now()) == []
    assert await world.leased() == []
    assert len(await world.leased(100, world.make_queue("two", OTHER))) == 10


async def test_the_gate_names_what_is_missing_and_what_nobody_knows_and_a_note_opens_it(world: Any) -> None:
    await world.sender_domains.add(world.workspace, SENDER)
    wanted = Start(SENDER, {"preset": "postmark"}, "admin@acme.test")
    with pytest.raises(RefusedError) as refused:
        await world.warm_ups.start(world.workspace, wanted)
    assert {one.code for one in refused.value.problems} == {"audit_passed", "hygiene_done"}
    assert all("not known" in one.sentence for one in refused.value.problems)
    await world.verified()
    (left,) = await world.warm_ups.obstacles(world.workspace, SENDER)
    assert (str(left.precondition), left.known) == ("hygiene_done", False)
    await world.warm_ups.start(
        world.workspace, Start(SENDER, {"preset": "postmark"}, "admin@acme.test", "the list is a week old")
    )
    (told,) = events(world, "warmup_overridden")
    assert (told["by"], told["note"]) == ("admin@acme.test", "the list is a week old")
    (ignored,) = told["ignored"]
    assert (ignored["precondition"], ignored["known"]) == ("hygiene_done", False)
    assert ignored["cause"].startswith("It is not known")
    with pytest.raises(RefusedError, match="already"):
        await world.warmed_up()
    with pytest.raises(NotFoundError):
        await world.warmed_up(subject="nobody.test")


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"preset": "overnight"}, "warm_up_plan"),
        ({"table": {"daily_caps": [10, 5]}, "preset": None}, "warm_up_plan"),
        ({"zone": "Mars/Olympus"}, "warm_up_plan"),
        ({"first": 0}, "warm_up_plan"),
        ({"reserve": "1/0"}, "warm_up_plan"),
        ({"reserve": 1}, "warm_up_plan"),
        ({"hourly_share": 0}, "warm_up_plan"),
        ({"quiet": [22]}, "warm_up_plan"),
        ({"weekend": [7]}, "warm_up_plan"),
        ({"weekend": [0, 1, 2, 3, 4, 5, 6]}, "warm_up_plan"),
        ({"table": {"daily_caps": [0, 5]}, "preset": None}, "warm_up_plan"),
        ({"providers": {"google": {"first": "x"}}}, "warm_up_plan"),
        ({"colour": "red"}, "warm_up_plan"),
        ({"overflow": "warm_pool"}, "overflow"),
    ],
)
async def test_plans_that_cannot_be_followed(world: Any, plan: dict[str, Any], code: str) -> None:
    await world.verified()
    with pytest.raises(RefusedError) as refused:
        await world.warmed_up(**plan)
    assert refused.value.problems[0].code == code


async def test_days_are_counted_once_whoever_counts_and_in_batches(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    await world.sending(people(60), steps=5)
    deliveries = await world.leased(1000)
    await world.transmit(deliveries)
    await world.answer(deliveries[:30], "250 2.0.0 ok")
    await world.answer(deliveries[30:40], "451 4.7.1 too many messages, slow down: rate limited")
    await world.answer(deliveries[40:50], "550 5.1.1 user unknown")
    await world.answer(deliveries[50:], "451 4.2.2 mailbox full")
    for _ in range(5):
        world.clock.advance(timedelta(seconds=3))
        await world.scheduler.step()
    (row,) = world.rows(
        "SELECT attempts, sent, deferrals, hard_bounces, blocks FROM provider_day WHERE subject LIKE 'd%'"
    )
    assert tuple(row) == (60, 30, 10, 10, "{}")
    (of_place,) = world.rows("SELECT subject, attempts FROM provider_day WHERE subject LIKE 'egress%'")
    assert tuple(of_place) == (f"egress:{EGRESS}", 60)


async def test_who_read_counts_once_for_each_message(world: Any) -> None:
    await world.verified()
    campaign = await world.sending(people(3), steps=5)
    deliveries = await deliver(world)
    assert campaign
    now = world.clock.now()
    from postwright.store import events as log  # noqa: PLC0415

    def told(one: Any, kind: str, verdict: str, **more: str) -> Any:
        return log.NewEvent(world.workspace, kind, now, one.run_id, one.id, None, {"verdict": verdict, **more})

    first, second, third = deliveries
    batches = [
        [told(first, "opened", "person"), told(first, "clicked", "person"), told(second, "opened", "machine")],
        [told(first, "opened", "person"), told(third, "opened", "person")],
        [
            told(third, "opened_revised", "machine", was="person"),
            told(second, "opened_revised", "person", was="machine"),
        ],
    ]
    expected = [1, 2, 2]
    for batch, engaged in zip(batches, expected, strict=True):
        await world.database.write(lambda c, batch=batch: log.append(c, batch, world.clock.now()))
        for _ in range(3):
            world.clock.advance(timedelta(seconds=3))
            await world.scheduler.step()
        (row,) = world.rows("SELECT engaged FROM provider_day WHERE subject LIKE 'domain%'")
        assert row[0] == engaged


async def test_figures_of_a_day_that_has_not_come_are_refused(world: Any) -> None:
    await world.verified()
    today = as_datetime(world.clock.now()).date()
    for ahead, is_taken in ((1, True), (2, False)):
        place = (PROVIDER, today + timedelta(days=ahead))
        told = world.warm_ups.import_figures(world.workspace, SENDER, place, Figures(0.001, None))
        if is_taken:
            await told
        else:
            with pytest.raises(RefusedError, match="has not come yet"):
                await told


async def test_two_domains_share_the_budget_of_their_address(world: Any) -> None:
    await world.verified()
    await world.warmed_up(subject=EGRESS, table={"daily_caps": [30, 60]}, preset=None, overflow="waits")
    await world.sender_domains.add(world.workspace, "shop.acme.test")
    await world.change("UPDATE sender_domain SET state = 'verified', verified_at = 1")
    first = await world.sending(people(25), steps=5)
    own = {"name": "Second", "list_name": "Others", "from_address": "hello@shop.acme.test"}
    second = await world.sending(people(25, name="q"), steps=5, **own)
    sent = [(await world.states(one)).get("ready", 0) for one in (first, second)]
    assert (sent, second.domain_id != first.domain_id) == ([25, 5], True)
    assert {f"{PROVIDER} budget of {EGRESS} of today used: 30 of 30; next at 00:00 UTC"} == waits(world)


async def test_imported_figures_are_judged_like_any_other(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    await world.sending(people(FIRST), steps=5)
    await deliver(world)
    day = timedelta(0)
    today = (await world.warm_ups.status(world.workspace, SENDER)).plan.rhythm.day_of(world.clock.now()) + day
    await world.warm_ups.import_figures(world.workspace, SENDER, (PROVIDER, today), Figures(reputation="bad"))
    with pytest.raises(RefusedError):
        await world.warm_ups.import_figures(world.workspace, SENDER, (PROVIDER, today), Figures(spam_rate=3.0))
    with pytest.raises(RefusedError, match="No figure"):
        await world.warm_ups.import_figures(world.workspace, SENDER, (PROVIDER, today), Figures())
    await midnight(world)
    found = await ramp(world)
    assert found.state.phase == Phase.PAUSED
    assert "reputation" in found.state.note


async def test_a_missed_week_is_judged_day_by_day_and_silence_steps_back(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    await world.sending(people(FIRST + SECOND), steps=5)
    await deliver(world)
    await midnight(world)
    await deliver(world)
    await midnight(world)
    assert (await ramp(world)).state.level == 3
    world.clock.advance(timedelta(days=16))
    for _ in range(40):
        await world.scheduler.step()
    state = (await ramp(world)).state
    assert state.level < 3
    assert (state.judged_through - state.since).days >= 0
    assert [one["cause"] for one in events(world, "warmup_stepped_back")] == ["idle"]
    decisions = (await world.warm_ups.history(world.workspace, SENDER)).decisions
    days = [one.day for one in decisions]
    assert days == sorted(days)
    assert len(set(days[1:])) == len(days[1:])  # no day is judged twice


async def test_a_jump_of_a_warm_domain_is_told_once(world: Any) -> None:
    await world.verified()
    await world.sending(people(1), steps=5)
    await deliver(world)
    await midnight(world)
    today = world.clock.now() // DAY
    import datetime  # noqa: PLC0415

    def day(back: int) -> str:
        return (datetime.date(1970, 1, 1) + datetime.timedelta(today - back)).isoformat()

    for back, sent in ((6, 900), (5, 900), (4, 900), (0, 5000)):
        await world.change(
            "INSERT INTO provider_day (workspace_id, subject, provider, day, attempts, sent, deferrals, blocks,"
            " hard_bounces, complaints, engaged, untracked)"
            " VALUES (:w, 'domain:1', 'big', :day, :sent, :sent, 0, '{}', 0, 0, 0, 0)",
            w=world.workspace, day=day(back), sent=sent,
        )  # fmt: skip
    await midnight(world)
    await midnight(world)
    (told,) = events(world, "warmup_jump")
    assert (told["sent"], told["usual"], told["provider"]) == (5000, 900, "big")


async def test_an_ended_warm_up_counts_no_more(world: Any) -> None:
    await world.verified()
    await world.warmed_up()
    campaign = await world.sending(people(FIRST + 30), steps=5)
    await world.warm_ups.end(world.workspace, Order(SENDER, None, "admin@acme.test", "moved to another server"))
    await world.scheduler.step()
    assert await world.states(campaign) == {"ready": FIRST + 30}
    assert await world.warm_ups.list(world.workspace) == []
