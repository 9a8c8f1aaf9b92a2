"""The commands of docs/guides/warm-up.md, run in their order in an install of their own, with its charts."""

import asyncio
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailtypes.clock import SystemClock
from postwright.services.warm_up_states import begin_ramp
from postwright.settings import read_settings
from postwright.store import contacts, domains, warm_ups, workspaces
from postwright.wiring.application import Application

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "warm-up.md"
SENDER, PLACE = "news.example.com", "192.0.2.8"


def test_the_commands_of_the_guide(postwright: Callable[..., Any], tmp_path: Path) -> None:
    with (tmp_path / "postwright.toml").open("a") as config:
        config.write(f'[[deliver.egress]]\nip = "{PLACE}"\nehlo = "mta2.acme.test"\n')
    (tmp_path / "docs" / "images").mkdir(parents=True)
    assert postwright("domain", "add", SENDER).code == 0
    asyncio.run(_verified_with_people(tmp_path))
    lines = re.findall(r"^\$ postwright (.*)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 15
    told: dict[str, str] = {}
    for line in lines:
        if line == "warmup status":
            early = postwright("warmup", "status", SENDER, "--chart", "early.svg")
            assert (early.code, "nothing to draw yet" in early.err) == (1, True)
            asyncio.run(_first_mail(tmp_path))
        done = postwright(*shlex.split(line))
        assert done.code == 0, (line, done.err)
        told[line] = done.out
    for name in ("warm-up-plans", "warm-up-listening"):
        picture = Path("docs") / "images" / f"{name}.svg"
        assert _told(tmp_path / picture) == _told(ROOT / picture), f"make {picture} anew"
    assert (tmp_path / "ramp.svg").stat().st_size > 1_000
    assert "0 of 3 contacts" not in "".join(told.values())
    assert PLACE in told["warmup status"]
    left = postwright("warmup", "status", "--json").objects
    assert [one["subject"] for one in left] == [PLACE]


def _told(picture: Path) -> list[str]:
    """What a picture says, its figures and decisions among it, whatever the fonts of the machine that drew it."""
    told = re.findall(r"<(?:dc:title|dc:description|text)\b[^>]*>([^<]+)", picture.read_text("utf-8"))
    assert len("".join(told)) > 200
    return told


def _opened(folder: Path) -> Application:
    return Application(read_settings(folder / "postwright.toml"), SystemClock())


async def _verified_with_people(folder: Path) -> None:
    """The DNS of the install is silent: what an audit would have found is written down, and three contacts."""
    application = _opened(folder)
    now = application.clock.now()

    def work(connection: Any) -> None:
        (workspace,) = workspaces.list_workspaces(connection)
        for domain in domains.list_domains(connection, workspace.id):
            domains.save_audit(connection, domain.id, "verified", '{"findings": []}', now)
        people = [contacts.NewContact(f"p{n}@example.net", f"p{n}@example.net", "example.net", {}) for n in range(3)]
        target = contacts.ensure_list(connection, workspace.id, "News", now)
        contacts.put_on_list(connection, target, people, "test", now)

    await application.database.write(work)
    await application.close()


async def _first_mail(folder: Path) -> None:
    """The ramp of a provider begins with the first mail to it."""
    application = _opened(folder)
    now = application.clock.now()
    active = await application.database.read(warm_ups.all_active)
    of_domain = next(one for one in active if one.is_of_domain)
    assert await application.database.write(lambda connection: begin_ramp(connection, of_domain, "google", now))
    await application.close()
