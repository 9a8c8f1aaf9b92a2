"""A suppressed address within its scope is never sent to, by any path; what lies outside of it goes out."""

import random
from typing import Any

import pytest

from postwright.services.smtp_submissions import Refusal, SubmissionRefusedError
from postwright.services.suppression_list import Reach
from postwright.store.suppressions import Scope
from postwright.store.templates import TemplateText
from tests.services import test_bulks, test_smtp_submissions, test_submissions

NAMES = ("ann", "ben", "cid", "dan", "eve", "fay")
EVERYONE = [f"{name}@example.test" for name in NAMES]
REACHES = (
    Reach(),
    Reach(Scope.STREAM, "marketing"),
    Reach(Scope.STREAM, "transactional"),
    Reach(Scope.LIST, list_name="Gardeners"),
    Reach(Scope.LIST, list_name="Friends"),
)
PATHS = ("Gardeners", "Friends", "bulk", "message", "smtp")
STREAM_OF = {"Gardeners": "marketing", "Friends": "marketing", "bulk": "marketing", "message": "transactional"}


def _bars(reach: Reach, path: str) -> bool:
    if reach.scope is Scope.ALL:
        return True
    if reach.scope is Scope.STREAM:
        return reach.stream == STREAM_OF.get(path, "transactional")
    return reach.list_name == path


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    text = TemplateText("<p>Hello {{ contact.name }}</p>", "html", "Hi {{ contact.name }}")
    world.template = (await world.templates.save(world.workspace, "Bulk", text)).template.id
    return world


async def _hand_over(ready: Any, path: str) -> None:
    """Everybody, by one path; who is refused at once is left to the others."""
    if path in ("Gardeners", "Friends"):
        rows = "".join(f"{one},{one[:3]},en\n" for one in EVERYONE)
        campaign = await ready.draft(rows, list_name=path, name=path)
        await ready.campaigns.send(ready.workspace, campaign.id)
        return
    client = await ready.client()
    if path == "bulk":
        run = await ready.bulks.open(client, test_bulks.wanted(ready))
        await ready.bulks.add(client, run.id, test_bulks.rows(*NAMES))
        await ready.bulks.commit(client, run.id)
        return
    for one in EVERYONE:
        if path == "message":
            await test_submissions.send(ready, client, test_submissions.wanted(one))
        else:
            try:
                await ready.smtp_submissions.accept(await test_smtp_submissions.submission(ready, one))
            except SubmissionRefusedError as error:
                if error.refusal is not Refusal.ALL_SUPPRESSED:
                    raise


async def _suppress(ready: Any, chosen: dict[str, Reach]) -> None:
    for address, reach in chosen.items():
        await ready.suppression_list.add(ready.workspace, address.upper(), "manual", reach)


@pytest.mark.parametrize("when", ["before", "queued", "leased"])
@pytest.mark.parametrize("path", PATHS)
async def test_never_within_always_outside(ready: Any, path: str, when: str) -> None:
    chance = random.Random(f"{path} {when}")
    for name in ("Gardeners", "Friends"):
        await ready.imports.make_list(ready.workspace, name)
    chosen = {one: chance.choice(REACHES) for one in EVERYONE if chance.random() < 0.8}
    if when == "before":
        await _suppress(ready, chosen)
    await _hand_over(ready, path)
    for _ in range(3):
        await ready.scheduler.step()
    if when == "queued":
        await _suppress(ready, chosen)
    leased = await ready.leased()
    if when == "leased":
        await _suppress(ready, chosen)
    ours = await ready.transmit(leased)
    sent = {one.rcpt_to for one in leased if one.id in ours}
    barred = {one for one, reach in chosen.items() if _bars(reach, path)}
    assert sent == set(EVERYONE) - barred
