"""kill -9 anywhere in a send, then start again: judged by the receiving side.

A round is one kill: of a drawn set of processes at a drawn moment, several rounds in the course of one send, from the
moment at which it is asked for until its last messages. Six seeded rounds; ``make chaos`` does fifty (CHAOS_ROUNDS).
The kinds go round, so that few rounds already meet most of them. SQLite and PostgreSQL take turns; a database server is
not ours to kill.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from email.parser import BytesHeaderParser
from typing import Any

import psutil
import pytest

from mta.delivery import TERMINAL
from postwright.demo.outcome import good_recipients
from postwright.sandbox.mailboxes import Mailboxes

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "6"))
ROUNDS_A_SEND = min(5, ROUNDS // 2)
ROWS = 50 * ROUNDS_A_SEND


def kill_deliver(theatre: Any, chance: random.Random) -> None:
    theatre.kill(chance.choice(theatre.tree()["deliver"]))


def kill_schedule(theatre: Any, _: random.Random) -> None:
    theatre.kill(*theatre.tree()["schedule"])


def kill_deliver_and_schedule(theatre: Any, _: random.Random) -> None:
    tree = theatre.tree()
    theatre.kill(*tree["deliver"], *tree["schedule"])


def kill_supervisor(theatre: Any, _: random.Random) -> None:
    theatre.kill_supervisor()
    theatre.stage.start()


def kill_tree(theatre: Any, _: random.Random) -> None:
    theatre.kill_tree()
    theatre.stage.start()


def kill_sandbox(theatre: Any, chance: random.Random) -> None:
    """The receiving side goes; Postwright meets dead connections for a while, then is stopped in the middle of that."""
    theatre.stage.sandbox.kill()
    time.sleep(chance.uniform(0, 0.5))
    stopped = {process.pid for process in psutil.Process(theatre.stage.server_pid).children()}
    assert theatre.stage.stop_server() == 0
    # Whoever ends in order leaves nothing held; what somebody held who was killed before waits for its lease's end.
    held = theatre.ask("SELECT DISTINCT worker FROM delivery WHERE state IN ('leased', 'transmitting')")
    assert {int(worker.split(":")[1]) for (worker,) in held}.isdisjoint(stopped)
    theatre.stage.start()


def kill_everything(theatre: Any, _: random.Random) -> None:
    theatre.kill_tree()
    theatre.stage.sandbox.kill()
    theatre.stage.start()


KILLS: Mapping[str, Callable[[Any, random.Random], None]] = {
    "tree": kill_tree,
    "deliver": kill_deliver,
    "everything": kill_everything,
    "sandbox": kill_sandbox,
    "supervisor": kill_supervisor,
    "schedule": kill_schedule,
    "deliver and schedule": kill_deliver_and_schedule,
}


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(ROUNDS // ROUNDS_A_SEND))
def test_every_good_recipient_has_the_message(number: int, theatre, told) -> None:
    chance = random.Random(number)
    here = theatre(ROWS, chance, "postgresql" if number % 2 else "sqlite")
    job = here.job()
    job.verify_domain()
    imported = job.import_contacts()
    job.suppress()
    good = good_recipients(here.examples, imported)
    campaign = job.create_campaign()
    job.send(campaign)
    first = number * ROUNDS_A_SEND
    kinds = [list(KILLS)[(first + index) % len(KILLS)] for index in range(ROUNDS_A_SEND)]
    chance.shuffle(kinds)
    for kind, share in zip(kinds, sorted(chance.uniform(-0.1, 0.95) for _ in kinds), strict=True):
        here.wait_until_whole()
        here.wait_until(lambda share=share: here.received() >= share * len(good))
        time.sleep(chance.uniform(0, 0.2))
        print(f"send {number}: killing {kind} with {here.received()} of {len(good)} received, drawn {share:.0%}")
        KILLS[kind](here, chance)
    result = job.watch(campaign, lambda _: None)
    job.close()

    deliveries, copies = here.deliveries(), here.copies()
    assert copies.keys() == good  # nobody without the message, no stranger with one
    assert {key for key, (state, _) in deliveries.items() if state == "delivered"} == good
    assert {state for state, _ in deliveries.values()} <= {str(state) for state in TERMINAL}
    assert {dkim for held in copies.values() for _, _, dkim in held} == {"pass"}  # as dkimpy found
    duplicates = {key: held for key, held in copies.items() if len(held) > 1}
    for key, held in duplicates.items():
        assert deliveries[key][1] > 0, f"{key} has {len(held)} copies and was never ambiguous"
        assert len({message_id for _, message_id, _ in held}) == 1
        assert len({date_of(here, row) for row, _, _ in held}) == 1
    ambiguous = sum(number > 0 for _, number in deliveries.values())
    assert len(duplicates) <= ambiguous == result.ambiguous_ever
    told(
        {
            "kills of the sending tree": len(kinds),
            "recipients of sends with kills": len(good),
            "of them lost": len(good - copies.keys()),
            "left transmitting by who was killed": here.counts["left transmitting"],
            "ambiguous": ambiguous,
            "received it twice": len(duplicates),
        }
    )
    print(f"send {number}: {len(duplicates)} received it twice, {ambiguous} were ambiguous, {here.counts}")
    here.wait_until_whole()
    assert here.stage.stop_server() == 0


def date_of(here: Any, row: int) -> str:
    found = Mailboxes(here.stage.layout.mailboxes_path).get(row)
    assert found is not None
    return str(BytesHeaderParser().parsebytes(found[1])["Date"])
