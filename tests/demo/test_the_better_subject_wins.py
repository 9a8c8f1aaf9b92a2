"""A campaign tests two subjects, one is truly better: the test finds it, and everybody else gets it.

The whole application over the sandbox: composed and signed mail by SMTP, judged on arrival, read by seeded people and
by machines through the links that were mailed. Gateways look harder at the worse subject, so whoever takes every click
for a person's chooses the wrong one.
"""

import asyncio
import csv
import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from postwright.cli.app import app
from postwright.demo.ab_rehearsal import CAMPAIGN, TEXTS, AbOutcome, LookTold, RehearsalTerms, rehearse
from postwright.demo.stage import clean_folder
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.people import Appeal
from postwright.serving.http import create_app
from postwright.settings import CONFIG_VARIABLE, read_settings
from postwright.wiring.application import Application

EXAMPLES = Path(__file__).parents[2] / "examples"
PEOPLE = 260
WORSE, BETTER = Appeal(opens=0.20, clicks=0.06, scanned=0.70), Appeal(opens=0.60, clicks=0.50, scanned=0.10)
TERMS = RehearsalTerms(WORSE, BETTER, seed=4, share=0.6, read_on=timedelta(hours=2))


@dataclass
class Rehearsed:
    folder: Path
    outcome: AbOutcome
    looks: list[LookTold]

    def rows(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "data" / "postwright.db")) as database:
            return database.execute(statement).fetchall()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    folder = tmp_path_factory.mktemp("ab")
    examples = folder / "examples"
    examples.mkdir()
    for name in ("newsletter.mjml", "suppressions.csv"):
        shutil.copy(EXAMPLES / name, examples)
    with (EXAMPLES / "contacts.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    with (examples / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *random.Random(7).sample(rows, PEOPLE)])
    looks: list[LookTold] = []
    with clean_folder(folder / "demo") as clean:
        yield Rehearsed(clean, asyncio.run(rehearse(clean, examples, TERMS, looks.append)), looks)


def test_the_better_subject_is_found_by_the_rule(rehearsed) -> None:
    outcome = rehearsed.outcome
    assert (outcome.winner, outcome.decided_by) == (1, "rule")
    assert "B is better than every other variant" in outcome.sentence
    # As soon as a decision may act, and not before: the quickest readers are not all readers.
    assert timedelta(hours=TERMS.earliest) <= outcome.decided_after < timedelta(hours=TERMS.wait)
    assert rehearsed.looks[0].after < timedelta(hours=TERMS.earliest)


def test_people_are_counted_and_machines_are_not(rehearsed) -> None:
    worse, better = rehearsed.outcome.variants
    for variant in (worse, better):
        assert variant.truly <= variant.upper < variant.raw
        assert variant.lower <= variant.truly + 0.05 * variant.raw  # what looks like a person in every way is counted
    assert worse.raw > better.raw, "the worse subject has more clicks, most of them by machines"
    assert rehearsed.rows("SELECT count(*) FROM event WHERE kind = 'unsubscribed'") == [
        (0,)
    ]  # gateways look there, too


def test_the_rest_gets_the_winner_and_nobody_gets_two(rehearsed) -> None:
    outcome = rehearsed.outcome
    assert outcome.faults == ()  # every good recipient, once, with SPF, DKIM and DMARC passed
    messages = Mailboxes(rehearsed.folder / "sandbox" / "mailboxes.db").list_messages(limit=1000)
    mailboxes = {one.rcpt_key: TEXTS.index(next(text for text in TEXTS if text in one.subject)) for one in messages}
    assert len(mailboxes) == len(messages) == outcome.job.good
    deliveries = rehearsed.rows("SELECT address_key, variant FROM delivery WHERE state = 'delivered'")
    assert mailboxes == dict(deliveries)
    received = Counter(mailboxes.values())
    worse, better = outcome.variants
    assert received == {0: worse.sampled, 1: len(messages) - worse.sampled}
    assert received[1] > better.sampled + outcome.job.good // 4  # the rest is more than a few
    decided = rehearsed.rows("SELECT count(*) FROM event WHERE kind = 'experiment_decided'")
    assert decided == [(1,)]


async def test_the_report_says_so(rehearsed) -> None:
    application = Application.open(read_settings(rehearsed.folder / "postwright.toml"))
    key = (rehearsed.folder / "demo.json").read_text().split('"api_key": "')[1].split('"')[0]
    transport = httpx.ASGITransport(create_app(application))
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            (campaign,) = (await client.get("/v1/campaigns")).json()["data"]
            (test,) = (await client.get("/v1/experiments", params={"state": "finished"})).json()["data"]
            whole = (await client.get(f"/v1/experiments/{test['run']}")).json()
    finally:
        await application.close()
    assert (campaign["name"], campaign["state"]) == (CAMPAIGN, "finished")
    assert (whole["winner"], whole["decided_by"]) == ("B", "rule")
    counted = {one["name"]: (one["successes"], one["successes_upper"]) for one in whole["verdict"]["look"]}
    assert counted == {one.name: (one.lower, one.upper) for one in rehearsed.outcome.variants}


def test_the_command_says_so(rehearsed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(rehearsed.folder / "postwright.toml"))
    command = typer.main.get_command(app)
    assert not command.main(["experiment", "list", "--json"], standalone_mode=False)
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["campaign"], told["variants"]) == (CAMPAIGN, ["A", "B"])
    assert (told["state"], told["winner"], told["decided_by"]) == ("finished", "B", "rule")
    assert told["started_at"] < told["decided_at"] < told["deadline"]
    assert not command.main(["experiment", "list", "--state", "asking"], standalone_mode=False)
    assert "No campaign tests anything." in capsys.readouterr().out
