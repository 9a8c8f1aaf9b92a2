"""What events make of a contact's row, and that a verdict taken back leaves it as if it had never been."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene.segments.activity import (
    RECENT,
    Activity,
    ActivityEvent,
    Happening,
    read_recent,
    write_recent,
)
from hygiene.segments.tree import ActivityKind
from mailtypes.clock import DAY, HOUR

T0 = 20_000 * DAY
OPENED, CLICKED, RECEIVED = ActivityKind.OPENED, ActivityKind.CLICKED, ActivityKind.RECEIVED


def fold(*events: ActivityEvent) -> Activity:
    activity = Activity()
    for event in events:
        activity.apply(event)
    return activity


def received(mail: int, day: int = 0) -> ActivityEvent:
    return ActivityEvent(Happening.RECEIVED, T0 + day * DAY, mail)


def opened(mail: int, day: int = 0, *, by_person: bool = True) -> ActivityEvent:
    return ActivityEvent(Happening.OPENED, T0 + day * DAY + HOUR, mail, counts=by_person)


def revised(mail: int, day: int = 0) -> ActivityEvent:
    return ActivityEvent(Happening.OPEN_REVISED, T0 + day * DAY, mail, counts=False, counted=True)


def test_a_mail_counts_once_however_often_it_is_opened() -> None:
    activity = fold(received(1), opened(1), opened(1, 1), received(2, 2))
    assert (activity.totals[RECEIVED], activity.totals[OPENED]) == (2, 1)
    assert activity.last_at[OPENED] == T0 + DAY + HOUR
    assert activity.received_since == {OPENED: 1, CLICKED: 2}
    assert activity.days == {(20_000, RECEIVED): 1, (20_000, OPENED): 1, (20_002, RECEIVED): 1}


def test_machines_do_not_count() -> None:
    activity = fold(received(1), opened(1, by_person=False))
    assert activity.totals[OPENED] == 0
    assert activity.last_at[OPENED] is None
    assert activity.received_since[OPENED] == 1


def test_the_same_message_handed_over_twice_was_received_once() -> None:
    assert fold(received(1), received(1, 1)).totals[RECEIVED] == 1


def test_opened_in_a_row_waits_for_the_newest_mail() -> None:
    events = [received(1), opened(1), received(2, 1), opened(2, 1), received(3, 2), opened(3, 2)]
    assert fold(*events).opened_in_a_row == 3
    assert fold(*events, received(4, 3)).opened_in_a_row == 3
    assert fold(*events, received(4, 3), received(5, 4)).opened_in_a_row == 0
    assert fold(*events, received(4, 3), received(5, 4), opened(4, 5)).opened_in_a_row == 4


def test_a_verdict_taken_back_leaves_the_open_before() -> None:
    activity = fold(received(1), opened(1), received(2, 3), received(3, 4), opened(3, 5), revised(3, 6))
    assert activity.totals[OPENED] == 1
    assert activity.last_at[OPENED] == T0 + HOUR
    assert activity.received_since[OPENED] == 2
    assert activity.days[20_005, OPENED] == 0


def test_both_taken_back_in_the_order_in_which_they_came() -> None:
    activity = fold(received(1), opened(1), received(2, 1), opened(2, 1), revised(1, 2), revised(2, 2))
    assert (activity.totals[OPENED], activity.last_at[OPENED], activity.received_since[OPENED]) == (0, None, 2)


def test_a_machine_that_turns_out_to_be_a_person() -> None:
    was_machine = ActivityEvent(
        Happening.OPEN_REVISED, T0 + 9 * DAY, 1, counts=True, counted=False, done_at=T0 + 2 * DAY
    )
    activity = fold(received(1), opened(1, 2, by_person=False), was_machine)
    assert (activity.totals[OPENED], activity.last_at[OPENED]) == (1, T0 + 2 * DAY)
    assert activity.days[20_002, OPENED] == 1


def test_a_row_of_soft_bounces_is_ended_by_a_mail_that_stays() -> None:
    def bounced(day: int) -> ActivityEvent:
        return ActivityEvent(Happening.SOFT_BOUNCE, T0 + day * DAY + 2 * HOUR, day)

    # Accepted first and returned later, as full mailboxes do: the row goes on.
    activity = fold(received(0), bounced(0), received(1, 1), bounced(1), received(2, 2))
    assert activity.soft_bounces == 2
    assert activity.first_soft_bounce_at == T0 + 2 * HOUR
    # Mail 2 was not returned by the time of mail 3.
    activity.apply(received(3, 3))
    assert (activity.soft_bounces, activity.first_soft_bounce_at) == (0, None)
    # Refused at the door after a mail that stayed.
    activity.apply(bounced(4))
    activity.apply(received(5, 5))
    assert activity.soft_bounces == 1
    activity.apply(opened(5, 5))
    assert activity.soft_bounces == 0


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_revisions_leave_what_there_would_have_been_without_those_opens(seed: int) -> None:
    chance = random.Random(seed)
    mails = chance.randint(1, RECENT)
    plan: list[tuple[str, int]] = []
    for mail in range(mails):
        plan.append(("received", mail))
        if mail and chance.random() < 0.5:
            plan.append(("opened", chance.randrange(mail + 1)))
    false = {mail for kind, mail in plan if kind == "opened" and chance.random() < 0.5}
    with_false, without = Activity(), Activity()
    at = T0
    revisions = Counter[int]()
    for kind, mail in plan:
        at += chance.randint(1, 3) * DAY
        if kind == "received":
            with_false.apply(ActivityEvent(Happening.RECEIVED, at, mail))
            without.apply(ActivityEvent(Happening.RECEIVED, at, mail))
        else:
            with_false.apply(ActivityEvent(Happening.OPENED, at, mail))
            without.apply(ActivityEvent(Happening.OPENED, at, mail, counts=mail not in false))
            revisions[mail] += mail in false
        # What is stored in between has to be enough.
        written = json.loads(json.dumps(write_recent(with_false)))
        read_recent(written, with_false)
    taken_back = list(revisions.elements())
    chance.shuffle(taken_back)
    for mail in taken_back:
        with_false.apply(ActivityEvent(Happening.OPEN_REVISED, at, mail, counts=False, counted=True))
    assert with_false.totals == without.totals
    assert with_false.last_at == without.last_at
    assert with_false.received_since == without.received_since
    assert with_false.opened_in_a_row == without.opened_in_a_row
    assert {place: n for place, n in with_false.days.items() if n} == {
        place: n for place, n in without.days.items() if n
    }


@pytest.mark.parametrize("number", [RECENT + 1, 50])
def test_what_is_too_old_to_be_remembered_mends_the_total_alone(number: int) -> None:
    activity = fold(received(0), opened(0), *(received(mail, mail) for mail in range(1, number)))
    activity.apply(revised(0, number))
    assert activity.totals[OPENED] == 0
    assert len(activity.recent) == RECENT
    activity.apply(revised(0, number))
    assert activity.totals[OPENED] == 0
