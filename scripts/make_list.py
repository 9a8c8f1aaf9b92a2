"""A list of contacts as lists are after years, by a seed: for docs/guides/clean-list.md.

    python scripts/make_list.py FOLDER [--contacts 100000] [--seed 8]
    python scripts/make_list.py FOLDER --history

The first writes ``people.csv`` (typos, throw-aways, roles, doubles and broken addresses among them) and
``bounces.csv``, what a former provider knew to be dead. The second gives those who were imported from it a year of
weekly mails in the configured install: who opened, clicked and bought, and who has been silent for how long. Invented
people at ``.example.com``; nothing is sent.
"""

import argparse
import asyncio
import csv
import random
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import Connection, select  # noqa: E402

from mailtypes.clock import DAY, SystemClock  # noqa: E402
from postwright.settings import read_settings  # noqa: E402
from postwright.store.database import Database  # noqa: E402
from postwright.store.records import table  # noqa: E402

_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Noa", "Yael", "Omer", "Dan", "Tamar")
_LAST = ("Abbott", "Baker", "Cohen", "Dunn", "Evans", "Friedman", "Green", "Hughes", "Katz", "Levi", "Mor", "Peretz")
_TYPOS = ("gmial.com", "gmail.con", "hotmial.com", "walla.co.li", "yahooo.com")
_BROKEN = ("{name}.example.com", "{name}@", "{name}@example..com", "{name} @example.com", "")
_WEEKS = 52


def people(number: int, chance: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the list: address, first name, last name, the day of joining."""
    for place in range(number):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        name = f"{first}.{last}{place}".lower()
        draw = chance.random()
        if draw < 0.005:
            address = chance.choice(_BROKEN).format(name=name)
        elif draw < 0.02:
            address = f"{name}@{chance.choice(_TYPOS)}"
        elif draw < 0.025:
            address = f"{name}@mailinator.com"
        elif draw < 0.035:
            address = f"{chance.choice(('info', 'office', 'sales'))}@shop{place}.example.com"
        elif draw < 0.045 and place > 0:
            address = f"{name}@Reader{place % 97}.Example.COM"
        else:
            address = f"{name}@reader{place % 97}.example.com"
        yield address, first, last, f"20{chance.randint(18, 24)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def write(folder: Path, number: int, seed: int) -> None:
    """The two files."""
    chance = random.Random(seed)  # noqa: S311  invented people, no secret
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(people(number, chance))
    rows += chance.sample(rows, k=number // 100)  # people who signed up twice
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "first_name", "last_name", "joined"))
        writer.writerows(rows)
    with (folder / "bounces.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("status", "reason", "email", "created"))
        for address, *_ in chance.sample([row for row in rows if "@reader" in row[0]], k=number // 50):
            writer.writerow(("5.1.1", "550 5.1.1 user unknown", address, 1_700_000_000 + chance.randint(0, 10**7)))
    print(f"{len(rows):,} rows in {folder / 'people.csv'}, {number // 50:,} in {folder / 'bounces.csv'}")


def activity(contact_id: int, workspace_id: int, chance: random.Random, now: int) -> tuple[dict[str, Any], list[int]]:
    """A year of weekly mails to one contact: the row of the roll-up, and the days on which mails were opened."""
    # A third reads nearly everything, a third now and then; the others stopped some time ago, or never began.
    habit = chance.choices((0.7, 0.2, 0.3, 0.0), (35, 30, 20, 15))[0]
    stopped = chance.randint(4, _WEEKS) if habit == 0.3 else 0
    opened = [week for week in range(stopped, _WEEKS) if chance.random() < habit]
    clicked = [week for week in opened if chance.random() < 0.15]
    bought = [week for week in clicked if chance.random() < 0.2]

    def last(weeks: Sequence[int]) -> int | None:
        return now - (min(weeks) * 7 + 1) * DAY if weeks else None

    row: dict[str, Any] = {
        "contact_id": contact_id,
        "workspace_id": workspace_id,
        "received": _WEEKS,
        "soft_bounces": 0,
    }
    for kind, weeks in (("opened", opened), ("clicked", clicked), ("acted", bought)):
        row |= {kind: len(weeks), f"last_{kind}_at": last(weeks)}
    row |= {
        "received_since_opened": min(opened, default=_WEEKS),
        "received_since_clicked": min(clicked, default=_WEEKS),
    }
    row |= {"last_received_at": now - DAY, "opened_in_a_row": next((n for n in range(10) if n not in opened), 10)}
    return row, [(now // DAY) - week * 7 - 1 for week in opened]


def give_history(connection: Connection, ids: Sequence[tuple[int, int]], chance: random.Random, now: int) -> None:
    """Store it for these contacts (id, workspace)."""
    rows, days = [], []
    for contact_id, workspace_id in ids:
        row, opened = activity(contact_id, workspace_id, chance, now)
        rows.append(row)
        for week in range(13):
            day = (now // DAY) - week * 7 - 1
            one = {"contact_id": contact_id, "day": day, "workspace_id": workspace_id, "received": 1}
            days.append(one | {"opened": int(day in opened), "clicked": 0, "acted": 0})
    connection.execute(table("contact_activity").insert(), rows)
    connection.execute(table("contact_day").insert(), days)
    contact = table("contact")
    joined = contact.update().where(contact.c.id >= ids[0][0], contact.c.id <= ids[-1][0])
    connection.execute(joined.values(created_at=now - 700 * DAY))


async def history(seed: int) -> None:
    """For every contact of the install who has none."""
    clock, done = SystemClock(), 0
    chance = random.Random(seed)  # noqa: S311  the same
    database = Database(read_settings().database.url, clock)
    contact, known = table("contact"), table("contact_activity")
    try:
        missing = select(contact.c.id, contact.c.workspace_id).outerjoin(known, known.c.contact_id == contact.c.id)
        missing = missing.where(known.c.contact_id.is_(None)).order_by(contact.c.id).limit(2000)
        while ids := [
            (int(row[0]), int(row[1])) for row in await database.read(lambda one: one.execute(missing).all())
        ]:
            await database.write(partial(give_history, ids=ids, chance=chance, now=clock.now()))
            done += len(ids)
    finally:
        await database.close()
    print(f"A year of mails to {done:,} contacts.")


def main() -> None:
    """Write the files, or give the imported people their history."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--history", action="store_true", help="fill the install instead of writing files")
    options = parser.parse_args()
    if options.history:
        asyncio.run(history(options.seed))
    else:
        write(options.folder, options.contacts, options.seed)


if __name__ == "__main__":
    main()
